"""The verbs of transfers on a home of their own: what they print, store and refuse."""

import json
import shlex
from typing import Any

import pytest

from console.cli import main
from tests.runtime.deck import Deck, buy

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def home(deck: Deck, capsys: Capture) -> Deck:
    """Ten bought; five sent, 4.99 of them arrived; one sent and one got without a hash."""
    moved = {"unit_price_usd": "", "asset_id": "ETH"}
    deck.take(
        buy(asset_id="ETH", quantity="10"),
        buy(action="TRANSFER_OUT", quantity="5", timestamp="2025-03-02T10:00:00Z", tx_hash="h", **moved),
        buy(action="TRANSFER_IN", quantity="4.99", timestamp="2025-03-02T11:00:00Z", tx_hash="h",
            **moved | {"account": "cold"}),
        buy(action="TRANSFER_OUT", quantity="1", timestamp="2025-03-03T10:00:00Z", **moved),
        buy(action="TRANSFER_IN", quantity="1", timestamp="2025-03-03T12:00:00Z",
            **moved | {"account": "\x41cold"}),
    )  # fmt: skip
    return deck


def run(deck: Deck, words: str) -> int:
    """`navdeck WORDS` on this home."""
    try:
        return main(["--home", str(deck.path), *shlex.split(words)])
    except SystemExit as left:
        return int(left.code or 0)


def said(deck: Deck, capsys: Capture, words: str) -> Any:
    """The one JSON document on stdout."""
    capsys.readouterr()
    assert run(deck, f"{words} --json") == 0
    return json.loads(capsys.readouterr().out)


def loose(deck: Deck, capsys: Capture) -> dict[str, str]:
    rows = said(deck, capsys, "transfers list")["unmatched"]
    return {f"{row['side']} {row['quantity']}": row["id"] for row in rows}


def test_list__tables__each_state_reasons_candidates_and_what_to_do(home: Deck, capsys: Capture) -> None:
    assert run(home, "transfers list") == 0
    told = capsys.readouterr().out
    for part in (
        "1 transfer matched", "3 transfers unmatched", "QUANTITY_LEFT", "NO_HASH_NO_ID",
        "it has neither tx_hash nor external_id", "What comes near", "the same quantity",
        "→ navdeck transfers match", "→ navdeck transfers settle",
    ):  # fmt: skip
        assert part in told


def test_list__filters__and_nothing_to_show(home: Deck, capsys: Capture) -> None:
    assert said(home, capsys, "transfers list --state matched")["unmatched"] == []
    assert run(home, "transfers list --asset BTC") == 2
    home.take(buy(asset_id="BTC"))
    assert said(home, capsys, "transfers list --asset BTC")["counts"]["matched"] == 0
    first = said(home, capsys, "transfers list --limit 1")
    assert (len(first["unmatched"]), first["next"]) == (1, 1)
    assert said(home, capsys, "transfers list --limit 2 --offset 1")["unmatched"][0] != first["unmatched"][0]
    assert run(home, "transfers list --asset BTC") == 0
    assert "No transfer." in capsys.readouterr().out
    assert run(home, "transfers list --account nobody") == 2
    assert "There is no account 'nobody'." in capsys.readouterr().err
    assert run(home, "transfers list --state lost") == 2


def test_match__dry_run_then_done__and_undone(home: Deck, capsys: Capture) -> None:
    ids = loose(home, capsys)
    words = f"transfers match {ids['OUT 1']} {ids['IN 1']} --reason 'same coins'"
    assert run(home, f"{words} --dry-run") == 0
    told = capsys.readouterr().out
    assert "would be matched: 1 ETH from main to Acold" in told
    assert "Nothing was stored." in told
    done = said(home, capsys, words)
    assert (done["moved"], done["decisions"]) == ("1", [1])
    assert run(home, "undo") == 0
    assert set(loose(home, capsys)) == set(ids)


def test_settle__residuals__shown_first_then_settled(home: Deck, capsys: Capture) -> None:
    words = "transfers settle --residuals-below 0.5% --asset ETH --as fee --reason gas"
    assert run(home, f"{words} --dry-run") == 0
    told = capsys.readouterr().out
    assert "1 transfer would be settled as fee" in told
    assert "0.01" in told
    assert [row["quantity"] for row in said(home, capsys, words)["rows"]] == ["0.01"]
    assert run(home, words) == 0
    assert "Nothing is left over that is so small" in capsys.readouterr().out
    assert run(home, "transfers list --state settled") == 0
    assert "1 transfer settled" in capsys.readouterr().out


def test_settle__payment__with_its_value(home: Deck, capsys: Capture) -> None:
    one = loose(home, capsys)["OUT 1"]
    assert run(home, f"transfers settle {one} --as payment --value 2500 --reason invoice") == 0
    assert "settled as payment at 2,500 USD" in capsys.readouterr().out
    assert run(home, f"transfers settle {one} --as payment --value 2500.0 --reason invoice") == 0
    assert "1 transfer settled so before" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        "transfers", "transfers match a", "transfers match a b", "transfers match a b --reason x",
        "transfers settle --as fee --reason x", "transfers settle a --as rent --reason x",
        "transfers settle a --as fee", "transfers settle --residuals-below 1 --as fee --reason x",
    ],
)  # fmt: skip
def test_what_makes_no_sense__exit_code_2(home: Deck, words: str) -> None:
    assert run(home, words) == 2
