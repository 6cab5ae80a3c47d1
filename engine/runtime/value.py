"""Valuation of a home at one resolution: inputs from the store, values from the engine, files in the lake.

The heavy half runs in the executor and writes files that nobody lists yet; the light half commits their
records, and the days they cover, in one transaction. Days are valued whole, so partitions are whole.
"""

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from engine.domain.instants import DAY_US, format_instant
from engine.domain.money import to_text
from engine.errors import StoreIntegrity
from engine.runtime.books import Books
from engine.runtime.home import Home
from engine.snapshots.nav_reader import read_points
from engine.snapshots.parquet_writer import DATASET, SCHEMA_ID, AssetFiles, FileRecord, paths
from engine.store.reader import Reader
from engine.store.writer import Writer
from engine.valuation import buckets, price_engine
from engine.valuation.positions import positions
from engine.valuation.price_choice import choose, peg_broken, pricing
from engine.valuation.rates import RateVector

RECORD_COLUMNS = (
    "path",
    "resolution",
    "dt",
    "asset",
    "rows",
    "bytes",
    "close_min",
    "close_max",
    "sha256",
    "content",
)


@dataclass(frozen=True, slots=True)
class Valued:
    """What was computed. `days`: (dt, first close, last close); `whole`: the series has no other days."""

    resolution: str
    buckets: int
    snapshots: int
    complete: int
    days: list[tuple[str, int, int]]
    files: list[FileRecord]
    whole: bool


@dataclass(frozen=True, slots=True)
class Series:
    """The closes to value and the local day (dt) of each one's open."""

    closes: np.ndarray
    days: list[str]


def value_resolution(
    home_path: str, resolution: str, after: int | None, until: int | None, reach: int | None = None
) -> Valued:
    """Values all days that have a close in (after, until] and writes their snapshot files.

    `reach`: the series goes on to the last close by then, priced or not (a running engine's now).
    """
    home = Home(Path(home_path))
    with Reader(home.state) as reader:
        books = Books(reader, home.config())
        series = series_of(books, resolution, after, until, reach)
        live = {(row["dt"], row["asset"]): FileRecord(**row) for row in reader.live_files(resolution)}
        inputs = inputs_of(books, resolution, series.closes)
    files, totals = _write(home, resolution, series, inputs, live)
    os.sync()  # one flush for thousands of small files, before anyone lists them
    _check(home, files, totals, series)
    return Valued(
        resolution=resolution,
        buckets=len(series.closes),
        snapshots=sum(file.rows for file in files),
        complete=_complete(totals, len(series.closes)),
        days=_day_spans(series),
        files=files,
        whole=after is None and until is None,
    )


def series_of(
    books: Books,
    resolution: str,
    after: int | None = None,
    until: int | None = None,
    reach: int | None = None,
) -> Series:
    """The series of a resolution: from the first ledger row to the last close that a price can price."""
    first, last = books.first_ts(), _last_priced(books, resolution)
    zone = books.config["timezone"]
    if reach is not None:
        last = reach if last is None else max(last, reach)
    if first is None or last is None or last < first:
        return Series(np.zeros(0, dtype=np.int64), [])
    closes = buckets.closes(resolution, zone, first, last)
    days = buckets.local_dates(buckets.opens(closes, resolution, zone), zone)
    if after is None and until is None:
        return Series(closes, days)
    low = after if after is not None else -1
    high = until if until is not None else int(last)
    chosen = {day for day, close in zip(days, closes.tolist(), strict=True) if low < close <= high}
    kept = np.array([day in chosen for day in days], dtype=bool)
    return Series(closes[kept], [day for day in days if day in chosen])


def _last_priced(books: Books, resolution: str) -> int | None:
    """The last close of a resolution that some observation can price."""
    if books.prices.is_empty():
        return None
    asofs = books.prices["asof"]
    zone = books.config["timezone"]
    # The observations that can price nothing later than the newest are looked at from the end, day by day.
    newest = int(asofs.max())  # type: ignore[arg-type]
    oldest = int(asofs.min())  # type: ignore[arg-type]
    span = DAY_US
    while True:
        closes = buckets.closes(resolution, zone, newest - span, newest + 2 * DAY_US)
        near = books.prices.filter(pl.col("asof") > newest - span)
        found = pricing(near, resolution, closes)
        if found.height:
            return int(closes[int(found["b"].max())])  # type: ignore[arg-type]
        if newest - span < oldest:
            return None
        span *= 8


def inputs_of(books: Books, resolution: str, closes: np.ndarray) -> price_engine.Inputs:
    """All that the price engine needs, from the books."""
    policy = books.price_policy
    prices = books.prices.with_columns(
        places=(pl.col("text").str.len_bytes() - pl.col("text").str.find(".", literal=True) - 1)
        .fill_null(0)
        .cast(pl.UInt8)
    )
    chosen = choose(prices.drop("text"), resolution, closes, policy)
    held = positions(books.movements(), closes, books.cash_assets, books.cash_in_nav)
    quotes = {*chosen["quote"].unique(), *policy.pegs.values(), *books.cash_assets} | {policy.base}
    currencies = {policy.pegs.get(quote, quote) for quote in quotes} - {policy.base}
    used = currencies & _needed(held.segments["asset"].unique().to_list(), chosen, policy)
    rates: dict[str, RateVector] = {
        currency: books.rate_book.convert(currency, policy.base, closes) for currency in sorted(used)
    }
    broken = {
        token: peg_broken(token, currency, prices, books.rates, closes)
        for token, currency in policy.pegs.items()
    }
    return price_engine.Inputs(closes, held, chosen, rates, broken, books.statuses(), policy)


def _needed(assets: list[str], chosen: pl.DataFrame, policy: Any) -> set[str]:
    """Currencies that the held assets are priced in."""
    quotes = set(chosen.filter(pl.col("asset").is_in(assets))["quote"].unique())
    quotes |= {asset for asset in assets if asset in policy.cash_assets or asset in policy.pegs}
    return {policy.pegs.get(quote, quote) for quote in quotes}


def _write(
    home: Home, resolution: str, series: Series, inputs: price_engine.Inputs,
    live: dict[tuple[str, str], FileRecord],
) -> tuple[list[FileRecord], price_engine.NavTotals]:  # fmt: skip
    records: list[FileRecord] = []
    totals = price_engine.NavTotals(inputs)
    for values, files in asset_files(series, inputs):
        totals.add(values)
        records += files.write(home.lake, resolution, live)
    return records, totals


def asset_files(
    series: Series, inputs: price_engine.Inputs
) -> Iterator[tuple[price_engine.AssetValues, AssetFiles]]:
    """Each asset's values, and its snapshots cut into days."""
    day_of = dict(zip(series.closes.tolist(), series.days, strict=True))
    for values in price_engine.run(inputs):
        frame = price_engine.snapshots(values, inputs)
        days = frame["bucket_close"].to_physical().replace_strict(day_of, return_dtype=pl.String)
        yield values, AssetFiles(values.asset, frame, days)


def _complete(totals: price_engine.NavTotals, size: int) -> int:
    """Buckets in which every holding of every account is valued."""
    if not totals.accounts:
        return size
    return int(totals.complete().reshape(len(totals.accounts), size).all(axis=0).sum())


def _check(home: Home, files: list[FileRecord], totals: price_engine.NavTotals, series: Series) -> None:
    """The pair of the sums made while writing: what the files say when read back must be the same."""
    if not files:
        return
    points = read_points(paths(home.lake, files), int(series.closes[0]), int(series.closes[-1]))
    sums = totals.priced_in_all().to_physical().to_list()
    for close, expected in zip(series.closes.tolist(), sums, strict=True):
        told = points[close].priced_value if close in points else "0"
        if told != (None if expected is None else to_text(expected)):
            raise StoreIntegrity(
                f"Read back, the snapshots at {format_instant(close)} give {told}: not what was written.",
                "Nothing was committed. Check the disk, then run `navdeck value` again.",
            )


def _day_spans(series: Series) -> list[tuple[str, int, int]]:
    spans: dict[str, tuple[int, int]] = {}
    for day, close in zip(series.days, series.closes.tolist(), strict=True):
        first, _ = spans.get(day, (close, close))
        spans[day] = (first, close)
    return [(day, first, last) for day, (first, last) in spans.items()]


async def commit_values(writer: Writer, valued: Valued) -> None:
    """Makes the new files live and the replaced ones dead, in one transaction with the days they cover."""
    kept = {file.path for file in valued.files}
    days = {day for day, _, _ in valued.days}
    async with writer.transaction() as (connection, now):
        found = await connection.exec_driver_sql(
            "SELECT path, dt FROM lake_files WHERE dead_at IS NULL AND resolution = ?", (valued.resolution,)
        )
        listed: list[Any] = list(found.all())
        dead = [path for path, dt in listed if path not in kept and (valued.whole or dt in days)]
        known = {path for path, _ in listed}
        if dead:
            await connection.exec_driver_sql(
                "UPDATE lake_files SET dead_at = ? WHERE path = ?", [(now, path) for path in dead]
            )
        fresh = [file for file in valued.files if file.path not in known]
        if fresh:
            columns = ("dataset", "schema_id", "live_at", *RECORD_COLUMNS)
            rows = [(DATASET, SCHEMA_ID, now, *asdict(file).values()) for file in fresh]
            await connection.exec_driver_sql(
                f"INSERT INTO lake_files({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
                " ON CONFLICT(path) DO UPDATE SET dead_at = NULL, live_at = excluded.live_at",
                rows,
            )
        await _commit_days(connection, valued, now)


async def _commit_days(connection: Any, valued: Valued, now: int) -> None:
    if valued.whole:
        await connection.exec_driver_sql("DELETE FROM valued WHERE resolution = ?", (valued.resolution,))
    if valued.days:
        await connection.exec_driver_sql(
            "INSERT INTO valued(resolution, dt, close_first, close_last, committed_at) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT(resolution, dt) DO UPDATE SET close_first = excluded.close_first,"
            " close_last = excluded.close_last, committed_at = excluded.committed_at",
            [(valued.resolution, *span, now) for span in valued.days],
        )
