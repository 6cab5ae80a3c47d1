"""Questions to a home. Each reads one snapshot of the store beside whoever writes, and answers plain JSON.

Module-level functions of plain values, so that an executor can run them anywhere.
"""

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from engine.config import LOT_METHODS
from engine.domain.instants import format_instant
from engine.errors import EngineError, UsageError
from engine.runtime.asking import dropped_told, instant, is_stale, materialised, point_told
from engine.runtime.books import Books
from engine.runtime.digest import digest
from engine.runtime.home import Home
from engine.runtime.kept_books import open_books
from engine.runtime.known_names import require_known
from engine.runtime.open_day import contents, snapshots_between
from engine.runtime.series import Series
from engine.runtime.unpriced import unvalued
from engine.runtime.value import asset_files, inputs_of
from engine.snapshots.nav_reader import empty_point, read_points
from engine.snapshots.parquet_writer import check_file, paths
from engine.snapshots.schemas import FileRecord
from engine.store import journal, journal_audit
from engine.store.reader import Reader
from engine.valuation import buckets

# -- lots, digest, config -----------------------------------------------------------------------------


def lots(home_path: str, _now: int, arguments: dict[str, Any]) -> dict[str, Any]:
    """`lots --json`."""
    method = arguments.get("method")
    if method is not None and method not in LOT_METHODS:
        raise UsageError(
            f"There is no lot method {method!r}.", "Choose one of " + ", ".join(LOT_METHODS) + "."
        )
    home = Home(Path(home_path))
    with Reader(home.state) as reader:
        require_known(reader, arguments)
        books = open_books(home, reader)
        return books.lots(
            method, arguments.get("account"), arguments.get("asset"), instant(arguments, "as_of")
        )


def digests(home_path: str, _now: int, _arguments: dict[str, Any]) -> dict[str, Any]:
    """`digest --json`."""
    home = Home(Path(home_path))
    with Reader(home.state) as reader:
        return digest(reader, Books(reader, home.config()))


def configuration(home_path: str, _now: int, _arguments: dict[str, Any]) -> dict[str, Any]:
    """What is in force, and where each value comes from."""
    return {"settings": Home(Path(home_path)).config().rows()}


# -- nav ----------------------------------------------------------------------------------------------


def nav(home_path: str, _now: int, arguments: dict[str, Any]) -> dict[str, Any]:
    """`nav --json`: the materialised points of a series with a close in (from, to], or why there are none.

    `newest`: at most so many of them, the last ones.
    """
    home = Home(Path(home_path))
    config = home.config()
    resolution = arguments.get("resolution") or "1d"
    after, until = instant(arguments, "from"), instant(arguments, "to")
    with Reader(home.state) as reader:
        require_known(reader, arguments)
        closes = materialised(reader, resolution, config["timezone"])
        dropped = dropped_told(reader, resolution, after, until)
        kept = (closes > (after if after is not None else -1)) & (
            closes <= (until if until is not None else np.iinfo(np.int64).max)
        )
        closes = closes[kept][-arguments.get("newest", len(closes)) :]
        first, last = (int(closes[0]), int(closes[-1])) if len(closes) else (1, 0)
        found = snapshots_between(reader, resolution, first, last)
        stale = is_stale(reader, resolution, config)
        why = None if len(closes) else unvalued(reader, config)
    points = read_points(paths(home.lake, found.files), first, last, arguments.get("account"), found.rows)
    return {
        "base_currency": config["base_currency"],
        "resolution": resolution,
        "cash": config["cash"],
        "stale": stale,
        "unvalued": why,
        "dropped": dropped,
        "points": [point_told(points.get(close) or empty_point(close)) for close in closes.tolist()],
    }


# -- verify -------------------------------------------------------------------------------------------


def verify(home_path: str, _now: int, _arguments: dict[str, Any]) -> dict[str, Any]:
    """Recounts, re-reads and recomputes: what is stored must follow from what was ingested."""
    home = Home(Path(home_path))
    checks: list[dict[str, Any]] = []
    with Reader(home.state) as reader:
        books = Books(reader, home.config())
        checks.append(_check("state.db is sound", *_integrity(reader)))
        checks.append(_check("every file's rows are accounted for", *_counts(reader)))
        checks.append(_check("every source file is in the archive, byte for byte", *_archived(home, reader)))
        checks.append(_check("basis and quantities are conserved", *_conserved(books)))
        for (resolution,) in reader.rows("SELECT DISTINCT resolution FROM valued ORDER BY 1"):
            checks.append(
                _check(f"{resolution} snapshots are what was written", *_intact(home, reader, resolution))
            )
            checks.append(
                _check(f"{resolution} snapshots follow from the inputs", *_follow(reader, books, resolution))
            )
    return {"ok": all(check["ok"] for check in checks), "checks": checks}


def _check(name: str, problems: list[str], looked_at: int) -> dict[str, Any]:
    return {"check": name, "ok": not problems, "looked_at": looked_at, "problems": problems[:20]}


def _integrity(reader: Reader) -> tuple[list[str], int]:
    told = [row[0] for row in reader.rows("PRAGMA integrity_check")]
    return [line for line in told if line != "ok"], 1


def _counts(reader: Reader) -> tuple[list[str], int]:
    """A row that was taken back is in quarantine again; one that was superseded is still accepted."""
    accepted_rows = "superseded_by IS NULL OR superseded_by > 0"
    stored = dict(reader.rows(f"SELECT file, count(*) FROM tx WHERE {accepted_rows} GROUP BY file"))
    stored |= dict(reader.rows("SELECT file, count(*) FROM prices GROUP BY file"))
    stored |= dict(reader.rows("SELECT file, count(*) FROM fx_rates GROUP BY file"))
    aside = dict(
        reader.rows("SELECT file, count(*) FROM quarantine WHERE status <> 'released' GROUP BY file")
    )
    files = reader.rows("SELECT file, name, accepted, quarantined FROM files WHERE status <> 'rejected'")
    problems = [
        f"{name}: {accepted} accepted and {quarantined} quarantined, but {stored.get(file, 0)} and"
        f" {aside.get(file, 0)} are stored"
        for file, name, accepted, quarantined in files
        if stored.get(file, 0) != accepted or aside.get(file, 0) != quarantined
    ]
    return problems, len(files)


def _archived(home: Home, reader: Reader) -> tuple[list[str], int]:
    files = reader.rows("SELECT sha256, name FROM files WHERE status = 'ingested'")
    problems = []
    for sha256, name in files:
        kept = [home.archived(sha256, suffix) for suffix in (".csv", ".parquet")]
        found = next((path for path in kept if path.is_file()), None)
        if found is None:
            problems.append(f"{name} is not in the archive")
            continue
        with found.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                problems.append(f"{name} is not in the archive as it came: its bytes differ")
    return problems, len(files)


def _conserved(books: Books) -> tuple[list[str], int]:
    try:
        books.lots()
    except AssertionError as error:
        return [str(error)], books.ledger.height
    return [], books.ledger.height


def _intact(home: Home, reader: Reader, resolution: str) -> tuple[list[str], int]:
    problems = []
    files = [FileRecord(**row) for row in reader.live_files(resolution)]
    for file in files:
        try:
            check_file(home.lake, file)
        except EngineError as error:
            problems.append(error.tried)
    return problems, len(files)


def _follow(reader: Reader, books: Books, resolution: str) -> tuple[list[str], int]:
    zone = books.config["timezone"]
    closes = materialised(reader, resolution, zone, dropped=True)
    series = Series(closes, buckets.local_dates(buckets.opens(closes, resolution, zone), zone))
    made: dict[tuple[str, str], str] = {}
    for values, files in asset_files(series, inputs_of(books, resolution, series.closes)):
        made |= {(dt, values.asset): content for dt, content in files.contents()}
    live = reader.dropped_contents(resolution)
    live |= contents(reader, resolution)
    differing = sorted(key for key in made.keys() | live.keys() if made.get(key) != live.get(key))
    hint = "; values are older than the inputs: run `navdeck value`" if differing else ""
    return [f"{asset} on {dt} differs{hint}" for dt, asset in differing], len(live)


def journal_verify(home_path: str, _now: int, _arguments: dict[str, Any]) -> dict[str, Any]:
    """`journal verify --json`: every byte of the journal against its chain, and its end against state.db."""
    home = Home(Path(home_path))
    with Reader(home.state) as reader:
        text = reader.meta().get("journal")
    report = journal_audit.verify(home.journal)
    problems = list(report.problems)
    mark = journal.START if text is None else journal.Mark.from_json(text)
    if report.head.seq < mark.seq:
        problems.append(f"state.db stands at record {mark.seq}; the journal ends at {report.head.seq}")
    elif report.head.seq == mark.seq and report.head.chain != mark.chain:
        problems.append(f"record {mark.seq} is not the one that state.db was committed with")
    told = asdict(report) | {"ok": not problems, "problems": problems}
    for name in ("first_at", "last_at"):
        told[name] = None if told[name] is None else format_instant(told[name])
    return told
