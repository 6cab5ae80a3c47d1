"""What retention may drop: whole days of snapshots, old enough, that can be made again. It drops nothing.

A day is dropped only after its partitions were made anew and had the digests of the catalogue. Those stay:
`verify` goes on comparing them, and a change that alters one makes the whole day anew. Ledger, observations,
decisions, journal and archive are none of its business.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from engine.config import Config
from engine.domain.instants import DAY_US, SECOND_US
from engine.domain.resolutions import RESOLUTIONS
from engine.runtime.asking import is_stale, materialised
from engine.runtime.home import Home
from engine.runtime.kept_books import open_books
from engine.runtime.lake_told import Old, retention_told
from engine.runtime.open_day import contents
from engine.runtime.series import Series, dated
from engine.runtime.value import unchanged_days
from engine.store.reader import Reader

STALE = "the books changed since values were computed; run `navdeck value` first"


def old_days(home_path: str, now: int) -> list[Old]:
    """What is past its time, by resolution; nothing of a resolution that is kept always."""
    home = Home(Path(home_path))
    config = home.config()
    found = []
    with Reader(home.state) as reader:
        for resolution in RESOLUTIONS:
            keep = config[f"retention.days_{resolution}"]
            if keep:
                found.append(_old(reader, config, resolution, keep, now - keep * DAY_US))
    return found


def _old(reader: Reader, config: Config, resolution: str, keep: int, before: int) -> Old:
    wanted = (resolution, before)
    days = reader.rows(
        "SELECT dt FROM valued WHERE resolution = ? AND close_last <= ? AND dropped_at IS NULL"
        " AND (resolution, dt) NOT IN (SELECT bucket, dt FROM open_snapshots) ORDER BY dt",
        wanted,
    )
    files, size = reader.rows(
        "SELECT count(*), coalesce(sum(bytes), 0) FROM lake_files JOIN valued USING (resolution, dt)"
        " WHERE dead_at IS NULL AND resolution = ? AND close_last <= ?",
        wanted,
    )[0]
    stale = STALE if days and is_stale(reader, resolution, config) else None
    return Old(resolution, keep, tuple(dt for (dt,) in days), files, size, stale)


def live_now(home_path: str) -> dict[str, int]:
    """Files and bytes of the catalogue's live files."""
    with Reader(Home(Path(home_path)).state) as reader:
        rows = reader.rows("SELECT count(*), coalesce(sum(bytes), 0) FROM lake_files WHERE dead_at IS NULL")
    return {"files": rows[0][0], "bytes": rows[0][1]}


def old_logs(home: Home, config: Config, now: int) -> list[tuple[str, int]]:
    """(path, bytes) of files in logs/ that nobody wrote to for long."""
    keep = config["retention.days_logs"]
    return [(path, size) for path, size, at in _logs(home.path / "logs") if keep and at < now - keep * DAY_US]


def _logs(folder: Path) -> Iterator[tuple[str, int, int]]:
    for entry in sorted(os.scandir(folder) if folder.is_dir() else (), key=lambda entry: entry.name):
        if entry.is_file(follow_symlinks=False):
            about = entry.stat(follow_symlinks=False)
            yield entry.path, about.st_size, about.st_mtime_ns * SECOND_US // 10**9


def remove_logs(home_path: str, now: int) -> dict[str, int]:
    """Removes old files of logs/; how many, and their bytes."""
    home = Home(Path(home_path))
    old = old_logs(home, home.config(), now)
    for path, _ in old:
        with suppress(FileNotFoundError):
            os.unlink(path)
    return _sums(old)


def _sums(files: list[tuple[str, int]]) -> dict[str, int]:
    return {"files": len(files), "bytes": sum(size for _, size in files)}


def retention_plan(home_path: str, now: int, _arguments: dict[str, Any]) -> dict[str, Any]:
    """`retention --dry-run --json`."""
    home = Home(Path(home_path))
    found, before = old_days(home_path, now), live_now(home_path)
    going = [one for one in found if one.kept_because is None]
    after = {
        name: before[name] - sum(getattr(one, name) for one in going) for name in ("files", "bytes")
    }
    logs = _sums(old_logs(home, home.config(), now))
    return retention_told(found, logs, before, after, [], dry_run=True)


def can_be_made_again(home_path: str, resolution: str, days: list[str]) -> set[str]:
    """Of these days, those whose partitions come out the same when they are made anew."""
    home = Home(Path(home_path))
    with Reader(home.state) as reader:
        books = open_books(home, reader)
        zone = books.config["timezone"]
        series = dated(materialised(reader, resolution, zone), resolution, zone)
        places = np.isin(np.array(series.days), days)
        if not places.any():
            return set()
        chosen = Series(series.closes[places], [day for day in series.days if day in set(days)])
        live = contents(reader, resolution)
        return unchanged_days(books, resolution, chosen, books.movements(), live)
