"""`doctor`: is everything around the books as it must be? Each check alone, on a home however broken it is.

It reads and never writes: beside a running engine it disturbs nothing. Green: as it must be. Amber: look at
it. Red: mend it. What cannot be checked because of something else says so.
"""

import fcntl
import os
import platform
import shutil
import sqlite3
import stat
import zoneinfo
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tzdata  # type: ignore[import-untyped]

from engine.config import FREE_BYTES_MIN, load
from engine.domain.instants import format_instant
from engine.domain.resolutions import RESOLUTIONS
from engine.errors import ConfigInvalid, EngineError
from engine.runtime.clock import system_clock
from engine.runtime.home import FOLDERS, Home
from engine.store import journal_audit
from engine.store.file_system import NETWORK, kind_of
from engine.store.reader import Reader
from engine.valuation.buckets import is_boundary
from engine.version import VERSION

GREEN, AMBER, RED = "green", "amber", "red"
SQLITE_MENDED = (3, 51, 3)  # before, a checkpoint and a commit at one instant could damage the WAL
GB = 1_000_000_000
BARS_LOOKED_AT = 10_000  # the newest of each resolution
SOCKET = "engine.sock"


class Found(NamedTuple):
    """What a check came to."""

    state: str
    told: str
    hint: str = ""


def doctor(home_path: str, engine: dict[str, Any] | None) -> dict[str, Any]:
    """`doctor --json`. `engine`: process and version of who answers on the home; null if nobody does."""
    home = Home(Path(home_path))
    checks = [{"check": name, **_found(check, home, engine)._asdict()} for name, check in CHECKS.items()]
    return {"home": home_path, "ok": all(one["state"] != RED for one in checks), "checks": checks}


Check = Callable[[Home, dict[str, Any] | None], Found]


def _found(check: Check, home: Home, engine: dict[str, Any] | None) -> Found:
    try:
        return check(home, engine)
    except EngineError as error:
        return Found(RED, " ".join(error.tried.split()), error.hint)
    except (OSError, sqlite3.Error) as error:
        return Found(RED, f"cannot be checked: {error}", "see what else is amber or red")


def _versions(_home: Home, engine: dict[str, Any] | None) -> Found:
    told = f"navdeck {VERSION}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    if engine is not None and engine["version"] != VERSION:
        return Found(RED, f"{told}; the engine is navdeck {engine['version']}", "restart the engine")
    if sqlite3.sqlite_version_info < SQLITE_MENDED:
        hint = "SQLite 3.51.3 mends its WAL; until then only navdeck may write or checkpoint state.db"
        return Found(AMBER, told, hint)
    return Found(GREEN, told)


def _settings(home: Home, _engine: dict[str, Any] | None) -> Found:
    try:
        config = home.config() if home.state.is_file() else load(home.config_path)
    except ConfigInvalid as error:
        return Found(RED, "; ".join(error.problems), error.hint)
    given = sum(origin != "default" for origin in config.origins.values())
    return Found(GREEN, f"{given} of {len(config.origins)} are set, the others by default")


def _permissions(home: Home, _engine: dict[str, Any] | None) -> Found:
    loose = [
        f"{path.relative_to(home.path.parent)} {mode:04o}" for path, mode in _modes(home) if mode & 0o077
    ]
    if loose:
        hint = "chmod 700 the folders and 600 the files: nobody else has business there"
        return Found(RED, f"open to others: {', '.join(loose)}", hint)
    missing = [name for name in FOLDERS if not (home.path / name).is_dir()]
    if missing:
        return Found(AMBER, f"missing folders: {', '.join(missing)}", "mkdir -m 700 them")
    return Found(GREEN, "folders 0700, files and socket 0600")


def _modes(home: Home) -> Iterator[tuple[Path, int]]:
    files = (home.state, home.config_path, home.lock, home.path / "run" / SOCKET)
    for path in (home.path, *(home.path / name for name in FOLDERS), *files):
        if os.path.lexists(path):
            yield path, stat.S_IMODE(path.lstat().st_mode)


def _disk(home: Home, _engine: dict[str, Any] | None) -> Found:
    try:
        least = load(home.config_path)["disk.free_bytes_min"]
    except ConfigInvalid:
        least = FREE_BYTES_MIN
    free = shutil.disk_usage(home.path).free
    told = f"{free / GB:.1f} GB are free; intake needs {least / GB:.1f}"
    hint = "free some space: backups, other programs' files, a larger disk"
    return Found(
        RED if free < least else AMBER if free < 2 * least else GREEN, told, "" if free >= 2 * least else hint
    )


def _file_system(home: Home, _engine: dict[str, Any] | None) -> Found:
    kind = kind_of(home.path)
    if kind.lower() in NETWORK:
        return Found(
            RED, f"{kind}, a network file system: locks do not hold there", "move the home to a local disk"
        )
    if kind in ("tmpfs", "ramfs", ""):
        return Found(
            AMBER, kind or "nobody says which", "what is in memory is gone after a restart" if kind else ""
        )
    return Found(GREEN, f"{kind}, local")


def _clock(home: Home, _engine: dict[str, Any] | None) -> Found:
    now = system_clock()
    with Reader(home.state, older=True) as reader:
        last = int(reader.meta().get("committed_at", 0))
    told = f"it is {format_instant(now // 1_000_000 * 1_000_000)}"
    if last > now:
        behind = (last - now) / 1_000_000
        return Found(RED, f"{told}, {behind:,.0f} s before the last commit", "check the time service")
    return Found(GREEN, f"{told}, after the last commit")


def _zone(home: Home, _engine: dict[str, Any] | None) -> Found:
    zone = home.config()["timezone"]
    told = f"{zone} by tz database {tz_version(zone)}"
    with Reader(home.state) as reader:
        counts = [(resolution, *_off_boundary(reader, resolution, zone)) for resolution in RESOLUTIONS]
    off = [f"{off:,} of the newest {bars:,} at {resolution}" for resolution, bars, off in counts if off]
    if off:
        hint = "such bars value nothing at their resolution: give finer ones, or a home in their zone"
        return Found(AMBER, f"{told}; bars that end on none of its boundaries: {', '.join(off)}", hint)
    bars = sum(bars for _, bars, _ in counts)
    return Found(GREEN, f"{told}; {bars:,} bars end on its boundaries")


def _off_boundary(reader: Reader, resolution: str, zone: str) -> tuple[int, int]:
    """How many of the newest bars were looked at, and how many end on no boundary of their resolution."""
    rows = reader.rows(
        "SELECT asof FROM prices JOIN price_series USING (series) WHERE resolution = ?"
        " ORDER BY asof DESC LIMIT ?",
        (resolution, BARS_LOOKED_AT),
    )
    at = np.array([asof for (asof,) in rows], np.int64)
    return len(at), int((~is_boundary(resolution, zone, at)).sum()) if len(at) else 0


def tz_version(zone: str) -> str:
    """Of the tz database that a zone is read from: the system's, which comes first, else our own."""
    for folder in map(Path, zoneinfo.TZPATH):
        if (folder / zone).is_file():
            try:
                first = (folder / "tzdata.zi").read_text(encoding="utf-8").partition("\n")[0]
            except OSError:
                return "of the system, which tells no version"
            return first.removeprefix("# version ")
    return str(tzdata.IANA_VERSION)


def _integrity(home: Home, _engine: dict[str, Any] | None) -> Found:
    with Reader(home.state) as reader:
        told = [str(line) for (line,) in reader.rows("PRAGMA quick_check(5)")]
    if told != ["ok"]:
        return Found(RED, "; ".join(told), "navdeck backup restore latest --to FOLDER")
    return Found(GREEN, "state.db is sound, its schema is this navdeck's")


def _locks(home: Home, engine: dict[str, Any] | None) -> Found:
    held, plug = _is_held(home.lock), (home.path / "run" / SOCKET).exists()
    if engine is not None:
        return Found(GREEN, f"process {engine['pid']} works on the home and answers")
    if held:
        told = f"process {_holder(home.lock)} holds the home and does not answer"
        return Found(AMBER, told, "it starts, drains or hangs: wait ten seconds, then look at it")
    if plug:
        return Found(
            AMBER, "a socket was left by an engine that is gone", "nothing to do: the next start replaces it"
        )
    left = len(list(home.claimed.iterdir())) if home.claimed.is_dir() else 0
    if left:
        return Found(
            AMBER, f"{left} claimed files were left by an engine that is gone", "navdeck ingest takes them"
        )
    return Found(GREEN, "no engine runs, and none left anything")


def _is_held(lock: Path) -> bool:
    if not lock.is_file():
        return False
    with closing(os.fdopen(os.open(lock, os.O_RDONLY | os.O_CLOEXEC))) as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _holder(lock: Path) -> str:
    told = lock.read_text(encoding="utf-8", errors="replace")[:32].strip()
    return told if told.isdecimal() else "unknown"


def _journal(home: Home, _engine: dict[str, Any] | None) -> Found:
    if not home.journal.is_dir():
        return Found(RED, "there is no journal", "navdeck backup restore latest --to FOLDER")
    report = journal_audit.verify(home.journal)
    if report.problems:
        return Found(RED, "; ".join(report.problems[:3]), "navdeck journal verify names each damaged place")
    return Found(GREEN, f"every byte of {report.head.seq:,} records is in its chain")


CHECKS: dict[str, Check] = {
    "versions": _versions,
    "settings": _settings,
    "permissions": _permissions,
    "disk": _disk,
    "file system": _file_system,
    "clock": _clock,
    "zone": _zone,
    "integrity": _integrity,
    "locks": _locks,
    "journal": _journal,
}
