"""Quantities over time as segments: from bucket to bucket, what an account owns of an asset does not change.

Made from the movements of the portfolio stage. Running sums are Python integers, so they never wrap.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from engine.valuation.exact import decimals


@dataclass(frozen=True, slots=True)
class Positions:
    """`segments`: one row a run of closes [b_from, b_to) with one quantity, sorted by asset, account, kind, b.

    Parallel to it: `owned` (DECIMAL(38,18), null out of range), `account_index`, `is_holding`, `unvalued`
    (the holding has a reason of its own: POSITION_BREAK or CASH_NEGATIVE).
    """

    segments: pl.DataFrame
    owned: pl.Series
    accounts: list[str]
    account_index: np.ndarray
    is_holding: np.ndarray
    unvalued: np.ndarray

    def by_asset(self) -> Iterator[tuple[str, slice]]:
        """(asset, its rows of `segments`), in order of the ids."""
        runs = self.segments.select(pl.col("asset").rle()).unnest("asset")
        start = 0
        for length, asset in runs.iter_rows():
            yield asset, slice(start, start + length)
            start += length

    def expand(self, rows: slice) -> tuple[np.ndarray, np.ndarray]:
        """(segment, bucket) of every close that those segments cover."""
        first = self.segments["b_from"].to_numpy()[rows]
        lengths = self.segments["b_to"].to_numpy()[rows] - first
        starts = np.cumsum(lengths) - lengths
        segment = np.repeat(np.arange(rows.start, rows.stop, dtype=np.uint32), lengths)
        b = np.arange(lengths.sum(), dtype=np.int64) + np.repeat(first - starts, lengths)
        return segment, b.astype(np.uint32)


def positions(
    movements: pl.DataFrame, closes: np.ndarray, cash_assets: frozenset[str], cash_in_nav: bool
) -> Positions:
    """Segments of all movements (account, asset, ts, delta, series: holding|transit|deficit|unmatched).

    A movement counts from the first close at or after its instant. What is in transit is owned by the
    account it goes to. After a deficit the position is broken: rows and lots no longer agree.
    """
    bucket = np.searchsorted(closes, movements["ts"].to_numpy(), side="left")
    frame = (
        movements.with_columns(b=pl.Series(bucket), delta=pl.col("delta").to_physical())
        .filter(pl.col("b") < len(closes))
        .with_columns(unmatched=pl.col("series") == "unmatched")
        .sort("asset", "account", "unmatched", "b")
    )
    rows: list[tuple[str, str, str, int, int, int, bool, str | None]] = []
    columns = ("asset", "account", "unmatched")
    for (asset, account, unmatched), part in frame.group_by(columns, maintain_order=True):
        cash = asset in cash_assets
        steps = zip(part["b"].to_list(), part["series"].to_list(), part["delta"].to_list(), strict=True)
        for b_from, b_to, owned, transit, reason in _runs(steps, len(closes), cash, cash_in_nav):
            kind = "unmatched" if unmatched else "holding"
            rows.append((str(asset), str(account), kind, b_from, b_to, owned, transit, reason))
    return _assemble(rows, cash_assets if not cash_in_nav else frozenset())


def _runs(
    steps: Iterator[tuple[int, str, int]], size: int, cash: bool, cash_in_nav: bool
) -> Iterator[tuple[int, int, int, bool, str | None]]:
    """Runs of one quantity of one account and asset: (b_from, b_to, owned, in transit?, reason)."""
    sums = {"holding": 0, "transit": 0, "deficit": 0, "unmatched": 0}
    pending: tuple[int, int, bool, str | None] | None = None
    b_now = -1
    for b, series, delta in [*steps, (size, "holding", 0)]:
        if b != b_now:
            if pending is not None and b > pending[0]:
                yield pending[0], b, *pending[1:]
            b_now = b
        sums[series] += delta
        owned = sums["holding"] + sums["transit"] + sums["unmatched"]
        broken = not cash and sums["deficit"] != 0
        reason = None
        if broken:
            reason = "POSITION_BREAK"
        elif cash and cash_in_nav and owned < 0:
            reason = "CASH_NEGATIVE"
        pending = (b, owned, sums["transit"] != 0, reason) if owned or broken else None


def _assemble(
    rows: list[tuple[str, str, str, int, int, int, bool, str | None]], outside: frozenset[str]
) -> Positions:
    schema = {
        "asset": pl.String, "account": pl.String, "kind": pl.String, "b_from": pl.Int64, "b_to": pl.Int64,
        "transit": pl.Boolean, "reason": pl.String,
    }  # fmt: skip
    owned = decimals([row[5] for row in rows])
    segments = pl.DataFrame([(*row[:5], *row[6:]) for row in rows], schema=schema, orient="row")
    accounts = segments["account"].unique().sort().to_list()
    index = {account: position for position, account in enumerate(accounts)}
    return Positions(
        segments=segments,
        owned=owned,
        accounts=accounts,
        account_index=np.array([index[row[1]] for row in rows], dtype=np.int64),
        is_holding=np.array([row[2] == "holding" and row[0] not in outside for row in rows], dtype=bool),
        unvalued=np.array([row[7] is not None for row in rows], dtype=bool),
    )

