"""When backups and drills run: once for each local date that exists, whatever clocks and machines do."""

import random
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from engine.backup import schedule
from engine.domain.instants import DAY_US, HOUR_US, MINUTE_US, from_us, to_us

AT = time(2, 30)
SUNDAY = 6
LOOK_US = 30 * MINUTE_US  # the simulated service looks this often; the real one every 20 s
# Two years of each zone; Apia's hold the date that never was.
YEARS = {"America/New_York": 2024, "Australia/Lord_Howe": 2024, "Asia/Kathmandu": 2024, "Pacific/Apia": 2011}


def us(text: str) -> int:
    return to_us(datetime.fromisoformat(text).replace(tzinfo=UTC))


def dates_that_exist(zone: str, first: int, last: int) -> list[date]:
    """Seen from the other side: which dates the zone's clock shows, hour by hour."""
    local = ZoneInfo(zone)
    return sorted({from_us(at).astimezone(local).date() for at in range(first, last, HOUR_US // 2)})


class Simulated:
    """A service that looks at the clock again and again, and runs what is due."""

    def __init__(self, zone: str, start: int, weekday: int | None = None) -> None:
        self.zone, self.weekday = zone, weekday
        self.last = schedule.newest_due(start, zone, AT, weekday)
        self.runs: list[tuple[date, int]] = []

    def look(self, now: int) -> None:
        day = schedule.due(now, self.zone, AT, self.last, self.weekday)
        if day is not None:
            self.runs.append((day, now))
            self.last = day


@pytest.mark.parametrize("zone", YEARS)
def test_two_years__one_backup_for_each_local_date_that_exists(zone: str) -> None:
    start, end = us(f"{YEARS[zone]}-01-01T00:00:00"), us(f"{YEARS[zone] + 2}-01-01T00:00:00")
    service = Simulated(zone, start)
    first = service.last
    for now in range(start, end, LOOK_US):
        service.look(now)
    days = [day for day, _ in service.runs]
    expected = [day for day in dates_that_exist(zone, start, end) if first < day <= service.last]
    assert days == expected
    assert len(days) >= 2 * 365 - 2
    for day, ran in service.runs:
        late = ran - schedule.instant_of(day, zone, AT)
        assert 0 <= late < LOOK_US
        shown = from_us(schedule.instant_of(day, zone, AT)).astimezone(ZoneInfo(zone))
        assert shown.date() == day
        assert shown.time() in (AT, time(3, 30), time(3, 0)), "at 02:30, or as long after the skip"


@pytest.mark.parametrize("zone", YEARS)
def test_two_years__one_drill_a_week(zone: str) -> None:
    start, end = us(f"{YEARS[zone]}-01-01T00:00:00"), us(f"{YEARS[zone] + 2}-01-01T00:00:00")
    service = Simulated(zone, start, SUNDAY)
    for now in range(start, end, 3 * LOOK_US):
        service.look(now)
    days = [day for day, _ in service.runs]
    assert {(later - day).days for day, later in pairwise(days)} == {7}
    assert len(service.runs) >= 103


@pytest.mark.parametrize("zone", YEARS)
def test_two_years_of_sleep_restarts_and_jumping_clocks__never_twice_for_a_date(zone: str) -> None:
    rng = random.Random(zone)
    start, end = us(f"{YEARS[zone]}-01-01T00:00:00"), us(f"{YEARS[zone] + 2}-01-01T00:00:00")
    service, truth = Simulated(zone, start), start
    asleep: list[tuple[int, int]] = []
    while truth < end:
        nap = rng.choice([LOOK_US] * 60 + [9 * HOUR_US, 40 * HOUR_US, 9 * DAY_US])
        if nap > LOOK_US:
            asleep.append((truth, truth + nap))
        truth += nap
        jump = rng.choice([0] * 20 + [-DAY_US, -HOUR_US, HOUR_US // 2])
        service.look(truth + jump)
    days = [day for day, _ in service.runs]
    assert days == sorted(set(days)), "never twice, never back"
    missed = set(dates_that_exist(zone, start + 2 * DAY_US, end - 2 * DAY_US)) - set(days)
    for day in missed:  # only what was slept through, and was not the newest on waking
        due, next_due = (schedule.instant_of(day + timedelta(n), zone, AT) for n in (0, 1))
        assert any(a - DAY_US - LOOK_US <= due and next_due <= b + LOOK_US + DAY_US for a, b in asleep), day


def test_gap__new_york_in_march__runs_at_half_past_three_once() -> None:
    zone, gap = "America/New_York", date(2025, 3, 9)
    assert schedule.instant_of(gap, zone, AT) == us("2025-03-09T07:30:00")
    assert schedule.due(us("2025-03-09T07:29:59"), zone, AT, date(2025, 3, 8)) is None
    assert schedule.due(us("2025-03-09T07:30:00"), zone, AT, date(2025, 3, 8)) == gap
    assert schedule.due(us("2025-03-09T12:00:00"), zone, AT, gap) is None


def test_repeat__lord_howe_in_april__the_first_of_two_and_not_again() -> None:
    """On 6 April 2025 the clock goes from 02:00 back to 01:30: 01:45 comes twice."""
    zone, at, day = "Australia/Lord_Howe", time(1, 45), date(2025, 4, 6)
    assert schedule.instant_of(day, zone, at) == us("2025-04-05T14:45:00")
    second = us("2025-04-05T15:15:00")
    assert from_us(second).astimezone(ZoneInfo(zone)).time() == at
    assert schedule.due(second, zone, at, day) is None


def test_date_that_never_was__apia__nothing_runs_for_it() -> None:
    zone = "Pacific/Apia"
    assert not schedule.exists(date(2011, 12, 30), zone)
    assert schedule.due(us("2011-12-30T12:31:00"), zone, AT, date(2011, 12, 29)) == date(2011, 12, 31)
    friday = 4
    newest = schedule.newest_due(us("2012-01-02T00:00:00"), zone, AT, friday)
    assert newest == date(2011, 12, 31), "the drill of a Friday that never was is the next date's"


def test_gap_at_midnight__the_date_exists_though_its_time_does_not() -> None:
    """Beirut's clock went from 00:00 to 01:00 on 31 March 2024."""
    zone, day = "Asia/Beirut", date(2024, 3, 31)
    assert schedule.exists(day, zone)
    assert schedule.newest_due(us("2024-03-30T22:10:00"), zone, time(0, 5)) == day


def test_a_week_off__only_the_newest_missed_date_is_made_up_for() -> None:
    assert schedule.due(us("2025-06-12T12:00:00"), "UTC", AT, date(2025, 6, 5)) == date(2025, 6, 12)
    assert schedule.due(us("2025-06-12T12:00:00"), "UTC", AT, date(2025, 6, 12)) is None


def test_clock_set_back_past_a_run__it_is_not_run_again() -> None:
    assert schedule.due(us("2025-06-10T03:00:00"), "UTC", AT, date(2025, 6, 11)) is None


@pytest.mark.parametrize("zone", YEARS)
def test_next__is_the_instant_at_which_something_becomes_due(zone: str) -> None:
    start, end = us(f"{YEARS[zone]}-01-01T00:00:00"), us(f"{YEARS[zone] + 1}-01-01T00:00:00")
    for now in range(start, end, 31 * HOUR_US):
        at = schedule.next_at(now, zone, AT)
        last = schedule.newest_due(now, zone, AT)
        assert schedule.due(at - 1, zone, AT, last) is None
        assert schedule.due(at, zone, AT, last) is not None
