"""What a bad value most likely meant, where it can be read in one safe way only.

Owns proposals for single columns of a quarantined row. Never guesses a meaning: no time zone that was not
told, no price, no sign, no name; where a comma might be a decimal comma it says nothing. Nothing is changed
here: an operator takes a proposal or leaves it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from engine.domain.instants import MINUTE_US, format_instant, parse_instant
from engine.domain.money import PLACES, is_plain
from engine.domain.resolutions import OBSERVED
from engine.domain.transactions import ACTIONS
from engine.ingestion.rules import ASSET_ID, FIELD_CHARS_MAX, FORMULA

NUMBERS = frozenset(
    {"quantity", "unit_price_usd", "fee_amount", "open", "high", "low", "close", "volume", "rate"}
)
INSTANTS = frozenset({"timestamp", "bucket_close", "asof"})
IDS = frozenset({"asset_id", "fee_asset", "quote_currency", "base", "quote"})
TEXTS = frozenset({"account", "wallet", "venue", "tx_hash", "external_id", "price_source", "fx_source"})
OFFSET_MINUTES_MAX = 14 * 60  # no place on earth is further from UTC

_GROUPS = re.compile(r"[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]+)?")
_COMMA = re.compile(r"[+-]?[0-9.,]*,[0-9.,]*")
_EXPONENT = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?[eE]([+-]?[0-9]{1,3})")
_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_MOMENT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?)"
    r" ?(?:([Zz]|UTC)|([+-])([0-9]{2}):?([0-9]{2}))"
)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Another value for a column, and why it is the only safe reading."""

    column: str
    value: str
    why: str


def suggest(row: Mapping[str, str], columns: Iterable[str], decimal_comma: bool = False) -> list[Suggestion]:
    """Proposals for those of the failing `columns` whose value has one safe reading.

    `row`: the fields by column. `decimal_comma`: somewhere in the row's file a comma stands for a point.
    """
    doubt = decimal_comma or has_decimal_comma(row)
    found = [_proposal(name, row[name], doubt) for name in dict.fromkeys(columns) if row.get(name)]
    return [one for one in found if one is not None and one.value != row[one.column]]


def has_decimal_comma(row: Mapping[str, str]) -> bool:
    """Whether a number of the row has a comma that is no thousands separator."""
    numbers = (value.strip() for name, value in row.items() if name in NUMBERS)
    return any(_COMMA.fullmatch(text) and not _GROUPS.fullmatch(text.lstrip("+-")) for text in numbers)


def _proposal(column: str, value: str, doubt: bool) -> Suggestion | None:
    if column in NUMBERS:
        return _number(column, value, doubt)
    if column in INSTANTS:
        return _instant(column, value)
    if column == "id":
        return _id(value)
    return _text(column, value)


# -- numbers ------------------------------------------------------------------------------------------


def _number(column: str, value: str, doubt: bool) -> Suggestion | None:
    """Takes off what surrounds a number, one thing after another; only a plain decimal is proposed."""
    steps = (
        (lambda text: text.strip(), "blanks around it"),
        (lambda text: re.sub(r"^\+(?=[0-9.])", "", text), "a plus sign"),
        (lambda text: _ungrouped(text, doubt), "thousands commas"),
        (_with_point, "a point without digits on one side"),
        (_without_exponent, "an exponent"),
    )
    odd = []
    for step, what in steps:
        changed = step(value)
        if changed != value:
            odd.append(what)
        value = changed
    if not odd or not is_plain(value):
        return None
    return Suggestion(column, value, f"the same number without {' and '.join(odd)}")


def _ungrouped(text: str, doubt: bool) -> str:
    sign = "-" if text.startswith("-") else ""
    if doubt or not _GROUPS.fullmatch(text.removeprefix("-")):
        return text
    return sign + text.removeprefix("-").replace(",", "")


def _with_point(text: str) -> str:
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    if re.fullmatch(r"\.[0-9]+(?:[eE].*)?", digits):
        return f"{sign}0{digits}"
    return re.sub(r"^(-?[0-9]+)\.(?=$|[eE])", r"\1", text)


def _without_exponent(text: str) -> str:
    """The same number written out; as it is where that needs more digits than a plain decimal has."""
    match = _EXPONENT.fullmatch(text)
    if match is None:
        return text
    sign, whole, fraction, power = match[1], match[2], match[3] or "", int(match[4])
    digits, point = whole + fraction, len(whole) + power
    if point > len(digits):
        digits = digits.ljust(point, "0")
    if point < 0:
        digits, point = "0" * -point + digits, 0
    left = digits[:point].lstrip("0") or "0"
    right = digits[point:].rstrip("0")
    plain = sign + left + (f".{right}" if right else "")
    return plain if len(right) <= PLACES else text


# -- instants -----------------------------------------------------------------------------------------


def _instant(column: str, value: str) -> Suggestion | None:
    """The same instant in UTC; nothing where the zone was not told."""
    match = _MOMENT.fullmatch(value.strip())
    if match is None:
        return None
    us = parse_instant(f"{match[1]}T{match[2]}Z")
    minutes = 0 if match[3] else int(match[5]) * 60 + int(match[6])
    if us is None or minutes > OFFSET_MINUTES_MAX or int(match[6] or 0) > 59:
        return None
    us -= minutes * MINUTE_US if match[4] != "-" else -minutes * MINUTE_US
    if us < 0:
        return None
    offset = "" if match[3] else f"; it was told at {match[4]}{match[5]}:{match[6]}"
    return Suggestion(column, format_instant(us), f"the same instant in UTC, with T and Z{offset}")


# -- texts --------------------------------------------------------------------------------------------


def _id(value: str) -> Suggestion | None:
    """A UUID of another version names the row nowhere else: without it an id is generated."""
    if not _UUID.fullmatch(value):
        return None
    return Suggestion("id", "", "a UUID of another version; left empty, an id is generated")


def _text(column: str, value: str) -> Suggestion | None:
    short = value.strip()
    if column == "action":
        known = short.upper()
        return Suggestion(column, known, "the action of that name") if known in ACTIONS else None
    if column == "resolution":
        return Suggestion(column, short, "without the blanks around it") if short in OBSERVED else None
    fits = re.fullmatch(ASSET_ID, short) if column in IDS else column in TEXTS and _is_text(short)
    return Suggestion(column, short, "without the blanks around it") if fits else None


def _is_text(text: str) -> bool:
    whole = 0 < len(text) <= FIELD_CHARS_MAX and text.isprintable()
    return whole and re.match(FORMULA, text) is None
