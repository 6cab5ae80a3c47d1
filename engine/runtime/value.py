"""Valuation of a home at one resolution: inputs from the store, values from the engine, files in the lake.

It runs in the executor, writes files that nobody lists yet, and gives back their records and the rows of days
that are not over (see open_day.py); putting.py commits them. Days are valued whole, so partitions are whole;
one that lies open is valued from the first close on that may be another now (see due_days.py).
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from engine.config import CLOSES
from engine.domain.instants import format_instant
from engine.domain.money import in_range, to_text
from engine.domain.resolutions import SPOT_TOLERANCE_US
from engine.errors import LakeError, StoreIntegrity
from engine.runtime.asking import inputs_told
from engine.runtime.books import Books
from engine.runtime.due_days import due_days
from engine.runtime.far import Far
from engine.runtime.home import Home
from engine.runtime.kept_books import open_books
from engine.runtime.open_day import ROWS_MAX, open_dates, open_rows
from engine.runtime.series import (
    Calendar,
    Series,
    Slice,
    calendar_of,
    dropped_days,
    last_close,
    movements_by,
    reached,
    valued_days,
)
from engine.runtime.spans import Span, Touched
from engine.runtime.telemetry.spans import span
from engine.runtime.unpriced import unvalued
from engine.runtime.valued import Restated, Valued
from engine.snapshots.nav_reader import read_points, read_sums
from engine.snapshots.open_rows import changes, stored, typed
from engine.snapshots.parquet_writer import AssetFiles, paths
from engine.snapshots.schemas import OPEN_KEY, FileRecord
from engine.store.reader import LAST, Reader
from engine.valuation import price_engine
from engine.valuation.buckets import first_close
from engine.valuation.positions import positions
from engine.valuation.price_choice import PEG_WINDOW_US, choose, peg_broken, windows
from engine.valuation.rates import RateVector

GROUP_ROWS = 10_000  # of assets whose snapshots are made in one pass: a pass over one row costs as much

def value_resolution(
    home_path: str, now: int, resolution: str, after: int | None, until: int | None,
    reach: int | None = None, touched: Touched | None = None, closes_max: int = CLOSES,
) -> Valued:  # fmt: skip
    """Values all days that have a close in (after, until]; writes the files of those that are over by `now`.

    Of the time before the first price of all only the last part is made, or what `after` asks for.
    `reach`: the series goes on to the last close by then, priced or not (a running engine's now), and its
    days that were never valued are too. `touched`: of other days, what changes with these assets in their
    spans. `complete` counts closes at which all that was valued has a value. JobCancelled between two slices
    if somebody asked for the end.
    """
    home = Home(Path(home_path))
    done = Valued(resolution, after is None and until is None)
    with Reader(home.state) as reader:
        books = open_books(home, reader)
        done.follows_from = inputs_told(reader, books.config)
        if (first := books.first_ts()) is not None:
            done.series_first = first_close(resolution, books.config["timezone"], first)
        before = valued_days(reader, resolution)
        early = [first for first, _ in before.values()]
        if after is not None and reach is None:
            early.append(first_close(resolution, books.config["timezone"], after + 1))
        calendar = calendar_of(books, resolution, reach, min(early, default=None))
        if reach is None or done.whole:  # it looks at the whole ledger: not at every close
            done.unvalued = unvalued(reader, books.config)
        if calendar is None:
            return done
        done.left_out = _left_out(calendar, done.series_first)
        due = due_days(calendar, before, after, until, reach is not None, _by_span(books, touched or {}))
        live = Live(reader, resolution, *calendar.span(due.days()))
        done.open_dates = open_dates(calendar, now, live.days)
        with span("lots"):
            moves = books.movements()
        dropped = calendar.of_dates(dropped_days(reader, resolution))
        due.take_dropped(dropped)
        if dropped.any():
            done.still_dropped = calendar.dates_of(dropped & ~due.whole)
            digests = reader.dropped_contents(resolution)
            for part in calendar.slices(due.whole & dropped, closes_max=closes_max):
                done.still_dropped |= unchanged_days(books, resolution, part.series, moves, digests)
            due.leave_out(calendar.of_dates(done.still_dropped))
        gone = calendar.dates_of(dropped)
        before = {day: span for day, span in before.items() if day not in gone}
        many = reader.count("open_snapshots", "bucket = ?", (resolution,)) > ROWS_MAX // 2
        since = None if many else due.since(before, done.open_dates)
        far = Far(home, resolution, int(due.days().sum()))
        for part in calendar.slices(due.whole, due.parts, closes_max, since):
            if not _value_slice(home, books, moves, done, part, live, before):
                whole, parts = due.of_dates(set(part.series.days))
                for again in calendar.slices(whole, parts, closes_max):
                    _value_slice(home, books, moves, done, again, live, before)
            far.moved(len(set(part.series.days)))
        os.sync()  # one flush for thousands of small files, before anyone lists them
    return done


def _left_out(calendar: Calendar, series_first: int | None) -> tuple[int, int] | None:
    """The first and the last close of the series that the calendar goes without."""
    if series_first is None or calendar.first <= series_first:
        return None
    return series_first, last_close(calendar.resolution, calendar.zone, calendar.first - 1)


def _by_span(books: Books, touched: Touched) -> dict[Span, frozenset[str]]:
    """The assets of each span, with those that their rows reach: a span without an end is of rows."""
    found: dict[Span, set[str]] = {}
    for asset, when in touched.items():
        found.setdefault(when, set()).add(asset)
    return {
        when: frozenset(assets) if when[1] is not None else reached(books, assets)
        for when, assets in found.items()
    }


def unchanged_days(
    books: Books, resolution: str, series: Series, movements: pl.DataFrame,
    digests: Mapping[tuple[str, str], str],
) -> set[str]:  # fmt: skip
    """The days of a series whose partitions, made anew, have just these content digests. Writes nothing."""
    moves = movements_by(movements, int(series.closes[-1]), None)
    inputs = inputs_of(books, resolution, series.closes, moves)
    made: dict[tuple[str, str], str] = {}
    for values, files in asset_files(series, inputs):
        made |= {(dt, values.asset): content for dt, content in files.contents()}
    days = set(series.days)
    known = {key: content for key, content in digests.items() if key[0] in days}
    return days - {key[0] for key in made.keys() | known.keys() if made.get(key) != known.get(key)}


class Live:
    """What stands of some days: live files by day and asset, and open rows as stored."""

    def __init__(self, reader: Reader, resolution: str, first: int, last: int) -> None:
        """`first`, `last`: the first and the last close that a wanted day may have."""
        files = [FileRecord(**row) for row in reader.live_files(resolution, first, last)]
        self.by_key = {(file.dt, file.asset): file for file in files}
        self._by_day: dict[str, list[FileRecord]] = {}
        for file in files:
            self._by_day.setdefault(file.dt, []).append(file)
        self._reader, self._resolution = reader, resolution

    @property
    def days(self) -> Set[str]:
        """Those that have a file."""
        return self._by_day.keys()

    def of(self, days: Iterable[str]) -> list[FileRecord]:
        return [file for day in days for file in self._by_day.get(day, [])]

    def rows_of(self, series: Series, since: int, open_dates: Set[str]) -> pl.DataFrame:
        """The open rows of a series' days, of closes from `since` on; of days that lie open to their end."""
        days = set(series.days)
        last = LAST if days & open_dates else int(series.closes[-1])
        rows = open_rows(self._reader, self._resolution, since, last)
        return rows.filter(pl.col("dt").is_in(list(days)))


Standing = tuple[list[FileRecord], pl.DataFrame]  # live files, and open rows as stored


@dataclass(frozen=True, slots=True)
class Written:
    """What a slice came to: files, and the rows, as stored, of open days."""

    files: list[FileRecord]
    rows: pl.DataFrame
    totals: price_engine.NavTotals


def _value_slice(
    home: Home, books: Books, movements: pl.DataFrame, done: Valued, part: Slice, live: Live,
    before: dict[str, tuple[int, int]],
) -> bool:  # fmt: skip
    """Values some days, writes their files, reads them back, and notes what they restate.

    False, and nothing is done: these are more rows than lie open, so that their days are to be valued whole.
    """
    series, assets = part.series, part.assets
    moves = movements_by(movements, int(series.closes[-1]), assets)
    inputs = inputs_of(books, done.resolution, series.closes, moves)
    opens = next((n for n, day in enumerate(series.days) if day in done.open_dates), len(series.days))
    if inputs.positions.size(opens) > ROWS_MAX:
        done.open_dates -= set(series.days)
        if part.is_cut:
            return False
    with span("snapshots", closes=len(series.closes)):
        made = _write(home, done, series, inputs, live.by_key)
        _check(home, made, series)
    standing = live.rows_of(series, part.begin, done.open_dates)
    opened = standing.filter(pl.col("dt").is_in(list(done.open_dates)))
    gone, new = changes(opened if assets is None else opened.filter(_named(assets)), made.rows)
    done.closed += gone.select(OPEN_KEY).rows()
    done.opened += new.rows()
    done.buckets += len(series.closes)
    done.snapshots += sum(file.rows for file in made.files) + made.rows.height
    done.complete += _complete(made.totals, len(series.closes))
    spans = _day_spans(series, before if part.is_cut else {})
    done.days += spans
    done.partial |= {} if assets is None else {day: assets for day, _, _ in spans}
    done.files += made.files
    touched = _touched(made, series, live, assets, pl.concat([gone, new]), before)
    stood = live.of(sorted(touched)), standing.filter(pl.col("dt").is_in(list(touched)))
    _restate(home, done.restated, series, touched, made.totals, stood, before, assets)
    return True


def _touched(
    made: Written, series: Series, live: Live, assets: frozenset[str] | None, changed: pl.DataFrame,
    before: dict[str, tuple[int, int]],
) -> set[str]:  # fmt: skip
    """The days valued before of which some row may say otherwise now."""
    new = {(file.dt, file.asset): file.path for file in made.files}
    old = {
        (file.dt, file.asset): file.path
        for file in live.of(dict.fromkeys(series.days))
        if assets is None or file.asset in assets
    }
    days = {key[0] for key in new.keys() | old.keys() if new.get(key) != old.get(key)} & before.keys()
    closes = changed.select("dt", "bucket_close").unique()
    return days | {day for day, close in closes.iter_rows() if day in before and close <= before[day][1]}


def _restate(
    home: Home, restated: Restated, series: Series, days: set[str], totals: price_engine.NavTotals,
    standing: Standing, before: dict[str, tuple[int, int]], assets: frozenset[str] | None,
) -> None:  # fmt: skip
    """Notes the closes of these days whose NAV is another than what stands of them says."""
    if not days:
        return
    others = _of_others(*standing, assets)
    try:
        was, rest = (read_sums(paths(home.lake, files), typed(rows)) for files, rows in (standing, others))
    except LakeError:  # what stood there is damaged, and is being replaced: nobody can tell what it said
        return
    for close, day, mine in zip(series.closes.tolist(), series.days, totals.in_all(), strict=True):
        if day not in days or not before[day][0] <= close <= before[day][1]:
            continue
        other = rest.get(close, (0, 0, 0))
        told = (
            _nav(was.get(close, (0, 0, 0))),
            _nav((other[0] + mine[0], other[1] + mine[1], other[2] + mine[2])),
        )
        if told[0] != told[1]:
            restated.add(close, *told)


def _of_others(files: list[FileRecord], rows: pl.DataFrame, assets: frozenset[str] | None) -> Standing:
    """Of what stands, what is not of these assets; nothing if they are all."""
    if assets is None:
        return [], rows.clear()
    return [file for file in files if file.asset not in assets], rows.filter(~_named(assets))


def _named(assets: frozenset[str]) -> pl.Expr:
    return pl.col("asset_id").is_in(list(assets))


def _nav(sums: tuple[int, int, int]) -> str | None:
    holdings, valued, scaled = sums
    return to_text(scaled) if holdings == valued and in_range(scaled) else None


def inputs_of(
    books: Books, resolution: str, closes: np.ndarray, movements: pl.DataFrame | None = None
) -> price_engine.Inputs:
    """All that the price engine needs, from the books; `movements` in place of their own."""
    policy = books.price_policy
    moves = books.movements() if movements is None else movements
    held = positions(moves, closes, books.cash_assets, books.cash_in_nav)
    pegged = {*policy.pegs, *policy.pegs.values()}
    observed = [
        books.prices_of(names, windows(closes, reach_us))
        for names, reach_us in (
            ({*held.segments["asset"].unique()} - pegged, SPOT_TOLERANCE_US[resolution]),
            (pegged, PEG_WINDOW_US),
        )
        if names
    ]
    prices = pl.concat(observed or [books.prices_of((), [])]).with_columns(
        places=(pl.col("text").str.len_bytes() - pl.col("text").str.find(".", literal=True) - 1)
        .fill_null(0)
        .cast(pl.UInt8)
    )
    chosen = choose(prices.drop("text"), resolution, closes, policy)
    quotes = {*chosen["quote"].unique(), *policy.pegs.values(), *books.cash_assets} | {policy.base}
    currencies = {policy.pegs.get(quote, quote) for quote in quotes} - {policy.base}
    used = currencies & _needed(held.segments["asset"].unique().to_list(), chosen, policy)
    rates: dict[str, RateVector] = {
        currency: books.rate_book.convert(currency, policy.base, closes) for currency in sorted(used)
    }
    broken = {
        token: peg_broken(token, currency, prices, books.rates, closes)
        for token, currency in policy.pegs.items()
    }
    return price_engine.Inputs(closes, held, chosen, rates, broken, books.statuses(), policy)


def _needed(assets: list[str], chosen: pl.DataFrame, policy: Any) -> set[str]:
    """Currencies that the held assets are priced in."""
    quotes = set(chosen.filter(pl.col("asset").is_in(assets))["quote"].unique())
    quotes |= {asset for asset in assets if asset in policy.cash_assets or asset in policy.pegs}
    return {policy.pegs.get(quote, quote) for quote in quotes}


def _write(
    home: Home, done: Valued, series: Series, inputs: price_engine.Inputs,
    live: dict[tuple[str, str], FileRecord],
) -> Written:  # fmt: skip
    records: list[FileRecord] = []
    rows = [pl.DataFrame(schema=price_engine.SNAPSHOT_SCHEMA | {"dt": pl.String})]
    totals = price_engine.NavTotals(inputs)
    for values, made in asset_files(series, inputs):
        totals.add(values)
        opened, files = made.apart(done.open_dates)
        rows += [] if opened is None else [opened]
        records += [] if files is None else files.write(home.lake, done.resolution, live)
    return Written(records, stored(pl.concat(rows)), totals)


def asset_files(
    series: Series, inputs: price_engine.Inputs
) -> Iterator[tuple[price_engine.AssetValues, AssetFiles]]:
    """Each asset's values, and its snapshots cut into days."""
    day_of = dict(zip(series.closes.tolist(), series.days, strict=True))
    for group in _groups(price_engine.run(inputs), len(series.closes)):
        frame = price_engine.snapshots(group, inputs)
        days = frame["bucket_close"].to_physical().replace_strict(day_of, return_dtype=pl.String)
        start = 0
        sizes = {asset: size for size, asset in zip(*frame["asset_id"].rle().struct.unnest(), strict=True)}
        for values in group:
            size = sizes.get(values.asset, 0)
            yield values, AssetFiles(values.asset, frame.slice(start, size), days.slice(start, size))
            start += size


def _groups(
    found: Iterable[price_engine.AssetValues], closes: int
) -> Iterator[list[price_engine.AssetValues]]:  # fmt: skip
    """Assets in their order, so many that they have GROUP_ROWS together."""
    group: list[price_engine.AssetValues] = []
    size = 0
    for values in found:
        group.append(values)
        size += max(len(values.valued), closes)
        if size >= GROUP_ROWS:
            yield group
            group, size = [], 0
    if group:
        yield group


def _complete(totals: price_engine.NavTotals, size: int) -> int:
    """Buckets in which every holding of every account is valued."""
    if not totals.accounts:
        return size
    return int(totals.complete().reshape(len(totals.accounts), size).all(axis=0).sum())


def _check(home: Home, made: Written, series: Series) -> None:
    """The pair of the sums made while writing: what was written must say the same when it is read back."""
    if not made.files and made.rows.is_empty():
        return
    first, last = int(series.closes[0]), int(series.closes[-1])
    points = read_points(paths(home.lake, made.files), first, last, rows=typed(made.rows))
    sums = made.totals.priced_in_all().to_physical().to_list()
    for close, expected in zip(series.closes.tolist(), sums, strict=True):
        told = points[close].priced_value if close in points else "0"
        if told != (None if expected is None else to_text(expected)):
            raise StoreIntegrity(
                f"Read back, the snapshots at {format_instant(close)} give {told}: not what was written.",
                "Nothing was committed. Check the disk, then run `navdeck value` again.",
            )


def _day_spans(series: Series, before: Mapping[str, tuple[int, int]]) -> list[tuple[str, int, int]]:
    """(day, first close, last close); `before`: where the day begins, if its beginning stands."""
    spans: dict[str, tuple[int, int]] = {}
    for day, close in zip(series.days, series.closes.tolist(), strict=True):
        first, _ = spans.get(day) or before.get(day) or (close, close)
        spans[day] = (first, close)
    return [(day, first, last) for day, (first, last) in spans.items()]
