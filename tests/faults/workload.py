"""What a home goes through while its disk is logged: files named and claimed, refused, in windows; acts.

A process of its own: `python -m tests.faults.workload FOLDER VARIANT…`. In FOLDER/VARIANT it finds `home` and
`files`; it leaves `log` there, pickled: the tree before, the log, and what state.db held before the first
commit and after each.
"""

import io
import json
import pickle
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from engine.domain.instants import DAY_US
from engine.runtime import take
from engine.runtime.home import Home
from engine.runtime.inbox import claim
from engine.runtime.taken import Source
from engine.store import commit, journal
from engine.store.models import metadata
from tests.faults.recorder import Log, patch_sqlite
from tests.runtime.deck import NOW, PRICE_COLUMNS, Row, bar, buy, to_csv

STEP_US = DAY_US // 5  # between acts, so that the journal is sealed now and then
WINDOW_ROWS = 20  # of a Parquet file, so that a small one has several
NAMED = ("tx-0.csv", "tx-1.csv", "prices.csv", "broken.csv", "bars.parquet")
CLAIMED = ("tx-2.csv", "late.csv")
VARIANTS = {
    "kept": "one connection stays open, as the engine's does",
    "closed": "every connection is closed, and with the last one the WAL is folded in",
    "journal": "SQLite does not sync its commits; the journal does",
    "blind": "neither does",
}
Dump = dict[str, list[tuple[Any, ...]]]


def fills(number: int) -> list[Row]:
    """Some rows of each file are in the next one too, some are equal, some are bad."""
    numbers = range(number * 20, number * 20 + 30)
    usual = {"account": "desk", "fee_asset": "USD", "fee_amount": "0.25"}
    rows = [buy(external_id=f"t-{n}", quantity=f"{n + 1}.5", **usual) for n in numbers]
    return [*rows, *[buy(account=f"twin-{number}")] * 2, buy(account="", notes=str(number))]


def bars(first: int, count: int, close: str = "25") -> list[Row]:
    days = range(first, first + count)
    return [bar(bucket_close=f"2024-{1 + n // 28:02d}-{n % 28 + 1:02d}T00:00:00Z", close=close) for n in days]


def sources() -> dict[str, bytes]:
    """All files by name, those of the inbox among them."""
    files = {f"tx-{n}.csv": to_csv(fills(n)) for n in range(3)}
    prices = to_csv([*bars(0, 60), *bars(30, 10, "26")], PRICE_COLUMNS)
    frame = pl.DataFrame(bars(100, 55), schema=dict.fromkeys(PRICE_COLUMNS, pl.String))
    typed = frame.with_columns(
        pl.col("bucket_close").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC", time_unit="us"),
        pl.col("open", "high", "low", "close", "volume").cast(pl.Decimal(38, 18)),
    )
    return files | {
        "late.csv": to_csv([*fills(9), *fills(10)]),
        "prices.csv": prices,
        "broken.csv": b"not,a,header,we,know\n",
        "bars.parquet": _parquet(typed),
    }


def _parquet(frame: pl.DataFrame) -> bytes:
    out = io.BytesIO()
    frame.write_parquet(out)
    return out.getvalue()


def lay(home: Path, files: Path) -> None:
    """Puts the sources where the workload finds them: CLAIMED in the inbox, NAMED beside the home."""
    for name, data in sources().items():
        ((home / "inbox" if name in CLAIMED else files) / name).write_bytes(data)


def dump(connection: Any) -> Dump:
    """All that state.db holds, but for where the journal stood and in which piece of work it was done."""
    found = {}
    for table, about in metadata.tables.items():
        but_mark = " WHERE key <> 'journal'" if table == "meta" else ""
        columns = ", ".join(f'"{one.name}"' for one in about.columns if one.name != "trace_id")
        rows = connection.execute(f"SELECT {columns} FROM {table}{but_mark}").fetchall()
        found[table] = sorted(rows, key=repr)
    return found


class Workload:
    """The acts, and the marks they leave in the log."""

    def __init__(self, home: Home, files: Path) -> None:
        self.home, self.files = home, files
        with closing(sqlite3.connect(home.state)) as connection:  # closed before SQLite is another one
            self.dumps = [dump(connection)]  # before the first commit, after each
        self.log = Log(home.path)
        self._now = NOW

    def note_commits(self, patch: pytest.MonkeyPatch) -> None:
        finish_commit = commit._finish

        def noted(connection: Any, *rest: Any) -> None:
            finish_commit(connection, *rest)
            self.log.add("commit", len(self.dumps))
            self.dumps.append(dump(connection))

        patch.setattr(commit, "_finish", noted)

    def run(self) -> None:
        acts: list[Callable[[], None]] = []
        acts += [lambda name=name: self.named(name) for name in NAMED]  # type: ignore[misc]
        acts.insert(2, lambda: self.claimed(CLAIMED[0]))
        acts.insert(4, self.decide)
        acts += [lambda: self.claimed(CLAIMED[1]), self.decide]
        acts += [lambda: self.named(NAMED[0]), self.many_names]
        for act in acts:
            self._now += STEP_US
            act()
            self.log.add("ack", len(self.dumps) - 1)

    def _take(self, path: Path, name: str, claimed: bool) -> None:
        take.take_files(str(self.home.path), [Source(str(path), name, claimed)], self._now, 7, keep=True)

    def named(self, name: str) -> None:
        self._take(self.files / name, name, claimed=False)

    def claimed(self, name: str) -> None:
        claimed = claim(self.home, name)
        assert claimed is not None
        self._take(claimed.path, name, claimed=True)

    def decide(self) -> None:
        """Rejects one quarantined row: a decision, and the whole row put again."""
        with commit.transaction(self.home.state, self.home.journal, self._now, "reject") as work:
            (row, *_) = work.reader.records("SELECT * FROM quarantine WHERE status = 'open' ORDER BY 1, 2")
            number = work.reader.value("SELECT count(*) + 1 FROM decisions")
            subject = json.dumps({"file": row["file"], "record": row["record"]})
            decision = {"decision": number, "kind": "reject", "subject": subject, "detail": "{}"}
            said = {"actor": "ann", "reason": "a test order", "committed_at": work.now}
            work.put("quarantine", pl.DataFrame([row | {"status": "rejected"}]))
            work.put("decisions", pl.DataFrame([decision | said]))

    def many_names(self) -> None:
        """More pages than fit before a checkpoint."""
        with commit.transaction(self.home.state, self.home.journal, self._now, "names") as work:
            numbers = range(1000, 1600)
            work.put("names", pl.DataFrame({"n": numbers, "name": [f"name {n:0200d}" for n in numbers]}))


def blind(patch: pytest.MonkeyPatch, journalled: bool) -> None:
    """SQLite no longer syncs its commits; without `journalled` nothing else does."""
    relaxed = [pragma.replace("synchronous=FULL", "synchronous=NORMAL") for pragma in commit.PRAGMAS]
    assert relaxed != list(commit.PRAGMAS)
    patch.setattr(commit, "PRAGMAS", tuple(relaxed))
    if not journalled:
        patch.setattr(journal.Journal, "append", lambda *_: journal.START)


def log_run(place: Path, variant: str) -> None:
    """Runs one variant and leaves its log."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(take, "WINDOW_ROWS", WINDOW_ROWS)
        if variant in ("journal", "blind"):
            blind(patch, journalled=variant == "journal")
        work = Workload(Home(place / "home"), place / "files")
        work.log.patch_os(patch)
        vfs = patch_sqlite(patch, work.log, variant, keep=variant != "closed")
        work.note_commits(patch)
        work.run()
        vfs.unregister()
    (place / "log").write_bytes(pickle.dumps((work.log.before, work.log.ops, work.dumps)))


if __name__ == "__main__":
    for name in sys.argv[2:]:
        log_run(Path(sys.argv[1]) / name, name)
