"""What is stored, as polars frames of the domain's schemas: the ledger, prices and rates.

Reader's methods of these names come here. A module of its own, for polars takes longer to import than most
questions take to answer.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl

from engine.domain.transactions import DECIMAL, LEDGER_SCHEMA, Action
from engine.store.reader import LAST, OBSERVATIONS, Reader

Spans = Sequence[tuple[int, int]]  # from the first instant up to the last, one after the other

_NAMED = ("asset", "fee_asset", "account")
_SPANS = "(SELECT value ->> 0 AS first, value ->> 1 AS last FROM json_each(?))"


def ledger(reader: Reader, actions: Iterable[int] | None) -> pl.DataFrame:
    """The ledger: every accepted row that is not superseded, as LEDGER_SCHEMA; of some actions only."""
    codes = ", ".join(str(int(action)) for action in (Action if actions is None else actions))
    return _ledger(reader, f"action IN ({codes})")


def ledger_since(reader: Reader, row: int, others: Iterable[int]) -> pl.DataFrame:
    """The ledger's rows with a number above `row`, or among others."""
    later = _ledger(reader, "row > ?", (row,))
    among = json.dumps([one for one in others if one <= row])
    return pl.concat([later, _ledger(reader, "row IN (SELECT value FROM json_each(?))", (among,))])


def _ledger(reader: Reader, where: str, values: Sequence[Any] = ()) -> pl.DataFrame:
    rows = reader.rows(
        "SELECT row, ts, action, asset, quantity, price, fee_asset, fee_amount, account, tx_hash,"
        f" external_id, id, kind, k FROM tx WHERE superseded_by IS NULL AND {where}",
        values,
    )
    named = {n: name for name, n in reader.names().items()}
    schema = {
        name: pl.String
        if kind == DECIMAL
        else pl.Int32
        if name in _NAMED
        else pl.Binary
        if name == "id"
        else kind
        for name, kind in LEDGER_SCHEMA.items()
    }
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return frame.with_columns(
        *(pl.col(name).replace_strict(named, default=None, return_dtype=pl.String) for name in _NAMED),
        *(pl.col(name).cast(DECIMAL) for name in ("quantity", "price", "fee_amount")),
        id=_hyphenated(pl.col("id").bin.encode("hex")),
    )


def prices(reader: Reader, assets: Iterable[str] | None, spans: Spans | None) -> pl.DataFrame:
    """The counting version of every price: asset, quote, source, resolution, asof, price, text.

    Of some assets or all, with an `asof` in one of the spans.
    """
    series = _series(reader, "price_series", "asset, quote, source, resolution")
    if assets is not None:
        series = series.filter(pl.col("asset").is_in(list(assets)))
    asked = None if assets is None and spans is None else series["series"].to_list()
    found = _latest(reader, "prices", "close", "price", asked, spans)
    return series.join(found, on="series").drop("series")


def rates(reader: Reader) -> pl.DataFrame:
    """The counting version of every rate: base, quote, source, resolution, asof, rate, text."""
    return _series(reader, "fx_series", "base, quote, source, resolution").join(
        _latest(reader, "fx_rates", "rate", "rate"), on="series"
    ).drop("series")  # fmt: skip


def stored_observations(
    reader: Reader, kind: str, asof_first: int, asof_last: int, only: pl.DataFrame | None
) -> pl.DataFrame:
    """All versions with an `asof` in [first, last]: key columns, value columns as text, version.

    `only`: of the series with these key columns.
    """
    left, table, values = OBSERVATIONS[kind]
    columns = ["series", "asof", "version", *values]
    series = _series(reader, f"{left[0]}_series", ", ".join(left[1:]))
    if only is not None:
        series = series.join(only, on=list(left[1:]), how="semi")
    rows: list[tuple[Any, ...]] = []
    for (number,) in series.select("series").iter_rows():
        rows += reader.rows(
            f"SELECT {', '.join(columns)} FROM {table} WHERE series = ? AND asof BETWEEN ? AND ?",
            (number, asof_first, asof_last),
        )
    schema: dict[str, Any] = dict.fromkeys(columns[:3], pl.Int64) | dict.fromkeys(values, pl.String)
    return series.join(pl.DataFrame(rows, schema=schema, orient="row"), on="series")


def _series(reader: Reader, table: str, columns: str) -> pl.DataFrame:
    names = [name.strip() for name in columns.split(",")]
    rows = reader.rows(f"SELECT series, {columns} FROM {table}")
    return pl.DataFrame(rows, schema={"series": pl.Int64} | dict.fromkeys(names, pl.String), orient="row")


def _latest(
    reader: Reader, table: str, column: str, name: str, series: Iterable[int] | None = None,
    spans: Spans | None = None,
) -> pl.DataFrame:  # fmt: skip
    select, order = f"SELECT series, asof, version, {column} FROM", "ORDER BY series, asof, version"
    schema = {"series": pl.Int64, "asof": pl.Int64, "version": pl.Int64, "text": pl.String}
    if series is None:
        found: Iterable[list[tuple[Any, ...]]] = [reader.rows(f"{select} {table} {order}")]
    elif spans is None or len(spans) == 1:
        (span,) = spans or [(0, LAST)]
        within = f"{select} {table} WHERE series = ? AND asof BETWEEN ? AND ? {order}"
        found = (reader.rows(within, (number, *span)) for number in sorted(series))
    else:  # CROSS JOIN: span after span is looked up; what lies between is not read
        spanned = f"{_SPANS} CROSS JOIN {table} WHERE series = ? AND asof BETWEEN first AND last"
        listed = json.dumps(spans)
        found = (reader.rows(f"{select} {spanned} {order}", (listed, number)) for number in sorted(series))
    # One series after the other: as objects its rows take several times what they take in a frame.
    parts = [pl.DataFrame(rows, schema=schema, orient="row") for rows in found]
    frame = pl.concat([pl.DataFrame(schema=schema), *parts])
    # A later version follows at once: keep what is last of its key.
    same = (pl.col("series") == pl.col("series").shift(-1)) & (pl.col("asof") == pl.col("asof").shift(-1))
    return (
        frame.filter(~same.fill_null(False))
        .drop("version")
        .with_columns(pl.col("text").cast(DECIMAL).alias(name))
    )


def _hyphenated(hexed: pl.Expr) -> pl.Expr:
    cuts = ((0, 8), (8, 4), (12, 4), (16, 4), (20, 12))
    return pl.concat_str([hexed.str.slice(*cut) for cut in cuts], separator="-")
