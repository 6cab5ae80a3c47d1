"""One asset over time, and all assets at one close, by `navdeck sql`'s views: against the bytes and a glob.

A lake of tiny files of four rows, hard links within a day, and a catalogue that lists them. `bytes` reads the
same files by the catalogue and decodes nothing; `glob` is a DuckDB view over a pattern with hive pruning.
`SQL_FILES=6000` (30 days of 200 assets) or 90000 (450 days).
"""

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from engine.domain.instants import DAY_US, HOUR_US, parse_instant
from engine.runtime import sql
from engine.runtime.home import Home
from engine.snapshots import views
from engine.snapshots.parquet_writer import encode
from engine.snapshots.schemas import SCHEMA_ID
from engine.snapshots.selects import read_select
from engine.valuation.price_engine import SNAPSHOT_SCHEMA
from tests.bench.rounds import ROOT, answer, table

MODULE = "tests.bench.bench_sql"
ASSETS, ROUNDS, WARM = 200, 3, 3
START = date(2024, 1, 1)
START_US = parse_instant("2024-01-01T00:00:00Z") or 0


def days() -> int:
    return int(os.environ.get("SQL_FILES", "6000")) // ASSETS


def name(asset: int) -> str:
    return f"AST{asset:03d}"


def generate(folder: str) -> dict[str, Any]:
    """The lake and its catalogue; every file says that it holds four closes of its day."""
    home = Home(Path(folder) / "home")
    rows = [dict.fromkeys(SNAPSHOT_SCHEMA) | {"kind": "holding", "asset_id": "x", "account": "main"}] * 4
    closes = [START_US + n * HOUR_US for n in range(1, 5)]
    frame = pl.DataFrame(rows, schema=SNAPSHOT_SCHEMA).with_columns(
        bucket_close=pl.Series(closes).cast(SNAPSHOT_SCHEMA["bucket_close"])
    )
    data, records = encode(frame), []
    for day in range(days()):
        dt = (START + timedelta(days=day)).isoformat()
        open_us = START_US + day * DAY_US
        for asset in range(ASSETS):
            path = f"snapshots/resolution=1h/dt={dt}/asset_id={name(asset)}/one.parquet"
            (home.lake / path).parent.mkdir(parents=True)
            if asset == 0:  # one file has so many names at most
                first = home.lake / path
                first.write_bytes(data)
            else:
                os.link(first, home.lake / path)
            records.append((path, "snapshots", "1h", dt, name(asset), 4, 1, open_us + HOUR_US,
                            open_us + DAY_US, "", "", SCHEMA_ID, 1))  # fmt: skip
    with closing(sqlite3.connect(home.state)) as connection, connection:
        connection.executemany(
            "INSERT INTO lake_files(path, dataset, resolution, dt, asset, rows, bytes, close_min, close_max,"
            " sha256, content, schema_id, live_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            records,
        )
    return {"seconds": 0, "files": len(records)}


SERIES = f"asset_id = '{name(7)}'"
SECTION = "dt = '{}'"


def condition(which: str) -> str:
    return SERIES if which == "series" else SECTION.format(START + timedelta(days=days() // 2))


def views_case(folder: str, which: str) -> dict[str, Any]:
    """The parse, the catalogue, the views and the rows; not the start of the process."""
    query = f"SELECT count(*), max(bucket_close), sum(value) FROM snapshots_1h WHERE {condition(which)}"
    home = Home(Path(folder) / "home")

    def ask() -> int:
        with views.connect(500_000_000, 2) as connection:
            files = sql.lay_out(connection, read_select(query, views.VIEWS, connection), home, 0)
            connection.execute(query).fetchall()
            return len(files)

    return _timed(ask)


def bytes_case(folder: str, which: str) -> dict[str, Any]:
    home = Home(Path(folder) / "home")
    column = "asset" if which == "series" else "dt"
    value = condition(which).split("'")[1]

    def read() -> int:
        with closing(sqlite3.connect(home.state)) as connection:
            found = connection.execute(
                f"SELECT path FROM lake_files WHERE dead_at IS NULL AND resolution = '1h' AND {column} = ?",
                (value,),
            ).fetchall()
        return sum(len((home.lake / path).read_bytes()) > 0 for (path,) in found)

    return _timed(read)


def glob_case(folder: str, which: str) -> dict[str, Any]:
    lake = Home(Path(folder) / "home").lake
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.execute(
            f"CREATE VIEW lake AS SELECT * FROM read_parquet('{lake}/snapshots/resolution=1h/*/*/*.parquet',"
            " hive_partitioning = true, hive_types = {'dt': VARCHAR, 'asset_id': VARCHAR})"
        )
        query = f"SELECT count(*), max(bucket_close), sum(value) FROM lake WHERE {condition(which)}"
        return _timed(lambda: len(connection.execute(query).fetchall()))


def _timed(act: Callable[[], int]) -> dict[str, Any]:
    """The median of a few warm runs."""
    found = 0
    times = []
    for _ in range(WARM + 1):
        begin = time.perf_counter()
        found = act()
        times.append(time.perf_counter() - begin)
    return {"seconds": sorted(times[1:])[WARM // 2], "found": found}


CASES = {"bytes": bytes_case, "views": views_case, "glob": glob_case}


@pytest.mark.bench
@pytest.mark.parametrize("which", ["series", "section"])
def test_sql__pruned_views_against_bytes_and_glob(
    which: str, blank_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(blank_home, tmp_path / "home")
    subprocess.run([sys.executable, "-m", MODULE, "generate", str(tmp_path)], cwd=ROOT, check=True)
    title = f"{which} over {days() * ASSETS} tiny files"
    told = table(title, MODULE, list(CASES), [str(tmp_path), which], ROUNDS)
    with capsys.disabled():
        print(told)


if __name__ == "__main__":
    answer({"generate": generate} | CASES)
