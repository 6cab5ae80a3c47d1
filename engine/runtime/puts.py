"""From judged rows to puts: what a file's, or a released, rows become in state.db.

Owns how rows are numbered and narrowed: repeated texts as numbers of `names`, series of observations. It
reads the store it will be put into; it puts nothing itself.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace

import polars as pl

from engine.ingestion.csv_processor import TRANSACTIONS, BadFile, Parsed, Reject
from engine.ingestion.keys import Judged, Known, judge, prepare, wanted
from engine.ingestion.observations import judge_observations
from engine.store.known import MARK_ID_GIVEN, MARK_SANITIZED
from engine.store.reader import OBSERVATIONS, Reader

Puts = list[tuple[str, pl.DataFrame]]


def codes(reject: Reject) -> list[str]:
    """The distinct codes of a reject, sorted."""
    return sorted({reason.code for reason in reject.reasons})


def quarantined(rejects: Iterable[Reject], file: int) -> pl.DataFrame:
    """Rows of the quarantine table for rejects of a file."""
    columns = ("file", "record", "line", "status", "fields", "reasons", "codes")
    rows = [
        (
            file, reject.record, reject.line, "open", json.dumps(reject.fields),
            json.dumps([{"code": r.code, "column": r.column, "value": r.value} for r in reject.reasons]),
            ",".join(codes(reject)),
        )
        for reject in rejects
    ]  # fmt: skip
    kinds = (pl.Int64, pl.Int64, pl.Int64, *(pl.String,) * 4)
    return pl.DataFrame(rows, schema=dict(zip(columns, kinds, strict=True)), orient="row")


# -- transactions -------------------------------------------------------------------------------------


def with_keys(found: Parsed | BadFile) -> Parsed | BadFile:
    """A file of transactions with the keys and ids of its rows, which need no store; others as they are."""
    if isinstance(found, BadFile) or found.kind != TRANSACTIONS:
        return found
    return replace(found, frame=prepare(found.frame))


def transactions(parsed: Parsed, reader: Reader, file: int) -> tuple[pl.DataFrame, int, list[Reject], Puts]:
    """The accepted rows, how many are there already, all rejects of the file, and the puts.

    The rows have their keys (`with_keys`).
    """
    judged = judge(parsed.frame, _known(parsed.frame, reader, file))
    accepted, puts = ledger_puts(judged, reader, file)
    rejects = sorted([*parsed.rejects, *judged.conflicts], key=lambda reject: reject.record)
    return accepted, len(judged.duplicates), rejects, puts


def ledger_puts(judged: Judged, reader: Reader, file: int) -> tuple[pl.DataFrame, Puts]:
    """The accepted rows with their row numbers, and the puts that store them with names and aliases."""
    first_row = int(reader.value("SELECT coalesce(max(row), 0) + 1 FROM tx"))
    accepted = judged.accepted.with_row_index("row", offset=first_row).cast({"row": pl.Int64})
    numbers, fresh = _numbered(accepted, reader)

    def number(column: str) -> pl.Expr:
        return pl.col(column).replace_strict(numbers, return_dtype=pl.Int64, default=None)

    narrow = accepted.select(
        "row", pl.lit(file, pl.Int64).alias("file"), pl.col("uid").alias("id"),
        "record", "line", "ts", "action",
        number("asset"), "quantity", "price",
        number("fee_asset"), "fee_amount",
        *map(number, ("account", "wallet", "venue")),
        "tx_hash", "external_id", "notes", "kind", "k",
        (pl.col("sanitized") * MARK_SANITIZED + pl.col("id_given") * MARK_ID_GIVEN).alias("marks"),
    )  # fmt: skip
    aliases = list(_aliases(judged, accepted))
    names = pl.DataFrame(fresh, schema={"n": pl.Int64, "name": pl.String}, orient="row")
    remembered = pl.DataFrame(aliases, schema={"id": pl.Binary, "row": pl.Int64}, orient="row")
    return accepted, [("tx", narrow), ("names", names), ("id_aliases", remembered)]


def _known(keyed: pl.DataFrame, reader: Reader, file: int) -> Known:
    """What the store has under the keys and ids of this file."""
    want = wanted(keyed)
    return Known(*reader.known(want.ids, want.tx_hashes, want.external_ids, want.rows, file))


def _numbered(accepted: pl.DataFrame, reader: Reader) -> tuple[dict[str, int], list[tuple[int, str]]]:
    """Numbers of all repeated texts, and those that are new to the store."""
    columns = ("asset", "fee_asset", "account", "wallet", "venue")
    texts = pl.concat([accepted[name].drop_nulls().unique().rename("text") for name in columns])
    numbers = reader.names()
    following = max(numbers.values(), default=0) + 1
    missing = [text for text in texts.unique().sort() if text not in numbers]
    fresh = list(enumerate(missing, start=following))
    return numbers | {text: n for n, text in fresh}, fresh


def _aliases(judged: Judged, accepted: pl.DataFrame) -> Iterator[tuple[bytes, int]]:
    """Remembered ids of duplicates, each with the ledger row it stands for."""
    rows = dict(accepted.select("record", "row").iter_rows())
    for duplicate in judged.duplicates:
        if duplicate.remembered is not None:
            row = duplicate.row if duplicate.row is not None else rows[duplicate.accepted_record]
            yield duplicate.remembered, row


# -- prices and rates ---------------------------------------------------------------------------------


def observations(
    parsed: Parsed, reader: Reader, file: int, earlier: list[pl.DataFrame] | None = None
) -> tuple[pl.DataFrame, int, Puts]:
    """The new versions, how many rows are there already, and the puts that store the new ones.

    `earlier`: new versions of windows before this one that were not stored; these are added to it.
    """
    (prefix, *keys), table, values = OBSERVATIONS[parsed.kind]
    frame = parsed.frame
    if frame.is_empty():
        return frame, 0, []
    first, last = frame["asof"].min(), frame["asof"].max()
    series = frame.select(keys).unique()
    stored = reader.stored_observations(parsed.kind, first, last, series)  # type: ignore[arg-type]
    known = [*keys, "asof", *values, "version"]
    new = judge_observations(frame, pl.concat([stored.select(known), *(earlier or [])])).new
    if earlier is not None:
        earlier.append(new.select(known))
    numbers, fresh = _series(new, reader, f"{prefix}_series", keys)
    narrow = (
        new.join(numbers, on=keys)
        .select("series", "asof", "version", *values, "record", pl.lit(file, pl.Int64).alias("file"))
        .sort("series", "asof", "version")
    )
    return new, frame.height - new.height, [(table, narrow), (f"{prefix}_series", fresh)]


def _series(
    new: pl.DataFrame, reader: Reader, table: str, keys: list[str]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Numbers of all series, and those that are new to the store."""
    columns = {"series": pl.Int64} | dict.fromkeys(keys, pl.String)
    rows = reader.rows(f"SELECT series, {', '.join(keys)} FROM {table}")
    stored = pl.DataFrame(rows, schema=columns, orient="row")
    missing = new.select(keys).unique().join(stored, on=keys, how="anti").sort(keys)
    following = max(stored["series"].to_list(), default=0) + 1
    fresh = (
        missing.with_row_index("series", offset=following).cast({"series": pl.Int64}).select(list(columns))
    )
    return pl.concat([stored, fresh]), fresh
