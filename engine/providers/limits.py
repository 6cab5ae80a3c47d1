"""How fast a provider may be called: sliding windows, a level that adapts, and a monthly cap.

The problem. A provider counts calls (or their weight) over a minute by its own clock, on arrival. A call
that we started at 0 s may arrive at 3 s, one that we start at 61 s may arrive at once: a window over our
own starts would then show it more than it allows. So a call counts from its start until a whole window
after its end: however late it arrives, it is still counted.

The level. 100 % of the configured rate, in steps of 10 %, never under 50 %. A 429 is an event: one step
down, and no call for a cooldown of 60 s, or as long as Retry-After says, up to an hour. Each 60 s after the
cooldown without an event give one step back. A burst of 429s is one event: one whose call began before the
last step says nothing new (but if it names a longer wait, that is kept).

    10:00:00  429          level  90, no calls until 10:01:00
    10:00:01  429, begun at 09:59:58: the same burst, level 90
    10:01:05  429          level  80, no calls until 10:02:05
    10:03:05               level  90
    10:04:05               level 100

Pure: instants are microseconds of a clock that never jumps, given by the caller.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from engine.domain.instants import HOUR_US, MINUTE_US, SECOND_US, from_us, to_us

LEVEL_MAX, LEVEL_MIN, LEVEL_STEP = 100, 50, 10  # percent of the configured rate
COOLDOWN_US = MINUTE_US  # without calls after a 429 that names no wait
CLIMB_US = MINUTE_US  # without an event for one step back
RETRY_AFTER_US_MAX = HOUR_US  # a longer wait is cut to this, with an alert

_SECONDS = re.compile(r"[0-9]{1,15}")


class Window(NamedTuple):
    """At most `weight_max` (calls, or their weight) in any `span_us`."""

    weight_max: int
    span_us: int = MINUTE_US


@dataclass(slots=True, eq=False)
class Ticket:
    """One call that counts, from `start` until a window after `end` (null: in flight)."""

    start: int
    weight: int
    end: int | None = None


class Limiter:
    """One provider's windows and level. ValueError if its heaviest call would not fit at the lowest level."""

    def __init__(self, windows: Sequence[Window], heaviest: int = 1) -> None:
        if not windows or any(w.weight_max * LEVEL_MIN // 100 < heaviest or w.span_us <= 0 for w in windows):
            raise ValueError(f"a limit must allow calls of weight {heaviest} at {LEVEL_MIN} %")
        self._windows = tuple(windows)
        self._span_us = max(window.span_us for window in windows)
        self._tickets: list[Ticket] = []
        self._level = LEVEL_MAX
        self._climbs_from = 0  # when the level was `_level`; it climbs from then on
        self._stepped_at: int | None = None
        self.cooldown_until = 0

    def level(self, now: int) -> int:
        """Percent of the configured rate that is in force."""
        climbed = max(0, now - self._climbs_from) // CLIMB_US * LEVEL_STEP
        return min(LEVEL_MAX, self._level + climbed)

    def left(self, now: int) -> int:
        """The weight that may still go now, in the tightest window."""
        if now < self.cooldown_until:
            return 0
        return max(0, min(self._allowed(window, now) - self._used(window, now) for window in self._windows))

    def wait_us(self, weight: int, now: int) -> int:
        """How long until a call may go; 0: now. With calls in flight it may turn out longer."""
        waits = [self._window_wait_us(window, weight, now) for window in self._windows]
        return max(0, self.cooldown_until - now, *waits)

    def begin(self, weight: int, now: int) -> Ticket:
        """Counts a call that goes out now."""
        self._tickets = [t for t in self._tickets if t.end is None or t.end + self._span_us > now]
        ticket = Ticket(now, weight)
        self._tickets.append(ticket)
        return ticket

    def end(self, ticket: Ticket, now: int) -> None:
        """The call is over, answered or not."""
        ticket.end = now

    def told_used(self, used: int, now: int) -> None:
        """The provider's own count in the first window: what is not ours was called by others from here."""
        window = self._windows[0]
        foreign = used - self._used(window, now)
        if foreign > 0:
            self._tickets.append(Ticket(now, foreign, now))

    def throttled(self, ticket: Ticket, wait_us: int | None, now: int) -> bool:
        """A 429 for a call, with the wait that it named. Whether it was a new event."""
        named = min(wait_us or 0, RETRY_AFTER_US_MAX)
        if self._stepped_at is not None and ticket.start < self._stepped_at:
            if now + named > self.cooldown_until:
                self._cool_until(now + named)
            return False
        self._level = max(LEVEL_MIN, self.level(now) - LEVEL_STEP)
        self._stepped_at = now
        self._cool_until(now + max(COOLDOWN_US, named))
        return True

    def back_from_outage(self, now: int) -> None:
        """A probe was answered: calls go on at the lowest level, which climbs."""
        self._level = LEVEL_MIN
        self._climbs_from = max(now, self.cooldown_until)

    def _cool_until(self, until: int) -> None:
        self.cooldown_until = max(self.cooldown_until, until)
        self._climbs_from = self.cooldown_until

    def _allowed(self, window: Window, now: int) -> int:
        return window.weight_max * self.level(now) // 100

    def _used(self, window: Window, now: int) -> int:
        return sum(t.weight for t in self._tickets if t.end is None or t.end + window.span_us > now)

    def _window_wait_us(self, window: Window, weight: int, now: int) -> int:
        over = self._used(window, now) + weight - self._allowed(window, now)
        if over <= 0:
            return 0
        counted = [(now if t.end is None else t.end, t.weight) for t in self._tickets]
        for end, freed in sorted(counted):
            if end + window.span_us > now:
                over -= freed
                if over <= 0:
                    return end + window.span_us - now
        return window.span_us


class MonthCap:
    """At most `calls_max` a calendar month (UTC), attempts counted before they go.

    `keep(month, calls)` is awaited first, so that a crash never forgets a call that may be billed.
    """

    def __init__(
        self, calls_max: int, keep: Callable[[str, int], Awaitable[None]], month: str = "", used: int = 0
    ) -> None:
        self.calls_max = calls_max
        self._keep = keep
        self._month = month
        self._used = used

    def left(self, now_us: int) -> int:
        """Calls left in the month of an instant. A month before the last counted one is not refilled."""
        return self.calls_max - (self._used if self._current(now_us) == self._month else 0)

    async def count(self, now_us: int) -> None:
        """Counts one call. Call only while some are left."""
        month = self._current(now_us)
        self._used = self._used + 1 if month == self._month else 1
        self._month = month
        await self._keep(month, self._used)

    def next_month_us(self, now_us: int) -> int:
        """When the cap is full again."""
        month = from_us(now_us).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        later = month.replace(year=month.year + 1, month=1) if month.month == 12 else None
        return to_us(later or month.replace(month=month.month + 1))

    def _current(self, now_us: int) -> str:
        return max(self._month, from_us(now_us).strftime("%Y-%m"))


def retry_after_us(text: str | None, now_us: int) -> int | None:
    """The wait that a Retry-After names, in seconds or as an HTTP date. None: it names none.

    Missing, zero, negative, past and unreadable are all none: the cooldown then counts. `now_us`: the wall
    clock, the provider's own where it told it.
    """
    if text is None:
        return None
    text = text.strip()
    if _SECONDS.fullmatch(text):
        return int(text) * SECOND_US or None
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    wait = to_us(moment) - now_us
    return wait if wait > 0 else None
