"""Puts what was valued: files become live or dead, open rows come and go, with the days that they cover.

All of it in one transaction of the writer. It computes no value and writes no file.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from engine.domain.instants import DAY_US, format_instant
from engine.runtime.asking import VALUED_BY
from engine.runtime.telemetry.spans import trace_id
from engine.runtime.valued import Valued
from engine.snapshots.schemas import DATASET, OPEN_COLUMNS, OPEN_KEY, FileRecord
from engine.store.reader import LAST

if TYPE_CHECKING:
    from engine.store.writer import Writer

RECORD_COLUMNS = (
    "path",
    "resolution",
    "dt",
    "asset",
    "rows",
    "bytes",
    "close_min",
    "close_max",
    "sha256",
    "content",
    "schema_id",
)
_LIVE = (
    f"INSERT INTO lake_files(dataset, live_at, generation, trace_id, {', '.join(RECORD_COLUMNS)})"
    f" VALUES ({', '.join('?' * (len(RECORD_COLUMNS) + 4))}) ON CONFLICT(path) DO UPDATE SET"
    " dead_at = NULL, live_at = excluded.live_at, generation = excluded.generation,"
    " trace_id = excluded.trace_id, checked_at = NULL, dropped_at = NULL"
)
_DEAD = "UPDATE lake_files SET dead_at = ? WHERE path = ? AND dead_at IS NULL"
_FILES = (
    "SELECT path, dt, asset, close_max FROM lake_files"
    " WHERE dead_at IS NULL AND dataset = ? AND resolution = ?"
)
_IN = "(SELECT value FROM json_each(?))"
_GONE = "DELETE FROM open_snapshots WHERE bucket = ?"
_OPEN = f"INSERT INTO open_snapshots(bucket, {', '.join(OPEN_COLUMNS)}) VALUES (?{', ?' * len(OPEN_COLUMNS)})"
_MARK = "INSERT INTO meta VALUES (?, ?) ON CONFLICT(key) DO UPDATE SET value = excluded.value"
_CLOSE = f"{_GONE} AND {' AND '.join(f'{name} = ?' for name in OPEN_KEY)}"


async def make_live(connection: Any, files: Sequence[FileRecord], now: int, generation: int = 0) -> None:
    """Lists files from now on; also ones that were replaced and not yet swept."""
    if files:
        rows = [(DATASET, now, generation, trace_id(), *asdict(file).values()) for file in files]
        await connection.exec_driver_sql(_LIVE, rows)


async def make_dead(connection: Any, paths: Sequence[str], now: int) -> None:
    """Lists files no more; they stay on the disk for whoever is reading them."""
    if paths:
        await connection.exec_driver_sql(_DEAD, [(now, path) for path in paths])


async def commit_sealed(writer: "Writer", resolution: str, dt: str, files: Sequence[FileRecord]) -> None:
    """The files of a day become live as its open rows go."""
    async with writer.transaction() as (connection, now):
        await make_live(connection, files, now)
        await connection.exec_driver_sql(f"{_GONE} AND dt = ?", (resolution, dt))


async def commit_values(writer: "Writer", valued: Valued) -> None:
    """Makes the new files live and the replaced ones dead, with open rows and the days that they cover."""
    kept = {file.path for file in valued.files}
    replaced = _replaced(valued)
    async with writer.transaction() as (connection, now):
        listed = await _listed(connection, valued)
        known = {path for path, *_ in listed}
        dead = [path for path, *about in listed if path not in kept and replaced(*about)]
        await make_dead(connection, dead, now)
        await make_live(connection, [file for file in valued.files if file.path not in known], now)
        await _close_rows(connection, valued)
        await _open_rows(connection, valued)
        await _commit_days(connection, valued, now)
        if valued.follows_from is not None:
            mark = f"{VALUED_BY}{valued.resolution}", valued.follows_from
            await connection.exec_driver_sql(_MARK, mark)


async def _listed(connection: Any, valued: Valued) -> list[Any]:
    """The live files that this may replace: of its days and from before its series, or all."""
    if valued.whole or valued.series_first is None:
        found = await connection.exec_driver_sql(_FILES, (DATASET, valued.resolution))
        return list(found.all())
    first = format_instant(valued.series_first + DAY_US)[:10]
    listed: list[Any] = []
    for condition, values in (
        (f"dt IN {_IN}", (_dates(valued.days),)),
        ("dt <= ? AND close_max < ?", (first, valued.series_first)),
    ):
        asked = (DATASET, valued.resolution, *values)
        listed += (await connection.exec_driver_sql(f"{_FILES} AND {condition}", asked)).all()
    return listed


def _replaced(valued: Valued) -> Callable[[str, str, int], bool]:
    """Whether a file of (dt, asset, last close) that was not written again has no place any more."""
    days = {day for day, _, _ in valued.days}

    def replaced(dt: str, asset: str, close_max: int) -> bool:
        before = valued.series_first is None or close_max < valued.series_first
        mine = dt in days and (dt not in valued.partial or asset in valued.partial[dt])
        return valued.whole or before or mine

    return replaced


async def _close_rows(connection: Any, valued: Valued) -> None:
    """No open row stays of what are files now, nor of what the series does not have."""
    sealed = [day for day in valued.days if day[0] not in valued.open_dates]
    whole = [day for day in sealed if day[0] not in valued.partial]
    first = LAST if valued.series_first is None else valued.series_first
    await connection.exec_driver_sql(f"{_GONE} AND bucket_close < ?", (valued.resolution, first))
    if valued.whole:
        still = json.dumps(sorted(valued.open_dates))
        await connection.exec_driver_sql(f"{_GONE} AND dt NOT IN {_IN}", (valued.resolution, still))
    if whole:
        await connection.exec_driver_sql(f"{_GONE} AND dt IN {_IN}", (valued.resolution, _dates(whole)))
    part = [
        (valued.resolution, dt, json.dumps(sorted(valued.partial[dt])))
        for dt, *_ in sealed
        if dt in valued.partial
    ]
    if part:
        await connection.exec_driver_sql(f"{_GONE} AND dt = ? AND asset_id IN {_IN}", part)


def _dates(days: Sequence[tuple[str, int, int]]) -> str:
    return json.dumps([dt for dt, _, _ in days])


async def _open_rows(connection: Any, valued: Valued) -> None:
    """The rows of open days that are not as they were."""
    for sql, rows in ((_CLOSE, valued.closed), (_OPEN, valued.opened)):
        if rows:
            await connection.exec_driver_sql(sql, [(valued.resolution, *row) for row in rows])


async def _commit_days(connection: Any, valued: Valued, now: int) -> None:
    gone = LAST if valued.whole or valued.series_first is None else valued.series_first - 1
    await connection.exec_driver_sql(
        f"DELETE FROM valued WHERE resolution = ? AND close_last <= ? AND dt NOT IN {_IN}",
        (valued.resolution, gone, still := json.dumps(sorted(valued.still_dropped))),
    )
    if valued.still_dropped:
        await connection.exec_driver_sql(
            f"UPDATE valued SET committed_at = ? WHERE resolution = ? AND dt IN {_IN}",
            (now, valued.resolution, still),
        )
    if valued.days:
        await connection.exec_driver_sql(
            "INSERT INTO valued(resolution, dt, close_first, close_last, committed_at) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT(resolution, dt) DO UPDATE SET close_first = excluded.close_first,"
            " close_last = excluded.close_last, committed_at = excluded.committed_at, dropped_at = NULL",
            [(valued.resolution, *span, now) for span in valued.days],
        )
    # The digests of dropped partitions stay as long as their day is one that was dropped.
    await connection.exec_driver_sql(
        "UPDATE lake_files SET dropped_at = NULL, generation = 0 WHERE dead_at IS NOT NULL"
        " AND dropped_at IS NOT NULL AND resolution = ? AND dt NOT IN"
        " (SELECT dt FROM valued WHERE resolution = ? AND dropped_at IS NOT NULL)",
        (valued.resolution, valued.resolution),
    )
