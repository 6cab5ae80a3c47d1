"""Short or long term: by the calendar, in leap years, over month ends; the day of purchase does not count."""

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.portfolio.terms import NEVER, Period, long_from, long_term, read_period
from tests.effort import examples

EPOCH = date(1970, 1, 1)


def day(text: str) -> int:
    return (date.fromisoformat(text) - EPOCH).days


@pytest.mark.parametrize(
    ("period", "bought", "first_long_day"),
    [
        ("1y", "2023-03-01", "2024-03-02"),  # exactly a year is not longer than a year
        ("1y", "2023-02-27", "2024-02-28"),
        ("1y", "2023-02-28", "2024-03-01"),  # the count begins on 1 March: 29 February 2024 is still short
        ("1y", "2024-02-28", "2025-03-01"),  # it begins on 29 February, which 2025 does not have
        ("1y", "2024-02-29", "2025-03-01"),
        ("1y", "2023-12-31", "2025-01-01"),
        ("4y", "2024-02-28", "2028-02-29"),
        ("10y", "2015-06-15", "2025-06-16"),
        ("6m", "2024-08-30", "2025-03-01"),
        ("6m", "2024-08-31", "2025-03-01"),
        ("1m", "2024-01-30", "2024-03-01"),
        ("18m", "2023-07-04", "2025-01-05"),
        ("365d", "2024-01-01", "2025-01-01"),  # 2024 has 366 days
        ("365d", "2023-01-01", "2024-01-02"),
        ("1d", "2024-02-28", "2024-03-01"),
    ],
)
def test_long_term__from_the_day_after_the_purchase_moved_on(
    period: str, bought: str, first_long_day: str
) -> None:
    assert long_from(day(bought), read_period(period)) == day(first_long_day)


def test_long_term__many_at_once__each_by_its_own_dates() -> None:
    bought = np.array([day("2023-03-01"), day("2023-03-01"), day("2024-02-29"), day("2025-01-01")])
    sold = np.array([day("2024-03-01"), day("2024-03-02"), day("2025-03-01"), day("2024-06-01")])
    assert long_term(bought, sold, Period(1, "y")).tolist() == [False, True, True, False]
    assert long_term(bought[:0], sold[:0], Period(1, "y")).tolist() == []


def test_period__beyond_the_calendar__is_never_over() -> None:
    assert long_from(day("2024-01-01"), Period(9999, "y")) == NEVER


@pytest.mark.parametrize("text", ["", "1", "y", "0y", "-1y", "1.5y", "1w", "1 y", "١y", "12345d"])
def test_period__of_no_form__refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a period"):
        read_period(text)


@settings(max_examples=examples(200), deadline=None)
@given(
    bought=st.dates(date(1970, 1, 1), date(2100, 1, 1)),
    years=st.integers(1, 40),
)
def test_long_term__never_before_as_many_birthdays_of_the_purchase(bought: date, years: int) -> None:
    """Another way round: the day before long term begins, no more than `years` years have passed."""
    begins = EPOCH + timedelta(days=long_from((bought - EPOCH).days, Period(years, "y")))
    last_short = begins - timedelta(days=1)
    begun = bought + timedelta(days=1)
    assert (last_short.year, last_short.month, last_short.day) < (begun.year + years, begun.month, begun.day)
    assert (begins.year, begins.month, begins.day) >= (begun.year + years, begun.month, begun.day)


@settings(max_examples=examples(100), deadline=None)
@given(first=st.integers(0, 40_000), later=st.integers(0, 400), unit=st.sampled_from("ymd"))
def test_long_term__what_was_bought_later_is_not_long_term_sooner(first: int, later: int, unit: str) -> None:
    period = Period(7, unit)
    assert long_from(first, period) <= long_from(first + later, period)
