"""What is stored under the keys and ids of a file: the rows that its own rows may repeat or contradict.

Every look-up costs by what the file holds, not by what the store holds. Rows come as a frame, by way of
whole columns: a file that was taken before finds all of its rows here. It never judges.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from engine.domain.transactions import content_column

if TYPE_CHECKING:
    from engine.store.reader import Reader

VARIABLES_MAX = 30_000  # SQLite takes 32,766 bound values a statement
MARK_SANITIZED, MARK_ID_GIVEN = 1, 2  # bits of tx.marks
RANGE_RATIO_MAX = 3  # rows that a range may hold for each one that is sought; beyond, a list is faster

_NUMBERED = ("asset", "fee_asset", "account")  # stored as numbers of `names`
_Columns = Mapping[str, tuple[str, Any]]  # name -> what SQL gives for it, its type
_ALIASES: _Columns = {"id": ("hex(id)", pl.String), "row": ("row", pl.Int64)}
_ROWS: _Columns = {
    "row": ("row", pl.Int64),
    "id": ("hex(id)", pl.String),
    "id_given": (f"(marks & {MARK_ID_GIVEN}) <> 0", pl.Int8),
    "kind": ("kind", pl.Int8),
    "k": ("k", pl.Int32),
    "ts": ("ts", pl.Int64),
    "action": ("action", pl.Int8),
    "asset": ("asset", pl.Int64),
    "quantity": ("quantity", pl.String),
    "price": ("price", pl.String),
    "fee_asset": ("fee_asset", pl.Int64),
    "fee_amount": ("fee_amount", pl.String),
    "account": ("account", pl.Int64),
    "tx_hash": ("tx_hash", pl.String),
    "external_id": ("external_id", pl.String),
    "superseded_by": ("superseded_by", pl.Int64),
}


def known(
    reader: "Reader",
    ids: pl.Series,
    tx_hashes: Sequence[str],
    external_ids: Sequence[str],
    rows: Sequence[int],
    file: int | None,
) -> tuple[pl.DataFrame, dict[bytes, int]]:
    """See `Reader.known`."""
    aliases = _by_id(reader, "id_aliases", ids)
    numbers = {*rows, *aliases["row"], *_by_id(reader, "tx", ids)["row"]}
    numbers |= _under(reader, "tx_hash", tx_hashes)
    numbers |= _under(reader, "kind = 1 AND external_id", external_ids)
    parts = [_rows(reader, sorted(numbers), file)]
    while missing := set(parts[-1].filter(pl.col("superseded_by") > 0)["superseded_by"]) - numbers:
        numbers |= missing
        parts.append(_rows(reader, sorted(missing), file))
    return pl.concat(parts), dict(aliases.rows())


def _by_id(reader: "Reader", table: str, ids: pl.Series) -> pl.DataFrame:
    """Which of the ids are there, and whose they are: id, row."""
    between, ends = "id BETWEEN ? AND ?", (ids.min(), ids.max())
    most = RANGE_RATIO_MAX * len(ids)
    some = f"SELECT 1 FROM {table} WHERE {between} LIMIT {most + 1}"
    near = reader.value(f"SELECT count(*) FROM ({some})", ends)
    if near == 0:
        return pl.DataFrame(schema={"id": pl.Binary, "row": pl.Int64})
    wheres = [(between, ends)] if near <= most else _lists("id", ids.unique().sort().to_list())
    found = pl.concat([_columns(reader, _ALIASES, table, *where) for where in wheres])
    found = found.with_columns(_bytes("id"))
    return found.filter(found["id"].is_in(ids.implode()))


def _under(reader: "Reader", key: str, values: Sequence[str]) -> set[int]:
    found: set[int] = set()
    for where, part in _lists(key, values):
        found.update(row for (row,) in reader.rows(f"SELECT row FROM tx WHERE {where}", part))
    return found


def _rows(reader: "Reader", numbers: list[int], file: int | None) -> pl.DataFrame:
    """The rows with these numbers, in the shape that `Reader.known` tells."""
    columns = {**_ROWS, "same_file": (f"file = {int(file or 0)}", pl.Int8)}
    wheres = _lists("row", numbers)
    if numbers and numbers[-1] - numbers[0] < RANGE_RATIO_MAX * len(numbers):
        wheres = [("row BETWEEN ? AND ?", (numbers[0], numbers[-1]))]
    found = [_columns(reader, columns, "tx", *where) for where in wheres or [("0", ())]]
    frame = pl.concat(found).filter(pl.col("row").is_in(pl.Series(numbers, dtype=pl.Int64).implode()))
    texts = _texts(reader, frame)
    named = frame.with_columns(
        pl.col(name).replace_strict(texts, default=None, return_dtype=pl.String) for name in _NUMBERED
    )
    return named.select(
        "row", _bytes("id"), pl.col("id_given", "same_file").cast(pl.Boolean), "kind", "k", "action",
        "asset", "account", "tx_hash", "external_id", content_column().alias("content"), "superseded_by",
    )  # fmt: skip


def _texts(reader: "Reader", frame: pl.DataFrame) -> dict[int, str]:
    """The texts that a frame's numbers of `names` stand for."""
    numbers = pl.concat([frame[name].rename("n") for name in _NUMBERED]).drop_nulls().unique()
    found: dict[int, str] = {}
    for where, part in _lists("n", numbers.to_list()):
        found.update(reader.rows(f"SELECT n, name FROM names WHERE {where}", part))
    return found


def _lists(column: str, values: Sequence[Any]) -> list[tuple[str, Sequence[Any]]]:
    """Conditions that together name all values, as many as it takes."""
    parts = [values[start : start + VARIABLES_MAX] for start in range(0, len(values), VARIABLES_MAX)]
    return [(f"{column} IN ({','.join('?' * len(part))})", part) for part in parts]


def _bytes(column: str) -> pl.Expr:
    return pl.col(column).str.decode("hex")


def _columns(
    reader: "Reader", columns: _Columns, table: str, where: str, values: Sequence[Any] = ()
) -> pl.DataFrame:
    """A SELECT as a frame; SQLite gives each column as one JSON list, so no value becomes an object."""
    lists = ", ".join(f"json_group_array({sql})" for sql, _ in columns.values())
    (texts,) = reader.rows(f"SELECT {lists} FROM {table} WHERE {where}", values)
    return pl.DataFrame({
        name: pl.Series([text]).str.json_decode(pl.List(kind)).item()
        for text, (name, (_, kind)) in zip(texts, columns.items(), strict=True)
    })  # fmt: skip
