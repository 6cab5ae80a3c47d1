"""What one unit of an asset is worth at every close, and why: chosen price x rate under status and peg.

It chooses no price, finds no rate and knows no quantity.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars.exceptions import ComputeError

from engine.domain.money import SCALE, to_scaled, to_text
from engine.valuation.exact import DECIMAL, Words, decimals, from_words, scaled_ints, zeroed_words
from engine.valuation.price_choice import Instants, PricePolicy
from engine.valuation.rates import NO_RATE, RateUse, RateVector

Rows = NDArray[np.int64]
Marks = NDArray[np.bool_]

JOIN = "|"
ONE = Decimal(1)
MAX_PLACES = 18  # price places + rate places up to here: their product is exact in DECIMAL(38,18)
_PRICE_ROW: dict[str, pl.DataType | type[pl.DataType]] = {
    "price": DECIMAL,
    "places": pl.UInt8,
    "quote": pl.String,
    "source": pl.String,
    "resolution": pl.String,
    "asof": pl.Int64,
    "reason": pl.String,
}
_KNOWN = [name for name in _PRICE_ROW if name != "reason"]
_RATE_ROW: dict[str, pl.DataType | type[pl.DataType]] = {
    "fx_source": pl.String,
    "fx_asof": pl.Int64,
    "fx_places": pl.UInt8,
    "fx_flags": pl.String,
    "fx_reason": pl.String,
    "fx_held": pl.String,
}


@dataclass(frozen=True, slots=True)
class Status:
    """An asset's status from an instant on. `price` (canonical text) and `expires` belong to `manual`."""

    since: int
    status: str  # normal | excluded | manual
    price: str | None = None
    expires: int | None = None


class Market(Protocol):
    """What there is to be known beside the quantities; price_engine.Inputs tells of each."""

    @property
    def closes(self) -> Instants: ...
    @property
    def rates(self) -> Mapping[str, RateVector]: ...
    @property
    def broken(self) -> Mapping[str, Marks]: ...
    @property
    def statuses(self) -> Mapping[str, Sequence[Status]]: ...
    @property
    def policy(self) -> PricePolicy: ...


@dataclass(frozen=True, slots=True)
class Quotation:
    """What one unit of an asset is worth at every close, and why.

    At close i the price is row `price_row[i]` of `prices`, the rate row `rate_row[i]` of `rates`. `pegged`:
    its quote is taken at its peg; `broken`: and that is off. `unit` is price x rate where `priced` and not
    `wide` (the product has more than 18 places, or leaves the range), else 0.
    """

    prices: pl.DataFrame
    price_row: Rows
    rates: pl.DataFrame
    rate_row: Rows
    pegged: Marks
    broken: Marks
    excluded: Marks
    priced: Marks
    wide: Marks
    unit: Words

    def factors(self, closes: Rows) -> list[tuple[int | None, int | None]]:
        """The scaled (price, rate) at some closes, by their numbers."""
        prices = scaled_ints(self.prices["price"][self.price_row[closes]])
        return list(zip(prices, scaled_ints(self.rates["factor"][self.rate_row[closes]]), strict=True))


class Rates:
    """The distinct results of all conversions as one table; its first row is `nothing to convert`."""

    def __init__(self, vectors: Mapping[str, RateVector]) -> None:
        uses, self.rows = [NO_RATE._replace(rate=SCALE, reason=None)], dict[str, Rows]()
        for currency, vector in vectors.items():
            last = len(uses) + len(vector.table) - 1
            self.rows[currency] = np.where(vector.idx < 0, last, vector.idx + len(uses)).astype(np.int64)
            uses += vector.table
        self.frame = _rate_frame(uses)
        self.known, self.words = zeroed_words(self.frame["factor"])
        self.places = self.frame["fx_places"].to_numpy()


def _rate_frame(uses: list[RateUse]) -> pl.DataFrame:
    rates = [use.rate for use in uses]
    told = {
        "fx_source": [use.source for use in uses],
        "fx_asof": [use.asof for use in uses],
        "fx_places": [_places_of(rate) for rate in rates],
        "fx_flags": [JOIN.join(sorted(use.flags)) for use in uses],
        "fx_reason": [use.reason for use in uses],
        "fx_held": [JOIN.join(sorted(use.held_pairs)) or None for use in uses],
    }
    exact = {
        "factor": decimals(rates),
        "fx_rate": decimals([None, *rates[1:]]),
        "drift_bps": decimals([use.drift_bps for use in uses]),
    }
    return pl.DataFrame({**told, **exact}, schema_overrides=_RATE_ROW)


def _places_of(rate: int | None) -> int:
    return 0 if rate is None else len(to_text(rate % SCALE).partition(".")[2])


def quote(asset: str, market: Market, observed: pl.DataFrame, rates: Rates) -> Quotation:
    """The quotation of an asset. `observed`: its chosen prices, and of no other asset."""
    prices, price_row, excluded = _prices(asset, market, observed)
    rate_row, pegged, broken = _conversion(prices["quote"], price_row, market, rates)
    price_known, price = zeroed_words(prices["price"])
    priced = price_known[price_row] & rates.known[rate_row] & ~broken
    wide = priced & (prices["places"].to_numpy()[price_row] + rates.places[rate_row] > MAX_PLACES)
    exact = (priced & ~wide)[:, None]
    try:
        product = from_words(price[price_row] * exact) * from_words(rates.words[rate_row] * exact)
        unit = zeroed_words(product)[1]
    except ComputeError:  # a product leaves the range; times a small quantity it may come back
        unit, wide = np.zeros((len(priced), 2), np.uint64), priced
    return Quotation(prices, price_row, rates.frame, rate_row, pegged, broken, excluded, priced, wide, unit)


def _conversion(
    quotes: pl.Series, price_row: Rows, market: Market, rates: Rates
) -> tuple[Rows, Marks, Marks]:
    """At every close: the row of the rate into the base currency, is that by a peg, is the peg off."""
    closes, policy = len(price_row), market.policy
    rate_row, pegged, broken = np.zeros(closes, np.int64), np.zeros(closes, bool), np.zeros(closes, bool)
    for name in quotes.unique().drop_nulls():
        if name == policy.base:
            continue
        at = quotes.eq_missing(name).to_numpy()[price_row]
        currency = policy.pegs.get(name, name)
        if name in policy.pegs:
            pegged |= at
            broken[at] = market.broken[name][at]
        if currency != policy.base:
            rate_row[at] = rates.rows[currency][at]
    return rate_row, pegged, broken


def _prices(asset: str, market: Market, observed: pl.DataFrame) -> tuple[pl.DataFrame, Rows, Marks]:
    """All prices of the asset, which of them counts at each close, and where the asset is excluded."""
    told = _Told(len(observed))
    price_row = _unruled(asset, market, observed, told)
    excluded = np.zeros(price_row.shape, dtype=bool)
    unpriced = told.add({"places": 0, "reason": "NO_PRICE"})
    price_row[price_row < 0] = unpriced
    if asset in market.statuses:
        _rule(market.statuses[asset], market, price_row, excluded, told, unpriced)
    table = pl.concat([observed[_KNOWN], pl.DataFrame(told.rows, schema=_PRICE_ROW)], how="diagonal")
    return table, price_row, excluded


class _Told:
    """Rows of the price table that are no observations; they come after `first` that are."""

    def __init__(self, first: int) -> None:
        self._first = first
        self.rows: list[dict[str, object]] = []

    def add(self, row: dict[str, object]) -> int:
        """The row's number in the table."""
        self.rows.append(row)
        return self._first + len(self.rows) - 1


def _unruled(asset: str, market: Market, observed: pl.DataFrame, told: _Told) -> Rows:
    """Cash and pegged tokens are worth one of themselves; all else what was observed, or nothing (-1)."""
    policy = market.policy
    row = np.full(len(market.closes), -1, np.int64)
    row[observed["b"].to_numpy()] = np.arange(len(observed))
    if (is_cash := asset in policy.cash_assets) or asset in policy.pegs:
        kind = "cash" if is_cash else "peg"
        row[:] = told.add({"price": ONE, "places": 0, "quote": asset, "resolution": kind})
    return row


def _rule(
    statuses: Sequence[Status], market: Market, price_row: Rows, excluded: Marks, told: _Told, unpriced: int
) -> None:
    """Puts the rows and marks right in place, by each of its statuses from its instant on."""
    closes, plain = market.closes, price_row.copy()
    for status in sorted(statuses, key=lambda status: status.since):
        since = closes >= status.since
        excluded[since] = status.status == "excluded"
        price_row[since] = plain[since]
        if status.status == "manual":
            assert status.expires is not None, "a manual price has an expiry"
            expired = closes >= status.expires
            price_row[since & ~expired] = told.add(_manual(status, market.policy.base))
            gone = told.add({"places": 0, "reason": "MANUAL_EXPIRED"})
            price_row[since & expired & (plain == unpriced)] = gone


def _manual(status: Status, base: str) -> dict[str, object]:
    scaled = to_scaled(str(status.price))
    return {
        "price": decimals([scaled])[0], "places": _places_of(scaled), "quote": base,
        "source": "manual", "resolution": "manual", "asof": status.since,
    }  # fmt: skip
