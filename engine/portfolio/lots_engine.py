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
assets together. A method is a sort key, and each (account, asset) is one heap of lots. A lot keeps the
place of the row that acquired it wherever it travels. A part of a lot takes round(basis x part / what the
lot still holds), half-even; the last part takes what is left. Lots leave with an OUT in one taking, and are
cut to the INs in order. What is missing is booked with basis 0 and a flag, and heals when rows arrive.

What is refused. Shorts and margin; guessing a network fee, a price or a counterpart; any gain from a move;
lots of cash. A run that does not conserve basis and quantity raises AssertionError.
"""

import gc
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from heapq import heappop, heappush, heapreplace
from operator import itemgetter
from typing import Any

import numpy as np
import polars as pl

from engine.domain.money import div_half_even, mul, share
from engine.domain.transactions import Action
from engine.portfolio.booking import Instants, booking_order
from engine.portfolio.ledger_order import with_fees
from engine.portfolio.lot_rows import (
    FEE_AT_BASIS,
    FEE_UNVALUED,
    INSUFFICIENT_LOTS,
    NO_BASIS,
    UNMATCHED_TRANSFER,
    Rows,
    moments,
    read_rows,
)
from engine.portfolio.lots_outcome import PLACE_BITS, LotsOutcome, MovingLot, OpenLot, Realized
from engine.portfolio.transfers import Links

# A lot is [sort key, quantity, basis, place, flags], so that a heap compares keys without leaving C.
Lot = list[Any]
Method = Callable[[int, int, int], Any]
# Quantities are below 10**38, so two ratios that differ do so by more than 10**-76: 256 bits tell them apart.
_RATIO_BITS = 256
_NOWHERE = -1  # where the unmatched rest of an OUT is bound for


def fifo(quantity: int, basis: int, place: int) -> int:
    """First acquired, first out; then first arrived."""
    return place


def lifo(quantity: int, basis: int, place: int) -> int:
    """Last acquired, first out; then last arrived."""
    return -place


def hifo(quantity: int, basis: int, place: int) -> tuple[int, int]:
    """Highest basis per unit first, compared exactly; ties like FIFO."""
    return -((basis << _RATIO_BITS) // quantity), place


METHODS: dict[str, Method] = {"FIFO": fifo, "LIFO": lifo, "HIFO": hifo}


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
    rows = read_rows(ledger, links.order, cash_assets, cash_fee_usd)
    last = len(rows.ts) if as_of is None else int(np.searchsorted(rows.ts, as_of, "right"))
    book = _Book(rows, links, METHODS[method])
    with _collector_paused():
        book.book(_booked(ledger, rows, links, last))
        outcome = book.outcome(last)
        book.assert_conserved(outcome)
    return outcome


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Lots are many small lists without cycles; walking them again and again is half the time of a pass.

    Freezing and unfreezing hands what was made to the oldest generation, without a walk when it is over.
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


def _booked(ledger: pl.DataFrame, rows: Rows, links: Links, last: int) -> list[int]:
    """Events in booking order, of the first `last` positions."""
    in_kind = [p for p, fee in rows.fees.items() if p < last and fee.lots and not fee.third]
    third = {p: fee.slot for p, fee in rows.fees.items() if fee.third}
    events = with_fees(ledger, links.order[:last], np.array(in_kind, dtype=np.int64))
    return booking_order(events, Instants(moments(rows), rows.slot_codes, third), links)


class _Book:
    """The lots of every slot while the events pass by."""

    def __init__(self, rows: Rows, links: Links, method: Method) -> None:
        self.rows, self.links, self.method = rows, links, method
        self.keyed_by_basis = method is hifo
        self.slots, self.quantities, self.values = rows.slots, rows.quantities, rows.values
        self.marks, self.fees = rows.marks, rows.fees
        self.held: defaultdict[int, list[Lot]] = defaultdict(list)
        self.bound: defaultdict[int, list[tuple[int, list[Lot]]]] = defaultdict(list)  # by IN, from OUT
        self.targets = _targets(links)
        self.third_value: dict[int, int] = {}
        self.realized: list[Realized] = []
        self.deficits: list[tuple[int, int]] = []
        self.entered: defaultdict[int, int] = defaultdict(int)  # by slot: acquired, or taken beyond that
        self.disposed: defaultdict[int, int] = defaultdict(int)  # by slot: realized
        self.basis_entered = self.basis_disposed = 0
        self.arrivals = 0

    def book(self, events: list[int]) -> None:
        steps = self.rows.steps
        handlers = [self._nothing] * (len(Action) + 1)
        handlers[Action.BUY] = handlers[Action.INCOME] = self._acquire
        handlers[Action.STAKING_REWARD] = handlers[Action.AIRDROP] = self._acquire
        handlers[Action.SELL], handlers[Action.FEE] = self._sell, self._pay
        handlers[Action.TRANSFER_OUT], handlers[Action.TRANSFER_IN] = self._depart, self._arrive
        for event in events:
            if event >= 0:
                handlers[steps[event]](event)
            else:
                self._pay_made(~event)

    def _nothing(self, position: int) -> None:
        """Cash has a balance and no lots."""

    def _acquire(self, position: int) -> None:
        basis, flags = self.values[position], self.marks[position]
        if position in self.fees:
            fee, fee_flags = self._fee_value(position)
            basis, flags = basis + fee, flags | fee_flags
        self._enter(position, self.quantities[position], basis, flags)

    def _sell(self, position: int) -> None:
        proceeds, flags, quantity = self.values[position], 0, self.quantities[position]
        if position in self.fees:
            fee, flags = self._fee_value(position)
            proceeds -= fee
        pieces = self._take(position, self.slots[position], quantity)
        self._realize(position, self.slots[position], pieces, quantity, proceeds, flags)

    def _pay(self, position: int) -> None:
        quantity = self.quantities[position]
        pieces = self._take(position, self.slots[position], quantity)
        if self.marks[position] & NO_BASIS:
            self._realize_at_basis(position, self.slots[position], pieces)
        else:
            self._realize(position, self.slots[position], pieces, quantity, self.values[position], 0)

    def _pay_made(self, parent: int) -> None:
        fee = self.fees[parent]
        pieces = self._take(~parent, fee.slot, fee.amount)
        if fee.value is None:
            self.third_value[parent] = self._realize_at_basis(~parent, fee.slot, pieces)
        else:
            self._realize(~parent, fee.slot, pieces, fee.amount, fee.value, 0)

    def _depart(self, position: int) -> None:
        targets = self.targets.get(position)
        if targets is None:  # cancelled whole against an IN of the same account
            return
        leaving = sum(quantity for _, quantity in targets)
        lots = self._take(position, self.slots[position], leaving)
        lots.reverse()
        for into, quantity in targets:
            self.bound[into].append((position, _cut(lots, quantity)))

    def _arrive(self, position: int) -> None:
        slot = self.slots[position]
        for _, lots in sorted(self.bound.pop(position, ()), key=itemgetter(0)):
            for _, quantity, basis, place, flags in lots:
                self.arrivals += 1
                place = place >> PLACE_BITS << PLACE_BITS | self.arrivals
                lot = [self.method(quantity, basis, place), quantity, basis, place, flags]
                heappush(self.held[slot], lot)
        if position in self.links.excess:
            self._enter_excess(position, self.links.excess[position])

    def _enter_excess(self, position: int, excess: int) -> None:
        """What no OUT explains is a lot of its own; it takes price and fee by quantity."""
        whole = self.quantities[position]
        known = self.values[position] if excess == whole else mul(excess, self.rows.price(position))
        fee, fee_flags = self._fee_value(position)
        flags = self.marks[position] | fee_flags | UNMATCHED_TRANSFER
        self._enter(position, excess, known + share(fee, excess, whole), flags)

    def _fee_value(self, position: int) -> tuple[int, int]:
        """Scaled USD value of the fee of a row, and the flag that says how it was told."""
        fee = self.fees.get(position)
        if fee is None:
            return 0, 0
        if fee.third:
            return self.third_value[position], FEE_AT_BASIS
        if fee.value is None:
            return 0, FEE_UNVALUED
        return fee.value, 0

    def _enter(self, position: int, quantity: int, basis: int, flags: int) -> None:
        """A lot that this row acquires."""
        slot, place = self.slots[position], position << PLACE_BITS
        self.entered[slot] += quantity
        self.basis_entered += basis
        heappush(self.held[slot], [self.method(quantity, basis, place), quantity, basis, place, flags])

    def _take(self, event: int, slot: int, wanted: int) -> list[Lot]:
        """Takes lots by the method; what is not there is taken as a lot of basis 0, and noted."""
        heap, pieces = self.held[slot], []
        while heap:
            lot = heap[0]
            held = lot[1]
            if held > wanted:
                pieces.append(_split(lot, wanted))
                if self.keyed_by_basis:
                    self._rekey(heap)
                return pieces
            pieces.append(heappop(heap))
            wanted -= held
            if not wanted:
                return pieces
        self.deficits.append((event, wanted))
        self.entered[slot] += wanted
        pieces.append([0, wanted, 0, max(event, ~event) << PLACE_BITS, INSUFFICIENT_LOTS])
        return pieces

    def _rekey(self, heap: list[Lot]) -> None:
        """The first lot gave a part away: rounding moves its basis per unit a little."""
        lot = heap[0]
        lot[0] = self.method(lot[1], lot[2], lot[3])
        heapreplace(heap, lot)

    def _realize(
        self, event: int, slot: int, pieces: list[Lot], whole: int, proceeds: int, flags: int
    ) -> None:  # fmt: skip
        rest, left, realized, cost = proceeds, whole, self.realized, 0
        for _, quantity, basis, place, own in pieces:
            left -= quantity
            part = div_half_even(proceeds * quantity, whole) if left else rest
            rest -= part
            cost += basis
            realized.append((event, place, quantity, part, basis, own | flags))
        assert not left, "the pieces of a disposal add up to it"
        self.disposed[slot] += whole
        self.basis_disposed += cost

    def _realize_at_basis(self, event: int, slot: int, pieces: list[Lot]) -> int:
        """No gain, no loss: the proceeds are the basis, which is returned."""
        total = 0
        for _, quantity, basis, place, own in pieces:
            self.realized.append((event, place, quantity, basis, basis, own | FEE_AT_BASIS))
            self.disposed[slot] += quantity
            total += basis
        self.basis_disposed += total
        return total

    def outcome(self, last: int) -> LotsOutcome:
        held: list[OpenLot] = [
            (slot, place, quantity, basis, flags)
            for slot in sorted(self.held)
            for _, quantity, basis, place, flags in sorted(self.held[slot], key=_place)
        ]
        moving: list[MovingLot] = [
            (out, place, quantity, basis, flags | (UNMATCHED_TRANSFER if into == _NOWHERE else 0))
            for into in sorted(self.bound)
            for out, lots in self.bound[into]
            for _, quantity, basis, place, flags in lots
        ]
        moving.sort(key=lambda lot: (self.slots[lot[0]], lot[0], lot[1]))
        income = _income(self.rows, last)
        return LotsOutcome(self.rows, held, moving, self.realized, self.deficits, income)

    def assert_conserved(self, outcome: LotsOutcome) -> None:
        """Basis in = basis out + basis left, and the same for the quantity of every asset."""
        basis = self.basis_entered - self.basis_disposed
        basis -= sum(map(itemgetter(3), outcome.open)) + sum(map(itemgetter(3), outcome.in_transit))
        assert not basis, f"basis is not conserved: {basis} left over"
        assert not any(self._quantities_left(outcome)), "quantities are not conserved"

    def _quantities_left(self, outcome: LotsOutcome) -> list[int]:
        """By asset: what entered, less what is realized, open or in transit."""
        count = len(self.rows.assets)
        left = [0] * count
        for slot, quantity in self.entered.items():
            left[slot % count] += quantity
        for slot, quantity in self.disposed.items():
            left[slot % count] -= quantity
        for slot, _, quantity, _, _ in outcome.open:
            left[slot % count] -= quantity
        for out, _, quantity, _, _ in outcome.in_transit:
            left[self.slots[out] % count] -= quantity
        return left


def _place(lot: Lot) -> int:
    place: int = lot[3]
    return place


def _split(lot: Lot, quantity: int) -> Lot:
    """Takes a part off a lot: basis by what the lot still holds, the rest stays."""
    key, whole, basis, place, flags = lot
    part = div_half_even(basis * quantity, whole)
    lot[1] = whole - quantity
    lot[2] = basis - part
    return [key, quantity, part, place, flags]


def _cut(lots: list[Lot], quantity: int) -> list[Lot]:
    """Takes `quantity` off the end of a list of lots."""
    part = []
    while quantity:
        if lots[-1][1] <= quantity:
            quantity -= lots[-1][1]
            part.append(lots.pop())
        else:
            part.append(_split(lots[-1], quantity))
            break
    return part


def _targets(links: Links) -> dict[int, list[tuple[int, int]]]:
    """For each OUT from which lots leave: the INs they are bound for, in order, then what is unmatched."""
    targets: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for out, into, quantity in links.drawn:
        targets[out].append((into, quantity))
    for out, quantity in links.rest.items():
        targets[out].append((_NOWHERE, quantity))
    return targets


def _income(rows: Rows, last: int) -> list[tuple[int, int | None]]:
    actions = rows.frame["action"].to_numpy()[:last]
    positions = np.flatnonzero(actions >= Action.STAKING_REWARD).tolist()
    return [(p, None if rows.marks[p] & NO_BASIS else rows.values[p]) for p in positions]
