"""Cuts a CSV that is too large into files that are not, without changing what the ledger makes of it.

Rows of one chain transaction, rows of equal content and versions of one observation stay in one file,
bad rows among them. Rows keep their bytes and their order. Never writes: it gives the parts as bytes.
"""

import polars as pl

from engine.domain.transactions import COLUMNS, UNIT_SEPARATOR
from engine.errors import UsageError
from engine.ingestion.csv_processor import CSV_BYTES_MAX, CSV_ROWS_MAX, BadFile, read_csv_file
from engine.ingestion.market_rules import FX_COLUMNS, PRICE_COLUMNS
from engine.ingestion.records import Records, decode
from engine.ingestion.rules import canonical_instants
from engine.ingestion.transaction_rules import canonical_content

_KEYS = {
    PRICE_COLUMNS: ("asset_id", "quote_currency", "price_source", "resolution", "bucket_close"),
    FX_COLUMNS: ("base", "quote", "fx_source", "resolution", "asof"),
}


def split_csv(data: bytes, bytes_max: int = CSV_BYTES_MAX, rows_max: int = CSV_ROWS_MAX) -> list[bytes]:
    """The parts of a transactions, price or FX CSV, each with the header and within both limits.

    UsageError if the file cannot be read or if rows that belong together are too many for one part.
    """
    records = read_csv_file(data, len(data), len(data))
    if isinstance(records, BadFile):
        raise UsageError(f"cannot split this file: {records.detail}", f"Refused as {records.reason}.")
    header = (",".join(records.header) + "\n").encode()
    rows = _raw_rows(records, decode(data))
    parts = _pack(_groups(records), rows, bytes_max - len(header), rows_max)
    return [header + b"".join(rows[record - 1] for record in sorted(part)) for part in parts]


def _raw_rows(records: Records, text: str) -> list[bytes]:
    """The bytes of each record, by record number from 1, each with its line end if it has one."""
    lines = text.split("\n")
    spans = records.frame.select("record", "line", "end").rows()
    spans += [(record, line, end) for record, line, end, _ in records.odd]
    rows = [("\n".join(lines[line - 1 : end]) + "\n").encode() for _, line, end in sorted(spans)]
    if rows and max(end for _, _, end in spans) == len(lines):
        rows[-1] = rows[-1].removesuffix(b"\n")  # a CR before it would become a line end
    return rows


def _groups(records: Records) -> list[list[int]]:
    """Record numbers that must stay together, in order of their first."""
    groups: dict[str | int, list[int]] = {}
    names = dict(zip(records.frame["record"], _group_names(records), strict=True))
    for record in range(1, records.rows + 1):
        groups.setdefault(names.get(record, record), []).append(record)
    return list(groups.values())


def _group_names(records: Records) -> pl.Series:
    frame = records.frame
    if records.header != COLUMNS:
        key = _KEYS[records.header]
        frame = canonical_instants(frame, key[-1])
        return frame.select(pl.concat_str(key, separator=UNIT_SEPARATOR)).to_series()
    content = canonical_content(frame)
    chain = pl.concat_str("account", "tx_hash", separator=UNIT_SEPARATOR)
    return content.select(pl.when(pl.col("tx_hash") != "").then(chain).otherwise("content")).to_series()


def _pack(groups: list[list[int]], rows: list[bytes], bytes_max: int, rows_max: int) -> list[list[int]]:
    """Fills one part after another with whole groups."""
    parts: list[list[int]] = [[]]
    size = 0
    for group in groups:
        need = sum(len(rows[record - 1]) for record in group)
        if need > bytes_max or len(group) > rows_max:
            raise UsageError(
                f"{len(group)} rows from record {group[0]} on belong together and are too many for one file",
                "Raise the limits of one file for it, or take out rows that are there by mistake.",
            )
        if size + need > bytes_max or len(parts[-1]) + len(group) > rows_max:
            parts.append([])
            size = 0
        parts[-1] += group
        size += need
    return parts
