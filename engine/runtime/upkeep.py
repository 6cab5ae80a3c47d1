"""Looks after the lake: sealing, compaction, retention, integrity; with the turn for a piece at a time.

The heavy half runs in the executor; what it made becomes live, and what it replaced dead, in one transaction.
A kill between two pieces costs nothing but what the next round sweeps.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import batched, takewhile
from typing import Any

from engine.compaction.file_compactor import DEAD, ORPHANS, SWEPT_AT_ONCE, chunks
from engine.config import Config
from engine.messages import Command
from engine.runtime.executors import Executor
from engine.runtime.home import Home
from engine.runtime.lake_told import Checked, Old, Rewritten, compact_told, retention_told, rules
from engine.runtime.memory import Watch
from engine.runtime.putting import commit_sealed, make_dead, make_live
from engine.runtime.tasks import (
    CAN_BE_MADE_AGAIN,
    CHECK,
    CHECK_IDLE,
    LIVE_NOW,
    OLD_DAYS,
    OVER,
    PLANNED,
    QUERIES,
    REMOVE,
    REMOVE_LOGS,
    REWRITE,
    SEAL,
)
from engine.runtime.telemetry.spans import span
from engine.store.writer import Writer

REMADE = 1  # the generation of a file that was written from another
DAYS_AT_ONCE = 10  # of the finest resolution 2,880 closes, in memory of one asset at a time
Log = Callable[[str, str, str], None]
Tell = Callable[[str, dict[str, Any]], None]


class Upkeep:
    """The upkeep of one home that is open for writing."""

    def __init__(
        self, home: Home, config: Config, executor: Executor, writer: Writer, turn: asyncio.Lock,
        now: Callable[[], int], log: Log, tell: Tell, memory: Watch,
    ) -> None:  # fmt: skip
        self._home, self._config = home, config
        self._executor, self._writer, self._turn = executor, writer, turn
        self._now, self._log, self._tell, self._memory = now, log, tell, memory
        self._path = str(home.path)
        self._ended = False
        self._jobs, self._cancelled = 0, False  # compactions and retentions at work, and whether they end

    def reconfigure(self, config: Config) -> None:
        """Takes new settings; the piece of work that is under way goes by the old ones."""
        self._config = config

    def end(self) -> None:
        """Lets the piece of work that is under way be the last: a later run goes on from there."""
        self._ended = True

    async def cancel(self, command: Command) -> dict[str, Any]:
        """Lets the piece that a compaction or retention is at be its last; what it has done stays."""
        self._cancelled = self._jobs > 0
        return {}

    # -- sealing --

    async def seal(self) -> None:
        """Days that are over and still lie in state.db become files."""
        days = await self._executor.run(OVER, self._path, self._now())
        for resolution, dt in takewhile(self._goes_on, days):
            async with self._turn:
                with span("seal", resolution=resolution, dt=dt):
                    files = await self._executor.run(SEAL, self._path, resolution, dt)
                    await commit_sealed(self._writer, resolution, dt, files)
            self._log("info", "sealed", f"{resolution} of {dt} is {len(files):,} files now")

    # -- compaction --

    async def compact(self, command: Command) -> dict[str, Any]:
        """Plans, then does what was planned: `compact --json`."""
        profile = command.arguments.get("profile") or self._memory.advice.profile
        if command.dry_run:
            asked = QUERIES["compact_plan"], self._path, self._now(), {"profile": profile}
            return await self._executor.run(*asked)
        made, before = await self._executor.run(PLANNED, self._path, self._now(), profile)
        with self._telling("compact", "files", sum(step.files for step in made.steps)) as moved:
            for groups in takewhile(self._goes_on, chunks(made)):
                async with self._turn:
                    done = await self._executor.run(REWRITE, self._path, groups)
                    await self._commit(done)
                moved(sum(map(len, groups)))
            await self.sweep([path for (path,) in made.step(DEAD)], orphans=False)
            moved(len(made.step(DEAD)))
            await self.sweep([path for (path,) in made.step(ORPHANS)], orphans=True)
            cancelled = self._cancelled
        _, after = await self._executor.run(PLANNED, self._path, self._now(), profile)
        told = compact_told(made, before, after, dry_run=False, cancelled=cancelled)
        if cancelled:
            self._log("info", "compact_cancelled", "what was rewritten stays, and a later run goes on")
        elif made.steps:
            words = ", ".join(f"{step.what} {step.files:,} files" for step in made.steps)
            self._log("info", "compacted", f"{words}: {before['bytes']:,} bytes are {after['bytes']:,}")
        return told

    @contextmanager
    def _telling(self, job: str, things: str, of: int) -> Iterator[Callable[[int], None]]:
        """Tells how far a job is whenever some more is done, and that it has ended however it ends."""
        done = 0
        self._jobs += 1

        def moved(more: int) -> None:
            nonlocal done
            done = min(of, done + more)
            self._tell("lake_progress", {"job": job, "things": things, "done": done, "of": of})

        moved(0)
        try:
            yield moved
        finally:
            self._jobs -= 1
            self._cancelled = self._cancelled and self._jobs > 0
            self._tell("lake_done", {"job": job})

    def _goes_on(self, _piece: object) -> bool:
        return not self._ended and not self._cancelled

    async def _commit(self, done: list[Rewritten]) -> None:
        for one in done:
            if one.problem:
                self._log("bad", "lake_file_bad", one.problem)
        async with self._writer.transaction() as (connection, now):
            for one in done:
                if one.record is None or one.record.path in one.sources:
                    await connection.exec_driver_sql(_REWRITTEN, [(path,) for path in one.sources])
                    continue
                await make_dead(connection, one.sources, now)
                await make_live(connection, [one.record], now, REMADE)

    # -- retention --

    async def retain(self, command: Command) -> dict[str, Any]:
        """Drops what is past its time, day by day, after proving it can be made again: `retention --json`."""
        if command.dry_run:
            return await self._executor.run(QUERIES["retention_plan"], self._path, self._now(), {})
        found = await self._executor.run(OLD_DAYS, self._path, self._now())
        before = await self._executor.run(LIVE_NOW, self._path)
        problems: list[str] = []
        going = [one for one in found if one.kept_because is None]
        with self._telling("retention", "days", sum(len(one.days) for one in going)) as moved:
            for one in going:
                problems += await self._drop(one, moved)
            cancelled = self._cancelled
        logs = {"files": 0, "bytes": 0}
        if not cancelled:
            logs = await self._executor.run(REMOVE_LOGS, self._path, self._now())
        after = await self._executor.run(LIVE_NOW, self._path)
        gone = before["files"] - after["files"]
        if gone or logs["files"]:
            self._log("info", "retention", f"{gone:,} snapshot files and {logs['files']:,} logs were dropped")
        return retention_told(found, logs, before, after, problems, dry_run=False, cancelled=cancelled)

    async def _drop(self, old: Old, moved: Callable[[int], None]) -> list[str]:
        """What could not be dropped, and why."""
        problems = []
        for days in takewhile(self._goes_on, batched(old.days, DAYS_AT_ONCE)):
            async with self._turn:
                proven = await self._executor.run(CAN_BE_MADE_AGAIN, self._path, old.resolution, list(days))
                async with self._writer.transaction() as (connection, now):
                    for day in sorted(proven):
                        for statement in _DROP:
                            await connection.exec_driver_sql(statement, (now, old.resolution, day))
            moved(len(days))
            for day in sorted(set(days) - proven):
                problems.append(f"{old.resolution} of {day} comes out otherwise when made anew; it stays")
                self._log("bad", "retention_kept", problems[-1])
        return problems

    # -- integrity --

    async def check(self, executor: Executor | None = None, files_max: int = 0) -> dict[str, Any]:
        """Checks so many files, oldest first (0: an hour's part of a month's), and mends what can be."""
        worker = executor or self._executor
        job = (CHECK, self._path, files_max) if files_max else (CHECK_IDLE, self._path)
        async with self._turn:
            found: Checked = await worker.run(*job)
            await self._note_checked(found)
        for path, record in found.remade:
            told = f"{path} was damaged; it was made anew with the same content {record.content[:16]}"
            self._log("bad", "lake_file_bad", told)
        for problem in found.problems:
            self._log("bad", "lake_file_bad", problem)
        paths = [path for path, _ in found.remade]
        return {"checked": len(found.sound) + len(paths), "remade": paths, "problems": found.problems}

    async def _note_checked(self, found: "Checked") -> None:
        if not found.sound and not found.remade:
            return
        async with self._writer.transaction() as (connection, now):
            for old, record in found.remade:
                if record.path != old:
                    await make_dead(connection, [old], now)
                    await make_live(connection, [record], now, REMADE)
            paths = [*found.sound, *(record.path for _, record in found.remade)]
            await connection.exec_driver_sql(_CHECKED, [(now, path) for path in paths])

    # -- sweeping --

    async def sweep_orphans(self) -> None:
        """Removes what a crash left in the lake."""
        made, _ = await self._executor.run(PLANNED, self._path, self._now(), None)
        lost = [path for (path,) in made.step(ORPHANS)]
        await self.sweep(lost, orphans=True)
        if lost:
            self._log("info", "orphans_swept", f"{len(lost):,} lake files that nobody listed were removed")

    async def sweep(self, paths: Iterable[str], orphans: bool) -> None:
        """Removes dead files whose grace is over, or what nobody lists; of the paths, what is still so."""
        for some in takewhile(self._goes_on, batched(paths, SWEPT_AT_ONCE)):
            async with self._turn:
                going = list(some) if orphans else await self._still_dead(some)
                await self._executor.run(REMOVE, self._path, going, orphans)
                if not orphans and going:
                    async with self._writer.transaction() as (connection, _):
                        await connection.exec_driver_sql(_FORGET, [(path,) for path in going])
                        await connection.exec_driver_sql(_SWEPT, [(path,) for path in going])

    async def _still_dead(self, paths: Iterable[str]) -> list[str]:
        before = rules(self._config, self._now()).dead_before
        async with self._writer.transaction() as (connection, _):
            found = await connection.exec_driver_sql(
                "SELECT path FROM lake_files WHERE dead_at <= ?", (before,)
            )
            dead = {path for (path,) in found.all()}
        return [path for path in paths if path in dead]


_DROP = (
    "UPDATE lake_files SET dropped_at = ? WHERE dead_at IS NULL AND resolution = ? AND dt = ?",
    "UPDATE lake_files SET dead_at = ? WHERE dead_at IS NULL AND resolution = ? AND dt = ?",
    "UPDATE valued SET dropped_at = ? WHERE resolution = ? AND dt = ?",
)
_REWRITTEN = "UPDATE lake_files SET generation = generation + 1 WHERE path = ? AND dead_at IS NULL"
_CHECKED = "UPDATE lake_files SET checked_at = ? WHERE path = ?"
_FORGET = "DELETE FROM lake_files WHERE path = ? AND dead_at IS NOT NULL AND dropped_at IS NULL"
_SWEPT = "UPDATE lake_files SET generation = -1 WHERE path = ? AND dropped_at IS NOT NULL"
