"""Brings alerts out of the house: to the operator's own command, or to a web address. Never in anyone's way.

Each way has a queue of its own, in state.db: raised and cleared are delivered in order, at least once, and
what was delivered is remembered. A message that cannot be delivered is tried again, with growing pauses and
jitter, within a budget; then it rests, and after a day it is given up, which is told. The number of the alert
and the word (`raised`, `cleared`) name a message, so that a receiver can tell a repetition.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from engine.config import Config
from engine.domain.instants import DAY_US
from engine.runtime.alerts.book import AlertBook, Log
from engine.runtime.alerts.rules import Alert
from engine.runtime.alerts.stored import told

HOOK, WEBHOOK = 1, 4  # bits of `owed` for being raised; the next higher bit is for being cleared
BUDGET_S = 60.0  # of one message in a row
PAUSE_FIRST_S, PAUSE_MAX_S = 1.0, 20.0  # between two tries; doubles
REST_S = 600.0  # after a budget is used up
GIVEN_UP_US = DAY_US  # after which a message is of no use to anybody
Message = dict[str, Any]
Send = Callable[[Message], Awaitable[None]]


class NotDelivered(Exception):
    """Why, in words without secrets; `wait_s`: how long the receiver asks to be left alone."""

    def __init__(self, why: str, wait_s: float | None = None) -> None:
        super().__init__(why)
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class World:
    """Clock (µs UTC), steady seconds, sleep, random in [0, 1)."""

    now_us: Callable[[], int]
    steady_s: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    random: Callable[[], float]


class Courier:
    """One way out."""

    def __init__(self, way: str, bit: int, book: AlertBook, home: str, log: Log, world: World) -> None:
        self._way, self._bit = way, bit
        self._book, self._home, self._log, self._world = book, home, log, world
        self._is_down = False
        self._news = asyncio.Event()
        book.news.append(self._news)

    async def run(self, send: Callable[[], Send | None]) -> None:
        """Delivers what is owed and what comes, for ever. `send`: the way as it is set now, None for none."""
        while True:
            self._news.clear()
            try:
                done = await self.deliver_all(send())
            except Exception as error:  # whatever the fault: it is told, what is owed stays owed
                self._log("bad", "alert_not_delivered", f"{self._way}: {error}")
                done = False
            try:
                await asyncio.wait_for(self._news.wait(), None if done else REST_S)
            except TimeoutError:
                continue

    async def deliver_all(self, send: Send | None) -> bool:
        """Delivers what is owed, oldest first; False as soon as something could not be."""
        for alert in await self._book.owed(self._bit | self._bit << 1):
            for bit, word in ((self._bit, "raised"), (self._bit << 1, "cleared")):
                if alert.owed & bit and not await self._dealt_with(alert, word, send):
                    return False
                if alert.owed & bit:
                    await self._book.delivered(alert.id, bit)
        return True

    async def _dealt_with(self, alert: Alert, word: str, send: Send | None) -> bool:
        """Whether a message needs no more care: it was delivered, or is given up, or nobody wants it."""
        if send is None:
            return True
        what = f"{self._way}: alert {alert.id} {word}"
        try:
            await self._tried(send, self._message(alert, word))
        except NotDelivered as error:
            at = alert.raised_at if word == "raised" else alert.cleared_at
            if self._world.now_us() - (at or 0) > GIVEN_UP_US:
                self._log("bad", "alert_given_up", f"{what} was never taken: {error}")
                return True
            if not self._is_down:
                self._log("bad", "alert_not_delivered", f"{what}: {error}")
            self._is_down = True
            return False
        self._is_down = False
        return True

    async def _tried(self, send: Send, message: Message) -> None:
        """Sends until it is taken or the budget is used up."""
        begun, pause_s = self._world.steady_s(), PAUSE_FIRST_S
        while True:
            try:
                await send(message)
                return
            except NotDelivered as error:
                wait_s = max(error.wait_s or 0.0, pause_s * (0.5 + self._world.random() / 2))
                if self._world.steady_s() - begun + wait_s > BUDGET_S:
                    raise
            await self._world.sleep(wait_s)
            pause_s = min(pause_s * 2, PAUSE_MAX_S)

    def _message(self, alert: Alert, word: str) -> Message:
        about = told(alert, {})
        del about["state"], about["acked"]
        if word == "raised":
            about["cleared_at"] = None
        return {"event": word, **about, "home": self._home}


def owed_bits(config: Config) -> int:
    """The bits of being raised, for the ways that are set."""
    return HOOK * bool(config["alerts.hook"]) + WEBHOOK * bool(config["alerts.webhook"])
