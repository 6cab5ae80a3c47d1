"""`navdeck --daemon`: an engine in the foreground, for a supervisor. Signals make it drain and end.

The first TERM or INT finishes what is under way (or gives it up before it commits) and ends with 0 within
ten seconds; a second TERM ends at once, and the next start takes up what was left. HUP reads the settings
again.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from engine.messages import Event
from engine.runtime.home import Home
from engine.runtime.host import Host
from engine.runtime.signals import on_signals
from engine.runtime.supervised import keep_alive, notify
from engine.runtime.telemetry.crash import as_data

OPEN_S = 8.0  # after a signal; then to end within ten seconds goes before


class Closing(Protocol):
    """A host with whatever serves it to others."""

    async def close(self) -> None: ...


async def run_daemon(path: Path, serve: Callable[[Host], Awaitable[Closing]]) -> None:
    """Runs until a signal; log lines go to stderr. HomeInUse if another engine has the home.

    `serve` lets others reach the host, or closes it; then the supervisor is told that it is ready.
    """
    stop, reload = asyncio.Event(), asyncio.Event()
    on_signals(lambda _: stop.set(), reload.set)
    host = await _opened(path, stop)
    host.subscribe(_write_log)
    _say(f"navdeck: working on {path} as process {os.getpid()}")
    served = await serve(host)
    tasks = [asyncio.create_task(keep_alive(host.heartbeat)), asyncio.create_task(_reload(host, reload))]
    try:
        notify("READY=1\nSTATUS=working")
        await stop.wait()
        notify("STOPPING=1\nSTATUS=draining")
        _say("navdeck: draining")
    finally:
        for task in tasks:
            task.cancel()
        await served.close()
    _say("navdeck: ended")


async def _opened(path: Path, stop: asyncio.Event) -> Host:
    """The host once it is open. A recovery that takes longer than a signal allows is the next start's."""
    opening, asked = asyncio.create_task(Host.open(Home(path))), asyncio.create_task(stop.wait())
    await asyncio.wait([opening, asked], return_when=asyncio.FIRST_COMPLETED)
    if not opening.done():
        await asyncio.wait([opening], timeout=OPEN_S)
    if not opening.done():
        _say("navdeck: ended before it was open; the next start goes on")
        os._exit(0)  # as a kill, which recovery is made for; a worker ends with its engine
    asked.cancel()
    return await opening


async def _reload(host: Host, asked: asyncio.Event) -> None:
    while True:
        await asked.wait()
        asked.clear()
        await host.reload()


def _write_log(event: Event) -> None:
    if event.kind == "log":
        _say(f"{event.data['at']} {event.data['level']:<4} {event.data['kind']}: {event.data['text']}")


def _say(line: str) -> None:
    """A log line. A terminal that is gone must not take the engine with it."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(as_data(line).replace("\n", "\\x0a") + "\n")
        sys.stderr.flush()
