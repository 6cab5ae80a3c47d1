"""What attached consoles cost the engine: processor time for the same ingest with none and with twenty.

Run with `pytest tests/bench/bench_link.py -m bench -n 0 -s`: ratios, no asserts. The daemon and its workers
are measured; consoles listen in this process, and one of them never reads. Workers know of no console: where
their share moves, it is the machine's.
"""

import asyncio
import shutil
import signal
import statistics
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import psutil
import pytest

from engine.domain.instants import SECOND_US
from engine.link.client import SocketClient
from engine.messages import Command, Query
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
        async with _attached_consoles(deck.path / "run", consoles) as heard:
            before = _spent(engine)
            await _take(client, deck, *rest)
            told = (await client.ask(Query("overview"))).value["seq"]
            await true_in_time(lambda: all(last >= told for last in heard))
            after = _spent(engine)
            return after[0] - before[0], after[1] - before[1]


async def _take(client: SocketClient, deck: Deck, *files: tuple[str, bytes]) -> None:
    for name, data in files:
        deck.drop(name, data)
    await client.do(Command("ingest", {"wait": True}))
    await client.do(Command("value", {"until_now": True}))


@asynccontextmanager
async def _attached_consoles(run: Path, consoles: int) -> AsyncIterator[list[int]]:
    """The last event that each has heard; one more listens, and never reads."""
    heard = [0] * max(0, consoles - 1)
    async with AsyncExitStack() as clients:
        for place in range(len(heard)):
            client = await clients.enter_async_context(attached(run))
            client.subscribe(lambda event, place=place: heard.__setitem__(place, event.seq))
            await client.ask(Query("overview"))
        if consoles:
            deaf = await clients.enter_async_context(attached(run))
            deaf.subscribe(lambda _: None)
            deaf._writer.transport.pause_reading()
        yield heard


def _spent(engine: psutil.Process) -> Spent:
    its = engine.cpu_times()
    workers = [sum(worker.cpu_times()[:2]) for worker in engine.children(recursive=True)]
    return sum(its[:2]), sum(its[2:4]) + sum(workers)
