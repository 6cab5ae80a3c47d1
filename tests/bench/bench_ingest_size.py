"""Ingest at size: into a store of ten million rows, and a hundred files in a row.

A large store is made once by a plain executemany and copied for each round: its rows lie before the new
ones, or all around them in two years, or all in the very days of the new ones, where every new id lands
in a page of its own. Memory is the worker's peak, beside that of the floor's process.
"""

import asyncio
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.bench.bench_ingest import floor
from tests.bench.homes import ingest, make_store, warm_engine, worker_peak_mb
from tests.bench.rounds import answer, table
from tests.bench.trades import DAYS, START, write_trades

ROWS, PARTS, ROUNDS, SEED = 100_000, 2, 5, 1
STORED_ROWS = 10_000_000
# When the stored rows begin, in days from the first new row, and over how many days they lie.
SPANS_DAYS = {"before": (-730, 730), "around": (-350, 730), "within": (0, DAYS)}
MANY_FILES, MANY_ROWS, MANY_ROUNDS = 100, 20_000, 3


@pytest.mark.bench
def test_ingest__into_a_large_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [str(path) for path in write_trades(tmp_path / "trades", ROWS, SEED, PARTS)]
    stores = {name: tmp_path / f"{name}.db" for name in SPANS_DAYS}
    for name, (since, days) in SPANS_DAYS.items():
        make_store(stores[name], STORED_ROWS, START + timedelta(days=since), days)
    title = f"ingest of {ROWS:,} rows into a store of {STORED_ROWS:,}"
    cases = ["empty store", *SPANS_DAYS]
    told = table(title, "tests.bench.bench_ingest_size", cases, [str(tmp_path), *files], ROUNDS)
    for store in stores.values():
        store.unlink()
    with capsys.disabled():
        print(told)


@pytest.mark.bench
def test_ingest__memory_of_one_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (file,) = write_trades(tmp_path / "trades", ROWS // PARTS, SEED)
    cases = ["floor, these files", "ours, these files"]
    title = f"memory of one file of {ROWS // PARTS:,} rows"
    told = table(title, "tests.bench.bench_ingest_size", cases, [str(file)], ROUNDS)
    with capsys.disabled():
        print(told)


@pytest.mark.bench
def test_ingest__memory_of_many_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = write_trades(tmp_path / "trades", MANY_FILES * MANY_ROWS, SEED, MANY_FILES)
    files = [str(path) for path in paths]
    cases = ["ours, first file", "ours, these files"]
    title = f"memory of 1 and of {MANY_FILES} files of {MANY_ROWS:,} rows"
    told = table(title, "tests.bench.bench_ingest_size", cases, files, MANY_ROUNDS)
    with capsys.disabled():
        print(told)


def ours(*files: str) -> dict[str, Any]:
    return asyncio.run(_ours(None, files))


def first(*files: str) -> dict[str, Any]:
    return ours(files[0])


def empty(_folder: str, *files: str) -> dict[str, Any]:
    return ours(*files)


def before(folder: str, *files: str) -> dict[str, Any]:
    return asyncio.run(_ours(Path(folder) / "before.db", files))


def around(folder: str, *files: str) -> dict[str, Any]:
    return asyncio.run(_ours(Path(folder) / "around.db", files))


def within(folder: str, *files: str) -> dict[str, Any]:
    return asyncio.run(_ours(Path(folder) / "within.db", files))


async def _ours(state: Path | None, files: tuple[str, ...]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        async with warm_engine(Path(folder), state) as engine:
            return await ingest(engine, files) | {"peak_mb": await worker_peak_mb(engine)}


CASES = {
    "empty store": empty, "before": before, "around": around, "within": within,
    "floor, these files": floor, "ours, these files": ours, "ours, first file": first,
}  # fmt: skip

if __name__ == "__main__":
    answer(CASES)
