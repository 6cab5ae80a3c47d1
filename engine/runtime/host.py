"""An engine that works by itself, with the overview that consoles draw from. One a home.

`do`, `ask`, `subscribe` and `close` are what a client needs; whether the client is in this process or on a
wire makes no difference here.
"""

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from engine.domain.instants import DAY_US, format_instant
from engine.errors import EngineError, EngineGone
from engine.messages import Command, Event, Query, Result
from engine.runtime import asking
from engine.runtime.clock import system_clock
from engine.runtime.engine import Engine
from engine.runtime.executors import Executor, WorkerExecutor
from engine.runtime.home import Home
from engine.runtime.inbox_wait import InboxWait
from engine.runtime.memory import memory_now, worker_limit
from engine.runtime.overview import (
    NAV_DAYS,
    POINTS_MAX,
    Overview,
    holds_of,
    nav_resolution,
    quarantine_of,
    standing_of,
)
from engine.runtime.service import Service
from engine.runtime.tasks import ACTS, QUERIES
from engine.runtime.telemetry.room import Room
from engine.runtime.telling import Listener

FACTS_S = 30.0  # a scraper may ask often; the home is not read for each
DRAIN_S = 6.0  # what is under way may take this long to finish before its worker is ended
# Settings that a running engine keeps.
AT_NEXT_START = ("providers.", "backup.nightly", "memory.", "telemetry.otlp")
LIGHT = frozenset(  # have a worker of their own
    {
        "status",
        "alerts",
        "quarantine",
        "quarantine_page",
        "quarantine_ids",
        "quarantine_show",
        "decisions",
        "nav",
        "config",
    }
)

Refresh = Callable[[], Awaitable[None]]


class Host:
    """Engine, service and overview of one home."""

    def __init__(self, engine: Engine, reading: Executor, asking: Executor, label: str) -> None:
        self._engine = engine
        self._asking = asking
        self._reading = reading
        self._label = label
        self.pace = 1  # of the engine's clock, in its seconds a second
        self._overview = Overview()
        self._service = Service(engine, self._overview, self._metrics)
        engine.alerts_watched = engine.adds_buckets = True
        self._started_at = engine.now()
        self._refreshing: dict[Refresh, asyncio.Task[None]] = {}
        self._wanted: set[Refresh] = set()  # after what is under way
        self._acting: set[asyncio.Task[Any]] = set()  # whoever waits for a command
        self._inbox_waits: set[InboxWait] = set()
        self._running: asyncio.Task[None] | None = None
        self._ending = False
        self._facts: tuple[float, dict[str, Any]] | None = None  # when they were read
        engine.subscribe(self._note)

    @classmethod
    async def open(cls, home: Home, label: str = "", clock: Callable[[], int] = system_clock) -> "Host":
        """Opens the home for writing and starts to work. HomeInUse if another engine has it."""
        # The third one's process is started when it is first asked: what an operator looks into waits for
        # no valuation, and what the screens show waits for neither.
        config = home.config()
        room = Room(home.path / "logs", config, clock)
        limit = worker_limit(config)
        executor, reading, asking = workers = [WorkerExecutor(limit) for _ in range(3)]
        try:
            engine = await Engine.open(
                home, executor, clock, writing=True, acting=reading, asking=asking, telemetry=room
            )
        except BaseException:
            await room.close()
            for worker in workers:
                worker.close()
            raise
        engine.subscribe(room.hear)
        room.begin()
        try:
            return await cls.over(engine, reading, asking, label)
        except BaseException:
            reading.close()
            asking.close()
            await engine.close()
            raise

    @classmethod
    async def over(cls, engine: Engine, reading: Executor, asking: Executor, label: str) -> "Host":
        """Starts to work with an engine that is open for writing; what is asked goes to the other two."""
        host = cls(engine, reading, asking, label)
        host._overview.recall(await host._light("past", {}))
        await host._refresh_status()
        if host._overview.status["watermarks"]["valued_last"]:
            await host._refresh_nav()
        host._service.alerts.start()
        host._running = asyncio.create_task(host._service.run(), name="service")
        return host

    # -- what a client needs --

    def subscribe(self, listener: Listener) -> None:
        self._engine.subscribe(listener)

    async def do(self, command: Command) -> Result:
        """Carries a command out. `ingest` without paths wakes the inbox, and `wait`s for it if asked to.

        EngineGone for what is begun once the engine is ending.
        """
        if self._ending:
            raise EngineGone("The engine is ending.", "Try again when it is back.")
        if command.name == "ingest" and not command.arguments.get("paths") and not command.dry_run:
            self._service.wake()
            if command.arguments.get("wait"):
                return await self._inbox_done()
            return Result({"files": [], "totals": {}, "waiting": []})
        task = asyncio.current_task()
        assert task is not None
        self._acting.add(task)
        try:
            return await self._do(command)
        finally:
            self._acting.discard(task)

    async def _inbox_done(self) -> Result:
        wait = InboxWait(self._engine.home, self._engine.intake.disk_short)
        self._inbox_waits.add(wait)
        try:
            return Result(await wait.run())
        finally:
            self._inbox_waits.discard(wait)

    async def _do(self, command: Command) -> Result:
        """An operator's act is told when it is done, other work when it begins; what failed, as failed."""
        act = f"{command.actor or 'someone'}: {command.name.replace('_', ' ')}"
        told = f"{act}, {command.reason}" if command.reason else act
        is_act, is_told = command.name in ACTS, not command.dry_run
        if is_told and not is_act:
            self._engine.log("info", "command", told)
        try:
            result = await self._engine.do(command)
        except EngineError as error:
            if is_told:
                self._engine.log("warn", "command_failed", f"{told} failed: {error.tried}")
            raise
        if is_told and is_act:
            self._engine.log("info", "command", told)
        return result

    async def ask(self, query: Query) -> Result:
        """Answers a query; light ones in a worker of their own, so that they never wait for heavy work."""
        if query.name == "overview":
            return Result(self.document())
        if query.name == "telemetry":
            return Result({"live": True, "text": await self._metrics()})
        if query.name in LIGHT:
            return Result(await self._light(query.name, query.arguments))
        return await self._engine.ask(query)

    async def _metrics(self) -> str:
        """All that is measured, as Prometheus text. What is read from the home is up to FACTS_S old."""
        asked_at = asyncio.get_running_loop().time()
        if self._facts is None or asked_at - self._facts[0] >= FACTS_S:
            self._facts = asked_at, await self._light("telemetry_facts", {"knows_status": True})
        memory = await asyncio.to_thread(memory_now, self._engine.config["memory.limit"])
        live = {
            "state": self._service.state()["state"], "memory": memory, "tasks": len(asyncio.all_tasks()),
            "level": self._engine.memory.advice.level.name.lower(),
            "providers": self._engine.fetching.states(),
        }  # fmt: skip
        document = self._facts[1] | {
            "now_us": self._engine.now(),
            "status": self._overview.status,
            "live": live,
        }
        return await asyncio.to_thread(self._engine.telemetry.text, document)

    async def close(self) -> None:
        """Stops the loops; what is under way is finished, or after DRAIN_S ended before it commits.

        A backup or drill is not waited for: it ends before its next step, and nothing of it is kept.
        """
        self._ending = True
        self._service.stop()
        await self._engine.end_backups()
        if self._running is not None:
            at_work = {self._running, *self._acting}
            _, left = await asyncio.wait(at_work, timeout=DRAIN_S)
            if left:
                self._engine.kill()
                await asyncio.wait(at_work, timeout=1.0)
            _heard_out(at_work - {self._running})
        refreshing = list(self._refreshing.values())
        for task in refreshing:
            task.cancel()
        await asyncio.gather(*refreshing, return_exceptions=True)  # what one of them writes, it writes whole
        await self._service.alerts.close()
        self._asking.kill()  # questions that are still being answered: nobody waits for them any more
        self._reading.close()
        self._asking.close()
        await self._engine.close()

    def log(self, level: str, kind: str, text: str) -> None:
        """Tells a line for people: level info, warn or bad."""
        self._engine.log(level, kind, text)

    async def heartbeat(self) -> None:
        """Returns once the one who writes has answered: the sign that this engine is alive."""
        await self._engine.heartbeat()

    async def reload(self) -> None:
        """Reads the settings again and values by them; those that make no sense leave all as it is."""
        try:
            config = await asyncio.to_thread(self._engine.home.config)
        except (EngineError, OSError) as error:
            told = " ".join(str(error).split())
            self.log("bad", "config_refused", f"the settings stay as they were: {told}")
            return
        before = self._engine.config
        changed = sorted(key for key in config.values if config[key] != before[key])
        later = [key for key in changed if key.startswith(AT_NEXT_START)]
        self._engine.reconfigure(config)
        if len(later) < len(changed):
            self._service.revalue()
        told = ", ".join(key for key in changed if key not in later) or "no change"
        waits = f"; at the next start: {', '.join(later)}" if later else ""
        self.log("info", "config_read", f"settings read again: {told}{waits}")

    def document(self) -> dict[str, Any]:
        """The overview as it is now."""
        config = self._engine.config
        return {
            "seq": self._engine.told,
            "now": format_instant(self._engine.now()),
            "pace": self.pace,
            "home": str(self._engine.home.path),
            "label": self._label,
            "hosting": True,
            "pid": os.getpid(),
            "started_at": format_instant(self._started_at),
            "read_only": False,
            **self._service.state(),
            "theme": config["console.theme"],
            "graphs": config["console.graphs"],
            **{key: config[key] for key in ("base_currency", "timezone", "lot_method")},
            **self._overview.document(),
            "jobs": self._jobs(),
        }

    def _jobs(self) -> list[dict[str, str]]:
        close = self._service.next_close()
        return [] if close is None else [{"name": "next bucket close", "next_at": format_instant(close)}]

    # -- keeping the overview --

    def _note(self, event: Event) -> None:
        self._overview.note(event, self._engine.now())
        if event.kind == "file_done":
            self._engine.log(*_file_line(event.data))
            for wait in self._inbox_waits:
                wait.hear(event.data)
            self._later(self._refresh_status)
        elif event.kind in ("acted", "backup_done"):
            self._later(self._refresh_status)
        elif event.kind == "value_done":
            self._later(self._refresh_status)
            if event.data["resolution"] == nav_resolution(self._overview.status):
                self._later(self._refresh_nav)

    def _later(self, refresh: Refresh) -> None:
        """Soon; what is asked for while one is under way is done by one more, however often it is asked."""
        self._wanted.add(refresh)
        if refresh not in self._refreshing:
            self._refreshing[refresh] = asyncio.create_task(self._while_wanted(refresh))

    async def _while_wanted(self, refresh: Refresh) -> None:
        try:
            while refresh in self._wanted:
                self._wanted.remove(refresh)
                await refresh()
        finally:
            del self._refreshing[refresh]

    async def _light(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        job = QUERIES[name], str(self._engine.home.path), self._engine.now(), arguments
        light: dict[str, Any] = await self._reading.run(*job)
        return light

    async def _refresh_status(self) -> None:
        status = await self._light("status", {"facts": True})
        before, self._overview.status = self._overview.status, status
        status["alerts"] = before.get("alerts", [])  # until they are judged anew, below
        standing = standing_of(status)
        if before.get("counts") != status["counts"] or standing_of(before) != standing:
            self._engine.tell("counts", {**status["counts"], "watermarks": status["watermarks"],
                                         "last_runs": status["last_runs"], "jobs": self._jobs(),
                                         **standing})  # fmt: skip
        if quarantine_of(before) != quarantine_of(status):
            self._engine.tell("quarantine", quarantine_of(status))
        with contextlib.suppress(EngineError):  # a full disk: the alerts' own loop tells, and looks again
            await self._service.alerts.look()

    async def _refresh_nav(self) -> None:
        resolution = nav_resolution(self._overview.status)
        last = self._overview.status.get("watermarks", {}).get("valued_last", {}).get(resolution)
        since = None if last is None else asking.instant({"t": last}, "t")
        after = None if since is None else format_instant(max(0, since - NAV_DAYS[resolution] * DAY_US))
        wanted = {"resolution": resolution, "from": after, "newest": POINTS_MAX}
        points = (await self._light("nav", wanted))["points"]
        whole = resolution != self._overview.nav["resolution"]
        known = {} if whole else {point["bucket_close"]: point for point in self._overview.nav["points"]}
        changed = [point for point in points if known.get(point["bucket_close"]) != point]
        self._overview.nav = {"resolution": resolution, "points": points}
        self._overview.holds = holds_of(points)
        if changed:
            told = {
                "resolution": resolution,
                "whole": whole,
                "points": changed,
                "holds": self._overview.holds,
            }
            self._engine.tell("nav", told)


def _heard_out(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """What a command raised while the engine ended is its caller's; if that is gone too, it is nobody's."""
    for task in tasks:
        if task.done() and not task.cancelled():
            task.exception()


def _file_line(entry: dict[str, Any]) -> tuple[str, str, str]:
    """The log line of a finished file: level, kind, text."""
    name = entry["name"]
    if entry["status"] == "rejected":
        return "bad", "file_rejected", f"{name} refused: {entry['reason']} ({entry['detail']})"
    if entry["status"] == "duplicate":
        return "info", "file_duplicate", f"{name} is known already"
    counted = [f"{entry[word]:,} {word}" for word in ("accepted", "duplicates", "quarantined")]
    text = f"{name}: {', '.join(counted)}"
    return "warn" if entry["quarantined"] else "info", "file_ingested", text
