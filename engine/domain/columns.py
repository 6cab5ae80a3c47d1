"""Canonical text of whole columns: what instants.py and money.py give for one value. It needs polars."""

import polars as pl


def instant_texts(column: str) -> pl.Expr:
    """`format_instant` of a column of microseconds."""
    text = pl.from_epoch(column, time_unit="us").dt.strftime("%Y-%m-%dT%H:%M:%S%.6f")
    return text.str.strip_chars_end("0").str.strip_suffix(".") + "Z"


def decimal_texts(column: str) -> pl.Expr:
    """`to_text` of a column of DECIMAL."""
    return pl.col(column).cast(pl.String).str.strip_chars_end("0").str.strip_chars_end(".")
