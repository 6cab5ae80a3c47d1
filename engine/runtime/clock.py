"""The machine's clocks. The one place that asks the machine for the time; all else is told it."""

import time


def system_clock() -> int:
    """Now, in microseconds UTC."""
    return time.time_ns() // 1000


def steady_us() -> int:
    """Microseconds of a clock that never jumps."""
    return time.monotonic_ns() // 1000
