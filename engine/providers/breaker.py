"""Whether a provider may be called at all: closed, open, half-open, frozen or shut.

    closed     calls go. FAILURES_MAX failures in a row open it.
    open       no call until the wait is over; then it is
    half-open  exactly one probe goes, the others fail at once. The probe's success closes it, its failure
               opens it again for twice as long.
    frozen     the provider refuses us (401, 403, 451): no call until an operator opens it.
    shut       an operator closed it.

A result counts only for the state that let its call go: a slow answer from before an outage neither closes
the breaker nor fails the probe. A ban (418) is an open breaker with the ban's end. What an operator opens
is tried by one probe first. Pure: instants are microseconds of a clock that never jumps.
"""

from dataclasses import dataclass

from engine.domain.instants import DAY_US, MINUTE_US, SECOND_US

FAILURES_MAX = 5  # in a row, before calls stop
WAIT_US = 15 * SECOND_US  # before the first probe; doubles with each that fails
WAIT_US_MAX = MINUTE_US  # a probe a minute hurts nobody, and recovery is never further away than a cooldown
BAN_US = 2 * MINUTE_US  # a first ban that names no end; doubles with each
BAN_US_MAX = 3 * DAY_US  # the longest ban that providers document

CLOSED, OPEN, HALF_OPEN, FROZEN, SHUT = "closed", "open", "half-open", "frozen", "shut"


@dataclass(frozen=True, slots=True, eq=False)
class Pass:
    """Leave for one call."""

    turn: int
    start: int
    probe: bool


class Breaker:
    """One provider's state. Every Pass goes back once: succeeded, failed, hold, freeze, ban or dropped."""

    def __init__(self) -> None:
        self.reason = ""
        self._state = CLOSED
        self._turn = 0  # counts changes of state
        self._failures = 0
        self._bans = 0
        self._wait_us = WAIT_US
        self._until = 0
        self._probe: Pass | None = None
        self._resumed_at = 0

    def state(self, now: int) -> str:
        """One of the five words."""
        if self._state == OPEN and (self._probe is not None or now >= self._until):
            return HALF_OPEN
        return self._state

    def next_probe(self) -> int | None:
        """When a probe may go; null where none will."""
        return self._until if self._state == OPEN else None

    def refusal(self, now: int) -> str:
        """Why no call may go now; "" if one may."""
        if self._state == CLOSED:
            return ""
        if self._state == OPEN and now >= self._until:
            return "one probe is under way" if self._probe is not None else ""
        return self.reason

    def admit(self, now: int) -> Pass:
        """Leave for one call, when `refusal` says "" ."""
        leave = Pass(self._turn, now, self._state != CLOSED)
        if leave.probe:
            self._probe = leave
        return leave

    def succeeded(self, leave: Pass) -> bool:
        """The provider answered. Whether that closed the breaker."""
        if leave.turn != self._turn:
            return False
        self._failures = self._bans = 0
        if leave.probe:
            self._wait_us = WAIT_US
            self._become(CLOSED, "")
        return leave.probe

    def failed(self, leave: Pass, why: str, now: int) -> bool:
        """The provider failed. Whether that opened the breaker."""
        if leave.turn != self._turn:
            return False
        self._failures += 1
        if leave.probe:
            self._wait_us = min(2 * self._wait_us, WAIT_US_MAX)
        elif self._failures < FAILURES_MAX:
            return False
        self._open_until(now + self._wait_us, why)
        return True

    def freeze(self, leave: Pass, why: str) -> bool:
        """The provider refuses us. Whether that is news: not if an operator opened it since."""
        if leave.start < self._resumed_at or self._state in (FROZEN, SHUT):
            return False
        self._become(FROZEN, why)
        return True

    def ban(self, leave: Pass, why: str, wait_us: int | None, now: int) -> bool:
        """The provider banned us, for `wait_us` if it said so. Whether that is news."""
        if leave.start < self._resumed_at or self._state in (FROZEN, SHUT):
            return False
        if leave.turn != self._turn:  # of the same burst: the longer end counts
            self._until = max(self._until, now + min(wait_us or 0, BAN_US_MAX))
            return False
        self._bans += 1
        growing = BAN_US << min(self._bans - 1, 16)
        self._open_until(now + min(wait_us or growing, BAN_US_MAX), why)
        return True

    def hold(self, leave: Pass, why: str, until: int) -> None:
        """A probe was told to wait: another one goes then. Says nothing of other calls."""
        if leave.probe and leave.turn == self._turn:
            self._open_until(until, why)

    def dropped(self, leave: Pass) -> None:
        """The call was abandoned without a result."""
        if leave is self._probe:
            self._probe = None

    def resume(self, now: int) -> None:
        """An operator lets calls go again; the first is a probe. Nothing changes if they go already."""
        if self._state != CLOSED:
            self._resumed_at = now
            self._open_until(now, "opened by an operator, not yet tried")

    def shut(self, why: str) -> None:
        """An operator stops all calls."""
        self._become(SHUT, why)

    def restore(self, state: str, reason: str, until: int) -> None:
        """Takes up a state that was left: frozen, shut, or open (a ban) until an instant."""
        self._become(state, reason)
        self._until = until

    def _open_until(self, until: int, why: str) -> None:
        self._become(OPEN, why)
        self._until = until

    def _become(self, state: str, why: str) -> None:
        self._state, self.reason = state, why
        self._turn += 1
        self._failures = 0
        self._probe = None
