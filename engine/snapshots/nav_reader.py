"""NAV points from snapshot files, read by DuckDB over an explicit list, and from open rows: exact sums.

It values nothing: a bucket's NAV is the sum of its holdings' values, and null if one of them has none.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

import duckdb
import polars as pl

from engine.domain.money import SCALE, SCALED_MAX, to_scaled, to_text
from engine.errors import LakeError
from engine.snapshots.schemas import SCHEMA_ID, by_schema, parquet, source

NO_ROWS = pl.DataFrame()
FILES_A_QUERY = 2000  # bounds open files and planning time
_COLUMNS = """
    epoch_us(bucket_close) AS close,
    kind, asset_id, value, reason, held, flags
"""
_POINTS = """
SELECT close,
    count(*) FILTER (kind = 'holding') AS holdings,
    count(value) FILTER (kind = 'holding') AS valued,
    list(value) FILTER (kind = 'holding' AND value IS NOT NULL) AS all_values,
    list(DISTINCT asset_id) FILTER (kind = 'holding' AND value IS NULL AND held IS NULL) AS missing,
    list(DISTINCT held) FILTER (kind = 'holding' AND held IS NOT NULL) AS held,
    list(DISTINCT reason) FILTER (kind = 'holding' AND value IS NULL) AS reasons,
    list(DISTINCT flags) FILTER (kind = 'holding' AND flags <> '') AS flags,
    count(*) FILTER (kind = 'excluded') AS excluded,
    count(*) FILTER (kind = 'unmatched') AS unmatched,
    count(value) FILTER (kind = 'unmatched') AS unmatched_valued,
    list(value) FILTER (kind = 'unmatched' AND value IS NOT NULL) AS unmatched_values
FROM rows GROUP BY close
"""
# Whole parts and fractions are summed apart: neither sum can leave the range.
_COUNTED = """
SELECT epoch_us(bucket_close), count(*), count(value),
    sum(CAST(trunc(value) AS HUGEINT)), sum(CAST((value - trunc(value)) * 1000000000000000000 AS HUGEINT))
FROM ({}) WHERE kind = 'holding' GROUP BY 1
"""
_HOLDINGS = """
SELECT account, asset_id, value FROM ({}) WHERE kind = 'holding' AND epoch_us(bucket_close) = $close
"""
_ALONE: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "enable_external_file_cache": "false",  # a file is read as it is now
}
_SUMS = _POINTS.replace("list(value)", "sum(value)")


@dataclass(frozen=True, slots=True)
class NavPoint:
    """NAV at one close. `nav` is None unless every holding is valued; sums are canonical text."""

    close: int
    nav: str | None
    priced_value: str | None
    coverage: float
    missing: tuple[str, ...]
    held: tuple[str, ...]
    reasons: tuple[str, ...]
    flags: tuple[str, ...]
    excluded: int
    unmatched_value: str | None


def empty_point(close: int) -> NavPoint:
    """A bucket in which nothing is held: NAV 0, all of it covered."""
    return NavPoint(close, "0", "0", 1.0, (), (), (), (), 0, "0")


def read_points(
    files: Sequence[str], first: int, last: int, account: str | None = None, rows: pl.DataFrame = NO_ROWS
) -> dict[int, NavPoint]:
    """The points of closes in [first, last] that have any snapshot row, by close.

    `rows`: what lies in no file yet, in today's columns and types.
    """
    if not files and rows.is_empty():
        return {}
    with _opened() as connection:
        _load(connection, files, rows, first, last, account)
        try:
            found = connection.execute(_SUMS).fetchall()
        except duckdb.OutOfRangeException:  # a sum leaves DECIMAL(38,18): add as integers instead
            found = connection.execute(_POINTS).fetchall()
    return {row[0]: _point(*row) for row in found}


def read_sums(files: Sequence[str], rows: pl.DataFrame = NO_ROWS) -> dict[int, tuple[int, int, int]]:
    """By close: how many holdings, how many valued, and the scaled sum of their values."""
    found: dict[int, tuple[int, int, int]] = {}
    if not files and rows.is_empty():
        return found
    with _opened() as connection:
        for read, given in _batches(connection, files, rows):
            counted = connection.execute(_COUNTED.format(read), given)
            for close, held, valued, whole, part in counted.fetchall():
                before = found.get(close, (0, 0, 0))
                amount = int(whole or 0) * SCALE + int(part or 0)
                found[close] = (before[0] + held, before[1] + valued, before[2] + amount)
    return found


def read_holdings(
    files: Sequence[str], close: int, rows: pl.DataFrame = NO_ROWS
) -> list[tuple[str, str, int | None]]:
    """(account, asset, scaled value or None) of every holding at a close."""
    found: list[tuple[str, str, int | None]] = []
    if not files and rows.is_empty():
        return found
    with _opened() as connection:
        for read, given in _batches(connection, files, rows):
            held = connection.execute(_HOLDINGS.format(read), given | {"close": close})
            found += [
                (account, asset, None if value is None else to_scaled(format(value, "f")))
                for account, asset, value in held.fetchall()
            ]
    return found


@cache
def _database() -> duckdb.DuckDBPyConnection:
    """One for the process: to start one takes longer than most reads. Connections to it share no table."""
    return duckdb.connect(config=_ALONE)


@contextmanager
def _opened() -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB over files of the lake. LakeError for one that is missing or cannot be read."""
    try:
        with _database().cursor() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            yield connection
    except duckdb.FatalException:  # it answers nothing any more: the next read starts another
        _database.cache_clear()
        raise
    except (duckdb.IOException, duckdb.InvalidInputException) as error:
        raise LakeError(
            f"A lake file cannot be read: {str(error).splitlines()[0]}",
            "`navdeck verify` names it; `navdeck value` makes a lost one anew, an engine at work any other.",
        ) from error


def _load(
    connection: duckdb.DuckDBPyConnection, files: Sequence[str], rows: pl.DataFrame, first: int, last: int,
    account: str | None,
) -> None:  # fmt: skip
    span = {"first": first, "last": last, "account": account}
    verb = "CREATE TEMP TABLE rows AS"
    for read, given in _batches(connection, files, rows):
        connection.execute(
            f"{verb} SELECT {_COLUMNS} FROM ({read})"
            " WHERE epoch_us(bucket_close) BETWEEN $first AND $last"
            " AND ($account IS NULL OR account = $account)",
            given | span,
        )
        verb = "INSERT INTO rows"


def _batches(
    connection: duckdb.DuckDBPyConnection, files: Sequence[str], rows: pl.DataFrame
) -> Iterator[tuple[str, dict[str, Any]]]:
    """What reads some of the files, or the rows, into today's columns; and its parameters."""
    for schema_id, alike in by_schema(files, SCHEMA_ID).items():
        for start in range(0, len(alike), FILES_A_QUERY):
            batch = [literal(path) for path in alike[start : start + FILES_A_QUERY]]
            yield source(schema_id, parquet("$files")), {"files": batch}
    if not rows.is_empty():
        connection.register("open_rows", rows.to_arrow(compat_level=pl.CompatLevel.oldest()))
        yield "SELECT * FROM open_rows", {}


def literal(path: str) -> str:
    """DuckDB takes a listed path for a pattern, and would read what else fits it."""
    return re.sub(r"[*?[]", r"[\g<0>]", path)


def _point(
    close: int, holdings: int, valued: int, values: Any, missing: Any, held: Any, reasons: Any, flags: Any,
    excluded: int, unmatched: int, unmatched_valued: int, unmatched_values: Any,
) -> NavPoint:  # fmt: skip
    priced = _total(values)
    reasons = set(reasons or ())
    if priced is None:
        reasons.add("VALUE_OUT_OF_RANGE")
    return NavPoint(
        close=close,
        nav=priced if valued == holdings else None,
        priced_value=priced,
        coverage=valued / holdings if holdings else 1.0,
        missing=tuple(sorted(missing or ())),
        held=tuple(sorted(_parts(held))),
        reasons=tuple(sorted(reasons)),
        flags=tuple(sorted(_parts(flags) | ({"PROVISIONAL"} if unmatched else set()))),
        excluded=excluded,
        unmatched_value=_total(unmatched_values) if unmatched == unmatched_valued else None,
    )


def _parts(joined: list[str] | None) -> set[str]:
    return {part for text in joined or () for part in text.split("|")}


def _total(values: Decimal | list[Decimal] | None) -> str | None:
    parts = values if isinstance(values, list) else [values] if values is not None else []
    total = sum(to_scaled(format(part, "f")) for part in parts)
    return to_text(total) if -SCALED_MAX <= total <= SCALED_MAX else None
