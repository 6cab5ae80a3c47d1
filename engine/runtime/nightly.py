"""Runs what the schedule says: the nightly backup with its check, and the weekly drill. One after the other.

Which dates are done is kept in `backups/schedule.json`, so that a restart neither repeats nor forgets one; a
date is noted when its job is done, and a job that failed is tried again. A new home's first date is its next.
"""

import asyncio
import json
from datetime import date, time
from pathlib import Path
from typing import Any, Protocol

from engine.backup import schedule
from engine.config import WEEKDAYS, Config
from engine.messages import Command, Result
from engine.runtime.home import Home
from engine.store.files import publish

DONE = "schedule.json"
ACTOR = "schedule"


class Works(Protocol):
    """What of an engine is needed."""

    home: Home
    config: Config

    def now(self) -> int: ...

    async def do(self, command: Command) -> Result: ...

    def log(self, level: str, kind: str, text: str) -> None: ...


class Nightly:
    """The schedule of one home."""

    def __init__(self, engine: Works) -> None:
        self._engine = engine
        self._path = engine.home.backups / DONE
        self._done: dict[str, str] | None = None

    async def run_due(self) -> None:
        """Runs what is due now, if anything; what a job raises is raised, and it stays due."""
        for job, weekday in self._jobs():
            day = await asyncio.to_thread(self._due, job, weekday)
            if day is not None:
                await (self._backup() if job == "backup" else self._drill())
                await asyncio.to_thread(self._note, job, day)

    def _jobs(self) -> list[tuple[str, int | None]]:
        weekday = self._engine.config["backup.drill_weekday"]
        jobs: list[tuple[str, int | None]] = [("backup", None)]
        return [*jobs, ("drill", WEEKDAYS.index(weekday))] if weekday in WEEKDAYS else jobs

    def _due(self, job: str, weekday: int | None) -> date | None:
        """The date to run for; a job that was never seen before counts as done up to now."""
        config = self._engine.config
        when = self._engine.now(), config["timezone"], time.fromisoformat(config["backup.at"])
        known = self._known()
        if job not in known:
            self._note(job, schedule.newest_due(*when, weekday))
            return None
        return schedule.due(*when, date.fromisoformat(known[job]), weekday)

    def _known(self) -> dict[str, str]:
        if self._done is None:
            self._done = _read(self._path)
        return self._done

    def _note(self, job: str, day: date) -> None:
        known = self._known() | {job: day.isoformat()}
        publish(self._path, (json.dumps(known) + "\n").encode())
        self._done = known

    async def _backup(self) -> None:
        """Made, then read back: a backup that nobody looked at proves nothing."""
        made = await self._do("backup_create")
        found = await self._do("backup_verify", id=made["id"])
        text = f"{made['id']}: {made['new_files']:,} new files, {made['new_bytes']:,} bytes"
        self._engine.log("info", "backup", text)
        if not found["ok"]:
            self._engine.log("bad", "backup_damaged", f"{made['id']} is not what was written")
        if made["left_out"]:
            self._engine.log("warn", "backup_left_out", f"{made['id']} lacks {len(made['left_out'])} files")
        for name in ("target", "hook"):
            if made[name] is not None and not made[name]["ok"]:
                self._engine.log("bad", f"backup_{name}", f"{made['id']}: {made[name]['error']}")

    async def _drill(self) -> None:
        report = await self._do("backup_drill")
        level = "info" if report["verdict"] == "passed" else "bad"
        self._engine.log(level, "drill", f"{report['verdict']} {report.get('problem', '')}".strip())

    async def _do(self, name: str, **arguments: Any) -> dict[str, Any]:
        return (await self._engine.do(Command(name, arguments, actor=ACTOR))).value


def _read(path: Path) -> dict[str, str]:
    """What is kept; nothing where that cannot be read, so that the next date is the next one to run."""
    try:
        told = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return {str(job): str(day) for job, day in told.items()} if isinstance(told, dict) else {}
