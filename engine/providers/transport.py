"""The one way to call a provider: limiter, breaker, then the wire, with retries inside a budget.

A call waits for its turn as long as the budget allows, fails at once where the breaker says no, and goes
again after a failure that may pass: with jitter after a 5xx or a timeout, after the cooldown for a 429.
Never reads a clock of its own and never decides what a reply means: adapters do.
"""

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import httpx2

from engine.domain.instants import SECOND_US, format_instant
from engine.errors import (
    AnswerBanned,
    AnswerRefused,
    AnswerRejected,
    AnswerThrottled,
    CallHeld,
    ProviderError,
)
from engine.providers.breaker import FROZEN, OPEN, SHUT, Breaker, Pass
from engine.providers.limits import RETRY_AFTER_US_MAX, Limiter, MonthCap, Ticket, Window, retry_after_us
from engine.providers.secrets import Secret
from engine.providers.wire import Bounds, Reply, Request, Wire

ATTEMPTS_MAX = 4  # the first call and three more
BUDGET_US = 90 * SECOND_US  # a cooldown and the calls around it
BACKOFF_US = SECOND_US  # the longest first pause after a failure; doubles with each
BACKOFF_US_MAX = 8 * SECOND_US


class Fact(NamedTuple):
    """Something an operator may want to know: RATE_LOWERED, RETRY_AFTER_CAPPED, BREAKER_OPENED,
    BREAKER_CLOSED, FROZEN or BANNED."""

    provider: str
    code: str
    text: str
    at_us: int


@dataclass(frozen=True, slots=True)
class Ports:
    """The world: wall clock (µs UTC), a clock that never jumps (µs), sleep (s), random in [0, 1), HTTP.

    `tell` hears every Fact.
    """

    now_us: Callable[[], int]
    ticks_us: Callable[[], int]
    sleep: Callable[[float], Awaitable[None]]
    random: Callable[[], float]
    http: httpx2.AsyncBaseTransport
    tell: Callable[[Fact], None]


@dataclass(frozen=True, slots=True)
class Terms:
    """A provider's terms: address, windows, weight of its heaviest call, monthly cap, keys, our patience."""

    root: str
    windows: tuple[Window, ...]
    heaviest: int = 1
    month: MonthCap | None = None
    secrets: tuple[Secret, ...] = ()
    bounds: Bounds = field(default_factory=Bounds)
    attempts_max: int = ATTEMPTS_MAX
    budget_us: int = BUDGET_US


@dataclass(frozen=True, slots=True)
class ProviderState:
    """What a panel shows. Instants in µs UTC or null; `level` in percent; `calls_left` in weight."""

    name: str
    state: str
    reason: str
    level: int
    calls_left: int
    calls_max: int
    cooldown_until: int | None
    next_probe: int | None
    month_left: int | None
    last_ok_at: int | None
    last_error: str
    last_error_code: str
    last_error_at: int | None


def _no_judge(_: Reply) -> ProviderError | None:
    return None


class Caller:
    """One provider's calls. Safe for any number of calls at once in one event loop.

    `judge` may see trouble in a reply of any status before its status counts, as in an error inside a 200.
    """

    def __init__(
        self,
        name: str,
        terms: Terms,
        ports: Ports,
        judge: Callable[[Reply], ProviderError | None] = _no_judge,
    ) -> None:
        self.name = name
        self._terms, self._ports, self._judge = terms, ports, judge
        self._wire = Wire(name, terms.root, ports.http, terms.secrets, terms.bounds)
        self._limiter = Limiter(terms.windows, terms.heaviest)
        self._breaker = Breaker()
        self._last_ok_at: int | None = None
        self._last_error: ProviderError | None = None
        self._last_error_at: int | None = None

    def now_us(self) -> int:
        """The wall clock, for adapters."""
        return self._ports.now_us()

    async def get[T](self, request: Request, read: Callable[[Reply], T]) -> T:
        """What `read` makes of the reply. ProviderError if there is none that can be used.

        `read` sees 2xx replies alone and raises AnswerUnreadable for what it cannot read.
        """
        begun, attempts, last = self._ports.ticks_us(), 0, None
        while True:
            await self._wait_turn(request.weight, begun, last)
            outcome = await self._attempt(request, read)
            if not isinstance(outcome, ProviderError):
                return outcome
            last, attempts = outcome, attempts + 1
            if not last.retryable or attempts >= self._terms.attempts_max:
                raise last
            if not isinstance(last, AnswerThrottled):
                await self._pause(attempts, begun, last)

    def told_used(self, used: int) -> None:
        """The provider's own count of the first window's weight."""
        self._limiter.told_used(used, self._ports.ticks_us())

    def state(self) -> ProviderState:
        """Everything there is to show."""
        ticks, now = self._ports.ticks_us(), self._ports.now_us()
        month, error = self._terms.month, self._last_error
        cooling, probe = self._limiter.cooldown_until, self._breaker.next_probe()
        return ProviderState(
            name=self.name,
            state=self._breaker.state(ticks),
            reason=self._breaker.reason,
            level=self._limiter.level(ticks),
            calls_left=0 if self._breaker.refusal(ticks) else self._limiter.left(ticks),
            calls_max=self._terms.windows[0].weight_max,
            cooldown_until=now + cooling - ticks if cooling > ticks else None,
            next_probe=None if probe is None else now + max(0, probe - ticks),
            month_left=None if month is None else month.left(now),
            last_ok_at=self._last_ok_at,
            last_error=str(error) if error else "",
            last_error_code=error.code if error else "",
            last_error_at=self._last_error_at,
        )

    def resume(self) -> None:
        """An operator opens the provider: the next call is a probe."""
        self._breaker.resume(self._ports.ticks_us())

    def shut(self, reason: str) -> None:
        """An operator closes the provider: no call until it is opened."""
        self._breaker.shut(reason)

    def memory(self) -> dict[str, Any]:
        """What must outlive this process, as JSON: a freeze, an operator's stop, a ban with its end."""
        state = self.state()
        kept = state.state in (FROZEN, SHUT) or state.next_probe is not None
        names = ("state", "reason", "next_probe")
        return {name: value for name, value in asdict(state).items() if name in names} if kept else {}

    def restore(self, memory: dict[str, Any]) -> None:
        """Takes up what `memory` gave. Nothing of it: all calls go."""
        if not memory:
            return
        state = memory["state"] if memory["state"] in (FROZEN, SHUT) else OPEN
        away_us = (memory["next_probe"] or 0) - self._ports.now_us()
        self._breaker.restore(state, memory["reason"], self._ports.ticks_us() + max(0, away_us))

    async def _wait_turn(self, weight: int, begun: int, last: ProviderError | None) -> None:
        """Returns when a call may go at once, or raises: `last` where a call was made, else CallHeld."""
        while True:
            now = self._ports.ticks_us()
            why, wait_us = self._hindrance(weight, now)
            if not why and not wait_us:
                return
            if wait_us is None or now + wait_us - begun > self._terms.budget_us:
                raise last or self._held(why, wait_us)
            await self._ports.sleep(wait_us / SECOND_US)

    def _hindrance(self, weight: int, now: int) -> tuple[str, int | None]:
        """Why a call may not go, and for how long; ("", 0) if it may. None: not within this call."""
        if refusal := self._breaker.refusal(now):
            return refusal, None
        month = self._terms.month
        if month is not None and month.left(self._ports.now_us()) < 1:
            return f"its {month.calls_max:,} calls of this month are used up", None
        wait_us = self._limiter.wait_us(weight, now)
        return ("its limit is reached" if wait_us else ""), wait_us

    def _held(self, why: str, wait_us: int | None) -> CallHeld:
        state, now, month = self.state(), self._ports.now_us(), self._terms.month
        if wait_us is not None:
            at: int | None = now + wait_us
        elif month is not None and month.left(now) < 1:
            at = month.next_month_us(now)
        else:
            at = state.next_probe
        by_itself = f"It goes on by itself at {format_instant(at)}." if at is not None else ""
        hint = by_itself or f"`navdeck providers open {self.name}` lets calls go again."
        return CallHeld(f"{self.name} was not called: {why}", hint, at)

    async def _attempt[T](self, request: Request, read: Callable[[Reply], T]) -> T | ProviderError:
        ticks = self._ports.ticks_us()
        ticket, leave = self._limiter.begin(request.weight, ticks), self._breaker.admit(ticks)
        try:
            outcome, wait_us = await self._exchange(request, read)
        except BaseException:
            self._breaker.dropped(leave)
            raise
        finally:
            self._limiter.end(ticket, self._ports.ticks_us())
        self._settle(ticket, leave, outcome if isinstance(outcome, ProviderError) else None, wait_us)
        return outcome

    async def _exchange[T](
        self, request: Request, read: Callable[[Reply], T]
    ) -> tuple[T | ProviderError, int | None]:
        """The outcome, and the wait that the provider named."""
        if self._terms.month is not None:
            await self._terms.month.count(self._ports.now_us())
        reply = await self._wire.exchange(request)
        if isinstance(reply, ProviderError):
            return reply, None
        wait_us = retry_after_us(reply.headers.get("retry-after"), reply.date_us or self._ports.now_us())
        error = self._judge(reply) or self._wire.status_error(reply)
        if error is not None:
            return error, wait_us
        try:
            return read(reply), None
        except ProviderError as unreadable:
            return unreadable, None

    def _settle(self, ticket: Ticket, leave: Pass, error: ProviderError | None, wait_us: int | None) -> None:
        now = self._ports.ticks_us()
        if error is None:
            self._last_ok_at = self._ports.now_us()
        else:
            self._last_error, self._last_error_at = error, self._ports.now_us()
        if error is None or isinstance(error, AnswerRejected):
            if self._breaker.succeeded(leave):
                self._limiter.back_from_outage(now)
                self._tell("BREAKER_CLOSED", "answers again; calls go on at half the rate")
        elif isinstance(error, AnswerThrottled):
            self._throttled(ticket, leave, error, wait_us, now)
        elif isinstance(error, AnswerBanned):
            self._limiter.throttled(ticket, None, now)
            if self._breaker.ban(leave, str(error), wait_us, now):
                self._tell("BANNED", str(error))
        elif isinstance(error, AnswerRefused):
            if self._breaker.freeze(leave, str(error)):
                self._tell("FROZEN", f"{error} {error.hint}")
        elif self._breaker.failed(leave, str(error), now):
            self._tell("BREAKER_OPENED", str(error))

    def _throttled(
        self, ticket: Ticket, leave: Pass, error: ProviderError, wait_us: int | None, now: int
    ) -> None:
        if self._limiter.throttled(ticket, wait_us, now):
            self._tell("RATE_LOWERED", f"to {self._limiter.level(now)} %: {error}")
            if (wait_us or 0) > RETRY_AFTER_US_MAX:
                asked_s, taken_s = (wait_us or 0) // SECOND_US, RETRY_AFTER_US_MAX // SECOND_US
                self._tell("RETRY_AFTER_CAPPED", f"asks for {asked_s:,} s, taken as {taken_s:,} s")
        self._breaker.hold(leave, str(error), self._limiter.cooldown_until)

    async def _pause(self, attempts: int, begun: int, last: ProviderError) -> None:
        longest = min(BACKOFF_US << (attempts - 1), BACKOFF_US_MAX)
        pause_us = round(longest * (1 + self._ports.random()) / 2)
        if self._ports.ticks_us() + pause_us - begun > self._terms.budget_us:
            raise last
        await self._ports.sleep(pause_us / SECOND_US)

    def _tell(self, code: str, text: str) -> None:
        self._ports.tell(Fact(self.name, code, text, self._ports.now_us()))
