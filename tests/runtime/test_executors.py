"""A worker that ends where it must not: its task is lost, and nobody waits for what it would have said."""

import asyncio
import os
import struct
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from engine.errors import WorkerLost
from engine.runtime import executors
from engine.runtime.executors import ThreadExecutor, WorkerExecutor


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


def rests_of(seconds: float, wanted: bool) -> list[float]:
    """In a worker: what rests follow, one after the other, on so much processor time; none is taken."""
    rests: list[float] = []
    took: Any = executors.time

    def sleep(seconds: float) -> None:
        if threading.current_thread() is threading.main_thread():
            rests.append(seconds)
        else:  # a worker's watch over whom it belongs to
            time.sleep(seconds)

    executors.time = SimpleNamespace(sleep=sleep, monotonic=time.process_time)  # type: ignore[assignment]
    try:
        with executors.giving_way(lambda: wanted):
            work(seconds)
        work(0.1)
    finally:
        executors.time = took
    return rests


def work(seconds: float) -> None:
    """Keeps a core busy for so much processor time."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


@pytest.mark.parametrize("executor", [WorkerExecutor, ThreadExecutor])
def test_giving_way__rests_after_each_bit_of_work__where_signals_come(
    executor: type[WorkerExecutor] | type[ThreadExecutor],
) -> None:
    async def run() -> None:
        worker = executor()
        try:
            rests = await worker.run(rests_of, 0.5, True)
            assert await worker.run(rests_of, 0.1, False) == []
        finally:
            worker.close()
        if executor is ThreadExecutor:
            assert rests == []
        else:
            wanted = executors.RESTS_FOR_WORK * 0.5
            assert 0.8 * wanted < sum(rests) < 1.2 * wanted
            assert max(rests) < wanted / 3

    asyncio.run(run())


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
