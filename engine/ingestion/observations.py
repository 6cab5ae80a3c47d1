"""Price and FX observations: which rows of a file are new versions, and which are there already.

A row equal in every value to any stored version of its key, or to an earlier row of its file, is a
duplicate. Another value under a known key is a correction: a further version. Never looks at what an
observation prices.
"""

from dataclasses import dataclass

import polars as pl

PRICE_KEY = ("asset", "quote", "source", "resolution", "asof")
PRICE_VALUES = ("open", "high", "low", "close", "volume")
FX_KEY = ("base", "quote", "source", "resolution", "asof")
FX_VALUES = ("rate",)


@dataclass(frozen=True)
class JudgedObservations:
    """`new`: the rows to store, in record order, with `version` (i64, 0 for the first of its key).

    `duplicates`: the records that are there already. `corrections`: how many of `new` have version > 0.
    """

    new: pl.DataFrame
    duplicates: list[int]
    corrections: int


def key_columns(frame: pl.DataFrame) -> tuple[str, ...]:
    """The key's columns of a price or an FX frame."""
    return PRICE_KEY if "asset" in frame.columns else FX_KEY


def judge_observations(frame: pl.DataFrame, stored: pl.DataFrame) -> JudgedObservations:
    """Sorts a good frame of `csv_processor` against the stored versions of the keys that it names.

    `stored`: key and value columns as in `frame` (canonical text, null where empty) and `version`; may
    hold other keys too.
    """
    key = list(key_columns(frame))
    touched = _collides(frame, stored, key)
    if not touched.any():
        return JudgedObservations(frame.with_columns(version=pl.lit(0, pl.Int64)), [], 0)
    fresh = frame.filter(~touched).with_columns(version=pl.lit(0, pl.Int64))
    versions = _new_versions(frame.filter(touched), stored, key)
    new = pl.concat([fresh, versions]).sort("record")
    gone = frame.filter(~frame["record"].is_in(new["record"].implode()))
    return JudgedObservations(new, gone["record"].to_list(), new.filter(pl.col("version") > 0).height)


def _collides(frame: pl.DataFrame, stored: pl.DataFrame, key: list[str]) -> pl.Series:
    """Rows whose key another row of the file or a stored version has."""
    repeated = frame.select(key).is_duplicated()
    if stored.is_empty():
        return repeated
    known = frame.select("record", *key).join(stored.select(key), on=key, how="semi")
    return repeated | frame["record"].is_in(known["record"].implode())


def _new_versions(rows: pl.DataFrame, stored: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    values = list(PRICE_VALUES if "asset" in rows.columns else FX_VALUES)
    first = rows.sort("record").unique([*key, *values], keep="first", maintain_order=True)
    unseen = first.join(stored.select(*key, *values), on=[*key, *values], how="anti", nulls_equal=True)
    counts = stored.group_by(key).agg(version=pl.len().cast(pl.Int64))
    counted = unseen.join(counts, on=key, how="left", maintain_order="left")
    place = pl.int_range(pl.len()).over(key)
    return counted.with_columns(version=pl.col("version").fill_null(0) + place)
