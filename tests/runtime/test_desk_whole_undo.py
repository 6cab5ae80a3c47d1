"""Undo of a whole act: all that was decided by one command is taken back together, or nothing of it."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from engine.errors import UsageError
from engine.store import journal
from tests.runtime.deck import PRICE_COLUMNS, Deck, bar, buy, to_csv
from tests.runtime.desk import (
    act,
    assert_sound,
    counts,
    fix,
    held,
    ledger,
    reject,
    release,
    take,
    undo,
    waiting,
)
from tests.runtime.test_transfer_acts import ids, into, out, settle

NewDeck = Callable[[str], Deck]
FIGURES = ("observations", "open_lots", "realized", "quarantine")


def whole(deck: Deck, decision: int | None = None, dry_run: bool = False) -> dict[str, Any]:
    named = {} if decision is None else {"decision": decision}
    return act(deck, "undo", dry_run=dry_run, whole=True, **named)


def figures(deck: Deck) -> tuple[object, ...]:
    """The rows that count and the digest; of the ledger all rows stay, and decisions are never forgotten."""
    parts = deck.digest()["parts"]
    counting = deck.sql("SELECT file, record, quantity, k FROM tx WHERE superseded_by IS NULL ORDER BY 1, 2")
    return counting, *(parts[name] for name in FIGURES)


def several(deck: Deck) -> list[str]:
    """Rows of three files without an account: a fee, a sale, equal fills, legs, one that is a duplicate."""
    take(deck, buy(external_id="known", quantity="9"))
    fee = {"fee_asset": "USD", "fee_amount": "2"}
    rows = held(deck, *[buy(account="")] * 3, buy(account="", asset_id="ETH", **fee))
    sale = buy(account="", action="SELL", quantity="1", timestamp="2025-03-02T10:00:00Z")
    rows += held(deck, sale, buy(account="", external_id="known", quantity="9"))
    legs = [buy(account="", tx_hash="h", asset_id=asset) for asset in ("SOL", "ADA")]
    return rows + held(deck, *legs)


def in_parts(rows: list[str], size: int) -> list[list[str]]:
    return [rows[at : at + size] for at in range(0, len(rows), size)]


@pytest.mark.parametrize("size", [1, 3, 8])
def test_fix_and_release__undone_whole__as_if_never_done__whatever_the_batch(deck: Deck, size: int) -> None:
    rows = several(deck)
    before, open_before, files = figures(deck), waiting(deck), deck.sql("SELECT * FROM files ORDER BY file")
    for part in in_parts(rows, size):
        fix(deck, part, account="main")
    fixed = figures(deck)
    for part in in_parts(rows, size):
        assert release(deck, part)["refused"] == []
    for _ in in_parts(rows, size):
        whole(deck)
    assert figures(deck) == fixed
    assert_sound(deck)
    for _ in in_parts(rows, size):
        whole(deck)
    assert (figures(deck), waiting(deck)) == (before, open_before)
    assert deck.sql("SELECT * FROM files ORDER BY file") == files
    assert deck.sql("SELECT DISTINCT edited FROM quarantine") == [(None,)]
    assert_sound(deck)


def test_whole__the_same_books_as_one_undo_after_the_other(new_deck: NewDeck) -> None:
    decks = new_deck("whole"), new_deck("singly")
    for deck in decks:
        rows = several(deck)
        fix(deck, rows, account="main")
        release(deck, rows)
    whole(decks[0])
    for _ in rows:
        undo(decks[1])
    assert decks[0].digest()["parts"]["ledger"] == decks[1].digest()["parts"]["ledger"]
    assert figures(decks[0]) == figures(decks[1])
    assert counts(decks[0]) == counts(decks[1])


def test_release__undone_whole_and_done_again__the_same_books(deck: Deck) -> None:
    rows = several(deck)
    fix(deck, rows, account="main")
    release(deck, rows)
    done = figures(deck)
    whole(deck)
    release(deck, rows)
    assert figures(deck) == done
    assert_sound(deck)


def test_whole__newest_first__each_by_a_decision_of_its_own__in_one_commit(deck: Deck) -> None:
    rows = several(deck)
    fix(deck, rows, account="main")
    before = len(list(journal.read(deck.home.journal)))
    told = whole(deck, 3)
    assert [one["decision"] for one in told["all"]] == list(range(len(rows), 0, -1))
    assert told["undone"] == told["all"][0]
    assert len(told["decisions"]) == len(rows)
    assert len(list(journal.read(deck.home.journal))) == before + 1
    subjects = deck.sql("SELECT subject FROM decisions WHERE kind = 'undo' ORDER BY decision")
    assert [json.loads(subject)["decision"] for (subject,) in subjects] == list(range(len(rows), 0, -1))


def test_whole__touches_what_its_act_touched(deck: Deck) -> None:
    rows = several(deck)
    fix(deck, rows, account="main")
    done = release(deck, rows)
    told = whole(deck)
    reach = ("touched_from", "touched_until", "touched_assets")
    assert {name: told[name] for name in reach} == {name: done[name] for name in reach}
    assert told["touched_assets"] == ["ADA", "BTC", "ETH", "SOL", "USD"]


def test_whole__dry_run__the_same_answer_and_nothing_stored(deck: Deck) -> None:
    rows = several(deck)
    fix(deck, rows, account="main")
    release(deck, rows)
    before = deck.truth()
    dry = whole(deck, dry_run=True)
    assert deck.truth() == before
    assert whole(deck) == dry


def test_whole__a_later_decision_stands_on_one_of_its_rows__refused_with_each_reason(deck: Deck) -> None:
    rows = held(deck, *(buy(account="", quantity=str(number)) for number in range(1, 4)))
    fix(deck, rows, account="main")
    fix(deck, rows[:1], quantity="7")
    reject(deck, rows[1:2])
    before = deck.truth()
    with pytest.raises(UsageError) as caught:
        whole(deck, 3)
    assert caught.value.tried.startswith("2 of the 3 decisions")
    assert "Undo 4 first." in caught.value.tried
    assert "Undo 5 first." in caught.value.tried
    assert deck.truth() == before
    undo(deck, 5)
    undo(deck, 4)
    assert len(whole(deck, 3)["all"]) == 3


def test_whole__one_was_superseded_since__refused(deck: Deck) -> None:
    rows = held(deck, buy(account="", external_id="t"), buy(account=""))
    fix(deck, rows, account="main")
    release(deck, rows)
    ((old,),) = deck.sql("SELECT lower(hex(id)) FROM tx WHERE external_id = 't'")
    (row,) = held(deck, buy(external_id="t", quantity="2"))
    release(deck, [row], supersede=old)
    with pytest.raises(UsageError, match="superseded since"):
        whole(deck, 4)
    whole(deck)  # the correction
    whole(deck)
    assert ledger(deck) == []
    assert_sound(deck)


def test_whole__prices_that_count__nothing_of_it_goes(deck: Deck) -> None:
    bars = [bar(close="0"), bar(close="0", bucket_close="2025-03-03T00:00:00Z")]
    deck.ingest(deck.file("p.csv", to_csv(bars, PRICE_COLUMNS)))
    rows = waiting(deck)
    fix(deck, rows, close="5")
    release(deck, rows)
    before = deck.truth()
    with pytest.raises(UsageError, match="correction"):
        whole(deck, 3)
    assert deck.truth() == before


def test_whole__undone_already__or_an_undo__is_a_clear_error(deck: Deck) -> None:
    rows = held(deck, buy(account=""), buy(account="", quantity="2"))
    fix(deck, rows, account="main")
    whole(deck)
    for number in (1, 2):
        with pytest.raises(UsageError, match="undone already, by 3, 4"):
            whole(deck, number)
    with pytest.raises(UsageError, match="is an undo"):
        whole(deck, 3)
    with pytest.raises(UsageError, match="nothing to undo"):
        whole(deck)


def test_whole__one_was_undone_alone__the_rest_goes(deck: Deck) -> None:
    rows = held(deck, *(buy(account="", quantity=str(number)) for number in range(1, 4)))
    reject(deck, rows)
    undo(deck, 2)
    assert [one["decision"] for one in whole(deck, 2)["all"]] == [3, 1]
    assert waiting(deck) == rows


def test_settlements__undone_whole__as_if_never_settled(deck: Deck) -> None:
    take(deck, buy(quantity="10"), buy(asset_id="ETH"), out(), out(asset_id="ETH", quantity="1"), into())
    before, named = figures(deck), ids(deck)
    done = settle(deck, [named["OUT 5 BTC"], named["OUT 1 ETH"]], "gift")
    told = whole(deck)
    assert len(told["all"]) == 2
    assert (told["touched_from"], told["touched_assets"]) == (done["touched_from"], ["BTC", "ETH"])
    assert figures(deck) == before


def test_statuses__undone_whole__from_the_earliest_on(deck: Deck) -> None:
    take(deck, buy(timestamp="2025-03-05T10:00:00Z"), buy(asset_id="ETH"))
    arguments = {"assets": ["BTC", "ETH"], "status": "excluded", "since": "start", "reason": "spam"}
    done = act(deck, "asset_set", **arguments)
    told = whole(deck)
    assert (told["touched_from"], told["touched_assets"]) == (done["touched_from"], ["BTC", "ETH"])
    assert {asset["status"] for asset in deck.ask("assets")["assets"]} == {"normal"}
