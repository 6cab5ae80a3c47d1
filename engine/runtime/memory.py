"""How much memory is in use: of the machine, and by this process and its workers. Bytes, and a ratio."""

from typing import Any

import psutil

RSS_STEP_BYTES = 16 << 20  # a smaller change of this process tree is not worth a line on a slow terminal


def moved(before: dict[str, Any] | None, now: dict[str, Any]) -> bool:
    """Whether a person would see a difference: a whole percent, or RSS_STEP_BYTES of our own."""
    if before is None:
        return True
    percent = round(before["ratio"] * 100) != round(now["ratio"] * 100)
    return percent or bool(abs(before["rss_bytes"] - now["rss_bytes"]) >= RSS_STEP_BYTES)


def memory_now() -> dict[str, Any]:
    """`used_bytes` and `limit_bytes` of the machine, their `ratio`, and `rss_bytes` of this process tree."""
    machine = psutil.virtual_memory()
    own = psutil.Process()
    rss = 0
    for process in (own, *own.children(recursive=True)):
        try:
            rss += process.memory_info().rss
        except psutil.NoSuchProcess:  # it ended between the listing and the look
            continue
    used = machine.total - machine.available
    return {
        "used_bytes": used, "limit_bytes": machine.total, "ratio": used / machine.total, "rss_bytes": rss,
    }  # fmt: skip
