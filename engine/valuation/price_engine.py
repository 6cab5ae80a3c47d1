"""Positions x prices x rates -> values at bucket closes. Exact, and never an invented figure.

The problem. An account holds 2.5 ETH at the close of 2024-03-04 12:05Z. ETH has a 5m bar that ends
there, 3,512.40 USDT; the home is told in EUR; USDT is configured as pegged to USD; the hourly feed says
1 EUR = 1.0860 USD since 12:00Z. Then

    rate  = 1 / 1.0860 = 0.920810313075506446        (half-even at the 18th place)
    value = 2.5 x 3512.40 x 0.920810313075506446     (exact, rounded once)
          = 8085.635359116022102326 -> 8085.635359116022102 EUR, flags PEGGED

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

import numpy as np
import polars as pl
from polars.exceptions import ComputeError

from engine.domain.money import SCALE, to_scaled, to_text
from engine.valuation.fx_handler import RateVector
from engine.valuation.exact import DECIMAL, Sums, decimals, scaled_ints, wide_value
from engine.valuation.positions import Positions
from engine.valuation.price_choice import PricePolicy

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
FLAG_ORDER = ("DELAYED_FX", "EOD_ONLY", "EOD_OVERRIDE", "FX_CLOSED", "IN_TRANSIT", "PEGGED")
JOIN = "|"
MAX_PLACES = 18  # price places + rate places up to here: their product is exact in DECIMAL(38,18)


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

    closes: np.ndarray
    positions: Positions
    chosen: pl.DataFrame
    rates: Mapping[str, RateVector]
    broken: Mapping[str, np.ndarray]
    statuses: Mapping[str, Sequence[Status]]
    policy: PricePolicy


@dataclass(frozen=True, slots=True)
class AssetValues:
    """One asset's values: parallel arrays, one entry a (kind, account, bucket) that has something."""

    asset: str
    segment: np.ndarray  # index into Positions.segments
    b: np.ndarray
    value: pl.Series  # DECIMAL(38,18), null where not valued
    excluded: np.ndarray
    quotation: pl.DataFrame  # one row a close


def run(inputs: Inputs) -> Iterator[AssetValues]:
    """Values every asset, one at a time, in order of their ids."""
    for asset, segments in inputs.positions.by_asset():
        segment, b = inputs.positions.expand(segments)
        quotation = quote(asset, inputs)
        value = _values(inputs.positions.owned, segment, b, quotation)
        excluded = quotation["excluded"].to_numpy()[b]
        unvalued = inputs.positions.unvalued[segment]
        if unvalued.any():
            value = value.set(pl.Series(unvalued), None)
        yield AssetValues(asset, segment, b, value, excluded, quotation)


def _values(owned: pl.Series, segment: np.ndarray, b: np.ndarray, quotation: pl.DataFrame) -> pl.Series:
    at = pl.Series(b)
    quantity = owned.gather(pl.Series(segment))
    try:
        value = quantity * quotation["unit"].gather(at)
    except ComputeError:  # a product leaves the range: tell which, one by one
        quotation = quotation.with_columns(wide=pl.col("reason").is_null())
        value = pl.Series([None], dtype=DECIMAL).new_from_index(0, len(b))
    if not quotation["wide"].any():
        return value
    wide = np.flatnonzero(quotation["wide"].to_numpy()[b])
    places = pl.Series(wide)
    factors = zip(
        scaled_ints(quantity.gather(places)),
        scaled_ints(quotation["price"].gather(at.gather(places))),
        scaled_ints(quotation["fx_rate"].fill_null(1).gather(at.gather(places))),
        strict=True,
    )
    exact = decimals([None if None in row else wide_value(*row) for row in factors])  # type: ignore[arg-type]
    return value.scatter(places, exact)


# -- one asset's quotation: price, rate and reason at every close ------------------------------------


def quote(asset: str, inputs: Inputs) -> pl.DataFrame:
    """One row a close: price, provenance, rate, unit (price x rate where exact), reason, held, flags."""
    frame = _observed(asset, inputs)
    for status in sorted(inputs.statuses.get(asset, ()), key=lambda status: status.since):
        frame = _with_status(frame, status, inputs)
    return _convert(frame, inputs).drop("observed")


def _observed(asset: str, inputs: Inputs) -> pl.DataFrame:
    policy, size = inputs.policy, len(inputs.closes)
    if asset in policy.cash_assets:
        frame = _constant(size, asset, "cash")
    elif asset in policy.pegs:
        broken = pl.Series(inputs.broken[asset])
        frame = _constant(size, policy.pegs[asset], "peg").with_columns(
            pegged=pl.lit(True),
            reason=pl.when(broken).then(pl.lit("PEG_BROKEN")),
            held=pl.when(broken).then(pl.lit(asset)),
        )
    else:
        chosen = inputs.chosen.filter(pl.col("asset") == asset)
        row = np.full(size, len(chosen), dtype=np.int64)  # the null row behind the last
        row[chosen["b"].to_numpy()] = np.arange(len(chosen))
        columns = chosen.select("price", "places", "quote", "source", "resolution", "asof")
        blank = pl.DataFrame({name: [None] for name in columns.columns}, schema=columns.schema)
        frame = pl.concat([columns, blank])[row].with_columns(
            pegged=pl.lit(False),
            reason=pl.when(pl.col("price").is_null()).then(pl.lit("NO_PRICE")),
            held=pl.lit(None, pl.String),
        )
    return frame.with_columns(
        excluded=pl.lit(False), observed=pl.struct("price", "places", "quote", "source", "resolution",
                                                   "asof", "pegged", "reason", "held")
    )  # fmt: skip


def _constant(size: int, currency: str, resolution: str) -> pl.DataFrame:
    return pl.select(
        price=pl.repeat(1, size, dtype=pl.Int64).cast(DECIMAL),
        places=pl.repeat(0, size, dtype=pl.UInt8),
        quote=pl.repeat(currency, size),
        source=pl.repeat(None, size, dtype=pl.String),
        resolution=pl.repeat(resolution, size),
        asof=pl.repeat(None, size, dtype=pl.Int64),
        pegged=pl.repeat(False, size),
        reason=pl.repeat(None, size, dtype=pl.String),
        held=pl.repeat(None, size, dtype=pl.String),
    )


def _with_status(frame: pl.DataFrame, status: Status, inputs: Inputs) -> pl.DataFrame:
    """The quotation with one status laid over everything from its instant on."""
    closes = pl.Series(inputs.closes)
    since = closes >= status.since
    frame = frame.with_columns(excluded=pl.when(since).then(status.status == "excluded").otherwise("excluded"))
    fields = [field.name for field in frame.schema["observed"].fields]  # type: ignore[attr-defined]
    frame = frame.with_columns(
        pl.when(since).then(pl.col("observed").struct.field(name)).otherwise(name).alias(name)
        for name in fields
    )
    if status.status != "manual":
        return frame
    assert status.price is not None
    assert status.expires is not None
    manual = since & (closes < status.expires)
    expired = since & ~manual
    scaled = to_scaled(status.price)
    values = {
        "price": decimals([scaled])[0],
        "places": len(to_text(scaled).partition(".")[2]),
        "quote": inputs.policy.base,
        "source": "manual",
        "resolution": "manual",
        "asof": status.since,
        "pegged": False,
        "reason": None,
        "held": None,
    }
    return frame.with_columns(
        pl.when(manual).then(pl.lit(value, frame.schema[name])).otherwise(name).alias(name)
        for name, value in values.items()
    ).with_columns(
        reason=pl.when(expired & (pl.col("reason") == "NO_PRICE"))
        .then(pl.lit("MANUAL_EXPIRED"))
        .otherwise("reason")
    )


def _convert(frame: pl.DataFrame, inputs: Inputs) -> pl.DataFrame:
    """Adds rate, unit, reason, held and flags: quote currency -> (peg ->) base currency."""
    policy, size = inputs.policy, len(inputs.closes)
    frame = frame.with_row_index("b")
    parts = [_convert_quote(name, part, inputs) for (name,), part in frame.group_by("quote")]
    if not parts:
        parts = [_unconverted(frame)]
    whole = pl.concat(parts).sort("b").drop("b")
    assert whole.height == size
    priced = pl.col("reason").is_null()
    exact = pl.col("places") + pl.col("fx_places") <= MAX_PLACES
    whole = whole.with_columns(wide=priced & ~exact)
    rate = pl.col("fx_rate").fill_null(1)
    unit = pl.when(priced & exact).then(pl.col("price")) * pl.when(priced & exact).then(rate)
    try:
        whole = whole.with_columns(unit=unit)
    except ComputeError:
        whole = whole.with_columns(unit=pl.lit(None, DECIMAL), wide=priced)
    assert policy.base
    return whole


def _unconverted(part: pl.DataFrame) -> pl.DataFrame:
    return part.with_columns(
        fx_source=pl.lit(None, pl.String),
        fx_rate=pl.lit(None, DECIMAL),
        fx_asof=pl.lit(None, pl.Int64),
        drift_bps=pl.lit(None, DECIMAL),
        fx_places=pl.lit(0, pl.UInt8),
        flags=pl.when("pegged").then(pl.lit("PEGGED")).otherwise(pl.lit("")),
    )


def _convert_quote(name: object, part: pl.DataFrame, inputs: Inputs) -> pl.DataFrame:
    policy = inputs.policy
    if not isinstance(name, str):  # nothing priced there
        return _unconverted(part)
    currency = policy.pegs.get(name, name)
    if name in policy.pegs:
        broken = pl.Series(inputs.broken[name][part["b"].to_numpy()]) & part["reason"].is_null()
        part = part.with_columns(
            pegged=pl.lit(True),
            reason=pl.when(broken).then(pl.lit("PEG_BROKEN")).otherwise("reason"),
            held=pl.when(broken).then(pl.lit(name)).otherwise("held"),
        )
    if currency == policy.base:
        return _unconverted(part)
    vector = inputs.rates[currency]
    entry = vector.idx[part["b"].to_numpy()]
    used = rate_table(vector)[np.where(entry < 0, len(vector.table) - 1, entry)]
    joined = pl.concat([part, used], how="horizontal")
    free = pl.col("reason").is_null()
    return joined.with_columns(
        reason=pl.when(free).then("fx_reason").otherwise("reason"),
        held=pl.when(free).then("fx_held").otherwise("held"),
        flags=pl.when("pegged")
        .then(pl.concat_list(pl.col("fx_flags").str.split(JOIN), pl.lit(["PEGGED"])).list.sort().list.join(JOIN))
        .otherwise("fx_flags")
        .str.strip_chars(JOIN),
    ).select(*part.columns, "fx_source", "fx_rate", "fx_asof", "drift_bps", "fx_places", "flags")


def rate_table(vector: RateVector) -> pl.DataFrame:
    """A rate vector's distinct results as columns; the last is `no rate`."""
    uses = vector.table
    rates = [use.rate for use in uses]
    return pl.DataFrame(
        {
            "fx_source": pl.Series([use.source for use in uses], dtype=pl.String),
            "fx_rate": decimals(rates),
            "fx_asof": pl.Series([use.asof for use in uses], dtype=pl.Int64),
            "drift_bps": decimals([use.drift_bps for use in uses]),
            "fx_places": pl.Series([_places_of(rate) for rate in rates], dtype=pl.UInt8),
            "fx_flags": pl.Series([JOIN.join(sorted(use.flags)) for use in uses], dtype=pl.String),
            "fx_reason": pl.Series([use.reason for use in uses], dtype=pl.String),
            "fx_held": pl.Series([JOIN.join(sorted(use.held_pairs)) or None for use in uses], dtype=pl.String),
        }
    )


def _places_of(rate: int | None) -> int:
    return 0 if rate is None else len(to_text(rate % SCALE).partition(".")[2])


# -- snapshots and NAV ------------------------------------------------------------------------------


def snapshots(values: AssetValues, inputs: Inputs) -> pl.DataFrame:
    """The rows of SNAPSHOT_SCHEMA of one asset, sorted by bucket, account, kind."""
    positions = inputs.positions
    at, segment = pl.Series(values.b), pl.Series(values.segment)
    kind = positions.segments["kind"].gather(segment)
    quotation = values.quotation.drop("unit", "wide", "places", "fx_places", "pegged").select(
        pl.all().gather(at)
    )
    close = pl.Series(inputs.closes).gather(at)
    cash = values.asset in inputs.policy.cash_assets and not inputs.policy.cash_in_nav
    frame = quotation.with_columns(
        kind=pl.when(pl.col("excluded") & (kind == "holding"))
        .then(pl.lit("excluded"))
        .otherwise(pl.lit("cash") if cash else kind),
        account=positions.segments["account"].gather(segment),
        asset_id=pl.lit(values.asset),
        bucket_close=close,
        quantity=positions.owned.gather(segment),
        value=values.value,
        transit=positions.segments["transit"].gather(segment),
        first_reason=positions.segments["reason"].gather(segment),
    ).filter(~((pl.col("kind") == "unmatched") & pl.col("excluded")))
    # POSITION_BREAK and CASH_NEGATIVE come before every other reason; a lost product after all of them.
    unvalued = pl.col("value").is_null()
    frame = frame.with_columns(
        held=pl.when(pl.col("first_reason").is_null()).then("held"),
        reason=pl.coalesce(
            "first_reason", "reason", pl.when(unvalued).then(pl.lit("VALUE_OUT_OF_RANGE"))
        ),
        flags=pl.when("transit").then(
            pl.concat_list(pl.col("flags").str.split(JOIN), pl.lit(["IN_TRANSIT"])).list.sort().list.join(JOIN)
            .str.strip_chars(JOIN)
        ).otherwise("flags"),
        price=pl.when(~unvalued).then("price"),
    )  # fmt: skip
    renamed = frame.rename({"quote": "quote_currency", "source": "price_source"})
    instants = [pl.col(name).cast(pl.Datetime("us", "UTC")) for name in ("bucket_close", "asof", "fx_asof")]
    return renamed.with_columns(instants).select(list(SNAPSHOT_SCHEMA)).sort(SNAPSHOT_ORDER)


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
        self._policy = inputs.policy

    def add(self, values: AssetValues) -> None:
        """Takes one asset's holdings in; cash outside NAV, excluded and unmatched ones are not holdings."""
        if values.asset in self._policy.cash_assets and not self._policy.cash_in_nav:
            return
        counts = self._positions.is_holding[values.segment] & ~values.excluded
        slots = self._positions.account_index[values.segment] * self.buckets + values.b
        value = values.value
        if not counts.all():
            slots, value = slots[counts], value.filter(pl.Series(counts))
        self.holdings[slots] += 1
        self.valued[slots] += value.is_not_null().to_numpy()
        self._sums.add(slots, value.fill_null(0))

    def priced(self) -> pl.Series:
        """The sum of what is valued, per slot; null where it leaves the range."""
        return self._sums.column()

    def priced_in_all(self) -> pl.Series:
        """The sum of what is valued, per bucket over all accounts; null where it leaves the range."""
        return self._sums.folded(len(self.accounts)).column()

    def complete(self) -> np.ndarray:
        """Whether every holding of the slot is valued."""
        return np.asarray(self.holdings == self.valued)
