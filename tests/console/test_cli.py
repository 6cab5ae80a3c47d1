"""The command line from outside: exit codes, JSON on stdout alone, errors with a hint."""

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from console.cli import main
from tests.runtime.deck import PRICE_COLUMNS, ROOT, Deck, bar, buy, to_csv

Capture = pytest.CaptureFixture[str]


def run(deck: Deck, *arguments: str | Path) -> int:
    return main([*map(str, arguments), "--home", str(deck.path)])


def said(deck: Deck, capsys: Capture, *arguments: str | Path, code: int = 0) -> Any:
    """The one JSON document on stdout."""
    capsys.readouterr()
    assert run(deck, *arguments, "--json") == code
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def _in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heavy verbs without a worker process: the same work, without its start."""
    from engine.runtime.executors import ThreadExecutor

    monkeypatch.setattr("engine.runtime.executors.WorkerExecutor", lambda *_limits: ThreadExecutor())


pytestmark = pytest.mark.usefixtures("_in_this_process")


def test_ingest__exit_codes__0_done_3_some_bad(deck: Deck) -> None:
    good = deck.file("good.csv", [buy()])
    assert run(deck, "ingest", good) == 0
    assert run(deck, "ingest", good) == 0  # a duplicate is no harm
    assert run(deck, "ingest", deck.file("row.csv", [buy(account="")])) == 3
    assert run(deck, "ingest", deck.file("file.csv", b"?")) == 3
    assert run(deck, "ingest", "--dry-run", deck.file("dry.csv", [buy(account="", quantity="4")])) == 3
    assert run(deck, "ingest", good, deck.file("mixed.csv", b"!")) == 3


def test_ingest__json__the_contracts_document(deck: Deck, capsys: Capture) -> None:
    path = deck.file("mixed.csv", [buy(fee_asset="USD", fee_amount="1"), buy(account="")])
    document = said(deck, capsys, "ingest", path, deck.file("bad.csv", b""), code=3)
    good, bad = document["files"]
    assert (good["path"], good["kind"], good["status"], good["reason"]) == (
        str(path),
        "transactions",
        "ingested",
        None,
    )
    counts = ("rows", "accepted", "duplicates", "quarantined", "fees_created")
    assert [good[name] for name in counts] == [2, 1, 0, 1, 1]
    assert (bad["status"], bad["reason"], bad["rows"]) == ("rejected", "FILE_EMPTY", 0)
    assert [document["totals"][name] for name in counts] == [2, 1, 0, 1, 1]


@pytest.mark.parametrize(
    "words",
    [
        ["ingest", "--what"],
        ["no-such-verb"],
        ["quarantine"],
        ["nav", "--resolution", "1w"],
        ["value", "--from"],
    ],
)
def test_wrong_usage__exit_2(words: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    assert capsys.readouterr().out == ""


def test_daemon_with_a_verb__exit_2__neither_is_done(tmp_path: Path, capsys: Capture) -> None:
    assert main(["--home", str(tmp_path / "none"), "--daemon", "ingest", "trades.csv"]) == 2
    told = capsys.readouterr().err
    assert "--daemon works by itself" in told
    assert "Leave the verb" in told


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["ingest", "/no/such/file.csv"], 2),
        (["nav", "--from", "yesterday"], 2),
        (["lots", "--method", "BEST"], 2),
        (["lots", "--as-of", "2024-13-01"], 2),
        (["init"], 2),
    ],
)
def test_refused__what_and_a_hint_on_stderr(deck: Deck, capsys: Capture, words: list[str], code: int) -> None:
    capsys.readouterr()
    assert run(deck, *words) == code
    told = capsys.readouterr()
    assert told.out == ""
    assert "hint" in told.err
    assert "Traceback" not in told.err


def test_refused__as_json_too(deck: Deck, capsys: Capture) -> None:
    document = said(deck, capsys, "nav", "--to", "soon", code=2)
    assert document["error"]["code"] == "USAGE"
    assert document["error"]["hint"]


@pytest.mark.parametrize("where", [["--home", "", "status"], ["status", "--home", ""], ["status", "--home="]])
def test_home__empty__is_refused_and_never_another_home(
    where: list[str], deck: Deck, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAVDECK_HOME", str(deck.path))
    with pytest.raises(SystemExit, match="2"):
        main(where)
    told = capsys.readouterr()
    assert told.out == ""
    assert "--home: it is empty; name a folder" in " ".join(told.err.split())


def test_no_home__exit_2_with_what_to_do(tmp_path: Path, capsys: Capture) -> None:
    assert main(["status", "--home", str(tmp_path / "none")]) == 2
    assert "navdeck init" in capsys.readouterr().err


def test_bad_settings__every_problem_told(deck: Deck, capsys: Capture) -> None:
    with deck.home.config_path.open("a") as toml:
        toml.write('\ncash = "maybe"\nodd = 1\n')
    assert run(deck, "status") == 2
    told = capsys.readouterr().err
    assert "cash" in told
    assert "odd is not a setting" in told


def test_state_from_a_later_navdeck__failed_with_a_hint(deck: Deck, capsys: Capture) -> None:
    deck.sql("PRAGMA user_version = 99")
    assert run(deck, "status") == 1
    assert run(deck, "ingest", deck.file("a.csv", [buy()])) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_every_reading_verb__json_is_one_document(deck: Deck, capsys: Capture) -> None:
    deck.take(buy(), buy(account=""))
    deck.ingest(
        deck.file("bars.csv", to_csv([bar(), bar(bucket_close="2025-03-03T00:00:00Z")], PRICE_COLUMNS))
    )
    assert said(deck, capsys, "value", "--resolution", "1d")["buckets"] == 2
    assert said(deck, capsys, "status")["counts"]["transactions"] == 1
    assert {setting["key"] for setting in said(deck, capsys, "config")["settings"]} >= {"cash", "fx.pegs"}
    assert len(said(deck, capsys, "digest")["digest"]) == 64
    assert said(deck, capsys, "verify")["ok"] is True
    (row,) = said(deck, capsys, "quarantine", "list")
    assert set(row) >= {"id", "file", "sha256", "record", "line", "status", "reasons", "row"}


def test_nav__json__points_as_the_contract_says(deck: Deck, capsys: Capture) -> None:
    deck.take(buy(quantity="1.50"), buy(asset_id="ETH", timestamp="2025-03-02T12:00:00Z"))
    bars = [bar(close="101.00"), bar(bucket_close="2025-03-03T00:00:00Z", close="102")]
    deck.ingest(deck.file("bars.csv", to_csv(bars, PRICE_COLUMNS)))
    run(deck, "value", "--resolution", "1d")
    document = said(deck, capsys, "nav")
    first, second = document["points"]
    assert document["base_currency"] == "USD"
    assert (first["bucket_close"], first["nav"], first["coverage"]) == ("2025-03-02T00:00:00Z", "151.5", 1.0)
    assert (second["nav"], second["priced_value"], second["missing"]) == (None, "153", ["ETH"])
    assert second["reasons"] == ["NO_PRICE"]
    assert set(first) >= {"held", "flags", "excluded", "unmatched_value"}
    (only,) = said(deck, capsys, "nav", "--from", "2025-03-02", "--to", "2025-03-03")["points"]
    assert only == second


def test_lots__json__decimals_and_instants_canonical(deck: Deck, capsys: Capture) -> None:
    deck.take(
        buy(quantity="2.50", fee_asset="USD", fee_amount="1.0"),
        buy(action="SELL", quantity="0.5", unit_price_usd="120", timestamp="2025-03-02T10:00:00.5Z"),
    )
    document = said(deck, capsys, "lots")
    assert document["open_lots"] == [
        {
            "account": "main",
            "asset_id": "BTC",
            "acquired_at": "2025-03-01T10:00:00Z",
            "quantity": "2",
            "cost_basis_usd": "200.8",
            "flags": [],
        }
    ]
    (gain,) = document["realized"]
    assert gain["disposed_at"] == "2025-03-02T10:00:00.5Z"
    assert (gain["proceeds_usd"], gain["cost_basis_usd"], gain["gain_usd"]) == ("60", "50.2", "9.8")
    assert (document["method"], document["in_transit"]) == ("FIFO", [])


def test_verify__something_wrong__exit_1(deck: Deck) -> None:
    deck.take(buy())
    assert run(deck, "verify") == 0
    next(iter((deck.path / "archive").rglob("*.csv"))).unlink()
    assert run(deck, "verify") == 1


def test_as_a_program__json_alone_on_stdout(deck: Deck) -> None:
    path = deck.file("a.csv", [buy(), buy(account="")])
    done = subprocess.run(
        [sys.executable, "-m", "console.cli", "ingest", str(path), "--json", "--home", str(deck.path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 3
    assert json.loads(done.stdout)["totals"]["accepted"] == 1
    assert done.stderr == ""


@pytest.mark.parametrize("more", [[], ["--json"], ["--read-only"]])
def test_navdeck__without_a_home_or_anyone_to_ask__says_how_to_begin(
    tmp_path: Path, capsys: Capture, more: list[str]
) -> None:
    assert main(["--home", str(tmp_path / "nowhere"), *more]) == 0
    assert "navdeck init" in capsys.readouterr().out
    assert not (tmp_path / "nowhere").exists()


def test_version__is_the_one_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"navdeck {metadata.version('navdeck')}\n"
