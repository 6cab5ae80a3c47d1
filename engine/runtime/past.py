"""What was before an engine started, as far as its home keeps it: the newest files, and lines for people.

Reads only. Files come from state.db, lines from logs/; a log that is gone or damaged costs its lines alone.
"""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine.domain.instants import format_instant
from engine.runtime.home import Home
from engine.runtime.overview import EVENTS_KEPT, RECENT_FILES
from engine.runtime.telemetry.lines import LEVELS, pages
from engine.store.reader import Reader

LOG_BYTES = 1_000_000  # looked back
_FILE = (
    "name", "sha256", "kind", "status", "rows", "accepted", "duplicates", "quarantined", "reason", "detail",
)  # fmt: skip
_TOLD = {name: level for level, name in LEVELS.items()}


def past(home_path: str, _now: int, _arguments: dict[str, Any]) -> dict[str, Any]:
    """`files`, newest first, each as `file_done` told it; `events`, newest last, with numbers below 0."""
    home = Home(Path(home_path))
    with Reader(home.state) as reader:
        files = reader.rows(
            f"SELECT committed_at, {', '.join(_FILE)} FROM files WHERE status <> 'partial'"
            f" ORDER BY committed_at DESC, file DESC LIMIT {RECENT_FILES}"
        )
    return {"files": [_file(*row) for row in files], "events": _events(home.path / "logs")}


def _file(committed_at: int, *values: Any) -> dict[str, Any]:
    at = format_instant(committed_at)
    return {**dict(zip(_FILE, values, strict=True)), "at": at, "done_at": at, "seconds": None}


def _events(logs: Path) -> list[dict[str, Any]]:
    newest: list[dict[str, Any]] = []
    for line in reversed(_tail(logs)):
        event = _event(line)
        if event is not None and len(newest) < EVENTS_KEPT:
            newest.append(event | {"seq": -1 - len(newest)})
    return newest[::-1]


def _tail(logs: Path) -> list[bytes]:
    """The newest whole lines of LOG_BYTES, oldest first."""
    found: list[bytes] = []
    room = LOG_BYTES
    with suppress(OSError):
        for _, _, path in reversed(pages(logs, "engine")):
            with path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - room))
                lines = file.read(room).splitlines()
            found = lines[size > room :] + found  # the first may be cut
            room -= min(room, size)
            if not room:
                break
    return found


def _event(line: bytes) -> dict[str, Any] | None:
    """The line for people that was logged; None for any other line."""
    try:
        told = json.loads(line)
    except ValueError:
        return None
    if not isinstance(told, dict) or "source" in told or told.get("level") not in _TOLD:
        return None
    names = {"at": "ts", "kind": "event", "text": "text"}
    found = {name: told.get(key) for name, key in names.items()}
    if not all(isinstance(value, str) for value in found.values()):
        return None
    return {**found, "level": _TOLD[told["level"]], "trace_id": told.get("trace_id")}
