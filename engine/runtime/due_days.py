"""Which days of a series are to be valued, which assets of them, and from which close on.

A worked example, at 5m. Today was valued up to 12:00, and lies open. At 12:05 a bucket closes; a bar of BTC
for 11:55 came late, and a row of ETH dated yesterday:

    today        whole (all assets), from 11:55 on: what was there before stands
    yesterday    ETH alone, all closes: the day is files, and files are written whole

It reads nothing and values nothing.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass

import numpy as np

from engine.runtime.series import Calendar, Instants, Marks
from engine.runtime.spans import Span
from engine.store.reader import LAST

Parts = list[tuple[frozenset[str], Marks]]


@dataclass(slots=True)
class DueDays:
    """Days of all assets (`whole`), and of some (`parts`).

    known: the days that were valued up to their last close. asked: days, and from which instant on they are.
    """

    calendar: Calendar
    whole: Marks
    parts: Parts
    known: Marks
    asked: list[tuple[Marks, int]]

    def days(self) -> Marks:
        """All of them."""
        return np.asarray(np.any([self.whole, *(days for _, days in self.parts)], axis=0))

    def take_dropped(self, dropped: Marks) -> None:
        """What is due of a day that retention dropped, or that is not known, is all of it."""
        absent = dropped | ~self.known
        self.whole = np.asarray(np.any([self.whole, *(days & absent for _, days in self.parts)], axis=0))
        self.parts = [(assets, days & ~dropped) for assets, days in self.parts]

    def leave_out(self, days: Marks) -> None:
        self.whole = self.whole & ~days

    def of_dates(self, dates: set[str]) -> tuple[Marks, Parts]:
        """What is due of some days: of all assets, and of some."""
        here = self.calendar.of_dates(dates)
        return self.whole & here, [(assets, days & here) for assets, days in self.parts]

    def since(self, before: Mapping[str, tuple[int, int]], open_dates: Set[str]) -> Instants:
        """By day, from when on its closes are due; 0, all of it, where it does not lie open.

        before: dt -> the first and the last close of each day that stands.
        """
        begun = self.calendar.covered({day: (first, LAST) for day, (first, _) in before.items()})
        ends = np.array([before.get(day, (0, -1))[1] for day in self.calendar.dates], dtype=np.int64)
        firsts = np.min([ends + 1, *(np.where(days, first, LAST) for days, first in self.asked)], axis=0)
        return np.where(begun & self.calendar.of_dates(set(open_dates)), firsts, 0)


def due_days(
    calendar: Calendar, before: dict[str, tuple[int, int]], after: int | None, until: int | None,
    goes_on: bool, touched: Mapping[Span, frozenset[str]],
) -> DueDays:  # fmt: skip
    """All days with a close in (after, until], and of each span those that `touched` says, by its assets.

    goes_on: the days that were never valued, or not to their end, are due too. Of the time before the first
    price only what is made, or was, or what `after` asks for.
    """
    asked, known = calendar.within(after, until), calendar.covered(before)
    spans = [
        (assets, calendar.within(None if first is None else first - 1, last), first or 0)
        for (first, last), assets in touched.items()
    ]
    made = calendar.of_dates(set(before)) | calendar.needed()
    whole = asked | ~known if goes_on else asked
    if goes_on or after is None:
        whole = whole & made
    return DueDays(
        calendar,
        whole,
        [(assets, days & made) for assets, days, _ in spans],
        known,
        [(asked, 0 if after is None else after + 1), *((days, first) for _, days, first in spans)],
    )
