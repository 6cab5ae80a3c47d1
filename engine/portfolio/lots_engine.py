"""Lots: which purchase a sale used up, what it cost, and what was gained. Exact to the last digit.

The problem. Coins are bought at several prices, moved between accounts, spent as fees and sold. Every
disposal must name the lots that it took, basis must be neither made nor lost, and no rounding may leak.

A worked example (FIFO, USD). b's IN arrives with a's OUT; a fee is paid in kind.

    09:00  a  BUY 2 X at 10, fee 1 USD       lot L1: 2, basis 21
    10:00  a  BUY 1 X at 30                  lot L2: 1, basis 30
    11:00  a  OUT 2.5 X, IN on b             L1 whole and 0.5 of L2 (basis 15) travel: no gain
    12:00  b  SELL 2.2 X at 20               proceeds 44: L1 2 -> 40, basis 21, gain 19
                                                          L2 0.2 -> 4, basis 6, gain -2
    13:00  a  FEE 0.5 X at 24                worth 12: the last of L2, basis 15, gain -3
    left      b 0.3 of L2, basis 9           acquired 21 + 30 = realized 21 + 6 + 15 + open 9

The rules chosen. One pass over the whole ledger in booking order, because a fee paid in a third asset ties
assets together. A method takes lots off a queue, one queue for each (account, asset) (lot_methods.py). A lot
keeps the place of the row that acquired it wherever it travels. A part of a lot takes round(basis x part /
what the lot still holds), half-even; the last part takes what is left. Lots leave with an OUT in one taking,
and are cut to the INs in order, then to the rest. What is missing is booked with basis 0 and a flag, and
heals when rows arrive.

What the operator settled is booked at the OUT's own time, with the lots that left: a payment is a disposal
at its value, a fee one at its value or else at basis; withdrawal, gift and lost take the basis out of the
books as settled, without a gain. A settled IN is an acquisition at the value given. Where less or more is
left over by now, that is its share of the value.

What is refused. Shorts and margin; guessing a network fee, a price or a counterpart; any gain from a move;
lots of cash. A run that does not conserve basis and quantity raises AssertionError.
"""

import gc
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from operator import itemgetter

import numpy as np
import polars as pl

from engine.domain.money import div_half_even, mul, share
from engine.domain.transactions import Action
from engine.portfolio.booking import BookedOrder
from engine.portfolio.lot_methods import METHODS, Lot, Method, Queue, split
from engine.portfolio.lot_rows import (
    ACQUIRE,
    ACQUIRE_WITH_THIRD_FEE,
    ARRIVE,
    DEPART,
    DISPOSE,
    FEE_AT_BASIS,
    FEE_UNVALUED,
    INSUFFICIENT_LOTS,
    NOTHING,
    PAY_AT_BASIS,
    PLACE_BITS,
    SELL_WITH_THIRD_FEE,
    UNMATCHED_TRANSFER,
    Entries,
    Rows,
    read_entries,
    read_rows,
)
from engine.portfolio.lot_walk import booked_events, by_group, renamed
from engine.portfolio.lots_outcome import NO_PLACE, LotsOutcome, MovingLot, OpenLot, Realized, SettledLot
from engine.portfolio.transfers import Links, Settlement

__all__ = ["METHODS", "Book", "collector_paused", "run"]

_ACQUIRING = (ACQUIRE, ACQUIRE_WITH_THIRD_FEE)
NOWHERE = -1  # where the unmatched rest of an OUT is bound for
SETTLED = -2  # where the part that the operator settled is bound for
DISPOSING = ("fee", "payment")  # settlements that realize; the others leave without a gain


def run(
    ledger: pl.DataFrame,
    links: Links,
    method: str,
    cash_assets: frozenset[str],
    cash_fee_usd: Mapping[int, int | None],
    as_of: int | None = None,
) -> LotsOutcome:
    """Books every lot of a ledger whose transfers are `links`; with `as_of` only what is booked by then.

    cash_fee_usd: row number -> scaled USD value of a fee in cash other than USD, None where not known.
    """
    with collector_paused():
        rows = read_rows(ledger, links.order)
        count = len(rows.ts)
        last = count if as_of is None else int(np.searchsorted(rows.ts, as_of, "right"))
        booked = booked_events(ledger, rows, cash_assets, links, last)
        walk, events = by_group(rows, cash_assets, booked)
        entries = read_entries(rows, cash_assets, cash_fee_usd, np.arange(count), walk)
        book = Book(rows, entries, renamed(links, walk), METHODS[method])
        book.book(events)
        outcome = book.outcome(last, BookedOrder(booked))
        book.assert_conserved(outcome, events)
    return outcome


@contextmanager
def collector_paused() -> Iterator[None]:
    """Lots are many small tuples without cycles; walking them again and again is half the time of a pass.

    Freezing and unfreezing hands what was made to the oldest generation, without a walk when it is over. It
    is not counted there as new: a cycle that is made meanwhile may never be collected, so there must be none.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.freeze()
            gc.unfreeze()
            gc.enable()


class Book:
    """The lots of every slot while the events pass by."""

    def __init__(self, rows: Rows, entries: Entries, links: Links, method: Method) -> None:
        self.rows, self.entries, self.links, self.method = rows, entries, links, method
        self.names, self.slots, self.quantities, self.values = (
            entries.names, entries.slots, entries.quantities, entries.values,
        )  # fmt: skip
        self.marks, self.places, self.fees = entries.marks, entries.places, entries.fees
        self.held: defaultdict[int, Queue] = defaultdict(lambda: method.queue(()))
        self.bound: defaultdict[int, list[tuple[int, list[Lot]]]] = defaultdict(list)  # by IN, from OUT
        self.targets = _targets(links)
        self.third_value: dict[int, int] = {}  # by position: basis of the fee in a third asset
        self.realized: list[Realized] = []
        self.settled: list[SettledLot] = []
        self.deficits: list[tuple[int, int]] = []
        self.arrivals = 0
        self.basis_entered = self.quantity_entered = 0  # beyond what plain acquisitions bring

    def book(self, events: list[int]) -> None:
        """Books events in order. Nearly all are decided by their own row alone, and take no detour."""
        steps, slots, quantities, values = self.entries.steps, self.slots, self.quantities, self.values
        places, marks, held, handlers = self.places, self.marks, self.held, self._handlers()
        add, take, realized, names = self.method.add, self.method.take, self.realized, self.names
        for event in events:
            if event < 0:
                self._pay_made(~event)
                continue
            step = steps[event]
            if step == ACQUIRE:
                add(held[slots[event]], (places[event], quantities[event], values[event], marks[event]))
            elif step == DISPOSE:
                quantity = quantities[event]
                pieces: list[Lot] = []
                missing = take(held[slots[event]], quantity, pieces)
                if missing or len(pieces) > 1:
                    self._miss(event, missing, pieces)
                    self._realize(event, pieces, quantity, values[event], marks[event])
                else:
                    place, _, basis, own = pieces[0]
                    piece = names[event], place, quantity, values[event], basis, own | marks[event]
                    realized.append(piece)
            else:
                handlers[step](event)

    def _handlers(self) -> dict[int, Callable[[int], None]]:
        """By step. Never kept: a book that holds its own methods is a cycle, and nobody collects it."""
        return {
            ACQUIRE_WITH_THIRD_FEE: self._acquire,
            SELL_WITH_THIRD_FEE: self._sell,
            PAY_AT_BASIS: self._pay_at_basis,
            DEPART: self._depart,
            ARRIVE: self._arrive,
            NOTHING: self._nothing,
        }

    def _nothing(self, position: int) -> None:
        """Cash has a balance and no lots."""

    def _acquire(self, position: int) -> None:
        """With a fee in a third asset, which was booked right before."""
        fee = self.third_value[position]
        self.basis_entered += fee
        basis, flags = self.values[position] + fee, self.marks[position] | FEE_AT_BASIS
        lot = self.places[position], self.quantities[position], basis, flags
        self.method.put(self.held[self.slots[position]], lot)

    def _sell(self, position: int) -> None:
        """With a fee in a third asset, which was booked right before."""
        quantity, proceeds = self.quantities[position], self.values[position] - self.third_value[position]
        pieces = self._take(position, self.slots[position], quantity)
        self._realize(position, pieces, quantity, proceeds, self.marks[position] | FEE_AT_BASIS)

    def _pay_at_basis(self, position: int) -> None:
        pieces = self._take(position, self.slots[position], self.quantities[position])
        self._realize_at_basis(position, pieces)

    def _pay_made(self, parent: int) -> None:
        fee = self.fees[parent]
        pieces = self._take(~parent, fee.slot, fee.amount)
        if fee.value is None:
            self.third_value[parent] = self._realize_at_basis(~parent, pieces)
        else:
            self._realize(~parent, pieces, fee.amount, fee.value, 0)

    def _depart(self, position: int) -> None:
        targets = self.targets.get(position)
        if targets is None:  # cancelled whole against an IN of the same account
            return
        leaving = sum(quantity for _, quantity in targets)
        lots = self._take(position, self.slots[position], leaving)
        lots.reverse()
        for into, quantity in targets:
            part = _cut(lots, quantity)
            if into == SETTLED:
                self._settle(position, part, quantity, self.links.settlements[position])
            else:
                self.bound[into].append((position, part))

    def _settle(self, position: int, pieces: list[Lot], quantity: int, settlement: Settlement) -> None:
        """What left for nowhere, as the operator says: paid, a fee, or out of the books without a gain."""
        if settlement.kind not in DISPOSING:
            self.settled += [(self.names[position], *lot) for lot in pieces]
        elif settlement.value is None:
            self._realize_at_basis(position, pieces)
        else:
            self._realize(position, pieces, quantity, settlement.value, 0)

    def _arrive(self, position: int) -> None:
        queue = self.held[self.slots[position]]
        for _, lots in sorted(self.bound.pop(position, ()), key=itemgetter(0)):
            for place, quantity, basis, flags in lots:
                self.arrivals += 1
                place = place >> PLACE_BITS << PLACE_BITS | self.arrivals
                self.method.put(queue, (place, quantity, basis, flags))
        if position in self.links.excess:
            self._enter_excess(position, self.links.excess[position])

    def _enter_excess(self, position: int, excess: int) -> None:
        """What no OUT explains is a lot of its own: price and fee by quantity, or the settled value."""
        whole, settlement = self.quantities[position], self.links.settlements.get(position)
        flags = 0 if settlement else UNMATCHED_TRANSFER
        if settlement is not None and settlement.value is not None:
            basis = settlement.value
        else:
            basis = self.values[position]
            if excess != whole:
                basis = mul(excess, self.rows.price(self.names[position]))
            fee, fee_flags = self._fee_value(position)
            basis += share(fee, excess, whole)
            flags |= self.marks[position] | fee_flags
        self.basis_entered += basis
        self.quantity_entered += excess
        self.method.put(self.held[self.slots[position]], (self.places[position], excess, basis, flags))

    def _fee_value(self, position: int) -> tuple[int, int]:
        """Scaled USD value of the fee of an IN, and the flag that says how it was told."""
        fee = self.fees.get(position)
        if fee is None:
            return 0, 0
        if fee.third:
            return self.third_value[position], FEE_AT_BASIS
        if fee.value is None:
            return 0, FEE_UNVALUED
        return fee.value, 0

    def _take(self, event: int, slot: int, wanted: int) -> list[Lot]:
        """Takes lots by the method; what is not there is taken as a lot of basis 0, and noted."""
        pieces: list[Lot] = []
        self._miss(event, self.method.take(self.held[slot], wanted, pieces), pieces)
        return pieces

    def _miss(self, event: int, missing: int, pieces: list[Lot]) -> None:
        if missing:
            self.deficits.append((self._name(event), missing))
            self.quantity_entered += missing
            place = self.places[event] if event >= 0 else NO_PLACE
            pieces.append((place, missing, 0, INSUFFICIENT_LOTS))

    def _realize(self, event: int, pieces: list[Lot], whole: int, proceeds: int, flags: int) -> None:
        rest, left, name = proceeds, whole, self._name(event)
        for place, quantity, basis, own in pieces:
            left -= quantity
            part = div_half_even(proceeds * quantity, whole) if left else rest
            rest -= part
            self.realized.append((name, place, quantity, part, basis, own | flags))
        assert not left, "the pieces of a disposal add up to it"

    def _realize_at_basis(self, event: int, pieces: list[Lot]) -> int:
        """No gain, no loss: the proceeds are the basis, which is returned."""
        name = self._name(event)
        for place, quantity, basis, flags in pieces:
            self.realized.append((name, place, quantity, basis, basis, flags | FEE_AT_BASIS))
        return sum(basis for _, _, basis, _ in pieces)

    def _name(self, event: int) -> int:
        return self.names[event] if event >= 0 else ~self.names[~event]

    def outcome(self, last: int, booked: BookedOrder) -> LotsOutcome:
        """Everything found, in canonical order; only the first `last` positions were booked."""
        held: list[OpenLot] = []
        for slot in sorted(self.held):
            lots = self.method.lots(self.held[slot])
            held += [(slot, place, quantity, basis, flags) for place, quantity, basis, flags in lots]
        moving: list[MovingLot] = [
            (self.names[out], place, quantity, basis, flags | (UNMATCHED_TRANSFER if into == NOWHERE else 0))
            for into in sorted(self.bound)
            for out, lots in self.bound[into]
            for place, quantity, basis, flags in lots
        ]
        slots = self.rows.slot_codes
        moving.sort(key=lambda lot: (int(slots[lot[0]]), lot[0], lot[1]))
        first = itemgetter(0)
        return LotsOutcome(
            self.rows,
            held,
            moving,
            booked.arrange(self.realized, map(first, self.realized)),
            booked.arrange(self.settled, map(first, self.settled)),
            booked.arrange(self.deficits, map(first, self.deficits)),
            income_of(self.rows, last),
        )

    def assert_conserved(self, outcome: LotsOutcome, events: list[int]) -> None:
        """What the events acquired, or took beyond that, is realized, settled, open or in transit."""
        steps = self.entries.steps
        acquired = [event for event in events if event >= 0 and steps[event] in _ACQUIRING]
        basis = self.basis_entered + sum(map(self.values.__getitem__, acquired))
        quantity = self.quantity_entered + sum(map(self.quantities.__getitem__, acquired))
        left = (outcome.open, 3), (outcome.in_transit, 3), (self.settled, 3), (self.realized, 4)
        for records, cost in left:
            quantity -= sum(map(itemgetter(2), records))
            basis -= sum(map(itemgetter(cost), records))
        assert not basis, f"basis is not conserved: {basis} left over"
        assert not quantity, f"quantities are not conserved: {quantity} left over"


def _cut(lots: list[Lot], quantity: int) -> list[Lot]:
    """Takes `quantity` off the end of a list of lots."""
    part = []
    while quantity:
        if lots[-1][1] <= quantity:
            quantity -= lots[-1][1]
            part.append(lots.pop())
        else:
            piece, lots[-1] = split(lots[-1], quantity)
            part.append(piece)
            break
    return part


def _targets(links: Links) -> dict[int, list[tuple[int, int]]]:
    """For each OUT from which lots leave: the INs they are bound for, in order, then what is unmatched."""
    targets: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for out, into, quantity in links.drawn:
        targets[out].append((into, quantity))
    for out, quantity in links.rest.items():
        targets[out].append((SETTLED if out in links.settlements else NOWHERE, quantity))
    return targets


def income_of(rows: Rows, last: int) -> list[tuple[int, int | None]]:
    """Position and scaled income of the rewards, airdrops and other income, None where not known."""
    rows_by = rows.frame.head(last).select(
        "action", "quantity", "price", position=pl.int_range(pl.len(), dtype=pl.Int64)
    )
    earned = rows_by.filter(pl.col("action") >= Action.STAKING_REWARD)
    values = earned.select((pl.col("quantity") * pl.col("price")).to_physical()).to_series()
    return list(zip(earned["position"].to_list(), values.to_list(), strict=True))
