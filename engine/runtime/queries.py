"""Questions to a home. Each reads one snapshot of the store beside whoever writes, and answers plain JSON.

Module-level functions of plain values, so that an executor can run them anywhere.
"""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from engine.config import LOT_METHODS, Config
from engine.domain.instants import format_instant
from engine.errors import EngineError, UsageError
from engine.runtime import (
    asset_board,
    backups,
    compacting,
    fx_board,
    price_board,
    retaining,
    returns,
    storage_board,
)
from engine.runtime.asking import LAST_INPUT, dropped_told, instant, is_stale, materialised, point_told
from engine.runtime.books import Books
from engine.runtime.checking import set_aside
from engine.runtime.desk import queries as desk_queries
from engine.runtime.desk import transfer_alert, transfer_list
from engine.runtime.desk.explain import explain
from engine.runtime.digest import digest
from engine.runtime.home import Home
from engine.runtime.inbox import takes
from engine.runtime.lot_queries import QUERIES as LOTS
from engine.runtime.series import Series
from engine.runtime.sql import ALONE as ALONE
from engine.runtime.sql import QUERIES as SQL
from engine.runtime.value import asset_files, inputs_of
from engine.snapshots.nav_reader import NavPoint, empty_point, read_points
from engine.snapshots.parquet_writer import FileRecord, check_file, paths
from engine.store import journal
from engine.store.reader import Reader
from engine.valuation import buckets

Answer = Callable[[str, int, dict[str, Any]], dict[str, Any]]


# -- status -------------------------------------------------------------------------------------------


def status(home_path: str, now: int, _arguments: dict[str, Any]) -> dict[str, Any]:
    """Counts, how far the data reaches, the last runs, and what needs a person."""
    home = Home(Path(home_path))
    config = home.config()
    with Reader(home.state) as reader:
        counts = {
            "files": reader.count("files", "status = 'ingested'"),
            "files_partial": reader.count("files", "status = 'partial'"),
            "files_rejected": reader.count("files", "status = 'rejected'"),
            "transactions": reader.count("tx", "superseded_by IS NULL"),
            "prices": reader.count("prices"),
            "fx_rates": reader.count("fx_rates"),
            "decisions": reader.count("decisions"),
            "quarantine_open": reader.count("quarantine", "status = 'open'"),
            "lake_files": reader.count("lake_files", "dead_at IS NULL"),
        }
        watermarks = _watermarks(reader)
        last_ingest = reader.value("SELECT max(committed_at) FROM files")
        last_input = reader.value(LAST_INPUT)
        last_value = reader.value("SELECT max(committed_at) FROM valued")
        reasons = _reasons(reader)
        unsettled = transfer_alert.unsettled(reader, home.state)
        suspicious = price_board.suspicious(reader, home.state)
    waiting = sorted(entry.name for entry in home.inbox.iterdir() if not entry.name.startswith("."))
    alerts = _alerts(counts, waiting, last_input, last_value) + transfer_alert.alerts(unsettled, now)
    alerts += price_board.alerts(suspicious)
    alerts += _disk_alerts(home, config)
    alerts += _lake_alerts(home)
    backup = backups.summary(home, now)
    alerts += backups.alerts(backup)
    return {
        "home": str(home.path),
        "base_currency": config["base_currency"],
        "timezone": config["timezone"],
        "lot_method": config["lot_method"],
        "now": format_instant(now),
        "counts": counts,
        "watermarks": watermarks,
        "last_runs": {"ingest": _told(last_ingest), "value": _told(last_value)},
        "quarantine_reasons": reasons,
        "inbox": waiting,
        "backup": backup,
        "alerts": alerts,
    }


def _told(us: int | None) -> str | None:
    return None if us is None else format_instant(us)


def _watermarks(reader: Reader) -> dict[str, Any]:
    marks: dict[str, Any] = {
        "ledger_first": _told(reader.value("SELECT min(ts) FROM tx")),
        "ledger_last": _told(reader.value("SELECT max(ts) FROM tx")),
        "fx_last": _told(reader.value("SELECT max(asof) FROM fx_rates")),
    }
    prices = reader.rows(
        "SELECT resolution, max(asof) FROM prices JOIN price_series USING (series) GROUP BY 1"
    )
    marks["prices_last"] = {resolution: _told(asof) for resolution, asof in sorted(prices)}
    valued = reader.rows("SELECT resolution, max(close_last) FROM valued GROUP BY 1")
    marks["valued_last"] = {resolution: _told(close) for resolution, close in sorted(valued)}
    return marks


def _reasons(reader: Reader) -> dict[str, int]:
    found = reader.rows("SELECT codes, count(*) FROM quarantine WHERE status = 'open' GROUP BY codes")
    return desk_queries.counted_codes(dict(found))


def _alerts(
    counts: dict[str, int], waiting: list[str], last_input: int | None, last_value: int | None
) -> list[dict[str, str]]:
    alerts = []

    def alert(code: str, text: str, hint: str) -> None:
        alerts.append({"code": code, "text": text, "hint": hint})

    aside = counts["quarantine_open"]
    if aside:
        words = "1 row waits" if aside == 1 else f"{aside:,} rows wait"
        alert("QUARANTINE_OPEN", f"{words} in quarantine", "navdeck quarantine list")
    if any(takes(name) for name in waiting):
        alert("INBOX_WAITING", "files wait in the inbox", "navdeck ingest")
    if any(not takes(name) for name in waiting):
        alert("INBOX_NAME", "the inbox holds files that are not .csv or .parquet", "rename or remove them")
    if counts["files_partial"]:
        alert("FILE_PARTIAL", "a large file was taken in part", "navdeck ingest takes the rest")
    if last_input is not None and (last_value is None or last_value < last_input):
        alert("VALUES_STALE", "the books changed since values were computed", "navdeck value")
    return alerts


def _disk_alerts(home: Home, config: Config) -> list[dict[str, str]]:
    free, least = shutil.disk_usage(home.path).free, config["disk.free_bytes_min"]
    if free >= least:
        return []
    text = f"{free:,} bytes are free; intake needs {least:,}"
    return [{"code": "DISK_LOW", "text": text, "hint": "free some space"}]


def _lake_alerts(home: Home) -> list[dict[str, str]]:
    bad = set_aside(home)
    text = f"{'1 lake file was' if bad == 1 else f'{bad:,} lake files were'} damaged and made anew"
    hint = "check the disk; what was damaged is in lake/.bad until you remove it"
    return [{"code": "LAKE_FILE_BAD", "text": text, "hint": hint}] if bad else []


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
        books = Books(reader, home.config())
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
    """`nav --json`: the materialised points of a series with a close in (from, to]."""
    home = Home(Path(home_path))
    config = home.config()
    resolution = arguments.get("resolution") or "1d"
    after, until = instant(arguments, "from"), instant(arguments, "to")
    with Reader(home.state) as reader:
        closes = materialised(reader, resolution, config["timezone"])
        dropped = dropped_told(reader, resolution, after, until)
        kept = (closes > (after if after is not None else -1)) & (
            closes <= (until if until is not None else np.iinfo(np.int64).max)
        )
        closes = closes[kept]
        files = [FileRecord(**row) for row in reader.live_files(resolution)]
        stale = is_stale(reader, resolution)
    points: dict[int, NavPoint] = {}
    if len(closes):
        first, last = int(closes[0]), int(closes[-1])
        wanted = [file for file in files if file.close_max >= first and file.close_min <= last]
        points = read_points(paths(home.lake, wanted), first, last, arguments.get("account"))
    return {
        "base_currency": config["base_currency"],
        "resolution": resolution,
        "cash": config["cash"],
        "stale": stale,
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
    live |= {(row["dt"], row["asset"]): row["content"] for row in reader.live_files(resolution)}
    differing = sorted(key for key in made.keys() | live.keys() if made.get(key) != live.get(key))
    hint = "; values are older than the inputs: run `navdeck value`" if differing else ""
    return [f"{asset} on {dt} differs{hint}" for dt, asset in differing], len(live)


def partial_files(home_path: str, _now: int, _arguments: dict[str, Any]) -> dict[str, Any]:
    """Large files of which some windows are stored and others are not."""
    with Reader(Home(Path(home_path)).state) as reader:
        return {"files": reader.records("SELECT sha256, name, rows FROM files WHERE status = 'partial'")}


def journal_verify(home_path: str, _now: int, _arguments: dict[str, Any]) -> dict[str, Any]:
    """`journal verify --json`: every byte of the journal against its chain, and its end against state.db."""
    home = Home(Path(home_path))
    with Reader(home.state) as reader:
        text = reader.meta().get("journal")
    report = journal.verify(home.journal)
    problems = list(report.problems)
    mark = journal.START if text is None else journal.Mark.from_json(text)
    if report.head.seq < mark.seq:
        problems.append(f"state.db stands at record {mark.seq}; the journal ends at {report.head.seq}")
    elif report.head.seq == mark.seq and report.head.chain != mark.chain:
        problems.append(f"record {mark.seq} is not the one that state.db was committed with")
    told = asdict(report) | {"ok": not problems, "problems": problems}
    for name in ("first_at", "last_at"):
        told[name] = _told(told[name])
    return told


def providers(home_path: str, now: int, arguments: dict[str, Any]) -> dict[str, Any]:
    """`providers status --json`."""
    from engine.runtime.feeds import providers_status  # what speaks HTTP takes half a second to import

    return providers_status(home_path, now, arguments)


def gaps(home_path: str, now: int, arguments: dict[str, Any]) -> dict[str, Any]:
    """`gaps --json`."""
    from engine.runtime.feeds import gaps_told

    return gaps_told(home_path, now, arguments)


QUERIES: dict[str, Answer] = {
    "providers": providers,
    "gaps": gaps,
    "journal_verify": journal_verify,
    "partial_files": partial_files,
    "status": status,
    "lots": lots,
    "digest": digests,
    "config": configuration,
    "nav": nav,
    "verify": verify,
    "explain": explain,
}
for more in (
    asset_board.QUERIES, fx_board.QUERIES, price_board.QUERIES, desk_queries.QUERIES,
    transfer_list.QUERIES, LOTS, returns.QUERIES, SQL, backups.QUERIES,
    compacting.QUERIES, retaining.QUERIES, storage_board.QUERIES,
):  # fmt: skip
    QUERIES |= more
