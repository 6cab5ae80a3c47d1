"""When a nightly backup or a weekly drill is due: pure, from the instant, the zone and what was done.

The problem: 02:30 local is missing on one day of a year and comes twice on another, whole dates are skipped
where a zone crosses the date line, machines sleep and clocks jump. The rule: a job belongs to a local date,
never to an instant. Its instant is that date's time read with `fold=0`: the first of two, and where the
clock skips it, as long after the skip as it stood behind its start. It runs once for a date, at or after
that instant; a date that was missed while nothing ran is made up for once, by the newest such date alone.

Example, New York, 02:30: on 9 March 2025 the clock goes from 02:00 to 03:00, so the job runs at 07:30Z, which
is 03:30 there; on 2 November 02:30 comes once only (01:00 to 02:00 is what repeats); Apia had no
30 December 2011: nothing runs for it.
"""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from engine.domain.instants import from_us, to_us

LOOK_BACK_DAYS = 8  # enough to meet a week's drill, whatever dates are missing
_DAY = timedelta(days=1)


def instant_of(day: date, zone: str, at: time) -> int:
    """When a job of a local date is due, in us."""
    return to_us(datetime.combine(day, at.replace(fold=0), ZoneInfo(zone)))


def exists(day: date, zone: str) -> bool:
    """Whether a zone has this local date."""
    local = ZoneInfo(zone)
    noons = (datetime.combine(day, time(hour), local) for hour in range(24))
    return any(from_us(to_us(noon)).astimezone(local).date() == day for noon in noons)


def newest_due(now: int, zone: str, at: time, weekday: int | None = None) -> date:
    """The newest local date whose job is due by now; `weekday` (0 Monday): of these dates only.

    A weekly date that does not exist is taken over by the next one that does.
    """
    today = from_us(now).astimezone(ZoneInfo(zone)).date()
    for day in _back_from(today + _DAY):
        if instant_of(day, zone, at) <= now and _is_run(day, zone, weekday):
            return day
    raise AssertionError("every week has a date that is due")


def due(now: int, zone: str, at: time, last: date, weekday: int | None = None) -> date | None:
    """The date to run for now, `last` being the newest that was run; None if nothing is due."""
    newest = newest_due(now, zone, at, weekday)
    return newest if newest > last else None


def next_at(now: int, zone: str, at: time, weekday: int | None = None) -> int:
    """The next instant after now at which something becomes due, in us."""
    day = newest_due(now, zone, at, weekday) + _DAY
    while not _is_run(day, zone, weekday) or instant_of(day, zone, at) <= now:
        day += _DAY
    return instant_of(day, zone, at)


def _is_run(day: date, zone: str, weekday: int | None) -> bool:
    if not exists(day, zone):
        return False
    if weekday is None or day.weekday() == weekday:
        return True
    return (day - _DAY).weekday() == weekday and not exists(day - _DAY, zone)


def _back_from(day: date) -> Iterator[date]:
    for back in range(2 * LOOK_BACK_DAYS):
        yield day - back * _DAY
