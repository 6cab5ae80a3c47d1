"""Cuts an asset's snapshots into (day, asset) partitions and writes each as one immutable Parquet file.

Layout: `snapshots/resolution=<r>/dt=<day>/asset_id=<id>/<first 32 hex of SHA-256>.parquet` below lake/.
It never lists folders and never decides which files are live: the catalogue in state.db does.
"""

import hashlib
import io
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from engine.errors import LakeError
from engine.snapshots.schemas import COLUMNS, DATASET, INSTANT, TEXT, FileRecord, LakeFile

ZSTD_LEVEL = 3  # measured: smaller than snappy by a fifth at half again its time
COLD_ZSTD_LEVEL = 9  # slower by a tenth, smaller by 2 %
SMALL_ROWS = 32  # below this a file is mostly its footer
STATISTICS = ["bucket_close", "account", "value"]
# Instants follow in steps, and few amounts come twice: 15 % smaller and no slower than dictionaries for all.
INSTANTS = {name: "DELTA_BINARY_PACKED" for name, kind in COLUMNS.items() if kind == INSTANT}
REPEATED = [name for name, kind in COLUMNS.items() if kind == TEXT]


class AssetFiles:
    """One asset's snapshots, cut into days. `days`: dt of each row; `frame` is sorted by bucket_close."""

    def __init__(self, asset: str, frame: pl.DataFrame, days: pl.Series) -> None:
        self.asset = asset
        self.frame = frame
        self.days = days
        self._spans: list[tuple[str, int, int]] = []
        start = 0
        for length, dt in zip(*days.rle().struct.unnest(), strict=True):
            self._spans.append((dt, start, start + length))
            start += length
        assert start == frame.height, "every row belongs to one partition"

    def contents(self) -> list[tuple[str, str]]:
        """(dt, content digest) of each partition."""
        lines = _lines(self.frame)
        return [(dt, _digest(lines[start:stop])) for dt, start, stop in self._spans]

    def apart(self, days: Collection[str]) -> "tuple[pl.DataFrame | None, AssetFiles | None]":
        """The rows of some days, each with its dt, and the partitions of all others; None for nothing."""
        apart = {dt for dt, _, _ in self._spans} & set(days)
        if not apart:
            return None, self
        rows = self.frame.with_columns(dt=self.days)
        if len(apart) == len(self._spans):
            return rows, None
        chosen = self.days.is_in(list(apart))
        others = AssetFiles(self.asset, self.frame.filter(~chosen), self.days.filter(~chosen))
        return rows.filter(chosen), others

    def write(
        self, lake: Path, resolution: str, live: Mapping[tuple[str, str], FileRecord]
    ) -> Iterator[FileRecord]:
        """Writes what is not live with the same rows already. Files are not yet durable: the caller syncs
        the lake once before it commits the records, and until then nobody lists them.
        """
        table = _arrow(self.frame)
        closes = self.frame["bucket_close"].to_physical().to_list()
        for (dt, content), (_, start, stop) in zip(self.contents(), self._spans, strict=True):
            known = live.get((dt, self.asset))
            if known is not None and known.content == content and (lake / known.path).is_file():
                yield known
                continue
            data = _encode(table.slice(start, stop - start))
            sha256 = hashlib.sha256(data).hexdigest()
            path = path_of(resolution, dt, self.asset, sha256)
            put(lake / path, data)
            yield FileRecord(
                path=path, resolution=resolution, dt=dt, asset=self.asset, rows=stop - start, bytes=len(data),
                close_min=closes[start], close_max=closes[stop - 1], sha256=sha256, content=content,
            )  # fmt: skip


def path_of(resolution: str, dt: str, asset: str, sha256: str) -> str:
    """Where below lake/ a partition's file of these bytes lies."""
    return f"{DATASET}/resolution={resolution}/dt={dt}/asset_id={asset}/{sha256[:32]}.parquet"


def put(target: Path, data: bytes) -> None:
    """Writes a file that is named by its content and listed by nobody yet; not durable before a sync.

    One that is there may be torn, or still be read after it was replaced: it is changed at one stroke.
    """
    try:
        _create(target, data)
    except FileNotFoundError:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _create(target, data)
    except FileExistsError:
        aside = target.with_suffix(".new")
        aside.unlink(missing_ok=True)
        _create(aside, data)
        aside.rename(target)


def _create(path: Path, data: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)


def encode(frame: pl.DataFrame, level: int = ZSTD_LEVEL) -> bytes:
    """The Parquet bytes of one partition."""
    return _encode(_arrow(frame), level)


def join(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The rows of one partition's files in the order of their closes."""
    return pl.concat(frames).sort("bucket_close", maintain_order=True)


def _arrow(frame: pl.DataFrame) -> pa.Table:
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())


def _encode(table: pa.Table, level: int = ZSTD_LEVEL) -> bytes:
    """One row group. Dictionaries and compression cost more than they save in a file of a few rows."""
    small = table.num_rows < SMALL_ROWS
    buffer = io.BytesIO()
    pq.write_table(
        table, buffer, use_dictionary=False if small else REPEATED,
        column_encoding=None if small else INSTANTS, write_statistics=STATISTICS, store_schema=False,
        compression="none" if small else "zstd", compression_level=None if small else level,
    )  # fmt: skip
    return buffer.getvalue()


def content_digest(frame: pl.DataFrame) -> str:
    """SHA-256 of the rows as text; the same for the same rows, however they are encoded."""
    return _digest(_lines(frame))


def _lines(frame: pl.DataFrame) -> list[str]:
    # No field holds a line end: text from files has no control characters, the rest is ours.
    return frame.write_csv(include_header=False).removesuffix("\n").split("\n")


def _digest(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def check_file(lake: Path, record: FileRecord) -> None:
    """Reads a listed file back: bytes and rows must be what was recorded. LakeError if not."""
    try:
        data = (lake / record.path).read_bytes()
    except OSError as error:
        raise LakeError(
            f"Lake file {record.path} cannot be read: {error.strerror}.",
            "Run `navdeck value` to make the partition anew, then `navdeck verify`.",
        ) from None
    if hashlib.sha256(data).hexdigest() != record.sha256 or content_digest(read(data)) != record.content:
        raise LakeError(
            f"Lake file {record.path} is not what was written: its checksum differs.",
            "Move the file away and run `navdeck value` to make the partition anew; check the disk.",
        )


def read(data: bytes) -> pl.DataFrame:
    """The rows of one partition file."""
    return _read([data])


def read_all(files: Sequence[LakeFile]) -> pl.DataFrame:
    """The rows of files of one schema, in the schema's columns, and `dt` by the folder of each.

    LakeError for one that cannot be read, or has not the columns or the rows that are said of it.
    """
    try:
        frame = _read([Path(file).read_bytes() for file in files])
        days = pl.Series([file.split("/")[-3].removeprefix("dt=") for file in files])
        return frame.with_columns(dt=days.gather(np.repeat(np.arange(len(files)), [f.rows for f in files])))
    except (OSError, pl.exceptions.PolarsError) as error:
        told = str(error).splitlines()[0]
        hint = "Run `navdeck verify`; `navdeck value` makes a partition anew."
        raise LakeError(f"Lake files cannot be read: {told}", hint) from None


def read_each(datas: Sequence[bytes], rows: Sequence[int]) -> list[tuple[pl.DataFrame, str]]:
    """The rows of each file, and their content digest. `rows`: how many each has; ValueError if not."""
    if not datas:
        return []
    frame = _read(datas)
    if frame.height != sum(rows):
        raise ValueError(f"Files hold {frame.height} rows, not {sum(rows)}.")
    lines, found, start = _lines(frame), [], 0
    for size in rows:
        found.append((frame.slice(start, size), _digest(lines[start : start + size])))
        start += size
    return found


def _read(datas: Sequence[bytes]) -> pl.DataFrame:
    """Many at once: opening one by one takes longer than their rows."""
    return pl.read_parquet(list(datas), hive_partitioning=False, glob=False)


def paths(lake: Path, records: Sequence[FileRecord]) -> list[str]:
    """Absolute paths for a reader's explicit list; each knows the schema of its file."""
    return [LakeFile(str(lake / record.path), record.schema_id, record.rows) for record in records]
