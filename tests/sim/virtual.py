"""An event loop whose time passes only while nobody has anything to do: a day in a minute.

Work in threads and in the database takes no time at all; sockets and pipes are real.
"""

import asyncio
import selectors
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import aiosqlite
import pytest

LOOK_S = 0.02  # of real time, while threads work
LOOKS_IDLE_MAX = 1_500  # in a row with nobody at work and nothing to wait for: it would be for ever


class VirtualLoop(asyncio.SelectorEventLoop):
    """`time` is what has passed since the start, in seconds."""

    def __init__(self) -> None:
        self._passed_s = 0.0
        self._at_work = 0
        super().__init__(_Selector(self._spend))

    def time(self) -> float:
        return self._passed_s

    @contextmanager
    def working(self) -> Iterator[None]:
        """Time stands still meanwhile."""
        self._at_work += 1
        try:
            yield
        finally:
            self._at_work -= 1

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:
        future = super().run_in_executor(executor, func, *args)
        self._at_work += 1
        future.add_done_callback(self._rested)
        return future

    def _rested(self, _: object) -> None:
        self._at_work -= 1

    def _spend(self, seconds: float) -> bool:
        """Lets time pass, if nobody works."""
        if self._at_work:
            return False
        self._passed_s += seconds
        return True


class _Selector(selectors.EpollSelector):
    """Never waits for time: it lets it pass."""

    def __init__(self, spend: Callable[[float], bool]) -> None:
        super().__init__()
        self._spend = spend
        self._idle = 0

    def select(self, timeout: float | None = None) -> list[Any]:
        found = super().select(0)
        if found or timeout == 0:
            self._idle = 0
            return found
        if timeout is not None and self._spend(timeout):
            return []
        self._idle = self._idle + 1 if timeout is None else 0
        if self._idle > LOOKS_IDLE_MAX:
            raise RuntimeError("Everybody waits, and nothing will ever happen.")
        return super().select(LOOK_S)


def count_database(patch: pytest.MonkeyPatch) -> None:
    """What the writer's connection does counts as work."""
    for name in ("_execute", "_connect", "close"):
        patch.setattr(aiosqlite.Connection, name, _counted(getattr(aiosqlite.Connection, name)))


def _counted(call: Callable[..., Any]) -> Callable[..., Any]:
    async def counted(self: Any, *arguments: Any, **options: Any) -> Any:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        with loop.working():
            return await call(self, *arguments, **options)

    return counted
