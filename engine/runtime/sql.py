"""One SELECT over the books, answered in a process of its own that can write nothing.

Before the query runs, the views that it names are laid out: snapshots by the catalogue's live files, the rest
from state.db at one snapshot of it. Then DuckDB is shut (no other file, no extension, no setting) and the
process gives up writing; only then is the query given to it.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import psutil
import pyarrow as pa
from duckdb.func import ARROW

from engine.domain.money import SCALED_MAX
from engine.errors import LakeError, UsageError
from engine.runtime.books import Books
from engine.runtime.executors import AloneExecutor, forbid_writes
from engine.runtime.home import Home
from engine.runtime.open_day import open_rows
from engine.runtime.sql_rows import (
    BATCH_ROWS,
    JSON_BYTES_MAX,
    PARQUET_BYTES_MAX,
    collected,
    parquet_bytes,
    rows_told,
    unique_names,
)
from engine.runtime.sql_tables import table
from engine.snapshots import views
from engine.snapshots.open_rows import typed
from engine.snapshots.schemas import DATASET, DECIMAL, LakeFile
from engine.snapshots.selects import Select, Wanted, plainly, read_select
from engine.store.reader import Reader
from engine.valuation.exact import decimals, scaled_ints, wide_value

MEMORY_BYTES_MAX = 2_000_000_000  # of DuckDB's own; a quarter of the machine if that is less
TIMEOUT_S = 600.0
THREADS = 2
_ONE = 10**18
_EXACT = "Multiply with mul(a, b) or value_of(quantity, price, rate): they are exact."


def sql(home_path: str, now: int, arguments: dict[str, Any]) -> dict[str, Any]:
    """The rows of one SELECT. Arguments: query; limit (rows) and timeout_s, both optional.

    `columns`: name and type of each; `rows`: lists of JSON values in their order; `more`: the limit cut some;
    `files`: how many lake files were looked at. For a process that is alone.
    """
    found, kinds, more, files = _answer(home_path, now, arguments, JSON_BYTES_MAX)
    columns = [
        {"name": name, "type": kind}
        for name, kind in zip(found.column_names, kinds, strict=True)
    ]  # fmt: skip
    return {"columns": columns, "rows": rows_told(found, kinds), "more": more, "files": files}


def sql_parquet(home_path: str, now: int, arguments: dict[str, Any]) -> dict[str, Any]:
    """As `sql`, with the rows as the bytes of a Parquet file under `data`."""
    found, _, more, files = _answer(home_path, now, arguments, PARQUET_BYTES_MAX)
    return {"data": parquet_bytes(found), "rows": found.num_rows, "more": more, "files": files}


async def as_parquet(home: Path, now: int, arguments: dict[str, Any]) -> dict[str, Any]:
    """`sql_parquet` beside whatever engine there is."""
    Home(home).require()
    return await AloneExecutor().run(sql_parquet, str(home), now, arguments)


def _answer(
    home_path: str, now: int, arguments: dict[str, Any], most_bytes: int
) -> tuple[pa.Table, list[str], bool, int]:  # fmt: skip
    query, limit = arguments["query"], arguments.get("limit")
    home = Home(Path(home_path))
    memory = min(MEMORY_BYTES_MAX, psutil.virtual_memory().total // 4)
    with views.connect(memory, THREADS) as connection:
        select = read_select(query, views.VIEWS, connection)
        files = lay_out(connection, select, home, now)
        forbid_writes()
        with _in_time(connection, arguments.get("timeout_s") or TIMEOUT_S), _told():
            relation = connection.sql(query)
            kinds = [str(kind) for kind in relation.types]
            names = unique_names(relation.columns)
            batches = relation.to_arrow_reader(BATCH_ROWS)
            found, more = collected(batches, limit, most_bytes)
    return found.rename_columns(names), kinds, more, len(files)


def lay_out(
    connection: duckdb.DuckDBPyConnection, select: Select, home: Home, now: int
) -> list[LakeFile]:  # fmt: skip
    """Makes the views that the statement names, and shuts DuckDB; the files that it may read."""
    files: list[LakeFile] = []
    with Reader(home.state) as reader:
        books = cache(lambda: Books(reader, home.config()))
        for view, wanted in sorted(select.views.items()):
            if view.startswith(views.SNAPSHOTS):
                listed = live_files(reader, home, views.resolution_of(view), wanted)
                rows = open_of(reader, views.resolution_of(view), wanted)
                with _told():
                    views.add_snapshots(connection, view, listed, rows)
                files += listed
            else:
                views.add_table(connection, view, table(view, wanted, home, reader, books(), now))
    add_exact(connection)
    views.shut(connection, [] if views.are_few(files) else files)
    return files


def live_files(reader: Reader, home: Home, resolution: str, wanted: Sequence[Wanted]) -> list[LakeFile]:
    """The live files of a resolution that can hold a wanted row; the catalogue is asked for no others."""
    found: set[tuple[str, int, int]] = set()
    for want in wanted:
        assets = sorted(want.names.get("asset_id", ()))
        among = f" AND asset IN ({', '.join('?' * len(assets))})" if "asset_id" in want.names else ""
        found |= set(reader.rows(
            "SELECT path, schema_id, rows FROM lake_files"
            " WHERE dead_at IS NULL AND dataset = ? AND resolution = ?"
            f" AND dt BETWEEN ? AND ? AND close_max >= ? AND close_min <= ?{among}",
            (DATASET, resolution, *want.days, *want.closes, *assets),
        ))  # fmt: skip
    return [LakeFile(f"{home.lake}/{path}", *about) for path, *about in sorted(found)]


def open_of(reader: Reader, resolution: str, wanted: Sequence[Wanted]) -> pl.DataFrame:
    """The open rows of a resolution of closes that are wanted, and some others."""
    first, last = min(want.closes[0] for want in wanted), max(want.closes[1] for want in wanted)
    return typed(open_rows(reader, resolution, first, last))


def add_exact(connection: duckdb.DuckDBPyConnection) -> None:
    """`mul` and `value_of`: products of DECIMAL(38,18), rounded half-even once; beyond the range an error."""
    functions: tuple[tuple[str, Callable[..., Any], int], ...] = (
        ("mul", _mul, 2),
        ("value_of", _value_of, 3),
    )
    for name, function, count in functions:
        connection.create_function(name, function, [DECIMAL] * count, DECIMAL, type=ARROW)


def _mul(left: pa.ChunkedArray, right: pa.ChunkedArray) -> pa.ChunkedArray:
    return _products(left, right, None)


def _value_of(quantity: pa.ChunkedArray, price: pa.ChunkedArray, rate: pa.ChunkedArray) -> pa.ChunkedArray:
    return _products(quantity, price, rate)


def _products(left: pa.ChunkedArray, right: pa.ChunkedArray, rate: pa.ChunkedArray | None) -> pa.ChunkedArray:
    lefts, rights = (scaled_ints(pl.Series(one)) for one in (left, right))
    rates = [_ONE] * len(lefts) if rate is None else scaled_ints(pl.Series(rate))
    values = [wide_value(*factors) for factors in zip(lefts, rights, rates, strict=True)]
    for value, *factors in zip(values, lefts, rights, rates, strict=True):
        if value is None and None not in factors:
            raise OverflowError(f"VALUE_OUT_OF_RANGE: a product is beyond ±{SCALED_MAX // _ONE}")
    return pa.chunked_array([decimals(values).to_arrow(compat_level=pl.CompatLevel.oldest())])


@contextmanager
def _in_time(connection: duckdb.DuckDBPyConnection, timeout_s: float) -> Iterator[None]:
    """UsageError for a query that takes longer."""
    timer = threading.Timer(timeout_s, connection.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    except duckdb.InterruptException:
        raise UsageError(
            f"The query was stopped after {timeout_s:g} s.", "Narrow it, or give it longer with --timeout."
        ) from None
    finally:
        timer.cancel()


@contextmanager
def _told() -> Iterator[None]:
    """DuckDB's complaints as ours, with what to do."""
    try:
        yield
    except duckdb.InterruptException:
        raise
    except duckdb.OutOfMemoryException:
        raise UsageError(
            "The query needs more memory than a query may have.", "Narrow it, or sum up in steps."
        ) from None
    except duckdb.IOException as error:
        raise LakeError(
            plainly(error), "Run `navdeck verify`; `navdeck value` makes a partition anew."
        ) from None
    except duckdb.PermissionException as error:
        raise UsageError(plainly(error), "A query reads the views, and nothing else.") from None
    except duckdb.Error as error:
        overflow = "Overflow" in str(error) or "OUT_OF_RANGE" in str(error)
        hint = _EXACT if overflow else "`DESCRIBE nav` tells a view's columns."
        raise UsageError(plainly(error), hint) from None
