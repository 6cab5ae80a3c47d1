"""Whole ingest of 100,000 rows, from files on disk to COMMIT, against a floor that checks nothing.

The floor reads the same files with polars, makes strings and hands them to one executemany, with a unique
text id, in one transaction with synchronous=FULL. The naive way reads with `csv`, checks with pydantic and
stores with SQLAlchemy Core, as most would begin. Ours goes through the engine with a warm worker: rules,
keys, quarantine, archive copy, journal and one transaction a file. A file holds at most 10 MB, so there are
two. Floor and naive way are as nice as the worker, so that a busy machine takes the same from all.
"""

import asyncio
import csv
import importlib.util
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from engine.domain.transactions import ACTIONS, COLUMNS
from engine.runtime.executors import WORKER_NICENESS
from tests.bench.homes import MB, bytes_below, ingest, peak_mb, warm_engine, worker_peak_mb
from tests.bench.rounds import answer, table
from tests.bench.trades import write_trades

ROWS, PARTS, ROUNDS, SEED = 100_000, 2, 5, 1
NAIVE_ROWS = 1000  # dictionaries handed to one insert
Checked = Callable[[dict[str, Any]], dict[str, Any]]
HAS_PYDANTIC = importlib.util.find_spec("pydantic") is not None


@pytest.mark.bench
def test_ingest__against_a_floor_without_checks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cases = ["floor", "naive", "ours"] if HAS_PYDANTIC else ["floor", "ours"]
    told = _told(tmp_path, f"ingest of {ROWS:,} rows", cases)
    with capsys.disabled():
        print(told)
        if not HAS_PYDANTIC:
            print("naive: left out, pydantic is not installed (group `peers`)")


@pytest.mark.bench
def test_import_again__against_the_first_import(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = _told(tmp_path, f"import of {ROWS:,} rows", ["ours", "ours, same bytes", "ours, other bytes"])
    with capsys.disabled():
        print(told)


def _told(folder: Path, title: str, cases: list[str]) -> str:
    files = [str(path) for path in write_trades(folder / "trades", ROWS, SEED, PARTS)]
    return table(title, "tests.bench.bench_ingest", cases, files, ROUNDS)


def floor(*files: str) -> dict[str, Any]:
    """Read, strings, insert, commit: one transaction for all files."""
    os.nice(WORKER_NICENESS)
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "floor.db"
        connection = sqlite3.connect(state, isolation_level=None)
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
        state_mb = state.stat().st_size / MB
    return {"seconds": seconds, "peak_mb": peak_mb(), "stored": rows, "state_mb": round(state_mb, 1)}


def naive(*files: str) -> dict[str, Any]:
    """A model a row, a dictionary a row, a transaction a file."""
    os.nice(WORKER_NICENESS)
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(_naive(files, Path(folder) / "naive.db"))
    return found | {"peak_mb": peak_mb()}


async def _naive(files: tuple[str, ...], state: Path) -> dict[str, Any]:
    from sqlalchemy import Column, MetaData, Table, Text, event, insert, select
    from sqlalchemy.ext.asyncio import create_async_engine

    stored = Table("tx", MetaData(), *(Column(name, Text, primary_key=name == "id") for name in COLUMNS))
    checked, refused = _model()
    engine = create_async_engine(f"sqlite+aiosqlite:///{state}")
    event.listen(engine.sync_engine, "connect", _durable)
    async with engine.begin() as connection:
        await connection.run_sync(stored.metadata.create_all)
    rejects = kept = 0
    started = time.perf_counter()
    for file in files:
        async with engine.begin() as connection:
            known = set((await connection.execute(select(stored.c.id))).scalars())
            good, bad = _sorted_out(Path(file), known, checked, refused)
            for at in range(0, len(good), NAIVE_ROWS):
                await connection.execute(insert(stored), good[at : at + NAIVE_ROWS])
        rejects, kept = rejects + bad, kept + len(good)
    seconds = time.perf_counter() - started
    await engine.dispose()
    return {"seconds": seconds, "stored": kept, "rejects": rejects}


def _sorted_out(
    file: Path, known: set[str], checked: Checked, refused: type[Exception]
) -> tuple[list[dict[str, Any]], int]:
    """The good rows that are new, and how many are bad."""
    good: list[dict[str, Any]] = []
    bad = 0
    with file.open(newline="") as lines:
        for row in csv.DictReader(lines):
            try:
                made = checked({name: text or None for name, text in row.items() if name is not None})
            except refused:
                bad += 1
                continue
            if made["id"] not in known:
                known.add(made["id"])
                good.append(made)
    return good, bad


def _durable(connection: Any, _record: object) -> None:
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}").close()


def _model() -> tuple[Checked, type[Exception]]:
    """From a row as texts to a row as texts by way of a typed model, and what says that it is none."""
    from datetime import datetime
    from decimal import Decimal
    from typing import Literal
    from uuid import UUID

    from pydantic import ValidationError, create_model  # type: ignore[import-not-found,unused-ignore]

    fields: dict[str, Any] = dict.fromkeys(COLUMNS, (str | None, None))
    fields |= {"timestamp": (datetime, ...), "action": (Literal[ACTIONS], ...), "quantity": (Decimal, ...)}
    fields |= {"id": (UUID, ...)} | dict.fromkeys(("asset_id", "account"), (str, ...))
    fields |= dict.fromkeys(("unit_price_usd", "fee_amount"), (Decimal | None, None))
    model = create_model("Row", **fields)
    return lambda row: model.model_validate(row).model_dump(mode="json"), ValidationError


def ours(*files: str) -> dict[str, Any]:
    """A fresh home."""
    return asyncio.run(_ours(list(files)))


def same_bytes(*files: str) -> dict[str, Any]:
    """The same files once more: known by their SHA-256."""
    return asyncio.run(_ours(list(files), b""))


def other_bytes(*files: str) -> dict[str, Any]:
    """The same rows once more, in files of other bytes: every row is found to be a duplicate."""
    return asyncio.run(_ours(list(files), b"\n"))


async def _ours(files: list[str], tail: bytes | None = None) -> dict[str, Any]:
    """Of the import of `files`; with a tail, of copies that end in it, after `files` were imported."""
    with tempfile.TemporaryDirectory() as folder:
        async with warm_engine(Path(folder)) as engine:
            if tail is not None:
                await ingest(engine, files)
                files = [_with_tail(Path(file), Path(folder), tail) for file in files]
            found = await ingest(engine, files) | {"peak_mb": await worker_peak_mb(engine)}
        home = engine.home
        sizes = {"state": home.state, "journal": home.journal, "archive": home.archive}
        return found | {f"{name}_mb": round(bytes_below(path) / MB, 1) for name, path in sizes.items()}


def _with_tail(file: Path, folder: Path, tail: bytes) -> str:
    copy = folder / file.name
    copy.write_bytes(file.read_bytes() + tail)
    return str(copy)


CASES = {
    "floor": floor, "naive": naive, "ours": ours,
    "ours, same bytes": same_bytes, "ours, other bytes": other_bytes,
}  # fmt: skip

if __name__ == "__main__":
    answer(CASES)
