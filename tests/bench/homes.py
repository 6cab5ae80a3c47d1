"""Fresh homes for the benches of ingest, with a warm worker and a store that may be large already.

Owns what surrounds a measured ingest: the home, the worker's start, stored rows, peaks and bytes. It judges
no figure.
"""

import asyncio
import itertools
import os
import random
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from datetime import datetime
from pathlib import Path
from typing import Any

from engine.domain.transactions import KeyKind
from engine.messages import Command
from engine.runtime.engine import Engine, make_home
from engine.runtime.executors import WorkerExecutor
from engine.runtime.home import Home
from engine.store.known import MARK_ID_GIVEN
from tests.bench.trades import ACCOUNTS, ASSETS, write_trades

WARM_ROWS, WARM_SEED = 200, 2
CHUNK_ROWS = 100_000  # stored rows that are in memory at a time
TEXTS = 10_007  # distinct quantities and prices of stored rows; a prime, so that they fall on all assets
MB = 1_000_000


@asynccontextmanager
async def warm_engine(folder: Path, state: Path | None = None) -> AsyncIterator[Engine]:
    """An engine on a new home below `folder`, `state` copied to be its store; its worker has imported all.

    Once it is closed, all that it wrote is in state.db and nothing in its WAL.
    """
    home = Home(folder / "home")
    await make_home(home, "USD", "UTC", "FIFO")
    if state is not None:
        _copy(state, home.state)
    engine = await Engine.open(home, WorkerExecutor(), writing=True)
    try:
        (file,) = write_trades(folder / "warm", WARM_ROWS, WARM_SEED)
        await engine.do(Command("ingest", {"paths": [str(file)]}, dry_run=True))
        yield engine
    finally:
        await engine.close()


async def ingest(engine: Engine, files: Sequence[str]) -> dict[str, Any]:
    """Seconds of one ingest, its rows by outcome, and by how much a sleep of 5 ms came late meanwhile."""
    lags = [0.0]
    lag = asyncio.create_task(_lag_s(time.perf_counter, lags))
    started = time.perf_counter()
    result = await engine.do(Command("ingest", {"paths": list(files)}))
    seconds = time.perf_counter() - started
    lag.cancel()
    told = {name: result.value["totals"][name] for name in ("accepted", "duplicates", "quarantined")}
    return {"seconds": seconds, **told, "lag_ms": round(max(lags) * 1000, 1)}


async def worker_peak_mb(engine: Engine) -> float:
    return await engine._executor.run(peak_mb)


def peak_mb() -> float:
    """The most that this process ever had in memory, without what its parent had when it was started."""
    with open("/proc/self/status") as status:
        kib = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    return kib * 1024 / MB


def bytes_below(path: Path) -> int:
    """Of a file, or of all files below a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def make_store(state: Path, rows: int, start: datetime, days: int) -> None:
    """A state.db of one ingested file of `rows` rows in order of time, spread over days from `start`."""
    home = Home(state.parent / f".{state.name}.home")
    asyncio.run(make_home(home, "USD", "UTC", "FIFO"))
    home.state.rename(state)
    shutil.rmtree(home.path)
    with closing(sqlite3.connect(state, isolation_level=None)) as connection:
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-262144"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("BEGIN")
        connection.execute(
            "INSERT INTO files VALUES (1, ?, 'stored.csv', 'transactions', 'ingested', 1, ?, ?, 0, 0, 0,"
            " NULL, NULL, 1)",
            ("0" * 64, rows, rows),
        )
        connection.executemany("INSERT INTO names VALUES (?, ?)", enumerate(_names(), 1))
        made = _stored(rows, int(start.timestamp()) * 1_000_000, days * 86_400_000_000 // rows)
        while some := list(itertools.islice(made, CHUNK_ROWS)):
            connection.executemany(f"INSERT INTO tx VALUES ({','.join('?' * len(some[0]))})", some)
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode=WAL")


def _names() -> list[str]:
    """As the files name them, so that new rows find their names."""
    assets, accounts = (f"COIN{n:03d}" for n in range(ASSETS)), (f"account-{n:02d}" for n in range(ACCOUNTS))
    return [*assets, *accounts, "USD"]


def _stored(rows: int, first_us: int, step_us: int) -> Iterator[tuple[Any, ...]]:
    """Buys and sells in the columns' order: 4 % with a hash, 30 % with an external id, half with a fee."""
    chance = random.Random(rows)
    quantities = [f"{chance.randrange(1, 10**9)}.{chance.randrange(1, 10**9)}1" for _ in range(TEXTS)]
    prices = [f"{chance.uniform(0.01, 90_000):.4f}1" for _ in range(TEXTS)]
    usd = ASSETS + ACCOUNTS + 1
    for n in range(rows):
        ts = first_us + n * step_us
        low = chance.getrandbits(76)
        id_ = (ts // 1000 << 80 | 7 << 76 | (low >> 64) << 64 | 1 << 63 | low & (1 << 62) - 1).to_bytes(16)
        tx_hash = f"0x{low:019x}{n:045x}" if n % 25 == 0 else None
        external_id = f"Y{n:09d}" if n % 10 < 3 else None
        kind = KeyKind.TX_HASH if tx_hash else KeyKind.EXTERNAL_ID if external_id else KeyKind.ID
        fee = (usd, "0.25") if low & 1 else (None, None)
        yield (
            n + 1, id_, 1, n + 1, n + 2, ts, low >> 1 & 1, 1 + low % ASSETS, quantities[n % TEXTS],
            prices[n % TEXTS], *fee, 1 + ASSETS + low % ACCOUNTS, None, None, tx_hash, external_id,
            "monthly" if low & 6 == 6 else None, kind, 1, MARK_ID_GIVEN, None,
        )  # fmt: skip


def _copy(source: Path, target: Path) -> None:
    """On disk when this returns: what is written later does not wait for it."""
    with source.open("rb") as reading, target.open("wb") as writing:
        shutil.copyfileobj(reading, writing, 1 << 24)
        writing.flush()
        os.fsync(writing.fileno())


async def _lag_s(clock: Callable[[], float], lags: list[float]) -> None:
    while True:
        before = clock()
        await asyncio.sleep(0.005)
        lags.append(clock() - before - 0.005)
