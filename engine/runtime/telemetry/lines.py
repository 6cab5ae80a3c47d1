"""Files of lines in logs/: a new one each day and whenever one is full; old ones go by themselves.

It takes whole lines and never looks into them. A disk that will not take one costs that line, which is
counted, and nothing else: whoever works must not stop because nobody can write about it.
"""

import contextlib
import os
import re
from collections.abc import Callable
from pathlib import Path

from engine.domain.instants import DAY_US, format_instant
from engine.store.files import FILE_MODE

FILE_BYTES_MAX = 10_000_000  # bytes; opened in any editor
FILES_MAX = 20  # of one name, whatever their days: a flood of lines must not fill the disk
LEVELS = {"info": "info", "warn": "warning", "bad": "error"}  # how a line calls what people are told
FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW


def pages(folder: Path, name: str) -> list[tuple[str, int, Path]]:
    """(day, number, path) of every file of a name, oldest first."""
    shape = re.compile(re.escape(name) + r"-([0-9]{4}-[0-9]{2}-[0-9]{2})(?:-([0-9]+))?\.jsonl")
    found = [(shape.fullmatch(entry.name), entry) for entry in folder.iterdir()]
    return sorted((match[1], int(match[2] or 1), path) for match, path in found if match is not None)


class Lines:
    """One name's files: `<name>-2026-03-01.jsonl`, then `-2`, `-3` of that day. Of one process at a time.

    `days`: how many days back files are kept, 0 for always.
    """

    def __init__(self, folder: Path, name: str, days: int, now: Callable[[], int]) -> None:
        self._folder, self._name, self._days, self._now = folder, name, days, now
        self._file: int | None = None
        self._day, self._bytes, self._torn = "", 0, False
        self.lost = 0

    def write(self, text: str) -> None:
        """Adds one line."""
        line = text.encode("utf-8", "backslashreplace") + b"\n"
        try:
            self._turn_page(len(line))
            assert self._file is not None
            written = os.write(self._file, b"\n" + line if self._torn else line)
            self._bytes += written
            self._torn = written < len(line)
            self.lost += self._torn
        except OSError:
            self.lost += 1

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _turn_page(self, more: int) -> None:
        day = format_instant(self._now())[:10]
        if self._file is not None and day == self._day and self._bytes + more <= FILE_BYTES_MAX:
            return
        self.close()
        number = max((number for at, number, _ in pages(self._folder, self._name) if at == day), default=1)
        while True:
            page = "" if number == 1 else f"-{number}"
            self._file = os.open(self._folder / f"{self._name}-{day}{page}.jsonl", FLAGS, FILE_MODE)
            self._day, self._bytes = day, os.fstat(self._file).st_size
            if not self._bytes or self._bytes + more <= FILE_BYTES_MAX:
                break
            self.close()
            number += 1
        self._forget()

    def _forget(self) -> None:
        oldest = format_instant(max(0, self._now() - self._days * DAY_US))[:10] if self._days else ""
        kept = pages(self._folder, self._name)
        for place, (day, _, path) in enumerate(kept):
            if day < oldest or len(kept) - place > FILES_MAX:
                with contextlib.suppress(FileNotFoundError):
                    path.unlink()
