"""The console's mirror of the engine: one overview, then numbered events; asked again where one is missing.

The mirror is pure. The session keeps it in step over an EngineClient. All text that enters is made safe here.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from console.text import safe_text
from console.widgets.figures import from_us, to_us
from engine.api import RESYNC, Command, EngineClient, EngineError, Event, Query, Result, strike

Document = dict[str, Any]
Phase = Literal["starting", "live", "lost", "failed", "leaving"]
Topics = frozenset[str]

RECENT_MAX, EVENTS_MAX, POINTS_MAX = 100, 200, 720  # kept; the engine sends as many
HISTORY_US = 3_600_000_000  # of memory, kept
SILENCE_S = 15.0  # without an event; then the engine is asked, to learn whether it is still there
ANSWER_S = 60.0  # for an overview; a busy engine may take a while
RETRY_S = (1.0, 2.0, 4.0, 10.0)  # between tries to connect; the last one again and again

EVERYTHING: Topics = frozenset([
    "state", "memory", "inbox", "quarantine", "nav", "value", "counts", "alerts", "events", "time", "backups",
    "acts", "work",
])  # fmt: skip
NOTHING: Topics = frozenset()

_BLANK: Document = {
    "seq": 0, "now": "1970-01-01T00:00:00Z", "home": "", "label": "", "hosting": False, "pid": 0,
    "started_at": None, "read_only": False, "state": "starting", "causes": [], "base_currency": "",
    "timezone": "UTC", "lot_method": "", "theme": "", "graphs": "auto",
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
    """What the console knows: `doc` has the shape of the engine's overview."""

    def __init__(self) -> None:
        self.phase: Phase = "starting"
        self.trouble: tuple[str, str] = ("", "")  # what went wrong with the connection, and a hint
        self.doc: Document = clean(_BLANK)
        self._read_at_s = 0.0

    def reset(self, overview: Document, at_s: float) -> None:
        """Takes a whole overview; `at_s`: seconds on the console's own steady clock."""
        told, before = clean(overview), self.doc["memory"]["history"]
        self.doc = {
            key: blank | (told.get(key) or {}) if isinstance(blank, dict) else told.get(key, blank)
            for key, blank in clean(_BLANK).items()
        }
        self._read_at_s = at_s
        self.doc["memory"]["history"] = _history(told.get("memory") or {}, before, self.now(at_s))

    def now(self, at_s: float) -> int:
        """The engine's time in microseconds: the overview's, moved on by the console's own clock."""
        return to_us(self.doc["now"]) + int((at_s - self._read_at_s) * 1_000_000)

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


# -- the session --------------------------------------------------------------------------------------


class Session:
    """Keeps a mirror in step with an engine; tells `changed` which topics moved. All on the event loop."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[EngineClient]],
        changed: Callable[[Topics], None],
        clock: Callable[[], float],
    ) -> None:
        self.mirror = Mirror()
        self._connect = connect
        self._changed = changed
        self._clock = clock
        self._client: EngineClient | None = None
        self._ahead: list[Event] = []
        self._asking = False
        self._heard = False
        self._again = asyncio.Event()
        self._unanswered = 0

    @property
    def connected(self) -> bool:
        return self.mirror.phase == "live"

    @property
    def is_waiting(self) -> bool:
        """Whether a question or a command is still without its answer."""
        return self._unanswered > 0

    async def run(self) -> None:
        """Connects, follows, and connects again after a loss; returns only where trying again cannot help."""
        tries = 0
        while True:
            try:
                client = await self._connect()
                tries = 0
                await self._follow(client)
            except (OSError, EngineError) as error:
                if not self._lost(error):
                    return
            except Exception as error:  # whatever the fault: it is shown, and the terminal stays whole
                self._lost(_fault(error))
                return
            await asyncio.sleep(RETRY_S[min(tries, len(RETRY_S) - 1)])
            tries += 1

    async def _follow(self, client: EngineClient) -> None:
        """Listens first and asks then, so that nothing told in between is lost."""
        self._client = client
        client.subscribe(lambda event: self._take(client, event))
        while True:
            await self._read(client)
            await self._until_needed()

    async def _read(self, client: EngineClient) -> None:
        self._asking = True
        self._again.clear()
        try:
            overview = await asyncio.wait_for(client.ask(Query("overview")), ANSWER_S)
        finally:
            self._asking = False
        self.mirror.reset(overview.value, self._clock())
        self.mirror.phase = "live"
        ahead, self._ahead = self._ahead, []
        for event in ahead:
            self._apply(event)
        self._changed(EVERYTHING)

    async def _until_needed(self) -> None:
        """Returns when an event is missing, a refresh was asked for, or nothing was heard for long."""
        while True:
            self._heard = False
            try:
                await asyncio.wait_for(self._again.wait(), SILENCE_S)
            except TimeoutError:
                if self._heard and not self.mirror.overdue(self._clock()):
                    continue
            return

    def _take(self, client: EngineClient, event: Event) -> None:
        if client is not self._client:
            return
        self._heard = True
        if self._asking:
            self._ahead.append(event)
        else:
            self._apply(event)

    def _apply(self, event: Event) -> None:
        topics = self.mirror.take(event, self._clock())
        if topics is None:
            self._again.set()
        elif topics:
            self._changed(topics)

    def _lost(self, error: OSError | EngineError) -> bool:
        """Notes the loss; whether trying again makes sense."""
        self._client = None
        self._ahead.clear()
        hopeful = not isinstance(error, EngineError) or error.retryable
        text, hint = (error.tried, error.hint) if isinstance(error, EngineError) else (str(error), "")
        self.mirror.phase = "lost" if hopeful else "failed"
        self.mirror.trouble = (clean(text) or type(error).__name__, clean(hint))
        self._changed(EVERYTHING)
        return hopeful

    def refresh(self) -> None:
        """Asks for everything again, soon."""
        self._again.set()

    async def ask(self, query: Query) -> Document:
        """The cleaned answer. EngineError or OSError as the client raises them, or without a connection."""
        return await self._answer(self._there().ask(query))

    async def do(self, command: Command) -> Document:
        """Has a command carried out: its cleaned result. EngineError or OSError as above."""
        return await self._answer(self._there().do(command))

    async def _answer(self, asked: Awaitable[Result]) -> Document:
        self._unanswered += 1
        try:
            found: Document = clean((await asked).value)
        except (OSError, EngineError):
            raise
        except Exception as error:  # a fault in the engine is told like any error; the console goes on
            raise _fault(error) from error
        finally:
            self._unanswered -= 1
        return found

    def _there(self) -> EngineClient:
        if self._client is None:
            raise ConnectionError("not connected to an engine")
        return self._client

    async def close(self) -> None:
        """Ends the connection, if there is one."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()


def _fault(error: Exception) -> EngineError:
    """An error that nobody foresaw, as one that can be shown."""
    return EngineError(
        strike(f"Something failed that should not: {type(error).__name__}: {error}"),
        "Nothing is half stored. Start again; `navdeck status` and `navdeck verify` need no console.",
    )
