"""Bucket boundaries against their definition, read minute by minute off the wall clock."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.instants import DAY_US, HOUR_US, MINUTE_US, format_instant, parse_instant
from engine.errors import UsageError
from engine.valuation.buckets import closes, first_close, is_boundary, local_dates, local_days, opens
from tests.effort import examples

RESOLUTIONS = ("5m", "1h", "1d")
ODD_ZONES = (
    "Africa/Cairo", "Africa/Casablanca", "Africa/Juba", "Africa/Khartoum", "Africa/Monrovia",
    "Africa/Sao_Tome", "Africa/Tripoli", "America/Argentina/San_Luis", "America/Asuncion",
    "America/Caracas", "America/Havana", "America/New_York", "America/Nuuk", "America/Port-au-Prince",
    "America/Santiago", "America/Sao_Paulo", "America/Scoresbysund", "America/St_Johns",
    "Antarctica/Casey", "Antarctica/Troll", "Asia/Amman", "Asia/Beirut", "Asia/Colombo", "Asia/Gaza",
    "Asia/Kathmandu", "Asia/Pyongyang", "Asia/Tehran", "Asia/Ulaanbaatar", "Atlantic/Azores",
    "Australia/Adelaide", "Australia/Lord_Howe", "Europe/Berlin", "Europe/Dublin", "Europe/Istanbul",
    "Europe/Volgograd", "Pacific/Apia", "Pacific/Bougainville", "Pacific/Chatham", "Pacific/Easter",
    "Pacific/Fakaofo", "Pacific/Norfolk", "Pacific/Tongatapu", "UTC",
)  # fmt: skip

zones = st.sampled_from(ODD_ZONES)
FROM_US = 1_262_304_000 * 1_000_000  # 2010
instants = st.integers(FROM_US, FROM_US + 16 * 365 * DAY_US)


def at(text: str) -> int:
    us = parse_instant(text)
    assert us is not None
    return us


def texts(values: np.ndarray) -> list[str]:
    return [format_instant(int(us)) for us in values]


def offset_minutes(zone: ZoneInfo, minute: int) -> int:
    offset = datetime.fromtimestamp(minute * 60, zone).utcoffset()
    assert offset is not None
    assert offset % timedelta(minutes=1) == timedelta(0)
    return offset // timedelta(minutes=1)


def days_with_a_shift(zone: ZoneInfo, first_year: int, last_year: int) -> list[int]:
    """UTC days, as minutes since 1970, in which the zone's offset changes."""
    start = int(datetime(first_year, 1, 1, tzinfo=UTC).timestamp()) // 60
    stop = int(datetime(last_year + 1, 1, 1, tzinfo=UTC).timestamp()) // 60
    offsets = {day: offset_minutes(zone, day) for day in range(start, stop + 1440, 1440)}
    return [day for day in range(start, stop, 1440) if offsets[day] != offsets[day + 1440]]


def boundaries_by_definition(zone: ZoneInfo, first: int, last: int) -> dict[str, list[int]]:
    """Boundaries in [first, last] by looking at the clock each minute, from two days before."""
    found: dict[str, list[int]] = {resolution: [] for resolution in RESOLUTIONS}
    seen = set()
    before = offset_minutes(zone, first - 2881)
    for minute in range(first - 2880, last + 1):
        after = offset_minutes(zone, minute)
        date = (minute + after) // 1440
        is_new_date = date not in seen
        seen.add(date)
        if minute >= first:
            if is_new_date:
                found["1d"].append(minute)
            if (minute + before) % 60 == 0 or (minute + after) % 60 == 0:
                found["1h"].append(minute)
            if (minute + before) % 5 == 0 or (minute + after) % 5 == 0:
                found["5m"].append(minute)
        before = after
    return found


def check_shifts(zone_name: str, first_year: int, last_year: int) -> None:
    zone = ZoneInfo(zone_name)
    for day in days_with_a_shift(zone, first_year, last_year):
        first, last = day - 1440, day + 2 * 1440
        expected = boundaries_by_definition(zone, first, last)
        for resolution in RESOLUTIONS:
            found = closes(resolution, zone_name, first * MINUTE_US, last * MINUTE_US)
            assert (found // MINUTE_US).tolist() == expected[resolution], (zone_name, resolution, day)
            assert not (found % MINUTE_US).any()


@pytest.mark.parametrize("zone", ODD_ZONES)
def test_closes__around_shifts_of_odd_zones__are_what_the_clock_shows(zone: str) -> None:
    check_shifts(zone, 2010, 2014)


@pytest.mark.slow
@pytest.mark.parametrize("zone", sorted(available_timezones()))
def test_closes__around_every_shift_of_every_zone__are_what_the_clock_shows(zone: str) -> None:
    check_shifts(zone, 2011, 2035)


@settings(max_examples=examples(150), deadline=None)
@given(zone=zones, resolution=st.sampled_from(RESOLUTIONS), ts=instants)
def test_every_instant__is_in_exactly_one_bucket(zone: str, resolution: str, ts: int) -> None:
    close = first_close(resolution, zone, ts + 1)
    (start,) = opens(np.array([close]), resolution, zone).tolist()
    assert start <= ts < close
    assert closes(resolution, zone, start, close).tolist() == [start, close]


@settings(max_examples=examples(100), deadline=None)
@given(zone=zones, resolution=st.sampled_from(RESOLUTIONS), ts=instants, span_h=st.integers(0, 100))
def test_closes__of_a_range__do_not_depend_on_where_the_range_begins(
    zone: str, resolution: str, ts: int, span_h: int
) -> None:
    end = ts + span_h * HOUR_US
    wide = closes(resolution, zone, ts - 40 * DAY_US, end + 40 * DAY_US)
    narrow = closes(resolution, zone, ts, end)
    assert narrow.tolist() == wide[(wide >= ts) & (wide <= end)].tolist()


@settings(max_examples=examples(100), deadline=None)
@given(zone=zones, resolution=st.sampled_from(RESOLUTIONS), ts=instants)
def test_is_boundary__says_yes_to_closes_and_no_to_their_neighbours(
    zone: str, resolution: str, ts: int
) -> None:
    marks = closes(resolution, zone, ts, ts + 3 * DAY_US)[::-1]
    assert is_boundary(resolution, zone, marks).all()
    for off in (-MINUTE_US, -1, 1, MINUTE_US):
        assert not is_boundary(resolution, zone, marks + off).any()


def test_day__in_berlin__has_23_and_25_hours_and_the_repeated_hour_is_two_buckets() -> None:
    days = closes("1d", "Europe/Berlin", at("2024-03-30T23:00:00Z"), at("2024-03-31T22:00:00Z"))
    assert texts(days) == ["2024-03-30T23:00:00Z", "2024-03-31T22:00:00Z"]
    autumn = at("2024-10-26T22:00:00Z")
    assert first_close("1d", "Europe/Berlin", autumn + 1) - autumn == 25 * HOUR_US
    hours = closes("1h", "Europe/Berlin", autumn, autumn + 25 * HOUR_US)
    assert len(hours) == 26


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Antarctica/Casey", "2011-10-28", 21),
        ("Antarctica/Troll", "2024-03-31", 22),
        ("Europe/Berlin", "2024-03-31", 23),
        ("Australia/Lord_Howe", "2024-10-06", 23.5),
        ("Asia/Kathmandu", "2024-03-31", 24),
        ("Australia/Lord_Howe", "2024-04-07", 24.5),
        ("America/Havana", "2024-11-03", 25),
        ("Antarctica/Troll", "2024-10-27", 26),
        ("Antarctica/Casey", "2012-02-22", 27),
    ],
)
def test_day__with_a_shift__has_its_own_length(zone: str, day: str, hours: float) -> None:
    noon = at(f"{day}T00:00:00Z")
    ends = closes("1d", zone, noon - 2 * DAY_US, noon + 3 * DAY_US)
    begins = opens(ends, "1d", zone)
    lengths = dict(zip(local_dates(begins, zone), (ends - begins) / HOUR_US, strict=True))
    assert lengths[day] == hours


def test_hour__at_a_half_hour_shift__leaves_a_half_hour_bucket() -> None:
    # 02:00 local, +11, goes back to 01:30, +10:30, at 15:00 UTC.
    hours = closes("1h", "Australia/Lord_Howe", at("2024-04-06T14:00:00Z"), at("2024-04-06T16:30:00Z"))
    assert texts(hours) == [
        "2024-04-06T14:00:00Z",
        "2024-04-06T15:00:00Z",
        "2024-04-06T15:30:00Z",
        "2024-04-06T16:30:00Z",
    ]
    assert is_boundary("1h", "Australia/Lord_Howe", hours).all()


def test_day__that_has_no_midnight__opens_at_the_first_instant_of_its_date() -> None:
    # 2018-11-04 00:00 in São Paulo was 01:00.
    days = closes("1d", "America/Sao_Paulo", at("2018-11-03T12:00:00Z"), at("2018-11-05T12:00:00Z"))
    assert texts(days) == ["2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"]


def test_day__whose_midnight_comes_twice__opens_at_the_first() -> None:
    # In St John's 00:01 on 7 November 2010 went back to 23:01 of the 6th.
    days = closes("1d", "America/St_Johns", at("2010-11-06T12:00:00Z"), at("2010-11-08T12:00:00Z"))
    assert texts(days) == ["2010-11-07T02:30:00Z", "2010-11-08T03:30:00Z"]


def test_day__whose_midnight_is_jumped_over__opens_at_the_jump() -> None:
    # In Toronto 23:30 on 30 March 1919 was 00:30 of the 31st.
    noon = int(datetime(1919, 3, 30, 17, tzinfo=UTC).timestamp()) * 1_000_000
    (opened,) = closes("1d", "America/Toronto", noon, noon + DAY_US - HOUR_US).tolist()
    assert opened == noon + 11 * HOUR_US + 30 * MINUTE_US


def test_date__that_the_zone_skips__has_no_bucket() -> None:
    ends = closes("1d", "Pacific/Apia", at("2011-12-29T12:00:00Z"), at("2011-12-31T12:00:00Z"))
    dates = local_dates(opens(ends, "1d", "Pacific/Apia"), "Pacific/Apia")
    assert dates == ["2011-12-29", "2011-12-31"]


def test_hour__under_an_offset_with_seconds__follows_the_local_clock() -> None:
    # Monrovia was 44 min 30 s behind until 1972-01-07, when its clocks went to UTC.
    hours = closes("1h", "Africa/Monrovia", at("1972-01-06T23:00:00Z"), at("1972-01-07T02:00:00Z"))
    assert texts(hours) == [
        "1972-01-06T23:44:30Z",
        "1972-01-07T00:44:30Z",
        "1972-01-07T01:00:00Z",
        "1972-01-07T02:00:00Z",
    ]


def test_local_dates__are_those_of_the_zone_not_of_utc() -> None:
    ts = np.array([at("2024-01-02T04:59:00Z"), at("2024-01-01T05:00:00Z"), at("2024-01-02T05:00:00Z")])
    assert local_dates(ts, "America/New_York") == ["2024-01-01", "2024-01-01", "2024-01-02"]
    assert local_days(ts, "America/New_York").tolist() == [19723, 19723, 19724]


def test_nothing_in__nothing_out() -> None:
    empty = np.empty(0, np.int64)
    assert closes("5m", "UTC", 10, 9).size == 0
    assert opens(empty, "1h", "UTC").size == 0
    assert is_boundary("1h", "UTC", empty).size == 0
    assert local_dates(empty, "UTC") == []


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "", "America", "../etc/passwd"])
def test_zone__that_does_not_exist__is_wrong_usage_with_a_hint(zone: str) -> None:
    with pytest.raises(UsageError) as caught:
        closes("1h", zone, 0, HOUR_US)
    assert "Europe/Berlin" in caught.value.hint


def test_resolution__that_has_no_buckets__is_wrong_usage() -> None:
    with pytest.raises(UsageError):
        closes("spot", "UTC", 0, HOUR_US)
