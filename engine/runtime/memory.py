"""How much memory is in use: of the machine, and by this process and its workers. Bytes, and a ratio."""

from typing import Any

import psutil


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
