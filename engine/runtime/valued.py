"""What a valuation made, and its commit: the light half, in the engine's own process.

Files that nobody lists yet become live, and what they replace dead, in one transaction with the days that
they cover.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from engine.domain.instants import format_instant
from engine.snapshots.schemas import DATASET, FileRecord
from engine.store.reader import LAST

if TYPE_CHECKING:
    from engine.store.writer import Writer

TOLD_MAX = 100  # restated closes that are told one by one
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


@dataclass(slots=True)
class Restated:
    """Closes whose NAV changed although they had been valued before; the first TOLD_MAX of them in full."""

    count: int = 0
    first: int | None = None
    last: int | None = None
    closes: list[tuple[int, str | None, str | None]] = field(default_factory=list)  # close, old, new NAV

    def add(self, close: int, old: str | None, new: str | None) -> None:
        self.count += 1
        self.first = close if self.first is None else min(self.first, close)
        self.last = close if self.last is None else max(self.last, close)
        if len(self.closes) < TOLD_MAX:
            self.closes.append((close, old, new))

    def told(self) -> dict[str, Any]:
        """As JSON."""
        first, last = (None if close is None else format_instant(close) for close in (self.first, self.last))
        closes = [
            {"bucket_close": format_instant(close), "old": old, "new": new} for close, old, new in self.closes
        ]
        return {"count": self.count, "first": first, "last": last, "closes": closes}


@dataclass(slots=True)
class Valued:
    """What was computed. `days`: (dt, first close, last close); `whole`: the series has no other days.

    `partial`: the days of which only some assets were valued, and which. `series_first`: the first close of
    the series, None if it has none.
    """

    resolution: str
    whole: bool
    series_first: int | None = None
    buckets: int = 0
    snapshots: int = 0
    complete: int = 0
    days: list[tuple[str, int, int]] = field(default_factory=list)
    partial: dict[str, frozenset[str]] = field(default_factory=dict)
    files: list[FileRecord] = field(default_factory=list)
    still_dropped: set[str] = field(default_factory=set)  # days dropped by retention that nothing changes
    left_out: tuple[int, int] | None = None  # closes from .. to, before the first price, that were not made
    restated: Restated = field(default_factory=Restated)

    def left_out_told(self) -> dict[str, Any] | None:
        """As JSON: from where to where there are no buckets, and why; None if there are all."""
        if self.left_out is None:
            return None
        first, last = (format_instant(close) for close in self.left_out)
        return {"from": first, "to": last, "reason": "BEFORE_FIRST_PRICE"}


async def commit_values(writer: "Writer", valued: Valued) -> None:
    """Makes the new files live and the replaced ones dead, in one transaction with the days they cover."""
    kept = {file.path for file in valued.files}
    async with writer.transaction() as (connection, now):
        found = await connection.exec_driver_sql(
            "SELECT path, dt, asset, close_max FROM lake_files WHERE dead_at IS NULL AND resolution = ?",
            (valued.resolution,),
        )
        listed: list[Any] = list(found.all())
        replaced = _replaced(valued)
        dead = [path for path, *about in listed if path not in kept and replaced(*about)]
        known = {path for path, *_ in listed}
        if dead:
            await connection.exec_driver_sql(
                "UPDATE lake_files SET dead_at = ? WHERE path = ?", [(now, path) for path in dead]
            )
        fresh = [file for file in valued.files if file.path not in known]
        if fresh:
            columns = ("dataset", "live_at", *RECORD_COLUMNS)
            rows = [(DATASET, now, *asdict(file).values()) for file in fresh]
            await connection.exec_driver_sql(
                f"INSERT INTO lake_files({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
                " ON CONFLICT(path) DO UPDATE SET dead_at = NULL, live_at = excluded.live_at,"
                " generation = 0, checked_at = NULL, dropped_at = NULL",
                rows,
            )
        await _commit_days(connection, valued, now)


def _replaced(valued: Valued) -> Callable[[str, str, int], bool]:
    """Whether a file of (dt, asset, last close) that was not written again has no place any more."""
    days = {day for day, _, _ in valued.days}

    def replaced(dt: str, asset: str, close_max: int) -> bool:
        before = valued.series_first is None or close_max < valued.series_first
        mine = dt in days and (dt not in valued.partial or asset in valued.partial[dt])
        return valued.whole or before or mine

    return replaced


async def _commit_days(connection: Any, valued: Valued, now: int) -> None:
    gone = LAST if valued.whole or valued.series_first is None else valued.series_first - 1
    await connection.exec_driver_sql(
        "DELETE FROM valued WHERE resolution = ? AND close_last <= ?"
        " AND dt NOT IN (SELECT value FROM json_each(?))",
        (valued.resolution, gone, still := json.dumps(sorted(valued.still_dropped))),
    )
    await connection.exec_driver_sql(
        "UPDATE valued SET committed_at = ? WHERE resolution = ? AND dt IN (SELECT value FROM json_each(?))",
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
