"""Reports as files: CSV that is safe to open anywhere, canonical JSON, Parquet with decimal columns.

A file is new and whole or not there: an existing one is never written over, and what was written is on the
disk when the verb ends. In CSV a text that begins like a formula gets an apostrophe before it, and characters
that cannot be printed are told as `\\xNN`; numbers stand as they are.
"""

import csv
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        raise UsageError(f"{path} is there already.", "An export never writes over a file.") from None
    try:
        with open(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _sync_folder(path.parent)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
