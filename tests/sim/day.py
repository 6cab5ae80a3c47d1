"""A simulated day, lived by the whole engine: `python -m tests.sim.day FOLDER SEED SECONDS`.

In FOLDER it finds `home`, and `at` if it was ended before: how far the day had come and what had happened by
then. It ends with 0 once the day is over and the engine at rest. Each hour it looks whether all counts hold,
and leaves a line in `looks`: memory, open files, tasks.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

import psutil
import pytest

from engine.domain.instants import SECOND_US
from engine.errors import EngineError
from engine.link.client import SocketClient
from engine.link.server import SocketServer
from engine.messages import Command, Query
from engine.runtime import service
from engine.runtime.engine import Engine
from engine.runtime.executors import ThreadExecutor
from engine.runtime.home import Home
from engine.runtime.host import Host
from engine.store.reader import Reader
from tests.faults.books import check_files
from tests.looks import look
from tests.runtime.deck import LONG_AGO_S
from tests.sim.operator import deal_with, require_passing
from tests.sim.plan import HOUR_S, Happening, Plan, plan
from tests.sim.virtual import VirtualLoop, count_database
from tests.sim.weather import Weather

WAIT_S = 30  # between two tries of an act
REST_S = 2 * HOUR_S  # after the day, for all that is left to be done
# Slower than in earnest: what they do is the same, and a day has many minutes.
PACE = {"DUE_EVERY_S": 5.0, "MEMORY_EVERY_S": 120.0, "UPKEEP_EVERY_S": 60.0, "NIGHTLY_EVERY_S": 60.0,
        "CHECK_EVERY_S": 6.0 * HOUR_S, "SCAN_EVERY_S": 30.0}  # fmt: skip


class Day:
    """One stretch of a day, from where the last one ended."""

    def __init__(self, folder: Path, day: Plan, loop: VirtualLoop) -> None:
        self.folder, self.day, self.loop = folder, day, loop
        self.home = Home(folder / "home")
        self.begun_s, self.happened = self._left()
        self.weather = Weather(self.home.path, Random(f"{day.seed} {self.happened}"))
        self.jump_s = 0
        self.deaf = False
        self.acting: set[asyncio.Task[None]] = set()
        self.drops = asyncio.Event()

    # -- time --

    @property
    def at_s(self) -> float:
        """Seconds since the day began."""
        return self.begun_s + self.loop.time()

    def clock(self) -> int:
        return self.day.start + int((self.at_s + self.jump_s) * SECOND_US)

    def _left(self) -> tuple[float, int]:
        with suppress(FileNotFoundError):
            at, happened = (self.folder / "at").read_text().split()
            return float(at), int(happened)
        return 0.0, 0

    def _note(self) -> None:
        (self.folder / "at.new").write_text(f"{self.at_s} {self.happened}")
        os.replace(self.folder / "at.new", self.folder / "at")

    # -- the day --

    async def run(self) -> None:
        host = await self._host()
        wire = await SocketServer.open(host, self.home.path / "run")
        looking = asyncio.create_task(self._look_every_hour())
        for index, one in enumerate(self.day.happenings):
            if index < self.happened and one.kind not in ("reject", "release"):
                continue
            await asyncio.sleep(max(0.0, one.at - self.at_s))
            self.happened = max(self.happened, index + 1)
            self._note()
            await self._happen(one, host)
        await asyncio.sleep(max(0.0, self.day.seconds - self.at_s))
        await self._rest(host)
        looking.cancel()
        self._look()
        await wire.close()
        await host.close()

    async def _host(self) -> Host:
        executor = ThreadExecutor()
        while True:
            try:
                engine = await Engine.open(self.home, executor, self.clock, writing=True)
                break
            except (OSError, EngineError) as error:  # bad weather: whoever supervises starts it again
                require_passing(error)
                await asyncio.sleep(WAIT_S)
        engine.intake.free_bytes = self.weather.free_bytes
        return await Host.over(engine, executor, executor, "SIM")

    async def _happen(self, one: Happening, host: Host) -> None:
        if one.kind == "file":
            self._drop(one)
        elif one.kind in ("reject", "release"):
            self._go(deal_with(one, host, WAIT_S))
        elif one.kind == "kill":
            self.weather.end_in = one.number
        elif one.kind == "hang-up":
            self._go(self._hang_up(one))
        else:
            self._go(self._spell(one))

    def _go(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self.acting.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.acting.discard(task)
        task.result()

    def _drop(self, one: Happening) -> None:
        """As a sender does: whole, and by one rename. What lies outside the home has no weather."""
        path = self.folder / "sent" / one.name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(one.data)
        os.utime(path, (LONG_AGO_S, LONG_AGO_S))
        os.rename(path, self.home.inbox / one.name)
        if not self.deaf:
            self.drops.set()

    async def _spell(self, one: Happening) -> None:
        """Bad weather, a wrong clock or deafness, for a while."""
        self._set(one, True)
        await asyncio.sleep(max(0.0, one.until - self.at_s))
        self._set(one, False)

    def _set(self, one: Happening, now: bool) -> None:
        if one.kind == "full":
            self.weather.full = now
        elif one.kind == "errors":
            self.weather.failing = now
        elif one.kind == "deaf":
            self.deaf = now
        elif one.kind == "jump":
            self.jump_s = one.number if now else 0

    async def _hang_up(self, one: Happening) -> None:
        """A console that looks for a moment and is gone without a word."""
        client = await SocketClient.open(self.home.path / "run")
        client.subscribe(lambda _: None)
        assert (await client.ask(Query("overview"))).value["label"] == "SIM"
        await asyncio.sleep(one.number)
        client._writer.transport.abort()

    async def _rest(self, host: Host) -> None:
        """Waits until every act is done, the inbox is empty and the engine is well."""
        self.weather.end_in = 0
        by = self.at_s + REST_S
        while True:
            there = [*self.home.inbox.iterdir(), *self.home.claimed.glob("*/*")]
            state = host.document()["state"]
            if not self.acting and not there and state == "running":
                break
            assert self.at_s < by, f"{state}, {there}, {self.acting}: {host.document()['causes']}"
            await asyncio.sleep(WAIT_S)
        await host.do(Command("value", {"until_now": True}, "ada"))

    # -- looking --

    async def _look_every_hour(self) -> None:
        while True:
            await asyncio.sleep(HOUR_S)
            self._look()

    def _look(self) -> None:
        with Reader(self.home.state) as reader:
            check_files(reader)
        held = {"tasks": len(asyncio.all_tasks()), "weather": self.weather.seen}
        look(self.folder / "looks", self.at_s, psutil.Process(), **held)


@contextmanager
def _simulated(day: Day) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in PACE.items():
            patch.setattr(service, name, value)
        patch.setattr(service, "awatch", _watch(day))
        count_database(patch)
        day.weather.install(patch)
        yield


def _watch(day: Day) -> Callable[..., AsyncIterator[None]]:
    async def awatch(_: Path, stop_event: asyncio.Event, **__: Any) -> AsyncIterator[None]:
        while not stop_event.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(day.drops.wait(), 10.0)
                day.drops.clear()
                yield

    return awatch


def live(folder: Path, seed: int, seconds: int) -> None:
    """Lives the rest of the day."""
    loop = VirtualLoop()
    day = Day(folder, plan(seed, seconds), loop)
    with _simulated(day), asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(day.run())


if __name__ == "__main__":
    live(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
