"""What a console needs to draw itself: one document of the engine as it is now, kept up by its events.

It stores nothing and decides nothing: lists are short and bounded, figures come from the store's queries.
"""

from collections import deque
from typing import Any

from engine.domain.instants import SECOND_US, format_instant
from engine.messages import Event
from engine.runtime.inbox import Look

MEMORY_POINTS = 600  # at most one every two seconds: twenty minutes or more
RECENT_FILES = 100
EVENTS_KEPT = 200
NAV_DAYS = {"5m": 2, "1h": 30, "1d": 720}  # some 600-700 points: more than any screen has columns
POINTS_MAX = 720  # kept and told, also where a series is new and nobody knows yet where it ends
HOLD_REASONS = ("FX_HELD", "PEG_BROKEN")


class Overview:
    """The live part of the `overview` document."""

    def __init__(self) -> None:
        self.memory: dict[str, Any] = {}
        self.history: deque[tuple[str, float]] = deque(maxlen=MEMORY_POINTS)  # told when a change shows
        self.recent: deque[dict[str, Any]] = deque(maxlen=RECENT_FILES)
        self.events: deque[dict[str, Any]] = deque(maxlen=EVENTS_KEPT)
        self.active: dict[str, Any] | None = None
        self.valuing: dict[str, Any] | None = None
        self.upkeep: dict[str, Any] | None = None  # compaction or retention, while it is at work
        self.job: dict[str, Any] | None = None  # with backups, while it is at work
        self.waiting: list[dict[str, Any]] = []
        self.others: list[str] = []
        self.status: dict[str, Any] = {}
        self.nav: dict[str, Any] = {"resolution": "1d", "points": []}
        self.holds: list[dict[str, Any]] = []

    def recall(self, past: dict[str, Any]) -> None:
        """Takes in what was before: the newest files and events that the home keeps."""
        self.recent = deque([*self.recent, *past["files"]][:RECENT_FILES], maxlen=RECENT_FILES)
        self.events = deque([*past["events"], *self.events], maxlen=EVENTS_KEPT)

    def note(self, event: Event, at: int) -> None:
        """Takes one event in."""
        kind, data = event.kind, event.data
        if kind == "file_started":
            self.active = {"name": data["name"], "stage": "reading", "done": 0, "rows": 0,
                           "started_at": format_instant(at)}  # fmt: skip
        elif kind == "file_progress" and self.active is not None:
            self.active |= {"stage": "storing", "done": data["done"], "rows": data["rows"]}
        elif kind == "file_done":
            self.active = None
            self.recent.appendleft(data)
        elif kind == "value_started":
            self.valuing = {"resolution": data["resolution"], "started_at": format_instant(at)}
        elif kind == "value_progress" and self.valuing is not None:
            self.valuing |= {"done": data["done"], "days": data["days"]}
        elif kind in ("value_done", "value_failed"):
            self.valuing = None
        elif kind == "lake_progress":
            self.upkeep = data | {"started_at": (self.upkeep or {}).get("started_at", format_instant(at))}
        elif kind == "lake_done":
            self.upkeep = None
        elif kind == "backup_step":
            before = self.job or {"steps": [], "started_at": format_instant(at)}
            self.job = before | {"steps": [*before["steps"], data["step"]]}
        elif kind == "backup_done":
            self.job = None
        elif kind == "log":
            self.events.append({"seq": event.seq, "trace_id": event.trace_id, **data})
        elif kind == "memory":
            self.memory = data
            self.history.append((format_instant(at), data["ratio"]))
        elif kind == "inbox":
            self.waiting, self.others = data["waiting"], data["others"]

    def document(self) -> dict[str, Any]:
        """The live part as JSON."""
        counts = self.status.get("counts", {})
        return {
            "counts": counts,
            "watermarks": self.status.get("watermarks", {}),
            "last_runs": self.status.get("last_runs", {}),
            "alerts": self.status.get("alerts", []),
            "memory": {**self.memory, "history": [list(point) for point in self.history]},
            "inbox": {"waiting": self.waiting, "others": self.others, "active": self.active,
                      "recent": list(self.recent)},
            "quarantine": quarantine_of(self.status),
            **standing_of(self.status),
            "nav": self.nav,
            "holds": self.holds,
            "valuing": self.valuing,
            "upkeep": self.upkeep,
            "job": self.job,
            "events": list(self.events),
        }  # fmt: skip


def quarantine_of(status: dict[str, Any]) -> dict[str, Any]:
    """How many rows wait, why, and since when the oldest does."""
    return {
        "open": status.get("counts", {}).get("quarantine_open", 0),
        "by_reason": status.get("quarantine_reasons", {}),
        "oldest": _told(status.get("facts", {}).get("quarantine_oldest")),
    }


def standing_of(status: dict[str, Any]) -> dict[str, Any]:
    """Transfers that lack their other side, the newest backup and the last drill."""
    number, oldest = status.get("facts", {}).get("unsettled") or (0, None)
    backup = {key: value for key, value in status.get("backup", {}).items() if key != "age_s"}  # it moves
    return {"transfers": {"unmatched": number, "oldest": _told(oldest)}, "backup": backup}


def _told(us: int | None) -> str | None:
    return None if us is None else format_instant(us)


def nav_resolution(status: dict[str, Any]) -> str:
    """The finest resolution that has prices of its own."""
    priced = status.get("watermarks", {}).get("prices_last", {})
    if "spot" in priced:
        return "5m"
    return next((resolution for resolution in NAV_DAYS if resolution in priced), "1d")


def waiting_files(looks: dict[str, Look], now: int) -> list[dict[str, Any]]:
    """The inbox's files as JSON, by name."""
    return [
        {"name": name, "bytes": look.size, "age_s": max(0, (now - look.mtime) // SECOND_US)}
        for name, look in sorted(looks.items())
    ]


def holds_of(points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Runs of withheld points, newest first: pair, reason, from, to, number of closes."""
    open_runs: dict[tuple[str, str], dict[str, Any]] = {}
    runs: list[dict[str, Any]] = []
    for point in points:
        found = {
            (name, reason)
            for reason in point["reasons"] if reason in HOLD_REASONS
            for name in point["held"]
        }  # fmt: skip
        open_runs = {key: run for key, run in open_runs.items() if key in found}
        for key in sorted(found):
            if key not in open_runs:
                open_runs[key] = {
                    "pair": key[0],
                    "reason": key[1],
                    "from": point["bucket_close"],
                    "closes": 0,
                }
                runs.append(open_runs[key])
            open_runs[key]["to"] = point["bucket_close"]
            open_runs[key]["closes"] += 1
    return runs[::-1]
