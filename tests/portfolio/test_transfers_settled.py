"""Settlements of what has no counterpart, the reasons for a non-match, and what comes near."""

import random
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.instants import DAY_US, MINUTE_US
from engine.portfolio.holdings import movements
from engine.portfolio.transfer_candidates import LOOKS_MOST, WITHIN_US, Loose, Nearby, Whys
from engine.portfolio.transfers import IN_KINDS, OUT_KINDS, Links, Settlement, legs_of, link
from tests.effort import examples
from tests.portfolio.ledgers import CASH, DAY, Tx, frame, trades
from tests.portfolio.strategies import ledgers

UNIT = 10**18


def linked(text: str, settled: dict[int, Settlement], matches: tuple[tuple[int, int], ...] = ()) -> Links:
    return link(frame(trades(text)), matches, settled)


def by_row(links: Links) -> dict[int, Settlement]:
    return {int(links.rows[position]): one for position, one in links.settlements.items()}


# -- settlements --------------------------------------------------------------------------------------


def test_settle__an_out_and_an_in_without_counterpart() -> None:
    text = "09:00 a TRANSFER_OUT 1 X \n 10:00 b TRANSFER_IN 2 Y"
    settled = {1: Settlement("payment", 7 * UNIT), 2: Settlement("deposit", None)}
    assert by_row(linked(text, settled)) == settled


@pytest.mark.parametrize(("row", "kind"), [(1, "deposit"), (1, "opening"), (2, "fee"), (2, "lost")])
def test_settle__kind_of_the_other_side__does_nothing(row: int, kind: str) -> None:
    text = "09:00 a TRANSFER_OUT 1 X \n 10:00 b TRANSFER_IN 2 Y"
    assert by_row(linked(text, {row: Settlement(kind, None)})) == {}


def test_settle__row_that_is_not_there_or_has_nothing_left__does_nothing() -> None:
    text = "09:00 a TRANSFER_OUT 1 X #h \n 10:00 b TRANSFER_IN 1 X #h \n 11:00 a SELL 1 X @1"
    everything = {row: Settlement("gift", None) for row in (1, 2, 3, 99)}
    assert by_row(linked(text, everything)) == {}


def test_settle__only_what_is_left_over_once_the_other_side_is_there() -> None:
    lost = {1: Settlement("lost", None)}
    alone = linked("09:00 a TRANSFER_OUT 5 X #h", lost)
    assert [alone.rest[position] for position in alone.settlements] == [5 * UNIT]
    partly = linked("09:00 a TRANSFER_OUT 5 X #h \n 10:00 b TRANSFER_IN 3 X #h", lost)
    assert [partly.rest[position] for position in partly.settlements] == [2 * UNIT]
    assert by_row(linked("09:00 a TRANSFER_OUT 5 X #h \n 10:00 b TRANSFER_IN 5 X #h", lost)) == {}


def test_settle__a_match_goes_before_it() -> None:
    text = "09:00 a TRANSFER_OUT 5 X \n 10:00 b TRANSFER_IN 5 X"
    assert by_row(linked(text, {1: Settlement("lost", None)}, ((1, 2),))) == {}


def test_settle__value_said_for_a_part__is_that_parts_value() -> None:
    text = "09:00 a TRANSFER_OUT 10 X #h \n 10:00 b TRANSFER_IN 8 X #h"
    assert by_row(linked(text, {1: Settlement("payment", 100 * UNIT, 2 * UNIT)})) == {
        1: Settlement("payment", 100 * UNIT)
    }


def test_settle__less_left_over_than_the_value_was_said_for__its_share_rounded_once() -> None:
    """3.9 of 5 were left over, worth 100; now 2.4 are: 100 x 2.4 / 3.9, not by way of a worth of all 5."""
    text = "09:00 a TRANSFER_OUT 5 X #h \n 10:00 b TRANSFER_IN 2.6 X #h"
    said = {1: Settlement("payment", 100 * UNIT, 39 * UNIT // 10)}
    assert by_row(linked(text, said)) == {1: Settlement("payment", 61_538461538461538462)}


@given(ledgers(), st.randoms(use_true_random=False), st.data())
@settings(max_examples=examples(60), deadline=None)
def test_links_with_decisions__do_not_depend_on_the_order_of_rows(
    rows: list[Tx], chance: random.Random, data: st.DataObject
) -> None:
    numbers = [tx.row for tx in rows]
    pairs = data.draw(st.lists(st.tuples(st.sampled_from(numbers), st.sampled_from(numbers)), max_size=3))
    kinds = st.sampled_from(OUT_KINDS + IN_KINDS)
    settled = {row: Settlement(data.draw(kinds), None) for row in numbers if chance.random() < 0.5}
    mixed = chance.sample(rows, len(rows))
    assert _told(link(frame(rows), pairs, settled)) == _told(link(frame(mixed), pairs[::-1], settled))


def _told(links: Links) -> tuple[object, ...]:
    return links.drawn, links.cancelled, links.rest, links.excess, links.arrival, by_row(links)


@given(ledgers(), st.data())
@settings(max_examples=examples(60), deadline=None)
def test_settlements__change_no_link__cover_only_what_is_left_over(
    rows: list[Tx], data: st.DataObject
) -> None:
    kinds = st.sampled_from(OUT_KINDS + IN_KINDS)
    settled = {tx.row: Settlement(data.draw(kinds), None) for tx in rows}
    plain, links = link(frame(rows)), link(frame(rows), (), settled)
    assert _told(plain)[:5] == _told(links)[:5]
    assert links.settlements.keys() <= links.rest.keys() | links.excess.keys()
    assert all(links.settlements[p].kind in OUT_KINDS for p in links.settlements.keys() & links.rest.keys())
    assert all(links.settlements[p].kind in IN_KINDS for p in links.settlements.keys() & links.excess.keys())


def test_holdings__settled__no_longer_unmatched() -> None:
    ledger = frame(trades("09:00 a TRANSFER_OUT 1 X \n 10:00 b TRANSFER_IN 2 Y"))
    deficits = ledger.select("account", "asset", "ts", "quantity").clear()
    for settled, waiting in (({}, ["X", "Y"]), ({1: Settlement("lost", None)}, ["Y"])):
        steps = movements(ledger, link(ledger, (), settled), deficits, "external", CASH)
        assert [step["asset"] for step in steps.to_dicts() if step["series"] == "unmatched"] == waiting
        assert [step["asset"] for step in steps.to_dicts() if step["series"] == "holding"] == ["X", "Y"]


# -- why there is no link -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("out", "into", "why"),
    [
        ("1 X", "1 X b", "NO_HASH_NO_ID"),
        ("1 X #h", "1 X b", "HASH_NOT_SEEN"),
        ("1 X ~e", "1 X b #h", "ID_NOT_SEEN"),
        ("1 X #h ~e", "1 X b #g ~e", "HASHES_DIFFER"),
        ("1 X #h", "1 Y b #h", "OTHER_ASSET"),
        ("1 X ~e", "1 Y b ~e", "OTHER_ASSET"),
        ("2 X #h", "1 X b #h", "QUANTITY_LEFT"),
        ("2 X #h", "1 X a #h", "SAME_ACCOUNT"),
    ],
)
def test_why__each_reason(out: str, into: str, why: str) -> None:
    quantity, asset, account, *key = into.split()
    text = f"09:00 a TRANSFER_OUT {out} \n 10:00 {account} TRANSFER_IN {quantity} {asset} {' '.join(key)}"
    ledger = frame(trades(text))
    links = link(ledger)
    legs = legs_of(ledger, links.order)
    (one,) = [leg for leg in legs if leg.position in links.rest]
    assert Whys(legs, links).of(one) == why


# -- what comes near ------------------------------------------------------------------------------------


def loose(position: int, side: str, quantity: str, minutes: int, fee: str = "0", asset: str = "X") -> Loose:
    whole, _, fraction = quantity.partition(".")
    left = int(whole) * UNIT + int(fraction.ljust(18, "0") or 0)
    paid = int(fee.partition(".")[2].ljust(18, "0"))
    return Loose(position, side == "OUT", asset, "ab"[side == "IN"], DAY + minutes * MINUTE_US, left, paid)


def near(one: Loose, *others: Loose) -> list[tuple[int, str]]:
    """Place and kind of nearness of each candidate."""
    return [(found.position, found.near) for found in Nearby([one, *others]).of(one)]


def test_near__nearest_in_time_first__then_in_quantity() -> None:
    out = loose(0, "OUT", "100", 600)
    others = [
        loose(1, "IN", "99", 700), loose(2, "IN", "100", 590), loose(3, "IN", "100.5", 700),
        loose(4, "IN", "97", 600), loose(5, "IN", "103", 600), loose(6, "OUT", "100", 600),
        loose(7, "IN", "100", 600, asset="Y"),
    ]  # fmt: skip
    assert near(out, *others) == [(2, "EQUAL"), (3, "NEAR"), (1, "NEAR")]


def test_near__two_percent_and_seven_days__are_the_ends() -> None:
    out = loose(0, "OUT", "100", 0)
    assert near(out, loose(1, "IN", "98", 0)) == [(1, "NEAR")]
    assert near(out, loose(1, "IN", "97.999999999999999999", 0)) == []
    assert near(out, loose(1, "IN", "102.040816326530612244", 0)) == [(1, "NEAR")]
    assert near(out, loose(1, "IN", "102.040816326530612245", 0)) == []
    week = 7 * 24 * 60
    assert near(out, loose(1, "IN", "100", week)) == [(1, "EQUAL")]
    assert near(out, loose(1, "IN", "100", week + 1)) == []


def test_near__less_by_the_fee_of_the_out__from_either_side() -> None:
    out, into = loose(0, "OUT", "1", 0, fee="0.1"), loose(1, "IN", "0.9", 5)
    assert near(out, into) == [(1, "FEE")]
    assert near(into, out) == [(0, "FEE")]
    assert near(out, loose(1, "IN", "0.91", 5)) == []


def test_near__five_at_most() -> None:
    out = loose(0, "OUT", "1", 100)
    others = [loose(number, "IN", "1", 100 + number) for number in range(1, 9)]
    assert [place for place, _ in near(out, *others)] == [1, 2, 3, 4, 5]


@given(
    st.lists(
        st.tuples(
            st.booleans(), st.sampled_from("XY"), st.integers(1, 3000), st.integers(0, 12), st.integers(0, 40)
        ),
        max_size=30,
    )
)
@settings(max_examples=examples(150), deadline=None)
def test_near__as_a_look_at_all_pairs_finds(rows: list[tuple[bool, str, int, int, int]]) -> None:
    """The sorted classes miss nothing while no class is crowded."""
    assert len(rows) < LOOKS_MOST
    everything = [
        Loose(place, out, asset, "a", DAY + days * DAY_US, left, min(fee, left - 1) if out else 0)
        for place, (out, asset, left, days, fee) in enumerate(rows)
    ]
    nearby = Nearby(everything)
    for one in everything:
        assert [(c.later_us, c.more) for c in nearby.of(one)] == _naive(one, everything)


def _naive(one: Loose, others: Iterable[Loose]) -> list[tuple[int, int]]:
    found = []
    for other in others:
        out, into = (one, other) if one.is_out else (other, one)
        close = abs(one.left - other.left) * 50 <= max(one.left, other.left)
        by_fee = out.fee > 0 and out.left - out.fee == into.left
        opposite = one.is_out != other.is_out and one.asset == other.asset
        if opposite and (close or by_fee) and abs(one.ts - other.ts) <= WITHIN_US:
            found.append((abs(other.ts - one.ts), abs(other.left - one.left), other.position, other))
    return [(other.ts - one.ts, other.left - one.left) for _, _, _, other in sorted(found)[:5]]
