"""When a provider may be called at all."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.instants import DAY_US, MINUTE_US, SECOND_US
from engine.providers.breaker import (
    BAN_US,
    BAN_US_MAX,
    CLOSED,
    FAILURES_MAX,
    FROZEN,
    HALF_OPEN,
    OPEN,
    SHUT,
    WAIT_US,
    WAIT_US_MAX,
    Breaker,
    Pass,
)


def opened(now: int = 0) -> Breaker:
    breaker = Breaker()
    for _ in range(FAILURES_MAX):
        breaker.failed(breaker.admit(now), "down", now)
    return breaker


def test_failures__in_a_row_open_it__a_success_between_does_not() -> None:
    breaker = Breaker()
    for _ in range(FAILURES_MAX - 1):
        assert not breaker.failed(breaker.admit(0), "down", 0)
    breaker.succeeded(breaker.admit(0))
    for _ in range(FAILURES_MAX - 1):
        assert not breaker.failed(breaker.admit(0), "down", 0)
    assert breaker.state(0) == CLOSED
    assert breaker.failed(breaker.admit(0), "down", 0)
    assert (breaker.state(0), breaker.refusal(0)) == (OPEN, "down")


def test_half_open__one_probe_and_no_second() -> None:
    breaker = opened()
    assert breaker.refusal(WAIT_US - 1) == "down"
    assert breaker.refusal(WAIT_US) == ""
    probe = breaker.admit(WAIT_US)
    assert breaker.state(WAIT_US) == HALF_OPEN
    assert breaker.refusal(DAY_US) == "one probe is under way"
    assert breaker.succeeded(probe)
    assert breaker.state(WAIT_US) == CLOSED


def test_probe__that_fails__doubles_the_wait_up_to_its_end() -> None:
    breaker, now, waits = opened(), WAIT_US, []
    for _ in range(6):
        assert breaker.failed(breaker.admit(now), "still down", now)
        until = breaker.next_probe()
        assert until is not None
        waits.append((until - now) // SECOND_US)
        now = until
    assert waits == [30, 60, 60, 60, 60, 60]
    breaker.succeeded(breaker.admit(now))
    for _ in range(FAILURES_MAX):
        breaker.failed(breaker.admit(now), "down", now)
    assert breaker.next_probe() == now + WAIT_US, "a recovery forgets the long waits"


def test_late_answers__of_before_the_outage__change_nothing() -> None:
    breaker = Breaker()
    slow = [breaker.admit(0) for _ in range(1 + FAILURES_MAX)]
    for _ in range(FAILURES_MAX):
        breaker.failed(breaker.admit(0), "down", 0)
    assert not breaker.succeeded(slow[0])
    assert breaker.state(0) == OPEN
    breaker.admit(WAIT_US)
    for late in slow[1:]:
        assert not breaker.failed(late, "late", WAIT_US)
    assert breaker.state(WAIT_US) == HALF_OPEN


def test_refusal__freezes_and_only_an_operator_opens() -> None:
    breaker = Breaker()
    first, straggler = breaker.admit(0), breaker.admit(0)
    assert breaker.freeze(first, "bad key")
    assert (breaker.state(400 * DAY_US), breaker.refusal(400 * DAY_US)) == (FROZEN, "bad key")
    breaker.resume(DAY_US)
    assert not breaker.freeze(straggler, "bad key"), "from before the operator opened it"
    probe = breaker.admit(DAY_US)
    assert probe.probe
    assert breaker.freeze(probe, "bad key")
    assert breaker.state(DAY_US) == FROZEN


def test_refusal__of_a_call_from_before_an_outage__freezes_all_the_same() -> None:
    breaker = Breaker()
    slow = breaker.admit(0)
    for _ in range(FAILURES_MAX):
        breaker.failed(breaker.admit(0), "down", 0)
    assert breaker.freeze(slow, "bad key")
    assert breaker.state(WAIT_US) == FROZEN


@pytest.mark.parametrize("wait_us", [None, 10 * MINUTE_US])
def test_ban__lasts_as_long_as_it_says_or_ever_longer(wait_us: int | None) -> None:
    breaker, now, waits = Breaker(), 0, []
    for _ in range(14):
        assert breaker.ban(breaker.admit(now), "banned", wait_us, now)
        until = breaker.next_probe()
        assert until is not None
        waits.append(until - now)
        now = until
    if wait_us is None:
        assert waits[:3] == [BAN_US, 2 * BAN_US, 4 * BAN_US]
        assert waits[-1] == BAN_US_MAX
    else:
        assert set(waits) == {wait_us}


def test_shut__by_an_operator__stays_so_whatever_comes_in() -> None:
    breaker = Breaker()
    flying = [breaker.admit(0) for _ in range(4)]
    breaker.shut("maintenance")
    breaker.succeeded(flying[0])
    breaker.failed(flying[1], "down", 0)
    breaker.freeze(flying[2], "bad key")
    breaker.ban(flying[3], "banned", None, 0)
    assert (breaker.state(DAY_US), breaker.refusal(DAY_US)) == (SHUT, "maintenance")
    breaker.resume(DAY_US)
    assert breaker.state(DAY_US) == HALF_OPEN


def test_shut__while_a_probe_is_out__its_success_opens_nothing() -> None:
    breaker = opened()
    probe = breaker.admit(WAIT_US)
    breaker.shut("maintenance")
    assert not breaker.succeeded(probe)
    assert breaker.state(DAY_US) == SHUT


def test_resume__of_a_closed_breaker__does_nothing() -> None:
    breaker = Breaker()
    breaker.resume(5)
    assert breaker.state(5) == CLOSED


acts = st.lists(
    st.tuples(
        st.sampled_from([*["go", "fail"] * 3, "ok", "freeze", "ban", "hold", "drop", "resume", "shut"]),
        st.integers(0, 7),
        st.sampled_from([0, SECOND_US, WAIT_US, WAIT_US_MAX]),
    ),
    max_size=120,
)


@settings(max_examples=150, deadline=None)
@given(acts)
def test_breaker__laws(script: list[tuple[str, int, int]]) -> None:
    """Never two probes at once; frozen and shut end by an operator alone; closed again by a probe alone."""
    breaker, flying, now = Breaker(), list[Pass](), 0
    for act, which, pause in script:
        now += pause
        before = breaker.state(now)
        leave = flying.pop(which % len(flying)) if flying and act not in ("go", "resume", "shut") else None
        if act == "go" and not breaker.refusal(now):
            flying.append(breaker.admit(now))
        elif act == "resume":
            breaker.resume(now)
        elif act == "shut":
            breaker.shut("stop")
        elif leave is not None:
            _give_back(breaker, act, leave, now)
        after = breaker.state(now)
        live = [one for one in flying if one.probe and one is breaker._probe]
        assert len(live) <= 1
        assert not live or breaker.refusal(now)
        assert before not in (FROZEN, SHUT) or after == before or act in ("resume", "shut")
        assert not (before != CLOSED and after == CLOSED) or (act == "ok" and leave and leave.probe)
        assert (breaker.refusal(now) == "") == (after == CLOSED or (after == HALF_OPEN and not live))


def _give_back(breaker: Breaker, act: str, leave: Pass, now: int) -> None:
    match act:
        case "ok":
            breaker.succeeded(leave)
        case "fail":
            breaker.failed(leave, "down", now)
        case "freeze":
            breaker.freeze(leave, "bad key")
        case "ban":
            breaker.ban(leave, "banned", None, now)
        case "hold":
            breaker.hold(leave, "wait", now + SECOND_US)
        case _:
            breaker.dropped(leave)
