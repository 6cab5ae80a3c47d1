"""The real hourly feed against the real reference rates: what is held as it stands, and without nights."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from engine.domain.instants import HOUR_US, from_us, parse_instant
from engine.valuation.buckets import Instants, closes
from engine.valuation.fx_handler import FxPolicy, RateBook
from engine.valuation.fx_quotes import OBSERVATIONS_SCHEMA

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "fx"
# Of 71,425 closes of 5m. As it stands: five Sunday nights that the feed lacks, after Fridays that moved.
AS_IT_STANDS, WITHOUT_NIGHTS = 420, 8_856
FIRST, LAST = "2024-01-02T00:00:00Z", "2024-09-06T00:00:00Z"
pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data is not here")


def observations(name: str) -> pl.DataFrame:
    frame = pl.read_csv(SHARED / name, infer_schema=False).rename({"fx_source": "source"})
    frame = frame.filter((pl.col("base") == "EUR") & (pl.col("quote") == "USD"))
    asof = [parse_instant(text) for text in frame["asof"]]
    rate = pl.col("rate").cast(pl.Decimal(38, 18))
    return frame.with_columns(rate, asof=pl.Series(asof, dtype=pl.Int64)).select(*OBSERVATIONS_SCHEMA)


def found(hourly: pl.DataFrame) -> tuple[Instants, dict[str, int]]:
    """The closes that are held, and how many there are by what values them."""
    book = RateBook(pl.concat([hourly, observations("ecb_eod_2017-2026.csv")]), FxPolicy())
    at = closes("5m", "UTC", parse_instant(FIRST) or 0, parse_instant(LAST) or 0)
    vector = book.direct("EUR/USD", at)
    kinds = np.array([use.reason or (use.source or "").partition("_")[0] for use in vector.table])[vector.idx]
    names, counts = np.unique(kinds, return_counts=True)
    return at[kinds == "FX_HELD"], dict(zip(names.tolist(), counts.tolist(), strict=True))


def test_as_the_data_stands__only_sunday_nights_are_held() -> None:
    held, kinds = found(observations("eurusd_1h_2024.csv"))
    assert kinds == {"histdata": 68_389, "ecb": 2_616, "FX_HELD": AS_IT_STANDS}
    assert len(held) == AS_IT_STANDS
    assert {from_us(close).weekday() for close in held.tolist()} == {6, 0}


def test_without_the_nights__held_where_the_market_moved_since_the_fixing() -> None:
    hourly = observations("eurusd_1h_2024.csv")
    hours = (hourly["asof"] // HOUR_US) % 24
    held, _ = found(hourly.filter((hours >= 6) & (hours < 18)))
    assert len(held) == WITHOUT_NIGHTS
    at_night = [not 7 <= from_us(close).hour < 18 for close in held.tolist()]
    assert np.mean(at_night) > 0.8
