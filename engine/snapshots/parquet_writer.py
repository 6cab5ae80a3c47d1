"""Cuts an asset's snapshots into (day, asset) partitions and writes each as one immutable Parquet file.

Layout: `snapshots/resolution=<r>/dt=<day>/asset_id=<id>/<first 32 hex of SHA-256>.parquet` below lake/.
It never lists folders and never decides which files are live: the catalogue in state.db does.
"""

import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from engine.errors import LakeError

DATASET = "snapshots"
SCHEMA_ID = 1
ZSTD_LEVEL = 3  # measured: smaller than snappy by a fifth at half again its time


@dataclass(frozen=True, slots=True)
class FileRecord:
    """What the catalogue keeps of one file. `path` is below lake/; instants in microseconds."""

    path: str
    resolution: str
    dt: str
    asset: str
    rows: int
    bytes: int
    close_min: int
    close_max: int
    sha256: str
    content: str


def write_asset(
    lake: Path,
    resolution: str,
    asset: str,
    frame: pl.DataFrame,
    days: pl.Series,
    live: Mapping[tuple[str, str], FileRecord],
) -> Iterator[FileRecord]:
    """Writes one asset's snapshots, a file a day. `days`: dt of each row, `frame` sorted by bucket_close.

    A partition whose rows are those of the live file is not written again. Files are not yet durable:
    the caller syncs the lake once before it commits the records.
    """
    start = 0
    for length, dt in zip(*days.rle().struct.unnest(), strict=True):
        part = frame.slice(start, length)
        start += length
        content = content_digest(part)
        known = live.get((dt, asset))
        if known is not None and known.content == content and (lake / known.path).is_file():
            yield known
        else:
            yield _write(lake, resolution, dt, asset, part, content)
    assert start == frame.height, "every row belongs to one partition"


def _write(
    lake: Path, resolution: str, dt: str, asset: str, part: pl.DataFrame, content: str
) -> FileRecord:
    data = encode(part)
    sha256 = hashlib.sha256(data).hexdigest()
    path = f"{DATASET}/resolution={resolution}/dt={dt}/asset_id={asset}/{sha256[:32]}.parquet"
    target = lake / path
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = target.with_name(f".{target.name}.tmp")
    temporary.write_bytes(data)
    temporary.chmod(0o600)
    temporary.rename(target)
    closes = part["bucket_close"].to_physical()
    return FileRecord(
        path=path, resolution=resolution, dt=dt, asset=asset, rows=part.height, bytes=len(data),
        close_min=closes[0], close_max=closes[-1], sha256=sha256, content=content,
    )  # fmt: skip


def encode(part: pl.DataFrame) -> bytes:
    """The Parquet bytes of one partition: zstd, statistics, one row group."""
    buffer = io.BytesIO()
    table = part.to_arrow(compat_level=pl.CompatLevel.oldest())
    pq.write_table(table, buffer, compression="zstd", compression_level=ZSTD_LEVEL)
    return buffer.getvalue()


def content_digest(part: pl.DataFrame) -> str:
    """SHA-256 of the rows as text; the same for the same rows, however they are encoded."""
    return hashlib.sha256(part.write_csv(include_header=False).encode()).hexdigest()


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
    frame = pl.from_arrow(pq.read_table(io.BytesIO(data)))
    assert isinstance(frame, pl.DataFrame)
    return frame


def paths(lake: Path, records: Sequence[FileRecord]) -> list[str]:
    """Absolute paths for a reader's explicit list."""
    return [str(lake / record.path) for record in records]
