"""What the gauges are made of, read from a home: beside an engine that works on it, or with none.

Reads only. What `status` tells is not read again; each fact is one cheap look.
"""

from pathlib import Path
from typing import Any

import numpy as np
import psutil

from engine.domain.instants import format_instant
from engine.domain.money import SCALE
from engine.runtime.books import Books
from engine.runtime.home import Home
from engine.runtime.inbox import scan
from engine.runtime.queries import nav
from engine.runtime.status import status
from engine.store.reader import Reader

PARTS = ("state", "journal", "lake", "logs")


def telemetry_facts(home_path: str, now: int, arguments: dict[str, Any]) -> dict[str, Any]:
    """What gauges are made of; `status` is empty if the one who asks knows it."""
    found = facts(home_path, now)
    found["nav"] = {
        resolution: nav(home_path, now, _only(close) | {"resolution": resolution})["points"][-1]
        for resolution, close in found.pop("closes").items()
    }
    known = bool(arguments.get("knows_status"))
    return {"now_us": now, "facts": found, "status": {} if known else status(home_path, now, {})}


def telemetry(home_path: str, now: int, _arguments: dict[str, Any]) -> dict[str, Any]:
    """`telemetry --json` where no engine counts: the gauges of the home alone."""
    from engine.runtime.telemetry.meters import gauges  # who is asked for facts alone does not load it

    return {"live": False, "text": gauges(telemetry_facts(home_path, now, {}))}


def _only(close: int) -> dict[str, Any]:
    return {"from": format_instant(close - 1), "to": format_instant(close)}


def facts(home_path: str, now: int) -> dict[str, Any]:
    """`disk_free`, `bytes` by part, `rows` by kind, `queues`, `fx` by pair, `closes`: the last valued."""
    home = Home(Path(home_path))
    with Reader(home.state) as reader:
        lake = reader.value("SELECT coalesce(sum(bytes), 0) FROM lake_files WHERE dead_at IS NULL")
        return {
            "disk_free": psutil.disk_usage(str(home.path)).free,
            "bytes": {
                "state": sum(_size(home.path / name) for name in ("state.db", "state.db-wal")),
                "journal": _size(home.journal),
                "lake": lake,
                "logs": _size(home.path / "logs"),
            },
            "rows": _rows(reader),
            "queues": {"inbox": _inbox(home, now), "quarantine": _quarantine(reader)},
            "fx": _fx(Books(reader, home.config()), now),
            "closes": _closes(reader),
        }


def _size(path: Path) -> int:
    """Bytes of a file, or of the files in a folder; 0 if it is not there."""
    found = list(path.iterdir()) if path.is_dir() else [path]
    total = 0
    for one in found:
        try:
            total += one.stat().st_size
        except FileNotFoundError:  # gone meanwhile
            continue
    return total


def _rows(reader: Reader) -> dict[str, dict[str, int]]:
    found = reader.records(
        "SELECT kind, sum(rows) AS rows, sum(quarantined) AS quarantined FROM files"
        " WHERE kind IS NOT NULL AND status <> 'rejected' GROUP BY kind ORDER BY kind"
    )
    return {row.pop("kind"): row for row in found}


def _inbox(home: Home, now: int) -> dict[str, Any]:
    looks, _ = scan(home.inbox, now)
    return {"items": len(looks), "since": min((look.mtime for look in looks.values()), default=None)}


def _quarantine(reader: Reader) -> dict[str, Any]:
    since = reader.value(
        "SELECT min(committed_at) FROM files f WHERE quarantined > 0 AND EXISTS"
        " (SELECT 1 FROM quarantine q WHERE q.file = f.file AND q.status = 'open')"
    )
    return {"items": reader.count("quarantine", "status = 'open'"), "since": since}


def _fx(books: Books, now: int) -> list[dict[str, Any]]:
    """Each pair now: whether it is held, and the drift of its fallback where that is looked at."""
    found = []
    for pair in books.rate_book.pairs:
        vector = books.rate_book.direct(pair, np.array([now], np.int64))
        use = vector.table[int(vector.idx[0])]
        drift = use.drift_bps if use.drift_bps is not None else _drift_of_hold(use)
        told = None if drift is None else drift / SCALE
        found.append({"pair": pair, "held": use.reason == "FX_HELD", "drift_bps": told})
    return found


def _drift_of_hold(use: Any) -> int | None:
    """A held rate is none, and so has no drift; what it is held for has."""
    drift: int | None = use.evidence[0].drift_bps if use.evidence else None
    return drift


def _closes(reader: Reader) -> dict[str, int]:
    """By resolution: the last close that was valued."""
    return dict(reader.rows("SELECT resolution, max(close_last) FROM valued GROUP BY 1 ORDER BY 1"))
