"""Open time of the currency market and TARGET days, against the wall clock and the real fixings."""

import io
import zipfile
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.instants import DAY_US, HOUR_US, MINUTE_US, format_instant, from_us, parse_instant
from engine.providers.embedded_ecb import embedded_zip
from engine.valuation.market_hours import expiry, is_target_day, open_between, reference_expiry
from tests.effort import examples

NEW_YORK = ZoneInfo("America/New_York")
ECB = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "fx" / "ecb_eod_2017-2026.csv"
STEP_US = 15 * MINUTE_US


def at(text: str) -> int:
    us = parse_instant(text)
    assert us is not None
    return us


def expires(text: str, open_h: int = 1) -> str:
    return format_instant(int(expiry(np.array([at(text)]), open_h * HOUR_US)[0]))


def is_open(us: int) -> bool:
    """By the wall clock in New York; an evening and a morning belong to the closing between them."""
    there = from_us(us).astimezone(NEW_YORK)
    trading_day = (there + timedelta(hours=7)).date()  # a session runs from 17:00 to 17:00
    return trading_day.weekday() < 5 and (trading_day.month, trading_day.day) not in {(12, 25), (1, 1)}


@pytest.mark.parametrize(
    ("asof", "until"),
    [
        ("2024-01-10T14:00:00Z", "2024-01-10T15:00:00Z"),
        ("2024-01-12T21:00:00Z", "2024-01-12T22:00:00Z"),  # Friday 16:00: over as the market closes
        ("2024-01-12T21:20:00Z", "2024-01-14T22:20:00Z"),  # Friday 16:20: 40 min, and 20 on Sunday
        ("2024-01-12T22:00:00Z", "2024-01-14T23:00:00Z"),  # Friday 17:00, the week's last bar
        ("2024-01-13T12:00:00Z", "2024-01-14T23:00:00Z"),  # a Saturday stamp
        ("2024-03-08T22:00:00Z", "2024-03-10T22:00:00Z"),  # New York's clocks go forward on the Sunday
        ("2024-12-24T22:00:00Z", "2024-12-25T23:00:00Z"),
        ("2024-12-31T21:30:00Z", "2025-01-01T22:30:00Z"),
        ("2020-12-31T22:00:00Z", "2021-01-03T23:00:00Z"),  # New Year's Day was a Friday: one long closing
        ("2022-12-23T22:00:00Z", "2022-12-25T23:00:00Z"),  # Christmas Eve on a Saturday: closings overlap
    ],
)
def test_expiry__leaves_closed_time_out(asof: str, until: str) -> None:
    assert expires(asof) == until


def test_expiry__of_a_day__is_a_day_of_open_market() -> None:
    assert expires("2024-01-12T12:00:00Z", 24) == "2024-01-15T12:00:00Z"
    assert expires("2023-12-29T12:00:00Z", 24) == "2024-01-02T12:00:00Z"


@settings(max_examples=examples(60), deadline=None)
@given(
    start=st.integers(0, 30 * 366 * 96).map(lambda n: at("2000-01-01T00:00:00Z") + n * STEP_US),
    open_steps=st.integers(1, 96),
)
def test_expiry__is_the_first_instant_that_the_wall_clock_allows(start: int, open_steps: int) -> None:
    now, passed = start, 0
    while passed < open_steps:
        passed += is_open(now)
        now += STEP_US
    assert expiry(np.array([start]), open_steps * STEP_US).tolist() == [now]
    assert open_between(start, now) == open_steps * STEP_US
    assert open_between(start, now - STEP_US) == (open_steps - 1) * STEP_US


def test_open_between__a_whole_year__counts_every_open_quarter_hour() -> None:
    start, end = at("2024-01-01T00:00:00Z"), at("2025-01-01T00:00:00Z")
    expected = sum(is_open(us) for us in range(start, end, STEP_US)) * STEP_US
    assert open_between(start, end) == expected


def test_expiry__of_many__equals_one_by_one_in_any_order() -> None:
    first = at("2023-12-01T00:00:00Z")
    asof = np.array([first + (n * 37 % 101) * 7 * HOUR_US for n in range(101)])
    together = expiry(asof, HOUR_US).tolist()
    assert together == [int(expiry(asof[i : i + 1], HOUR_US)[0]) for i in range(101)]


@pytest.mark.parametrize(
    ("asof", "until"),
    [
        ("2024-01-10T13:15:00Z", "2024-01-11T15:30:00Z"),
        ("2024-07-10T12:15:00Z", "2024-07-11T14:30:00Z"),
        ("2024-01-12T13:15:00Z", "2024-01-15T15:30:00Z"),  # over the weekend
        ("2024-03-28T13:15:00Z", "2024-04-02T14:30:00Z"),  # over Easter, and summer time begins
        ("2024-12-24T13:15:00Z", "2024-12-27T15:30:00Z"),
        ("2024-04-30T12:15:00Z", "2024-05-02T14:30:00Z"),
        ("2024-01-10T23:30:00Z", "2024-01-12T15:30:00Z"),  # already the 11th in Frankfurt
    ],
)
def test_reference_expiry__is_half_past_four_of_the_next_target_day(asof: str, until: str) -> None:
    assert format_instant(int(reference_expiry(np.array([at(asof)]))[0])) == until


def test_target_days__are_the_days_of_the_real_fixings() -> None:
    if not ECB.exists():
        pytest.skip("the shared ECB rates are not here")
    fixed = {line.split(",")[4][:10] for line in ECB.read_text().splitlines()[1:]}
    first, last = date(2017, 1, 2), date(2026, 10, 30)
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    assert {day.isoformat() for day in days if is_target_day(day)} == fixed


def test_target_days__since_the_euro_is_there__are_those_of_the_bank_s_own_file() -> None:
    """The calendar is the long-term one since 2002; before, single years had their own."""
    with zipfile.ZipFile(io.BytesIO(embedded_zip())) as packed:
        lines = packed.read("eurofxref-hist.csv").decode("ascii").splitlines()[1:]
    fixed = {line.split(",")[0] for line in lines}
    first, last = date(1999, 1, 4), date(2026, 10, 30)
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    assert {day.isoformat() for day in days if is_target_day(day)} == {
        day for day in fixed if day <= last.isoformat()
    }


@pytest.mark.parametrize("day", ["2008-03-24", "2038-04-26", "1981-04-20", "1954-04-19", "2000-04-24"])
def test_easter_monday__at_its_earliest_latest_and_exceptions__is_no_target_day(day: str) -> None:
    monday = datetime.fromisoformat(day).date()
    assert not is_target_day(monday)
    assert not is_target_day(monday - timedelta(days=3))
    assert is_target_day(monday + timedelta(days=1))


def test_nothing_in__nothing_out() -> None:
    empty = np.empty(0, np.int64)
    assert expiry(empty, DAY_US).size == 0
    assert reference_expiry(empty).size == 0
