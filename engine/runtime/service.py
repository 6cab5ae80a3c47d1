"""The engine at work by itself: it takes what lands, values what changed, and every bucket as it closes.

Each loop is supervised: if one fails it is started again after a growing pause, and until it is well again
the engine says it is *degraded*, and why. Facts are told after they are stored. The clock is a port.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from itertools import batched
from pathlib import Path
from typing import Any

import anyio._backends._asyncio  # noqa: F401  else watchfiles imports it on the event loop
from watchfiles import awatch
from watchfiles._rust_notify import WatchfilesRustInternalError

from engine.compaction.memory_manager import Level
from engine.domain.instants import format_instant
from engine.domain.resolutions import FINEST
from engine.errors import EngineError, JobCancelled
from engine.messages import Command, Event
from engine.runtime.alerts.watch import AlertWatch
from engine.runtime.clock import system_clock
from engine.runtime.engine import NOTHING, Engine
from engine.runtime.executors import AloneExecutor
from engine.runtime.inbox import Look, first_look, ready, scan
from engine.runtime.intake import FILES_AT_ONCE
from engine.runtime.memory import memory_now, moved
from engine.runtime.nightly import Nightly
from engine.runtime.overview import Overview, waiting_files
from engine.runtime.spans import Span, joined_spans
from engine.store.files import publish
from engine.valuation.buckets import first_close

SCAN_EVERY_S = 10.0  # a full look even if no event came: events only wake
LOOK_AGAIN_S = 2.1  # while a file settles
WAKE_DEBOUNCE_MS = 200
DUE_EVERY_S = 0.5  # how often the valuation loop asks whether something is due
MEMORY_EVERY_S = 2.0
UPKEEP_EVERY_S = 15.0
CHECK_FIRST_S, CHECK_EVERY_S = 600.0, 3_600.0  # of the lake's integrity
TIDY_FIRST_S, TIDY_EVERY_S = 1_800.0, 86_400.0  # retention and compaction
TEXTFILE_EVERY_S = 15.0  # as often as it is commonly scraped
NIGHTLY_EVERY_S = 20.0  # wall clocks jump and machines sleep: looked at often, never slept towards
FETCH_FIRST_S, FETCH_AGAIN_S, FETCH_EVERY_S = 5.0, 1.0, 300.0  # a round of the providers
ALERTS_EVERY_S = 10.0
BACKOFF_FIRST_S, BACKOFF_MAX_S = 0.5, 60.0
RETRY_MAX_S = 10.0  # after a fault that passes by itself: a full disk, a lost worker
READABLE = 0o644  # whoever scrapes is another user
ACTOR = "engine"
LEVELS = {
    Level.NORMAL: ("info", "batches are as large as the settings say"),
    Level.ALERT: ("warn", "smaller batches, compaction is asked for, optional work waits"),
    Level.CRITICAL: ("bad", "intake stops, files wait in the inbox"),
}


@dataclass
class Due:
    """What is to be valued: everything from `since` on; `whole`: a change of unknown reach.

    `assets`: these too, each in its own span.
    """

    since: int | None = None
    whole: bool = False
    assets: dict[str, Span] = field(default_factory=dict)

    def touch(
        self, since: int | None, assets: Iterable[str] | None = None, until: int | None = None
    ) -> None:
        """Remembers a change from an instant on (None: anywhere); of some assets until another, or of all."""
        if assets is not None:
            for asset in assets:
                self.assets[asset] = joined_spans(self.assets.get(asset, (since, until)), (since, until))
        elif since is None:
            self.whole = True
        else:
            self.since = since if self.since is None else min(self.since, since)

    def take(self) -> "Due | None":
        """What is due, and forgets it."""
        if self.since is None and not self.whole and not self.assets:
            return None
        due = Due(self.since, self.whole, self.assets)
        self.since, self.whole, self.assets = None, False, {}
        return due

    def give_back(self, due: "Due") -> None:
        """Remembers again what was taken and not done."""
        if due.whole or due.since is not None:
            self.touch(None if due.whole else due.since)
        for asset, (since, until) in due.assets.items():
            self.touch(since, [asset], until)

    def arguments(self, now: int) -> dict[str, Any]:
        """Of the valuation that does it: all assets at closes after `from`, and some in their spans."""
        if self.whole:
            return {"until_now": True}
        after = now if self.since is None else max(0, self.since - 1)
        touched = dict(sorted(self.assets.items()))
        return {"until_now": True, "from": format_instant(after), "touched": touched}


class Service:
    """Runs the loops of one engine until told to stop."""

    def __init__(self, engine: Engine, overview: Overview, metrics: Callable[[], Awaitable[str]]) -> None:
        """`metrics`: what is measured now, as text."""
        self.engine = engine
        self._metrics = metrics
        self._overview = overview
        self._due = Due(whole=True)
        self._stop = asyncio.Event()
        self._wake = asyncio.Event()
        self._causes: dict[str, str] = {}
        self._put_off = False  # what is due was cancelled: it waits for a close, or for news
        self._taking = True  # files are being taken in: valuing waits, so that a pile is valued once
        self._next_close: int | None = None
        engine.subscribe(self._heard)
        self._loops: dict[str, Callable[[], Awaitable[None]]] = {
            "inbox": self._inbox,
            "watch": self._watch,
            "valuation": self._valuation,
            "memory": self._memory,
            "upkeep": self._upkeep,
            "providers": self._providers,
            "backups": self._backups,
            "textfile": self._textfile,
            "alerts": self._alerts,
        }
        self.alerts = AlertWatch(engine, overview, lambda: self._causes)

    def stop(self) -> None:
        """Asks every loop to finish what it is in, and end."""
        if not self._stop.is_set():
            self._stop.set()
            self._wake.set()
            self.engine.upkeep.end()
            self._tell_state()

    async def run(self) -> None:
        """Runs until `stop`; what is under way then is finished first."""
        self._tell_state()
        async with asyncio.TaskGroup() as group:
            for name, loop in self._loops.items():
                group.create_task(self._supervise(name, loop), name=name)

    def revalue(self) -> None:
        """Has everything valued again: what figures depend on has changed."""
        self._touch(None)

    def wake(self) -> None:
        """Makes the inbox loop look at once."""
        self._wake.set()

    def state(self) -> dict[str, Any]:
        """running, degraded or draining, with the causes."""
        causes = [{"task": name, "cause": cause} for name, cause in sorted(self._causes.items())]
        state = "draining" if self._stop.is_set() else "degraded" if causes else "running"
        return {"state": state, "causes": causes}

    def next_close(self) -> int | None:
        """When the next bucket closes, on the engine's clock."""
        return self._next_close

    def _tell_state(self) -> None:
        self.engine.tell("state", self.state())

    async def _supervise(self, name: str, loop: Callable[[], Awaitable[None]]) -> None:
        pause = BACKOFF_FIRST_S
        while not self._stop.is_set():
            try:
                await loop()
            except Exception as error:  # whatever the fault: it is told, and the loop starts again
                if self._stop.is_set():
                    return
                if name not in self._causes:  # it was well since it failed last, if it ever did
                    pause = BACKOFF_FIRST_S
                self._causes[name] = self.engine.telemetry.strike(f"{type(error).__name__}: {error}")
                self._tell_state()
                self.engine.log("bad", "task_failed", f"{name} failed and starts again: {self._causes[name]}")
                await self._pause(pause)
                passes = isinstance(error, EngineError) and error.retryable
                pause = min(pause * 2, RETRY_MAX_S if passes else BACKOFF_MAX_S)

    def _well(self, name: str) -> None:
        if self._causes.pop(name, None) is not None:
            self._tell_state()
            self.engine.log("info", "task_recovered", f"{name} is well again")

    async def _pause(self, seconds: float) -> bool:
        """Waits; True as soon as the service is to stop."""
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return False
        return True

    # -- inbox --

    async def _watch(self) -> None:
        events = awatch(
            self.engine.home.inbox, stop_event=self._stop, debounce=WAKE_DEBOUNCE_MS, recursive=False
        )
        try:
            async for _ in events:
                self._well("watch")
                self._wake.set()
        except* WatchfilesRustInternalError:  # a name that is no UTF-8 cannot be told: news all the same
            self._wake.set()

    async def _inbox(self) -> None:
        try:
            await self.engine.intake.take_left()
            seen: dict[str, Look] = {}
            while not self._stop.is_set():
                seen = await self._take_in(seen)
                self._well("inbox")
                await self._until_woken(LOOK_AGAIN_S if seen else SCAN_EVERY_S)
        finally:
            self._taking = False  # buckets close all the same while the inbox is not well

    async def _take_in(self, seen: dict[str, Look]) -> dict[str, Look]:
        """Takes what has settled, by a first look in `seen`; first looks at all that is left."""
        # Files carry the machine's time, whatever the engine's clock says.
        looks, others = scan(self.engine.home.inbox, system_clock())
        self._tell_inbox(looks, others)
        settled = [name for name, look in looks.items() if ready(seen.get(name), look)]
        for names in batched(settled, FILES_AT_ONCE):
            if self._stop.is_set() or not self._has_room() or not self._has_memory():
                break
            self._taking = True
            for name in names:
                looks.pop(name)
            await self.engine.intake.take_in(names)
        self._taking = False
        return {name: first_look(seen.get(name), look) for name, look in looks.items()}

    def _tell_inbox(self, looks: dict[str, Look], others: list[str]) -> None:
        waiting = waiting_files(looks, system_clock())
        names = [file["name"] for file in waiting], others
        if names != ([file["name"] for file in self._overview.waiting], self._overview.others):
            self.engine.tell("inbox", {"waiting": waiting, "others": others})

    def _has_room(self) -> bool:
        """Whether the disk has room for more; if not, that is said once, and files wait where they are."""
        short = self.engine.intake.disk_short()
        if short and "disk" not in self._causes:
            self._causes["disk"] = short
            self._tell_state()
            self.engine.log("bad", "disk_low", f"intake stopped: {short} It goes on by itself.")
        elif not short:
            self._well("disk")
        return not short

    def _has_memory(self) -> bool:
        """Whether there is memory for more; the change itself was told when it came."""
        return self.engine.memory.advice.intake

    async def _until_woken(self, seconds: float) -> None:
        if self._stop.is_set():
            return
        try:
            await asyncio.wait_for(self._wake.wait(), seconds)
        except TimeoutError:
            return
        self._wake.clear()

    def _heard(self, event: Event) -> None:
        """What was stored changes figures from some instant on."""
        taken = event.kind == "file_done" and event.data["accepted"]
        acted = event.kind == "acted" and event.data["touched_from"] != NOTHING
        if taken or acted:
            names = "touched_from", "touched_assets", "touched_until"
            self._touch(*(event.data[name] for name in names))

    # -- valuation --

    async def _valuation(self) -> None:
        while not self._stop.is_set():
            self._note_close()
            due = None if self._taking or self._put_off else self._due.take()
            if due is not None:
                await self._value(due)
                self._well("valuation")
            if await self._pause(DUE_EVERY_S):
                return

    def _note_close(self) -> None:
        """A bucket that has closed is valued, with or without prices."""
        now = self.engine.now()
        if self._next_close is not None and now >= self._next_close:
            self._touch(self._next_close)
        if self._next_close is None or now >= self._next_close:
            self._next_close = first_close(FINEST, self.engine.config["timezone"], now + 1)

    def _touch(self, *what: Any) -> None:
        self._due.touch(*what)
        self._put_off = False

    async def _value(self, due: Due) -> None:
        try:
            arguments = due.arguments(self.engine.now())
            await self.engine.do(Command("value", arguments, actor=ACTOR))
        except JobCancelled:
            self._due.give_back(due)
            self._put_off = True
            self.engine.log("warn", "value_cancelled", "values stay as they are until a close or news")
        except BaseException:
            self._due.give_back(due)
            raise

    # -- memory --

    async def _memory(self) -> None:
        told: dict[str, Any] | None = None
        while not await self._pause(MEMORY_EVERY_S):
            now = await asyncio.to_thread(memory_now, self.engine.config["memory.limit"])
            changed = self.engine.memory.look(now, self.engine.now())
            if changed or moved(told, now):
                self.engine.tell("memory", now | {"level": self.engine.memory.advice.level.name.lower()})
                told = now
            if changed:
                self._tell_memory(now)
            if self.engine.memory.advice.give_back:
                await self.engine.give_back()
            self._well("memory")

    def _tell_memory(self, now: dict[str, Any]) -> None:
        """What a new level means; while it is critical the engine is degraded, and says why."""
        advice = self.engine.memory.advice
        text = f"{now['ratio']:.0%} of the {now['whose']}'s {now['limit_bytes']:,} bytes are used: "
        if advice.intake:
            self._well("intake")
            self.wake()
        else:
            self._causes["intake"] = text + "files wait in the inbox."
            self._tell_state()
        kind, told = LEVELS[advice.level]
        self.engine.log(kind, f"memory_{advice.level.name.lower()}", text + told)

    # -- the lake --

    async def _upkeep(self) -> None:
        """Orphans at the start, integrity every hour, retention and compaction every day or when memory asks.

        By a clock that never jumps: none of it is for a date. It waits while memory is tight.
        """
        upkeep, steady = self.engine.upkeep, asyncio.get_running_loop().time
        await upkeep.sweep_orphans()
        check_at, tidy_at, asked_at = (steady() + wait for wait in (CHECK_FIRST_S, TIDY_FIRST_S, 0.0))
        while not await self._pause(UPKEEP_EVERY_S):
            advice = self.engine.memory.advice
            if advice.optional_work and steady() >= check_at:
                with self.engine.step("integrity"):
                    await upkeep.check(AloneExecutor())
                check_at = steady() + CHECK_EVERY_S
            if advice.optional_work and steady() >= tidy_at:
                await self.engine.do(Command("retention", actor=ACTOR))
            if (advice.optional_work and steady() >= tidy_at) or (advice.compaction and steady() >= asked_at):
                await self.engine.do(Command("compact", actor=ACTOR))
                tidy_at, asked_at = steady() + TIDY_EVERY_S, steady() + CHECK_EVERY_S
            self._well("upkeep")

    # -- providers --

    async def _providers(self) -> None:
        """What is missing is fetched after every close, once it has settled; the inbox does the rest."""
        if not self.engine.config["providers.order"]:
            await self._stop.wait()
            return
        wait_s = FETCH_FIRST_S
        while not await self._pause(wait_s):
            done = await self.engine.fetching.fetch_missing({})
            if done.files:
                self.wake()
            for trouble in done.troubles:
                self.engine.log("warn", "provider_trouble", trouble)
            self._well("providers")
            wait_s = FETCH_AGAIN_S if done.left and not done.troubles else FETCH_EVERY_S

    # -- backups --

    async def _backups(self) -> None:
        """The nightly backup and the weekly drill, once for each local date they are of."""
        if not self.engine.config["backup.nightly"]:
            await self._stop.wait()
            return
        nightly = Nightly(self.engine)
        while True:
            try:
                await nightly.run_due()
            except JobCancelled:
                if self._stop.is_set():
                    return  # it stays due
                raise
            self._well("backups")
            if await self._pause(NIGHTLY_EVERY_S):
                return

    # -- telemetry --

    async def _textfile(self) -> None:
        """Metrics where a node_exporter looks for them, whole or not at all."""
        while True:
            if path := self.engine.config["telemetry.textfile"]:
                text = await self._metrics()
                await asyncio.to_thread(publish, Path(path), text.encode(), READABLE)
            self._well("textfile")
            if await self._pause(TEXTFILE_EVERY_S):
                return

    # -- alerts --

    async def _alerts(self) -> None:
        while not await self._pause(ALERTS_EVERY_S):
            await self.alerts.look()
            self._well("alerts")
