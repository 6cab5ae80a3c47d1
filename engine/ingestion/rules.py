"""The rules that a record must keep, as polars expressions: what all kinds of file share.

A `Rule` is one reason for one column; a row is bad if any rule of its kind hits. Rules see text only and
never null. Canonical forms live here too, so that equal values have equal text. Never reads the clock.
"""

from dataclasses import dataclass
from typing import Any

import polars as pl

from engine.domain.instants import DAY_US
from engine.domain.transactions import DECIMAL

ASSET_ID = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$"
PLAIN = r"^-?[0-9]{1,20}(?:\.[0-9]{1,18})?$"
CANONICAL = r"^(?:0|[1-9][0-9]*)(?:\.[0-9]*[1-9])?$"
INSTANT = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
    r"(?:\.[0-9]{1,9})?(?:Z|\+00:00)$"
)
CANONICAL_INSTANT = r":[0-9]{2}(?:\.[0-9]{0,5}[1-9])?Z$"
FORMULA = r"^[=+\-@\t\r]"
# Unicode Cc Cf Co Zl Zp. Cs needs no naming: UTF-8 text holds no surrogate.
UNPRINTABLE = r"[\p{Cc}\p{Cf}\p{Co}\p{Zl}\p{Zp}]"
FIELD_CHARS_MAX = 128
AHEAD_US_MAX = DAY_US  # clocks and zones of exporters differ; more than a day ahead is a mistake
RESOLUTIONS = ("5m", "1h", "1d", "spot")


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


def with_instant(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    """Adds `ts`, microseconds UTC of the text in `column`, null where it is no instant."""
    text = frame[column]
    second = text.str.slice(0, 19).str.to_datetime("%Y-%m-%dT%H:%M:%S", time_unit="us", strict=False)
    fraction = pl.select(_fraction(text).str.pad_end(6, "0").cast(pl.Int64, strict=False)).to_series()
    us = second.cast(pl.Int64) + fraction
    valid = text.str.contains(INSTANT) & (us >= 0)
    return frame.with_columns(ts=pl.when(valid).then(us))


def _fraction(text: pl.Series) -> pl.Series:
    """The digits after the point, cut to microseconds, without trailing zeros; "" without any."""
    rest = text.str.slice(19).str.strip_suffix("Z").str.strip_suffix("+00:00")
    return rest.str.slice(1, 6).str.strip_chars_end("0")


def canonical_instants(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    """Puts the instants of `column` into canonical text; other text stays."""
    text = frame[column]
    odd = _odd(text, CANONICAL_INSTANT, INSTANT)
    return frame.with_columns(_replace(text, odd, _canonical_instant(text.gather(odd))))


def _canonical_instant(text: pl.Series) -> pl.Series:
    return (text.str.slice(0, 19) + "." + _fraction(text)).str.strip_suffix(".") + "Z"


def _odd(text: pl.Series, canonical: str, valid: str) -> pl.Series:
    """Places of texts that are valid and not canonical; most are, so only the others are asked the rest."""
    places = (~text.str.contains(canonical)).arg_true()
    return places.filter(text.gather(places).str.contains(valid))


def _replace(text: pl.Series, at: pl.Series, values: pl.Series) -> pl.Series:
    """`text` with `values` at the places `at` (polars scatters into numbers only)."""
    if not len(at):
        return text
    place = pl.int_range(len(text), eager=True)
    place = place.scatter(at, pl.int_range(len(text), len(text) + len(values), eager=True))
    return pl.concat([text, values]).gather(place).alias(text.name)


def canonical_decimals(frame: pl.DataFrame, columns: tuple[str, ...]) -> pl.DataFrame:
    """Puts plain decimals into canonical text without a sign; other text stays."""
    return frame.with_columns(_canonical_decimal(frame[name]) for name in columns)


def _canonical_decimal(text: pl.Series) -> pl.Series:
    odd = _odd(text, CANONICAL, PLAIN)
    exact = text.gather(odd).str.strip_prefix("-").cast(DECIMAL).cast(pl.String)
    return _replace(text, odd, exact.str.strip_chars_end("0").str.strip_suffix("."))


def empty_to_null(frame: pl.DataFrame, columns: tuple[str, ...]) -> pl.DataFrame:
    return frame.with_columns(pl.when(pl.col(name) != "").then(pl.col(name)).alias(name) for name in columns)


def judge_rows(
    frame: pl.DataFrame, rules: list[Rule], header: tuple[str, ...]
) -> tuple[pl.DataFrame, list[Reject]]:
    """Splits a frame into the rows that keep every rule and the rejects, each with all its reasons."""
    hits = frame.select(rule.hits.alias(str(at)) for at, rule in enumerate(rules))
    bad = hits.select(pl.any_horizontal(pl.all())).to_series()
    if not bad.any():
        return frame, []
    rows = frame.filter(bad).iter_rows(named=True)
    marks = hits.filter(bad).iter_rows()
    rejects = [_reject(row, mark, rules, header) for row, mark in zip(rows, marks, strict=True)]
    return frame.filter(~bad), rejects


def _reject(
    row: dict[str, Any], marks: tuple[bool, ...], rules: list[Rule], header: tuple[str, ...]
) -> Reject:
    hit = [rule for rule, mark in zip(rules, marks, strict=True) if mark]
    unique = dict.fromkeys((rule.code, rule.column) for rule in hit)
    reasons = tuple(Reason(code, column, row[column]) for code, column in unique)
    return Reject(row["record"], row["line"], tuple(row[name] for name in header), reasons)
