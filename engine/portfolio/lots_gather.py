"""One outcome out of what is remembered by asset: the same records in the same order as a full run gives.

Owns: naming rows and lots by their place in the whole ledger again. Never: booking a lot.
"""

from collections.abc import Mapping
from operator import itemgetter

import numpy as np
import polars as pl

from engine.domain.transactions import LEDGER_SCHEMA
from engine.portfolio.booking import BookedOrder
from engine.portfolio.ledger_order import ledger_order
from engine.portfolio.lot_parts import Part
from engine.portfolio.lot_rows import PLACE_BITS, UNMATCHED_TRANSFER, Rows, read_rows
from engine.portfolio.lot_walk import booked_events
from engine.portfolio.lots_engine import NOWHERE, income_of
from engine.portfolio.lots_outcome import NO_PLACE, LotsOutcome, MovingLot, OpenLot, Realized, SettledLot
from engine.portfolio.transfers import Links, Piece

_ARRIVAL = (1 << PLACE_BITS) - 1


def gather(
    parts: Mapping[str, Part], names: frozenset[str], cash_assets: frozenset[str], rows: int
) -> LotsOutcome:
    """The outcome of the lots of the assets named; `rows`: above every row number."""
    payers = {name for name, part in parts.items() if part.pays_in & names}
    return _Gathering(parts, names, names | payers, rows).outcome(cash_assets)


class _Gathering:
    """The ledger of some assets, and where its rows stand in it."""

    def __init__(
        self, parts: Mapping[str, Part], names: frozenset[str], known: frozenset[str], rows: int
    ) -> None:
        self.parts = {name: parts[name] for name in sorted(names)}
        self.facts = [parts[name].facts for name in sorted(known)]
        frames = [parts[name].ledger for name in sorted(known)]
        self.ledger = pl.concat(frames) if frames else pl.DataFrame(schema=LEDGER_SCHEMA)
        self.order = ledger_order(self.ledger)
        self.rows: Rows = read_rows(self.ledger, self.order)
        positions = np.zeros(rows, dtype=np.int64)
        numbers = self.rows.frame["row"].to_numpy()
        positions[numbers] = np.arange(len(numbers))
        self.positions = positions
        self.position: list[int] = positions.tolist()

    def outcome(self, cash_assets: frozenset[str]) -> LotsOutcome:
        realized: list[Realized] = []
        settled: list[SettledLot] = []
        deficits: list[tuple[int, int]] = []
        for part in self.parts.values():
            places = self._places(part)
            realized += [
                (self._event(event), _placed(place, places), quantity, proceeds, basis, flags)
                for event, place, quantity, proceeds, basis, flags in part.realized
            ]
            settled += [
                (self._event(out), _placed(place, places), quantity, basis, flags)
                for out, place, quantity, basis, flags in part.settled
            ]
            deficits += [(self._event(event), quantity) for event, quantity in part.deficits]
        events = booked_events(self.ledger, self.rows, cash_assets, self._links(), len(self.order))
        booked = BookedOrder(events)
        return LotsOutcome(
            self.rows,
            self._open(),
            self._in_transit(),
            booked.arrange(realized, map(itemgetter(0), realized)),
            booked.arrange(settled, map(itemgetter(0), settled)),
            booked.arrange(deficits, map(itemgetter(0), deficits)),
            income_of(self.rows, len(self.order)),
        )

    def _event(self, event: int) -> int:
        return self.position[event] if event >= 0 else ~self.position[~event]

    def _places(self, part: Part) -> list[int]:
        """By place among the rows of its asset: place in the whole, shifted."""
        places: list[int] = (self.positions[part.ledger["row"].to_numpy()] << PLACE_BITS).tolist()
        return places

    def _links(self) -> Links:
        """As much of the links as the booking order needs."""
        drawn = [
            Piece(self.position[row], self.position[into], quantity)
            for facts in self.facts
            for row, fact in facts.items()
            if fact.out
            for into, quantity in fact.pieces
        ]
        return Links(self.order, self.order, [], [], drawn, {}, {}, {})

    def _open(self) -> list[OpenLot]:
        accounts = {name: code for code, name in enumerate(self.rows.accounts)}
        assets = {name: code for code, name in enumerate(self.rows.assets)}
        by_slot: dict[int, list[OpenLot]] = {}
        for name, part in self.parts.items():
            places = self._places(part)
            for account, lots in part.states[-1].held.items():
                slot = accounts[account] * len(assets) + assets[name]
                by_slot[slot] = [
                    (slot, _placed(place, places), quantity, basis, flags)
                    for place, quantity, basis, flags in lots
                ]
        return [lot for slot in sorted(by_slot) for lot in by_slot[slot]]

    def _in_transit(self) -> list[MovingLot]:
        moving: list[MovingLot] = []
        for part in self.parts.values():
            places = self._places(part)
            for into, out, lots in part.states[-1].bound:
                mark = UNMATCHED_TRANSFER if into == NOWHERE else 0
                moving += [
                    (self.position[out], _placed(place, places), quantity, basis, flags | mark)
                    for place, quantity, basis, flags in lots
                ]
        slots = self.rows.slot_codes
        return sorted(moving, key=lambda lot: (int(slots[lot[0]]), lot[0], lot[1]))


def _placed(place: int, places: list[int]) -> int:
    """The place of a lot in the whole; its arrival stays."""
    if place == NO_PLACE:
        return NO_PLACE
    return places[place >> PLACE_BITS] | place & _ARRIVAL
