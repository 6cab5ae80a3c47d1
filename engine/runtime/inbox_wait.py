"""Waiting until all that lies in the inbox now has its verdict, while the engine takes it in by itself.

It takes nothing itself: it hears of verdicts, and looks where the files are that have none.
"""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.errors import DiskLow
from engine.runtime.clock import system_clock
from engine.runtime.home import Home
from engine.runtime.inbox import scan
from engine.runtime.taken import totals

LOOK_EVERY_S = 0.5
LOOKS_GONE = 6  # a file that is nowhere for so long, and of which nothing is heard, was taken away again


class InboxWait:
    """One wait: `hear` the entries of all files that are done, `run` until every file here now is."""

    def __init__(self, home: Home, disk_short: Callable[[], str]) -> None:
        """`disk_short`: why nothing is taken in now, for want of room; empty if there is enough."""
        self._home, self._disk_short = home, disk_short
        self._entries: list[dict[str, Any]] = []
        names, self._others = _there(home)
        self._pending = dict.fromkeys(names, 0)  # looks in which it was nowhere

    def hear(self, entry: dict[str, Any]) -> None:
        """Takes the verdict on one file."""
        if self._pending.pop(entry["name"], None) is not None:
            self._entries.append({key: value for key, value in entry.items() if key != "at"})

    async def run(self) -> dict[str, Any]:
        """The document of `ingest`. DiskLow where nothing more is taken for want of room."""
        while self._pending:
            if short := self._disk_short():
                raise DiskLow(short, "Free some space; what is in the inbox is taken then.")
            there, self._others = await asyncio.to_thread(_there, self._home)
            looks = {name: 0 if name in there else looks + 1 for name, looks in self._pending.items()}
            self._pending = {name: times for name, times in looks.items() if times < LOOKS_GONE}
            await asyncio.sleep(LOOK_EVERY_S)
        return {"files": self._entries, "totals": totals(self._entries), "waiting": self._others}


def _there(home: Home) -> tuple[set[str], list[str]]:
    """Names in the inbox or being taken, and those in the inbox that are never taken."""
    looks, others = scan(home.inbox, system_clock())
    claimed = [path.name for path in home.claimed.glob("*/*")]
    return {_told(name) for name in (*looks, *claimed)}, others


def _told(name: str) -> str:
    """A name as verdicts tell it."""
    return os.fsencode(Path(name)).decode("utf-8", "backslashreplace")
