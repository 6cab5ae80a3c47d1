"""Releasing quarantined rows: as if they had come right, as a further leg, as a correction."""

from collections.abc import Callable
from typing import Any

import pytest

from engine.domain.transactions import id_text
from engine.errors import UsageError
from tests.runtime.deck import FX_COLUMNS, NOW, PRICE_COLUMNS, Deck, Row, bar, buy, rate, to_csv
from tests.runtime.desk import act, assert_sound, counts, fix, held, ledger, reject, release, take, waiting

NewDeck = Callable[[str], Deck]
PARTS = ("ledger", "observations", "open_lots", "realized")
HOUR_US = 3_600_000_000


def books(deck: Deck) -> list[str]:
    """What the ledger and the lots come to, whatever was decided on the way."""
    told = deck.digest()["parts"]
    return [told[name] for name in PARTS]


def tx_of(deck: Deck, row: str) -> str:
    """The id of the transaction that an already released row became."""
    (last,) = [one for one in deck.ask("quarantine_show", id=row)["history"] if one["kind"] == "release"][-1:]
    return str(last["detail"]["tx"])


# -- plain --------------------------------------------------------------------------------------------


def test_operators_day__two_hundred_rows_mended__the_books_of_a_clean_export(new_deck: NewDeck) -> None:
    rows = [
        buy(
            timestamp=f"2025-03-{1 + n % 28:02d}T10:00:00Z",
            quantity=str(1 + n % 7),
            action="SELL" if n % 5 == 4 else "BUY",
            fee_asset="USD" if n % 3 else "",
            fee_amount="0.5" if n % 3 else "",
            external_id=f"t-{n}" if n % 4 == 0 else "",
        )
        for n in range(260)
    ]
    clean, deck = new_deck("clean"), new_deck("desk")
    take(clean, *rows)
    bad = [row | {"account": ""} if n % 13 < 10 else row for n, row in enumerate(rows)]
    ids = held(deck, *bad)
    assert len(ids) == 200
    assert fix(deck, ids, account="main")["would_pass"] == 200
    told = release(deck, ids)
    assert (told["released"], told["accepted"], told["refused"]) == (200, 200, [])
    assert counts(deck) == counts(clean) == [(260, 260, 0, 0)]
    assert deck.sql("SELECT fees_created FROM files") == clean.sql("SELECT fees_created FROM files")
    assert books(deck) == books(clean)
    assert take(deck, *rows)["duplicates"] == 260
    assert_sound(deck)


def test_release__twice__the_second_changes_nothing(deck: Deck) -> None:
    rows = held(deck, buy(account=""))
    fix(deck, rows, account="main")
    first = release(deck, rows)
    before = deck.truth()
    again = release(deck, rows)
    assert (first["already"], again["already"]) == ([], rows)
    assert (again["released"], again["decisions"], "touched_from" in again) == (0, [], False)
    assert deck.truth() == before


def test_release__dry_run__the_same_answer_and_nothing_stored(deck: Deck) -> None:
    rows = held(deck, buy(account=""), buy(account="", quantity="2"))
    fix(deck, rows[:1], account="main")
    before = deck.truth()
    dry = release(deck, rows, dry_run=True)
    assert deck.truth() == before
    assert release(deck, rows) == dry


def test_release__tells_files_accounts_and_times(deck: Deck) -> None:
    rows = held(deck, buy(account=""), buy(account="", timestamp="2025-05-01T00:00:00Z"), buy(quantity="x"))
    fix(deck, rows[:1], account="a")
    fix(deck, rows[1:2], account="b")
    told = release(deck, rows)
    assert (told["files"], told["accounts"]) == (["take-0.csv"], ["a", "b"])
    assert (told["first"], told["last"]) == ("2025-03-01T10:00:00Z", "2025-05-01T00:00:00Z")
    assert [one["id"] for one in told["refused"]] == rows[2:]
    assert told["touched_from"] == deck.sql("SELECT min(ts) FROM tx")[0][0]


def test_release__what_still_breaks_a_rule__stays_with_its_reasons(deck: Deck) -> None:
    good, bad = held(deck, buy(account=""), buy(account="", quantity="2"))
    fix(deck, [good], account="main")
    told = release(deck, [good, bad])
    assert told["rows"] == [{"id": good, "outcome": "accepted", "tx": tx_of(deck, good)}]
    assert [(one["id"], one["reasons"][0]["code"]) for one in told["refused"]] == [(bad, "ACCOUNT_MISSING")]
    assert all(one["reasons"][0]["hint"] for one in told["refused"])
    assert waiting(deck) == [bad]
    assert counts(deck) == [(2, 1, 0, 1)]


def test_release__too_far_ahead_yesterday__fine_today(deck: Deck) -> None:
    rows = held(deck, buy(timestamp="2026-01-03T00:00:00Z"))
    assert release(deck, rows)["refused"][0]["reasons"][0]["code"] == "TIMESTAMP_FUTURE"
    deck.clock = lambda: NOW + 48 * HOUR_US
    assert release(deck, rows)["accepted"] == 1
    assert ledger(deck) == [("1.5", 1)]
    assert take(deck, buy(timestamp="2026-01-03T00:00:00Z"), buy(quantity="8"))["duplicates"] == 1


def test_release__a_transfer__may_reach_back_to_anything(deck: Deck) -> None:
    rows = held(deck, buy(action="TRANSFER_IN", account="", tx_hash="h"))
    fix(deck, rows, account="main")
    assert release(deck, rows)["touched_from"] is None


def test_release__no_figure_changes__nothing_is_touched(deck: Deck) -> None:
    take(deck, buy(external_id="t"))
    rows = held(deck, buy(external_id="t", quantity="x"))
    fix(deck, rows, quantity="1.50")
    told = release(deck, rows)
    assert (told["accepted"], told["duplicates"]) == (0, 1)
    assert "touched_from" not in told
    assert told["rows"][0]["outcome"] == "duplicate"
    assert counts(deck) == [(1, 1, 0, 0), (1, 0, 1, 0)]
    assert_sound(deck)


def test_release__of_many_files_at_once__judged_against_each_other(deck: Deck) -> None:
    one = held(deck, buy(external_id="t", quantity="x"))
    two = held(deck, buy(external_id="t", quantity="y"))
    fix(deck, one + two, quantity="3")
    told = release(deck, one + two)
    assert (told["accepted"], told["duplicates"]) == (1, 1)
    assert counts(deck) == [(1, 1, 0, 0), (1, 0, 1, 0)]
    assert_sound(deck)


# -- the next k of a file -----------------------------------------------------------------------------


def test_equal_fills__the_mended_one_is_the_next_of_its_file(deck: Deck) -> None:
    rows = held(deck, buy(), buy(account=""), buy())
    fix(deck, rows, account="main")
    release(deck, rows)
    assert ledger(deck) == [("1.5", 1), ("1.5", 2), ("1.5", 3)]
    assert take(deck, buy(), buy(), buy(), buy(quantity="7"))["duplicates"] == 3


def test_equal_fills__mended_together_or_one_by_one__the_same(new_deck: NewDeck) -> None:
    together, single = new_deck("together"), new_deck("single")
    rows = [buy(), *[buy(account="")] * 3]
    for deck in (together, single):
        ids = held(deck, *rows)
        fix(deck, ids, account="main")
        for part in [ids] if deck is together else [[one] for one in reversed(ids)]:
            release(deck, part)
    assert ledger(together) == ledger(single) == [("1.5", 1), ("1.5", 2), ("1.5", 3), ("1.5", 4)]


def test_equal_fills__of_two_files__are_the_same_fills(deck: Deck) -> None:
    take(deck, buy(), buy())
    rows = held(deck, buy(account=""), buy(account=""), buy(account=""))
    fix(deck, rows, account="main")
    told = release(deck, rows)
    assert (told["accepted"], told["duplicates"]) == (1, 2)
    assert ledger(deck) == [("1.5", 1), ("1.5", 2), ("1.5", 3)]
    assert_sound(deck)


def test_equal_fills__one_by_one_over_files__are_the_same_fills(deck: Deck) -> None:
    take(deck, buy())
    first, second = held(deck, buy(account=""), buy(account=""))
    fix(deck, [first, second], account="main")
    assert release(deck, [first])["duplicates"] == 1
    assert release(deck, [second])["accepted"] == 1
    assert ledger(deck) == [("1.5", 1), ("1.5", 2)]


def test_equal_fills__a_conflict_with_an_id_among_them__keeps_no_place_from_others(deck: Deck) -> None:
    given = "01955126-0100-7dcc-a345-da6afcf9215e"
    take(deck, buy(id=given, quantity="9"))
    conflict, broken = held(deck, buy(id=given), buy(), buy(account=""))
    fix(deck, [conflict], id="")
    fix(deck, [broken], account="main")
    assert release(deck, [broken, conflict])["accepted"] == 2
    assert ledger(deck) == [("1.5", 1), ("1.5", 2), ("1.5", 3), ("9", 1)]


def test_equal_fills__one_with_an_id_of_its_own__the_places_of_a_clean_export(new_deck: NewDeck) -> None:
    rows = [buy(id="01955126-0100-7dcc-a345-da6afcf9215e"), buy(), buy()]
    clean, deck = new_deck("clean"), new_deck("desk")
    take(clean, *rows)
    ids = held(deck, *(row | {"account": ""} for row in rows))
    fix(deck, ids, account="main")
    for row in ids:
        release(deck, [row])
    assert ledger(deck) == ledger(clean) == [("1.5", 1), ("1.5", 2), ("1.5", 3)]
    assert books(deck) == books(clean)


def test_equal_fills__one_brings_the_id_of_its_place__the_places_of_a_clean_export(
    new_deck: NewDeck,
) -> None:
    clean, deck = new_deck("clean"), new_deck("desk")
    take(clean, buy(), buy())
    (second,) = clean.sql("SELECT id FROM tx WHERE k = 2")
    (row,) = held(deck, buy(), buy(account="", id=id_text(second[0])))
    fix(deck, [row], account="main")
    assert release(deck, [row])["accepted"] == 1
    assert ledger(deck) == ledger(clean)


# -- legs and corrections -----------------------------------------------------------------------------

LEG = buy(tx_hash="0xab", action="TRANSFER_OUT")


def test_conflict__plain__refused_with_what_it_collides_with(deck: Deck) -> None:
    take(deck, LEG)
    rows = held(deck, LEG | {"quantity": "9"})
    told = release(deck, rows)
    assert told["refused"][0]["reasons"][0]["code"] == "IDEMPOTENCY_CONFLICT"
    (stored,) = deck.ask("quarantine_show", id=rows[0])["conflicts"]
    assert (stored["quantity"], stored["file"], stored["line"]) == ("1.5", "take-0.csv", 2)
    assert set(stored["same"]) >= {"timestamp", "action", "account", "tx_hash"}
    assert "quantity" not in stored["same"]


def test_as_leg__one_more_leg_of_the_same_chain_transaction(new_deck: NewDeck) -> None:
    clean, deck = new_deck("clean"), new_deck("desk")
    legs = [LEG, LEG | {"quantity": "9"}]
    take(clean, *legs)
    take(deck, legs[0])
    rows = held(deck, legs[1])
    assert release(deck, rows, as_leg=True)["accepted"] == 1
    assert books(deck) == books(clean)
    assert take(deck, *legs)["duplicates"] == 2
    assert_sound(deck)


def test_as_leg__without_a_hash__refused(deck: Deck) -> None:
    take(deck, buy(external_id="t"))
    rows = held(deck, buy(external_id="t", quantity="9"))
    with pytest.raises(UsageError, match="tx_hash"):
        release(deck, rows, as_leg=True)


def stored_id(deck: Deck) -> str:
    ((raw,),) = deck.sql("SELECT lower(hex(id)) FROM tx WHERE superseded_by IS NULL ORDER BY row LIMIT 1")
    return str(raw)


def corrected(deck: Deck, old: Row, new: Row, **how: Any) -> tuple[str, dict[str, Any]]:
    """Takes `old`, then releases `new` as its correction; the row of quarantine and the answer."""
    take(deck, old)
    (row,) = held(deck, new)
    return row, release(deck, [row], supersede=stored_id(deck), **how)


@pytest.mark.parametrize(
    "key",
    [{"external_id": "t"}, {"tx_hash": "h"}, {"id": "01955126-0100-7dcc-a345-da6afcf9215e"}],
    ids=["external_id", "tx_hash", "id"],
)
def test_supersede__the_new_row_counts_and_the_old_one_stays_marked(
    new_deck: NewDeck, key: dict[str, str]
) -> None:
    clean, deck = new_deck("clean"), new_deck("desk")
    old, new = buy(**key), buy(**key, quantity="2")
    take(clean, new)
    row, told = corrected(deck, old, new)
    assert told["accepted"] == 1
    assert told["touched_from"] == deck.sql("SELECT min(ts) FROM tx")[0][0]
    assert [quantity for quantity, _ in ledger(deck)] == ["2"]
    assert deck.sql("SELECT count(*) FROM tx WHERE superseded_by > 0") == [(1,)]
    assert books(deck)[2:] == books(clean)[2:]
    assert counts(deck) == [(1, 1, 0, 0), (1, 1, 0, 0)]
    for again in (old, new):
        assert take(deck, again, buy(quantity=again["quantity"] + "7"))["duplicates"] == 1
    assert waiting(deck) == []
    assert tx_of(deck, row) == told["rows"][0]["tx"]
    assert_sound(deck)


def test_supersede__another_time__touches_from_the_earlier(deck: Deck) -> None:
    new = buy(external_id="t", timestamp="2025-04-01T00:00:00Z")
    _, told = corrected(deck, buy(external_id="t"), new)
    assert told["touched_from"] == deck.sql("SELECT min(ts) FROM tx")[0][0]


def test_supersede__of_a_transfer__may_reach_back_to_anything(deck: Deck) -> None:
    _, told = corrected(deck, LEG, LEG | {"quantity": "9", "action": "sell"}, dry_run=True)
    assert told["refused"]
    fix(deck, waiting(deck), action="SELL")
    told = release(deck, waiting(deck), supersede=stored_id(deck))
    assert told["accepted"] == 1
    assert told["touched_from"] is None


def test_supersede__dry_run__nothing_stored(deck: Deck) -> None:
    _, told = corrected(deck, buy(external_id="t"), buy(external_id="t", quantity="2"), dry_run=True)
    assert told["accepted"] == 1
    assert ledger(deck) == [("1.5", 1)]


def test_supersede__a_correction_of_the_correction(deck: Deck) -> None:
    corrected(deck, buy(external_id="t"), buy(external_id="t", quantity="2"))
    first = deck.sql("SELECT lower(hex(id)) FROM tx WHERE superseded_by > 0")[0][0]
    (row,) = held(deck, buy(external_id="t", quantity="3"))
    with pytest.raises(UsageError, match="superseded already"):
        release(deck, [row], supersede=first)
    assert release(deck, [row], supersede=stored_id(deck))["accepted"] == 1
    assert ledger(deck) == [("3", 1)]
    assert take(deck, *(buy(external_id="t", quantity=q) for q in ("1.5", "2")))["duplicates"] == 2
    assert_sound(deck)


def test_supersede__named_by_a_unique_beginning(deck: Deck) -> None:
    take(deck, buy(external_id="t"))
    (row,) = held(deck, buy(external_id="t", quantity="2"))
    assert release(deck, [row], supersede=stored_id(deck)[:8])["accepted"] == 1


def test_supersede__of_nothing_that_there_is__refused(deck: Deck) -> None:
    take(deck, buy(external_id="t"))
    rows = held(deck, buy(external_id="t", quantity="2"))
    for name in ("0123456", "", "zzzzzzzz", "00000000", "%", 5, "0" * 33):
        with pytest.raises(UsageError):
            release(deck, rows, supersede=name)
    assert waiting(deck) == rows


def test_supersede__what_makes_no_sense__refused(deck: Deck) -> None:
    take(deck, buy(external_id="t"))
    rows = held(deck, buy(external_id="t", quantity="2"), buy(external_id="t", quantity="3"))
    stored = stored_id(deck)
    deck.ingest(deck.file("p.csv", to_csv([bar(close="0")], PRICE_COLUMNS)))
    price = [one for one in waiting(deck) if one not in rows]
    for ids, how in (
        (rows, {"supersede": stored}),
        (rows[:1], {"supersede": stored, "as_leg": True}),
        (price, {"supersede": stored}),
        (price, {"as_leg": True}),
    ):
        with pytest.raises(UsageError):
            release(deck, ids, **how)
    assert ledger(deck) == [("1.5", 1)]


# -- prices and rates ---------------------------------------------------------------------------------


def test_price__mended__another_value_for_its_key_is_a_correction(deck: Deck) -> None:
    deck.ingest(deck.file("1.csv", to_csv([bar(close="101")], PRICE_COLUMNS)))
    deck.ingest(deck.file("2.csv", to_csv([bar(close="1e2"), bar(close="1,01")], PRICE_COLUMNS)))
    new, same = waiting(deck)
    fix(deck, [new], close="100")
    fix(deck, [same], close="101.0")
    told = release(deck, [new, same])
    assert (told["accepted"], told["duplicates"]) == (1, 1)
    assert told["touched_from"] == deck.sql("SELECT max(asof) FROM prices")[0][0]
    assert deck.sql("SELECT version, close FROM prices ORDER BY version") == [(0, "101"), (1, "100")]
    assert counts(deck) == [(1, 1, 0, 0), (2, 1, 1, 0)]
    assert_sound(deck)


def test_rate__mended__counts(new_deck: NewDeck) -> None:
    clean, deck = new_deck("clean"), new_deck("desk")
    clean.ingest(clean.file("f.csv", to_csv([rate()], FX_COLUMNS)))
    deck.ingest(deck.file("f.csv", to_csv([rate(rate="1.1E0")], FX_COLUMNS)))
    act(deck, "quarantine_fix", ids=waiting(deck), suggested=True)
    assert release(deck, waiting(deck))["accepted"] == 1
    assert books(deck) == books(clean)


def test_rejected_rows__of_a_file__do_not_hinder_the_others(deck: Deck) -> None:
    no, yes = held(deck, buy(account=""), buy(account="", quantity="2"))
    reject(deck, [no])
    fix(deck, [yes], account="main")
    assert release(deck, [yes])["accepted"] == 1
    assert counts(deck) == [(2, 1, 0, 1)]
    assert_sound(deck)
