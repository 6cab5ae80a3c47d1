"""The rate book against the rules spelt out one close at a time: fractions, datetimes, no vectors."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from math import prod
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.instants import from_us, parse_instant, to_us
from engine.domain.money import SCALE, to_text
from engine.valuation.buckets import closes
from engine.valuation.fx_handler import FxPolicy, RateBook, RateUse
from engine.valuation.fx_quotes import OBSERVATIONS_SCHEMA
from tests.effort import examples

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "fx"
NEW_YORK, FRANKFURT = ZoneInfo("America/New_York"), ZoneInfo("Europe/Berlin")
QUARTER = timedelta(minutes=15)
HOLIDAYS = {  # of the windows used here, besides weekends
    date(2023, 12, 25), date(2023, 12, 26), date(2024, 1, 1),
    date(2024, 3, 29), date(2024, 4, 1), date(2024, 5, 1),
}  # fmt: skip
FINENESS = ["spot", "5m", "1h", "1d"]


@dataclass(frozen=True)
class Seen:
    base: str
    quote: str
    source: str
    resolution: str
    asof: datetime
    rate: Fraction


@dataclass(frozen=True)
class Part:
    rate: Fraction
    source: str
    asof: datetime
    flags: frozenset[str] = frozenset()
    drift: Fraction | None = None
    held: str | None = None


def open_at(moment: datetime) -> bool:
    session = (moment.astimezone(NEW_YORK) + timedelta(hours=7)).date()
    return session.weekday() < 5 and (session.month, session.day) not in {(12, 25), (1, 1)}


def open_time_less_than(start: datetime, end: datetime, limit: timedelta) -> bool:
    """Whether less than `limit` of open market passed; both instants are on quarter hours."""
    passed, now = timedelta(0), start
    while now < end and passed < limit:
        passed += QUARTER if open_at(now) else timedelta(0)
        now += QUARTER
    return passed < limit


def serves(seen: Seen, close: datetime) -> bool:
    if close < seen.asof:
        return False
    if seen.resolution != "1d":
        return open_time_less_than(seen.asof, close, timedelta(hours=1))
    day = seen.asof.astimezone(FRANKFURT).date() + timedelta(days=1)
    while day.weekday() > 4 or day in HOLIDAYS:
        day += timedelta(days=1)
    return close < datetime.combine(day, time(16, 30), FRANKFURT)


def first_named(pair: set[str]) -> str:
    return sorted(pair, key=lambda currency: (currency != "EUR", currency))[0]


class Naive:
    def __init__(self, observations: list[Seen], policy: FxPolicy) -> None:
        self.observations, self.policy = observations, policy

    def is_primary(self, seen: Seen) -> bool:
        if seen.source in self.policy.primary:
            return True
        return seen.source not in self.policy.fallback and seen.resolution != "1d"

    def pick(self, pair: set[str], primary: bool, when: Callable[[Seen], bool]) -> Seen | None:
        order = list(self.policy.primary if primary else self.policy.fallback)
        found = [
            seen
            for seen in self.observations
            if {seen.base, seen.quote} == pair and self.is_primary(seen) == primary and when(seen)
        ]
        place = {source: n for n, source in enumerate(order)}
        named = first_named(pair)
        found.sort(key=lambda seen: (
            -to_us(seen.asof), place.get(seen.source, len(order)), seen.source,
            FINENESS.index(seen.resolution), seen.base != named,
        ))  # fmt: skip
        return found[0] if found else None

    def part(self, from_ccy: str, to_ccy: str, close: datetime) -> Part | None:
        pair = {from_ccy, to_ccy}
        if self.is_eod_only(pair):
            return self.reference(from_ccy, to_ccy, close)
        primary = self.pick(pair, True, lambda seen: serves(seen, close))
        if primary:
            return as_part(primary, from_ccy, close)
        fallback = self.pick(pair, False, lambda seen: serves(seen, close))
        if not fallback:
            return None
        part = as_part(fallback, from_ccy, close)
        latest = self.pick(pair, True, lambda seen: seen.asof <= close)
        if latest is None or not open_time_less_than(latest.asof, close, timedelta(hours=24)):
            return Part(part.rate, part.source, part.asof, held="NO_PRIMARY")
        named = first_named(pair)
        drift = abs(towards(fallback, named) / towards(latest, named) - 1) * 10_000
        held = "DRIFT" if drift > Fraction(str(self.policy.drift_bps_max)) else None
        return Part(part.rate, part.source, part.asof, part.flags, drift, held)

    def reference(self, from_ccy: str, to_ccy: str, close: datetime) -> Part | None:
        seen = self.pick({from_ccy, to_ccy}, False, lambda seen: serves(seen, close))
        if seen is None:
            return None
        part = as_part(seen, from_ccy, close)
        return Part(part.rate, part.source, part.asof, part.flags | {"EOD_ONLY"})

    def is_eod_only(self, pair: set[str]) -> bool:
        return any(set(name.split("/")) == pair for name in self.policy.eod_only)

    def convert(self, from_ccy: str, to_ccy: str, close: datetime) -> list[Part]:
        find = self.reference if self.is_eod_only({from_ccy, to_ccy}) else self.part
        direct = find(from_ccy, to_ccy, close)
        if direct or "EUR" in (from_ccy, to_ccy):
            return [direct] if direct else []
        first, second = find(from_ccy, "EUR", close), find("EUR", to_ccy, close)
        return [first, second] if first and second else []


def towards(seen: Seen, from_ccy: str) -> Fraction:
    return seen.rate if seen.base == from_ccy else 1 / seen.rate


def as_part(seen: Seen, from_ccy: str, close: datetime) -> Part:
    late = seen.resolution != "1d" and close - seen.asof >= timedelta(hours=1)
    return Part(towards(seen, from_ccy), seen.source, seen.asof, frozenset({"FX_CLOSED"} if late else ()))


def scaled(exact: Fraction) -> int:
    whole: int = round(exact * SCALE)  # half-even, as Fraction rounds
    return whole


def check(used: RateUse, parts: list[Part]) -> None:
    """One result of the book against the parts of the naive conversion."""
    if not parts:
        assert (used.rate, used.reason) == (None, "NO_FX")
        return
    rate = scaled(prod((part.rate for part in parts), start=Fraction(1)))
    drifts = [part.drift for part in parts if part.drift is not None]
    assert used.drift_bps == (scaled(max(drifts)) if drifts else None)
    causes = [part.held for part in parts if part.held]
    if causes:
        assert (used.rate, used.reason, used.flags) == (None, "FX_HELD", ("DELAYED_FX",))
        assert [evidence.cause for evidence in used.evidence] == causes
        assert used.held_rate == rate
        return
    assert (used.rate, used.reason) == (rate, None)
    assert used.source == "+".join(part.source for part in parts)
    assert used.asof == to_us(min(part.asof for part in parts))
    assert used.flags == tuple(sorted(frozenset[str]().union(*(part.flags for part in parts))))


def as_frame(observations: list[Seen]) -> pl.DataFrame:
    rows = [
        (seen.base, seen.quote, seen.source, seen.resolution, to_us(seen.asof), to_text(scaled(seen.rate)))
        for seen in observations
    ]
    frame = pl.DataFrame(rows, schema={**OBSERVATIONS_SCHEMA, "rate": pl.String}, orient="row")
    return frame.with_columns(pl.col("rate").cast(OBSERVATIONS_SCHEMA["rate"]))


WINDOWS = (
    datetime(2024, 3, 6, tzinfo=UTC),  # New York's clocks change
    datetime(2023, 12, 21, tzinfo=UTC),  # Christmas
    datetime(2024, 3, 27, tzinfo=UTC),  # Frankfurt's clocks change, Easter
    datetime(2024, 4, 29, tzinfo=UTC),  # Labour Day
)
pairs = st.sampled_from(
    [("EUR", "USD"), ("USD", "EUR"), ("EUR", "GBP"), ("GBP", "EUR"), ("GBP", "USD"), ("USD", "GBP")]
)
quarters = st.one_of(st.integers(0, 6 * 96), st.integers(200, 208))  # often at one instant
policies = st.builds(
    FxPolicy,
    primary=st.sampled_from([(), ("b",), ("c", "a"), ("ecb",)]),
    fallback=st.sampled_from([(), ("ecb",), ("d", "ecb")]),
    eod_only=st.sampled_from([frozenset(), frozenset({"USD/EUR"}), frozenset({"GBP/USD"})]),
    drift_bps_max=st.sampled_from([25, "10.5", 0]),
)


@st.composite
def observed(draw: st.DrawFn) -> list[Seen]:
    """Observations of six days, one to each key, rates within 40 bps of one another."""
    start = draw(st.sampled_from(WINDOWS))
    intraday = st.tuples(st.sampled_from("abcd"), st.sampled_from(["spot", "5m", "1h"]))
    kinds = st.one_of(intraday, st.tuples(st.sampled_from(["ecb", "a"]), st.just("1d")))
    keys = st.tuples(pairs, kinds, quarters)
    found = draw(
        st.lists(
            st.tuples(keys, st.integers(9_980, 10_020)), min_size=1, max_size=14, unique_by=lambda x: x[0]
        )
    )
    return [
        Seen(*pair, source, resolution, start + n * QUARTER, Fraction(rate, 10_000))
        for (pair, (source, resolution), n), rate in found
    ]  # fmt: skip


@settings(max_examples=examples(200), deadline=None)
@given(observations=observed(), policy=policies, pair=pairs, after=st.lists(quarters, min_size=1, max_size=6))
def test_convert__equals_the_rules_taken_one_close_at_a_time(
    observations: list[Seen], policy: FxPolicy, pair: tuple[str, str], after: list[int]
) -> None:
    first = min(seen.asof for seen in observations)
    last = max(seen.asof for seen in observations)
    moments = [first + n * QUARTER for n in after] + [last, last + 4 * QUARTER]
    naive = Naive(observations, policy)
    frame = as_frame(observations)
    found = RateBook(frame, policy).convert(*pair, np.array([to_us(moment) for moment in moments]))
    for moment, index in zip(moments, found.idx.tolist(), strict=True):
        check(found.table[index], naive.convert(*pair, moment))
    again = RateBook(frame.reverse(), policy).convert(*pair, np.array([to_us(m) for m in moments]))
    assert (again.idx.tolist(), again.table) == (found.idx.tolist(), found.table)


def shared_rates(name: str) -> pl.DataFrame:
    path = SHARED / name
    if not path.exists():
        pytest.skip("the shared currency rates are not here")
    asof = pl.col("asof").map_elements(parse_instant, pl.Int64)
    frame = pl.read_csv(path, infer_schema=False).filter(pl.col("asof").str.starts_with("2024"))
    frame = frame.filter(pl.col("quote").is_in(["USD", "GBP"])).rename({"fx_source": "source"})
    return frame.select(
        "base", "quote", "source", "resolution", asof, pl.col("rate").cast(pl.Decimal(38, 18))
    )


@pytest.mark.parametrize("pair", [("EUR", "USD"), ("USD", "EUR"), ("GBP", "USD")])
def test_convert__on_real_rates__equals_the_rules_taken_one_close_at_a_time(pair: tuple[str, str]) -> None:
    frame = pl.concat([shared_rates("ecb_eod_2017-2026.csv"), shared_rates("eurusd_1h_2024.csv")])
    policy = FxPolicy(fallback=("ecb_eurofxref",), eod_only=frozenset({"EUR/GBP"}))
    start, end = to_us(datetime(2024, 2, 1, tzinfo=UTC)), to_us(datetime(2024, 9, 1, tzinfo=UTC))
    ends = closes("1h", "Europe/Berlin", start, end)
    found = RateBook(frame, policy).convert(*pair, ends)
    seen = [
        Seen(base, quote, source, resolution, from_us(asof), Fraction(rate))
        for base, quote, source, resolution, asof, rate in frame.iter_rows()
    ]
    for close, index in list(zip(ends.tolist(), found.idx.tolist(), strict=True))[::41]:
        near = [one for one in seen if abs(one.asof - from_us(close)) < timedelta(days=6)]
        check(found.table[index], Naive(near, policy).convert(*pair, from_us(close)))


def test_convert__on_real_rates__holds_only_where_the_hourly_source_is_silent() -> None:
    frame = pl.concat([shared_rates("ecb_eod_2017-2026.csv"), shared_rates("eurusd_1h_2024.csv")])
    start, end = to_us(datetime(2024, 1, 2, tzinfo=UTC)), to_us(datetime(2024, 9, 1, tzinfo=UTC))
    ends = closes("1h", "UTC", start, end)
    found = RateBook(frame, FxPolicy()).convert("EUR", "USD", ends)
    used = [found.table[index] for index in found.idx.tolist()]
    own = set(frame.filter(pl.col("resolution") == "1h")["asof"].to_list())
    for close, one in zip(ends.tolist(), used, strict=True):
        if close in own:
            assert (one.source, one.asof, one.reason) == ("histdata_h1", close, None)
    reasons = [one.reason for one in used]
    assert reasons.count("NO_FX") == 0
    assert 0 < reasons.count("FX_HELD") < len(used) // 50
