"""`status`: counts, how far the data reaches, the last runs, and what needs a person.

Light: it counts by SQL, and imports what reckons with frames only where a commit is asked about first.
"""

import os
import shutil
from pathlib import Path
from typing import Any

from engine.config import Config
from engine.domain.instants import format_instant
from engine.domain.reasons import counted_codes
from engine.runtime import backup_alerts, reckoned_alerts
from engine.runtime.asking import LAST_INPUT
from engine.runtime.home import Home
from engine.runtime.inbox import takes
from engine.store.reader import Reader


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
        reckoned = reckoned_alerts.reckoned(reader, home)
    waiting = sorted(entry.name for entry in home.inbox.iterdir() if not entry.name.startswith("."))
    alerts = _alerts(counts, waiting, last_input, last_value)
    alerts += reckoned_alerts.alerts(reckoned, now)
    alerts += _disk_alerts(home, config)
    alerts += _lake_alerts(home)
    backup = backup_alerts.summary(home, now)
    alerts += backup_alerts.alerts(backup)
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
    return counted_codes(dict(found))


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
    bad = len(os.listdir(home.lake_bad)) if home.lake_bad.is_dir() else 0
    text = f"{'1 lake file was' if bad == 1 else f'{bad:,} lake files were'} damaged and made anew"
    hint = "check the disk; what was damaged is in lake/.bad until you remove it"
    return [{"code": "LAKE_FILE_BAD", "text": text, "hint": hint}] if bad else []
