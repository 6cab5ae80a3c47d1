"""How long something was held, by the calendar: short term, long term, or not known.

The problem. A gain is long term if the thing was held *longer than* a period, and a period of a year is no
number of days. The day of purchase does not count, the day of sale does: the count begins on the day after
the purchase. So long term begins on that day moved on by the period; where the calendar has no such date
(29 February, 31 April), on the first of the next month.

    period  bought        count begins  long term from
    1y      2023-03-01    2023-03-02    2024-03-02      sold on 2024-03-01: exactly a year, still short
    1y      2023-02-28    2023-03-01    2024-03-01      sold on 29 February 2024: still short
    1y      2024-02-28    2024-02-29    2025-03-01
    1y      2024-02-29    2024-03-01    2025-03-01
    6m      2024-08-30    2024-08-31    2025-03-01
    365d    2024-01-01    2024-01-02    2025-01-01      366 days after: more than 365

Owns the calendar alone: dates come in as days since 1970-01-01 in whatever time zone is meant. A lot of
unknown age has no term. What was sold before it was bought (clocks of two accounts differ) is short.
"""

import re
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SHORT, LONG, UNKNOWN = "short", "long", "unknown"
TERMS = (SHORT, LONG, UNKNOWN)
NEVER = 2**31  # a day that does not come: the calendar ends before

_EPOCH = date(1970, 1, 1)
_PERIOD = re.compile("([1-9][0-9]{0,3})([ymd])")


class Period(NamedTuple):
    """A number of years (`y`), months (`m`) or days (`d`)."""

    number: int
    unit: str


def read_period(text: str) -> Period:
    """A period such as `1y`, `6m` or `365d`. ValueError for anything else."""
    found = _PERIOD.fullmatch(text)
    if found is None:
        raise ValueError(f"not a period: {text!r}")
    return Period(int(found[1]), found[2])


def long_from(acquired_day: int, period: Period) -> int:
    """The first day (since 1970-01-01) on which what was acquired on `acquired_day` is long term."""
    if period.unit == "d":
        return acquired_day + 1 + period.number
    begins = _EPOCH + timedelta(days=acquired_day + 1)
    months = period.number * (12 if period.unit == "y" else 1)
    years, month = divmod(begins.month - 1 + months, 12)
    year = begins.year + years
    if year > date.max.year - 1:
        return NEVER
    try:
        reached = date(year, month + 1, begins.day)
    except ValueError:  # no such date in that month
        reached = date(year, month + 1, 28) + timedelta(days=4)
        reached = reached.replace(day=1)
    return (reached - _EPOCH).days


def long_term(
    acquired_days: NDArray[np.int64], disposed_days: NDArray[np.int64], period: Period
) -> NDArray[np.bool_]:
    """Whether each holding was long term when it ended. Days since 1970-01-01, same shape."""
    days, index = np.unique(acquired_days, return_inverse=True)
    starts = np.array([long_from(day, period) for day in days.tolist()], dtype=np.int64)
    return np.asarray(disposed_days >= starts[index.reshape(acquired_days.shape)])
