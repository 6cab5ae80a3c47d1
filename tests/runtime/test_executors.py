"""A worker that ends where it must not: its task is lost, and nobody waits for what it would have said."""

import asyncio
import os
import struct
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
