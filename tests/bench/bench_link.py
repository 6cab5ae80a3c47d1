"""What attached consoles cost the engine: processor time for the same ingest with none and with twenty.

Run with `pytest tests/bench/bench_link.py -m bench -n 0 -s`: ratios, no asserts. The daemon and its workers
are measured; consoles keep their mirrors in this process, and one of them never reads.
"""

import asyncio
import shutil
import signal
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from console.client import Session
from engine import api
from engine.domain.instants import SECOND_US
from engine.link.client import SocketClient
from engine.messages import Command
from engine.runtime.clock import system_clock
from tests.link.test_beside_a_daemon import has_socket, true_in_time
from tests.link.wire import attached
from tests.runtime.deck import Deck
from tests.runtime.test_daemon import PATIENCE_S, daemon
from tests.sim.plan import BUCKET_S, HOUR_S, Plan, busy_plan

CONSOLES = 20
ROUNDS = 5
SEED, SECONDS, TRADES_AN_HOUR, ROWS_MAX = 3, 24 * HOUR_S, 6, 200

Spent = tuple[float, float]  # processor seconds of the engine's own process, and of all its workers


@pytest.mark.bench
def test_twenty_consoles(blank_home: Path, tmp_path: Path) -> None:
    start = (system_clock() // SECOND_US - SECONDS) // BUCKET_S * BUCKET_S * SECOND_US
    day = busy_plan(SEED, SECONDS, start, TRADES_AN_HOUR, ROWS_MAX)
    spent: dict[int, list[Spent]] = {0: [], CONSOLES: []}
    for _ in range(ROUNDS):
        for consoles, seconds in spent.items():
            shutil.copytree(blank_home, tmp_path / "home")
            seconds.append(_cpu_s(Deck(tmp_path / "home"), day, consoles))
            shutil.rmtree(tmp_path / "home")
    rounds = list(zip(*spent.values(), strict=True))
    ratio = statistics.median(sum(many) / sum(none) for none, many in rounds)
    more = statistics.median((many[0] - none[0]) / sum(none) for none, many in rounds)
    print(f"\n{len(day.files)} files, n = {ROUNDS}: x {ratio:.3f}; its own process {more:+.1%}")
    for consoles, seconds in spent.items():
        own = statistics.median(one[0] for one in seconds)
        whole = statistics.median(map(sum, seconds))
        print(f"{consoles} consoles: {whole:.2f} s of the engine, {own:.2f} s of its own process")


def _cpu_s(deck: Deck, day: Plan, consoles: int) -> Spent:
    """Of one ingest and what follows from it, after another one that loaded every library."""
    with daemon(deck, deck.path / "logs" / "said") as process:
        asyncio.run(true_in_time(lambda: has_socket(deck.path)))
        spent = asyncio.run(_ingested(deck, day, consoles, psutil.Process(process.pid)))
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    return spent


async def _ingested(deck: Deck, day: Plan, consoles: int, engine: psutil.Process) -> Spent:
    first, *rest = day.files.items()
    async with attached(deck.path / "run") as client:
        await _take(client, deck, first)
        async with _attached_consoles(deck.path, consoles) as sessions:
            before = _spent(engine)
            await _take(client, deck, *rest)
            await true_in_time(lambda: all(_knows(one, len(day.files)) for one in sessions))
            after = _spent(engine)
            return after[0] - before[0], after[1] - before[1]


async def _take(client: SocketClient, deck: Deck, *files: tuple[str, bytes]) -> None:
    for name, data in files:
        deck.drop(name, data)
    await client.do(Command("ingest", {"wait": True}))
    await client.do(Command("value", {"until_now": True}))


@asynccontextmanager
async def _attached_consoles(home: Path, consoles: int) -> AsyncIterator[list[Session]]:
    """All but one in step with the engine; that one listens, and never reads."""
    if not consoles:
        yield []
        return
    how = (lambda: api.attach(home)), (lambda _: None), time.monotonic
    sessions = [Session(*how) for _ in range(consoles - 1)]
    following = [asyncio.create_task(session.run()) for session in sessions]
    async with attached(home / "run") as deaf:
        deaf.subscribe(lambda _: None)
        deaf._writer.transport.pause_reading()
        try:
            await true_in_time(lambda: all(session.connected for session in sessions))
            yield sessions
        finally:
            for task in following:
                task.cancel()
            await asyncio.gather(*following, return_exceptions=True)
            for session in sessions:
                await session.close()


def _knows(session: Session, files: int) -> bool:
    return bool(session.mirror.doc["counts"]["files"] == files)


def _spent(engine: psutil.Process) -> Spent:
    its = engine.cpu_times()
    workers = [sum(worker.cpu_times()[:2]) for worker in engine.children(recursive=True)]
    return sum(its[:2]), sum(its[2:4]) + sum(workers)
