"""Open lots at a bucket: how old each is, what it is worth at that close, and what it would gain.

A lot's value is its quantity times the price that values its holding at that close, times the rate into USD
(basis and gains are in USD, whatever the base currency); rounded once. Where price or rate is not known the
value is null and a reason says why: those of valuation, and EXCLUDED for an asset that is outside NAV.
Snapshots are not read: the figures follow from the inputs alone, so no close needs to have been valued.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from engine.config import Config
from engine.domain.instants import DAY_US, SECOND_US, format_instant
from engine.domain.money import in_range, to_scaled, to_text
from engine.errors import UsageError
from engine.runtime.asking import instant
from engine.runtime.books import LOTS_CURRENCY, Books, told_lots
from engine.runtime.home import Home
from engine.runtime.kept_books import open_books
from engine.runtime.known_names import require_known
from engine.runtime.lot_pieces import open_lots
from engine.runtime.reports import sum_text, with_terms
from engine.runtime.usd_prices import OUT_OF_RANGE, UnitPrice, unit_prices
from engine.store.reader import Reader
from engine.valuation import buckets
from engine.valuation.positions import positions

Document = dict[str, Any]
BREAK = "POSITION_BREAK"


def lots_at(home_path: str, now: int, arguments: Document) -> Document:
    """`lots --at --json`: open lots and lots in transit at the last close by `at`, with age, value and gain.

    Arguments: at (text; `now`), resolution (1d), method, account, asset. UsageError if they make no sense.
    """
    home = Home(Path(home_path))
    config = home.config()
    by = now if arguments.get("at") == "now" else instant(arguments, "at")
    if by is None:
        raise UsageError("Lots are valued at an instant.", "Name it with --at, or say --at now.")
    resolution = arguments.get("resolution") or "1d"
    close = _last_close(resolution, config["timezone"], by)
    with Reader(home.state) as reader:
        require_known(reader, arguments)
        books = open_books(home, reader)
        method = arguments.get("method") or config["lot_method"]
        lots = open_lots(books, books.outcome(method, close))
        for name in ("account", "asset"):
            if arguments.get(name) is not None:
                lots = lots.filter(pl.col(name) == arguments[name])
        units = unit_prices(reader, config, resolution, np.array([close]), lots["asset"].unique().to_list())
        broken = _broken(books, close)
    valued = _Valued(close, units, broken, config)
    held, moving = (valued.told(lots.filter(pl.col("status") == status)) for status in ("open", "in_transit"))
    for lot in held:
        del lot["left_at"]
    return {
        "method": method,
        "at": format_instant(close),
        "resolution": resolution,
        "currency": LOTS_CURRENCY,
        "open_lots": held,
        "in_transit": moving,
        "total": _total([*held, *moving]),
    }


def _last_close(resolution: str, zone: str, by: int) -> int:
    """The last close at or before an instant."""
    return int(buckets.closes(resolution, zone, max(0, by - 4 * DAY_US), by)[-1])


def _broken(books: Books, close: int) -> set[tuple[str, str]]:
    """(account, asset) of which more has left than came in, so that rows and lots do not agree."""
    held = positions(books.movements(), np.array([close]), books.cash_assets, books.cash_in_nav).segments
    return set(held.filter(pl.col("reason") == BREAK).select("account", "asset").rows())


@dataclass(frozen=True, slots=True)
class _Valued:
    """Values lots at one close."""

    close: int
    units: dict[tuple[str, int], UnitPrice]
    broken: set[tuple[str, str]]
    config: Config

    def told(self, lots: pl.DataFrame) -> list[Document]:
        """Lots as `lots` has them, with age, term if sold now, value, gain and the reason for no value."""
        aged = with_terms(lots.with_columns(disposed_at=pl.lit(self.close, pl.Int64)), self.config)
        columns = [aged[name].to_list() for name in ("account", "asset", "acquired_at", "term")]
        amounts = [aged[name].to_physical().to_list() for name in ("quantity", "basis")]
        return [
            lot | self._figures(*figures)
            for lot, *figures in zip(told_lots(lots), *columns, *amounts, strict=True)
        ]

    def _figures(
        self, account: str, asset: str, acquired: int | None, term: str, quantity: int, basis: int | None
    ) -> Document:
        value: int | None = None
        reason: str | None = BREAK
        if (account, asset) not in self.broken:
            value, reason = _value(self.units[asset, self.close], quantity)
        gain = None if value is None or basis is None else value - basis
        if value is not None and (gain is None or not in_range(gain)):
            gain, reason = None, OUT_OF_RANGE
        return {
            "age_s": None if acquired is None else (self.close - acquired) // SECOND_US,
            "term": term,
            "value_usd": None if value is None else to_text(value),
            "unrealized_gain_usd": None if gain is None else to_text(gain),
            "reason": reason,
        }


def _value(unit: UnitPrice, quantity: int) -> tuple[int | None, str | None]:
    if unit.reason is not None:
        return None, unit.reason
    value = unit.value(quantity)
    return value, OUT_OF_RANGE if value is None else None


def _total(lots: list[Document]) -> Document:
    """Sums: of all lots where all are valued, and of those that are."""
    valued = [lot for lot in lots if lot["unrealized_gain_usd"] is not None]
    value, gain = _sum(valued, "value_usd"), _sum(valued, "unrealized_gain_usd")
    complete = len(valued) == len(lots)
    return {
        "lots": len(lots),
        "unvalued": len(lots) - len(valued),
        "cost_basis_usd": _sum(lots, "cost_basis_usd"),
        "value_usd": value if complete else None,
        "unrealized_gain_usd": gain if complete else None,
        "priced_value_usd": value,
        "priced_gain_usd": gain,
    }


def _sum(lots: list[Document], name: str) -> str | None:
    amounts = [lot[name] for lot in lots]
    return None if None in amounts else sum_text(sum(map(to_scaled, amounts)))
