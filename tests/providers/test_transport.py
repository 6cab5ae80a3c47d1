"""Every way in which a call can go wrong on a real connection, and what is made of it."""

import asyncio
import logging
import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from engine import errors
from engine.domain.instants import HOUR_US, MINUTE_US, SECOND_US
from engine.errors import ProviderError
from engine.providers.limits import MonthCap, Window
from engine.providers.secrets import Secret
from engine.providers.transport import Caller, Ports, Terms
from engine.providers.wire import Reply, Request
from tests.providers.world import BOUNDS, BRIEF, Play, Seen, World, scripted, us, world

GOOD = Play(b'{"ok": 1}')
CANARY = "k3y/CANARY+123"


def body_of(reply: Reply) -> bytes:
    return reply.body


def caller(one: World, ports: Ports, **changes: Any) -> Caller:
    given: dict[str, Any] = {"windows": (Window(100),), "bounds": BOUNDS} | changes
    return Caller("example", Terms(one.server.root, **given), ports)


def one_call(one: World, **changes: Any) -> tuple[bytes | ProviderError, Caller]:
    """The body or the error of a single call."""

    async def act(ports: Ports) -> tuple[bytes | ProviderError, Caller]:
        it = caller(one, ports, **changes)
        try:
            return await it.get(Request("/x", (("a", "1"),)), body_of), it
        except ProviderError as error:
            return error, it

    return one.run(act)


def test_call__answered__gives_the_bytes_and_says_who_asks() -> None:
    with world(scripted(GOOD)) as one:
        body, it = one_call(one)
        assert body == GOOD.body
        assert one.server.seen[0].headers["user-agent"].startswith("navdeck")
        assert one.server.seen[0].headers["accept-encoding"] == "identity"
        assert (it.state().state, it.state().level, it.state().calls_left) == ("closed", 100, 99)


@pytest.mark.parametrize(
    ("play", "leaf", "attempts"),
    [
        (Play(b"", 302, {"Location": "http://127.0.0.1:1/"}), "AnswerRedirected", 1),
        (Play(b"no such symbol", 400), "AnswerRejected", 1),
        (Play(b"", 404), "AnswerRejected", 1),
        (Play(b"", 401), "AnswerRefused", 1),
        (Play(b"", 403), "AnswerRefused", 1),
        (Play(b"", 451), "AnswerRefused", 1),
        (Play(b"", 418), "AnswerBanned", 1),
        (Play(b"", 500), "AnswerFailed", 4),
        (Play(b"", 503), "AnswerFailed", 4),
        (Play(b"", 408), "AnswerFailed", 4),
        (Play(b'{"a": 1', how="cut"), "ReadBroken", 4),
        (Play(b'{"a": 1', how="stall"), "ReadTimedOut", 4),
        (Play(b"x" * 300_000), "AnswerTooLarge", 1),
        (Play(b"\x1f\x8b", headers={"Content-Encoding": "gzip"}), "AnswerUnreadable", 1),
    ],
    ids=lambda value: f"{value.status}-{value.how}" if isinstance(value, Play) else str(value),
)
def test_failure__has_a_name_a_hint_and_its_number_of_attempts(play: Play, leaf: str, attempts: int) -> None:
    with world(scripted(play)) as one:
        error, it = one_call(one, bounds=BRIEF if play.how == "stall" else BOUNDS)
        assert type(error) is getattr(errors, leaf)
        assert isinstance(error, ProviderError)
        assert error.hint
        assert len(one.server.seen) == attempts
        assert it.state().last_error_code == error.code


def test_connection_refused__is_named_and_tried_again() -> None:
    with world(scripted(GOOD)) as one:
        one.server.close()
        error, _ = one_call(one)
        assert isinstance(error, errors.ConnectFailed)
        assert len(one.clock.slept) == 3


def test_failure__that_passes__is_not_seen_by_the_caller() -> None:
    with world(scripted(Play(b"", 502), Play(b"", how="cut"), GOOD)) as one:
        body, it = one_call(one)
        assert body == GOOD.body
        assert it.state().level == 100, "failures do not move the level"
        assert one.clock.slept == [0.75, 1.5], "half the pause is certain, half is chance"


def test_budget__of_seconds__is_never_exceeded() -> None:
    with world(scripted(Play(b"", 500))) as one:
        error, _ = one_call(one, budget_us=SECOND_US)
        assert isinstance(error, errors.AnswerFailed)
        assert one.clock.slept == [0.75], "a second pause of 1.5 s would not fit"
        assert len(one.server.seen) == 2


@pytest.mark.parametrize("retry_after", ["0", "-5", "", "soon", "Mon, 04 Mar 2024 09:00:00 GMT", "1"])
def test_throttled__wait_of_nothing__means_the_cooldown(retry_after: str) -> None:
    with world(scripted(Play(b"", 429, {"Retry-After": retry_after}), GOOD)) as one:
        body, it = one_call(one)
        assert body == GOOD.body
        assert one.clock.slept == [60.0]
        assert it.state().level == 90
        assert one.codes() == ["RATE_LOWERED"]


@pytest.mark.parametrize("retry_after", ["75", "Mon, 04 Mar 2024 10:01:16 GMT"])
def test_throttled__names_a_wait__is_obeyed(retry_after: str) -> None:
    with world(scripted(Play(b"", 429, {"Retry-After": retry_after}), GOOD)) as one:
        assert one_call(one)[0] == GOOD.body
        assert one.clock.slept == [pytest.approx(75, abs=1)]


def test_throttled__until_an_instant_of_their_clock__is_measured_by_their_clock() -> None:
    """Their date is served as 10:00:00; our wall clock is half an hour ahead."""
    play = Play(b"", 429, {"Retry-After": "Mon, 04 Mar 2024 10:05:00 GMT"})
    with world(scripted(play)) as one:

        async def act(ports: Ports) -> int | None:
            ahead = replace(ports, now_us=lambda: one.clock.now_us() + 30 * MINUTE_US)
            it = caller(one, ahead)
            with pytest.raises(errors.AnswerThrottled):
                await it.get(Request("/x"), body_of)
            return it.state().cooldown_until

        wait_us = (one.run(act) or 0) - one.clock.now_us() - 30 * MINUTE_US
        assert 5 * MINUTE_US - SECOND_US <= wait_us <= 5 * MINUTE_US


def test_throttled__names_a_day__is_capped_with_an_alert() -> None:
    with world(scripted(Play(b"", 429, {"Retry-After": "86400"}), GOOD)) as one:
        error, it = one_call(one)
        assert isinstance(error, errors.AnswerThrottled), "an hour does not fit the budget"
        assert it.state().cooldown_until == one.clock.now_us() + HOUR_US
        assert one.codes() == ["RATE_LOWERED", "RETRY_AFTER_CAPPED"]
        assert one.facts[1].text == "asks for 86,400 s, taken as 3,600 s"
        assert len(one.server.seen) == 1


@pytest.mark.parametrize("status", [401, 403, 451])
def test_refused__freezes_until_an_operator_opens_it(status: int) -> None:
    with world(scripted(Play(b"", status), GOOD)) as one:

        async def act(ports: Ports) -> None:
            it = caller(one, ports)
            with pytest.raises(errors.AnswerRefused):
                await it.get(Request("/x"), body_of)
            one.clock.passed += 30 * 24 * HOUR_US
            with pytest.raises(errors.CallHeld) as held:
                await it.get(Request("/x"), body_of)
            assert "providers open example" in held.value.hint
            assert held.value.retry_at_us is None
            assert it.state().state == "frozen"
            it.resume()
            assert it.state().state == "half-open"
            assert await it.get(Request("/x"), body_of) == GOOD.body
            assert (it.state().state, it.state().level) == ("closed", 50)

        one.run(act)
        assert len(one.server.seen) == 2
        assert one.codes() == ["FROZEN", "BREAKER_CLOSED"]


def test_banned__nothing_is_sent_before_the_end() -> None:
    with world(scripted(Play(b"", 418, {"Retry-After": "7200"}), Play(b"", 418), GOOD)) as one:

        async def held_until(it: Caller) -> int | None:
            with pytest.raises(errors.CallHeld) as held:
                await it.get(Request("/x"), body_of)
            return held.value.retry_at_us

        async def act(ports: Ports) -> None:
            it = caller(one, ports)
            with pytest.raises(errors.AnswerBanned):
                await it.get(Request("/x"), body_of)
            assert await held_until(it) == one.clock.now_us() + 2 * HOUR_US
            one.clock.passed += 2 * HOUR_US
            with pytest.raises(errors.AnswerBanned):
                await it.get(Request("/x"), body_of)
            assert await held_until(it) == one.clock.now_us() + 4 * MINUTE_US, "the second ban is longer"
            one.clock.passed += 4 * MINUTE_US
            assert await it.get(Request("/x"), body_of) == GOOD.body

        one.run(act)
        assert len(one.server.seen) == 3


def test_memory__a_freeze_and_a_ban_outlive_the_process() -> None:
    with world(scripted(GOOD)) as one:

        async def act(ports: Ports) -> None:
            first = caller(one, ports)
            first.shut("maintenance")
            again = caller(one, ports)
            again.restore(first.memory())
            with pytest.raises(errors.CallHeld, match="maintenance"):
                await again.get(Request("/x"), body_of)
            again.resume()
            assert await again.get(Request("/x"), body_of) == GOOD.body
            assert again.memory() == {}

        one.run(act)


def test_half_open__of_ten_parallel_calls_one_is_sent() -> None:
    with world(scripted(*[Play(b"", 500)] * 5, GOOD)) as one:

        async def act(ports: Ports) -> list[bytes | BaseException]:
            it = caller(one, ports, attempts_max=1)
            for _ in range(5):
                with pytest.raises(errors.AnswerFailed):
                    await it.get(Request("/x"), body_of)
            assert it.state().state == "open"
            one.clock.passed += 30 * SECOND_US
            assert it.state().state == "half-open"
            calls = [it.get(Request("/x"), body_of) for _ in range(10)]
            return await asyncio.gather(*calls, return_exceptions=True)

        outcomes = one.run(act)
        assert [type(outcome) for outcome in outcomes] == [bytes] + [errors.CallHeld] * 9
        assert len(one.server.seen) == 6


def test_probe__throttled__is_followed_by_another_after_the_cooldown() -> None:
    with world(scripted(*[Play(b"", 500)] * 5, Play(b"", 429), GOOD)) as one:

        async def act(ports: Ports) -> None:
            it = caller(one, ports, attempts_max=1)
            for _ in range(5):
                with pytest.raises(errors.AnswerFailed):
                    await it.get(Request("/x"), body_of)
            one.clock.passed += 15 * SECOND_US
            with pytest.raises(errors.AnswerThrottled):
                await it.get(Request("/x"), body_of)
            assert it.state().next_probe == it.state().cooldown_until == one.clock.now_us() + MINUTE_US
            one.clock.passed += MINUTE_US
            assert await it.get(Request("/x"), body_of) == GOOD.body

        one.run(act)


def test_probe__abandoned__lets_another_one_go() -> None:
    with world(scripted(*[Play(b"", 500)] * 5, Play(b"", how="stall"), GOOD)) as one:

        async def act(ports: Ports) -> bytes:
            it = caller(one, ports, attempts_max=1)
            for _ in range(5):
                with pytest.raises(errors.AnswerFailed):
                    await it.get(Request("/x"), body_of)
            one.clock.passed += 30 * SECOND_US
            probe = asyncio.create_task(it.get(Request("/x"), body_of))
            await asyncio.to_thread(one.server.reached, 6)
            probe.cancel()
            await asyncio.gather(probe, return_exceptions=True)
            return await it.get(Request("/x"), body_of)

        assert one.run(act) == GOOD.body


def test_burst__of_parallel_429s__is_one_event() -> None:
    with world(scripted(Play(b"", 429))) as one:

        async def act(ports: Ports) -> int:
            it = caller(one, ports, budget_us=SECOND_US)
            calls = [it.get(Request("/x"), body_of) for _ in range(8)]
            await asyncio.gather(*calls, return_exceptions=True)
            return it.state().level

        # all began at one instant, before the first step of the level
        one.clock.passed = 5
        ticks = iter(range(1, 10_000))
        one.clock.ticks_us = lambda: next(ticks)  # type: ignore[method-assign]
        assert one.run(act) == 90
        assert len(one.server.seen) == 8


def test_window__full__waits_for_its_turn_and_sends_no_more() -> None:
    with world(scripted(GOOD)) as one:

        async def act(ports: Ports) -> None:
            it = caller(one, ports, windows=(Window(4),))
            for _ in range(9):
                await it.get(Request("/x"), body_of)

        one.run(act)
        sent = [seen.at_us for seen in one.server.seen]
        assert all(later - sooner >= MINUTE_US for sooner, later in zip(sent, sent[4:], strict=False))
        assert sent[-1] - sent[0] == 2 * MINUTE_US


def test_month__used_up__sends_nothing_more_until_the_next() -> None:
    kept: list[tuple[str, int]] = []

    async def keep(month: str, calls: int) -> None:
        kept.append((month, calls))

    with world(scripted(Play(b"", 500), GOOD), start="2024-03-30T00:00:00Z") as one:

        async def act(ports: Ports) -> None:
            it = caller(one, ports, month=MonthCap(3, keep, "2024-03", 1))
            assert await it.get(Request("/x"), body_of) == GOOD.body
            with pytest.raises(errors.CallHeld) as held:
                await it.get(Request("/x"), body_of)
            assert held.value.retry_at_us == us("2024-04-01T00:00:00Z")
            one.clock.passed += 3 * 24 * HOUR_US
            assert await it.get(Request("/x"), body_of) == GOOD.body

        one.run(act)
        assert kept == [("2024-03", 2), ("2024-03", 3), ("2024-04", 1)], "failed calls count as well"


def test_clock__set_back_an_hour__neither_stops_nor_speeds_calls() -> None:
    with world(scripted(GOOD)) as one:

        async def act(ports: Ports) -> None:
            it = caller(one, ports, windows=(Window(4),))
            for number in range(8):
                one.clock.jump_us = -HOUR_US if number % 2 else HOUR_US
                await it.get(Request("/x"), body_of)

        one.run(act)
        assert one.clock.slept == [60.0]


@pytest.mark.parametrize(
    "play",
    [
        Play(b"bad key " + CANARY.encode(), 401),
        Play(b"bad key k3y%2FCANARY%2B123", 403),
        Play(rb'{"asked": "k3y\/CANARY+123"}', 400),
        Play(CANARY.encode(), 500),
        Play(CANARY.encode(), 302, {"Location": "http://127.0.0.1/?access_key=" + CANARY}),
        Play(CANARY.encode()),
        Play(CANARY.encode(), how="cut"),
        Play(b"x" * 300_000),
    ],
    ids=lambda play: f"{play.status}-{play.how}",
)
def test_key__never_shows(play: Play, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    key = Secret(CANARY)
    request = Request("/x", (), secret_params=(("access_key", key),), secret_headers=(("x-key", key),))
    with world(scripted(play)) as one:

        async def act(ports: Ports) -> list[str]:
            it = caller(one, ports, secrets=(key,), attempts_max=2)
            shown: list[object] = []
            try:
                shown.append(await it.get(request, lambda reply: (reply.url, reply.body)))
            except ProviderError as error:
                shown += [str(error), error.hint, *traceback.format_exception(error)]
            return [repr(one) for one in (shown, it.state(), it.memory(), request, it, key, str(key))]

        told = "".join(one.run(act)) + repr(one.facts) + caplog.text
        assert one.server.seen[0].query["access_key"] == CANARY
        assert one.server.seen[0].headers["x-key"] == CANARY
        assert "CANARY" not in told


def test_words_of_a_provider__are_one_printable_line() -> None:
    with world(scripted(Play(b"\x1b[2Jgo\r\n\xff\x00away" + b"!" * 5_000, 400))) as one:
        error, _ = one_call(one)
        assert str(error).isprintable()
        assert len(str(error)) < 400


@pytest.mark.parametrize("value", ["short", "with a space", "line\nbreak-line", 'quo"tation"', "ключключ"])
def test_secret__that_cannot_be_kept_off_the_screen__is_refused_unseen(value: str) -> None:
    with pytest.raises(ValueError, match="a key must be") as refused:
        Secret(value)
    assert value not in str(refused.value)


@pytest.mark.parametrize("root", ["http://example.org", "ftp://b.c", "https://", "https://a@b.c", "x"])
def test_address__in_the_clear__is_refused(root: str) -> None:
    with world(scripted(GOOD)) as one:

        async def act(ports: Ports) -> None:
            with pytest.raises(ValueError, match="an address must be"):
                Caller("example", Terms(root, (Window(10),)), ports)

        one.run(act)


def test_wire__follows_nothing_and_keeps_no_cookie() -> None:
    cookie = {"Set-Cookie": "session=1"}
    play: Callable[[Seen], Play] = scripted(Play(GOOD.body, 200, cookie), GOOD)
    with world(play) as one:

        async def act(ports: Ports) -> None:
            it = caller(one, ports)
            await it.get(Request("/x"), body_of)
            await it.get(Request("/x"), body_of)

        one.run(act)
        assert "cookie" not in one.server.seen[1].headers
