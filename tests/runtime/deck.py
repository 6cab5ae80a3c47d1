"""A home at work in this process: real store, real files, a clock of the test's own."""

import asyncio
import csv
import io
import os
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.domain.instants import SECOND_US, parse_instant
from engine.domain.transactions import COLUMNS
from engine.messages import Command, Query
from engine.runtime.engine import Engine
from engine.runtime.executors import ThreadExecutor
from engine.runtime.home import Home

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / ".." / "shared" / "data"
PRICE_COLUMNS = (
    "asset_id",
    "resolution",
    "bucket_close",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "quote_currency",
    "price_source",
)
FX_COLUMNS = ("base", "quote", "rate", "resolution", "asof", "fx_source")
START = parse_instant("2025-01-01T00:00:00Z") or 0
NOW = parse_instant("2026-01-01T00:00:00Z") or 0
LONG_AGO_S = 1_700_000_000  # a file of this age has settled

Row = dict[str, str]


def buy(**fields: str) -> Row:
    """One purchase, told by what differs."""
    usual = {
        "timestamp": "2025-03-01T10:00:00Z",
        "action": "BUY",
        "asset_id": "BTC",
        "quantity": "1.5",
        "unit_price_usd": "100",
        "account": "main",
    }
    return usual | fields


def bar(**fields: str) -> Row:
    """One daily bar."""
    usual = {
        "asset_id": "BTC",
        "resolution": "1d",
        "bucket_close": "2025-03-02T00:00:00Z",
        "close": "101",
        "quote_currency": "USD",
        "price_source": "exchange",
    }
    return usual | fields


def rate(**fields: str) -> Row:
    """One reference rate."""
    usual = {
        "base": "EUR",
        "quote": "USD",
        "rate": "1.1",
        "resolution": "1d",
        "asof": "2025-03-01T13:15:00Z",
        "fx_source": "ecb",
    }
    return usual | fields


def to_csv(rows: list[Row], columns: tuple[str, ...] = COLUMNS) -> bytes:
    """Rows as a CSV file."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([row.get(name, "") for name in columns] for row in rows)
    return out.getvalue().encode()


def ticking(step_us: int = SECOND_US) -> Callable[[], int]:
    """A clock that moves on by `step_us` whenever somebody looks at it."""
    instants: Iterator[int] = iter(range(NOW, NOW + 10**9 * step_us, step_us))
    return lambda: next(instants)


@dataclass
class Deck:
    """One home; every act opens the engine and closes it again, as a verb does."""

    path: Path
    clock: Callable[[], int] = lambda: NOW
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    on_event: Callable[[str, dict[str, Any]], None] | None = None

    @property
    def home(self) -> Home:
        return Home(self.path)

    def ingest(self, *paths: Path, dry_run: bool = False) -> dict[str, Any]:
        """`ingest PATH…`, or of the inbox."""
        command = Command("ingest", {"paths": [str(path) for path in paths]}, dry_run=dry_run)
        return self.with_engine(lambda engine: engine.do(command), writing=not dry_run)

    def value(self, **arguments: str) -> dict[str, Any]:
        return self.with_engine(lambda engine: engine.do(Command("value", dict(arguments))), writing=True)

    def ask(self, name: str, **arguments: Any) -> dict[str, Any]:
        return self.with_engine(lambda engine: engine.ask(Query(name, arguments)), writing=False)

    def with_engine(self, act: Callable[[Engine], Awaitable[Any]], writing: bool) -> dict[str, Any]:
        async def run() -> dict[str, Any]:
            engine = await Engine.open(self.home, ThreadExecutor(), self.clock, writing=writing)
            engine.subscribe(lambda event: self._take(event.kind, event.data))
            try:
                return dict((await act(engine)).value)
            finally:
                await engine.close()

        return asyncio.run(run())

    def _take(self, kind: str, data: dict[str, Any]) -> None:
        self.events.append((kind, data))
        if self.on_event is not None:
            self.on_event(kind, data)

    def digest(self) -> dict[str, Any]:
        return self.ask("digest")

    def fingerprint(self) -> str:
        """The whole digest in one word."""
        return str(self.digest()["digest"])

    def file(self, name: str, data: bytes | list[Row]) -> Path:
        """A file beside the home, to be named on the command line."""
        folder = self.path.parent / f"{self.path.name}-files"
        folder.mkdir(exist_ok=True)
        return _write(folder / name, data)

    def drop(self, name: str, data: bytes | list[Row], settled: bool = True) -> Path:
        """A file in the inbox, there for long unless `settled` is False."""
        path = _write(self.home.inbox / name, data)
        if settled:
            os.utime(path, (LONG_AGO_S, LONG_AGO_S))
        return path

    def take(self, *rows: Row) -> dict[str, Any]:
        """Ingests rows as a file of their own; the file's entry."""
        number = len(list(self.path.parent.glob("*-files/take-*")))
        return dict(self.ingest(self.file(f"take-{number}.csv", list(rows)))["files"][0])

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows of state.db, past the engine."""
        with closing(sqlite3.connect(self.home.state, isolation_level=None)) as connection:
            return connection.execute(statement, values).fetchall()

    def truth(self) -> list[tuple[Any, ...]]:
        """Everything that state.db holds."""
        tables = [
            name for (name,) in self.sql("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")
        ]
        return [(table, *row) for table in tables for row in self.sql(f"SELECT * FROM {table} ORDER BY 1, 2")]

    def archive(self) -> dict[str, bytes]:
        """What the archive holds, by file name."""
        folder = self.path / "archive"
        return {path.name: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}

    def rejected(self) -> list[str]:
        return sorted(os.listdir(self.home.rejected))

    def counts(self) -> dict[str, int]:
        return dict(self.ask("status")["counts"])


def _write(path: Path, data: bytes | list[Row]) -> Path:
    path.write_bytes(data if isinstance(data, bytes) else to_csv(data))
    return path
