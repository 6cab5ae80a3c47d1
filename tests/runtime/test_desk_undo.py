"""Undo: the last decision on a row is taken back by a further one."""

from collections.abc import Callable

import pytest

from engine.errors import UsageError
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

NewDeck = Callable[[str], Deck]


def released(deck: Deck, **fields: str) -> str:
    """A mended row in the ledger; its id in quarantine."""
    (row,) = held(deck, buy(**fields) | {"account": ""})
    fix(deck, [row], account="main")
    release(deck, [row])
    return row


def superseding(deck: Deck) -> tuple[str, str]:
    """A correction in the ledger: its id in quarantine, and the id of the row that it superseded."""
    take(deck, buy(external_id="t"))
    ((old,),) = deck.sql("SELECT lower(hex(id)) FROM tx")
    (row,) = held(deck, buy(external_id="t", quantity="2"))
    release(deck, [row], supersede=old)
    return row, old


def test_release__undone__out_of_the_ledger_and_waiting_again(deck: Deck) -> None:
    row = released(deck, fee_asset="USD", fee_amount="1")
    told = undo(deck)
    assert (told["undone"]["decision"], told["undone"]["kind"]) == (2, "release")
    assert told["touched_from"] == deck.sql("SELECT ts FROM tx")[0][0]
    assert ledger(deck) == []
    assert deck.sql("SELECT superseded_by FROM tx") == [(-3,)]
    assert deck.sql("SELECT fees_created FROM files") == [(0,)]
    assert waiting(deck) == [row]
    assert counts(deck) == [(1, 0, 0, 1)]
    assert deck.counts()["transactions"] == 0
    assert_sound(deck)


def test_release__undone_and_released_again__the_same_row_counts_again(deck: Deck) -> None:
    row = released(deck)
    before = deck.sql("SELECT * FROM tx"), deck.digest()["parts"]["ledger"]
    undo(deck)
    assert release(deck, [row])["accepted"] == 1
    assert (deck.sql("SELECT * FROM tx"), deck.digest()["parts"]["ledger"]) == before
    assert counts(deck) == [(1, 1, 0, 0)]
    assert_sound(deck)


def test_release__undone__a_new_export_does_not_bring_it_back(deck: Deck) -> None:
    row = released(deck)
    undo(deck)
    assert take(deck, buy(), buy(quantity="7"))["duplicates"] == 1
    assert ledger(deck) == [("7", 1)]
    assert release(deck, [row])["accepted"] == 1
    assert_sound(deck)


def test_release__undone__another_row_that_says_the_same_is_refused(deck: Deck) -> None:
    released(deck)
    undo(deck)
    (other,) = held(deck, buy(account="", notes="another file"))
    assert fix(deck, [other], account="main")["still_fail"] == 1
    told = release(deck, [other])
    assert told["refused"][0]["reasons"][0]["code"] == "IDEMPOTENCY_CONFLICT"
    assert len(deck.ask("quarantine_show", id=other)["conflicts"]) == 1
    assert ledger(deck) == []


@pytest.mark.parametrize("key", [{}, {"external_id": "t"}, {"tx_hash": "h"},
                                 {"id": "01955126-0100-7dcc-a345-da6afcf9215e"}])  # fmt: skip
def test_release__undone_mended_and_released__counts_with_its_new_value(
    deck: Deck, key: dict[str, str]
) -> None:
    row = released(deck, **key)
    undo(deck)
    assert fix(deck, [row], quantity="3")["would_pass"] == 1
    assert release(deck, [row])["accepted"] == 1
    assert ledger(deck) == [("3", 1)]
    assert take(deck, buy(**key, quantity="3"), buy(quantity="7"))["duplicates"] == 1
    assert_sound(deck)


def test_equal_fills__one_undone__the_others_keep_their_places(deck: Deck) -> None:
    rows = held(deck, *[buy(account="")] * 3)
    fix(deck, rows, account="main")
    for row in rows:
        release(deck, [row])
    undo(deck, 5)  # of the second row
    assert ledger(deck) == [("1.5", 1), ("1.5", 3)]
    undo(deck, 4)
    assert ledger(deck) == [("1.5", 3)]
    assert release(deck, [rows[1]])["accepted"] == 1
    assert release(deck, [rows[0]])["accepted"] == 1
    assert ledger(deck) == [("1.5", 1), ("1.5", 2), ("1.5", 3)]
    assert_sound(deck)


def test_equal_fills__one_undone_and_mended_otherwise__no_fill_is_lost(deck: Deck) -> None:
    rows = held(deck, *[buy(account="")] * 3)
    fix(deck, rows, account="main")
    release(deck, rows[:2])
    undo(deck, 4)
    fix(deck, rows[:1], quantity="9")
    assert release(deck, [rows[2], rows[0]])["accepted"] == 2
    assert [quantity for quantity, _ in ledger(deck)] == ["1.5", "1.5", "9"]
    assert_sound(deck)


def test_id_of_a_row_taken_back__given_to_another__refused(deck: Deck) -> None:
    given = "01955126-0100-7dcc-a345-da6afcf9215e"
    first, second = held(deck, buy(id=given, account=""), buy(account="", quantity="2"))
    fix(deck, [first], account="main")
    release(deck, [first])
    undo(deck)
    fix(deck, [first], id="")
    fix(deck, [second], account="main", id=given)
    told = release(deck, [first, second])
    assert [one["id"] for one in told["refused"]] == [second]
    assert release(deck, [second])["accepted"] == 1  # nobody has that id any more
    assert ledger(deck) == [("1.5", 1), ("2", 1)]
    assert_sound(deck)


def test_release__undone__then_a_duplicate_of_another__then_itself_again(deck: Deck) -> None:
    take(deck, buy(quantity="7"))
    row = released(deck)
    undo(deck)
    fix(deck, [row], quantity="7")
    assert release(deck, [row])["duplicates"] == 1
    undo(deck)
    fix(deck, [row], quantity="1.5")
    assert release(deck, [row])["accepted"] == 1
    assert ledger(deck) == [("1.5", 1), ("7", 1)]
    assert_sound(deck)


def test_supersede__undone__the_old_row_counts_again(deck: Deck) -> None:
    row, _ = superseding(deck)
    told = undo(deck)
    assert told["touched_from"] is not None
    assert ledger(deck) == [("1.5", 1)]
    assert counts(deck) == [(1, 1, 0, 0), (1, 0, 0, 1)]
    assert release(deck, [row])["refused"][0]["reasons"][0]["code"] == "IDEMPOTENCY_CONFLICT"
    assert ledger(deck) == [("1.5", 1)]
    assert_sound(deck)


def test_supersede__undone_and_done_again(deck: Deck) -> None:
    row, old = superseding(deck)
    undo(deck)
    assert release(deck, [row], supersede=old)["accepted"] == 1
    assert ledger(deck) == [("2", 1)]
    assert deck.sql("SELECT count(*) FROM tx") == [(2,)]
    assert_sound(deck)


def test_supersede__of_what_was_taken_back__refused(deck: Deck) -> None:
    released(deck, external_id="t")
    ((gone,),) = deck.sql("SELECT lower(hex(id)) FROM tx")
    undo(deck)
    (row,) = held(deck, buy(external_id="t", quantity="x"))
    fix(deck, [row], quantity="3")
    with pytest.raises(UsageError, match="taken back"):
        release(deck, [row], supersede=gone)


def test_superseded_row__its_release_cannot_be_undone_before_the_correction(deck: Deck) -> None:
    released(deck, external_id="t")
    ((old,),) = deck.sql("SELECT lower(hex(id)) FROM tx")
    (row,) = held(deck, buy(external_id="t", quantity="2"))
    release(deck, [row], supersede=old)
    with pytest.raises(UsageError, match="superseded since"):
        undo(deck, 2)
    undo(deck, 3)
    undo(deck, 2)
    assert ledger(deck) == []
    assert_sound(deck)


def test_duplicate__undone__waits_again_and_the_other_row_stays(deck: Deck) -> None:
    take(deck, buy(external_id="t"))
    (row,) = held(deck, buy(external_id="t", quantity="x"))
    fix(deck, [row], quantity="1.5")
    release(deck, [row])
    assert "touched_from" not in undo(deck)
    assert ledger(deck) == [("1.5", 1)]
    assert counts(deck) == [(1, 1, 0, 0), (1, 0, 0, 1)]
    assert release(deck, [row])["duplicates"] == 1
    assert_sound(deck)


def test_fixes__undone_one_after_the_other__the_fields_and_reasons_of_before(deck: Deck) -> None:
    (row,) = held(deck, buy(account="", quantity="x"))
    seen = [deck.ask("quarantine_show", id=row)]
    for values in ({"account": "a"}, {"quantity": "2", "notes": "n"}):
        fix(deck, [row], **values)
        seen.append(deck.ask("quarantine_show", id=row))
    for before in (seen[1], seen[0]):
        undo(deck)
        now = deck.ask("quarantine_show", id=row)
        assert {name: now[name] for name in ("row", "reasons", "edited", "status")} == {
            name: before[name] for name in ("row", "reasons", "edited", "status")
        }
    assert deck.sql("SELECT edited FROM quarantine") == [(None,)]


def test_fix_of_columns__undone__the_record_as_it_came(deck: Deck) -> None:
    deck.ingest(deck.file("long.csv", to_csv([]) + b",2025-03-02T00:00:00Z,BUY,BTC,1,5,,,main,,,,,,a,b\n"))
    before = deck.ask("quarantine_page")["rows"]
    fix(deck, waiting(deck), column_15="", column_16="")
    undo(deck)
    assert deck.ask("quarantine_page")["rows"] == before


def test_rejection__undone__open_again(deck: Deck) -> None:
    rows = held(deck, buy(account=""))
    reject(deck, rows)
    undo(deck)
    assert waiting(deck) == rows
    assert_sound(deck)


def test_undo__only_the_last_on_a_row(deck: Deck) -> None:
    released(deck)
    with pytest.raises(UsageError, match="not the last") as caught:
        undo(deck, 1)
    assert "2" in caught.value.hint
    undo(deck, 2)
    undo(deck, 1)
    with pytest.raises(UsageError, match="nothing to undo"):
        undo(deck)


def test_undo__of_an_undo_or_twice__act_again_instead(deck: Deck) -> None:
    released(deck)
    undo(deck, 2)
    for number in (2, 3, 99, 0, -1):
        with pytest.raises(UsageError):
            undo(deck, number)
    before = deck.truth()
    for odd in ("2", True, 1.0, [2], 2**70):
        with pytest.raises(UsageError):
            act(deck, "undo", decision=odd)
    assert deck.truth() == before


def test_undo__a_price_that_counts__send_a_correction(deck: Deck) -> None:
    deck.ingest(deck.file("p.csv", to_csv([bar(close="0")], PRICE_COLUMNS)))
    (row,) = waiting(deck)
    fix(deck, [row], close="5")
    release(deck, [row])
    with pytest.raises(UsageError) as caught:
        undo(deck, 2)
    assert "correction" in caught.value.hint
    with pytest.raises(UsageError):  # the fix is not the last on the row, and the release cannot go
        undo(deck)


def test_undo__dry_run__the_same_answer_and_nothing_stored(deck: Deck) -> None:
    released(deck)
    before = deck.truth()
    dry = act(deck, "undo", dry_run=True)
    assert deck.truth() == before
    assert undo(deck) == dry
