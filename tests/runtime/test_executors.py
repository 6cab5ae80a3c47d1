"""A worker that ends where it must not: its task is lost, and nobody waits for what it would have said."""

import asyncio
import os
import struct
import time
from typing import Any

import pytest

from engine.errors import WorkerLost
from engine.runtime import executors
from engine.runtime.executors import WorkerExecutor


def says(word: str) -> str:
    """In a worker: a report, and the same as its result."""
    executors.report(word, {})
    return word


def ends_in_the_middle_of_a_word() -> None:
    """In a worker: killed while a report of a thousand bytes is on its way."""
    say: Any = executors._say
    inner = dict(zip(say.__code__.co_freevars, say.__closure__, strict=True))
    os.write(inner["saying"].cell_contents.fileno(), struct.pack("!i", 1_000) + b"half of i")
    os._exit(9)


def class_of_this_thread() -> int:
    """In a worker: what the system takes it for, once it stands back."""
    executors.stand_back()
    return os.sched_getscheduler(0)


def test_worker__that_stands_back__takes_only_what_nobody_else_wants() -> None:
    if not hasattr(os, "SCHED_IDLE"):
        pytest.skip("this system has no such class")

    async def work() -> None:
        worker = WorkerExecutor()
        try:
            assert await worker.run(class_of_this_thread) == os.SCHED_IDLE
        finally:
            worker.close()

    asyncio.run(work())


def test_worker__is_killed__another_one_goes_on() -> None:
    async def work() -> None:
        one, other = WorkerExecutor(), WorkerExecutor()
        try:
            assert await other.run(os.getpid) != await one.run(os.getpid)
            answer, lost = other.run(rests, 0.5), one.run(rests, 60.0)
            both = asyncio.gather(answer, lost, return_exceptions=True)
            await asyncio.sleep(0.1)
            one.kill()
            rested, ended = await both
            assert rested == 0.5
            assert isinstance(ended, WorkerLost)
        finally:
            one.close()
            other.close()

    asyncio.run(work())


def rests(seconds: float) -> float:
    """In a worker."""
    time.sleep(seconds)
    return seconds


def test_worker__killed_in_the_middle_of_a_report__is_lost__and_the_next_one_is_heard() -> None:
    heard: list[str] = []

    async def work() -> None:
        worker = WorkerExecutor()
        worker.listen(lambda kind, _: heard.append(kind))
        try:
            assert await worker.run(says, "before") == "before"
            with pytest.raises(WorkerLost):
                await worker.run(ends_in_the_middle_of_a_word)
            assert await worker.run(says, "after") == "after"
        finally:
            worker.close()

    asyncio.run(work())
    assert heard == ["before", "after"]
