"""When cyclic garbage is looked for: at rest, never between a key and what it shows.

A full collection walks through all that lives, and holds the event loop up for as long as a few frames.
"""

import asyncio
import gc
import time
from collections.abc import Callable

START_S = 5.0  # by then all is imported, and there is an engine to look at
LOOK_EVERY_S = 1.0
REST_S = 3.0  # since the last key
APART_S = 30.0  # between two collections at rest
BUSY_MAX_S = 300.0  # without any rest; memory is worth a pause then
NEVER = 1_000_000  # collections of the middle generation before the collector takes all by itself


async def tidy(pressed_at: Callable[[], float], clock: Callable[[], float] = time.monotonic) -> None:
    """Collects in the background until it is cancelled. `pressed_at`: when the last key was pressed."""
    await asyncio.sleep(START_S)
    before = gc.get_threshold()
    gc.freeze()  # nearly all that there is by now stays to the end: no need to walk through it
    gc.set_threshold(*before[:2], NEVER)
    done_at = clock()
    try:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            if is_due(clock(), pressed_at(), done_at) and gc.get_count()[2]:
                gc.collect()
                done_at = clock()
    finally:
        gc.set_threshold(*before)


def is_due(now: float, pressed_at: float, done_at: float) -> bool:
    """Whether it is time for a full collection; all in seconds."""
    is_at_rest = now - pressed_at >= REST_S
    return now - done_at >= (APART_S if is_at_rest else BUSY_MAX_S)
