"""Load on a daemon from outside: files, an operator, and consoles that stay, ask, come and go, or never read.

It looks at the daemon and its workers all the while, and judges nothing.
"""

import asyncio
import os
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count, cycle
from pathlib import Path
from random import Random
from typing import Any

import psutil
from prometheus_client.parser import text_string_to_metric_families

from engine.link.client import SocketClient
from engine.messages import Command, Event, Query
from engine.runtime.home import Home
from tests.link.wire import attached
from tests.looks import look
from tests.sim.operator import deal_with
from tests.sim.plan import Happening, Plan

HASTE = 24  # of the plan's seconds in one of ours
LOOK_EVERY_S = 5.0
ASK_EVERY_S = 1.0
AGAIN_S = 5.0  # between two looks whether something has happened
STAYS_S = (1.0, 15.0)  # how long a console that comes and goes is there
DEAF_FOR_S = 600.0
REST_S = 600.0  # for all that is left to be done
CHORES = ("compact", "backup_create", "retention", "backup_verify")
CHORES_TIMES = 20  # in all
QUESTIONS = (
    Query("overview"), Query("quarantine_page", {"limit": 200, "offset": 0}), Query("lots_page"),
    Query("nav", {"resolution": "5m"}), Query("lots_page", {"state": "realized"}), Query("decisions"),
    Query("metrics", {"resolution": "1h", "points": True}), Query("telemetry"), Query("storage"),
    Query("fx_status"), Query("sql", {"query": "SELECT count(*) FROM ledger"}), Query("backups"),
)  # fmt: skip


@dataclass
class Load:
    """What is done to a daemon, and what was seen of it."""

    home: Home
    day: Plan
    looks: Path
    daemon: psutil.Process
    answers: int = 0
    visits: int = 0
    chores: int = 0
    heard: list[int] = field(default_factory=list)  # the numbers of the events

    async def run(self) -> None:
        """All of it; returns once the daemon has nothing left to do."""
        async with attached(self.home.path / "run") as client:
            client.subscribe(self._hear)
            more = [self._ask(), self._come_and_go(), self._never_read(), self._look(), self._do_chores()]
            others = [asyncio.create_task(one) for one in more]
            try:
                await _unless_one_ends(self._work(client), others)
            finally:
                for task in others:
                    task.cancel()
                await asyncio.gather(*others, return_exceptions=True)

    # -- what there is to do --

    async def _work(self, client: SocketClient) -> None:
        begun_s = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as group:
            for one in self.day.happenings:
                group.create_task(self._happen(one, begun_s, client))
        async with asyncio.timeout(REST_S):
            while not await self._is_at_rest(client):  # noqa: ASYNC110  nothing else tells of it
                await asyncio.sleep(AGAIN_S)
        await client.do(Command("value", {"until_now": True}, "ada"))

    async def _happen(self, one: Happening, begun_s: float, client: SocketClient) -> None:
        await asyncio.sleep(begun_s + one.at / HASTE - asyncio.get_running_loop().time())
        if one.kind == "file":
            self._drop(one)
        else:
            await deal_with(one, client, AGAIN_S)

    def _drop(self, one: Happening) -> None:
        """As a sender does: whole, and by one rename."""
        sent = self.home.path.parent / "sent"
        sent.mkdir(exist_ok=True)
        (sent / one.name).write_bytes(one.data)
        os.rename(sent / one.name, self.home.inbox / one.name)

    async def _is_at_rest(self, client: SocketClient) -> bool:
        there = [*self.home.inbox.iterdir(), *self.home.claimed.glob("*/*")]
        return not there and (await client.ask(Query("overview"))).value["state"] == "running"

    async def _do_chores(self) -> None:
        for number in count():
            await asyncio.sleep(self.day.seconds / HASTE / CHORES_TIMES)
            async with attached(self.home.path / "run") as client:
                await client.do(Command(CHORES[number % len(CHORES)], {"all": True}, "ada"))
            self.chores += 1

    # -- who looks on --

    def _hear(self, event: Event) -> None:
        self.heard.append(event.seq)

    async def _ask(self) -> None:
        async with attached(self.home.path / "run") as client:
            for question in cycle(QUESTIONS):
                await client.ask(question)
                self.answers += 1
                await asyncio.sleep(ASK_EVERY_S)

    async def _come_and_go(self) -> None:
        """Every other time without a word."""
        chance = Random(self.day.seed)
        for number in count(1):
            async with attached(self.home.path / "run") as client:
                client.subscribe(lambda _: None)
                await client.ask(Query("overview"))
                await asyncio.sleep(chance.uniform(*STAYS_S))
                if number % 2:
                    client._writer.transport.abort()
            self.visits = number

    async def _never_read(self) -> None:
        """A console that was stopped; after a while its terminal is closed, and another one is."""
        while True:
            async with attached(self.home.path / "run") as client:
                client.subscribe(lambda _: None)
                client._writer.transport.pause_reading()
                await asyncio.sleep(DEAF_FOR_S)
                client._writer.transport.abort()

    async def _look(self) -> None:
        """At the daemon, at each of its workers, and at what the store has not yet taken up."""
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        async with attached(self.home.path / "run") as client:
            while True:
                text = (await client.ask(Query("telemetry"))).value["text"]
                tasks = _metric(text, "navdeck_loop_tasks")
                wal = self.home.state.with_name(f"{self.home.state.name}-wal").stat().st_size
                _look_at(self.looks, loop.time() - begun_s, self.daemon, tasks=tasks, wal=wal)
                for worker in self.daemon.children(recursive=True):
                    with suppress(psutil.NoSuchProcess):
                        _look_at(self.looks, loop.time() - begun_s, worker)
                await asyncio.sleep(LOOK_EVERY_S)


def _look_at(looks: Path, at_s: float, process: psutil.Process, **more: Any) -> None:
    with process.oneshot():
        cpu_s = sum(process.cpu_times()[:2])
        look(looks, at_s, process, threads=process.num_threads(), cpu_s=cpu_s, **more)


def _metric(text: str, name: str) -> float:
    (family,) = [one for one in text_string_to_metric_families(text) if one.name == name]
    return family.samples[0].value


async def _unless_one_ends(work: Coroutine[Any, Any, None], others: list[asyncio.Task[None]]) -> None:
    """Until the work is done; one of the others that ends before has failed, and its fault is raised."""
    task = asyncio.create_task(work)
    try:
        await asyncio.wait([task, *others], return_when=asyncio.FIRST_COMPLETED)
        for other in others:
            if other.done():
                other.result()
        await task
    finally:
        task.cancel()
