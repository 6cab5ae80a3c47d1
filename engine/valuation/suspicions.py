"""Prices that are stored, count, and look wrong: told with evidence, never changed and never left out.

Three signs. JUMP: ten times, or a tenth of, the bar before in its series. SOURCES_APART: two sources of one
asset, quote and resolution more than 100 basis points apart at one instant. NO_TRADES: a bar whose volume
is 0, so its close is an older price in disguise.

Judged over the whole set by instant: the order in which prices arrived changes nothing.
"""

import polars as pl

from engine.domain.money import SCALE, div_half_even, to_text

JUMP_FACTOR = 10
APART_BPS_MAX = 100
BPS = 10_000
KEY = ("asset", "quote", "resolution")
SCHEMA = {
    "code": pl.String, "asset": pl.String, "quote": pl.String, "resolution": pl.String, "asof": pl.Int64,
    "source": pl.String, "price": pl.Int128, "other": pl.String, "other_price": pl.Int128,
    "bps": pl.String,
}  # fmt: skip


def suspicions(prices: pl.DataFrame) -> pl.DataFrame:
    """Of prices (asset, quote, source, resolution, asof, price, volume; one version a key): SCHEMA, sorted.

    `other` and `other_price` are what a price is held against: the bar before it, or another source.
    `bps` is how far they are apart, in plain decimals: it can be longer than 128 bits.
    """
    exact = prices.with_columns(pl.col("price").to_physical().cast(pl.Int128))
    found = [_jumps(exact), _apart(exact), _without_trades(exact)]
    return pl.concat(found).sort("asof", "asset", "code", "source", "quote", "resolution")


def _jumps(prices: pl.DataFrame) -> pl.DataFrame:
    series = (*KEY, "source")
    ordered = prices.sort(*series, "asof")
    before = pl.col("price").shift(1).over(series)
    return _told(
        ordered.with_columns(other_price=before, other=pl.lit("the bar before")).filter(
            pl.col("other_price").is_not_null()
            & (
                (pl.col("price") // JUMP_FACTOR >= pl.col("other_price"))  # a product could leave 128 bits
                | (pl.col("other_price") // JUMP_FACTOR >= pl.col("price"))
            )
        ),
        "JUMP",
    )


def _apart(prices: pl.DataFrame) -> pl.DataFrame:
    """The source with the higher price, against the one with the lowest."""
    at = (*KEY, "asof")
    several = prices.filter(pl.len().over(at) > 1).sort(*at, "price", "source")
    lowest = several.with_columns(
        other=pl.col("source").first().over(at), other_price=pl.col("price").first().over(at)
    )
    gap = pl.col("price") - pl.col("other_price")
    return _told(lowest.filter(gap > pl.col("other_price") // (BPS // APART_BPS_MAX)), "SOURCES_APART")


def _without_trades(prices: pl.DataFrame) -> pl.DataFrame:
    idle = prices.filter(pl.col("volume").is_not_null() & (pl.col("volume") == 0))
    nothing = idle.with_columns(other=pl.lit("", pl.String), other_price=pl.lit(None, pl.Int128))
    return _told(nothing, "NO_TRADES")


def _told(frame: pl.DataFrame, code: str) -> pl.DataFrame:
    pairs = zip(frame["price"].to_list(), frame["other_price"].to_list(), strict=True)
    bps = [None if other is None else _bps(price, other) for price, other in pairs]
    return frame.with_columns(code=pl.lit(code), bps=pl.Series(bps, dtype=pl.String)).select(
        pl.col(name).cast(kind) for name, kind in SCHEMA.items()
    )


def _bps(price: int, other: int) -> str:
    """|price / other - 1| in basis points."""
    return to_text(div_half_even(abs(price - other) * BPS * SCALE, other))
