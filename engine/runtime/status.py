"""`status`: counts, how far the data reaches, the last runs, and what needs a person.

Light: it counts by SQL, and imports what reckons with frames only where a commit is asked about first.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.config import Config
from engine.domain.instants import format_instant, parse_instant
from engine.domain.reasons import counted_codes
from engine.domain.resolutions import RESOLUTIONS
from engine.runtime import backup_alerts, reckoned_alerts
from engine.runtime.alerts import stored as stored_alerts
from engine.runtime.alerts.readings import folder_facts, readings, rules_of
from engine.runtime.asking import is_stale
from engine.runtime.clock import system_clock
from engine.runtime.home import Home
from engine.runtime.unpriced import unvalued
from engine.store.reader import Reader

PAST_MAX = 200  # cleared alerts that are told


def status(home_path: str, now: int, arguments: dict[str, Any]) -> dict[str, Any]:
    """Counts, how far the data reaches, the last runs, and what needs a person.

    With the argument `facts` also what alerts are judged by, for an engine that judges them itself.
    """
    home = Home(Path(home_path))
    config = home.config()
    backup = backup_alerts.summary(home, now)
    folders = folder_facts(home)
    with Reader(home.state) as reader:
        reckoned = reckoned_alerts.reckoned(reader, home)
        counts = {
            "files": reader.count("files", "status = 'ingested'"),
            "files_partial": reader.count("files", "status = 'partial'"),
            "files_rejected": reader.count("files", "status = 'rejected'"),
            **reckoned["counts"],
            "decisions": reader.count("decisions"),
            "quarantine_open": reader.count("quarantine", "status = 'open'"),
            "lake_files": reader.count("lake_files", "dead_at IS NULL"),
        }
        watermarks = _watermarks(reader, reckoned["ledger"])
        last_ingest = reader.value("SELECT max(committed_at) FROM files")
        last_value = reader.value("SELECT max(committed_at) FROM valued")
        reasons = _reasons(reader)
        facts = {
            **{name: counts[name] for name in ("quarantine_open", "files_partial")},
            **{name: reckoned[name] for name in ("unsettled", "suspicious")},
            "quarantine_oldest": reader.value(_OLDEST),
            "values_behind": _values_behind(reader, config),
            "price_last": max(map(_us, watermarks["prices_last"].values()), default=None),
            "backup": backup,
            "backup_at": backup_alerts.newest_at(backup),
            "acks": stored_alerts.acks(reader),
        }
        looked = readings(facts | folders, config, now, system_clock())
        why = unvalued(reader, config, reckoned)
        standing = stored_alerts.seen_now(reader, looked, rules_of(config), now)
    waiting = sorted(entry.name for entry in home.inbox.iterdir() if not entry.name.startswith("."))
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
        "unvalued": why,
        "inbox": waiting,
        "backup": backup,
        "alerts": standing,
        **({"facts": facts} if arguments.get("facts") else {}),
    }


# The oldest file of which a row still waits; its rows came when it was committed.
_OLDEST = (
    "SELECT committed_at FROM files WHERE quarantined > 0 AND EXISTS"
    " (SELECT 1 FROM quarantine q WHERE q.file = files.file AND q.status = 'open')"
    " ORDER BY committed_at LIMIT 1"
)


def _told(us: int | None) -> str | None:
    return None if us is None else format_instant(us)


def _us(told: str) -> int:
    us = parse_instant(told)
    assert us is not None, told
    return us


def _values_behind(reader: Reader, config: Config) -> bool:
    """Whether a resolution that is valued is not by today's inputs; where none is, any."""
    valued = [one for (one,) in reader.rows("SELECT DISTINCT resolution FROM valued")]
    return any(is_stale(reader, one, config) for one in valued or RESOLUTIONS)


def _watermarks(reader: Reader, ledger: Sequence[int | None]) -> dict[str, Any]:
    # The newest of each series is found without a scan.
    prices = "(SELECT max(asof) FROM prices p WHERE p.series = s.series)"
    rates = "(SELECT max(asof) FROM fx_rates r WHERE r.series = s.series)"
    marks: dict[str, Any] = {
        "ledger_first": _told(ledger[0]),
        "ledger_last": _told(ledger[1]),
        "fx_last": _told(reader.value(f"SELECT max({rates}) FROM fx_series s")),
    }
    newest = sorted(reader.rows(f"SELECT resolution, max({prices}) FROM price_series s GROUP BY 1"))
    marks["prices_last"] = {resolution: _told(asof) for resolution, asof in newest if asof is not None}
    valued = reader.rows("SELECT resolution, max(close_last) FROM valued GROUP BY 1")
    marks["valued_last"] = {resolution: _told(close) for resolution, close in sorted(valued)}
    return marks


def _reasons(reader: Reader) -> dict[str, int]:
    found = reader.rows("SELECT codes, count(*) FROM quarantine WHERE status = 'open' GROUP BY codes")
    return counted_codes(dict(found))


def alerts(home_path: str, now: int, arguments: dict[str, Any]) -> dict[str, Any]:
    """`alerts list --json`: what stands; with `all` also what was, the newest first."""
    told: dict[str, Any] = {"alerts": status(home_path, now, {})["alerts"]}
    if arguments.get("all"):
        with Reader(Home(Path(home_path)).state) as reader:
            past, acks = stored_alerts.stored(reader, "state = 'cleared'"), stored_alerts.acks(reader)
        told["cleared"] = [stored_alerts.told(alert, acks) for alert in past[: -PAST_MAX - 1 : -1]]
    return told
