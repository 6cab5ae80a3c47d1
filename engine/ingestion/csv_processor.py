"""From the bytes of a source file to normalised rows and rejects, side by side. Bad rows are values.

Judges the file first (in the contract's order of reasons; whether it is a regular file is the opener's
to say), then every row against every rule of its kind, which the header tells. Pure: it reads no clock
and no database, and knows nothing of what is stored.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from engine.domain.transactions import COLUMNS
from engine.ingestion import market_rules, transaction_rules
from engine.ingestion.headers import header_trouble
from engine.ingestion.records import Records, is_blank, read_records
from engine.ingestion.rules import Reason, Reject, Rule, judge_rows

__all__ = [
    "BadFile", "Parsed", "Reason", "Reject",
    "kind_of", "parse_csv", "parse_parquet", "parse_records", "read_csv_file",
]  # fmt: skip

CSV_BYTES_MAX = 10_000_000
CSV_ROWS_MAX = 100_000
PARQUET_BYTES_MAX = 1_000_000_000

TRANSACTIONS, PRICES, FX = "transactions", "prices", "fx"


@dataclass(frozen=True)
class Parsed:
    """A readable file: `rows` = rows of `frame` + rejects. Record numbers count from 1 after the header.

    transactions: record, line, id, ts, action (code), asset, quantity, price, fee_asset, fee_amount,
    account, wallet, venue, tx_hash, external_id, notes, sanitized, content. Prices: record, line, asset,
    quote, source, resolution, asof, open, high, low, close, volume. fx: record, line, base, quote,
    source, resolution, asof, rate. Instants are microseconds UTC, decimals unsigned canonical text,
    null stands for empty, `content` is the ten content fields joined by U+001F.
    """

    kind: str
    rows: int
    frame: pl.DataFrame
    rejects: list[Reject]


@dataclass(frozen=True)
class BadFile:
    """A file that is refused whole. `reason`: one of FILE_REASONS; `detail`: a sentence for people."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class _Kind:
    name: str
    header: tuple[str, ...]
    canonical: Callable[[pl.DataFrame], pl.DataFrame]  # text in canonical form, and what `sure` needs
    sure: Callable[[int], pl.Expr]  # of canonical rows: surely good
    prepare: Callable[[pl.DataFrame], pl.DataFrame]  # adds what the rules need
    rules: Callable[[int], list[Rule]]  # of rows as in the file
    normalise: Callable[[pl.DataFrame], pl.DataFrame]  # of good canonical rows


_KINDS = (
    _Kind(
        TRANSACTIONS, COLUMNS, transaction_rules.canonical, transaction_rules.sure,
        transaction_rules.prepare, transaction_rules.rules, transaction_rules.normalise,
    ),
    _Kind(
        PRICES, market_rules.PRICE_COLUMNS, market_rules.canonical_prices, market_rules.sure_price,
        market_rules.prepare_prices, market_rules.price_rules, market_rules.normalise_prices,
    ),
    _Kind(
        FX, market_rules.FX_COLUMNS, market_rules.canonical_fx, market_rules.sure_fx,
        market_rules.prepare_fx, market_rules.fx_rules, market_rules.normalise_fx,
    ),
)  # fmt: skip


def parse_csv(
    data: bytes, now_us: int, bytes_max: int = CSV_BYTES_MAX, rows_max: int = CSV_ROWS_MAX
) -> Parsed | BadFile:
    """The rows and rejects of a transactions, price or FX CSV, or why the whole file is refused."""
    records = read_csv_file(data, bytes_max, rows_max)
    if isinstance(records, BadFile):
        return records
    parsed = _judge(records.header, records.frame, now_us)
    odd = [_odd(record, line, fields) for record, line, _, fields in records.odd]
    rejects = sorted([*parsed.rejects, *odd], key=lambda reject: reject.record)
    return Parsed(parsed.kind, records.rows, parsed.frame, rejects)


def read_csv_file(data: bytes, bytes_max: int, rows_max: int) -> Records | BadFile:
    """The records of a CSV whose header is known, or why the file is refused."""
    if len(data) > bytes_max:
        return BadFile("FILE_TOO_LARGE", f"{len(data)} bytes; the limit is {bytes_max}")
    if is_blank(data):
        return BadFile("FILE_EMPTY", "no header and no rows")
    if b"\0" in data:
        return BadFile("FILE_BINARY", f"a NUL byte at byte {data.index(0)}")
    try:
        records = read_records(data, rows_max)
    except UnicodeDecodeError as error:
        return BadFile("FILE_ENCODING", f"not UTF-8: {error.reason} at byte {error.start}")
    if records is None:
        return BadFile("FILE_QUOTING", "a quote is opened and never closed")
    if kind_of(records.header) is None:
        return _bad_header(records.header, _KINDS)
    if records.rows > rows_max:
        return BadFile("FILE_TOO_MANY_ROWS", f"{records.rows} rows; the limit is {rows_max}")
    return records


def kind_of(header: tuple[str, ...]) -> str | None:
    """The kind of file that has exactly this header; None if there is none."""
    return next((kind.name for kind in _KINDS if kind.header == header), None)


def _bad_header(header: Sequence[str], kinds: Sequence[_Kind]) -> BadFile:
    return BadFile("FILE_HEADER", header_trouble(header, {kind.name: kind.header for kind in kinds}))


def _judge(header: tuple[str, ...], frame: pl.DataFrame, now_us: int) -> Parsed:
    kind = next(kind for kind in _KINDS if kind.header == header)
    canonical = kind.canonical(frame)
    sure = canonical.select(kind.sure(now_us)).to_series()
    rejects = judge_rows(kind.prepare(frame.filter(~sure)), kind.rules(now_us), header)
    rejected = [reject.record for reject in rejects]
    good = canonical.filter(~canonical["record"].is_in(rejected)) if rejected else canonical
    return Parsed(kind.name, frame.height, kind.normalise(good), rejects)


def _odd(record: int, line: int, fields: tuple[str, ...]) -> Reject:
    return Reject(record, line, fields, (Reason("COLUMN_COUNT", "", str(len(fields))),))


def parse_records(kind: str, rows: Sequence[tuple[int, int, Sequence[str]]], now_us: int) -> Parsed:
    """The verdict on records given as (record, line, fields), by the same rules as those of a file."""
    header = next(each.header for each in _KINDS if each.name == kind)
    even = [(record, line, *fields) for record, line, fields in rows if len(fields) == len(header)]
    schema = {"record": pl.Int64, "line": pl.Int64} | dict.fromkeys(header, pl.String)
    parsed = _judge(header, pl.DataFrame(even, schema=schema, orient="row"), now_us)
    odd = [_odd(record, line, tuple(fields)) for record, line, fields in rows if len(fields) != len(header)]
    rejects = sorted([*parsed.rejects, *odd], key=lambda reject: reject.record)
    return Parsed(kind, len(rows), parsed.frame, rejects)


def parse_parquet(
    path: Path, now_us: int, bytes_max: int = PARQUET_BYTES_MAX, offset: int = 0, rows_max: int | None = None
) -> Parsed | BadFile:
    """The rows and rejects of a price or FX Parquet file, by the same rules as a CSV.

    Reads `rows_max` rows from row `offset` on (a large file is read window by window; a window past the
    end has 0 rows). Columns have the CSV's names in any order and are strings, exact decimals or
    timestamps in UTC; anything else is `FILE_HEADER`. `line` is the record number.
    """
    size = path.stat().st_size
    if size > bytes_max:
        return BadFile("FILE_TOO_LARGE", f"{size} bytes; the limit is {bytes_max}")
    if size == 0:
        return BadFile("FILE_EMPTY", "no bytes")
    try:
        rows = pl.scan_parquet(path, glob=False, hive_partitioning=False)
        header = _parquet_header(rows.collect_schema())
        if isinstance(header, BadFile):
            return header
        frame = rows.slice(offset, rows_max).select(_as_text(*each) for each in header).collect()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        return BadFile("FILE_HEADER", f"not a readable Parquet file: {type(error).__name__}")
    record = pl.int_range(offset + 1, offset + 1 + frame.height, eager=True)
    frame = frame.with_columns(record=record, line=record)
    return _judge(tuple(name for name, _ in header), frame, now_us)


def _parquet_header(schema: pl.Schema) -> list[tuple[str, pl.DataType]] | BadFile:
    """The columns in the CSV's order with their types."""
    kind = next((kind for kind in _KINDS[1:] if set(kind.header) == set(schema)), None)
    if kind is None:
        return _bad_header(tuple(schema), _KINDS[1:])
    wrong = [f"{name} is {schema[name]}" for name in kind.header if not _is_exact(schema[name])]
    if wrong:
        return BadFile("FILE_HEADER", "needs text, exact decimals and UTC timestamps: " + ", ".join(wrong))
    return [(name, schema[name]) for name in kind.header]


def _is_exact(dtype: pl.DataType) -> bool:
    if isinstance(dtype, pl.Datetime):
        return dtype.time_zone == "UTC"
    return isinstance(dtype, pl.String | pl.Categorical | pl.Decimal | pl.Null)


def _as_text(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if isinstance(dtype, pl.Datetime):
        column = column.dt.cast_time_unit("us").dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
    elif isinstance(dtype, pl.Decimal):
        column = column.cast(pl.String)
        has_point = column.str.contains(".", literal=True)
        short = column.str.strip_chars_end("0").str.strip_suffix(".")
        column = pl.when(has_point).then(short).otherwise(column)
    return column.cast(pl.String).fill_null("")
