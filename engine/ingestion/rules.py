"""The rules that a record must keep, as polars expressions: what all kinds of file share.

A `Rule` is one reason for one column; a row is bad if any rule of its kind hits. Rules see text only and
never null. Canonical forms live here too, so that equal values have equal text. Most rows are in order, so
each kind of file has one cheap test, which may call a good row doubtful and never a bad one sure; the rules
are asked of the doubtful rows. Never reads the clock.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import compress
from typing import Any

import polars as pl

from engine.domain.instants import DAY_US
from engine.domain.transactions import DECIMAL

ASSET_ID = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$"
PLAIN = r"^-?[0-9]{1,20}(?:\.[0-9]{1,18})?$"
INSTANT = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
    r"(?:\.[0-9]{1,9})?(?:Z|\+00:00)$"
)
FORMULA = r"^[=+\-@\t\r]"
# Unicode Cc Cf Co Zl Zp. Cs needs no naming: UTF-8 text holds no surrogate.
UNPRINTABLE = r"[\p{Cc}\p{Cf}\p{Co}\p{Zl}\p{Zp}]"
FIELD_CHARS_MAX = 128
AHEAD_US_MAX = DAY_US  # clocks and zones of exporters differ; more than a day ahead is a mistake


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a row is bad. `column` is "" where the whole record is meant."""

    code: str
    column: str
    value: str


@dataclass(frozen=True, slots=True)
class Reject:
    """One bad record with every reason that applies. `line`: the physical line where it begins."""

    record: int
    line: int
    fields: tuple[str, ...]
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """`hits` is a boolean expression, true where `column` has the fault `code`."""

    code: str
    column: str
    hits: pl.Expr


def plain(column: str) -> pl.Expr:
    return pl.col(column).str.contains(PLAIN)


def is_zero(column: str) -> pl.Expr:
    """Whether a plain decimal is zero."""
    return ~pl.col(column).str.contains("[1-9]")


def is_negative(column: str) -> pl.Expr:
    """Whether a plain decimal is below zero; -0 is not."""
    return pl.col(column).str.starts_with("-") & ~is_zero(column)


def empty(column: str) -> pl.Expr:
    return pl.col(column) == ""


def text_rules(columns: tuple[str, ...]) -> list[Rule]:
    """What every text field keeps: no formula character at its start, nothing that cannot be printed."""
    formulas = [Rule("FORMULA_PREFIX", name, pl.col(name).str.contains(FORMULA)) for name in columns]
    controls = [Rule("CONTROL_CHARACTER", name, pl.col(name).str.contains(UNPRINTABLE)) for name in columns]
    return formulas + controls


def long_rules(columns: tuple[str, ...], chars_max: int = FIELD_CHARS_MAX) -> list[Rule]:
    return [Rule("FIELD_TOO_LONG", name, pl.col(name).str.len_chars() > chars_max) for name in columns]


def instant_rules(column: str, now_us: int) -> list[Rule]:
    """The rules of an instant; needs the column `ts` of `with_instant`."""
    return [
        Rule("TIMESTAMP_INVALID", column, pl.col("ts").is_null()),
        Rule("TIMESTAMP_FUTURE", column, (pl.col("ts") > now_us + AHEAD_US_MAX).fill_null(False)),
    ]


def id_rule(code: str, column: str) -> Rule:
    """asset_id's pattern, which currencies keep too."""
    return Rule(code, column, ~pl.col(column).str.contains(ASSET_ID))


def blank_rule(code: str, column: str) -> Rule:
    return Rule(code, column, pl.col(column).str.strip_chars() == "")


def sure_instant(now_us: int) -> pl.Expr:
    return (pl.col("ts") <= now_us + AHEAD_US_MAX).fill_null(False)


def sure_id(column: str) -> pl.Expr:
    """asset_id's pattern leaves no room for anything that a text field must not have."""
    return pl.col(column).str.contains(ASSET_ID)


def sure_text(column: str, doubtful: str = f"{FORMULA}|{UNPRINTABLE}") -> pl.Expr:
    """A text field that may be empty."""
    return ~pl.col(column).str.contains(doubtful) & (pl.col(column).str.len_bytes() <= FIELD_CHARS_MAX)


def sure_name(column: str) -> pl.Expr:
    """A text field that must be there. It may have blanks before other text, but that is doubtful."""
    return sure_text(column, rf"^$|^\s|{FORMULA}|{UNPRINTABLE}")


def with_instant(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    """Adds `ts`, microseconds UTC of the text in `column`, null where it is no instant."""
    return frame.with_columns(ts=_microseconds(*_cut_instant(frame[column])))


def canonical_instants(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    """Puts the instants of `column` into canonical text and adds their `ts`; other text stays."""
    shaped, second, fraction = _cut_instant(frame[column])
    canonical = pl.concat_str(second, fraction, pl.lit("Z"))
    return frame.with_columns(
        pl.when(shaped).then(canonical).otherwise(column).alias(column),
        ts=_microseconds(shaped, second, fraction),
    )


def _cut_instant(text: pl.Series) -> tuple[pl.Series, pl.Series, pl.Series]:
    """Whether a text has an instant's shape; if so, its text to the second and its canonical fraction.

    The fraction begins with the point, is cut to microseconds and is empty if zero.
    """
    fraction = text.str.slice(19, 7).str.strip_chars_end("0.Z+:")
    return text.str.contains(INSTANT), text.str.slice(0, 19), fraction.alias("fraction")


def _microseconds(shaped: pl.Series, second: pl.Series, fraction: pl.Series) -> pl.Series:
    whole = second.str.to_datetime("%Y-%m-%dT%H:%M:%S", time_unit="us", strict=False, cache=False)
    part = fraction.cast(pl.Decimal(7, 6), strict=False).to_physical().cast(pl.Int64).fill_null(0)
    us = whole.cast(pl.Int64) + part
    return us.set(~(shaped & (us >= 0)), None)


def canonical_decimals(frame: pl.DataFrame, columns: Mapping[str, int]) -> pl.DataFrame:
    """Puts plain decimals into canonical text without a sign; other text stays.

    `columns`: name -> digits before the point that a number may have to be called modest. Adds a column
    for each, `modest(name)`: whether it was empty or surely a plain decimal without a minus and so short.
    """
    read = [_canonical_decimal(frame[name], digits) for name, digits in columns.items()]
    return frame.with_columns(series for pair in read for series in pair)


def modest(column: str) -> str:
    return f"modest_{column}"


def _canonical_decimal(text: pl.Series, digits: int) -> tuple[pl.Series, pl.Series]:
    """Canonical text and the marks. Most numbers are canonical, so only the others are asked the rest."""
    marks = text.str.contains(rf"^(?:(?:0|[1-9][0-9]{{0,{digits - 1}}})(?:\.[0-9]{{0,17}}[1-9])?)?$")
    at = (~marks).arg_true()
    at = at.filter(text.gather(at).str.contains(PLAIN))
    plain = text.gather(at)
    exact = plain.str.strip_prefix("-").cast(DECIMAL).cast(pl.String)
    values = exact.str.strip_chars_end("0").str.strip_suffix(".")
    marks = marks.scatter(at, plain.str.contains(rf"^[0-9]{{1,{digits}}}(?:\.|$)"))
    return replace_at(text, at, values), marks.alias(modest(text.name))


def replace_at(text: pl.Series, at: pl.Series, values: pl.Series) -> pl.Series:
    """`text` with `values` at the places `at` (polars scatters into numbers only)."""
    if not len(at):
        return text
    place = pl.int_range(len(text), eager=True)
    place = place.scatter(at, pl.int_range(len(text), len(text) + len(values), eager=True))
    return pl.concat([text, values], rechunk=True).gather(place).alias(text.name)


def empty_to_null(frame: pl.DataFrame, columns: tuple[str, ...]) -> pl.DataFrame:
    return frame.with_columns(pl.when(pl.col(name) != "").then(pl.col(name)).alias(name) for name in columns)


def judge_rows(frame: pl.DataFrame, rules: list[Rule], header: tuple[str, ...]) -> list[Reject]:
    """The rows that break a rule, each with all its reasons."""
    hits = frame.select(rule.hits.alias(str(at)) for at, rule in enumerate(rules))
    bad = hits.select(pl.any_horizontal(pl.all())).to_series()
    names = [(rule.code, rule.column) for rule in rules]
    rows = frame.filter(bad).iter_rows(named=True)
    found = (dict.fromkeys(compress(names, marks)) for marks in hits.filter(bad).iter_rows())
    return [_reject(row, reasons, header) for row, reasons in zip(rows, found, strict=True)]


def _reject(row: dict[str, Any], found: Iterable[tuple[str, str]], header: tuple[str, ...]) -> Reject:
    reasons = tuple(Reason(code, column, row[column]) for code, column in found)
    return Reject(row["record"], row["line"], tuple(row[name] for name in header), reasons)
