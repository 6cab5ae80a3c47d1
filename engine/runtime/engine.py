"""The engine of one home: it takes commands, answers queries and tells events.

With `writing` it holds the home's lock and the one writer; without, it only reads, beside whoever writes.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.config import FIXED, Config
from engine.domain.instants import SECOND_US, format_instant
from engine.errors import UsageError
from engine.messages import Command, Event, Query, Result
from engine.runtime import queries
from engine.runtime.executors import Executor
from engine.runtime.home import Home, lay_out
from engine.runtime.inbox import Claim, Look, claim, first_look, left_claims, ready, scan
from engine.runtime.ingest import Ingest, totals
from engine.runtime.value import commit_values, value_resolution
from engine.store.files import HomeLock, sweep
from engine.store.writer import Writer

RESOLUTIONS = ("1d", "1h", "5m")
LOOK_EVERY_S = 2.1  # a little over the inbox's settle time
Listener = Callable[[Event], None]


def system_clock() -> int:
    """Now, in microseconds UTC. The one place that asks the machine."""
    return time.time_ns() // 1000


class Engine:
    """Commands in, results out, events to all listeners. Close it when done."""

    def __init__(
        self, home: Home, config: Config, executor: Executor, clock: Callable[[], int],
        lock: HomeLock | None = None, writer: Writer | None = None,
    ) -> None:  # fmt: skip
        self.home = home
        self.config = config
        self._executor = executor
        self._clock = clock
        self._lock = lock
        self._writer = writer
        self._listeners: list[Listener] = []
        self._told = 0
        self._untold: deque[Event] = deque()
        self._telling = False
        self._turn = asyncio.Lock()  # one act at a time: a file, or a resolution
        self._commands = {"ingest": self._ingest, "value": self._value}

    @classmethod
    async def open(
        cls, home: Home, executor: Executor, clock: Callable[[], int] = system_clock, writing: bool = False
    ) -> "Engine":
        """Opens an existing home. HomeMissing, HomeInUse, ConfigInvalid or StoreTooNew if it cannot."""
        config = home.config()
        if not writing:
            return cls(home, config, executor, clock)
        lock = HomeLock(home.lock)
        try:
            for folder in (home.archive, home.rejected):
                sweep(folder)
            writer = await Writer.open(home.state, clock)
        except BaseException:
            lock.release()
            raise
        return cls(home, config, executor, clock, lock, writer)

    async def close(self) -> None:
        """Ends the executor, the writer and the lock, in that order."""
        self._executor.close()
        if self._writer is not None:
            await self._writer.close()
        if self._lock is not None:
            self._lock.release()

    @property
    def told(self) -> int:
        """The number of the last event."""
        return self._told

    def now(self) -> int:
        """The engine's clock, in microseconds UTC."""
        return self._clock()

    def subscribe(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def tell(self, kind: str, data: dict[str, Any]) -> None:
        """Tells all listeners; facts are told after they are stored.

        What a listener tells in turn waits, so that everyone hears events in the order of their numbers.
        """
        self._told += 1
        self._untold.append(Event(self._told, kind, data))
        if self._telling:
            return
        self._telling = True
        try:
            while self._untold:
                event = self._untold.popleft()
                for listener in self._listeners:
                    listener(event)
        finally:
            self._telling = False

    def log(self, level: str, kind: str, text: str) -> None:
        """Tells a line for people: level info, warn or bad."""
        self.tell("log", {"at": format_instant(self._clock()), "level": level, "kind": kind, "text": text})

    async def do(self, command: Command) -> Result:
        """Carries a command out. UsageError for a command that does not exist."""
        act = self._commands.get(command.name)
        if act is None:
            raise UsageError(f"There is no command {command.name!r}.")
        if self._writer is None and not command.dry_run:
            raise UsageError("This engine only reads.", "Open the home for writing.")
        return Result(await act(command))

    async def ask(self, query: Query) -> Result:
        """Answers a query. UsageError for one that does not exist."""
        answer = queries.QUERIES.get(query.name)
        if answer is None:
            raise UsageError(f"There is no query {query.name!r}.")
        return Result(await self._executor.run(answer, str(self.home.path), self._clock(), query.arguments))

    # -- ingest --

    async def ingest_file(
        self, path: Path, name: str, claimed: Claim | None = None, dry_run: bool = False
    ) -> dict[str, Any]:
        """Takes one file in, when its turn comes; its entry of `ingest --json`."""
        writer = None if dry_run else self._writer
        batch_rows = self.config["ingest.batch_rows"]
        async with self._turn:
            ingest = Ingest(self.home, writer, self._executor, self._clock, batch_rows, self.tell)
            return await ingest.file(path, name, claimed)

    async def _ingest(self, command: Command) -> dict[str, Any]:
        paths = [Path(path) for path in command.arguments.get("paths", [])]
        entries = [
            await self.ingest_file(path, path.name, dry_run=command.dry_run) for path in _existing(paths)
        ]
        waiting: list[str] = []
        if not paths:
            entries, waiting = await self._take_inbox(command.dry_run)
        return {"files": entries, "totals": totals(entries), "waiting": waiting}

    async def _take_inbox(self, dry_run: bool) -> tuple[list[dict[str, Any]], list[str]]:
        """Everything that is in the inbox now, once it has settled; and the names that are not taken."""
        if dry_run:
            looks, others = scan(self.home.inbox, system_clock())
            return [
                await self.ingest_file(self.home.inbox / name, name, dry_run=True) for name in looks
            ], others
        entries = [await self.ingest_file(left.path, left.name, left) for left in left_claims(self.home)]
        before, others = scan(self.home.inbox, system_clock())
        pending = set(before)
        seen: dict[str, Look] = {}
        while pending:
            looks, others = scan(self.home.inbox, system_clock())
            pending &= set(looks)
            for name in sorted(name for name in pending if ready(seen.get(name), looks[name])):
                pending.discard(name)
                claimed: Claim | None = claim(self.home, name)
                if claimed is not None:
                    entries.append(await self.ingest_file(claimed.path, name, claimed))
            seen = {name: first_look(seen.get(name), look) for name, look in looks.items()}
            if pending:
                self.tell("settling", {"names": sorted(pending)})
                await asyncio.sleep(LOOK_EVERY_S)
        return entries, others

    # -- value --

    async def _value(self, command: Command) -> dict[str, Any]:
        assert self._writer is not None
        started = self._clock()
        wanted = command.arguments.get("resolution")
        sums = {"buckets": 0, "snapshots": 0, "complete": 0}
        each = {}
        reach = self._clock() if command.arguments.get("until_now") else None
        after, until = (queries.instant(command.arguments, name) for name in ("from", "to"))
        for resolution in RESOLUTIONS if wanted is None else (wanted,):
            async with self._turn:
                self.tell("value_started", {"resolution": resolution})
                valued = await self._executor.run(
                    value_resolution, str(self.home.path), resolution, after, until, reach
                )
                await commit_values(self._writer, valued)
            each[resolution] = {name: getattr(valued, name) for name in sums}
            sums = {name: total + each[resolution][name] for name, total in sums.items()}
            self.tell("value_done", {"resolution": resolution, **each[resolution]})
        seconds = round((self._clock() - started) / SECOND_US, 3)
        return {**sums, "seconds": seconds, "resolutions": each}


def _existing(paths: list[Path]) -> list[Path]:
    missing = [str(path) for path in paths if not path.exists() and not path.is_symlink()]
    if missing:
        raise UsageError(f"There is no file {', '.join(missing)}.", "Check the path; nothing was ingested.")
    return paths


async def make_home(
    home: Home, base_currency: str, timezone: str, lot_method: str, clock: Callable[[], int] = system_clock
) -> dict[str, Any]:
    """`init`: lays the folders out, writes navdeck.toml and a state.db that remembers what is fixed."""
    config = lay_out(home, base_currency, timezone, lot_method)
    lock = HomeLock(home.lock)
    try:
        writer = await Writer.open(home.state, clock)
        try:
            async with writer.transaction() as (connection, now):
                fixed = [(key, config[key]) for key in FIXED]
                await connection.exec_driver_sql(
                    "INSERT INTO meta(key, value) VALUES (?, ?)", [*fixed, ("made_at", str(now))]
                )
        finally:
            await writer.close()
    finally:
        lock.release()
    home.state.chmod(0o600)
    return {"home": str(home.path), **{key: config[key] for key in FIXED}}
