"""`navdeck --daemon`: an engine in the foreground, for a supervisor. Signals make it drain and end.

The first TERM, INT or HUP finishes what is under way (or gives it up before it commits) and ends with 0
within ten seconds; a second TERM ends at once, and the next start takes up what was left.
"""

import asyncio
import contextlib
import os
import sys
from pathlib import Path

from engine.messages import Event
from engine.runtime.home import Home
from engine.runtime.host import Host
from engine.runtime.signals import on_signals


async def run_daemon(path: Path) -> None:
    """Runs until a signal; log lines go to stderr. HomeInUse if another engine has the home."""
    stop = asyncio.Event()
    on_signals(lambda _: stop.set())
    host = await Host.open(Home(path))
    host.subscribe(_write_log)
    _say(f"navdeck: working on {path} as process {os.getpid()}")
    try:
        await stop.wait()
        _say("navdeck: draining")
    finally:
        await host.close()
    _say("navdeck: ended")


def _write_log(event: Event) -> None:
    if event.kind == "log":
        _say(f"{event.data['at']} {event.data['level']:<4} {event.data['kind']}: {event.data['text']}")


def _say(line: str) -> None:
    """A log line. A terminal that is gone must not take the engine with it."""
    printable = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in line)
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(printable + "\n")
        sys.stderr.flush()
