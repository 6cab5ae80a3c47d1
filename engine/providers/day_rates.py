"""End-of-day rates over several calls: which days were taken, and why the others were not."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import date
from typing import NamedTuple

from engine.errors import ProviderError
from engine.providers.answers import Harvest, name_day_gaps
from engine.providers.protocol import BAD_ROW, UNFINISHED, Answer, FxRow, days_between, rate_problem
from engine.providers.wire import Reply

DayTest = Callable[[date], bool]
Reasons = dict[date, tuple[str, str]]  # reason and detail of a gap, by day


def always(_: date) -> bool:
    """The test of what is there for good."""
    return True


class DayRates(NamedTuple):
    """What one call brought: each rate with the day it is of."""

    reply: Reply
    rows: list[tuple[date, FxRow]]


class DayHarvest:
    """Rates of one base in several currencies. `is_final`: whether a day's rate is out for good."""

    def __init__(self, base: str, quotes: Sequence[str], is_final: DayTest) -> None:
        self.harvest: Harvest[FxRow] = Harvest()
        self._base, self._quotes, self._is_final = base, quotes, is_final
        self._got: set[tuple[str, date]] = set()
        self._bad: set[tuple[str, date]] = set()

    def take(self, rows: Iterable[tuple[date, FxRow]]) -> None:
        """Keeps the rates that are rates, of days that are final."""
        for day, row in rows:
            if rate_problem(row):
                self._bad.add((row.quote, day))
            elif self._is_final(day):
                self.harvest.rows.append(row)
                self._got.add((row.quote, day))

    def answer(self, expected: Sequence[date], known: Reasons | None = None) -> Answer:
        """All of it; the days of `expected` without a rate are named, with the reason where one is known."""
        for quote in self._quotes:
            why = {day: (BAD_ROW, "no rate") for of, day in self._bad if of == quote}
            why |= known or {}
            why |= {day: (UNFINISHED, "") for day in expected if not self._is_final(day)}
            got = {day for of, day in self._got if of == quote}
            self.harvest.gaps += name_day_gaps(f"{self._base}/{quote}", expected, got, why)
        return self.harvest.answer("rate")


async def gather(
    into: DayHarvest, first: date, last: date, call_days_max: int, is_expected: DayTest,
    ask: Callable[[date, date], Awaitable[DayRates]],
) -> Answer:  # fmt: skip
    """Asks for first..last in calls of `call_days_max` days, until done or in trouble."""
    days = days_between(first, last)
    rest = days
    while rest:
        part = rest[:call_days_max]
        try:
            rates = await ask(part[0], part[-1])
        except ProviderError as error:
            into.harvest.trouble = error
            break
        into.harvest.page(rates.reply)
        into.take(rates.rows)
        rest = rest[call_days_max:]
    return into.answer([day for day in days if is_expected(day)], into.harvest.unreached(rest))
