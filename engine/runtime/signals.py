"""Signals of a process that hosts an engine: the first asks it to drain, a second TERM ends it at once."""

import asyncio
import os
import signal
from collections.abc import Callable

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
EXIT_AT_ONCE = 1


def on_signals(stop: Callable[[int], None], reload: Callable[[], None] | None = None) -> None:
    """Calls `stop` with the number of the first TERM, INT or HUP; a second TERM ends the process at once.

    With `reload`, every HUP calls that instead: a process without a terminal has none to lose.
    """
    loop = asyncio.get_running_loop()
    asked: list[int] = []

    def take(number: int) -> None:
        if asked and number == signal.SIGTERM:
            os._exit(EXIT_AT_ONCE)
        if not asked:
            stop(number)
        asked.append(number)

    for number in SIGNALS:
        loop.add_signal_handler(number, take, number)
    if reload is not None:
        loop.add_signal_handler(signal.SIGHUP, reload)
