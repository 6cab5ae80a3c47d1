"""Where heavy work runs. A task is a module-level function of plain values that returns plain values.

Tasks carry paths, never open handles, so that another process (or machine) can run them; what they
found is committed by the caller alone.
"""

import asyncio
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Protocol, TypeVar

T = TypeVar("T")
ORPHAN_CHECK_S = 1.0  # how long a worker may outlive an engine that was killed


class Executor(Protocol):
    """Runs one task at a time, off the event loop."""

    async def run(self, task: Callable[..., T], *arguments: object) -> T: ...

    def close(self) -> None: ...


class ThreadExecutor:
    """In this process: for one-off verbs, where a worker's start would cost more than the work."""

    async def run(self, task: Callable[..., T], *arguments: object) -> T:
        return await asyncio.to_thread(task, *arguments)

    def close(self) -> None:
        """Nothing to end."""


class WorkerExecutor:
    """One warm, spawned worker process; polars keeps one core free for whoever is looking."""

    def __init__(self) -> None:
        threads = max(1, (os.cpu_count() or 2) - 1)
        self._pool = ProcessPoolExecutor(
            max_workers=1,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_warm,
            initargs=(threads, os.getpid()),
        )

    async def run(self, task: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, task, *arguments)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def kill(self) -> None:
        """Ends the worker in the middle of what it does; its tasks fail, and nothing of them is committed."""
        for child in multiprocessing.active_children():
            child.kill()


def _warm(threads: int, parent: int) -> None:
    # A terminal sends its signals to the whole group; the engine decides when its worker ends.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    os.environ.setdefault("POLARS_MAX_THREADS", str(threads))  # read once, when polars is imported
    import polars  # noqa: F401


def _end_with(parent: int) -> None:
    """Ends this worker once the engine that started it is gone, however it went."""
    while os.getppid() == parent:
        time.sleep(ORPHAN_CHECK_S)
    os._exit(1)
