"""What is missing to value what is held: closes without a price or a rate, and who could give them.

Asked in a worker: it reads a home and values it. Nothing is fetched here.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from engine.config import Config
from engine.domain.instants import DAY_US, HOUR_US, format_instant, from_us
from engine.domain.resolutions import COARSEST_FIRST
from engine.providers.backfill import Plan, Silent, plan_backfill
from engine.providers.ecb import fixing_us
from engine.providers.protocol import Provider, Series
from engine.runtime.asking import instant
from engine.runtime.books import Books
from engine.runtime.home import Home
from engine.runtime.kept_books import open_books
from engine.runtime.known_names import require_known
from engine.runtime.value import inputs_of
from engine.store.reader import Reader
from engine.valuation import price_engine
from engine.valuation.buckets import closes
from engine.valuation.market_hours import is_target_day

Wanted = dict[Series, list[int]]
UNPRICED = ("NO_PRICE", "MANUAL_EXPIRED")  # an observation would settle it, whatever stood in for one before


def wanted(home_path: str, now: int, arguments: dict[str, Any]) -> Wanted:
    """The instants of each series that are missing. Arguments: `resolution`, `from`, `to`, `pairs`, `series`.

    Closes at which a holding has no price: all of 1d, of finer ones those of the configured last days.
    Fixings of `pairs` on TARGET days since the first ledger row.
    """
    home = Home(Path(home_path))
    config = home.config()
    found: Wanted = {}
    with Reader(home.state) as reader:
        if (series := arguments.get("series")) and "/" not in series:
            require_known(reader, {"asset": series}, priced=True)
        books = open_books(home, reader)
        first = books.first_ts()
        if first is None:
            return {}
        chosen = arguments.get("resolution")
        for resolution in COARSEST_FIRST if chosen is None else (chosen,):
            span = _span(config, resolution, first, now, arguments)
            for series, instants in _unpriced(books, resolution, *span).items():
                found.setdefault(series, []).extend(instants)
        if chosen in (None, "1d"):
            for pair in arguments.get("pairs", ()):
                found[Series("rate", pair, "1d")] = _unfixed(books, pair, first, now)
    return {series: sorted(set(instants)) for series, instants in found.items() if instants}


def _span(
    config: Config, resolution: str, first: int, now: int, arguments: dict[str, Any]
) -> tuple[int, int]:
    """From where to where closes of a resolution are wanted."""
    after, until = instant(arguments, "from"), instant(arguments, "to")
    if after is None:
        days = None if resolution == "1d" else config[f"providers.days_{resolution}"]
        after = first - 1 if days is None else max(first - 1, now - days * DAY_US)
    return max(after, first - 1), now if until is None else min(until, now)


def _unpriced(books: Books, resolution: str, after: int, until: int) -> Wanted:
    """By series: the closes in (after, until] at which a holding of the asset has no price."""
    at = closes(resolution, books.config["timezone"], after + 1, until)
    if not len(at):
        return {}
    inputs = inputs_of(books, resolution, at)
    found: Wanted = {}
    for values in price_engine.run(inputs):
        if values.valued.all():
            continue
        rows = price_engine.snapshots([values], inputs)
        rows = rows.filter((pl.col("kind") == "holding") & pl.col("reason").is_in(UNPRICED))
        for close in np.unique(rows["bucket_close"].to_physical().to_numpy()).tolist():
            found.setdefault(Series("price", values.asset, _grid(resolution, close)), []).append(close)
    return found


def _grid(resolution: str, close: int) -> str:
    """The coarsest bar, no coarser than the bucket, that ends at its close by the UTC clock."""
    if resolution == "1d" and close % DAY_US == 0:
        return "1d"
    return "1h" if resolution != "5m" and close % HOUR_US == 0 else "5m"


def _unfixed(books: Books, pair: str, first: int, now: int) -> list[int]:
    """The fixings of TARGET days that a pair has no daily rate for, either way round."""
    one, other = pair.split("/")
    rates = books.rates.filter(pl.col("resolution") == "1d")
    both = ((pl.col("base") == one) & (pl.col("quote") == other)) | (
        (pl.col("base") == other) & (pl.col("quote") == one)
    )
    had = {from_us(asof).date() for asof in rates.filter(both)["asof"].to_list()}
    begins = from_us(max(0, first - 7 * DAY_US)).date()  # the one in force at the first row
    days = (begins + timedelta(days=number) for number in range((from_us(now).date() - begins).days + 1))
    fixings = (fixing_us(day) for day in days if is_target_day(day) and day not in had)
    return [fixing for fixing in fixings if fixing <= now]


def plan(found: Wanted, providers: Sequence[Provider], now: int, silent: Silent) -> Plan:
    """Calls that would bring what is missing, and what nobody can bring."""
    return plan_backfill(found, {}, providers, now, silent)


def told(found: Wanted, made: Plan) -> list[dict[str, Any]]:
    """Gaps as JSON, oldest first: runs of missing instants with what can be done about them."""
    rows = [
        _row(series, instants, "FETCHABLE", fetch.provider)
        for fetch in made.fetches
        for series, instants in [(fetch.series, _within(found[fetch.series], fetch.start, fetch.end))]
    ]
    rows += [
        _row(gap.series, _within(found[gap.series], gap.start, gap.end), gap.reason, "") for gap in made.gaps
    ]
    return sorted(rows, key=lambda row: (row["from"], row["name"], row["resolution"]))


def _within(instants: Iterable[int], start: int, end: int) -> list[int]:
    return [at for at in instants if start < at <= end]


def _row(series: Series, instants: Sequence[int], reason: str, provider: str) -> dict[str, Any]:
    return {
        "kind": series.kind,
        "name": series.name,
        "resolution": series.resolution,
        "from": format_instant(instants[0]),
        "to": format_instant(instants[-1]),
        "missing": len(instants),
        "reason": reason,
        "provider": provider or None,
    }
