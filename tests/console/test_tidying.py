"""Cyclic garbage is looked for at rest, and in the end however busy the operator is."""

import asyncio
import gc
import weakref

import pytest

from console import tidying
from console.tidying import APART_S, BUSY_MAX_S, REST_S, is_due, tidy


class Ring:
    def __init__(self) -> None:
        self.me = self


@pytest.mark.parametrize(
    ("now", "pressed_at", "done_at", "due"),
    [
        (100.0, 100.0 - REST_S, 100.0 - APART_S, True),
        (100.0, 99.0, 100.0 - APART_S, False),  # a key was just pressed
        (100.0, 0.0, 99.0, False),  # it was just done
        (1000.0, 999.0, 1000.0 - BUSY_MAX_S, True),  # keys all the while
    ],
)
def test_due(now: float, pressed_at: float, done_at: float, due: bool) -> None:
    assert is_due(now, pressed_at, done_at) is due


def test_tidy__at_rest__a_ring_that_nobody_holds_goes__and_the_collector_is_left_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tidying, "START_S", 0.0)
    monkeypatch.setattr(tidying, "LOOK_EVERY_S", 0.001)
    before, moments = gc.get_threshold(), iter(range(0, 10**9, 60))

    async def run() -> None:
        at_work = asyncio.create_task(tidy(lambda: -60.0, lambda: next(moments)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        held = Ring()
        ring = weakref.ref(held)
        gc.collect(1)
        gc.collect(1)  # it is old now: only a full collection finds it
        del held
        while ring() is not None:  # noqa: ASYNC110  the collector tells nobody
            await asyncio.sleep(0.001)
        at_work.cancel()
        await asyncio.gather(at_work, return_exceptions=True)

    try:
        asyncio.run(asyncio.wait_for(run(), 30))
        assert gc.get_threshold() == before
    finally:
        gc.unfreeze()
