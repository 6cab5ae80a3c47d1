"""Exact columns: scaled integers into DECIMAL(38,18) and back, wide products, sums that never wrap.

polars multiplies two DECIMAL(38,18) exactly and rounds half-even once; a third factor, or a product
that leaves the range, goes through Python's integers.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl
import pyarrow as pa

from engine.domain.money import PLACES, SCALE, SCALED_MAX, div_half_even

DECIMAL = pl.Decimal(38, PLACES)
_ARROW = pa.decimal128(38, PLACES)
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def decimals(scaled: Sequence[int | None]) -> pl.Series:
    """A DECIMAL(38,18) column of scaled integers; None and what leaves the range become null."""
    kept = [value if value is not None and -SCALED_MAX <= value <= SCALED_MAX else None for value in scaled]
    data = b"".join((value or 0).to_bytes(16, "little", signed=True) for value in kept)
    column = _from_buffer(pa.py_buffer(data), len(kept))
    if None not in kept:
        return column
    present = pl.Series([value is not None for value in kept], dtype=pl.Boolean)
    return pl.select(pl.when(present).then(column)).to_series()


def scaled_ints(column: pl.Series) -> list[int | None]:
    """The scaled integers of a DECIMAL(38,18) column."""
    return column.to_physical().to_list()


def wide_value(quantity: int, price: int, rate: int) -> int | None:
    """quantity x price x rate (all scaled), rounded half-even once; None out of range."""
    value = div_half_even(quantity * price * rate, SCALE * SCALE)
    return value if -SCALED_MAX <= value <= SCALED_MAX else None


def places(column: pl.Series) -> pl.Series:
    """How many decimal places each value of a canonical decimal text column uses (UInt8)."""
    point = column.str.find(".", literal=True)
    return pl.select(
        pl.when(point.is_null()).then(0).otherwise(column.str.len_bytes() - point - 1).cast(pl.UInt8)
    ).to_series()


class Sums:
    """Exact running sums of DECIMAL(38,18) values in `size` slots, as three limbs that cannot wrap.

    A limb of 32 bits takes 2**31 additions before its 64-bit slot is full; the top limb is signed.
    """

    def __init__(self, size: int) -> None:
        self._low = np.zeros(size, dtype=np.uint64)
        self._middle = np.zeros(size, dtype=np.uint64)
        self._high = np.zeros(size, dtype=np.int64)
        self._huge: dict[int, int] = {}

    def add(self, slots: np.ndarray, values: pl.Series) -> None:
        """Adds one value a slot; no slot twice in one call, no nulls."""
        words = np.frombuffer(values.to_arrow().buffers()[1], dtype="<u8").reshape(-1, 2)
        low, high = words[:, 0], words[:, 1].view(np.int64)
        self._low[slots] += low & _LOW
        self._middle[slots] += low >> _HALF
        peak = int(np.abs(high).max(initial=0))
        if peak >> 40:  # 2**22 such values could overflow the top limb: keep them as integers
            for slot in np.flatnonzero(np.abs(high) >> 40):
                where = int(slots[slot])
                self._huge[where] = self._huge.get(where, 0) + (int(high[slot]) << 64)
            high = np.where(np.abs(high) >> 40, 0, high)
        self._high[slots] += high

    def scaled(self, slot: int) -> int:
        """The exact sum of one slot."""
        return (
            (int(self._high[slot]) << 64)
            + (int(self._middle[slot]) << 32)
            + int(self._low[slot])
            + self._huge.get(slot, 0)
        )

    def folded(self, rows: int) -> "Sums":
        """Sums over `rows` equal stretches of slots: slot i of the result is i, n + i, 2n + i, … together."""
        size = len(self._low) // max(rows, 1)
        whole = Sums(size)
        if size:
            whole._low, whole._middle, whole._high = (
                limb.reshape(rows, size).sum(axis=0, dtype=limb.dtype)
                for limb in (self._low, self._middle, self._high)
            )
        for slot, value in self._huge.items():
            whole._huge[slot % size] = whole._huge.get(slot % size, 0) + value
        return whole

    def column(self) -> pl.Series:
        """All sums as DECIMAL(38,18); null where a sum leaves the range."""
        carried = self._middle + (self._low >> _HALF)
        low = (carried & _LOW) << _HALF | self._low & _LOW
        high = self._high + (carried >> _HALF).astype(np.int64)
        edge = SCALED_MAX >> 64
        outside = np.flatnonzero(np.abs(high) >= edge - 1)
        if not self._huge and not len(outside):
            words = np.empty((len(low), 2), dtype="<u8")
            words[:, 0], words[:, 1] = low, high.view(np.uint64)
            return _from_buffer(pa.py_buffer(words), len(low))
        return decimals([self.scaled(slot) for slot in range(len(low))])


def _from_buffer(buffer: pa.Buffer, length: int) -> pl.Series:
    array = pa.Array.from_buffers(_ARROW, length, [None, buffer])
    column = pl.from_arrow(array)
    assert isinstance(column, pl.Series)
    return column
