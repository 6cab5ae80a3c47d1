"""What the journal costs a commit of 500 rows: the same rows into the same tables, with and without it.

The rows are those that an ingest of trades committed, read back from its journal. Both ways open state.db,
insert and COMMIT with synchronous=FULL for each commit; ours also packs, chains, writes and fsyncs a record.
"""

import asyncio
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from engine.store import commit, journal
from engine.store.writer import Writer
from tests.bench.homes import ingest, warm_engine
from tests.bench.rounds import answer, table
from tests.bench.trades import write_trades

COMMITS, WARM, ROWS, ROUNDS, SEED, AT = 100, 100, 500, 9, 1, 1_700_000_000_000_000
Put = tuple[str, pl.DataFrame]


@pytest.mark.bench
def test_journal__against_commits_without_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(_home(tmp_path))
    title = f"{COMMITS} commits of {ROWS} rows, seed {SEED}"
    arguments = [str(tmp_path / "home" / "journal")]
    told = table(title, "tests.bench.bench_journal", ["no journal", "journal"], arguments, ROUNDS)
    with capsys.disabled():
        print(told)


async def _home(folder: Path) -> None:
    files = write_trades(folder / "trades", COMMITS * ROWS, SEED, COMMITS)
    async with warm_engine(folder) as engine:
        await ingest(engine, [str(path) for path in files])


@contextmanager
def _store(journal_folder: str) -> Iterator[tuple[Path, Path, list[list[Put]]]]:
    """An empty state.db, the folder for its journal, and what each commit puts."""
    commits = [list(commit.decoded(entry)) for entry in journal.read(Path(journal_folder))]
    with tempfile.TemporaryDirectory(dir=Path(journal_folder).parent) as folder:
        state = Path(folder) / "state.db"

        async def make() -> None:
            await (await Writer.open(state, lambda: AT)).close()

        asyncio.run(make())
        yield state, Path(folder) / "journal", commits


def without(folder: str) -> dict[str, Any]:
    """Insert and COMMIT."""
    return _timed(folder, _commit)


def journalled(folder: str) -> dict[str, Any]:
    """The engine's own transaction."""
    return _timed(folder, _transaction)


def _timed(folder: str, keep: Callable[[Path, Path, int, list[Put]], None]) -> dict[str, Any]:
    """Seconds for all commits, after some into another store: the engine's worker is warm as well."""
    for warm in (True, False):
        with _store(folder) as (state, book, commits):
            started = time.perf_counter()
            for number, puts in enumerate(commits[: WARM if warm else None]):
                keep(state, book, number, puts)
            seconds = time.perf_counter() - started
    return {"seconds": seconds, "commits": len(commits)}


def _commit(state: Path, _book: Path, number: int, puts: list[Put]) -> None:
    with closing(commit._connected(state)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        for name, frame in puts:
            parts = frame.iter_slices(commit.BATCH_ROWS)
            commit._insert(connection, name, frame.columns, parts, lambda *_: None)
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('committed_at', ?)", (str(number),))
        connection.execute("COMMIT")


def _transaction(state: Path, book: Path, _number: int, puts: list[Put]) -> None:
    with commit.transaction(state, book, AT, "bench") as work:
        for name, frame in puts:
            work.put(name, frame)


if __name__ == "__main__":
    answer({"no journal": without, "journal": journalled})
