"""How fast calls may go: windows, the level, the month. One table line a second of a trader's day."""

import asyncio
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.instants import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from engine.providers.limits import (
    CLIMB_US,
    COOLDOWN_US,
    RETRY_AFTER_US_MAX,
    Limiter,
    MonthCap,
    Window,
    retry_after_us,
)
from tests.providers.world import us

MODEST = settings(max_examples=60, deadline=None)


def called(limiter: Limiter, weight: int, begun: int, took: int = 0) -> None:
    limiter.end(limiter.begin(weight, begun), begun + took)


def throttle(limiter: Limiter, begun: int, now: int, wait_us: int | None = None) -> bool:
    ticket = limiter.begin(1, begun)
    limiter.end(ticket, now)
    return limiter.throttled(ticket, wait_us, now)


def test_window__counts_a_call_until_a_whole_window_after_its_end() -> None:
    limiter = Limiter([Window(2)])
    called(limiter, 1, 0, took=3 * SECOND_US)
    called(limiter, 1, SECOND_US)
    assert limiter.wait_us(1, 2 * SECOND_US) == 59 * SECOND_US
    assert limiter.wait_us(2, 2 * SECOND_US) == 61 * SECOND_US
    assert limiter.wait_us(1, 61 * SECOND_US) == 0
    assert limiter.left(62 * SECOND_US) == 1
    assert limiter.left(63 * SECOND_US) == 2


def test_window__a_call_in_flight_counts_for_as_long_as_it_flies() -> None:
    limiter = Limiter([Window(2)])
    limiter.begin(1, 0)
    limiter.begin(1, 0)
    assert limiter.left(HOUR_US) == 0
    assert limiter.wait_us(1, HOUR_US) == MINUTE_US


def test_windows__the_tightest_counts() -> None:
    limiter = Limiter([Window(100), Window(2, SECOND_US)])
    called(limiter, 1, 0)
    called(limiter, 1, 0)
    assert limiter.wait_us(1, 0) == SECOND_US
    assert limiter.wait_us(1, SECOND_US) == 0


def test_window__too_small_for_the_heaviest_call_at_half_rate__is_refused() -> None:
    with pytest.raises(ValueError, match="weight 2 at 50 %"):
        Limiter([Window(3)], heaviest=2)


def test_provider_counts_more_than_we__others_call_from_here() -> None:
    limiter = Limiter([Window(100)])
    called(limiter, 2, 0)
    limiter.told_used(90, SECOND_US)
    assert limiter.left(SECOND_US) == 10
    limiter.told_used(90, SECOND_US)
    assert limiter.left(SECOND_US) == 10, "the same calls are not counted twice"
    limiter.told_used(3, SECOND_US)
    assert limiter.left(SECOND_US) == 10
    assert limiter.left(SECOND_US + MINUTE_US) == 100


def test_level__five_events_to_half_and_five_minutes_back() -> None:
    limiter, now = Limiter([Window(100)]), 0
    for level in (90, 80, 70, 60, 50, 50):
        assert throttle(limiter, now, now)
        assert limiter.level(now) == level
        assert limiter.left(now) == 0
        now += COOLDOWN_US
        assert limiter.level(now) == level
        assert limiter.wait_us(1, now) == 0
    assert [limiter.level(now + n * CLIMB_US) for n in range(7)] == [50, 60, 70, 80, 90, 100, 100]
    assert limiter.level(now + CLIMB_US - 1) == 50
    assert limiter.left(now) == 50


def test_burst__is_one_event_but_its_longest_wait_is_kept() -> None:
    limiter = Limiter([Window(100)])
    assert throttle(limiter, 0, 2 * SECOND_US)
    assert not throttle(limiter, SECOND_US, 3 * SECOND_US)
    assert limiter.cooldown_until == 62 * SECOND_US
    assert not throttle(limiter, SECOND_US, 3 * SECOND_US, 90 * SECOND_US)
    assert limiter.cooldown_until == 93 * SECOND_US
    assert limiter.level(10 * SECOND_US) == 90
    assert throttle(limiter, 2 * SECOND_US, 4 * SECOND_US), "begun when the step was taken: new"
    assert limiter.level(10 * SECOND_US) == 80


def test_back_from_outage__starts_at_half_and_climbs() -> None:
    limiter = Limiter([Window(100)])
    limiter.back_from_outage(HOUR_US)
    assert [limiter.level(HOUR_US + n * CLIMB_US) for n in range(6)] == [50, 60, 70, 80, 90, 100]


@pytest.mark.parametrize(
    ("text", "wait_us"),
    [
        (None, None), ("0", None), ("-1", None), ("", None), ("soon", None), ("1.5", None), ("١٢", None),
        ("30", 30 * SECOND_US), (" 120 ", 120 * SECOND_US), ("999999999999999", 999999999999999 * SECOND_US),
        ("Mon, 04 Mar 2024 10:02:00 GMT", 2 * MINUTE_US), ("Mon, 04 Mar 2024 10:00:00 GMT", None),
        ("Mon, 04 Mar 2024 09:00:00 GMT", None), ("Mon, 04 Mar 2024 11:01:00 +0100", MINUTE_US),
        ("Mon, 04 Mar 2024 10:02:00", None), ("Mon, 99 Mar 2024 10:02:00 GMT", None), ("9" * 30, None),
    ],
)  # fmt: skip
def test_retry_after(text: str | None, wait_us: int | None) -> None:
    assert retry_after_us(text, us("2024-03-04T10:00:00Z")) == wait_us


@MODEST
@given(st.text(max_size=40) | st.from_regex(r"Mon, [0-9]{1,6} [A-Z][a-z]{2} [0-9]{1,9} .*", fullmatch=True))
def test_retry_after__never_raises_and_is_none_or_ahead(text: str) -> None:
    wait = retry_after_us(text, us("2024-03-04T10:00:00Z"))
    assert wait is None or wait > 0


Step = tuple[int, int, int, int]  # µs until the next try, flight time, latency of the arrival, weight
steps = st.lists(
    st.tuples(
        st.sampled_from([0, 1, SECOND_US, 7 * SECOND_US, 59 * SECOND_US, 61 * SECOND_US]),
        st.sampled_from([1, SECOND_US, 20 * SECOND_US, 90 * SECOND_US]),
        st.integers(0, 100),
        st.integers(1, 3),
    ),
    min_size=5,
    max_size=60,
)


@MODEST
@given(steps, st.integers(6, 20))
def test_windows__no_provider_ever_counts_more_than_its_limit(script: list[Step], limit: int) -> None:
    """However long calls fly, and whenever within the flight they arrive, in any sliding minute."""
    limiter, now = Limiter([Window(limit)], heaviest=3), 0
    flying: list[tuple[int, object]] = []
    arrived: list[tuple[int, int]] = []
    for pause, flight, part, weight in script:
        now += pause
        now += _land(limiter, flying, now)
        while wait := limiter.wait_us(weight, now):
            now += wait
            _land(limiter, flying, now)
        ticket = limiter.begin(weight, now)
        flying.append((now + flight, ticket))
        arrived.append((now + flight * part // 100, weight))
    for at, _ in arrived:
        assert sum(weight for when, weight in arrived if at - MINUTE_US < when <= at) <= limit


def _land(limiter: Limiter, flying: list, now: int) -> int:  # type: ignore[type-arg]
    for end, ticket in [one for one in flying if one[0] <= now]:
        limiter.end(ticket, end)
        flying.remove((end, ticket))
    return 0


@MODEST
@given(st.lists(st.tuples(st.integers(0, 200 * SECOND_US), st.integers(0, 5 * SECOND_US),
                          st.none() | st.integers(1, 2 * HOUR_US)), max_size=40))  # fmt: skip
def test_level__laws(events: list[tuple[int, int, int | None]]) -> None:
    """Between 50 and 100, a whole step at a time; no call in a cooldown; back at 100 in time."""
    limiter, now = Limiter([Window(100)]), 0
    for pause, flight, wait in events:
        before = limiter.level(now + pause)
        now += pause
        new = throttle(limiter, max(0, now - flight), now, wait)
        assert limiter.level(now) == (max(50, before - 10) if new else before)
        assert limiter.cooldown_until <= now + RETRY_AFTER_US_MAX
        assert not new or limiter.cooldown_until >= now + COOLDOWN_US
        assert (limiter.wait_us(1, now) > 0) == (limiter.cooldown_until > now)
    assert limiter.level(max(now, limiter.cooldown_until) + 5 * CLIMB_US) == 100


@MODEST
@given(st.lists(st.integers(0, 40 * DAY_US), max_size=40), st.integers(1, 5))
def test_month__never_over_the_cap_and_every_call_is_kept_first(pauses: list[int], cap: int) -> None:
    kept: list[tuple[str, int]] = []

    async def keep(month: str, calls: int) -> None:
        kept.append((month, calls))

    async def play() -> dict[str, int]:
        month, now = MonthCap(cap, keep), us("2024-01-31T23:59:59Z")
        made: dict[str, int] = {}
        for pause in pauses:
            now += pause
            if month.left(now) > 0:
                await month.count(now)
                name = datetime.fromtimestamp(now // SECOND_US, UTC).strftime("%Y-%m")
                made[name] = made.get(name, 0) + 1
                assert kept[-1] == (name, made[name])
        return made

    assert all(calls <= cap for calls in asyncio.run(play()).values())


def test_month__a_clock_set_back_refills_nothing() -> None:
    async def keep(month: str, calls: int) -> None: ...

    month = MonthCap(5, keep, "2024-03", 5)
    assert month.left(us("2024-02-10T00:00:00Z")) == 0
    assert month.left(us("2024-04-01T00:00:00Z")) == 5
    assert month.next_month_us(us("2024-12-10T00:00:00Z")) == us("2025-01-01T00:00:00Z")
