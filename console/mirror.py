"""The console's mirror of the engine: one overview, then what each numbered event changes in it. Pure.

All text that enters is made safe here.
"""

from collections.abc import Callable
from typing import Any, Literal

from console.text import safe_text
from console.widgets.figures import from_us, to_us
from engine.api import RESYNC, Event

Document = dict[str, Any]
Phase = Literal["starting", "live", "lost", "failed", "leaving"]
Topics = frozenset[str]

RECENT_MAX, EVENTS_MAX, POINTS_MAX = 100, 200, 720  # kept; the engine sends as many
HISTORY_US = 3_600_000_000  # of memory, kept

EVERYTHING: Topics = frozenset([
    "state", "memory", "inbox", "quarantine", "nav", "value", "counts", "alerts", "events", "time", "backups",
    "acts", "work",
])  # fmt: skip
NOTHING: Topics = frozenset()

_BLANK: Document = {
    "seq": 0, "now": "1970-01-01T00:00:00Z", "home": "", "label": "", "hosting": False, "pid": 0,
    "started_at": None, "read_only": False, "state": "starting", "causes": [], "base_currency": "",
    "timezone": "UTC", "lot_method": "", "theme": "", "graphs": "auto", "pace": 1,
    "counts": {"files": 0, "files_rejected": 0, "transactions": 0, "prices": 0, "fx_rates": 0,
               "decisions": 0, "quarantine_open": 0, "lake_files": 0},
    "watermarks": {"ledger_last": None, "fx_last": None, "prices_last": {}, "valued_last": {}},
    "last_runs": {"ingest": None, "value": None}, "alerts": [],
    "memory": {"used_bytes": 0, "limit_bytes": 0, "ratio": 0.0, "rss_bytes": 0, "history": []},
    "inbox": {"waiting": [], "others": [], "active": None, "recent": []},
    "quarantine": {"open": 0, "by_reason": {}, "oldest": None},
    "transfers": {"unmatched": 0, "oldest": None},
    "backup": {"id": None, "made_at": None, "verified": None, "drill": None},
    "nav": {"resolution": "1h", "points": []}, "holds": [],
    "valuing": None, "upkeep": None, "job": None, "jobs": [], "events": [],
}  # fmt: skip


def clean(value: Any) -> Any:
    """A JSON value with every text in it safe to show."""
    if isinstance(value, str):
        return value if value.isascii() and value.isprintable() else safe_text(value)
    if isinstance(value, dict):
        return {clean(key): clean(found) for key, found in value.items()}
    return [clean(found) for found in value] if isinstance(value, list) else value


def waiting(inbox: Document) -> list[Document]:
    """The files that wait in the inbox, without the one that is being read."""
    active = inbox["active"]
    return [entry for entry in inbox["waiting"] if not active or entry["name"] != active["name"]]


class Mirror:
    """What the console knows: `doc` has the shape of the engine's overview, and is blank until that came."""

    def __init__(self) -> None:
        self.phase: Phase = "starting"
        self.trouble: tuple[str, str] = ("", "")  # what went wrong with the connection, and a hint
        self.doc: Document = clean(_BLANK)
        self.is_known = False  # whether an overview ever came
        self._read_at_s = 0.0

    def reset(self, overview: Document, at_s: float) -> None:
        """Takes a whole overview; `at_s`: seconds on the console's own steady clock."""
        told, before = clean(overview), self.doc["memory"]["history"]
        self.doc = {
            key: blank | (told.get(key) or {}) if isinstance(blank, dict) else told.get(key, blank)
            for key, blank in clean(_BLANK).items()
        }
        self._read_at_s, self.is_known = at_s, True
        self.doc["memory"]["history"] = _history(told.get("memory") or {}, before, self.now(at_s))

    def now(self, at_s: float) -> int:
        """The engine's time in microseconds: the overview's, moved on by the console's own clock.

        A demo's time goes faster: `pace` seconds a second.
        """
        return to_us(self.doc["now"]) + int((at_s - self._read_at_s) * self.doc["pace"] * 1_000_000)

    def overdue(self, at_s: float) -> bool:
        """Whether a job should have run by now, so that what is known of the jobs is old."""
        return any(job["next_at"] and to_us(job["next_at"]) < self.now(at_s) for job in self.doc["jobs"])

    def take(self, event: Event, at_s: float) -> Topics | None:
        """Takes the next event: what it changed, or None if what is known is no longer kept up."""
        if event.kind == RESYNC:
            return None
        if event.seq <= self.doc["seq"]:
            return NOTHING
        if event.seq > self.doc["seq"] + 1:
            return None
        self.doc["seq"] = event.seq
        taken = _TAKES.get(event.kind)
        if taken is None:
            return NOTHING
        about = {"seq": event.seq, "told_at": from_us(self.now(at_s)), "trace_id": clean(event.trace_id)}
        return taken(self.doc, clean(event.data) | about)


ABOUT = ("seq", "told_at", "trace_id")  # of the event itself, beside what it tells
# -- what each kind of event changes ------------------------------------------------------------------


def _file_started(doc: Document, data: Document) -> Topics:
    doc["inbox"]["active"] = {
        "name": data["name"], "stage": "reading", "done": 0, "rows": None, "started_at": data["told_at"],
    }  # fmt: skip
    return frozenset({"inbox"})


def _file_progress(doc: Document, data: Document) -> Topics:
    before = doc["inbox"]["active"] or {"started_at": data["told_at"]}
    moved = {"name": data["name"], "stage": "storing", "done": data["done"], "rows": data["rows"]}
    doc["inbox"]["active"] = before | moved
    return frozenset({"inbox"})


def _file_done(doc: Document, data: Document) -> Topics:
    entry = {key: value for key, value in data.items() if key not in ABOUT}
    doc["inbox"]["active"] = None
    doc["inbox"]["recent"] = [entry, *doc["inbox"]["recent"]][:RECENT_MAX]
    doc["last_runs"]["ingest"] = entry.get("at") or data["told_at"]
    return frozenset({"inbox", "counts"})


def _inbox(doc: Document, data: Document) -> Topics:
    doc["inbox"] |= {"waiting": data["waiting"], "others": data["others"]}
    return frozenset({"inbox"})


def _value_started(doc: Document, data: Document) -> Topics:
    doc["valuing"] = {"resolution": data["resolution"], "started_at": data["told_at"]}
    return frozenset({"value"})


def _value_progress(doc: Document, data: Document) -> Topics:
    before = doc["valuing"] or {"resolution": data["resolution"], "started_at": data["told_at"]}
    doc["valuing"] = before | {"done": data["done"], "days": data["days"]}
    return frozenset({"value"})


def _lake_progress(doc: Document, data: Document) -> Topics:
    before = doc["upkeep"] or {"started_at": data["told_at"]}
    doc["upkeep"] = before | {key: data[key] for key in ("job", "things", "done", "of")}
    return frozenset({"work"})


def _lake_done(doc: Document, _data: Document) -> Topics:
    doc["upkeep"] = None
    return frozenset({"work"})


def _value_failed(doc: Document, _data: Document) -> Topics:
    doc["valuing"] = None
    return frozenset({"value"})


def _value_done(doc: Document, data: Document) -> Topics:
    doc["valuing"] = None
    doc["last_runs"]["value"] = data["told_at"]
    return frozenset({"value", "nav"})


def _memory(doc: Document, data: Document) -> Topics:
    memory = doc["memory"]
    memory |= {key: data[key] for key in ("ratio", "used_bytes", "limit_bytes", "rss_bytes")}
    told_at = to_us(data["told_at"])
    memory["history"] = _recent([*memory["history"], [told_at, data["ratio"]]], told_at)
    return frozenset({"memory"})


def _history(told: Document, before: list[Any], now: int) -> list[Any]:
    """The course of memory as [time, ratio], from an overview that tells [instant, ratio].

    A ratio without its time says nothing of when: it is left out, and what was seen before stays.
    """
    timed = [[to_us(point[0]), point[1]] for point in told.get("history") or [] if isinstance(point, list)]
    latest = [[now, told["ratio"]]] if "ratio" in told else []
    return _recent([*(timed or before), *latest], now)


def _recent(history: list[Any], now: int) -> list[Any]:
    """The points of the last HISTORY_US, and the one that was in force before them."""
    old = [point for point in history if point[0] <= now - HISTORY_US]
    return [*old[-1:], *history[len(old) :]]


def _state(doc: Document, data: Document) -> Topics:
    doc |= {"state": data["state"], "causes": data["causes"]}
    return frozenset({"state", "alerts"})


def _quarantine(doc: Document, data: Document) -> Topics:
    doc["quarantine"] = {key: data.get(key) for key in doc["quarantine"]}
    doc["counts"]["quarantine_open"] = data["open"]
    return frozenset({"quarantine", "counts"})


def _nav(doc: Document, data: Document) -> Topics:
    doc["holds"] = data.get("holds", doc["holds"])
    if data["points"]:
        last = max(point["bucket_close"] for point in data["points"])
        valued = doc["watermarks"]["valued_last"]
        valued[data["resolution"]] = max(last, valued.get(data["resolution"]) or last)
    if data.get("whole"):
        doc["nav"] = {"resolution": data["resolution"], "points": data["points"][-POINTS_MAX:]}
    elif data["resolution"] == doc["nav"]["resolution"]:
        merged = {point["bucket_close"]: point for point in (*doc["nav"]["points"], *data["points"])}
        doc["nav"]["points"] = [merged[close] for close in sorted(merged)][-POINTS_MAX:]
    return frozenset({"nav"})


def _counts(doc: Document, data: Document) -> Topics:
    for name in ("watermarks", "last_runs", "transfers", "backup"):
        doc[name] |= data.get(name) or {}
    doc["jobs"] = data.get("jobs", doc["jobs"])
    doc["counts"] |= {name: data[name] for name in doc["counts"] if name in data}
    return frozenset({"counts", "time"})


def _alerts(doc: Document, data: Document) -> Topics:
    doc["alerts"] = data["alerts"]
    return frozenset({"alerts"})


def _backup_step(doc: Document, data: Document) -> Topics:
    before = doc["job"] or {"steps": [], "started_at": data["told_at"]}
    doc["job"] = before | {"steps": [*before["steps"], data["step"]]}
    return frozenset({"time"})


def _backup_done(doc: Document, _data: Document) -> Topics:
    doc["job"] = None
    return frozenset({"backups"})


def _acted(_doc: Document, _data: Document) -> Topics:
    return frozenset({"acts"})


def _log(doc: Document, data: Document) -> Topics:
    entry = {key: data[key] for key in ("seq", "at", "level", "kind", "text", "trace_id")}
    doc["events"] = [*doc["events"], entry][-EVENTS_MAX:]
    return frozenset({"events"})


_TAKES: dict[str, Callable[[Document, Document], Topics]] = {
    "file_started": _file_started,
    "file_progress": _file_progress,
    "file_done": _file_done,
    "inbox": _inbox,
    "value_started": _value_started,
    "value_progress": _value_progress,
    "value_done": _value_done,
    "value_failed": _value_failed,
    "lake_progress": _lake_progress,
    "lake_done": _lake_done,
    "memory": _memory,
    "state": _state,
    "quarantine": _quarantine,
    "nav": _nav,
    "counts": _counts,
    "alerts": _alerts,
    "backup_step": _backup_step,
    "backup_done": _backup_done,
    "acted": _acted,
    "log": _log,
}
