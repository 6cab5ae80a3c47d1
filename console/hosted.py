"""The console with its engine, in this process or attached to: what ends them, and in which order.

q, TERM and INT drain an engine of this process and restore the terminal; from one elsewhere they only take
leave. A hang-up does the same, but nothing is written to a terminal that is gone.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable

from console import themes
from console.app import NavdeckApp
from console.cli import EXIT_DONE, EXIT_FAILED
from console.terminal import Terminal
from console.tidying import tidy
from engine import api
from engine.api import EngineClient


async def run(
    connect: Callable[[], Awaitable[EngineClient]], terminal: Terminal, *, attached: bool = False
) -> int:
    """Shows the console until it is left; the exit code.

    `attached`: the engine is elsewhere; a lost one is sought again.
    """
    if not attached:
        from multiprocessing import resource_tracker

        # The worker needs this helper, and the helper a real stderr, which Textual is about to take.
        resource_tracker.ensure_running()
    hosted = _Hosted(connect, attached)
    app = NavdeckApp(hosted.connect, hosted.close, terminal=terminal, own_themes=themes.own_folder())
    ending: list[asyncio.Task[None]] = []

    def stop(number: int) -> None:
        if number == signal.SIGHUP:
            ending.append(asyncio.create_task(hosted.end_without_terminal()))
        else:
            app.call_after_refresh(app.do_quit)  # Textual cannot end in the middle of its first frame

    api.on_signals(stop)
    tidying = asyncio.create_task(tidy(lambda: app.pressed_at), name="tidying")
    try:
        await app.run_async(mouse=terminal.mouse)
    finally:
        tidying.cancel()
        await hosted.close()
    return app.return_code or EXIT_DONE


class _Hosted:
    """The one client of this process, closed once; opened once too, unless the engine is elsewhere."""

    def __init__(self, connect: Callable[[], Awaitable[EngineClient]], attached: bool = False) -> None:
        self._connect = connect
        self._attached = attached
        self._client: EngineClient | None = None
        self._closing = asyncio.Lock()

    async def connect(self) -> EngineClient:
        if self._attached:
            await self.close()
        if self._client is None:
            self._client = await self._connect()
        return self._client

    async def close(self) -> None:
        async with self._closing:
            client, self._client = self._client, None
            if client is not None:
                await client.close()

    async def end_without_terminal(self) -> None:
        """Drains, then leaves without a word: Textual would try to restore a terminal that is gone."""
        code = EXIT_FAILED
        try:
            await self.close()
            code = EXIT_DONE
        finally:
            os._exit(code)
