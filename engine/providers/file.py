"""A folder of price and FX files as a provider: what a request asks for is read out of them.

Files have the contract's header and keep their own sources; one that is none of the two is trouble, and the
others count all the same. Reads files and nothing else; nothing is kept between requests.
"""

import asyncio
import csv
import io
from collections.abc import Collection, Sequence
from datetime import date
from pathlib import Path

from engine.domain.instants import from_us, parse_instant
from engine.domain.resolutions import RESOLUTIONS
from engine.errors import AnswerUnreadable
from engine.providers.answers import Harvest
from engine.providers.day_rates import DayHarvest, DayTest, always
from engine.providers.protocol import (
    BAD_ROW,
    HEADERS,
    Answer,
    FxRow,
    Gives,
    Kind,
    Page,
    PriceRow,
    Series,
    days_between,
    name_gaps,
    price_problem,
    utc_closes,
)
from engine.providers.secrets import excerpt

NAME = "file"
FILE_BYTES_MAX = 10_000_000  # as the inbox
GIVES = (Gives("price", RESOLUTIONS, 100_000), Gives("rate", ("1d",), 100_000))

Found = tuple[Page, list[list[str]]]  # a file, and its records


class FileProvider:
    """`assets`, `pairs` (EUR/USD): what the folder may be asked for. Days with rates: `is_expected`."""

    name = NAME
    gives = GIVES

    def __init__(
        self, folder: Path, assets: Collection[str], pairs: Collection[str], is_expected: DayTest
    ) -> None:
        self._folder, self._is_expected = folder, is_expected
        self._names: dict[Kind, frozenset[str]] = {"price": frozenset(assets), "rate": frozenset(pairs)}

    def knows(self, kind: Kind, name: str) -> bool:
        """Whether the folder may be asked for it."""
        return name in self._names[kind]

    async def fetch_prices(self, asset: str, resolution: str, start: int, end: int) -> Answer:
        """The files' prices of that resolution for the closes in (start, end]."""
        harvest: Harvest[PriceRow] = Harvest()
        why: dict[int, tuple[str, str]] = {}

        def wanted(row: PriceRow) -> bool:
            return row[:2] == (asset, resolution) and start < row.asof <= end

        for page, records in await asyncio.to_thread(self._read, "price", harvest):
            rows = [row for row in map(_price, records) if wanted(row)]
            good = [row for row in rows if not price_problem(row)]
            why |= {row.asof: (BAD_ROW, price_problem(row)) for row in rows if price_problem(row)}
            harvest.rows += good
            harvest.pages += [page] if good else []
        series, expected = Series("price", asset, resolution), utc_closes(resolution, start, end)
        harvest.gaps += name_gaps(series, expected, {row.asof for row in harvest.rows}, why)
        return harvest.answer("price")

    async def fetch_rates(self, base: str, quotes: Sequence[str], first: date, last: date) -> Answer:
        """The files' daily rates of the UTC days first..last."""
        into = DayHarvest(base, quotes, always)

        def wanted(row: FxRow) -> bool:
            return (row.base, row.resolution) == (base, "1d") and row.quote in quotes and row.asof >= 0

        for page, records in await asyncio.to_thread(self._read, "rate", into.harvest):
            dated = [(from_us(row.asof).date(), row) for row in map(_rate, records) if wanted(row)]
            before = len(into.harvest.rows)
            into.take((day, row) for day, row in dated if first <= day <= last)
            into.harvest.pages += [page] if len(into.harvest.rows) > before else []
        return into.answer([day for day in days_between(first, last) if self._is_expected(day)])

    def _read[Row: (PriceRow, FxRow)](self, kind: Kind, harvest: Harvest[Row]) -> list[Found]:
        found = []
        for path in sorted(path for path in self._folder.glob("*.csv") if path.is_file()):
            try:
                data = _bytes_of(path)
                header, records = _records(data)
            except (OSError, ValueError, csv.Error) as error:
                why = type(error).__name__ if isinstance(error, OSError) else str(error)
                harvest.trouble = AnswerUnreadable(f"{NAME}, {excerpt(path.name)}: {excerpt(why)}")
                continue
            if header == HEADERS[kind]:
                found.append((Page(f"file:{excerpt(path.name)}", data), records))
        return found


def _bytes_of(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(FILE_BYTES_MAX + 1)
    if len(data) > FILE_BYTES_MAX:
        raise ValueError(f"over {FILE_BYTES_MAX:,} bytes")
    return data


def _records(data: bytes) -> tuple[tuple[str, ...], list[list[str]]]:
    """The header, and the records that have as many fields. ValueError if it is none of the two headers."""
    lines = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True))
    header = tuple(lines[0]) if lines else ()
    if header not in HEADERS.values():
        raise ValueError("not the header of a price or an FX file")
    return header, [record for record in lines[1:] if len(record) == len(header)]


def _price(record: list[str]) -> PriceRow:
    return PriceRow._make([*record[:2], _asof(record[2]), *record[3:]])


def _rate(record: list[str]) -> FxRow:
    return FxRow._make([*record[:4], _asof(record[4]), record[5]])


def _asof(text: str) -> int:
    """The instant; -1, which nobody asks for, where there is none."""
    instant = parse_instant(text)
    return -1 if instant is None else instant
