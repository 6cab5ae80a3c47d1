"""What a provider is: what it can give, what it answers, and an answer as the CSV that the inbox takes.

Numbers stay decimal text from the wire to the file; a value that is not a plain decimal, or a bar that
contradicts itself, is left out and named as a gap. Nothing is filled, moved or rounded here.
"""

import csv
import io
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal, NamedTuple, Protocol

from engine.domain.instants import format_instant
from engine.domain.money import is_plain, to_scaled
from engine.domain.resolutions import STEP_US
from engine.errors import ProviderError

Kind = Literal["price", "rate"]

FILE_ROWS_MAX = 20_000  # rows of one rendered file: under 10 MB with every field at its longest

# Why there is nothing.
NOT_PUBLISHED = "NOT_PUBLISHED"  # the provider answered, and has nothing there
UNFINISHED = "UNFINISHED"  # the bucket or the day is not over
BAD_ROW = "BAD_ROW"  # it has something there that is no price or rate
BEYOND_HISTORY = "BEYOND_HISTORY"  # before, or after, what the providers of the series have
NO_PROVIDER = "NO_PROVIDER"  # nobody is configured to give the series
UNREACHED = "UNREACHED"  # the call failed; `detail` is the error's code

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")


class PriceRow(NamedTuple):
    """One observation in the columns of a price file; `asof` in µs UTC, "" for what is not known."""

    asset_id: str
    resolution: str
    asof: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    quote_currency: str
    price_source: str


class FxRow(NamedTuple):
    """One observation in the columns of an FX file: one `base` = `rate` × `quote`; `asof` in µs UTC."""

    base: str
    quote: str
    rate: str
    resolution: str
    asof: int
    fx_source: str


HEADERS: dict[Kind, tuple[str, ...]] = {
    "price": tuple("bucket_close" if name == "asof" else name for name in PriceRow._fields),
    "rate": FxRow._fields,
}


class Series(NamedTuple):
    """What is asked for: an asset's prices, or a pair's rates (`EUR/USD`), at one resolution."""

    kind: Kind
    name: str
    resolution: str


class Gap(NamedTuple):
    """Nothing for the closes or fixings of (start, end], µs UTC; `reason` is one of those above."""

    series: Series
    start: int
    end: int
    reason: str
    detail: str = ""


class Page(NamedTuple):
    """One answer as it came: where from, without secrets, and its bytes, secrets struck out."""

    url: str
    body: bytes


class Gives(NamedTuple):
    """What a provider can give of one kind: `back_us` counts from now, the instants are absolute."""

    kind: Kind
    resolutions: tuple[str, ...]
    rows_per_call: int
    back_us: int | None = None
    earliest: int | None = None
    latest: int | None = None

    def covers(self, resolution: str, instant: int, now: int) -> bool:
        """Whether the provider has that far back, and that far on."""
        first = max(now - self.back_us if self.back_us is not None else 0, self.earliest or 0)
        last = now if self.latest is None else min(now, self.latest)
        return resolution in self.resolutions and first <= instant <= last


class Instrument(NamedTuple):
    """An asset at a provider: the provider's id for it, and the currency that its prices are in."""

    symbol: str
    quote: str


@dataclass(frozen=True)
class Answer:
    """What came of one request. `trouble`: what stopped it; `gaps` then name what was not reached."""

    kind: Kind
    rows: tuple[PriceRow, ...] | tuple[FxRow, ...] = ()
    pages: tuple[Page, ...] = ()
    gaps: tuple[Gap, ...] = ()
    trouble: ProviderError | None = None

    def csv_files(self) -> list[bytes]:
        """The observations as files that the inbox takes, sorted by instant; none without observations."""
        rows: list[PriceRow | FxRow] = sorted(self.rows, key=lambda row: (row.asof, row))
        return [
            render(self.kind, rows[first : first + FILE_ROWS_MAX])
            for first in range(0, len(rows), FILE_ROWS_MAX)
        ]


class Provider(Protocol):
    """A source of observations."""

    @property
    def name(self) -> str:
        """As in the configuration; short, printable."""

    @property
    def gives(self) -> Sequence[Gives]:
        """What it has."""

    def knows(self, kind: Kind, name: str) -> bool:
        """Whether it can be asked for that asset or pair."""


class PriceProvider(Provider, Protocol):
    async def fetch_prices(self, asset: str, resolution: str, start: int, end: int) -> Answer:
        """Prices for the closes in (start, end]. Raises no ProviderError: it is the answer's trouble."""


class RateProvider(Provider, Protocol):
    async def fetch_rates(self, base: str, quotes: Sequence[str], first: date, last: date) -> Answer:
        """End-of-day rates of the days first..last, both included. Trouble as for prices."""


def render(kind: Kind, rows: Iterable[PriceRow | FxRow]) -> bytes:
    """Rows as CSV with the contract's header."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADERS[kind])
    writer.writerows(row._replace(asof=format_instant(row.asof)) for row in rows)  # type: ignore[arg-type]
    return out.getvalue().encode()


def price_problem(row: PriceRow) -> str:
    """What makes a price no price, "" if nothing does: the contract's grammar and laws of a bar."""
    prices = {name: getattr(row, name) for name in ("open", "high", "low", "close") if getattr(row, name)}
    if "close" not in prices:
        return "no close"
    for name, text in prices.items():
        if not is_plain(text) or to_scaled(text) <= 0:
            return f"{name} is no price"
    if row.volume and (not is_plain(row.volume) or to_scaled(row.volume) < 0):
        return "volume is no quantity"
    close = to_scaled(row.close)
    low, high = (to_scaled(prices.get(name, row.close)) for name in ("low", "high"))
    return "" if low <= close <= high else "the close is outside low and high"


def rate_problem(row: FxRow) -> str:
    """What makes a rate no rate, "" if nothing does."""
    return "" if is_plain(row.rate) and to_scaled(row.rate) > 0 else "no rate"


def check_id(text: str) -> str:
    """An asset or currency id as the contract has it. ValueError for anything else."""
    if _ID.fullmatch(text) is None:
        raise ValueError(f"not an asset or currency id: {text!r}")
    return text


def utc_closes(resolution: str, start: int, end: int) -> range:
    """The closes in (start, end] by the UTC clock."""
    step = STEP_US[resolution]
    return range((start // step + 1) * step, end + 1, step)


def days_between(first: date, last: date) -> list[date]:
    """first..last, both included."""
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def name_gaps(
    series: Series, expected: Sequence[int], got: Collection[int], why: Mapping[int, tuple[str, str]],
    other: tuple[str, str] = (NOT_PUBLISHED, ""),
) -> list[Gap]:  # fmt: skip
    """What of `expected` (ascending) is not in `got`, neighbours with one reason as one gap.

    `why`: reason and detail by instant, `other` for the rest. A gap starts at the expected instant before
    it, or 1 µs before its own first.
    """
    gaps: list[Gap] = []
    before, open_gap = None, False
    for instant in expected:
        if instant in got:
            open_gap = False
        else:
            reason = why.get(instant, other)
            if open_gap and gaps[-1][3:] == reason:
                gaps[-1] = gaps[-1]._replace(end=instant)
            else:
                gaps.append(Gap(series, instant - 1 if before is None else before, instant, *reason))
            open_gap = True
        before = instant
    return gaps
