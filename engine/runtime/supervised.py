"""What a supervisor such as systemd is told (sd_notify): ready, stopping, still alive.

Without NOTIFY_SOCKET in the environment nothing is said. It never decides whether the engine is well.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable

MICROSECONDS = 1_000_000


def notify(state: str) -> None:
    """Tells the supervisor; one that does not listen any more is no reason to stop."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as plug:
        plug.setblocking(False)
        plug.connect(address)
        plug.send(state.encode())


def watchdog_s() -> float | None:
    """Seconds between two signs of life that the supervisor asks for; None if it asks for none."""
    asked, of = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", str(os.getpid()))
    if not asked.isdecimal() or int(asked) == 0 or of != str(os.getpid()):
        return None
    return int(asked) / MICROSECONDS / 2


async def keep_alive(heartbeat: Callable[[], Awaitable[None]]) -> None:
    """Gives signs of life, each after a heartbeat of the one who writes: one that hangs is restarted."""
    every_s = watchdog_s()
    while every_s is not None:
        with contextlib.suppress(Exception):  # no heartbeat, no sign: the supervisor draws the conclusion
            await heartbeat()
            notify("WATCHDOG=1")
        await asyncio.sleep(every_s)
