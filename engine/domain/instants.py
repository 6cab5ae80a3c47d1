"""Instants are UTC integers in microseconds since 1970. Their canonical text ends in Z.

The fraction is shown only where there is one, without trailing zeros.
"""

import re
from datetime import UTC, datetime, timedelta

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_INSTANT = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})"
    r"(?:\.([0-9]{1,9}))?(?:Z|\+00:00)"
)


def parse_instant(text: str) -> int | None:
    """Microseconds of `YYYY-MM-DDTHH:MM:SS[.f]Z` (or +00:00), from 1970 on; None for anything else.

    Up to 9 fractional digits are read and cut to microseconds; there is no 24:00 and no second 60.
    """
    match = _INSTANT.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    fraction = (match.group(7) or "").ljust(6, "0")[:6]
    try:
        moment = datetime(year, month, day, hour, minute, second, int(fraction), tzinfo=UTC)
    except ValueError:
        return None
    us = (moment - _EPOCH) // _MICROSECOND
    return us if us >= 0 else None


def format_instant(us: int) -> str:
    """Canonical text of an instant."""
    text = from_us(us).replace(tzinfo=None).isoformat()
    return (text.rstrip("0") if "." in text else text) + "Z"


def from_us(us: int) -> datetime:
    """The aware UTC datetime of an instant."""
    return _EPOCH + timedelta(microseconds=us)


def to_us(moment: datetime) -> int:
    """Microseconds of an aware datetime."""
    return (moment - _EPOCH) // _MICROSECOND
