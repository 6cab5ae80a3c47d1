"""Reports as files: CSV that is safe to open anywhere, canonical JSON, Parquet with decimal columns.

A file is new and whole or not there: an existing one is never written over, and what was written is on the
disk when the verb ends. In CSV a text that begins like a formula gets an apostrophe before it, and characters
that cannot be printed are told as `\\xNN`; numbers stand as they are.
"""

import csv
import io
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from console.commands.desk_csv import written_field
from engine.api import UsageError

Document = dict[str, Any]
LISTS = ("flags", "reasons")
COUNTS = ("year", "pieces", "flagged", "unpriced", "count", "unvalued")
DECIMALS = ("quantity",)  # besides those that end in _usd
INSTANTS = ("at", "disposed_at", "acquired_at")


def as_csv(document: Document) -> bytes:
    """The rows of a report; a header even if there are none."""
    out = io.StringIO()
    rows: Sequence[Document] = document["rows"]
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(document["columns"])
    for row in rows:
        writer.writerow([written_field(name, _text(row[name])) for name in document["columns"]])
    return out.getvalue().encode()


def _text(value: Any) -> str:
    if value is None:
        return ""
    return " ".join(value) if isinstance(value, list) else str(value)


def as_json(document: Document) -> bytes:
    """The whole report, one JSON document with sorted keys."""
    return json.dumps(document, ensure_ascii=True, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def as_parquet(document: Document) -> bytes:
    """The rows: amounts as DECIMAL(38,18), instants as UTC timestamps, counts as integers, lists of text."""
    import polars as pl

    decimal, instant = pl.Decimal(38, 18), pl.Datetime("us", "UTC")
    made: dict[str, pl.Series] = {}
    for name in document["columns"]:
        values = [row[name] for row in document["rows"]]
        if name in LISTS:
            made[name] = pl.Series(values, dtype=pl.List(pl.String))
        elif name in COUNTS:
            made[name] = pl.Series(values, dtype=pl.Int64)
        elif name in INSTANTS:
            texts = pl.Series(values, dtype=pl.String)
            made[name] = texts.str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="us").cast(instant)
        elif name in DECIMALS or name.endswith("_usd"):
            made[name] = pl.Series(values, dtype=pl.String).cast(decimal)
        else:
            made[name] = pl.Series(values, dtype=pl.String)
    out = io.BytesIO()
    pl.DataFrame(made).write_parquet(out)
    return out.getvalue()


WRITERS = {"csv": as_csv, "json": as_json, "parquet": as_parquet}


def write_new(path: Path, data: bytes) -> None:
    """A whole new file that only its owner may read, on the disk. UsageError if the name is taken."""
    with new_file(path) as file:
        file.write(data)


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """As `write_new`, of what is written bit by bit; until all is on the disk it has another name."""
    if path.exists():
        raise taken(path)
    handle, name = tempfile.mkstemp(prefix=".navdeck-", suffix=".part", dir=path.parent)
    part = Path(name)
    try:
        with open(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _name_new(part, path)
        _sync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)


def _name_new(part: Path, path: Path) -> None:
    """Gives the file its name, never that of another one."""
    try:
        os.link(part, path)
    except FileExistsError:
        raise taken(path) from None
    except OSError:  # a file system without links
        if path.exists():
            raise taken(path) from None
        part.rename(path)


def taken(path: Path) -> UsageError:
    """What is wrong with a name that a file has."""
    return UsageError(f"{path} is there already.", "An export never writes over a file.")


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
