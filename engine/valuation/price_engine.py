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
by asset, so memory holds a few assets at a time. A holding that cannot be valued has the first reason of:
POSITION_BREAK, CASH_NEGATIVE, its price (NO_PRICE, MANUAL_EXPIRED), its peg (PEG_BROKEN), its rate
(NO_FX, FX_HELD), VALUE_OUT_OF_RANGE.

What is refused. Forward fill, back fill, interpolation, a coarser bar for a finer bucket. This module gets
chosen prices and rates as values; it knows no source, no database and no clock.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars.exceptions import ComputeError

from engine.domain.money import SCALE
from engine.valuation.exact import (
    DECIMAL,
    Sums,
    Words,
    decimals,
    from_words,
    items,
    pairs,
    scaled_ints,
    wide_value,
    words,
    zeroed_words,
)
from engine.valuation.positions import Positions
from engine.valuation.price_choice import Instants, PricePolicy
from engine.valuation.quotation import JOIN, Marks, Quotation, Rates, quote
from engine.valuation.quotation import Status as Status
from engine.valuation.rates import RateVector

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
AHEAD = 1  # assets that are ready or under way while the caller has one
BESIDE_FROM = 1_000_000  # values; fewer are not worth a thread
SNAPSHOT_ORDER = ("bucket_close", "account", "kind")


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
class AssetValues:
    """One asset's values: parallel arrays, one entry a (segment, close) that has something.

    `rows`: the asset's rows of Positions.segments, which expand to these entries. `value`: bits as
    exact.words gives them, 0 where not `valued`.
    """

    asset: str
    rows: slice
    value: Words
    valued: Marks
    quotation: Quotation


def run(inputs: Inputs) -> Iterator[AssetValues]:
    """Values every asset, in order of their ids."""
    steps = _steps(inputs)
    if inputs.positions.size(0) < BESIDE_FROM:
        yield from (step() for step in steps)
    else:
        yield from _ahead(steps)


def _steps(inputs: Inputs) -> Iterator[Callable[[], AssetValues]]:
    """What gives the values of each asset; most of it is multiplying."""
    rates = Rates(inputs.rates)
    observed = _by_asset(inputs.chosen)
    nothing = inputs.chosen.clear()
    held = _Held(inputs.positions)
    for asset, rows in inputs.positions.by_asset():
        quotation = quote(asset, inputs, observed.get(asset, nothing), rates)
        yield partial(_value, asset, rows, held, quotation)


def _ahead(steps: Iterator[Callable[[], AssetValues]]) -> Iterator[AssetValues]:
    """What the steps give, in their order; the next ones are under way while the caller has one."""
    coming: deque[Future[AssetValues]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="value") as beside:
        for step in steps:
            coming.append(beside.submit(step))
            if len(coming) > AHEAD:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()


class _Held:
    """The quantities of all segments as bits, and which segments have no value whatever the price."""

    def __init__(self, positions: Positions) -> None:
        self.positions = positions
        in_range, bits = zeroed_words(positions.owned)
        self.bits = items(bits)
        self.unvalued = positions.unvalued | ~in_range


def _by_asset(chosen: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """The observations of each asset; `chosen` is sorted by it."""
    lengths, assets = chosen["asset"].rle().struct.unnest()
    starts = lengths.cum_sum() - lengths
    return {asset: chosen.slice(*part) for asset, *part in zip(assets, starts, lengths, strict=True)}


def _value(asset: str, rows: slice, held: _Held, quotation: Quotation) -> AssetValues:
    positions = held.positions
    lengths = positions.lengths(rows)
    unit, valued = positions.taken(rows, items(quotation.unit)), positions.taken(rows, quotation.priced)
    value, in_range = products(pairs(np.repeat(held.bits[rows], lengths)), pairs(unit))
    if quotation.wide.any():
        segment, b = positions.expand(rows)
        value = value.copy()
        places = np.flatnonzero(quotation.wide[b])
        factors = quotation.factors(b[places].astype(np.int64))
        in_range = with_wide_values(value, in_range, places, positions.owned[segment[places]], factors)
    if in_range is not None:
        valued = valued & in_range
    if held.unvalued[rows].any():
        valued = valued & ~np.repeat(held.unvalued[rows], lengths)
        value = value * valued[:, None]
    return AssetValues(asset, rows, value, valued, quotation)


def products(quantity: Words, unit: Words) -> tuple[Words, Marks | None]:
    """quantity x unit, rounded half-even once, 0 out of range; where it is in range (None: everywhere)."""
    amounts, units = from_words(quantity), from_words(unit)
    try:
        return words(amounts * units), None
    except ComputeError:  # a product leaves the range: tell which, one by one
        pass
    values = [
        wide_value(amount, one, SCALE)
        for amount, one in zip(scaled_ints(amounts), scaled_ints(units), strict=True)
    ]
    known, value = zeroed_words(decimals(values))
    return value, known


def with_wide_values(
    value: Words, in_range: Marks | None, places: NDArray[np.int64], quantity: pl.Series,
    factors: Sequence[tuple[int | None, int | None]],
) -> Marks | None:  # fmt: skip
    """Puts quantity x price x rate at `places`, as three integers rounded once; where all is in range now."""
    wide = [wide_value(q, *pair) for q, pair in zip(scaled_ints(quantity), factors, strict=True)]
    known, value[places] = zeroed_words(decimals(wide))
    if known.all() and in_range is None:
        return None
    in_range = np.ones(len(value), dtype=bool) if in_range is None else in_range
    in_range[places] = known
    return in_range


# -- snapshots and NAV ------------------------------------------------------------------------------


def snapshots(several: Sequence[AssetValues], inputs: Inputs) -> pl.DataFrame:
    """The rows of SNAPSHOT_SCHEMA of assets that `run` gave in a row, by asset, bucket, account, kind."""
    if not several:
        return pl.DataFrame(schema=SNAPSHOT_SCHEMA)
    positions = inputs.positions
    segment, b = positions.expand(slice(several[0].rows.start, several[-1].rows.stop))
    nth = np.repeat(np.arange(len(several)), [len(values.valued) for values in several])
    kind = positions.segments["kind"][segment]
    valued, value = (np.concatenate([getattr(v, name) for v in several]) for name in ("valued", "value"))
    shown = pl.when(pl.col("asset_id").is_in(list(inputs.policy.outside))).then(pl.lit("cash"))
    frame = _provenance(several, inputs)[nth * len(inputs.closes) + b].with_columns(
        kind=pl.when(kind != "holding")
        .then(kind)
        .otherwise(pl.when("excluded").then(pl.lit("excluded")).otherwise(shown.otherwise(pl.lit("holding")))),
        account=positions.segments["account"][segment],
        bucket_close=pl.Series(inputs.closes)[b],
        quantity=positions.owned[segment],
        value=pl.when(pl.Series(valued)).then(from_words(value)),
        transit=positions.segments["transit"][segment],
        first_reason=positions.segments["reason"][segment],
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
    return frame.with_columns(instants).select(list(SNAPSHOT_SCHEMA)).sort("asset_id", *SNAPSHOT_ORDER)


def _provenance(several: Sequence[AssetValues], inputs: Inputs) -> pl.DataFrame:
    """One row an asset and close: price and rate with their sources, the first reason, holds, flags."""
    found = pl.concat([_quoted(values.asset, values.quotation) for values in several])
    priced, of_peg = pl.col("reason").is_null(), pl.col("resolution") == "peg"
    token, pegs = pl.col("asset_id"), inputs.policy.pegs
    currency = token.replace_strict(pegs, default=None, return_dtype=pl.String) if pegs else pl.lit(None)
    return found.select(
        "asset_id", "price", "asof", "resolution", "fx_source", "fx_rate", "fx_asof", "drift_bps", "excluded",
        quote_currency=pl.when(of_peg).then(currency).otherwise("quote"),
        price_source="source",
        reason=pl.coalesce("reason", pl.when("broken").then(pl.lit("PEG_BROKEN")), "fx_reason"),
        held=pl.when(priced).then(pl.when("broken").then("quote").otherwise("fx_held")),
        flags=_with_flag("fx_flags", "pegged", "PEGGED"),
    )  # fmt: skip


def _quoted(asset: str, quotation: Quotation) -> pl.DataFrame:
    """The quotation's tables, one row a close."""
    marks = {name: getattr(quotation, name) for name in ("broken", "pegged", "excluded")}
    named = pl.repeat(asset, len(quotation.price_row), eager=True).alias("asset_id")
    told = [quotation.prices[quotation.price_row], quotation.rates[quotation.rate_row]]
    return told[0].hstack([named, *told[1].get_columns(), *(pl.Series(*mark) for mark in marks.items())])


def _with_flag(flags: str, where: str, flag: str) -> pl.Expr:
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
            within = self._positions.taken(values.rows, counted)
            valued = valued & within
            value = value * within[:, None]
        for account, b_from, b_to, start in self._positions.holding_runs(values.rows):
            slot = account * self.buckets + b_from
            slots, entries = slice(slot, slot + b_to - b_from), slice(start, start + b_to - b_from)
            self.holdings[slots] += counted[b_from:b_to]
            self.valued[slots] += valued[entries]
            self._sums.add(slot, value[entries])

    def priced(self) -> pl.Series:
        """The sum of what is valued, per slot; null where it leaves the range."""
        return self._sums.column()

    def priced_in_all(self) -> pl.Series:
        """The sum of what is valued, per bucket over all accounts; null where it leaves the range."""
        return self._sums.folded(self.buckets).column()

    def in_all(self) -> list[tuple[int, int, int]]:
        """Per bucket over all accounts: holdings, how many are valued, the scaled sum of what is."""
        whole = self._sums.folded(self.buckets)
        counts = [
            counted.reshape(len(self.accounts), self.buckets).sum(axis=0).tolist()
            for counted in (self.holdings, self.valued)
        ]
        return [(*held, whole.scaled(b)) for b, held in enumerate(zip(*counts, strict=True))]

    def complete(self) -> Marks:
        """Whether every holding of the slot is valued."""
        return np.asarray(self.holdings == self.valued)
