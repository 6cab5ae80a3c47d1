"""A pretended engine with fixed data and a fixed clock: for tests of the console and for its picture.

It keeps no books. What it tells has the shape of what the engine tells, and never changes from run to run.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

from console.fake_backups import BACKUPS, LAST_BACKUP, backup_job
from console.fake_desk import BY_REASON, FakeDesk
from console.fake_fx import ASSETS, PROVIDERS, use_eod_once
from console.fake_fx import status as fx_status
from console.fake_lots import LOTS
from console.fake_metrics import metrics
from console.fake_storage import STORAGE, storage_job
from console.fake_transfers import FakeTransfers
from console.widgets.figures import DAY_US, HOUR_US, MINUTE_US, from_us, to_us
from engine.api import Command, EngineClient, EngineError, Event, Query, Result

Document = dict[str, Any]

NOW = "2026-03-04T14:07:00Z"
NOW_US = to_us(NOW)
STEPS_US = {"5m": 5 * MINUTE_US, "1h": HOUR_US, "1d": DAY_US}
CLOSE_US = {
    "5m": to_us("2026-03-04T14:05:00Z"),
    "1h": to_us("2026-03-04T14:00:00Z"),
    "1d": to_us("2026-03-04T00:00:00Z"),
}
COUNTS = {"5m": 288, "1h": 24 * 90, "1d": 400}
HELD = (to_us("2026-02-24T20:00:00Z"), to_us("2026-02-26T02:00:00Z"))  # the rate was not trusted: gaps
UNPRICED = (to_us("2026-02-14T06:00:00Z"), to_us("2026-02-14T18:00:00Z"))


def ago(us: int) -> str:
    """An instant before the fixed now."""
    return from_us(NOW_US - us)


def nav_points(resolution: str) -> list[Document]:
    """A made-up course of NAV with two stretches in which it is not known."""
    return [dict(point) for point in _course(resolution)]


@cache
def _course(resolution: str) -> list[Document]:
    step, last = STEPS_US[resolution], CLOSE_US[resolution]
    return [_point(last - step * back) for back in range(COUNTS[resolution] - 1, -1, -1)]


def _point(ts: int) -> Document:
    held, unpriced = HELD[0] < ts <= HELD[1], UNPRICED[0] < ts <= UNPRICED[1]
    known = not held and not unpriced
    nav = f"{_cents(ts) // 100}.{_cents(ts) % 100:02d}"
    return {
        "bucket_close": from_us(ts), "nav": nav if known else None, "priced_value": nav,
        "coverage": 1.0 if known else 0.92, "missing": ["SOL"] if unpriced else [],
        "held": ["EUR/USD"] if held else [],
        "reasons": ["FX_HELD"] if held else ["NO_PRICE"] if unpriced else [],
        "flags": [], "excluded": 0, "unmatched_value": None,
    }  # fmt: skip


def _cents(ts: int) -> int:
    day = (ts - NOW_US) / DAY_US
    wave = 31_000 * math.sin(day / 2.3) + 12_000 * math.sin(day * 2.9) + 5_000 * math.sin(day * 11)
    return round((1_284_000 + 2_100 * day + wave) * 100)


def _ratio(step: int) -> float:
    return round(0.48 + 0.1 * math.sin(step / 9) + 0.0009 * step, 3)


def _recent() -> list[Document]:
    def taken(name: str, kind: str, rows: int, aside: int, minutes: int) -> Document:
        return _file(name, kind, "ingested", (rows, rows - aside, 0, aside), "", "", minutes)

    files = [
        taken("kraken_2026-03-04.csv", "transactions", 1_840, 12, 3),
        taken("prices_5m_1400.parquet", "prices", 86_400, 0, 6),
        _file(
            "binance_2026-03-03.csv",
            "transactions",
            "duplicate",
            (0, 0, 0, 0),
            "",
            "the same bytes as before",
            22,
        ),
        taken("fx_ecb_2026-03-03.csv", "fx", 31, 0, 58),
        _file("wallet_export.csv", "", "rejected", (0, 0, 0, 0), "FILE_HEADER", "column 3 is 'Type'", 64),
        taken("coinbase_2026-02.csv", "transactions", 22_310, 178, 131),
        _file("photo.csv", "", "rejected", (0, 0, 0, 0), "FILE_BINARY", "a NUL byte at 4", 190),
    ]
    hourly = [
        taken(f"prices_5m_{hour:02d}00.parquet", "prices", 86_400, 0, 66 + 60 * (13 - hour))
        for hour in range(13, 1, -1)
    ]
    return sorted(files + hourly, key=lambda entry: entry["at"], reverse=True)


def _file(
    name: str, kind: str, status: str, rows: tuple[int, int, int, int], reason: str, detail: str, minutes: int
) -> Document:
    return {
        "name": name, "kind": kind, "status": status,
        "rows": rows[0], "accepted": rows[1], "duplicates": rows[2], "quarantined": rows[3],
        "reason": reason, "detail": detail, "at": ago(minutes * MINUTE_US),
        "done_at": ago(minutes * MINUTE_US), "seconds": round(rows[0] / (21_000 + 1_900 * (minutes % 7)), 3),
    }  # fmt: skip


def _events() -> list[Document]:
    told = [
        ("info", "engine", "engine started, 1,204 files and 48,213 transactions"),
        ("info", "value", "valued 5m to 13:55Z: 12 buckets, all complete"),
        ("bad", "file", "wallet_export.csv refused: FILE_HEADER"),
        ("info", "file", "fx_ecb_2026-03-03.csv taken: 31 rows"),
        ("info", "value", "valued 1h to 13:00Z: 1 bucket, complete"),
        ("info", "file", "binance_2026-03-03.csv is known already"),
        ("warn", "fx", "EUR/USD: no primary rate in force since 11:30Z, the fallback is 41 bps off"),
        ("info", "file", "prices_5m_1400.parquet taken: 86,400 rows"),
        ("info", "value", "valued 1h to 14:00Z: 1 bucket, complete"),
        ("warn", "file", "kraken_2026-03-04.csv taken: 1,828 of 1,840 rows, 12 set aside"),
        ("info", "value", "valued 5m to 14:05Z: 1 bucket, complete"),
        ("info", "file", "okx_2026-03-04.csv: reading"),
    ]
    minutes = (187, 70, 64, 58, 57, 22, 19, 6, 5, 3, 2, 0)
    return [
        {
            "seq": 40 + place,
            "at": ago(minute * MINUTE_US + 13_000_000),
            "level": level,
            "kind": kind,
            "text": text,
        }
        for place, ((level, kind, text), minute) in enumerate(zip(told, minutes, strict=True))
    ]


def overview() -> Document:
    """What the fake engine tells when asked for everything."""
    return {
        "seq": 60, "now": NOW, "home": "/srv/navdeck/demo", "label": "DEMO", "hosting": True, "pid": 812,
        "started_at": ago(187 * MINUTE_US), "read_only": False, "state": "running", "causes": [],
        "base_currency": "USD", "timezone": "UTC", "lot_method": "FIFO",
        "counts": {"files": 1_204, "files_rejected": 2, "transactions": 48_213, "prices": 2_184_300,
                   "fx_rates": 9_120, "decisions": 41, "lake_files": 3_412,
                   "quarantine_open": sum(BY_REASON.values())},
        "watermarks": {"ledger_last": ago(9 * MINUTE_US), "fx_last": ago(157 * MINUTE_US),
                       "prices_last": {name: from_us(ts) for name, ts in CLOSE_US.items()},
                       "valued_last": {name: from_us(ts) for name, ts in CLOSE_US.items()}},
        "last_runs": {"ingest": ago(3 * MINUTE_US), "value": ago(2 * MINUTE_US)},
        "alerts": [{"id": 7, "code": "QUARANTINE_OPEN", "about": "", "text": "214 rows wait in quarantine",
                    "hint": "3 shows them", "since": ago(131 * MINUTE_US), "acked": None},
                   {"id": 9, "code": "INBOX_NAME", "about": "", "hint": "rename or remove it",
                    "text": "the inbox holds a file that is neither .csv nor .parquet",
                    "since": ago(47 * MINUTE_US), "acked": None}],
        "memory": {"used_bytes": 312_400_000, "limit_bytes": 512_000_000, "ratio": 0.61,
                   "rss_bytes": 148_200_000,
                   "history": [[ago((149 - step) * 2_000_000), _ratio(step)] for step in range(150)]},
        "inbox": {"waiting": [{"name": "okx_2026-03-04.csv", "bytes": 4_210_000, "age_s": 41},
                              {"name": "bitstamp_2026-03-04.csv", "bytes": 812_300, "age_s": 38},
                              {"name": "prices_5m_1410.parquet", "bytes": 6_120_000, "age_s": 4}],
                  "others": ["notes.txt"],
                  "active": {"name": "okx_2026-03-04.csv", "stage": "storing",
                             "done": 45_000, "rows": 100_000, "started_at": ago(13_000_000)},
                  "recent": _recent()},
        "quarantine": {"open": sum(BY_REASON.values()), "by_reason": dict(BY_REASON),
                       "oldest": ago(131 * MINUTE_US)},
        "transfers": {"unmatched": 6, "oldest": ago(1_200 * HOUR_US)}, "backup": LAST_BACKUP,
        "nav": {"resolution": "1h", "points": nav_points("1h")[-720:]},
        "holds": [{"pair": "EUR/USD", "asset": None, "reason": "FX_HELD", "from": from_us(HELD[0]),
                   "to": from_us(HELD[1]), "closes": 30}],
        "valuing": None,
        "jobs": [{"name": "value 5m", "next_at": from_us(CLOSE_US["5m"] + STEPS_US["5m"])},
                 {"name": "value 1h", "next_at": from_us(CLOSE_US["1h"] + STEPS_US["1h"])}],
        "events": _events(),
    }  # fmt: skip


def _previewed() -> Document:
    """What a dry run of the inbox tells."""
    none = {
        "rows": 0,
        "accepted": 0,
        "duplicates": 0,
        "quarantined": 0,
        "reasons": {},
        "reason": "",
        "detail": "",
    }
    files: list[Document] = [
        {"path": "/srv/inbox/bitstamp_2026-03-04.csv", "kind": "transactions", "status": "ingested",
         "rows": 1_960, "accepted": 1_204, "duplicates": 731, "quarantined": 25,
         "reasons": {"IDEMPOTENCY_CONFLICT": 4, "PRICE_MISSING": 15, "QUANTITY_INVALID": 6}},
        {"path": "/srv/inbox/okx_2026-03-04.csv", "kind": "transactions", "status": "ingested",
         "rows": 100_000, "accepted": 100_000},
        {"path": "/srv/inbox/binance_2026-03-03.csv", "kind": "transactions", "status": "duplicate"},
        {"path": "/srv/inbox/prices_5m_1410.parquet", "kind": "", "status": "rejected",
         "reason": "FILE_HEADER", "detail": "column 3 is 'ts'"},
    ]  # fmt: skip
    return {"files": [none | entry for entry in files], "totals": {}, "waiting": ["notes.txt"]}


class FakeClient:
    """An EngineClient that answers from the data above, or from `document`, and notes what it was asked."""

    def __init__(self, document: Document | None = None) -> None:
        self.document = document if document is not None else overview()
        self.desk = FakeDesk()
        self.transfers = FakeTransfers()
        self.backups = BACKUPS
        self.commands: list[Command] = []
        self.queries: list[Query] = []
        self.failing: EngineError | OSError | None = None
        self.closed = False
        self._listeners: list[Callable[[Event], None]] = []

    async def do(self, command: Command) -> Result:
        """Notes the command and carries it out; the quarantine's counts are told as the engine tells them."""
        if self.failing:
            raise self.failing
        self.commands.append(command)
        done = self._done(command)
        if not command.dry_run:
            self.tell("acted", {"name": command.name})
        return Result(done)

    def _done(self, command: Command) -> Document:
        if command.name in self.desk.acts:
            done = self.desk.acts[command.name](command)
            if not command.dry_run:
                self.document["quarantine"] = self.desk.counts()
                self.tell("quarantine", self.document["quarantine"])
            return done
        if command.name in self.transfers.acts:
            return self.transfers.acts[command.name](command)
        if command.name == "fx_use_eod_once":
            if not command.dry_run:
                self.desk.note(command.name, {"pair": command.arguments["pair"]}, command, {})
            return use_eod_once(command)
        if command.name == "sample":
            return {"files": ["sample-prices.csv", "sample-rates.csv", "sample-trades.csv"]}
        if command.name in ("compact", "retention"):
            return storage_job(command.name)
        if command.name.startswith("backup_"):
            return backup_job(command.name)
        if command.name == "asset_set":
            return {"assets": [], "decisions": [42]}
        if command.name == "alert_ack":
            return {"acknowledged": [], "decisions": [43]}
        if command.name == "value":
            return {"buckets": 12, "snapshots": 240, "complete": 12}
        return _previewed() if command.dry_run else {"files": []}

    async def ask(self, query: Query) -> Result:
        """Answers `overview`, `nav`, `metrics` and the desk's questions."""
        if self.failing:
            raise self.failing
        self.queries.append(query)
        if query.name in self.transfers.answers:
            return Result(self.transfers.answers[query.name](query.arguments))
        if query.name == "fx_status":
            return Result(fx_status(query.arguments))
        if query.name == "providers":
            return Result({"providers": PROVIDERS})
        if query.name == "storage":
            return Result(STORAGE)
        if query.name == "backups":
            return Result(self.backups)
        if query.name == "assets":
            return Result({"assets": ASSETS})
        if query.name in LOTS:
            return Result(LOTS[query.name](query.arguments))
        if query.name in self.desk.answers:
            return Result(self.desk.answers[query.name](query.arguments))
        return Result(
            {"overview": self._overview, "nav": self._nav, "metrics": self._metrics}[query.name](query)
        )

    def _overview(self, _query: Query) -> Document:
        return self.document

    def _nav(self, query: Query) -> Document:
        after = query.arguments["from"] or ""
        points = nav_points(query.arguments["resolution"]) if self.document.get("nav") else []
        return {
            "base_currency": "USD",
            "points": [point for point in points if point["bucket_close"] > after],
        }

    def _metrics(self, query: Query) -> Document:
        return metrics(self._nav(query)["points"], query.arguments["resolution"])

    def subscribe(self, listener: Callable[[Event], None]) -> None:
        self._listeners.append(listener)

    def tell(self, kind: str, data: Document, skipped: int = 0) -> None:
        """Sends an event, numbered after the last; `skipped`: as if so many before it got lost."""
        self.document["seq"] += 1 + skipped
        event = Event(self.document["seq"], kind, data)
        for listener in self._listeners:
            listener(event)

    async def close(self) -> None:
        self.closed = True


def connecting(client: FakeClient) -> "Callable[[], Any]":
    """A way to connect that gives this client."""

    async def connect() -> EngineClient:
        return client

    return connect


def still() -> float:
    """A clock that stands, so that a picture is always the same."""
    return 0.0
