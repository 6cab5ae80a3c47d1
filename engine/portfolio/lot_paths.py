"""By which transfers each lot came to where it is: a lot run that remembers who carried what.

A lot's arrival number is that of the carriage that brought it last; the carriage knows the place that the lot
had before, and with it the carriage before. It books nothing of its own: the lots are those of the engine.
"""

from collections.abc import Mapping
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from engine.portfolio.booking import BookedOrder
from engine.portfolio.lot_rows import PLACE_BITS, read_entries, read_rows
from engine.portfolio.lot_walk import booked_events
from engine.portfolio.lots_engine import METHODS, Book, collector_paused
from engine.portfolio.lots_outcome import LotsOutcome
from engine.portfolio.transfers import Links

ARRIVAL = (1 << PLACE_BITS) - 1  # the part of a place that is the arrival number; 0: never carried


class Carriage(NamedTuple):
    """One lot that came with an IN from an OUT (positions), and its place before."""

    out: int
    into: int
    before: int


class Paths:
    """The carriages of a run, by arrival number."""

    def __init__(self, carriages: list[Carriage]) -> None:
        self._carriages = carriages

    def of(self, arrival: int) -> list[Carriage]:
        """All that carried a lot, first to last."""
        found: list[Carriage] = []
        while arrival:
            found.append(self._carriages[arrival - 1])
            arrival = found[-1].before & ARRIVAL
        return found[::-1]


class _Following(Book):
    """Books as the engine does and writes down what arrives."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.carriages: list[Carriage] = []

    def _arrive(self, position: int) -> None:
        for out, lots in sorted(self.bound.get(position, ()), key=itemgetter(0)):
            self.carriages += [Carriage(out, position, lot[0]) for lot in lots]
        super()._arrive(position)
        assert self.arrivals == len(self.carriages), "every arrival has its carriage"


def follow(
    ledger: pl.DataFrame,
    links: Links,
    method: str,
    cash_assets: frozenset[str],
    cash_fee_usd: Mapping[int, int | None],
) -> tuple[LotsOutcome, Paths]:
    """The outcome of a lot run (see lots_engine.run) and the paths of its lots."""
    with collector_paused():
        rows = read_rows(ledger, links.order)
        count, positions = len(rows.ts), np.arange(len(rows.ts))
        entries = read_entries(rows, cash_assets, cash_fee_usd, positions, positions)
        book = _Following(rows, entries, links, METHODS[method])
        booked = booked_events(ledger, rows, cash_assets, links, count)
        book.book(booked.tolist())
        return book.outcome(count, BookedOrder(booked)), Paths(book.carriages)
