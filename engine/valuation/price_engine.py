"""Positions x prices x rates -> values at bucket closes. Exact, and never an invented figure.

The problem. An account holds 2.5 ETH at the close of 2024-03-04 12:05Z. ETH has a 5m bar that ends
there, 3,512.40 USDT; the home is told in EUR; USDT is configured as pegged to USD; the hourly feed says
1 EUR = 1.0860 USD since 12:00Z. Then

    rate  = 1 / 1.0860 = 0.920810313075506446        (half-even at the 18th place)
    value = 2.5 x 3512.40 x 0.920810313075506446     (exact, rounded once)
          = 8085.635359116022102326 EUR, flags PEGGED

Had there been no bar ending at that very instant, the holding would have no price, reason `NO_PRICE`, and
the bucket no NAV: only what is priced, how much of it, and what is missing.

The rules. Quantities are step functions, prices and rates dense vectors over the closes; they meet asset
by asset, so memory holds one asset at a time. A holding that cannot be valued has the first reason of:
POSITION_BREAK, CASH_NEGATIVE, its price (NO_PRICE, MANUAL_EXPIRED), its peg (PEG_BROKEN), its rate
(NO_FX, FX_HELD), VALUE_OUT_OF_RANGE.

What is refused. Forward fill, back fill, interpolation, a coarser bar for a finer bucket. This module gets
chosen prices and rates as values; it knows no source, no database and no clock.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars.exceptions import ComputeError

from engine.domain.money import SCALE, to_scaled, to_text
from engine.valuation.exact import DECIMAL, Sums, decimals, scaled_ints, wide_value, words, zeroed
from engine.valuation.positions import Positions
from engine.valuation.price_choice import Instants, PricePolicy
from engine.valuation.rates import NO_RATE, RateUse, RateVector

Rows = NDArray[np.int64]
Marks = NDArray[np.bool_]

SNAPSHOT_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "kind": pl.String,  # holding | cash (outside NAV) | excluded | unmatched (amount under way, outside NAV)
    "account": pl.String,
    "asset_id": pl.String,
    "bucket_close": pl.Datetime("us", "UTC"),
    "quantity": DECIMAL,
    "price": DECIMAL,  # in quote_currency; null where the holding cannot be valued
    "quote_currency": pl.String,
    "price_source": pl.String,
    "resolution": pl.String,  # of the observation: 5m | 1h | 1d | spot | peg | manual | cash
    "asof": pl.Datetime("us", "UTC"),
    "fx_source": pl.String,
    "fx_rate": DECIMAL,
    "fx_asof": pl.Datetime("us", "UTC"),
    "drift_bps": DECIMAL,
    "value": DECIMAL,  # in base currency
    "reason": pl.String,
    "held": pl.String,  # pairs, or the token of a broken peg; joined by |
    "flags": pl.String,  # sorted, joined by |
}
SNAPSHOT_ORDER = ("bucket_close", "account", "kind")
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


@dataclass(frozen=True, slots=True)
class Inputs:
    """All a valuation needs, as values.

    `chosen`: what price_choice.choose gave. `rates`: per currency, its rates into the base currency at
    `closes`. `broken`: per pegged token, whether it is off its peg at each close.
    """

    closes: Instants
    positions: Positions
    chosen: pl.DataFrame
    rates: Mapping[str, RateVector]
    broken: Mapping[str, Marks]
    statuses: Mapping[str, Sequence[Status]]
    policy: PricePolicy


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
    unit: pl.Series


@dataclass(frozen=True, slots=True)
class AssetValues:
    """One asset's values: parallel arrays, one entry a (segment, close) that has something.

    `rows`: the asset's rows of Positions.segments. `value` is DECIMAL(38,18), 0 where not `valued`.
    """

    asset: str
    rows: slice
    segment: NDArray[np.uint32]
    b: NDArray[np.uint32]
    value: pl.Series
    valued: Marks
    quotation: Quotation


def run(inputs: Inputs) -> Iterator[AssetValues]:
    """Values every asset, one at a time, in order of their ids."""
    rates = _Rates(inputs.rates)
    observed = _by_asset(inputs.chosen)
    nothing = inputs.chosen.clear()
    for asset, rows in inputs.positions.by_asset():
        quotation = _quote(asset, inputs, observed.get(asset, nothing), rates)
        yield _value(asset, rows, inputs.positions, quotation)


def _by_asset(chosen: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """The observations of each asset; `chosen` is sorted by it."""
    lengths, assets = chosen["asset"].rle().struct.unnest()
    starts = lengths.cum_sum() - lengths
    return {asset: chosen.slice(*part) for asset, *part in zip(assets, starts, lengths, strict=True)}


def _value(asset: str, rows: slice, positions: Positions, quotation: Quotation) -> AssetValues:
    segment, b = positions.expand(rows)
    quantity, wide = positions.owned[segment], quotation.wide
    try:
        value = quantity * quotation.unit[b]
    except ComputeError:  # a product leaves the range: tell which, one by one
        value, wide = quantity.clear().extend_constant(None, len(b)), quotation.priced
    if wide.any():
        value = _with_wide_values(value, np.flatnonzero(wide[b]), quantity, b, quotation)
    valued = quotation.priced[b]
    if value.null_count() or positions.unvalued[rows].any():
        valued = valued & ~positions.unvalued[segment] & value.is_not_null().to_numpy()
        value = zeroed(value, ~valued)
    return AssetValues(asset, rows, segment, b, value, valued, quotation)


def _with_wide_values(
    value: pl.Series, places: Rows, quantity: pl.Series, b: NDArray[np.uint32], quotation: Quotation
) -> pl.Series:
    """The values with those at `places` multiplied as three integers: rounded once, null out of range."""
    closes = b[places]
    factors = zip(
        scaled_ints(quantity[places]),
        scaled_ints(quotation.prices["price"][quotation.price_row[closes]]),
        scaled_ints(quotation.rates["factor"][quotation.rate_row[closes]]),
        strict=True,
    )
    return value.scatter(places, decimals([wide_value(*factor) for factor in factors]))


# -- one asset's quotation: price, rate and what is wrong with them at every close --------------------


class _Rates:
    """The distinct results of all conversions as one table; its first row is `nothing to convert`."""

    def __init__(self, vectors: Mapping[str, RateVector]) -> None:
        uses, self.rows = [NO_RATE._replace(rate=SCALE, reason=None)], dict[str, Rows]()
        for currency, vector in vectors.items():
            last = len(uses) + len(vector.table) - 1
            self.rows[currency] = np.where(vector.idx < 0, last, vector.idx + len(uses)).astype(np.int64)
            uses += vector.table
        self.frame = _rate_frame(uses)


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
    return pl.DataFrame(told, schema=_RATE_ROW).with_columns(
        factor=decimals(rates),
        fx_rate=decimals([None, *rates[1:]]),
        drift_bps=decimals([use.drift_bps for use in uses]),
    )


def _places_of(rate: int | None) -> int:
    return 0 if rate is None else len(to_text(rate % SCALE).partition(".")[2])


def _quote(asset: str, inputs: Inputs, observed: pl.DataFrame, rates: _Rates) -> Quotation:
    prices, price_row, excluded = _prices(asset, inputs, observed)
    rate_row, pegged, broken = _conversion(prices["quote"], price_row, inputs, rates)
    price, factor = prices["price"][price_row], rates.frame["factor"][rate_row]
    priced = price.is_not_null().to_numpy() & factor.is_not_null().to_numpy() & ~broken
    places = prices["places"].to_numpy()[price_row] + rates.frame["fx_places"].to_numpy()[rate_row]
    wide = priced & (places > MAX_PLACES)
    try:
        unit = zeroed(price, ~priced | wide) * zeroed(factor, ~priced | wide)
    except ComputeError:  # a product leaves the range; times a small quantity it may come back
        unit, wide = zeroed(price, np.ones(len(price), dtype=bool)), priced
    return Quotation(prices, price_row, rates.frame, rate_row, pegged, broken, excluded, priced, wide, unit)


def _conversion(
    quotes: pl.Series, price_row: Rows, inputs: Inputs, rates: _Rates
) -> tuple[Rows, Marks, Marks]:
    """At every close: the row of the rate into the base currency, is that by a peg, is the peg off."""
    size, policy = len(price_row), inputs.policy
    rate_row, pegged, broken = np.zeros(size, np.int64), np.zeros(size, np.bool_), np.zeros(size, np.bool_)
    for name in quotes.unique().drop_nulls():
        if name == policy.base:
            continue
        at = quotes.eq_missing(name).to_numpy()[price_row]
        currency = policy.pegs.get(name, name)
        if name in policy.pegs:
            pegged |= at
            broken[at] = inputs.broken[name][at]
        if currency != policy.base:
            rate_row[at] = rates.rows[currency][at]
    return rate_row, pegged, broken


def _prices(asset: str, inputs: Inputs, observed: pl.DataFrame) -> tuple[pl.DataFrame, Rows, Marks]:
    """The prices of an asset over time, which of them counts at each close, and where it is excluded."""
    closes = inputs.closes
    table, plain = _unruled_prices(asset, inputs, observed)
    price_row, excluded = plain, np.zeros(len(closes), dtype=bool)
    for status in sorted(inputs.statuses.get(asset, ()), key=lambda status: status.since):
        since = closes >= status.since
        excluded = np.where(since, status.status == "excluded", excluded)
        price_row = np.where(since, plain, price_row)
        if status.status == "manual":
            assert status.expires is not None, "a manual price has an expiry"
            expired = closes >= status.expires
            unpriced = table["price"].is_null().to_numpy()[plain]
            price_row[since & ~expired] = table.height
            price_row[since & expired & unpriced] = table.height + 1
            table = pl.concat([table, _manual(status, inputs.policy.base)])
    return table, price_row, excluded


def _unruled_prices(asset: str, inputs: Inputs, observed: pl.DataFrame) -> tuple[pl.DataFrame, Rows]:
    """Cash and pegged tokens are worth one of themselves; all else what was observed, or nothing."""
    cash = asset in inputs.policy.cash_assets
    if cash or asset in inputs.policy.pegs:
        row = {"price": ONE, "places": 0, "quote": asset, "resolution": "cash" if cash else "peg"}
        return pl.DataFrame([row], schema=_PRICE_ROW), np.zeros(len(inputs.closes), np.int64)
    price_row = np.full(len(inputs.closes), len(observed), np.int64)
    price_row[observed["b"].to_numpy()] = np.arange(len(observed))
    known = observed.select([name for name in _PRICE_ROW if name != "reason"])
    unpriced = pl.DataFrame([{"places": 0, "reason": "NO_PRICE"}], schema=_PRICE_ROW)
    return pl.concat([known, unpriced], how="diagonal"), price_row


def _manual(status: Status, base: str) -> pl.DataFrame:
    """Two rows: the manual price, and what there is when it has expired."""
    scaled = to_scaled(str(status.price))
    price = {
        "price": decimals([scaled])[0], "places": _places_of(scaled), "quote": base,
        "source": "manual", "resolution": "manual", "asof": status.since,
    }  # fmt: skip
    return pl.DataFrame([price, {"places": 0, "reason": "MANUAL_EXPIRED"}], schema=_PRICE_ROW)


# -- snapshots and NAV ------------------------------------------------------------------------------


def snapshots(values: AssetValues, inputs: Inputs) -> pl.DataFrame:
    """The rows of SNAPSHOT_SCHEMA of one asset, sorted by bucket, account, kind."""
    positions = inputs.positions
    kind = positions.segments["kind"][values.segment]
    shown = "cash" if values.asset in inputs.policy.outside else "holding"
    provenance = _provenance(values.asset, values.quotation, inputs.policy.pegs)
    frame = provenance[values.b].with_columns(
        kind=pl.when(kind != "holding")
        .then(kind)
        .otherwise(pl.when("excluded").then(pl.lit("excluded")).otherwise(pl.lit(shown))),
        account=positions.segments["account"][values.segment],
        asset_id=pl.lit(values.asset),
        bucket_close=pl.Series(inputs.closes)[values.b],
        quantity=positions.owned[values.segment],
        value=pl.when(pl.Series(values.valued)).then(values.value),
        transit=positions.segments["transit"][values.segment],
        first_reason=positions.segments["reason"][values.segment],
    ).filter(~((pl.col("kind") == "unmatched") & pl.col("excluded")))  # fmt: skip
    # POSITION_BREAK and CASH_NEGATIVE come before every other reason; a lost product after all of them.
    unvalued = pl.col("value").is_null()
    frame = frame.with_columns(
        held=pl.when(pl.col("first_reason").is_null()).then("held"),
        reason=pl.coalesce("first_reason", "reason", pl.when(unvalued).then(pl.lit("VALUE_OUT_OF_RANGE"))),
        flags=_with_flag("flags", "transit", "IN_TRANSIT"),
        price=pl.when(~unvalued).then("price"),
    )
    instants = [pl.col(name).cast(pl.Datetime("us", "UTC")) for name in ("bucket_close", "asof", "fx_asof")]
    return frame.with_columns(instants).select(list(SNAPSHOT_SCHEMA)).sort(SNAPSHOT_ORDER)


def _provenance(asset: str, quotation: Quotation, pegs: Mapping[str, str]) -> pl.DataFrame:
    """One row a close: price and rate with their sources, the first reason against them, holds, flags."""
    off, priced, resolution = pl.Series(quotation.broken), pl.col("reason").is_null(), pl.col("resolution")
    parts = [quotation.prices[quotation.price_row], quotation.rates[quotation.rate_row]]
    return pl.concat(parts, how="horizontal").select(
        "price", "asof", "resolution", "fx_source", "fx_rate", "fx_asof", "drift_bps",
        quote_currency=pl.when(resolution == "peg").then(pl.lit(pegs.get(asset))).otherwise("quote"),
        price_source="source",
        reason=pl.coalesce("reason", pl.when(off).then(pl.lit("PEG_BROKEN")), "fx_reason"),
        held=pl.when(priced).then(pl.when(off).then("quote").otherwise("fx_held")),
        flags=_with_flag("fx_flags", pl.Series(quotation.pegged), "PEGGED"),
        excluded=pl.Series(quotation.excluded),
    )  # fmt: skip


def _with_flag(flags: str, where: str | pl.Series, flag: str) -> pl.Expr:
    more = pl.concat_list(pl.col(flags).str.split(JOIN), pl.lit([flag])).list.sort().list.join(JOIN)
    return pl.when(where).then(more.str.strip_chars(JOIN)).otherwise(flags)


class NavTotals:
    """Exact NAV per account and bucket, summed while assets stream by; slot = account x buckets + bucket.

    It is the second of a pair: what the snapshots add up to when read back must equal it.
    """

    def __init__(self, inputs: Inputs) -> None:
        self.accounts = inputs.positions.accounts
        self.buckets = len(inputs.closes)
        size = len(self.accounts) * self.buckets
        self._sums = Sums(size)
        self.holdings = np.zeros(size, dtype=np.int32)
        self.valued = np.zeros(size, dtype=np.int32)
        self._positions = inputs.positions
        self._outside = inputs.policy.outside

    def add(self, values: AssetValues) -> None:
        """Takes one asset's holdings in; cash outside NAV, excluded and unmatched ones are not holdings."""
        if values.asset in self._outside:
            return
        counted = ~values.quotation.excluded
        value, valued = values.value, values.valued
        if not counted.all():
            within = counted[values.b]
            valued = valued & within
            value = zeroed(value, ~within)
        amounts = words(value)
        for account, b_from, b_to, start in self._positions.holding_runs(values.rows):
            slot = account * self.buckets + b_from
            slots, entries = slice(slot, slot + b_to - b_from), slice(start, start + b_to - b_from)
            self.holdings[slots] += counted[b_from:b_to]
            self.valued[slots] += valued[entries]
            self._sums.add(slot, amounts[entries])

    def priced(self) -> pl.Series:
        """The sum of what is valued, per slot; null where it leaves the range."""
        return self._sums.column()

    def priced_in_all(self) -> pl.Series:
        """The sum of what is valued, per bucket over all accounts; null where it leaves the range."""
        return self._sums.folded(self.buckets).column()

    def complete(self) -> Marks:
        """Whether every holding of the slot is valued."""
        return np.asarray(self.holdings == self.valued)
