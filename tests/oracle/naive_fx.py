"""Exchange rates the naive way: open hours of the market, reference days, what is in force, what is held."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from functools import cache
from zoneinfo import ZoneInfo

DRIFT_MAX = Fraction(25, 10_000)
COARSE = {"1d": 0, "1h": 1, "5m": 2, "spot": 3}  # from coarse to fine
NEW_YORK, FRANKFURT = ZoneInfo("America/New_York"), ZoneInfo("Europe/Berlin")
DAY = timedelta(days=1)
FIRST_DAY, LAST_DAY = date(2012, 1, 1), date(2028, 12, 31)  # what the calendars here reach over

Converted = tuple[Fraction | None, str, str]  # the rate; else None, the reason, and the held pair


@dataclass(frozen=True)
class Rate:
    """One `base` is `rate` `quote`."""

    base: str
    quote: str
    rate: Fraction
    resolution: str
    asof: datetime
    source: str


def every_day() -> list[date]:
    return [FIRST_DAY + number * DAY for number in range((LAST_DAY - FIRST_DAY).days)]


@cache
def closed_windows() -> list[tuple[datetime, datetime]]:
    """When the FX market is closed, in order and merged."""
    windows = []
    for day in every_day():
        if day.weekday() == 4:
            windows.append((_new_york(day), _new_york(day + 2 * DAY)))
        if (day.month, day.day) in ((12, 24), (12, 31)):
            windows.append((_new_york(day), _new_york(day + DAY)))
    merged: list[tuple[datetime, datetime]] = []
    for opens, ends in sorted(windows):
        if merged and opens <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(ends, merged[-1][1]))
        else:
            merged.append((opens, ends))
    return merged


def _new_york(day: date) -> datetime:
    return datetime.combine(day, time(17), NEW_YORK).astimezone(UTC)


def open_time(start: datetime, end: datetime) -> timedelta:
    """How long the FX market was open from `start` to `end`."""
    closed = (min(end, b) - max(start, a) for a, b in closed_windows() if a < end and b > start)
    return end - start - sum(closed, timedelta())


def is_target_day(day: date) -> bool:
    easter = _easter(day.year)
    holiday = (day.month, day.day) in ((1, 1), (5, 1), (12, 25), (12, 26))
    return day.weekday() < 5 and not holiday and day not in (easter - 2 * DAY, easter + DAY)


def _easter(year: int) -> date:
    """Easter Sunday by the arithmetic of golden number, epact and Sunday letter, 1900 to 2099."""
    epact = (19 * (year % 19) + 24) % 30
    to_sunday = (2 * (year % 4) + 4 * (year % 7) + 6 * epact + 5) % 7
    easter = date(year, 3, 22) + (epact + to_sunday) * DAY
    late = easter == date(year, 4, 26)
    doubled = easter == date(year, 4, 25) and epact == 28 and year % 19 > 10
    return easter - 7 * DAY if late or doubled else easter


def reference_ends(asof: datetime) -> datetime:
    """16:30 Frankfurt of the next TARGET day."""
    day = asof.astimezone(FRANKFURT).date() + DAY
    while not is_target_day(day):
        day += DAY
    return datetime.combine(day, time(16, 30), FRANKFURT).astimezone(UTC)


@dataclass(frozen=True)
class Fx:
    """All rates, and the order in which the configuration names their sources."""

    pairs: dict[frozenset[str], list[Rate]]
    primary: Sequence[str]
    fallback: Sequence[str]

    def convert(self, close: datetime, source: str, target: str) -> Converted:
        """How many `target` one `source` is at `close`; else a reason, and the held pair."""
        if source == target:
            return Fraction(1), "", ""
        found = self._direct(close, source, target)
        if found[1] != "NO_FX" or "EUR" in (source, target):
            return found
        legs = [self._direct(close, source, "EUR"), self._direct(close, "EUR", target)]
        one, other = legs[0][0], legs[1][0]
        if one is None or other is None:
            return min(legs, key=lambda leg: ("NO_FX", "FX_HELD", "").index(leg[1]))
        return one * other, "", ""

    def _direct(self, close: datetime, source: str, target: str) -> Converted:
        latest_primary = self._latest(close, source, target, True)
        latest_fallback = self._latest(close, source, target, False)
        if latest_primary and open_time(latest_primary.asof, close) < timedelta(hours=1):
            return self._value(latest_primary, source), "", ""
        if latest_fallback is None or close >= reference_ends(latest_fallback.asof):
            return None, "NO_FX", ""
        held = (None, "FX_HELD", f"{latest_fallback.base}/{latest_fallback.quote}")
        if latest_primary is None or open_time(latest_primary.asof, close) >= DAY:
            return held
        ratio = self._value(latest_fallback, source) / self._value(latest_primary, source)
        return held if abs(ratio - 1) > DRIFT_MAX else (self._value(latest_fallback, source), "", "")

    def _latest(self, close: datetime, source: str, target: str, primary: bool) -> Rate | None:
        order = self.primary if primary else self.fallback
        rates = self.pairs.get(frozenset({source, target}), [])
        known = [r for r in rates if r.asof <= close and self._is_primary(r) == primary]
        return min(known, key=lambda r: self._preference(r, order), default=None)

    def _preference(self, rate: Rate, order: Sequence[str]) -> tuple[object, ...]:
        place = list(order).index(rate.source) if rate.source in order else len(order)
        return (-rate.asof.timestamp(), place, rate.source, -COARSE[rate.resolution])

    def _is_primary(self, rate: Rate) -> bool:
        if rate.source in (*self.primary, *self.fallback):
            return rate.source in self.primary
        return rate.resolution != "1d"

    def _value(self, rate: Rate, source: str) -> Fraction:
        return rate.rate if rate.base == source else 1 / rate.rate
