"""Lakes and catalogues for benches: seeded snapshots of a day, homes that hold them open, small files."""

import asyncio
import shutil
import sqlite3
from collections.abc import Callable, Coroutine
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from engine.domain.instants import DAY_US, MINUTE_US, format_instant, parse_instant
from engine.runtime.engine import make_home
from engine.runtime.home import Home
from engine.runtime.putting import RECORD_COLUMNS
from engine.snapshots.open_rows import STORED, stored
from engine.store.writer import Writer
from engine.valuation.price_engine import SNAPSHOT_SCHEMA

START_US = parse_instant("2025-03-01T00:00:00Z") or 0
CLOSES = 288


def name(asset: int) -> str:
    return f"AST{asset:03d}"


def date_of(day: int) -> str:
    return format_instant(START_US + day * DAY_US)[:10]


def closes_of(day: int, first: int, count: int) -> list[int]:
    """Some 5m closes of a day, from the nth on."""
    return [START_US + day * DAY_US + 5 * MINUTE_US * (n + 1) for n in range(first, first + count)]


def snapshots(assets: int, day: int, first: int = 0, count: int = CLOSES) -> pl.DataFrame:
    """What assets in one account are worth at some closes of a day, and dt; by asset and close."""
    rng = np.random.default_rng(day * 1000 + first)
    walk = np.exp(np.cumsum(rng.normal(0, 0.001, (assets, count)), axis=1))
    level = np.exp(rng.normal(3, 2, (assets, 1)))
    price = pl.Series(np.round(level * walk, 6).ravel()).cast(pl.Decimal(38, 18))
    quantity = pl.Series(np.repeat(np.round(np.exp(rng.normal(0, 2, assets)), 8), count))
    quantity = quantity.cast(pl.Decimal(38, 18))
    closes = pl.Series(np.tile(closes_of(day, first, count), assets)).cast(SNAPSHOT_SCHEMA["asof"])
    ids = [name(asset) for asset in range(assets)]
    given: dict[str, Any] = {
        "kind": "holding", "account": "main", "quote_currency": "USD", "price_source": "exchange",
        "resolution": "5m", "flags": "",
    }  # fmt: skip
    frame = pl.DataFrame({"asset_id": np.repeat(ids, count), "bucket_close": closes, "asof": closes})
    return frame.with_columns(
        *(pl.lit(value).alias(column) for column, value in given.items()),
        *(pl.lit(None, SNAPSHOT_SCHEMA[column]).alias(column) for column in SNAPSHOT_SCHEMA.keys()
          - given.keys() - {"asset_id", "bucket_close", "asof", "quantity", "price", "value"}),
        quantity=quantity, price=price, value=quantity * price, dt=pl.lit(date_of(day)),
    ).select(*SNAPSHOT_SCHEMA, "dt")  # fmt: skip


def new_home(folder: Path) -> Home:
    home = Home(folder / "home")
    asyncio.run(make_home(home, "USD", "UTC", "FIFO"))
    return home


def put_open(home: Home, frame: pl.DataFrame) -> None:
    """Rows that lie open, past the engine."""
    rows = [("5m", *row) for row in stored(frame).iter_rows()]
    with closing(sqlite3.connect(home.state)) as connection, connection:
        marks = ", ".join("?" * (len(STORED) + 1))
        connection.executemany(
            f"INSERT INTO open_snapshots(bucket, {', '.join(STORED)}) VALUES ({marks})", rows
        )


def put_catalogue(home: Home, days: int, assets: int) -> None:
    """Files that are listed and not there, of days before the first."""
    rows = [
        (f"{date_of(-1 - day)}/{name(asset)}", "5m", date_of(-1 - day), name(asset), CLOSES, 1,
         *(closes_of(-1 - day, end, 1)[0] for end in (0, CLOSES - 1)), "", "", 1, "snapshots", 1)
        for day in range(days) for asset in range(assets)
    ]  # fmt: skip
    columns = (*RECORD_COLUMNS, "dataset", "live_at")
    with closing(sqlite3.connect(home.state)) as connection, connection:
        connection.executemany(
            f"INSERT INTO lake_files({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})", rows
        )


def copied(home: Home, folder: Path) -> Home:
    """A home of its own with what this one has."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(home.path, folder)
    return Home(folder)


def with_writer(home: Home, act: Callable[[Writer], Coroutine[Any, Any, Any]]) -> Any:
    """Work with the one who writes, whose connection is warm."""

    async def run() -> Any:
        writer = await Writer.open(home.state, lambda: START_US)
        try:
            return await act(writer)
        finally:
            await writer.close()

    return asyncio.run(run())
