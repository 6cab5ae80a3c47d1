"""A long history ingested, valued and compacted by a worker that may have 512 MB: it never has more."""

import asyncio
import os
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from engine.domain.instants import DAY_US, MINUTE_US, format_instant
from engine.messages import Command
from engine.runtime.engine import Engine
from engine.runtime.executors import WorkerExecutor
from tests.compaction.lake import FIRST_US, check_lake
from tests.runtime.deck import NOW, Deck, buy

ROWS = int(os.environ.get("CAPPED_ROWS", "10000000"))
LIMIT = 512 << 20
ASSETS, FILE_ROWS, TRADES = 50, 1_000_000, 20_000
SETTINGS = {"MEMORY_PROFILE": "LOW_RAM", "MEMORY_WORKER_BYTES_MAX": str(LIMIT), "COMPACTION_COLD_DAYS": "1"}


def bars(path: Path, first: int, rows: int) -> Path:
    """A Parquet file of 5m bars, all assets of a close after the other."""
    n = np.arange(first, first + rows)
    close = np.round(100 + 20 * np.sin(n / 9_999) + (n % ASSETS), 6)
    frame = pl.DataFrame({"n": n, "close": close}).select(
        asset_id=pl.format("AST{}", pl.col("n") % ASSETS),
        resolution=pl.lit("5m"),
        bucket_close=(FIRST_US + (pl.col("n") // ASSETS + 1) * 5 * MINUTE_US).cast(pl.Datetime("us", "UTC")),
        open=pl.lit(None, pl.Decimal(38, 18)),
        high=pl.lit(None, pl.Decimal(38, 18)),
        low=pl.lit(None, pl.Decimal(38, 18)),
        close=pl.col("close").cast(pl.Decimal(38, 18)),
        volume=pl.lit(None, pl.Decimal(38, 18)),
        quote_currency=pl.lit("USD"),
        price_source=pl.lit("exchange"),
    )
    frame.write_parquet(path)
    return path


def trades(span_us: int) -> list[dict[str, str]]:
    step = span_us // TRADES
    return [
        buy(timestamp=format_instant(FIRST_US + n * step // 1_000_000 * 1_000_000),
            asset_id=f"AST{n % ASSETS}", quantity=f"{n % 7 + 1}.25", external_id=f"t-{n}")
        for n in range(TRADES)
    ]  # fmt: skip


@pytest.mark.slow
def test_history__ingested_valued_and_compacted_in_512_mb__no_worker_ends(
    deck: Deck, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(f"NAVDECK_{name}", value)
    files = [deck.file("trades.csv", trades(ROWS // ASSETS * 5 * MINUTE_US))]
    rest = range(0, ROWS - TRADES, FILE_ROWS)
    files += [bars(tmp_path / f"{n}.parquet", n, min(FILE_ROWS, ROWS - TRADES - n)) for n in rest]
    now = max(NOW, FIRST_US + ROWS // ASSETS * 5 * MINUTE_US + 2 * DAY_US)
    told = asyncio.run(carried(deck, files, now))
    with capsys.disabled():
        print(told)
    assert told["rows"] == ROWS
    assert [data for _, data in deck.events if data.get("kind") == "worker_over_limit"] == []
    deck.clock = lambda: now
    if ROWS <= 200_000:
        check_lake(deck)


async def carried(deck: Deck, files: list[Path], now: int) -> dict[str, Any]:
    """What each step took, in seconds of the loop's clock."""
    clock = asyncio.get_running_loop().time
    marks = [clock()]
    engine = await Engine.open(deck.home, WorkerExecutor(LIMIT), lambda: now, writing=True)
    engine.subscribe(lambda event: deck.events.append((event.kind, event.data)))
    try:
        done = await engine.do(Command("ingest", {"paths": [str(path) for path in files]}))
        marks.append(clock())
        for resolution in ("1d", "1h"):
            await engine.do(Command("value", {"resolution": resolution}))
            marks.append(clock())
        await engine.do(Command("compact"))
        marks.append(clock())
    finally:
        await engine.close()
    steps = ("ingest", "value 1d", "value 1h", "compact")
    seconds = {step: round(b - a, 1) for step, a, b in zip(steps, marks, marks[1:], strict=False)}
    return {"rows": done.value["totals"]["accepted"], **seconds}
