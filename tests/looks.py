"""What a process holds on to, looked at again and again: a line a look in a file, and the looks read back."""

import json
from pathlib import Path
from typing import Any

import psutil

Look = dict[str, Any]


def look(looks: Path, at_s: float, process: psutil.Process, **more: Any) -> None:
    """Adds a line: resident bytes and open files of a process, and `more`, at `at_s` since the beginning."""
    told = {
        "process": process.pid, "at_s": at_s, "rss": process.memory_info().rss, "files": process.num_fds(),
        **more,
    }  # fmt: skip
    with open(looks, "a") as lines:
        lines.write(json.dumps(told) + "\n")


def by_process(looks: Path) -> dict[int, list[Look]]:
    """All looks, in their order."""
    told: dict[int, list[Look]] = {}
    for line in looks.read_text().splitlines():
        one = json.loads(line)
        told.setdefault(one["process"], []).append(one)
    return told
