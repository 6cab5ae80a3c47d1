"""What a running engine values after a close, a late bar and a back-dated row, against all of it: 200 assets
in 4 accounts, 5m. Everything is in the books; the whole is DAYS days of files and the open day.

The last close of each case is not valued before; `DAYS=30` for the long run.
"""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from engine.domain.instants import DAY_US, MINUTE_US, format_instant
from engine.domain.transactions import HEADER
from engine.runtime import executors
from engine.runtime.engine import make_home
from engine.runtime.home import Home
from engine.runtime.putting import commit_values
from engine.runtime.spans import Touched
from engine.runtime.take import take_files
from engine.runtime.taken import Source
from engine.runtime.value import value_resolution
from engine.runtime.valued import Valued
from engine.store.writer import Writer
from tests.bench.rounds import answer, table

MODULE = "tests.bench.bench_value"
ASSETS, ACCOUNTS, ROWS, ROUNDS, SEED = 200, 4, 100_000, 3, 20260301
STEP_US = 5 * MINUTE_US
START_US = 1_735_689_600_000_000  # 2025-01-01


def days() -> int:
    return int(os.environ.get("DAYS", "5"))


def now() -> int:
    """Two hours before the end of the last day: it lies open."""
    return START_US + days() * DAY_US - 2 * 60 * MINUTE_US


@pytest.mark.bench
def test_value__one_close__one_late_bar__one_back_dated_row__against_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _make(tmp_path / "home")
    title = f"{ASSETS} assets, {ACCOUNTS} accounts, {days()} days of 5m, {ROWS:,} rows, seed {SEED}"
    told = table(title, MODULE, list(CASES), [str(tmp_path / "home")], ROUNDS)
    with capsys.disabled():
        print(told)


def _make(path: Path) -> None:
    """A home that is valued up to the close before the last."""
    home = Home(path)
    asyncio.run(make_home(home, "USD", "UTC", "FIFO"))
    rng = np.random.default_rng(SEED)
    instants = START_US + np.sort(rng.integers(0, DAY_US // 2, ROWS))
    trades = [
        f",{format_instant(at)},BUY,A{n % ASSETS:03d},1.5,{10 + n % 7},,,account {n % ACCOUNTS},,,,e{n},"
        for n, at in enumerate(instants.tolist())
    ]
    half = len(trades) // 2
    for name, part in (("one", trades[:half]), ("two", trades[half:])):
        _take(home, f"{name}.csv", "\n".join([HEADER, *part, ""]).encode())
    size = (now() - START_US) // STEP_US
    closes = [format_instant(START_US + STEP_US * n) for n in range(1, size + 1)]
    prices = pl.DataFrame({
        "asset_id": np.repeat([f"A{n:03d}" for n in range(ASSETS)], size),
        "resolution": "5m", "bucket_close": closes * ASSETS, "open": None, "high": None, "low": None,
        "close": pl.Series(rng.integers(10**4, 10**6, size * ASSETS)).cast(pl.String), "volume": None,
        "quote_currency": "USD", "price_source": "feed",
    }, schema_overrides=dict.fromkeys(("open", "high", "low", "volume"), pl.String))  # fmt: skip
    prices.write_parquet(path / "prices.parquet")
    take_files(str(path), [Source(str(path / "prices.parquet"), "prices.parquet")], now(), 4000, keep=True)
    _put(home, value_resolution(str(path), now() - STEP_US, "5m", None, None, now() - STEP_US))


def _take(home: Home, name: str, data: bytes) -> Touched:
    file = home.path / name
    file.write_bytes(data)
    (taken,) = take_files(str(home.path), [Source(str(file), name)], now(), 4000, keep=True)
    assert taken.accepted
    assert not taken.quarantined
    return dict.fromkeys(taken.touched_assets or (), (taken.touched_from, taken.touched_until))


def _put(home: Home, valued: Valued) -> None:
    async def put() -> None:
        writer = await Writer.open(home.state, now)
        await commit_values(writer, valued)
        await writer.close()

    asyncio.run(put())


def _value(path: str, at: int, after: int | None, touched: Touched | None = None) -> dict[str, Any]:
    started = time.perf_counter()
    done = value_resolution(path, at, "5m", after, None, at, touched)
    return {"seconds": time.perf_counter() - started, "closes": done.buckets}


def _warm(path: str) -> None:
    """The worker has imported all, and keeps the books."""
    executors._is_lasting = True
    _value(path, now() - STEP_US, now() - 2 * STEP_US)


def everything(path: str) -> dict[str, Any]:
    _warm(path)
    return _value(path, now() - STEP_US, None)


def one_close(path: str) -> dict[str, Any]:
    _warm(path)
    return _value(path, now(), now() - STEP_US)


def late_bar(path: str) -> dict[str, Any]:
    _warm(path)
    at = now() - 10 * STEP_US
    return _value(path, now() - STEP_US, now(), {"A007": (at, at)})


def back_dated_row(path: str) -> dict[str, Any]:
    """Of today: what lies in files before it stands."""
    _warm(path)
    return _value(path, now() - STEP_US, now(), {"A007": (now() - 60 * STEP_US, None)})


CASES: dict[str, Callable[..., dict[str, Any]]] = {
    "everything": everything,
    "one close": one_close,
    "a late bar": late_bar,
    "a row of today": back_dated_row,
}

if __name__ == "__main__":
    answer(CASES)
