"""Which observation prices an asset at a close: never an older one, never one in between, never a guess.

A bar prices the bucket of its resolution that closes at its `asof`, and any coarser one that closes at
that instant; a spot prices the bucket that closes within its tolerance after it. Of several: the own
resolution, then the coarsest finer bar, then the latest spot; then the quote in base currency, one
pegged to it, others by code; then the configured order of sources, then the source's name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from engine.domain.instants import HOUR_US, MINUTE_US
from engine.domain.money import SCALE
from engine.domain.resolutions import COARSEST_FIRST, SPOT, SPOT_TOLERANCE_US

Instants = NDArray[np.int64]

PRICES_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "asset": pl.String,
    "quote": pl.String,
    "source": pl.String,
    "resolution": pl.String,
    "asof": pl.Int64,
    "price": pl.Decimal(38, 18),
    "places": pl.UInt8,  # decimal places the price uses; tells whether price x rate is exact
}
FINENESS = {resolution: place for place, resolution in enumerate(COARSEST_FIRST)}
PEG_WINDOW_US = HOUR_US
HARDLY_APART_US = 5 * MINUTE_US  # what lies between is not much: at most about one bar
PEG_BPS_MAX = 50


@dataclass(frozen=True, slots=True)
class PricePolicy:
    """What configuration says about prices. `pegs`: token -> currency."""

    base: str
    pegs: Mapping[str, str]
    sources: Sequence[str]
    cash_assets: frozenset[str]
    cash_in_nav: bool

    @property
    def outside(self) -> frozenset[str]:
        """The cash assets while cash is no part of NAV."""
        return frozenset() if self.cash_in_nav else self.cash_assets


def windows(closes: Instants, reach_us: int) -> list[tuple[int, int]]:
    """Spans of the instants in (close - reach, close] of sorted closes; what is hardly apart is one span."""
    if not len(closes):
        return []
    starts = closes - reach_us + 1
    apart = starts[1:] - closes[:-1] > HARDLY_APART_US
    begins, ends = np.append(True, apart), np.append(apart, True)
    return list(zip(starts[begins].tolist(), closes[ends].tolist(), strict=True))


def pricing(prices: pl.DataFrame, resolution: str, closes: Instants) -> pl.DataFrame:
    """The observations that can price one of `closes` of `resolution`, with `b` (its index) and `order`.

    One that can price several, as a spot can where a bucket is shorter than its tolerance, comes as often.
    """
    able = prices.with_columns(
        order=pl.col("resolution").replace_strict(_orders(resolution), default=None, return_dtype=pl.Int8)
    ).filter(pl.col("order").is_not_null())
    asof = able["asof"].to_numpy()
    reach = np.where((able["resolution"] == SPOT).to_numpy(), SPOT_TOLERANCE_US[resolution], 1)
    first = np.searchsorted(closes, asof, side="left")
    times = np.searchsorted(closes, asof + reach, side="left") - first  # closes in [asof, asof + reach)
    row = np.repeat(np.arange(len(asof)), times)
    nth = np.arange(len(row)) - np.repeat(np.cumsum(times) - times, times)
    return able[row].with_columns(b=pl.Series(first[row] + nth, dtype=pl.UInt32))


def _orders(resolution: str) -> dict[str, int]:
    own = FINENESS[resolution]
    return {name: fine - own for name, fine in FINENESS.items() if fine >= own} | {SPOT: len(FINENESS)}


def choose(prices: pl.DataFrame, resolution: str, closes: Instants, policy: PricePolicy) -> pl.DataFrame:
    """The one observation that prices each (asset, b): PRICES_SCHEMA and `b`, sorted by asset, b."""
    pegged = [token for token, to in policy.pegs.items() if to == policy.base]
    quote = pl.col("quote")
    last = len(policy.sources)
    ranks = {source: position for position, source in enumerate(policy.sources)}
    return (
        pricing(prices, resolution, closes)
        .with_columns(
            quote_rank=pl.when(quote == policy.base).then(0).when(quote.is_in(pegged)).then(1).otherwise(2),
            source_rank=pl.col("source").replace_strict(ranks, default=last, return_dtype=pl.Int64),
        )
        .sort(
            "asset", "b", "order", "asof", "quote_rank", "quote", "source_rank", "source",
            descending=[False, False, False, True, False, False, False, False],
        )
        .unique(["asset", "b"], keep="first", maintain_order=True)
        .drop("order", "quote_rank", "source_rank")
    )  # fmt: skip


def peg_broken(
    token: str, currency: str, prices: pl.DataFrame, rates: pl.DataFrame, closes: Instants
) -> NDArray[np.bool_]:
    """For each close: is the token off its peg by more than 50 bps at the latest `asof` of the hour before?

    Watches rates and prices of the pair, either way round. `rates`: base, quote, asof, rate.
    """
    seen = pl.concat([
        prices.select(left="asset", right="quote", asof="asof", value="price"),
        rates.select(left="base", right="quote", asof="asof", value="rate"),
    ])  # fmt: skip
    pair = seen.filter(
        ((pl.col("left") == token) & (pl.col("right") == currency))
        | ((pl.col("left") == currency) & (pl.col("right") == token))
    )
    off: dict[int, bool] = {}
    for left, asof, value in pair.select("left", "asof", pl.col("value").to_physical()).iter_rows():
        one = SCALE if left == token else value  # the token's value in the currency is value or 1/value
        off[asof] = off.get(asof, False) or abs(value - SCALE) * 10_000 > PEG_BPS_MAX * one
    if not off:
        return np.zeros(len(closes), dtype=bool)
    asofs = np.array(sorted(off), dtype=np.int64)
    flags = np.array([off[int(asof)] for asof in asofs])
    latest = np.searchsorted(asofs, closes, side="right") - 1
    fresh = (latest >= 0) & (closes - asofs[latest] < PEG_WINDOW_US)
    return np.asarray(fresh & flags[latest])
