"""What backups cost: ingest beside one, one of a home that did not change, one after a small change.

The store grows from round to round, so each round ingests once alone and once beside, in turn first. Beside:
another process begins a backup in the engine's own kind of worker when the ingest begins, and should that
one end first, another. Beside a loop that does nothing, that stands back as a backup
does: what a second busy core costs on this machine, whoever keeps it busy.
"""

import asyncio
import hashlib
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from engine.runtime import backups
from engine.runtime.engine import Engine
from tests.bench.homes import MB, bytes_below, ingest, warm_engine
from tests.bench.rounds import ROOT
from tests.bench.trades import write_trades

ROUNDS, ROWS, PARTS, SEED = 9, 100_000, 10, 1
SMALL_ROWS = 500
BACKUPS = """
import asyncio, sys, time
from engine.runtime.executors import WorkerExecutor
from engine.runtime.tasks import RUN_BACKUP
async def main():
    worker = WorkerExecutor()
    await worker.run(RUN_BACKUP, "backups", sys.argv[1], 0, {})
    print("ready", flush=True)
    sys.stdin.readline()
    while True:
        await worker.run(RUN_BACKUP, "backup_create", sys.argv[1], time.time_ns() // 1000, {})
        print("made", flush=True)
asyncio.run(main())
"""
NOTHING = """
import os
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
print("ready", flush=True)
while True:
    pass
"""


@pytest.mark.bench
def test_backup__beside_ingest_unchanged_and_little_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = asyncio.run(_measured(tmp_path))
    with capsys.disabled():
        print("\n".join(["", *lines]))


async def _measured(folder: Path) -> list[str]:
    files = write_trades(folder / "trades", 3 * ROUNDS * ROWS, SEED, 3 * ROUNDS * PARTS)
    parts = [[str(path) for path in files[at : at + PARTS]] for at in range(0, len(files), PARTS)]
    taken: dict[str, list[float]] = {"alone": [], BACKUPS: [], NOTHING: []}
    made = 0
    async with warm_engine(folder) as engine:
        for number in range(ROUNDS):
            for case in [*taken][number % 3 :] + [*taken][: number % 3]:
                if case == "alone":
                    seconds, count = (await ingest(engine, parts.pop(0)))["seconds"], 0
                else:
                    seconds, count = await _beside(engine, case, parts.pop(0))
                taken[case].append(seconds)
                made += count if case == BACKUPS else 0
        told = [
            f"ingest of {ROWS:,} rows, n = {ROUNDS}, seed {SEED}, beside backups ({made} made):"
            f" {_ratios(taken, BACKUPS)}; beside a loop: {_ratios(taken, NOTHING)}"
        ]
        told += _alone(engine.home.path)
        small = write_trades(folder / "small", SMALL_ROWS, SEED + 1)
        await ingest(engine, [str(path) for path in small])
        return told + _changed(engine.home.path)


def _ratios(taken: dict[str, list[float]], case: str) -> str:
    ratios = [beside / alone for beside, alone in zip(taken[case], taken["alone"], strict=True)]
    return f"{statistics.median(ratios):.2f} of alone ({min(ratios):.2f} to {max(ratios):.2f})"


async def _beside(engine: Engine, other: str, files: list[str]) -> tuple[float, int]:
    """Seconds of an ingest while another process works, and how many backups it made."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", other, str(engine.home.path), cwd=ROOT,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdin is not None
    await process.stdout.readline()  # it has imported all
    process.stdin.write(b"\n")
    await process.stdin.drain()
    seconds: float = (await ingest(engine, files))["seconds"]
    process.kill()
    told, _ = await process.communicate()
    return seconds, told.count(b"made")


def _create(home: Path) -> dict[str, Any]:
    return backups.ACTS["backup_create"](str(home), time.time_ns() // 1000, {})


def _alone(home: Path) -> list[str]:
    """A home that did not change since the last backup."""
    _create(home)
    taken = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        _create(home)
        taken.append(time.perf_counter() - started)
    size = (bytes_below(home) - bytes_below(home / "backups")) / MB
    return [f"backup of an unchanged home of {size:.0f} MB: {statistics.median(taken) * 1000:.1f} ms"]


def _changed(home: Path) -> list[str]:
    """After one small file: the backup against hashing the bytes that are new in it."""
    started = time.perf_counter()
    made = _create(home)
    seconds = time.perf_counter() - started
    data = os.urandom(made["new_bytes"])
    started = time.perf_counter()
    hashlib.sha256(data).digest()
    hashing = time.perf_counter() - started
    new = f"{made['new_bytes'] / MB:.1f} MB that are new"
    ratio = f"{seconds / hashing:.1f} of hashing them ({hashing:.3f} s)"
    return [f"backup after {SMALL_ROWS} more rows: {seconds:.2f} s for {new}, {ratio}"]
