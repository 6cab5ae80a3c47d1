"""Takes files in: out of the inbox or as they are named, a few at a time, each few with the turn to write.

What is in a file is the worker's to judge; what became of it is told by the worker, after it is stored.
"""

import asyncio
import os
import shutil
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager, nullcontext
from itertools import batched
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.config import Config
from engine.errors import DiskLow, MemoryLow, UsageError, WorkerLost, WorkerOverLimit
from engine.messages import Command
from engine.runtime.clock import system_clock
from engine.runtime.executors import Executor
from engine.runtime.home import Home
from engine.runtime.inbox import Look, claim, first_look, left_claims, ready, scan
from engine.runtime.memory import Watch
from engine.runtime.taken import Source, Taken, totals
from engine.runtime.tasks import PARTIAL_FILES, TAKE_FILES
from engine.runtime.telling import Telling
from engine.store.troubles import writable

if TYPE_CHECKING:
    from engine.store.writer import Writer

FILES_AT_ONCE = 8  # handed to the worker; few, so that whoever waits for a turn waits for seconds at most
LOOK_EVERY_S = 2.1  # a little over the inbox's settle time


def free_bytes(path: Path) -> int:
    """What is left on the disk that holds `path`, for us."""
    return shutil.disk_usage(path).free


class Intake:
    """The way in of one home; without a writer it only tries."""

    def __init__(
        self, home: Home, config: Config, executor: Executor, writer: "Writer | None", turn: asyncio.Lock,
        telling: Telling, memory: Watch, free_bytes: Callable[[Path], int] = free_bytes,
    ) -> None:  # fmt: skip
        self._home, self._config = home, config
        self._executor, self._writer, self._turn = executor, writer, turn
        self._telling, self._memory = telling, memory
        self.free_bytes = free_bytes
        self._given_up: set[str] = set()  # claims that end their worker

    def reconfigure(self, config: Config) -> None:
        """Takes new settings."""
        self._config = config

    def disk_short(self) -> str:
        """Why nothing is taken in now, for want of room; empty if there is enough."""
        free, least = self.free_bytes(self._home.path), self._config["disk.free_bytes_min"]
        return "" if free >= least else f"{free:,} bytes are free; intake needs {least:,}."

    # -- files --

    async def take(self, sources: Iterable[Source], dry_run: bool = False) -> list[dict[str, Any]]:
        """Takes files in, when their turn comes; their entries of `ingest --json`. DiskLow without room."""
        keep, entries = not dry_run, []
        for some in batched(sources, FILES_AT_ONCE):
            if keep and (short := self.disk_short()):
                raise DiskLow(short, "Free some space; nothing more was taken.")
            if keep and not self._memory.advice.intake:
                raise MemoryLow("Memory is nearly used up.", "Nothing more was taken. End what needs it.")
            try:
                entries += await self._take(list(some), keep)
            except WorkerLost as error:
                self._telling.log("bad", "worker_lost", f"{error} Its files are taken one by one.")
                entries += await self._take_alone(some)
        return entries

    async def _take(self, sources: list[Source], keep: bool) -> list[dict[str, Any]]:
        while True:
            batches = self._memory.batches
            rows = batches.insert_rows, keep, batches.window_rows
            job = str(self._home.path), sources, self._telling.now(), *rows
            try:
                async with self._turn, self._lent(keep):
                    taken: list[Taken] = await self._executor.run(TAKE_FILES, *job)
            except WorkerOverLimit as error:
                self._telling.log("warn", "worker_over_limit", self._memory.narrower(error))
                sources = [one for one in sources if await asyncio.to_thread(os.path.lexists, one.path)]
            else:
                return [one.answer() for one in taken]

    async def _take_alone(self, sources: Iterable[Source]) -> list[dict[str, Any]]:
        """After a lost worker: claimed files one by one; one that ends it again waits for the next start.

        WorkerLost with its name, after the others were taken. A named file is not tried again.
        """
        entries: list[dict[str, Any]] = []
        lost: list[str] = []
        for source in sources:
            if not source.claimed:
                lost.append(source.name)
            elif await asyncio.to_thread(os.path.lexists, source.path):
                try:
                    entries += await self._take([source], keep=True)
                except WorkerLost:
                    lost.append(source.name)
                    self._given_up.add(source.path)
        if lost:
            raise WorkerLost(f"The worker process ended over {', '.join(lost)}.")
        return entries

    def _lent(self, keep: bool) -> AbstractAsyncContextManager[None]:
        """The turn to write, for the worker."""
        return nullcontext() if self._writer is None or not keep else self._writer.lent()

    # -- the inbox --

    async def claim(self, names: Iterable[str]) -> list[Source]:
        """Takes files out of the inbox, all that are still there."""
        with self._telling.step("claim") as step:
            claims = await asyncio.to_thread(_claimed, self._home, list(names))
            step.attributes["files"] = len(claims)
        return claims

    async def take_in(self, names: Iterable[str]) -> list[dict[str, Any]]:
        """Takes files of the inbox in, as one piece of work."""
        with self._telling.step("intake"):
            return await self.take(await self.claim(names))

    async def take_left(self) -> list[dict[str, Any]]:
        """What was begun when the engine last stopped: claims, and large files that were taken in part."""
        claims = [claim for claim in left_claims(self._home) if str(claim.path) not in self._given_up]
        left = [Source(str(claim.path), claim.name, claimed=True) for claim in claims]
        partial = await self._executor.run(PARTIAL_FILES, str(self._home.path))
        archived = [(self._home.archived(file["sha256"], ".parquet"), file["name"]) for file in partial]
        sources = [*left, *(Source(str(path), name) for path, name in archived)]
        if not sources:
            return []
        with self._telling.step("intake"):
            return await self.take(sources)

    async def take_inbox(self, dry_run: bool = False) -> tuple[list[dict[str, Any]], list[str]]:
        """Everything that is in the inbox now, once it has settled; and the names that are not taken."""
        inbox = self._home.inbox
        if dry_run:
            looks, others = scan(inbox, system_clock())
            return await self.take([Source(str(inbox / name), name) for name in looks], dry_run), others
        entries = await self.take_left()
        before, others = scan(inbox, system_clock())
        pending = set(before)
        seen: dict[str, Look] = {}
        while pending:
            looks, others = scan(inbox, system_clock())
            pending &= set(looks)
            settled = sorted(name for name in pending if ready(seen.get(name), looks[name]))
            pending.difference_update(settled)
            for names in batched(settled, FILES_AT_ONCE):
                entries += await self.take_in(names)
            seen = {name: first_look(seen.get(name), look) for name, look in looks.items()}
            if pending:
                self._telling.tell("settling", {"names": sorted(pending)})
                await asyncio.sleep(LOOK_EVERY_S)
        return entries, others

    # -- the command --

    async def ingest(self, command: Command) -> dict[str, Any]:
        """The files named, else all of the inbox: `ingest --json`. UsageError for one that is not there."""
        paths = [Path(path) for path in command.arguments.get("paths", [])]
        _require_files(paths)
        waiting: list[str] = []
        if paths:
            entries = await self.take([Source(str(path), path.name) for path in paths], command.dry_run)
        else:
            entries, waiting = await self.take_inbox(command.dry_run)
        return {"files": entries, "totals": totals(entries), "waiting": waiting}


def _require_files(paths: list[Path]) -> None:
    missing = [str(path) for path in paths if not path.exists() and not path.is_symlink()]
    if missing:
        raise UsageError(f"There is no file {', '.join(missing)}.", "Check the path; nothing was ingested.")


def _claimed(home: Home, names: list[str]) -> list[Source]:
    with writable():
        claims = [claim(home, name) for name in names]
    return [Source(str(one.path), one.name, claimed=True) for one in claims if one is not None]
