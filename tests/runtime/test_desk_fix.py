"""Fixing quarantined rows: edits by column, judged by the same rules; rejecting them."""

from typing import Any

import pytest

from engine.domain.transactions import COLUMNS
from engine.errors import UsageError
from tests.runtime.deck import FX_COLUMNS, PRICE_COLUMNS, Deck, bar, buy, rate, to_csv
from tests.runtime.desk import (
    ACTOR,
    act,
    assert_sound,
    counts,
    fix,
    held,
    ledger,
    reject,
    release,
    take,
    waiting,
)

HOSTILE = "\x1b[31m[bold]'); DROP TABLE tx;--"


def shown(deck: Deck, row: str) -> dict[str, Any]:
    return deck.ask("quarantine_show", id=row)


def test_fix__one_column__judged_again_and_still_waiting(deck: Deck) -> None:
    (row,) = held(deck, buy(account="", quantity="x"))
    told = fix(deck, [row], account="main")
    assert told["rows"][0]["before"] == {"account": ""}
    assert told["rows"][0]["after"] == {"account": "main"}
    assert [reason["code"] for reason in told["rows"][0]["reasons"]] == ["QUANTITY_INVALID"]
    assert (told["would_pass"], told["still_fail"], len(told["decisions"])) == (0, 1, 1)
    told = fix(deck, [row], quantity="2")
    assert (told["rows"][0]["passes"], told["would_pass"]) == (True, 1)
    after = shown(deck, row)
    assert (after["status"], after["edited"], after["reasons"]) == ("open", True, [])
    assert after["row"]["quantity"] == "2"
    assert after["original"]["quantity"] == "x"
    assert ledger(deck) == []
    assert_sound(deck)


def test_fix__dry_run__the_same_answer_and_nothing_stored(deck: Deck) -> None:
    rows = held(deck, buy(account=""), buy(account="", quantity="x"))
    before = deck.truth()
    dry = fix(deck, rows, dry_run=True, account="main")
    assert deck.truth() == before
    assert fix(deck, rows, account="main") == dry
    assert deck.truth() != before


def test_fix__many_rows_each_in_its_own_way(deck: Deck) -> None:
    one, two = held(deck, buy(account=""), buy(quantity="x"))
    told = act(deck, "quarantine_fix", edits={one: {"account": "a"}, two: {"quantity": "7"}})
    assert told["would_pass"] == 2
    after = {row["id"]: row["after"] for row in told["rows"]}
    assert after == {one: {"account": "a"}, two: {"quantity": "7"}}


def test_fix__suggested__takes_what_is_safe_and_leaves_the_rest(deck: Deck) -> None:
    rows = held(deck, buy(quantity="1E3"), buy(quantity="many"), buy(timestamp="2025-03-01 10:00:00Z"))
    told = act(deck, "quarantine_fix", ids=rows, suggested=True)
    assert [row["after"] for row in told["rows"]] == [
        {"quantity": "1000"},
        {},
        {"timestamp": "2025-03-01T10:00:00Z"},
    ]
    assert (told["would_pass"], told["still_fail"], len(told["decisions"])) == (2, 1, 2)


def test_fix__suggested__a_decimal_comma_elsewhere_in_the_file_casts_doubt(deck: Deck) -> None:
    doubtful = held(deck, buy(quantity="2,000"), buy(unit_price_usd="0,5"))
    assert act(deck, "quarantine_fix", ids=doubtful, suggested=True)["would_pass"] == 0
    clear = held(deck, buy(quantity="2,000"), buy(unit_price_usd="1,500"))
    assert act(deck, "quarantine_fix", ids=clear, suggested=True)["would_pass"] == 2


def test_fix__nothing_changes__no_decision(deck: Deck) -> None:
    rows = held(deck, buy(account=""))
    before = deck.truth()
    assert fix(deck, rows, account="")["decisions"] == []
    assert deck.truth() == before


def test_fix__what_would_collide__does_not_pass(deck: Deck) -> None:
    take(deck, buy(external_id="t-1"))
    (row,) = held(deck, buy(external_id="t-1", quantity="x"))
    told = fix(deck, [row], quantity="9")
    assert told["still_fail"] == 1
    assert [reason["code"] for reason in told["rows"][0]["reasons"]] == ["IDEMPOTENCY_CONFLICT"]
    assert deck.ask("quarantine_page", reason="IDEMPOTENCY_CONFLICT")["total"] == 1
    assert fix(deck, [row], quantity="1.5")["would_pass"] == 1  # the stored row says the same


def test_fix__too_few_columns__completed_by_name(deck: Deck) -> None:
    deck.ingest(deck.file("short.csv", to_csv([buy()]) + b",2025-03-02T00:00:00Z,BUY,BTC,1\n"))
    told = fix(deck, waiting(deck), unit_price_usd="5", account="main")
    assert told["would_pass"] == 1
    assert release(deck, waiting(deck))["accepted"] == 1
    assert_sound(deck)


def test_fix__too_many_columns__the_extra_ones_go_only_if_asked(deck: Deck) -> None:
    line = ",2025-03-02T00:00:00Z,BUY,BTC,1,5,,,main,,,,,,over,\n"
    deck.ingest(deck.file("long.csv", to_csv([buy()]) + line.encode()))
    (row,) = waiting(deck)
    assert fix(deck, [row], notes="n")["rows"][0]["reasons"][0]["code"] == "COLUMN_COUNT"
    assert fix(deck, [row], column_15="")["rows"][0]["reasons"][0]["value"] == "15"
    told = fix(deck, [row], column_15="")
    assert told["would_pass"] == 1
    assert list(shown(deck, row)["row"]) == list(COLUMNS)


def test_fix__prices_and_rates_by_their_own_columns(deck: Deck) -> None:
    deck.ingest(deck.file("p.csv", to_csv([bar(close="1,5")], PRICE_COLUMNS)))
    deck.ingest(deck.file("f.csv", to_csv([rate(rate="0")], FX_COLUMNS)))
    for row, value in zip(waiting(deck), ({"rate": "1.2"}, {"close": "1.5"}), strict=True):
        assert fix(deck, [row], **value)["would_pass"] == 1
    assert release(deck, waiting(deck))["accepted"] == 2
    assert deck.counts()["prices"] == deck.counts()["fx_rates"] == 1
    assert_sound(deck)


def test_fix__hostile_values__are_data_and_nothing_else(deck: Deck) -> None:
    (row,) = held(deck, buy(account=""))
    assert fix(deck, [row], account=HOSTILE, notes=HOSTILE)["still_fail"] == 1
    assert shown(deck, row)["row"]["account"] == HOSTILE
    assert fix(deck, [row], account="main")["would_pass"] == 1
    assert release(deck, [row])["accepted"] == 1
    assert deck.sql("SELECT notes FROM tx") == [("[31m[bold]'); DROP TABLE tx;--",)]


NONSENSE: dict[str, dict[str, Any]] = {
    "unknown column": {"set": {"colour": "red"}},
    "no such extra": {"set": {"column_15": ""}},
    "a number": {"set": {"account": 5}},
    "no text": {"set": {"account": "\ud800"}},
    "no columns": {"set": "account=main"},
    "nothing": {},
    "both ways": {"set": {"account": "a"}, "suggested": True},
    "no row": {"edits": {"x": {"account": "a"}}},
}


def test_fix__what_makes_no_sense__is_refused_whole(deck: Deck) -> None:
    rows = held(deck, buy(account=""))
    before = deck.truth()
    for arguments in NONSENSE.values():
        with pytest.raises(UsageError):
            act(deck, "quarantine_fix", **({"ids": rows} | arguments))
    assert deck.truth() == before


def test_fix__unknown_column__the_columns_are_named(deck: Deck) -> None:
    rows = held(deck, buy(account=""))
    with pytest.raises(UsageError) as caught:
        fix(deck, rows, colour="red")
    assert "'colour'" in caught.value.tried
    assert all(name in caught.value.hint for name in COLUMNS)


def test_any_act__rows_that_do_not_exist__refused(deck: Deck) -> None:
    held(deck, buy(account=""))
    for name, more in (
        ("quarantine_fix", {"set": {"account": "a"}}),
        ("quarantine_release", {}),
        ("quarantine_reject", {}),
    ):
        for ids in (None, [], "x", ["0123456789ab-1"], ["no"], [7], ["0123456789ab-0"]):
            with pytest.raises(UsageError):
                act(deck, name, reason="r", ids=ids, **more)


def test_rows_that_do_not_exist__five_are_named_the_rest_counted(deck: Deck) -> None:
    with pytest.raises(UsageError, match="and 3 more") as caught:
        release(deck, [f"0123456789ab-{number}" for number in range(1, 9)])
    assert caught.value.tried.count("0123456789ab") == 5


def test_two_files_of_one_short_name__their_rows_are_never_mixed_up(deck: Deck) -> None:
    (one,), (other,) = held(deck, buy(account="")), held(deck, buy(account="", quantity="2"))
    deck.sql("UPDATE files SET sha256 = ? || substr(sha256, 13) WHERE file = 2", one[:12])
    for name in (one, other):
        with pytest.raises(UsageError):
            fix(deck, [name], account="main")
    assert deck.sql("SELECT count(*) FROM quarantine WHERE edited IS NOT NULL") == [(0,)]


def test_reject__the_rows_stay_on_record_and_are_counted(deck: Deck) -> None:
    rows = held(deck, buy(account=""), buy(account="", quantity="2"))
    told = reject(deck, rows, "sent by mistake")
    assert (told["rejected"], told["already"], len(told["decisions"])) == (2, [], 2)
    assert waiting(deck) == []
    assert counts(deck) == [(2, 0, 0, 2)]
    assert deck.ask("quarantine_page", status="rejected")["total"] == 2
    (decision,) = shown(deck, rows[0])["history"]
    assert (decision["kind"], decision["actor"], decision["reason"]) == ("reject", ACTOR, "sent by mistake")
    assert reject(deck, rows) == {"rejected": 0, "already": rows, "decisions": []}
    assert_sound(deck)


def test_reject__without_a_reason__refused(deck: Deck) -> None:
    rows = held(deck, buy(account=""))
    for reason in ("", "  "):
        with pytest.raises(UsageError):
            reject(deck, rows, reason)


def test_closed_rows__cannot_be_fixed_nor_rejected_nor_released(deck: Deck) -> None:
    gone, out = held(deck, buy(account=""), buy(account="", quantity="2"))
    reject(deck, [gone])
    fix(deck, [out], account="main")
    release(deck, [out])
    before = deck.truth()
    for refused in (
        lambda: fix(deck, [gone], account="a"),
        lambda: fix(deck, [out], account="a"),
        lambda: reject(deck, [out]),
        lambda: release(deck, [gone]),
    ):
        with pytest.raises(UsageError):
            refused()
    assert deck.truth() == before
