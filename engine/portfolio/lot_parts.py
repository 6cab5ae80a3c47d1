"""What is remembered of the lots of one asset, so that a change replays it from a month, not from the start.

Owns: the rows of an asset, its lots before the first event of each month and after the last, what was
realized, settled and missing, and how its transfers stood. Never: booking, or which assets a change reaches.

Nothing here is named by its place in the whole ledger, for that shifts with every row that comes before it.
Events are numbers of rows in the store (`~row` for the FEE row made from it); the place of a lot is that of
its row among the rows of its asset, which cannot change before the first instant that a change touches.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import polars as pl

from engine.domain.transactions import Action
from engine.portfolio.ledger_order import Positions, ledger_order
from engine.portfolio.lot_methods import Lot
from engine.portfolio.lots_outcome import Realized, SettledLot
from engine.portfolio.transfers import Links, Settlement

END = 1 << 40  # after every month
BoundLots = tuple[int, int, tuple[Lot, ...]]  # row of the IN (or NOWHERE), row of the OUT, lots


class Fact(NamedTuple):
    """How one transfer stands, in row numbers: its links, what is left over, and how that is settled."""

    ts: int
    out: bool
    pieces: tuple[tuple[int, int], ...]  # row of the other side, scaled quantity
    left: int
    settlement: Settlement | None


class State(NamedTuple):
    """The lots of an asset before the first event of `month` (months since 1970; END: after the last event).

    held: by account. realized, settled, deficits: how many of each were there.
    """

    month: int
    held: dict[str, tuple[Lot, ...]]
    bound: tuple[BoundLots, ...]
    arrivals: int
    realized: int
    settled: int
    deficits: int


NOTHING_YET = State(END, {}, (), 0, 0, 0, 0)


@dataclass
class Part:
    """One asset. ledger: its rows in ledger order. third_value: row -> basis of its fee in a third asset."""

    ledger: pl.DataFrame
    facts: dict[int, Fact] = field(default_factory=dict)
    states: list[State] = field(default_factory=lambda: [NOTHING_YET])
    realized: list[Realized] = field(default_factory=list)
    settled: list[SettledLot] = field(default_factory=list)
    deficits: list[tuple[int, int]] = field(default_factory=list)
    third_value: dict[int, int] = field(default_factory=dict)
    pays_in: frozenset[str] = frozenset()  # the third assets in which its rows paid fees
    moves_paid: tuple[tuple[int, str], ...] = ()  # ts and third asset of the fees of its OUTs

    def edit(self, added: pl.DataFrame | None, removed: Sequence[int], cash_assets: frozenset[str]) -> None:
        """Takes rows in and out; the lots stay as they were until they are replayed."""
        ledger = self.ledger
        if removed:
            ledger = ledger.filter(~pl.col("row").is_in(list(removed)))
            for row in removed:
                self.third_value.pop(row, None)
        if added is not None:
            ledger = pl.concat([ledger, added])
        self.ledger = ledger[ledger_order(ledger)]
        paid = self.ledger.filter(
            (pl.col("fee_amount") > 0)
            & (pl.col("action") != Action.FEE)
            & (pl.col("fee_asset") != pl.col("asset"))
            & ~pl.col("fee_asset").is_in(sorted(cash_assets))
        ).select("ts", "action", "fee_asset")
        self.pays_in = frozenset(paid["fee_asset"].unique())
        outs = paid.filter(pl.col("action") == Action.TRANSFER_OUT)
        self.moves_paid = tuple(zip(outs["ts"].to_list(), outs["fee_asset"].to_list(), strict=True))

    def cut(self, month: int) -> State:
        """Forgets everything from `month` on, and returns how it was then."""
        first = next(place for place, state in enumerate(self.states) if state.month >= month)
        state = self.states[first]
        del self.states[first:], self.realized[state.realized :]
        del self.settled[state.settled :], self.deficits[state.deficits :]
        return state

    def keep(
        self, month: int, held: dict[str, tuple[Lot, ...]], bound: Iterable[BoundLots], arrivals: int
    ) -> None:
        """Remembers the lots as they are before `month`."""
        counts = len(self.realized), len(self.settled), len(self.deficits)
        self.states.append(State(month, held, tuple(bound), arrivals, *counts))


def facts(links: Links, rows: list[int], frame: pl.DataFrame) -> dict[int, Fact]:
    """Row number -> how it stands, of every transfer of the ordered frame."""
    ts, actions = frame["ts"].to_numpy(), frame["action"].to_numpy()
    outs = actions == Action.TRANSFER_OUT
    moved = np.flatnonzero(outs | (actions == Action.TRANSFER_IN))
    pieces: dict[int, list[tuple[int, int]]] = {position: [] for position in moved.tolist()}
    for out, into, quantity in links.drawn:
        pieces[out].append((rows[into], quantity))
        pieces[into].append((rows[out], quantity))
    return {
        rows[position]: Fact(
            int(ts[position]),
            bool(outs[position]),
            tuple(found),
            links.rest.get(position, 0) + links.excess.get(position, 0),
            links.settlements.get(position),
        )
        for position, found in pieces.items()
    }


def first_difference(old: dict[int, Fact], new: dict[int, Fact], never: int) -> int:
    """The first instant of a transfer that stands otherwise than before."""
    return min((fact.ts for _, fact in old.items() ^ new.items()), default=never)


def month_of(ts: Positions) -> Positions:
    """Months since 1970 of instants (us, UTC)."""
    return ts.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
