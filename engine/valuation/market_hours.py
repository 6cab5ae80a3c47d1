"""Open time of the currency market, and the days on which reference rates are fixed.

The market is closed in [Friday 17:00, Sunday 17:00) and from 17:00 on 24 and 31 December to 17:00 of the
next day, New York time. Reference rates are fixed on TARGET days: Monday to Friday except 1 January, Good
Friday, Easter Monday, 1 May, 25 and 26 December; until 2002 single years had days of their own. Pure
calendar arithmetic over UTC microseconds.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np

from engine.domain.instants import DAY_US, from_us, to_us
from engine.valuation.buckets import Instants, local_days

_NEW_YORK = ZoneInfo("America/New_York")
_CLOSING = time(17)
_FRANKFURT = "Europe/Berlin"
_REPLACED = time(16, 30)  # by then the next day's reference rate is out, Frankfurt time
_ONE_DAY = timedelta(days=1)
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_FRIDAY = 4
_OTHERWISE = frozenset({date(1999, 4, 2), date(1999, 4, 5), date(1999, 12, 31), date(2001, 12, 31)})
_MARGIN_US = 14 * DAY_US  # more than the market is ever closed on top of twice its open time


@dataclass(frozen=True, slots=True)
class _Closures:
    """Disjoint closed intervals, ascending. `total_us` has one more: the closed time before each."""

    starts: Instants
    ends: Instants
    total_us: Instants

    def open_clock(self, ts: Instants) -> Instants:
        """A clock that stands still while the market is closed."""
        last = np.searchsorted(self.starts, ts, side="right") - 1
        closed_us: Instants = np.minimum(ts, self.ends[last]) - self.starts[last]
        return ts - self.total_us[last] - closed_us

    def first_instant(self, shown: Instants) -> Instants:
        """The first instant at which the open clock shows a value."""
        passed = np.searchsorted(self.starts - self.total_us[:-1], shown, side="left")
        return shown + self.total_us[passed]


def expiry(asof: Instants, open_us: int) -> Instants:
    """The first instant at which `open_us` of open market has passed since each `asof`."""
    if not asof.size:
        return asof
    closures = _closures_around(int(asof.min()), int(asof.max()) + 2 * open_us)
    return closures.first_instant(closures.open_clock(asof) + open_us)


def open_between(start: int, end: int) -> int:
    """Microseconds of open market in [start, end); start <= end."""
    shown = _closures_around(start, end).open_clock(np.array([start, end], np.int64))
    return int(shown[1] - shown[0])


def reference_expiry(asof: Instants) -> Instants:
    """16:30 Frankfurt of the next TARGET day after the Frankfurt date of each `asof`."""
    if not asof.size:
        return asof
    days = local_days(asof, _FRANKFURT)
    target_days, ends = _target_table(from_us(int(asof.min())).year, from_us(int(asof.max())).year + 1)
    return ends[np.searchsorted(target_days, days, side="right")]


def is_target_day(day: date) -> bool:
    """Whether reference rates are fixed on a date."""
    return _by_rule(day) != (day in _OTHERWISE)


def _by_rule(day: date) -> bool:
    if day.weekday() > _FRIDAY or (day.month, day.day) in {(1, 1), (5, 1), (12, 25), (12, 26)}:
        return False
    return day - _easter_sunday(day.year) not in {-2 * _ONE_DAY, _ONE_DAY}


def _closures_around(first_ts: int, last_ts: int) -> _Closures:
    return _closures(from_us(first_ts - _MARGIN_US).year, from_us(last_ts + _MARGIN_US).year)


@cache
def _closures(first_year: int, last_year: int) -> _Closures:
    merged: list[list[int]] = []
    for start, end in sorted(_closed_spans(first_year - 1, last_year)):
        if merged and start <= merged[-1][1]:
            merged[-1][1] = max(end, merged[-1][1])
        else:
            merged.append([start, end])
    starts, ends = np.array(merged, np.int64).T
    return _Closures(starts, ends, np.append(0, np.cumsum(ends - starts)))


def _closed_spans(first_year: int, last_year: int) -> list[tuple[int, int]]:
    spans = []
    for day in _dates(first_year, last_year):
        if day.weekday() == _FRIDAY:
            spans.append((_closing_us(day), _closing_us(day + 2 * _ONE_DAY)))
        if (day.month, day.day) in {(12, 24), (12, 31)}:
            spans.append((_closing_us(day), _closing_us(day + _ONE_DAY)))
    return spans


def _closing_us(day: date) -> int:
    return to_us(datetime.combine(day, _CLOSING, _NEW_YORK))


@cache
def _target_table(first_year: int, last_year: int) -> tuple[Instants, Instants]:
    """TARGET days as days since 1970, and 16:30 Frankfurt of each."""
    frankfurt = ZoneInfo(_FRANKFURT)
    days = [day for day in _dates(first_year, last_year) if is_target_day(day)]
    numbers = [day.toordinal() - _EPOCH_ORDINAL for day in days]
    ends = [to_us(datetime.combine(day, _REPLACED, frankfurt)) for day in days]
    return np.array(numbers, np.int64), np.array(ends, np.int64)


def _dates(first_year: int, last_year: int) -> list[date]:
    first, last = date(first_year, 1, 1).toordinal(), date(last_year, 12, 31).toordinal()
    return [date.fromordinal(number) for number in range(first, last + 1)]


@cache
def _easter_sunday(year: int) -> date:
    """The Sunday after the first full moon of spring, by the Gregorian church's tables."""
    golden, century = year % 19, year // 100
    left_out = century - century // 4  # leap days that the Gregorian calendar dropped
    moon_drift = (8 * century + 13) // 25
    age = (19 * golden + left_out - moon_drift + 15) % 30
    if age == 29 or (age == 28 and golden > 10):
        age -= 1
    full_moon = date(year, 3, 21) + age * _ONE_DAY
    return full_moon + (7 - full_moon.isoweekday() % 7) * _ONE_DAY
