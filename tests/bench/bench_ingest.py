"""Whole ingest of 100,000 rows, from files on disk to COMMIT, against a floor that checks nothing.

The floor reads the same files with polars, makes strings and hands them to one executemany, with a unique
text id, in one transaction with synchronous=FULL. Ours goes through the engine with a warm worker: rules,
keys, quarantine, archive copy and one transaction a file. A file holds at most 10 MB, so there are two.
"""

import asyncio
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from engine.domain.transactions import COLUMNS
from engine.messages import Command
from engine.runtime.engine import Engine, make_home
from engine.runtime.executors import WorkerExecutor
from engine.runtime.home import Home
from tests.bench.rounds import answer, table
from tests.bench.trades import write_trades

ROWS, PARTS, ROUNDS, SEED = 100_000, 2, 5, 1


@pytest.mark.bench
def test_ingest__against_a_floor_without_checks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [str(path) for path in write_trades(tmp_path / "trades", ROWS, SEED, PARTS)]
    told = table(f"ingest of {ROWS:,} rows", "tests.bench.bench_ingest", list(CASES), files, ROUNDS)
    with capsys.disabled():
        print(told)


def floor(*files: str) -> dict[str, Any]:
    """Read, strings, insert, commit: one transaction for all files."""
    with tempfile.TemporaryDirectory() as folder:
        connection = sqlite3.connect(Path(folder) / "floor.db", isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        columns = ", ".join(["id TEXT NOT NULL UNIQUE", *(f"{name} TEXT" for name in COLUMNS[1:])])
        connection.execute(f"CREATE TABLE tx({columns})")
        insert = f"INSERT OR IGNORE INTO tx VALUES ({','.join('?' * len(COLUMNS))})"
        started = time.perf_counter()
        connection.execute("BEGIN")
        for file in files:
            frame = pl.read_csv(Path(file).read_bytes(), infer_schema=False, truncate_ragged_lines=True)
            connection.executemany(insert, frame.rows())
        connection.execute("COMMIT")
        seconds = time.perf_counter() - started
        rows = connection.execute("SELECT count(*) FROM tx").fetchone()[0]
        connection.close()
    return {"seconds": seconds, "stored": rows}


def ours(*files: str) -> dict[str, Any]:
    """A fresh home."""
    return asyncio.run(_through_engine(list(files), again=False))


def ours_again(*files: str) -> dict[str, Any]:
    """The same rows once more, in files of other bytes: every row is found to be a duplicate."""
    return asyncio.run(_through_engine(list(files), again=True))


async def _through_engine(files: list[str], again: bool) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        await make_home(home, "USD", "UTC", "FIFO")
        engine = await Engine.open(home, WorkerExecutor(), writing=True)
        await _warm(engine, Path(folder))
        if again:
            await engine.do(Command("ingest", {"paths": files}))
            files = [_with_blank_line(Path(file), Path(folder)) for file in files]
        lag = asyncio.create_task(_lag_s(time.perf_counter))
        started = time.perf_counter()
        result = await engine.do(Command("ingest", {"paths": files}))
        seconds = time.perf_counter() - started
        lag.cancel()
        worker_mb = await engine._executor.run(_peak_mb)
        await engine.close()
    told = {name: result.value["totals"][name] for name in ("accepted", "duplicates", "quarantined")}
    return {"seconds": seconds, **told, "worker_mb": round(worker_mb), "lag_ms": round(LAGS[-1] * 1000, 1)}


LAGS = [0.0]


async def _lag_s(clock: Callable[[], float]) -> None:
    """Keeps the longest time by which a sleep of 5 ms came late: how long the loop was held."""
    while True:
        before = clock()
        await asyncio.sleep(0.005)
        LAGS.append(max(LAGS[-1], clock() - before - 0.005))


async def _warm(engine: Engine, folder: Path) -> None:
    """One small dry run: the worker has started and imported, nothing is stored."""
    (file,) = write_trades(folder / "warm", 200, SEED + 1)
    await engine.do(Command("ingest", {"paths": [str(file)]}, dry_run=True))


def _with_blank_line(file: Path, folder: Path) -> str:
    copy = folder / file.name
    copy.write_bytes(file.read_bytes() + b"\n")
    return str(copy)


def _peak_mb() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


CASES = {"floor": floor, "ours": ours, "ours, again": ours_again}

if __name__ == "__main__":
    sys.modules["tests.bench.bench_ingest"] = sys.modules["__main__"]
    answer(CASES)
