"""A book that replays what a change reaches is, after any chain of changes, what a full run gives."""

from collections.abc import Iterable
from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.instants import HOUR_US
from engine.portfolio.lot_rows import PLACE_BITS
from engine.portfolio.lots_engine import METHODS, run
from engine.portfolio.lots_outcome import LotsOutcome
from engine.portfolio.lots_replay import LotsBook
from engine.portfolio.transfers import Settlement, link
from tests.effort import examples
from tests.portfolio.ledgers import CASH, DAY, Tx, frame, open_lots, realized, trades
from tests.portfolio.strategies import cash_values, ledgers, moves_at_one_instant, settled_rows

METHOD = st.sampled_from(sorted(METHODS))
# Hours of the day become instants in four months, two of them at the edge between two.
MONTHS = {0: 30 * 24 + 23, 1: 31 * 24, 2: 45 * 24, 3: 130 * 24}


def spread(rows: list[Tx]) -> list[Tx]:
    hours = [(tx.ts - DAY) // HOUR_US for tx in rows]
    return [replace(tx, ts=DAY + MONTHS[hour] * HOUR_US) for tx, hour in zip(rows, hours, strict=True)]


def told(outcome: LotsOutcome) -> dict[str, object]:
    """Everything, in its order; places without the number of the arrival, which only ranks."""
    frames = {
        "open": outcome.open_lots_frame(), "moving": outcome.in_transit_frame(),
        "realized": outcome.realized_frame(), "settled": outcome.settled_frame(),
        "deficits": outcome.deficits_frame(), "income": outcome.income_frame(),
    }  # fmt: skip
    raw = {
        "raw_open": [(lot[0], lot[1] >> PLACE_BITS, *lot[2:]) for lot in outcome.open],
        "raw_moving": [(lot[0], lot[1] >> PLACE_BITS, *lot[2:]) for lot in outcome.in_transit],
        "raw_realized": [(lot[0], lot[1] >> PLACE_BITS, *lot[2:]) for lot in outcome.realized],
        "raw_deficits": outcome.deficits,
    }
    return {name: part.to_dicts() for name, part in frames.items()} | raw


class Desk:
    """The rows, decisions and values as they are now, and a book that is told only what changed."""

    def __init__(self, method: str, rows: Iterable[Tx], values: dict[int, int | None]) -> None:
        self.method, self.rows = method, {tx.row: tx for tx in rows}
        self.values: dict[int, int | None] = dict(values)
        self.matches: set[tuple[int, int]] = set()
        self.settlements: dict[int, Settlement] = {}
        self.book = LotsBook(frame(self.rows.values()), method, CASH, self.values)

    def full(self) -> LotsOutcome:
        ledger = frame(self.rows.values())
        links = link(ledger, self.matches, self.settlements)
        return run(ledger, links, self.method, CASH, self.values)

    def check(self) -> None:
        assert told(self.book.outcome()) == told(self.full())


@st.composite
def edits(draw: st.DrawFn, desk: Desk, waiting: list[Tx]) -> None:
    """One change, as a worker would hear of it: rows in and out, decisions, values of fees."""
    coming = [waiting.pop() for _ in range(draw(st.integers(0, min(2, len(waiting)))))]
    here = sorted(desk.rows)
    going = draw(st.lists(st.sampled_from(here), max_size=2, unique=True)) if here else []
    for row in going:
        waiting.append(desk.rows.pop(row))
    desk.rows.update((tx.row, tx) for tx in coming)
    rows = list(desk.rows.values())
    desk.settlements = draw(st.one_of(st.just(desk.settlements), settled_rows(rows)))
    numbers = [tx.row for tx in rows] + going
    if numbers:
        pair = st.tuples(st.sampled_from(numbers), st.sampled_from(numbers))
        desk.matches = draw(st.one_of(st.just(desk.matches), st.sets(pair, max_size=2)))
    revalued = draw(cash_values(rows)) if draw(st.booleans()) else {}
    desk.values.update(revalued)
    desk.book.change(frame(coming), going, revalued, desk.matches, desk.settlements)


def chain_of_changes(data: st.DataObject, method: str) -> None:
    rows = data.draw(st.one_of(ledgers(20), moves_at_one_instant()).map(spread))
    known = data.draw(st.integers(0, len(rows)))
    values = data.draw(cash_values(rows))
    order = data.draw(st.permutations(rows))
    desk, waiting = Desk(method, order[:known], values), order[known:]
    desk.check()
    for _ in range(data.draw(st.integers(1, 4))):
        data.draw(edits(desk, waiting))
        desk.check()


@settings(max_examples=examples(50), deadline=None)
@given(st.data(), METHOD)
def test_any_chain_of_changes__equals_a_full_run(data: st.DataObject, method: str) -> None:
    chain_of_changes(data, method)


@pytest.mark.slow
@settings(max_examples=1500, deadline=None)
@given(st.data(), METHOD)
def test_any_chain_of_changes__equals_a_full_run__longer(data: st.DataObject, method: str) -> None:
    chain_of_changes(data, method)


@settings(max_examples=25, deadline=None)
@given(ledgers(20).map(spread), METHOD, st.sampled_from(["X", "Y"]))
def test_outcome_of_one_asset__is_its_part_of_the_whole(rows: list[Tx], method: str, asset: str) -> None:
    desk = Desk(method, rows, {})
    part, whole = desk.book.outcome([asset]), desk.full()
    for name in ("open_lots_frame", "in_transit_frame", "realized_frame", "settled_frame", "deficits_frame"):
        expected = getattr(whole, name)().filter(pl.col("asset") == asset)
        assert getattr(part, name)().to_dicts() == expected.to_dicts()


TWO_ASSETS = """
    08:00 a BUY 9 Y @2
    09:00 a BUY 2 X @10
    09:30 a BUY 2 Z @10 fee 1 Y
    10:00 a SELL 1 X @15
    10:00 a SELL 1 Z @15
"""


@pytest.mark.parametrize(
    ("late", "reached"),
    [
        ("08:30 a BUY 1 X @1", {"X"}),
        ("08:30 a BUY 1 Z @1", {"Z"}),
        ("07:30 a BUY 1 Y @1", {"Y", "Z"}),
        ("08:30 a BUY 1 X @1 fee 1 Y", {"X", "Y", "Z"}),
        ("08:30 a BUY 1 X @1 fee 1 USD", {"X"}),
    ],
)
def test_back_dated_row__reaches_its_asset_and_what_depends_on_it(late: str, reached: set[str]) -> None:
    desk = Desk("FIFO", trades(TWO_ASSETS), {})
    (tx,) = trades(late)
    desk.rows[99] = replace(tx, row=99, id="id-99")
    replayed = desk.book.change(frame([desk.rows[99]]))
    assert replayed.assets == reached
    assert replayed.since == tx.ts
    desk.check()


def test_fee_of_an_out_at_a_crowded_instant__brings_its_asset_along() -> None:
    """The first OUT waits for the IN that pays its fee, so the second one takes the older lot."""
    table = """
        09:00 a BUY 1 X @10
        09:30 a BUY 1 X @20
        09:00 z BUY 1 Y @3
        10:00 a TRANSFER_OUT 1 X #h1 fee 1 Y
        10:00 a TRANSFER_OUT 1 X #h2
        10:00 b TRANSFER_IN 1 X #h1
        10:00 c TRANSFER_IN 1 X #h2
        10:00 z TRANSFER_OUT 1 Y #h3
        10:00 a TRANSFER_IN 1 Y #h3
    """
    desk = Desk("FIFO", trades(table), {})
    assert open_lots(desk.book.outcome(["X"])) == ["b X 09:30 1 20", "c X 09:00 1 10"]
    desk.rows[99] = replace(trades("09:45 a BUY 1 X @30")[0], row=99, id="id-99")
    assert desk.book.change(frame([desk.rows[99]])).assets == {"X", "Y"}
    desk.check()


@pytest.mark.parametrize("method", sorted(METHODS))
def test_parts_of_one_lot__stay_in_the_order_of_their_arrival(method: str) -> None:
    rows = spread(
        trades(
            """
            00:00 a BUY 5 X @10
            01:00 a TRANSFER_OUT 3 X #h1
            01:00 b TRANSFER_IN 3 X #h1
            02:00 a TRANSFER_OUT 1 X #h2
            03:00 b TRANSFER_IN 1 X #h2
            """
        )
    )
    desk = Desk(method, rows, {})
    desk.rows[99] = replace(rows[0], ts=rows[4].ts, action="SELL", account="b", quantity="3", row=99, id="z")
    desk.book.change(frame([desk.rows[99]]))
    desk.check()


def test_row_taken_back__puts_the_old_gain_back() -> None:
    desk = Desk("FIFO", trades(TWO_ASSETS), {})
    before = realized(desk.book.outcome(["X"]))
    (late,) = trades("08:30 a BUY 1 X @1")
    desk.book.change(frame([replace(late, row=99, id="id-99")]))
    assert realized(desk.book.outcome(["X"])) == ["a X 10:00 08:30 1 15 1 14"]
    desk.book.change(removed=[99])
    assert realized(desk.book.outcome(["X"])) == before == ["a X 10:00 09:00 1 15 10 5"]


def test_nothing_changed__replays_nothing() -> None:
    desk = Desk("FIFO", trades(TWO_ASSETS), {})
    assert desk.book.change(matches=(), settlements={}).assets == frozenset()
