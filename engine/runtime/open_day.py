"""The open day: snapshots of days that are not over lie in state.db, and become files once, when they are.

The problem. At 5m a day of 200 assets is written 288 times if every close goes to files. A worked example,
reporting zone UTC, grace 60 minutes:

    2025-03-10T12:05  200 rows are appended to open_snapshots, in the transaction that says they are valued
    2025-03-11T00:00  the day is over; rates and prices of its last close still come in
    2025-03-11T01:00  its rows are written as 200 files; one transaction makes them live and deletes the rows
    2025-03-12T09:00  a correction of 2025-03-10 replaces the files that it touches, as for any sealed day

A day of more than ROWS_MAX rows at once is not kept open: it goes to files, as days that are over do.

The rules. A partition (resolution, dt, asset) is files or open rows, never both, and readers take both as
one. A day that has a live file is sealed, whatever the clock says. The content digest of a partition is that
of its rows in the order of a file, so it does not tell the two apart.
"""

import os
from collections.abc import Iterable, Set
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from engine.domain.instants import HOUR_US
from engine.errors import StoreIntegrity
from engine.runtime.home import Home
from engine.runtime.series import Calendar
from engine.snapshots.open_rows import STORED, partitions, typed
from engine.snapshots.parquet_writer import paths
from engine.snapshots.schemas import OPEN_KEY, FileRecord
from engine.store.reader import LAST, Reader

GRACE_US = HOUR_US  # what belongs to a day's last close is fetched within minutes, at worst in some rounds
ROWS_MAX = 250_000  # of a slice; on their way to the store as objects they take 1.5 kB each
_COLUMNS = ", ".join(STORED)


def open_rows(reader: Reader, resolution: str, first: int = 0, last: int = LAST) -> pl.DataFrame:
    """The rows, as stored, of closes in [first, last]; in the order of files."""
    found = reader.rows(
        f"SELECT {_COLUMNS} FROM open_snapshots WHERE bucket = ? AND bucket_close BETWEEN ? AND ?"
        f" ORDER BY {', '.join(OPEN_KEY)}",
        (resolution, first, last),
    )
    columns = zip(*found, strict=True) if found else [()] * len(STORED)
    return pl.DataFrame(
        [pl.Series(name, list(values), dtype=STORED[name])
         for name, values in zip(STORED, columns, strict=True)]
    )  # fmt: skip


def open_dates(calendar: Calendar, now: int, sealed: Set[str]) -> set[str]:
    """The days of which values go to state.db: those that are not over, and have no file."""
    ends = zip(calendar.dates, calendar.ends.tolist(), strict=True)
    return {date for date, end in ends if end + GRACE_US > now} - sealed


@dataclass(frozen=True, slots=True)
class Snapshots:
    """What there is of a resolution in a range of closes: live files, and open rows with their types."""

    files: list[FileRecord]
    rows: pl.DataFrame


def snapshots_between(reader: Reader, resolution: str, first: int, last: int) -> Snapshots:
    """Files that hold a close in [first, last], and the open rows of such closes."""
    files = [FileRecord(**row) for row in reader.live_files(resolution, first, last)]
    return Snapshots(files, typed(open_rows(reader, resolution, first, last)))


def contents(reader: Reader, resolution: str) -> dict[tuple[str, str], str]:
    """By day and asset, the content digest of every partition that is there, sealed or open."""
    found = {(row["dt"], row["asset"]): row["content"] for row in reader.live_files(resolution)}
    for files in partitions(open_rows(reader, resolution)):
        found |= {(dt, files.asset): content for dt, content in files.contents()}
    return found


# -- sealing --------------------------------------------------------------------------------------------


def over(home_path: str, now: int) -> list[tuple[str, str]]:
    """(resolution, dt) of days that lie open and are over, the oldest first."""
    home = Home(Path(home_path))
    zone = home.config()["timezone"]
    found: list[tuple[str, str]] = []
    with Reader(home.state) as reader:
        for resolution, first, last in reader.rows(
            "SELECT bucket, min(bucket_close), max(bucket_close) FROM open_snapshots GROUP BY bucket"
        ):
            calendar = Calendar(resolution, zone, first, last)
            still = open_dates(calendar, now, set())
            rows = reader.rows("SELECT DISTINCT dt FROM open_snapshots WHERE bucket = ?", (resolution,))
            found += [(resolution, dt) for (dt,) in rows if dt not in still]
    return sorted(found, key=lambda day: day[::-1])


def seal(home_path: str, resolution: str, dt: str) -> list[FileRecord]:
    """Writes the open rows of one day as files, durably, and reads them back; nobody lists them yet."""
    home = Home(Path(home_path))
    with Reader(home.state) as reader:
        rows = open_rows(reader, resolution).filter(pl.col("dt") == dt)
    parts = list(partitions(rows))
    records = [record for part in parts for record in part.write(home.lake, resolution, {})]
    _check(home, records, [part.frame for part in parts])
    os.sync()  # one flush for all of them, before anyone lists them
    return records


def _check(home: Home, records: list[FileRecord], frames: Iterable[pl.DataFrame]) -> None:
    """The pair of the write: the files must hold the rows that are about to go."""
    if not records:
        return
    back = pl.read_parquet(list(paths(home.lake, records)), glob=False, hive_partitioning=False)
    if not back.equals(pl.concat(frames)):
        raise StoreIntegrity(
            "Read back, the files of a day are not the rows that they were written from.",
            "Nothing was committed. Check the disk; the day is sealed again by itself.",
        )
