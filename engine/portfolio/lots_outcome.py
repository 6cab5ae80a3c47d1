"""What a lot run found: open lots, lots in transit, realized pieces, settled lots, deficits, income.

Owns: the raw records as tuples of integers, and their frames, made only when asked for. Never: booking.

An event is a position, or `~position` for the FEE row made from it. A place is `position << PLACE_BITS |
arrival number` of a lot: the position is that of the acquiring row (of the OUT, if nothing acquired it), or
NO_PLACE where a fee was paid with nothing.
Lists are in a canonical order, the same for any order of the ledger's frame.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np
import polars as pl

from engine.domain.money import in_range
from engine.domain.transactions import DECIMAL
from engine.portfolio.lot_rows import FLAG_NAMES, INSUFFICIENT_LOTS, PLACE_BITS, VALUE_OUT_OF_RANGE, Rows

__all__ = [
    "NO_PLACE", "PLACE_BITS", "LotsOutcome", "MovingLot", "OpenLot", "Realized", "SettledLot", "decimals",
]  # fmt: skip

NO_PLACE = -1
_ONE = pl.lit(Decimal(1).scaleb(-18), dtype=DECIMAL)
_FLAGS = [
    tuple(sorted(name for bit, name in enumerate(FLAG_NAMES) if mask >> bit & 1))
    for mask in range(1 << len(FLAG_NAMES))
]
_FLAG_TYPE = pl.List(pl.String)

OpenLot = tuple[int, int, int, int, int]  # slot, place, quantity, basis, flags
MovingLot = tuple[int, int, int, int, int]  # position of the OUT, place, quantity, basis, flags
SettledLot = tuple[int, int, int, int, int]  # position of the OUT, place, quantity, basis, flags
Realized = tuple[int, int, int, int, int, int]  # event, place, quantity, proceeds, basis, flags


@dataclass(frozen=True)
class LotsOutcome:
    """Raw records; quantities, proceeds and bases scaled. What happened is in booking order.

    settled: what left without a gain, as the operator says; its kind is in the links.
    """

    rows: Rows
    open: list[OpenLot]
    in_transit: list[MovingLot]
    realized: list[Realized]
    settled: list[SettledLot]
    deficits: list[tuple[int, int]]  # event, quantity taken beyond what was held
    income: list[tuple[int, int | None]]  # position, scaled USD

    def open_lots_frame(self) -> pl.DataFrame:
        """account, asset, acquired_at (us|null), quantity, basis, flags; one row per lot."""
        slots = np.array([lot[0] for lot in self.open], dtype=np.int64)
        basis = decimals(lot[3] for lot in self.open)
        return pl.DataFrame(
            {
                **self._slot_columns(slots),
                "acquired_at": self._acquired_at([lot[1] for lot in self.open], [x[4] for x in self.open]),
                "quantity": decimals(lot[2] for lot in self.open),
                "basis": basis,
                "flags": _flag_column([lot[4] for lot in self.open], basis),
            }
        )

    def in_transit_frame(self) -> pl.DataFrame:
        """As open lots, of the source account, with left_at (us)."""
        return self._left(self.in_transit)

    def settled_frame(self) -> pl.DataFrame:
        """As lots in transit, with the number of the OUT's row."""
        outs = np.array([lot[0] for lot in self.settled], dtype=np.int64)
        return self._left(self.settled).with_columns(self.rows.frame["row"].gather(outs))

    def _left(self, lots: list[MovingLot]) -> pl.DataFrame:
        outs = np.array([lot[0] for lot in lots], dtype=np.int64)
        masks, basis = [lot[4] for lot in lots], decimals(lot[3] for lot in lots)
        return pl.DataFrame(
            {
                **self._slot_columns(self.rows.slot_codes[outs]),
                "acquired_at": self._acquired_at([lot[1] for lot in lots], masks),
                "quantity": decimals(lot[2] for lot in lots),
                "basis": basis,
                "flags": _flag_column(masks, basis),
                "left_at": pl.Series(self.rows.ts[outs], dtype=pl.Int64),
            }
        )

    def realized_frame(self) -> pl.DataFrame:
        """account, asset, disposed_at, acquired_at (us|null), quantity, proceeds, basis, gain, flags."""
        events = np.array([piece[0] for piece in self.realized], dtype=np.int64)
        masks = [piece[5] for piece in self.realized]
        figures = {
            "proceeds": decimals(piece[3] for piece in self.realized),
            "basis": decimals(piece[4] for piece in self.realized),
            "gain": decimals(piece[3] - piece[4] for piece in self.realized),
        }
        return pl.DataFrame(
            {
                **self._event_columns(events, "disposed_at"),
                "acquired_at": self._acquired_at([piece[1] for piece in self.realized], masks),
                "quantity": decimals(piece[2] for piece in self.realized),
                **figures,
                "flags": _flag_column(masks, *figures.values()),
            }
        )

    def deficits_frame(self) -> pl.DataFrame:
        """account, asset, ts, quantity: what was sold, paid or moved beyond what was held."""
        events = np.array([event for event, _ in self.deficits], dtype=np.int64)
        columns = self._event_columns(events, "ts")
        return pl.DataFrame({**columns, "quantity": decimals(quantity for _, quantity in self.deficits)})

    def income_frame(self) -> pl.DataFrame:
        """row, account, asset, ts, income (null where not known)."""
        positions = np.array([position for position, _ in self.income], dtype=np.int64)
        return pl.DataFrame(
            {
                "row": self.rows.frame["row"].gather(positions),
                **self._event_columns(positions, "ts"),
                "income": decimals(income for _, income in self.income),
            }
        )

    def of_row(self, row: int) -> "LotsOutcome":
        """Only the lots that ledger row number `row` acquired, and the pieces in which it had a part."""
        place = self._position(row)
        return replace(
            self,
            open=[lot for lot in self.open if lot[1] >> PLACE_BITS == place],
            in_transit=[lot for lot in self.in_transit if lot[1] >> PLACE_BITS == place],
            realized=[x for x in self.realized if place in (x[0], ~x[0], x[1] >> PLACE_BITS)],
            settled=[lot for lot in self.settled if place in (lot[0], lot[1] >> PLACE_BITS)],
            deficits=[deficit for deficit in self.deficits if place in (deficit[0], ~deficit[0])],
            income=[income for income in self.income if income[0] == place],
        )

    def parts(self, row: int) -> list[tuple[str, bool]]:
        """For each realized piece: what ledger row number `row` is in it, and whether it acquired the lot.

        `disposal`, `fee` (the FEE row made from it) or `lot`, for a piece of another row's disposal.
        """
        place = self._position(row)
        found = []
        for event, lot, *_, flags in self.realized:
            role = "disposal" if event == place else "fee" if ~event == place else "lot"
            missing = role != "lot" and flags & INSUFFICIENT_LOTS  # nothing acquired what was not held
            found.append((role, lot >> PLACE_BITS == place and not missing))
        return found

    def _position(self, row: int) -> int | None:
        found = np.flatnonzero(self.rows.frame["row"].to_numpy() == row)
        return int(found[0]) if len(found) else None

    def _event_columns(self, events: np.ndarray, ts_name: str) -> dict[str, pl.Series]:
        positions = np.where(events < 0, ~events, events)
        slots = self.rows.slot_codes[positions]
        made = np.flatnonzero(events < 0)
        slots[made] = self.rows.fee_codes[positions[made]]
        return {**self._slot_columns(slots), ts_name: pl.Series(self.rows.ts[positions], dtype=pl.Int64)}

    def _slot_columns(self, slots: np.ndarray) -> dict[str, pl.Series]:
        accounts, assets = np.divmod(slots, max(1, len(self.rows.assets)))
        return {
            "account": pl.Series(self.rows.accounts, dtype=pl.String).gather(accounts),
            "asset": pl.Series(self.rows.assets, dtype=pl.String).gather(assets),
        }

    def _acquired_at(self, places: Sequence[int], masks: Sequence[int]) -> pl.Series:
        """Null where nothing is known to have acquired the lot: the part taken beyond what was held."""
        times = self.rows.ts[np.array(places, dtype=np.int64) >> PLACE_BITS]
        unknown = (np.array(masks, dtype=np.int64) & INSUFFICIENT_LOTS) != 0
        frame = pl.DataFrame({"at": pl.Series(times, dtype=pl.Int64), "known": pl.Series(~unknown)})
        return frame.select(pl.when("known").then("at").alias("at")).to_series()


def decimals(scaled: Iterable[int | None]) -> pl.Series:
    """Scaled integers as DECIMAL(38,18); null where the range does not hold the value."""
    values = [None if x is None or not in_range(x) else x for x in scaled]
    wide = pl.Series("value", values, dtype=pl.Int128).cast(pl.Decimal(38, 0))
    return wide.to_frame().select((pl.col("value") * _ONE).cast(DECIMAL)).to_series()


def _flag_column(masks: Sequence[int], *figures: pl.Series) -> pl.Series:
    """The flags as names; where a figure is null, it left the range."""
    codes = np.array(masks, dtype=np.int64)
    for figure in figures:
        codes[figure.is_null().to_numpy()] |= VALUE_OUT_OF_RANGE
    texts = pl.Series([list(names) for names in _FLAGS], dtype=_FLAG_TYPE)
    return texts.gather(codes)
