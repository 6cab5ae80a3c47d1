"""Quantities over time as segments: from bucket to bucket, what an account owns of an asset does not change.

Made from the movements of the portfolio stage. Running sums are Python integers, so they never wrap.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import polars as pl
from numpy.typing import NDArray

from engine.valuation.exact import decimals


@dataclass(frozen=True, slots=True)
class Positions:
    """`segments`: a row for each run of closes [b_from, b_to) with one quantity, by asset, account, kind, b.

    Parallel to it: `owned` (DECIMAL(38,18), null out of range), `account_index`, `is_holding`, `unvalued`
    (the holding has a reason of its own: POSITION_BREAK or CASH_NEGATIVE).
    """

    segments: pl.DataFrame
    owned: pl.Series
    accounts: list[str]
    account_index: NDArray[np.int64]
    is_holding: NDArray[np.bool_]
    unvalued: NDArray[np.bool_]

    def size(self, first: int) -> int:
        """How many values there are from the nth close on."""
        return int((self.segments["b_to"] - self.segments["b_from"].clip(first)).clip(0).sum())

    def by_asset(self) -> Iterator[tuple[str, slice]]:
        """(asset, its rows of `segments`), in order of the ids."""
        runs = self.segments.select(pl.col("asset").rle()).unnest("asset")
        start = 0
        for length, asset in runs.iter_rows():
            yield asset, slice(start, start + length)
            start += length

    def expand(self, rows: slice) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
        """(segment, bucket) of every close that those segments cover."""
        first, starts, lengths = self._spans(rows)
        segment = np.repeat(np.arange(rows.start, rows.stop, dtype=np.uint32), lengths)
        offsets = np.repeat((first - starts).astype(np.uint32), lengths)  # modulo 2**32, and so is the sum
        return segment, np.arange(len(segment), dtype=np.uint32) + offsets

    def lengths(self, rows: slice) -> NDArray[np.int64]:
        """How many closes each of those segments covers."""
        return self._spans(rows)[2]

    def taken[T: np.generic](self, rows: slice, vector: NDArray[T]) -> NDArray[T]:
        """What `expand` gives for a vector over all closes: its value at every close covered, in order."""
        first, _, lengths = self._spans(rows)
        last = first + lengths
        begins = np.flatnonzero(np.append(True, first[1:] != last[:-1]))
        ends = np.append(begins[1:], len(first)) - 1
        spans = zip(first[begins].tolist(), last[ends].tolist(), strict=True)
        return np.concatenate([vector[start:stop] for start, stop in spans])

    def holding_runs(self, rows: slice) -> Iterator[tuple[int, int, int, int]]:
        """(account index, first close, close behind the last, place in `expand`) of unbroken holdings."""
        first, starts, lengths = self._spans(rows)
        last, account, holding = first + lengths, self.account_index[rows], self.is_holding[rows]
        same = (account[1:] == account[:-1]) & (holding[1:] == holding[:-1]) & (first[1:] == last[:-1])
        begins = np.flatnonzero(np.append(True, ~same))
        ends = np.append(begins[1:], len(first)) - 1
        runs = zip(account[begins], first[begins], last[ends], starts[begins], holding[begins], strict=True)
        yield from ((int(a), int(b), int(to), int(start)) for a, b, to, start, held in runs if held)

    def _spans(self, rows: slice) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        first = self.segments["b_from"].to_numpy()[rows]
        lengths = self.segments["b_to"].to_numpy()[rows] - first
        return first, np.cumsum(lengths) - lengths, lengths


def positions(
    movements: pl.DataFrame, closes: NDArray[np.int64], cash_assets: frozenset[str], cash_in_nav: bool
) -> Positions:
    """Segments of all movements (account, asset, ts, delta, series: holding|transit|deficit|unmatched).

    A movement counts from the first close at or after its instant. What is in transit is owned by the
    account it goes to. After a deficit the position is broken: rows and lots no longer agree.
    """
    bucket = np.searchsorted(closes, movements["ts"].to_numpy(), side="left")
    moves = (
        movements.with_columns(b=pl.Series(bucket, dtype=pl.Int64), unmatched=pl.col("series") == "unmatched")
        .filter(pl.col("b") < len(closes))
        .sort("asset", "account", "unmatched", "b")
    )
    ends, begins, steps = _steps(moves, len(closes))
    owned = _sums_at(moves, pl.col("series") != "deficit", ends, begins)
    transit = _sums_at(moves, pl.col("series") == "transit", ends, begins)
    deficit = _sums_at(moves, pl.col("series") == "deficit", ends, begins)
    is_cash = pl.col("asset").is_in(list(cash_assets))
    segments = steps.with_columns(
        owned=decimals(owned),
        transit=pl.Series([amount != 0 for amount in transit], dtype=pl.Boolean),
        reason=pl.when(pl.Series([amount != 0 for amount in deficit], dtype=pl.Boolean) & ~is_cash)
        .then(pl.lit("POSITION_BREAK"))
        .when(pl.Series([amount < 0 for amount in owned], dtype=pl.Boolean) & is_cash & cash_in_nav)
        .then(pl.lit("CASH_NEGATIVE")),
        there=pl.Series([amount != 0 for amount in owned], dtype=pl.Boolean),
    ).filter(pl.col("there") | pl.col("reason").is_not_null())
    return _assemble(segments.drop("there"), frozenset() if cash_in_nav else cash_assets)


def _steps(moves: pl.DataFrame, size: int) -> tuple[list[int], list[bool], pl.DataFrame]:
    """Where each step of a position ends in `moves`, whether it is the position's first, and the steps."""
    position = moves.select(pl.struct("asset", "account", "unmatched").rle_id()).to_series().to_numpy()
    b = moves["b"].to_numpy()
    ends = np.flatnonzero(np.append((position[1:] != position[:-1]) | (b[1:] != b[:-1]), len(b) > 0))
    owner, b_from = position[ends], b[ends]
    begins = np.append(len(ends) > 0, owner[1:] != owner[:-1])[: len(ends)]
    b_to = np.append(np.where(begins[1:], size, b_from[1:]), size)[: len(ends)]
    steps = moves[ends].select(
        "asset", "account", kind=pl.when("unmatched").then(pl.lit("unmatched")).otherwise(pl.lit("holding")),
        b_from="b", b_to=pl.Series(b_to, dtype=pl.Int64),
    )  # fmt: skip
    return ends.tolist(), begins.tolist(), steps


def _sums_at(moves: pl.DataFrame, counts: pl.Expr, ends: list[int], begins: list[bool]) -> list[int]:
    """What the counting movements of a position add up to by the end of each step."""
    counting = moves.select(counts).to_series()
    if not counting.any():
        return [0] * len(ends)
    deltas = moves["delta"].to_physical().to_list()
    if not counting.all():
        deltas = [delta if is_one else 0 for delta, is_one in zip(deltas, counting.to_list(), strict=True)]
    running = list(accumulate(deltas, initial=0))
    behind = np.array(ends, dtype=np.int64) + 1
    step = np.maximum.accumulate(np.where(begins, np.arange(len(ends)), 0))
    before = np.append(0, behind)[step]  # where the position begins: behind the step before its first
    return [
        running[end] - running[start] for end, start in zip(behind.tolist(), before.tolist(), strict=True)
    ]


def _assemble(segments: pl.DataFrame, outside: frozenset[str]) -> Positions:
    accounts = segments["account"].unique().sort()
    is_holding = (segments["kind"] == "holding") & ~segments["asset"].is_in(list(outside))
    index = segments["account"].replace_strict(accounts, range(len(accounts)), return_dtype=pl.Int64)
    return Positions(
        segments=segments.drop("owned"),
        owned=segments["owned"],
        accounts=accounts.to_list(),
        account_index=index.to_numpy(),
        is_holding=is_holding.to_numpy(),
        unvalued=segments["reason"].is_not_null().to_numpy(),
    )
