"""The views of the contract's lake chapter: their columns, the files behind them, and a DuckDB that is shut.

Snapshots are read from the catalogue's live files, by explicit list and by the casts of each file's schema.
What lies in state.db arrives as Arrow tables, and so do the snapshots of the open day. Nothing is carried
forward: a view holds what was computed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import polars as pl

from engine.domain.resolutions import RESOLUTIONS
from engine.errors import LakeError
from engine.snapshots.nav_reader import NO_ROWS, literal
from engine.snapshots.parquet_writer import read_all
from engine.snapshots.schemas import (
    COLUMNS,
    DECIMAL,
    INSTANT,
    SCHEMA_ID,
    SCHEMAS,
    TEXT,
    LakeFile,
    by_schema,
    parquet,
    source,
)

# What is less is read before the query: DuckDB takes twice as long to open and to permit small files.
ROWS_AT_ONCE = 200_000
DAY, COUNT, RATIO, LIST = "DATE", "BIGINT", "DOUBLE", "VARCHAR[]"

_PRICES = {
    "bucket_close": INSTANT, "asset_id": TEXT, "open": DECIMAL, "high": DECIMAL, "low": DECIMAL,
    "close": DECIMAL, "volume": DECIMAL, "quote_currency": TEXT, "price_source": TEXT,
}  # fmt: skip
_LEDGER = {
    "id": TEXT, "parent_id": TEXT, "timestamp": INSTANT, "action": TEXT, "asset_id": TEXT,
    "quantity": DECIMAL, "unit_price_usd": DECIMAL, "fee_asset": TEXT, "fee_amount": DECIMAL, "account": TEXT,
    "wallet": TEXT, "venue": TEXT, "tx_hash": TEXT, "external_id": TEXT, "notes": TEXT,
    "superseded": "BOOLEAN", "superseded_by": TEXT, "sha256": TEXT, "record": COUNT, "line": COUNT,
}  # fmt: skip
_LOTS = {
    "account": TEXT, "asset_id": TEXT, "acquired_at": INSTANT, "left_at": INSTANT, "quantity": DECIMAL,
    "cost_basis_usd": DECIMAL, "flags": LIST,
}  # fmt: skip
_REALIZED = {
    "account": TEXT, "asset_id": TEXT, "disposed_at": INSTANT, "acquired_at": INSTANT, "quantity": DECIMAL,
    "proceeds_usd": DECIMAL, "cost_basis_usd": DECIMAL, "gain_usd": DECIMAL, "flags": LIST,
}  # fmt: skip
_QUARANTINE = {
    "id": TEXT, "file": TEXT, "sha256": TEXT, "record": COUNT, "line": COUNT, "status": TEXT, "codes": LIST,
    "reasons": TEXT, "fields": LIST,
}  # fmt: skip
_NAV = {
    "resolution": TEXT, "bucket_close": INSTANT, "nav": DECIMAL, "priced_value": DECIMAL, "coverage": RATIO,
    "missing": LIST, "held": LIST, "reasons": LIST, "flags": LIST, "excluded": COUNT,
    "unmatched_value": DECIMAL,
}  # fmt: skip
_SNAPSHOTS = {"dt": DAY, **COLUMNS}

# Every view and its columns by DuckDB's names of types.
VIEWS: Mapping[str, Mapping[str, str]] = {
    **{f"prices_{resolution}": _PRICES for resolution in RESOLUTIONS},
    **{f"snapshots_{resolution}": _SNAPSHOTS for resolution in RESOLUTIONS},
    "nav": _NAV,
    "ledger": _LEDGER,
    "lots": _LOTS,
    "realized": _REALIZED,
    "quarantine": _QUARANTINE,
}
SNAPSHOTS = "snapshots_"
# The folder two above the file tells the day; the file itself has no such column.
_DT = ", CAST(substr(split_part(filename, '/', -3), 4) AS DATE) AS dt"


def resolution_of(view: str) -> str:
    """Of prices_… and snapshots_…."""
    return view.partition("_")[2]


def connect(memory_bytes: int, threads: int) -> duckdb.DuckDBPyConnection:
    """A DuckDB in memory that spills nothing and finds nothing by itself; `shut` it before a query runs."""
    connection = duckdb.connect(
        config={
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "allow_community_extensions": "false",
            "memory_limit": f"{memory_bytes // 1_000_000}MB",
            "threads": threads,
            "temp_directory": "",
        }
    )
    for setting in ("TimeZone = 'UTC'", "python_enable_replacements = false", "enable_progress_bar = false"):
        connection.execute(f"SET {setting}")
    return connection


def add_snapshots(
    connection: duckdb.DuckDBPyConnection, view: str, files: Sequence[LakeFile],
    rows: pl.DataFrame = NO_ROWS,
) -> None:  # fmt: skip
    """The view over these files and the rows that lie open, which have its columns; nothing else is in it.

    LakeError if a file is not of its schema.
    """
    parts = []
    if not rows.is_empty():
        connection.register(f"{view}_open", rows.to_arrow(compat_level=pl.CompatLevel.oldest()))
        parts.append(f"SELECT * REPLACE (CAST(dt AS DATE) AS dt) FROM {view}_open")
    at_once = are_few(files)
    for schema_id, alike in by_schema(files, SCHEMA_ID).items():
        name = f"{view}_{schema_id}"
        if at_once:
            connection.register(name, read_all(alike).to_arrow(compat_level=pl.CompatLevel.oldest()))
            _require(connection, schema_id, f"SELECT * EXCLUDE (dt) FROM {name}", alike[0])
            parts.append(source(schema_id, name, ", CAST(dt AS DATE) AS dt"))
            continue
        connection.execute(f"SET VARIABLE {name} = $files", {"files": [literal(path) for path in alike]})
        listed = f"getvariable('{name}')"
        _require(connection, schema_id, f"SELECT * FROM {parquet(listed + '[1]')}", alike[0])
        parts.append(source(schema_id, parquet(listed), _DT))
    names = ", ".join(f'"{name}"' for name in _SNAPSHOTS)
    made = [f"SELECT {names} FROM ({part})" for part in parts] or [_nothing(_SNAPSHOTS)]
    connection.execute(f"CREATE VIEW {view} AS {' UNION ALL '.join(made)}")


def are_few(files: Sequence[LakeFile]) -> bool:
    """Whether they are read before the query, and not by it."""
    return sum(file.rows for file in files) <= ROWS_AT_ONCE


def _require(connection: duckdb.DuckDBPyConnection, schema_id: int, select: str, first: str) -> None:
    """DuckDB casts all files to the types of the first without a word: those must be the schema's."""
    found = connection.execute(f"DESCRIBE {select}").fetchall()
    if {name: kind for name, kind, *_ in found} != dict(SCHEMAS[schema_id].held):
        raise LakeError(
            f"Lake file {first} does not hold the columns of schema {schema_id}.",
            "Run `navdeck verify`; `navdeck value` makes its partition anew.",
        )


def _nothing(columns: Mapping[str, str]) -> str:
    nulls = ", ".join(f'CAST(NULL AS {kind}) AS "{name}"' for name, kind in columns.items())
    return f"SELECT {nulls} WHERE false"


def add_table(connection: duckdb.DuckDBPyConnection, view: str, table: Any) -> None:
    """The view over an Arrow table that has its columns."""
    connection.register(f"{view}_rows", table)
    made = ", ".join(f'CAST("{name}" AS {kind}) AS "{name}"' for name, kind in VIEWS[view].items())
    connection.execute(f"CREATE VIEW {view} AS SELECT {made} FROM {view}_rows")


def shut(connection: duckdb.DuckDBPyConnection, files: Sequence[str]) -> None:
    """From here on no file but these can be opened, no extension loaded, no setting changed."""
    if files:
        allowed = {path for file in files for path in (file, literal(file))}  # it asks by either form
        listed = ", ".join("'" + path.replace("'", "''") + "'" for path in sorted(allowed))
        connection.execute(f"SET allowed_paths = [{listed}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
