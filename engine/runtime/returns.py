"""Returns of a home: the series of an account, a group or all, its flows, and what metrics.py makes of them.

Owns: which valuations and flows go in, and the answer. Never: a rule of return. Opens nothing for writing.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from engine.config import Config
from engine.domain.instants import format_instant
from engine.domain.money import SCALE, SCALED_MAX, to_scaled, to_text
from engine.errors import UsageError
from engine.portfolio import metrics, sub_periods
from engine.runtime.asking import instant, is_stale, materialised, point_told
from engine.runtime.books import Books
from engine.runtime.flows import Flow, flows
from engine.runtime.home import Home
from engine.runtime.kept_books import open_books
from engine.runtime.known_names import require_known, unknown
from engine.runtime.open_day import Snapshots, snapshots_between
from engine.snapshots.nav_reader import NavPoint, empty_point, read_holdings, read_points
from engine.snapshots.parquet_writer import paths
from engine.store.reader import Reader
from engine.valuation import buckets

Instants = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Course:
    """The valuations of some accounts (None: all) in a range, and where their snapshots are."""

    closes: Instants
    opens: Instants
    points: list[NavPoint]
    found: Snapshots


def metrics_of(home_path: str, _now: int, arguments: dict[str, Any]) -> dict[str, Any]:
    """`metrics --json`; arguments: resolution, account or group, from, to, points (bool)."""
    home = Home(Path(home_path))
    config = home.config()
    resolution = arguments.get("resolution") or "1d"
    periods = dict(config["metrics.periods_per_year"])
    if resolution not in periods:
        raise UsageError(f"There is no resolution {resolution!r}.", "Choose one of 1d, 1h, 5m.")
    after, until = instant(arguments, "from"), instant(arguments, "to")
    with Reader(home.state) as reader:
        books = open_books(home, reader)
        accounts = _accounts(reader, config, arguments)
        course = _course(home, reader, config, resolution, (after, until), accounts)
        stale = is_stale(reader, resolution, config)
        moved = _flows(books, resolution, course, accounts)
    found = metrics.measure(_series(course, moved), periods[resolution], resolution)
    answer = {
        "resolution": resolution,
        "account": arguments.get("account"),
        "group": arguments.get("group"),
        "base_currency": config["base_currency"],
        "cash": config["cash"],
        "stale": stale,
        **found.document(),
        "allocation": _allocation(home, course, accounts),
    }
    if arguments.get("points"):
        answer["points"] = _points(course, found, moved)
    return answer


def _accounts(reader: Reader, config: Config, arguments: dict[str, Any]) -> tuple[str, ...] | None:
    """The accounts that are looked at. UsageError for ones that are not there."""
    account, group = arguments.get("account"), arguments.get("group")
    if account is not None and group is not None:
        raise UsageError("An account or a group, not both.", "Leave one of them out.")
    require_known(reader, arguments)
    if group is None:
        return None if account is None else (account,)
    groups = dict(config["groups"])
    if group not in groups:
        raise unknown("group", group, groups, "Name groups in navdeck.toml, under [groups].")
    for name in groups[group]:  # one with a slip in it would count as nothing
        require_known(reader, {"account": name})
    return tuple(groups[group])


# -- valuations ---------------------------------------------------------------------------------------


def _course(
    home: Home, reader: Reader, config: Config, resolution: str, span: tuple[int | None, int | None],
    accounts: Sequence[str] | None,
) -> Course:  # fmt: skip
    """The closes in (from, to], and the last one before them: that is where the first return starts."""
    closes = materialised(reader, resolution, config["timezone"])
    after, until = span
    start = 0 if after is None else max(0, int(np.searchsorted(closes, after, side="right")) - 1)
    stop = len(closes) if until is None else int(np.searchsorted(closes, until, side="right"))
    closes = closes[start:stop]
    if not len(closes):
        return Course(closes, closes, [], snapshots_between(reader, resolution, 1, 0))
    first, last = int(closes[0]), int(closes[-1])
    found = snapshots_between(reader, resolution, first, last)
    point = _read(paths(home.lake, found.files), found.rows, first, last, accounts)
    opens = buckets.opens(closes, resolution, config["timezone"])
    return Course(closes, opens, [point(close) for close in closes.tolist()], found)


def _read(
    files: Sequence[str], rows: pl.DataFrame, first: int, last: int, accounts: Sequence[str] | None
) -> Callable[[int], NavPoint]:
    """The point at each close: of one account or all as they are read, of several as their sum."""
    if accounts is None or len(accounts) == 1:
        found = read_points(files, first, last, accounts[0] if accounts else None, rows)
        return lambda close: found.get(close) or empty_point(close)
    each = [read_points(files, first, last, account, rows) for account in accounts]
    return lambda close: _together(close, [found[close] for found in each if close in found])


def _together(close: int, parts: Sequence[NavPoint]) -> NavPoint:
    """Several accounts at one close."""
    if not parts:
        return empty_point(close)

    def united(name: str) -> tuple[str, ...]:
        return tuple(sorted({text for part in parts for text in getattr(part, name)}))

    return NavPoint(
        close=close,
        nav=_sum([part.nav for part in parts]),
        priced_value=_sum([part.priced_value for part in parts]),
        coverage=sum(part.coverage for part in parts) / len(parts),
        missing=united("missing"),
        held=united("held"),
        reasons=united("reasons"),
        flags=united("flags"),
        excluded=sum(part.excluded for part in parts),
        unmatched_value=_sum([part.unmatched_value for part in parts]),
    )


def _sum(amounts: Sequence[str | None]) -> str | None:
    if None in amounts:
        return None
    total = sum(to_scaled(amount) for amount in amounts if amount is not None)
    return to_text(total) if abs(total) <= SCALED_MAX else None


# -- series, flows, points ----------------------------------------------------------------------------


def _flows(books: Books, resolution: str, course: Course, accounts: Sequence[str] | None) -> list[Flow]:
    if len(course.closes) < 2:
        return []
    return flows(books, resolution, int(course.closes[0]), int(course.closes[-1]), accounts)


def _series(course: Course, moved: Sequence[Flow]) -> sub_periods.Series:
    return sub_periods.made(
        course.closes.tolist(),
        [None if point.nav is None else float(point.nav) for point in course.points],
        [flow.ts for flow in moved],
        [None if flow.amount is None else flow.amount / SCALE for flow in moved],
        opens=course.opens,
    )


def _points(course: Course, found: metrics.Metrics, moved: Sequence[Flow]) -> list[dict[str, Any]]:
    """The points of `nav --json`, each with index, drawdown, break, and what came and went since the last."""
    totals: dict[int, int | None] = {}
    places = np.searchsorted(course.closes, [flow.ts for flow in moved], side="left").tolist()
    for place, flow in zip(places, moved, strict=True):
        before = totals.get(place, 0)
        totals[place] = None if before is None or flow.amount is None else before + flow.amount
    told = []
    for place, (point, linked) in enumerate(zip(course.points, found.points(), strict=True)):
        total = totals.get(place, 0)
        told.append(point_told(point) | linked | {"flow": None if total is None else to_text(total)})
    return told


# -- allocation ---------------------------------------------------------------------------------------


def _allocation(home: Home, course: Course, accounts: Sequence[str] | None) -> dict[str, Any] | None:
    """Shares of NAV by asset and by account at the last complete close; None if there is none."""
    complete = next((point for point in reversed(course.points) if point.nav is not None), None)
    if complete is None:
        return None
    stands = course.found
    wanted = [file for file in stands.files if file.close_min <= complete.close <= file.close_max]
    held = [
        (account, asset, value or 0)
        for account, asset, value in read_holdings(paths(home.lake, wanted), complete.close, stands.rows)
        if accounts is None or account in accounts
    ]
    nav = to_scaled(complete.nav or "0")
    return {
        "bucket_close": format_instant(complete.close),
        "nav": complete.nav,
        "by_asset": _shares("asset_id", [(asset, value) for _, asset, value in held], nav),
        "by_account": _shares("account", [(account, value) for account, _, value in held], nav),
    }


def _shares(by: str, values: Iterable[tuple[str, int]], nav: int) -> list[dict[str, Any]]:
    """Largest first; a share is None where NAV is 0."""
    sums: dict[str, int] = {}
    for name, value in values:
        sums[name] = sums.get(name, 0) + value
    return [
        {by: name, "value": to_text(value), "share": value / nav if nav else None}
        for name, value in sorted(sums.items(), key=lambda entry: (-entry[1], entry[0]))
    ]
