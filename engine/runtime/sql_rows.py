"""What a query found, as JSON or as Parquet: decimals and instants exact, in their canonical form.

Bounded: a result that is larger than a document or a file may be is refused, not cut in silence.
"""

import io
import math
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from engine.domain.instants import format_instant, to_us
from engine.errors import UsageError

JSON_BYTES_MAX = 64_000_000  # of Arrow; as Python objects it takes about ten times as much
PARQUET_BYTES_MAX = 512_000_000
BATCH_ROWS = 20_480
ZSTD_LEVEL = 3


def collected(batches: pa.RecordBatchReader, limit: int | None, most_bytes: int) -> tuple[pa.Table, bool]:
    """The first `limit` rows, or all; and whether there are more. UsageError beyond `most_bytes`."""
    kept: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        room = batch.num_rows if limit is None else limit - rows
        kept.append(batch.slice(0, room))
        rows, size = rows + kept[-1].num_rows, size + kept[-1].nbytes
        if size > most_bytes:
            raise UsageError(
                f"The result is larger than {most_bytes // 1_000_000} MB.",
                "Narrow it, sum it up, LIMIT it, or write it with --parquet FILE.",
            )
        if room < batch.num_rows:
            return pa.Table.from_batches(kept, batches.schema), True
    return pa.Table.from_batches(kept, batches.schema), False


def unique_names(names: list[str]) -> list[str]:
    """Each name once: a second `n` becomes `n_2`."""
    found: list[str] = []
    for name in names:
        told, times = name, 1
        while told in found:
            times += 1
            told = f"{name}_{times}"
        found.append(told)
    return found


def rows_told(table: pa.Table, kinds: list[str]) -> list[list[Any]]:
    """Rows of JSON values. `kinds`: the columns' types as DuckDB names them."""
    columns = []
    for name, column, kind in zip(table.column_names, table.columns, kinds, strict=True):
        told: Callable[[Any], Any] = _whole if kind in ("HUGEINT", "UHUGEINT") else value_told
        try:
            columns.append([told(value) for value in column.to_pylist()])
        except (OverflowError, ValueError):
            raise UsageError(
                f"Column {name} holds a time that no calendar has.",
                f"Tell it as text: CAST({name} AS VARCHAR).",
            ) from None
    return [list(row) for row in zip(*columns, strict=True)]


def _whole(value: Decimal | None) -> int | None:
    return None if value is None else int(value)


def value_told(value: Any) -> Any:
    """One value as JSON can hold it: decimals as text, instants in their canonical form."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return _decimal_text(value)
    if isinstance(value, datetime):
        return format_instant(to_us(value)) if value.tzinfo is not None else value.isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {str(name): value_told(one) for name, one in value.items()}
    if isinstance(value, pa.MonthDayNano):
        return f"{value.months} months {value.days} days {value.nanoseconds // 1000} microseconds"
    if isinstance(value, list | tuple):
        return [value_told(one) for one in value]
    return str(value) if isinstance(value, timedelta) else repr(value)


def _decimal_text(value: Decimal) -> str:
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def parquet_bytes(table: pa.Table) -> bytes:
    """The table as one Parquet file. UsageError for a column that Parquet cannot hold."""
    out = io.BytesIO()
    try:
        pq.write_table(table, out, compression="zstd", compression_level=ZSTD_LEVEL, store_schema=False)
    except pa.ArrowException as error:
        raise UsageError(
            f"Parquet cannot hold the result: {error}", "CAST the column to another type."
        ) from None
    return out.getvalue()
