"""Snapshots of a day that is not over, in the form in which state.db holds them, and back again.

Decimals are canonical text there and instants microseconds. It opens nothing; the order of the rows is that
in which files have them, so that both have one content digest.
"""

from collections.abc import Iterator
from typing import Any

import polars as pl

from engine.domain.columns import decimal_texts
from engine.snapshots.parquet_writer import AssetFiles
from engine.snapshots.schemas import COLUMNS, DECIMAL, INSTANT, OPEN_COLUMNS

STORED: dict[str, Any] = {
    name: pl.Int64 if COLUMNS.get(name) == INSTANT else pl.String for name in OPEN_COLUMNS
}
_DECIMALS = [name for name, kind in COLUMNS.items() if kind == DECIMAL]
_INSTANTS = [name for name, kind in COLUMNS.items() if kind == INSTANT]


def stored(frame: pl.DataFrame) -> pl.DataFrame:
    """Rows of today's columns and `dt`, as they are stored."""
    return frame.select(
        decimal_texts(name) if name in _DECIMALS else pl.col(name).cast(kind)
        for name, kind in STORED.items()
    )


def typed(rows: pl.DataFrame) -> pl.DataFrame:
    """Stored rows in today's columns and types, with `dt` first."""
    return rows.with_columns(
        pl.col(_DECIMALS).cast(pl.Decimal(38, 18)), pl.col(_INSTANTS).cast(pl.Datetime("us", "UTC"))
    )


def partitions(rows: pl.DataFrame) -> Iterator[AssetFiles]:
    """Stored rows, in the order of OPEN_KEY, by asset; each cut into days."""
    for (asset,), frame in typed(rows).partition_by("asset_id", as_dict=True).items():
        yield AssetFiles(asset, frame.drop("dt"), frame["dt"])


def changes(was: pl.DataFrame, new: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Of stored rows: those of `was` that `new` has not just so, and those of `new` that are not in `was`."""
    names = list(STORED)
    return (
        was.join(new, on=names, how="anti", nulls_equal=True),
        new.join(was, on=names, how="anti", nulls_equal=True),
    )
