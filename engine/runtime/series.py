"""Which closes a home's series has, and which of its days are to be valued, in slices that fit in memory.

A series is cut at local midnights that are bucket boundaries too, so that days, and with them partitions,
are whole. It values nothing and writes nothing.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from engine.config import CLOSES
from engine.domain.instants import DAY_US, HOUR_US
from engine.domain.resolutions import STEP_US
from engine.runtime.books import Books
from engine.store.reader import Reader
from engine.valuation import buckets
from engine.valuation.price_choice import pricing

Instants = NDArray[np.int64]
Marks = NDArray[np.bool_]

# Before the first price of all nothing can be valued. Buckets of that time are made only so far back from it:
# more than prices ever lag behind a ledger that is meant. A row dated 1970 costs no more.
BEFORE_PRICES_US = {"5m": 100 * DAY_US, "1h": 1_000 * DAY_US, "1d": 10_000 * DAY_US}
# Without any price they are made as their granularity is looked at by default; the rest, once there is one.
UNPRICED_REACH_US = {"5m": DAY_US, "1h": 90 * DAY_US, "1d": 10_000 * DAY_US}
_LEAD_US = 5 * DAY_US  # longer than any bucket


@dataclass(frozen=True, slots=True)
class Series:
    """The closes to value and the local day (dt) of each one's open."""

    closes: Instants
    days: list[str]


@dataclass(frozen=True, slots=True)
class Slice:
    """Days one after the other. `assets`: what of them is to be valued, None for everything.

    `begin`: the first instant. `is_cut`: it is in the midst of the first day; else the days are whole.
    """

    series: Series
    assets: frozenset[str] | None
    begin: int
    is_cut: bool


class Calendar:
    """The days of one resolution's series; `opens` and `ends` bound each, `dates` are their local dates."""

    def __init__(self, resolution: str, zone: str, first: int, last: int, made_from: int = 0) -> None:
        """`first`, `last`: the first and the last close. Those before `made_from` are made if asked for."""
        self.resolution, self.zone, self.first, self.last = resolution, zone, first, last
        self.made_from = max(first, made_from)
        bounds = buckets.closes("1d", zone, first - _LEAD_US, last + _LEAD_US)
        bounds = bounds[buckets.is_boundary(resolution, zone, bounds)]
        start = int(np.searchsorted(bounds, first, side="left")) - 1
        stop = int(np.searchsorted(bounds, last, side="left"))
        self.opens, self.ends = bounds[start:stop], bounds[start + 1 : stop + 1]
        self.dates = buckets.local_dates(self.opens, zone)

    def within(self, after: int | None, until: int | None) -> Marks:
        """The days that have a close in (after, until]."""
        low = self.first if after is None else self._first_close(max(after + 1, self.first))
        high = self.last if until is None else self._last_close(min(until, self.last))
        if low > high:
            return np.zeros(len(self.opens), dtype=bool)
        return np.asarray((self.ends >= low) & (self.opens < high))

    def covered(self, valued: dict[str, tuple[int, int]]) -> Marks:
        """The days of which all closes were valued; `valued`: dt -> its first and last valued close."""
        step = STEP_US[self.resolution]
        spans = [valued.get(date, (np.iinfo(np.int64).max, -1)) for date in self.dates]
        first, last = np.array(spans, dtype=np.int64).reshape(-1, 2).T
        begins = np.maximum(self.opens + step, self.first)
        return np.asarray((first <= begins) & (last >= np.minimum(self.ends, self.last)))

    def needed(self) -> Marks:
        """The days that are made though nobody asks for them."""
        return np.asarray(self.ends >= self.made_from)

    def span(self, wanted: Marks) -> tuple[int, int]:
        """The instants that bound all wanted days; one that holds nothing if there are none."""
        places = np.flatnonzero(wanted)
        return (int(self.opens[places[0]]) + 1, int(self.ends[places[-1]])) if len(places) else (1, 0)

    def of_dates(self, dates: set[str]) -> Marks:
        """The days of these dates."""
        return np.array([date in dates for date in self.dates], dtype=bool)

    def dates_of(self, marks: Marks) -> set[str]:
        """The dates of the marked days."""
        return {date for date, marked in zip(self.dates, marks, strict=True) if marked}

    def slices(
        self, whole: Marks, parts: Sequence[tuple[frozenset[str], Marks]] = (), closes_max: int = CLOSES,
        since: Instants | None = None,
    ) -> Iterator[Slice]:  # fmt: skip
        """The days that are `whole`, and the days of assets in `parts` that are not, in their order.

        In slices of at most so many closes, or one day, with the same assets on all of their days. `since`:
        by day, the instant from which its closes are wanted; a day that is cut so begins a slice.
        """
        a_day = DAY_US // STEP_US[self.resolution]
        days_max = max(1, closes_max // a_day)
        begins = self.opens + 1 if since is None else np.maximum(self.opens + 1, since)
        marks = np.stack([whole, *(days & ~whole for _, days in parts)])
        places = np.flatnonzero(marks.any(axis=0))
        differs = (marks[:, places[1:]] != marks[:, places[:-1]]).any(axis=0)
        is_cut = begins > np.maximum(self.opens + 1, self.first)
        for run in np.split(places, np.flatnonzero((np.diff(places) > 1) | differs | is_cut[places[1:]]) + 1):
            for start in range(0, len(run), days_max):
                first, last = int(run[start]), int(run[start : start + days_max][-1])
                some = [assets for (assets, _), is_in in zip(parts, marks[1:, first], strict=True) if is_in]
                assets = None if whole[first] else frozenset().union(*some)
                begin = int(begins[first])
                yield Slice(self._series(begin, last), assets, begin, bool(is_cut[first]))

    def _series(self, begin: int, last_day: int) -> Series:
        first = max(begin, self.first)
        closes = buckets.closes(self.resolution, self.zone, first, min(int(self.ends[last_day]), self.last))
        return dated(closes, self.resolution, self.zone)

    def _first_close(self, ts: int) -> int:
        return buckets.first_close(self.resolution, self.zone, ts)

    def _last_close(self, ts: int) -> int:
        return last_close(self.resolution, self.zone, ts)


def dated(closes: Instants, resolution: str, zone: str) -> Series:
    """Closes with the local day of each one's open."""
    return Series(closes, buckets.local_dates(buckets.opens(closes, resolution, zone), zone))


def last_close(resolution: str, zone: str, ts: int) -> int:
    """The last close at or before an instant."""
    return int(buckets.closes(resolution, zone, ts - _LEAD_US, ts)[-1])


def calendar_of(books: Books, resolution: str, reach: int | None, asked: int | None) -> Calendar | None:
    """The days of a series; with `reach` it goes on to the last close by then, priced or not.

    `asked`: the first close that somebody asked for, or that was made before, however early.
    """
    zone = books.config["timezone"]
    first, last = books.first_ts(), last_priced(books, resolution)
    if reach is not None:
        last = reach if last is None else max(last, reach)
    if first is None or last is None:
        return None
    opening, closing = buckets.first_close(resolution, zone, first), last_close(resolution, zone, last)
    made_from = _unpriced_start(books, resolution, last)
    opening = max(opening, made_from if asked is None else min(asked, made_from))
    return Calendar(resolution, zone, opening, closing, made_from) if opening <= closing else None


def _unpriced_start(books: Books, resolution: str, last: int) -> int:
    """The first close from which on buckets of a time before the first price are made."""
    zone = books.config["timezone"]
    if _worth_without_prices(books):
        return 0
    span = books.price_span()
    start = last - UNPRICED_REACH_US[resolution] if span is None else span[0] - BEFORE_PRICES_US[resolution]
    midnight = last_close("1d", zone, max(start - 1, 0))  # a close at midnight is the day before's
    return buckets.first_close(resolution, zone, midnight + 1)


def _worth_without_prices(books: Books) -> bool:
    """Whether anything may have a value that no observation gave: cash, a pegged token, a manual price."""
    pegged = books.ledger["asset"].is_in(list(books.price_policy.pegs)).any()
    manual = any(status.price is not None for found in books.statuses().values() for status in found)
    return books.cash_in_nav or bool(pegged) or manual


def last_priced(books: Books, resolution: str) -> int | None:
    """The last close of a resolution that some observation can price."""
    span = books.price_span()
    if span is None:
        return None
    (oldest, newest), zone = span, books.config["timezone"]
    # Looked at from the newest back, at first about as far as one bucket. Closes are further apart than any
    # tolerance, so what is older prices no later close than what was found.
    back = STEP_US[resolution] + HOUR_US
    while True:
        since = newest - back
        closes = buckets.closes(resolution, zone, since, newest + 2 * DAY_US)
        found = pricing(books.prices_of(None, [(since + 1, newest)]), resolution, closes)
        last = int(closes[int(found["b"].max())]) if found.height else None  # type: ignore[arg-type]
        if last is not None or since < oldest:
            return last
        back *= 8


def reached(books: Books, assets: Iterable[str]) -> frozenset[str]:
    """The assets whose quantities may follow from rows of these: of their fees, and of the money moved."""
    paid = books.ledger.select("asset", "fee_asset").drop_nulls().unique()
    fees: dict[str, set[str]] = {}
    for asset, fee in paid.iter_rows():
        fees.setdefault(asset, set()).add(fee)
    found, fresh = set(assets), set(assets)
    while fresh:
        fresh = set().union(*(fees.get(asset, set()) for asset in fresh)) - found
        found |= fresh
    return frozenset(found | (books.cash_assets if books.cash_in_nav else set()))


def valued_days(reader: Reader, resolution: str) -> dict[str, tuple[int, int]]:
    """dt -> the first and the last close of each day that was valued, dropped or not."""
    rows = reader.rows("SELECT dt, close_first, close_last FROM valued WHERE resolution = ?", (resolution,))
    return {dt: (first, last) for dt, first, last in rows}


def dropped_days(reader: Reader, resolution: str) -> set[str]:
    """The days that were valued and dropped by retention."""
    rows = reader.rows(
        "SELECT dt FROM valued WHERE resolution = ? AND dropped_at IS NOT NULL", (resolution,)
    )
    return {dt for (dt,) in rows}


def movements_by(movements: pl.DataFrame, last: int, assets: frozenset[str] | None) -> pl.DataFrame:
    """The movements that count by an instant, of some assets or all."""
    kept = movements.filter(pl.col("ts") <= last)
    return kept if assets is None else kept.filter(pl.col("asset").is_in(list(assets)))
