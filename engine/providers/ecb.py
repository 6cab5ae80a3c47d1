"""The European Central Bank's reference rates, by whatever way they come: one fixing a TARGET day, 14:15."""

from collections.abc import Callable
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from engine.domain.instants import to_us

BASE = "EUR"  # the only base that is fixed; any other would be a quotient
FIXING, PUBLISHED = time(14, 15), time(16, 30)

FixingDay = Callable[[date], bool]  # whether rates are fixed on a day

_FRANKFURT = ZoneInfo("Europe/Berlin")
_SATURDAY = 5


def fixing_us(day: date) -> int:
    """When a day's rates were true: 14:15 in Frankfurt, as UTC."""
    return to_us(datetime.combine(day, FIXING, _FRANKFURT))


def published_us(day: date) -> int:
    """When a day's rates are out for certain: 16:30 in Frankfurt, as UTC."""
    return to_us(datetime.combine(day, PUBLISHED, _FRANKFURT))


def at_weekend(day: date) -> bool:
    """No rate is fixed then: one that is dated so is a copy of Friday's."""
    return day.weekday() >= _SATURDAY
