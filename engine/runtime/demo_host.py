"""The demo as a host: a new home with a month of history, and a day that goes on under a faster clock."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.domain.instants import DAY_US
from engine.runtime.clock import system_clock
from engine.runtime.demo import demo_files
from engine.runtime.demo_feed import FEED_EVERY_S, SPEED, DemoFeed, Files, demo_clock
from engine.runtime.engine import make_home
from engine.runtime.home import Home
from engine.runtime.host import Host
from engine.store.files import publish

LABEL = "DEMO"
SETTINGS = """
[fx]
primary = ["demo_fx_hourly"]
fallback = ["demo_ecb_eod"]
eod_only = ["EUR/GBP"]

[fx.pegs]
USDT = "USD"

[backup]
nightly = false
"""


async def make_demo_home(path: Path, clock: Callable[[], int] = system_clock) -> None:
    """A new home with the demo's sources and peg in its settings."""
    home = Home(path)
    await make_home(home, "USD", "UTC", "FIFO", clock)
    publish(home.config_path, home.config_path.read_bytes() + SETTINGS.encode())


class DemoHost:
    """A host and the feeder beside it."""

    def __init__(self, host: Host, feeding: asyncio.Task[None]) -> None:
        self._host = host
        self._feeding = feeding
        self.do, self.ask, self.subscribe, self.log = host.do, host.ask, host.subscribe, host.log

    @classmethod
    async def open(cls, path: Path, seed: int) -> "DemoHost":
        """Makes the home and starts to work and to feed it."""
        end = system_clock() // DAY_US * DAY_US
        start = end - DAY_US
        await make_demo_home(path, lambda: start)  # its commits are told on the demo's clock
        feed = DemoFeed(await asyncio.to_thread(demo_files, seed, end), start)
        drop(Home(path).inbox, await asyncio.to_thread(feed.history))
        clock = demo_clock(start, time.monotonic)
        host = await Host.open(Home(path), LABEL, clock)
        host.pace = SPEED
        return cls(host, asyncio.create_task(_feed(Home(path).inbox, feed, clock, end), name="feeder"))

    async def close(self) -> None:
        self._feeding.cancel()
        await self._host.close()


async def _feed(inbox: Path, feed: DemoFeed, clock: Any, end: int) -> None:
    while (now := clock()) < end:
        await asyncio.sleep(FEED_EVERY_S)
        drop(inbox, await asyncio.to_thread(feed.due, min(now, end)))


def drop(inbox: Path, files: Files) -> None:
    """Puts files into an inbox whole, as a careful sender does."""
    for name, data in files:
        publish(inbox / name, data)
