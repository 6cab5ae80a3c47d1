"""Frankfurter, version 1: the ECB's reference rates and nothing else, EUR to each currency.

A weekend or a holiday is answered with the day before, and only the date in the answer says so: what is
dated outside the days that were asked for is left out, so that no rate is carried over in silence. A day's
rates may change until they are out for certain, at 16:30 in Frankfurt; until then the day before serves.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

from engine.domain.money import SCALE, to_scaled
from engine.providers.answers import plain_text, read_day, read_json, unreadable
from engine.providers.day_rates import DayHarvest, DayRates, gather
from engine.providers.ecb import BASE, FixingDay, at_weekend, fixing_us, published_us
from engine.providers.limits import Window
from engine.providers.protocol import Answer, FxRow, Gives, Kind, check_id
from engine.providers.transport import Caller, Ports, ProviderState, Terms
from engine.providers.wire import Reply, Request

NAME = "frankfurter"
SOURCE = "frankfurter_ecb"
ROOT = "https://api.frankfurter.dev"
CALLS_A_MINUTE = 20  # no limit is stated; one range a day is all that is needed
CALL_DAYS_MAX = 1_000
FIRST_DAY = date(1999, 1, 4)


def terms(root: str = ROOT, calls_a_minute: int = CALLS_A_MINUTE) -> Terms:
    """Polite terms, or as configured."""
    return Terms(root, (Window(calls_a_minute),))


class Frankfurter:
    """`quotes`: the currencies to ask for; `is_fixing_day` says which days should have rates."""

    name = NAME
    gives = (Gives("rate", ("1d",), CALL_DAYS_MAX, earliest=fixing_us(FIRST_DAY)),)

    def __init__(
        self, quotes: Sequence[str], given: Terms, ports: Ports, is_fixing_day: FixingDay,
        source: str = SOURCE,
    ) -> None:  # fmt: skip
        self._quotes = frozenset(check_id(quote) for quote in quotes)
        self._is_fixing_day, self._source = is_fixing_day, source
        self.caller = Caller(NAME, given, ports)

    def knows(self, kind: Kind, name: str) -> bool:
        """Whether the pair is EUR to one of its currencies."""
        base, _, quote = name.partition("/")
        return kind == "rate" and base == BASE and quote in self._quotes

    def state(self) -> ProviderState:
        """What a panel shows."""
        return self.caller.state()

    async def fetch_rates(self, base: str, quotes: Sequence[str], first: date, last: date) -> Answer:
        """Fixings of the days first..last, EUR to each of `quotes`. ValueError for another base."""
        if base != BASE:
            raise ValueError(f"{NAME} has rates of {BASE} alone")
        into = DayHarvest(base, quotes, lambda day: published_us(day) <= self.caller.now_us())

        async def ask(start: date, end: date) -> DayRates:
            return await self._rates(quotes, start, end)

        return await gather(into, first, last, CALL_DAYS_MAX, self._is_fixing_day, ask)

    async def _rates(self, quotes: Sequence[str], first: date, last: date) -> DayRates:
        params = (("base", BASE), ("symbols", ",".join(quotes)))

        def read(reply: Reply) -> DayRates:
            rows = []
            for day, quote, raw in _listed(reply):
                if first <= day <= last and not at_weekend(day) and quote in quotes:
                    row = FxRow(BASE, quote, plain_text(raw), "1d", fixing_us(day), self._source)
                    rows.append((day, row))
            return DayRates(reply, rows)

        return await self.caller.get(Request(f"/v1/{first}..{last}", params), read)


def _listed(reply: Reply) -> Iterator[tuple[date, str, Any]]:
    """(day, currency, number) of an answer for a range, or for one day."""
    body = read_json(reply)
    if not isinstance(body, dict) or not isinstance(body.get("rates"), dict):
        raise unreadable(reply, "no rates")
    amount = plain_text(body.get("amount", "1"))
    if body.get("base") != BASE or not amount or to_scaled(amount) != SCALE:
        raise unreadable(reply, f"rates of something else than one {BASE}")
    by_day = {body["date"]: body["rates"]} if "date" in body else body["rates"]
    for written, rates in by_day.items():
        day = read_day(written)
        if day is None or not isinstance(rates, dict):
            raise unreadable(reply, "rates without a day")
        yield from ((day, quote, raw) for quote, raw in rates.items())
