"""Exact columns: scaled integers into DECIMAL(38,18) and back, wide products, sums that never wrap.

polars multiplies two DECIMAL(38,18) exactly and rounds half-even once; a third factor, or a product
that leaves the range, goes through Python's integers.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from engine.domain.money import PLACES, SCALE, SCALED_MAX, div_half_even, in_range

Words = NDArray[np.uint64]
DECIMAL = pl.Decimal(38, PLACES)
_ARROW = pa.decimal128(38, PLACES)
_HUGE = 1 << 40  # of a high word
_EDGE = (SCALED_MAX >> 64) - 1  # a high word below it is in range for certain


def decimals(scaled: Sequence[int | None]) -> pl.Series:
    """A DECIMAL(38,18) column of scaled integers; None and what leaves the range become null."""
    kept = [value for value in scaled if value is not None]
    there = len(kept) == len(scaled)
    if not there:
        kept = [value or 0 for value in scaled]
    if kept and (max(kept) > SCALED_MAX or min(kept) < -SCALED_MAX):
        return decimals([value if value is not None and in_range(value) else None for value in scaled])
    data = b"".join([value.to_bytes(16, "little", signed=True) for value in kept])
    column = _from_buffer(pa.py_buffer(data), len(kept))
    if there:
        return column
    present = pl.Series([value is not None for value in scaled], dtype=pl.Boolean)
    return pl.select(pl.when(present).then(column)).to_series()


def scaled_ints(column: pl.Series) -> list[int | None]:
    """The scaled integers of a DECIMAL(38,18) column."""
    return column.to_physical().to_list()


def wide_value(quantity: int | None, price: int | None, rate: int | None) -> int | None:
    """quantity x price x rate (all scaled), rounded half-even once; None out of range or of None."""
    if quantity is None or price is None or rate is None:
        return None
    value = div_half_even(quantity * price * rate, SCALE * SCALE)
    return value if -SCALED_MAX <= value <= SCALED_MAX else None


def places(column: pl.Series) -> pl.Series:
    """How many decimal places each value of a canonical decimal text column uses (UInt8)."""
    point = column.str.find(".", literal=True)
    return pl.select(
        pl.when(point.is_null()).then(0).otherwise(column.str.len_bytes() - point - 1).cast(pl.UInt8)
    ).to_series()


def words(column: pl.Series) -> Words:
    """The 128 bits of each value of a DECIMAL(38,18) column without nulls: (n, 2), low word first."""
    array = column.rechunk().to_arrow()
    data = np.frombuffer(array.buffers()[1], dtype="<u8").reshape(-1, 2)
    return data[array.offset : array.offset + len(array)]


def items(values: Words) -> NDArray[np.void]:
    """(n, 2) bits as n items of 16 bytes, which numpy repeats and joins at the speed of memory."""
    return np.ascontiguousarray(values).view("V16")[:, 0]


def pairs(values: NDArray[np.void]) -> Words:
    """The other way round."""
    return values.view(np.uint64).reshape(-1, 2)


def from_words(values: Words) -> pl.Series:
    """The DECIMAL(38,18) column of such bits."""
    return _from_buffer(pa.py_buffer(np.ascontiguousarray(values)), len(values))


def zeroed_words(column: pl.Series) -> tuple[NDArray[np.bool_], Words]:
    """Where a column is not null, and its bits with 0 for null."""
    if not column.null_count():
        return np.ones(len(column), dtype=bool), words(column)
    known = column.is_not_null().to_numpy()
    return known, words(column) * known[:, None]


class Sums:
    """Exact running sums of DECIMAL(38,18) values in `size` slots, as two words and a carry.

    The high word takes 2**22 additions of values below 2**104; greater ones are kept apart as integers.
    """

    def __init__(self, size: int) -> None:
        self._low = np.zeros(size, dtype=np.uint64)
        self._high = np.zeros(size, dtype=np.int64)
        self._huge: dict[int, int] = {}

    def add(self, start: int, values: Words) -> None:
        """Adds values (as `words` gives them) to the slots from `start` on, one each."""
        slots = slice(start, start + len(values))
        low, high = values[:, 0], values[:, 1].view(np.int64)
        if _any_huge(high):
            high = self._without_huge(np.arange(slots.start, slots.stop), high)
        self._low[slots] += low
        self._high[slots] += high
        self._high[slots] += self._low[slots] < low

    def _without_huge(self, slots: NDArray[np.int64], high: NDArray[np.int64]) -> NDArray[np.int64]:
        huge = (high >= _HUGE) | (high <= -_HUGE)
        for entry in np.flatnonzero(huge).tolist():
            slot = int(slots[entry])
            self._huge[slot] = self._huge.get(slot, 0) + (int(high[entry]) << 64)
        return np.where(huge, 0, high)

    def scaled(self, slot: int) -> int:
        """The exact sum of one slot."""
        return (int(self._high[slot]) << 64) + int(self._low[slot]) + self._huge.get(slot, 0)

    def folded(self, size: int) -> "Sums":
        """Slots that are `size` apart together: slot i of the result is i, size + i, 2 size + i, …"""
        whole = Sums(size)
        for start in range(0, len(self._low), max(size, 1)):
            part = slice(start, start + size)
            whole.add(0, np.column_stack((self._low[part], self._high[part].view(np.uint64))))
        for slot, value in self._huge.items():
            whole._huge[slot % size] = whole._huge.get(slot % size, 0) + value
        return whole

    def column(self) -> pl.Series:
        """All sums as DECIMAL(38,18); null where a sum leaves the range."""
        if self._huge or (np.abs(self._high) >= _EDGE).any():
            return decimals([self.scaled(slot) for slot in range(len(self._low))])
        both = np.column_stack((self._low, self._high.view(np.uint64)))
        return _from_buffer(pa.py_buffer(both), len(both))


def _any_huge(high: NDArray[np.int64]) -> bool:
    return len(high) > 0 and max(int(high.max()), -int(high.min())) >= _HUGE


def _from_buffer(buffer: pa.Buffer, length: int) -> pl.Series:
    array = pa.Array.from_buffers(_ARROW, length, [None, buffer])
    column = pl.from_arrow(array)
    assert isinstance(column, pl.Series)
    return column
