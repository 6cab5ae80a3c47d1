"""The demo that moves: history first, then one made-up day fed bit by bit under a clock that runs faster.

Pure: it cuts the demo's files by the instants of their rows; who calls it owns the clock and the folder.
"""

import csv
import io
from bisect import bisect_right
from collections.abc import Callable

from engine.domain.instants import DAY_US, SECOND_US, parse_instant

SPEED = 20  # demo seconds a second: a 5m bucket closes every fifteen seconds
FEED_EVERY_S = 3.0
INSTANT_COLUMNS = ("timestamp", "bucket_close", "asof")

Files = list[tuple[str, bytes]]


class DemoFeed:
    """Cuts files into what is there at `start` and what comes after it."""

    def __init__(self, files: Files, start: int) -> None:
        self._files = [_Rows(name, data) for name, data in files]
        self._start = start
        self._fed = start
        self._number = 0

    def history(self) -> Files:
        """Everything up to the start, in order of arrival."""
        cut = [(rows.name, rows.part(None, self._start)) for rows in self._files]
        return [(name, data) for name, data in cut if data is not None]

    def due(self, now: int) -> Files:
        """What came since the last call; nothing twice. Names are numbered so that none comes twice."""
        self._number += 1
        cut = [(rows.name, rows.part(self._fed, now)) for rows in self._files]
        self._fed = now
        return [(f"{name.removesuffix('.csv')}-{self._number:04}.csv", data) for name, data in cut if data]


class _Rows:
    """One file's rows by instant. A row without a readable one stays with the row before it."""

    def __init__(self, name: str, data: bytes) -> None:
        self.name = name
        lines = list(csv.reader(io.StringIO(data.decode())))
        self._header = lines[0]
        column = next((self._header.index(c) for c in INSTANT_COLUMNS if c in self._header), None)
        stamped: list[tuple[int, int, list[str]]] = []
        last = 0
        for number, fields in enumerate(lines[1:]):
            at = None if column is None or len(fields) <= column else parse_instant(fields[column])
            last = last if at is None or (at > last + 30 * DAY_US and last) else at
            stamped.append((last, number, fields))
        stamped.sort(key=lambda row: row[:2])
        self._instants = [at for at, _, _ in stamped]
        self._lines = [fields for _, _, fields in stamped]

    def part(self, after: int | None, until: int) -> bytes | None:
        """The rows in (after, until] as a file of their own; None if there are none."""
        first = 0 if after is None else bisect_right(self._instants, after)
        lines = self._lines[first : bisect_right(self._instants, until)]
        if not lines:
            return None
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([self._header, *lines])
        return text.getvalue().encode()


def demo_clock(start: int, monotonic: Callable[[], float]) -> Callable[[], int]:
    """A clock that shows `start` now and runs SPEED times as fast as time."""
    began = monotonic()
    return lambda: start + int((monotonic() - began) * SPEED * SECOND_US)
