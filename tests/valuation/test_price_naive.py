"""The engine's points against a second valuation: fractions and dicts, one close, one holding at a time."""

from collections import defaultdict
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.instants import format_instant
from engine.snapshots.nav_reader import NavPoint
from engine.valuation import price_engine
from tests.effort import examples
from tests.valuation.price_tables import CASH, Case, Told, at, text

MAX = Fraction(10**38 - 1, 10**18)
FINER = {"5m": ["5m"], "1h": ["1h", "5m"], "1d": ["1d", "1h", "5m"]}
TOLERANCE_S = {"5m": 120, "1h": 300, "1d": 300}
PEGS = {"USDT": "USD", "EURT": "EUR"}


def rounded(value: Fraction) -> Fraction | None:
    whole = Fraction(round(value * 10**18), 10**18)  # Python rounds half to even
    return whole if abs(whole) <= MAX else None


def told(value: Fraction | None) -> str | None:
    if value is None or abs(value) > MAX:
        return None
    units = round(value * 10**18)
    plain = f"{abs(units) // 10**18}.{abs(units) % 10**18:018}".rstrip("0").rstrip(".")
    return f"-{plain}" if units < 0 else plain


@dataclass
class Priced:
    """What one unit is worth, or why that is not known."""

    price: Fraction | None = None
    reason: str | None = None
    held: str | None = None
    flags: frozenset[str] = frozenset()
    excluded: bool = False


class Naive:
    """A case, read line by line."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.moves = [(at(r[0]), r[1], r[2], Fraction(r[3]), (*r, "holding")[4]) for r in rows(case.moves)]
        self.seen = [(at(r[0]), *r[1].split("/"), r[2], r[3], Fraction(r[4])) for r in rows(case.prices)]
        self.pairs = [(at(r[0]), *r[1].split("/"), Fraction(r[2])) for r in rows(case.pair_rates)]
        self.rates = {(at(r[0]), r[1]): r[2:] for r in rows(case.rates)}
        self.statuses = sorted(
            ((at(r[0]), place, r[1], r[2], *r[3:]) for place, r in enumerate(rows(case.statuses))),
            key=lambda status: status[:2],
        )

    def observation(self, asset: str, close: int) -> tuple[str, Fraction] | None:
        case = self.case
        grains = FINER[case.resolution]
        able = []
        for asof, name, quote, grain, source, price in self.seen:
            spot = grain == "spot" and 0 <= close - asof < TOLERANCE_S[case.resolution] * 10**6
            if name == asset and (spot or (grain in grains and asof == close)):
                to = 0 if quote == case.base else 1 if case.pegs.get(quote) == case.base else 2
                place = case.sources.index(source) if source in case.sources else len(case.sources)
                order = len(grains) if grain == "spot" else grains.index(grain)
                able.append(((order, -asof, to, quote, place, source), quote, price))
        return min(able)[1:] if able else None

    def off_peg(self, token: str, close: int) -> bool:
        currency = self.case.pegs[token]
        watched = [(asof, left, right, value) for asof, left, right, _, _, value in self.seen] + self.pairs
        worth = [
            (asof, value if left == token else 1 / value)
            for asof, left, right, value in watched
            if {left, right} == {token, currency} and close - 3600 * 10**6 < asof <= close
        ]
        latest = max((asof for asof, _ in worth), default=None)
        return any(abs(value - 1) > Fraction(50, 10_000) for asof, value in worth if asof == latest)

    def unit(self, asset: str, close: int) -> Priced:
        """The worth of one unit in base currency."""
        case, status = self.case, None
        for since, _, name, *what in self.statuses:
            if name == asset and since <= close:
                status = what
        excluded = status == ["excluded"]
        if status and status[0] == "manual" and close < at(status[2]):
            return Priced(Fraction(status[1]))
        if asset in CASH or asset in case.pegs:
            quote, price = asset, Fraction(1)
        elif (found := self.observation(asset, close)) is None:
            expired = status is not None and status[0] == "manual"
            return Priced(reason="MANUAL_EXPIRED" if expired else "NO_PRICE", excluded=excluded)
        else:
            quote, price = found
        return replace(self.converted(quote, price, close), excluded=excluded)

    def converted(self, quote: str, price: Fraction, close: int) -> Priced:
        case = self.case
        if quote == case.base:
            return Priced(price)
        flags = frozenset({"PEGGED"} if quote in case.pegs else ())
        off = quote in case.pegs and self.off_peg(quote, close)
        currency = case.pegs.get(quote, quote)
        if currency == case.base:
            return Priced(None, "PEG_BROKEN", quote, flags) if off else Priced(price, flags=flags)
        rate, *more = self.rates.get((close, currency), [""])
        flags |= {"DELAYED_FX"} if rate == "FX_HELD" else set(more)
        if off:
            return Priced(None, "PEG_BROKEN", quote, flags)
        if rate == "FX_HELD":
            return Priced(None, "FX_HELD", more[0], flags)
        return Priced(price * Fraction(rate), flags=flags) if rate else Priced(None, "NO_FX", flags=flags)

    def point(self, close: int, account: str | None) -> NavPoint:
        sums: dict[tuple[str, str], dict[str, Fraction]] = defaultdict(lambda: defaultdict(Fraction))
        for ts, owner, asset, delta, series in self.moves:
            if ts <= close and account in (None, owner):
                sums[owner, asset][series] += delta
        told_of = Point()
        for (_, asset), amounts in sums.items():
            self.count(told_of, asset, amounts, self.unit(asset, close))
        return told_of.finished(close)

    def count(self, point: "Point", asset: str, amounts: dict[str, Fraction], unit: Priced) -> None:
        owned, cash = amounts["holding"] + amounts["transit"], asset in CASH
        broken = not cash and amounts["deficit"] != 0
        if amounts["unmatched"] and not unit.excluded:
            point.unmatched.append(value_of(amounts["unmatched"], unit))
        if not owned and not broken:
            return
        if unit.excluded:
            point.excluded += 1
            return
        if cash and not self.case.cash_in_nav:
            return
        reason, held = unit.reason, unit.held
        if broken or (cash and owned < 0):
            reason, held = "POSITION_BREAK" if broken else "CASH_NEGATIVE", None
        value = None if reason else value_of(owned, unit)
        point.values.append(value)
        point.flags |= unit.flags | ({"IN_TRANSIT"} if amounts["transit"] else set())
        if value is None:
            point.reasons.add(reason or "VALUE_OUT_OF_RANGE")
            (point.held if held else point.missing).add(held or asset)


def value_of(quantity: Fraction, unit: Priced) -> Fraction | None:
    if unit.price is None or abs(quantity) > MAX:
        return None
    return rounded(quantity * unit.price)


class Point:
    """A point under way."""

    def __init__(self) -> None:
        self.values: list[Fraction | None] = []
        self.unmatched: list[Fraction | None] = []
        self.missing: set[str] = set()
        self.held: set[str] = set()
        self.reasons: set[str] = set()
        self.flags: set[str] = set()
        self.excluded = 0

    def finished(self, close: int) -> NavPoint:
        valued = [value for value in self.values if value is not None]
        total = told(sum(valued, Fraction()))
        complete = len(valued) == len(self.values)
        waiting = None if None in self.unmatched else told(sum(filter(None, self.unmatched), Fraction()))
        return NavPoint(
            close, total if complete else None, total, len(valued) / len(self.values) if self.values else 1.0,
            tuple(sorted(self.missing)), tuple(sorted(self.held)),
            tuple(sorted(self.reasons | ({"VALUE_OUT_OF_RANGE"} if total is None else set()))),
            tuple(sorted(self.flags | ({"PROVISIONAL"} if self.unmatched else set()))),
            self.excluded, waiting,
        )  # fmt: skip


def rows(table: str) -> list[list[str]]:
    return [line.split() for line in table.splitlines() if line.strip()]


# Inputs


CLOSES = {"5m": [f"12:{minute:02}" for minute in range(0, 40, 5)], "1h": ["12:00", "13:00", "14:00"]}
ASSETS = ["AAA", "BBB", "USDT", "EUR", "USD"]


@st.composite
def amounts(draw: st.DrawFn, *, positive: bool) -> str:
    digits = draw(st.one_of(st.integers(1, 10**6), st.integers(1, 10**20), st.integers(1, 10**38 - 1)))
    places = draw(st.integers(0, 18))
    whole, part = divmod(min(digits, 10 ** (20 + places) - 1), 10**places)
    sign = "" if positive or draw(st.booleans()) else "-"
    return sign + (f"{whole}.{part:0{places}}" if places else str(whole or 1))


@st.composite
def instants(draw: st.DrawFn, closes: list[str]) -> str:
    close = at(draw(st.sampled_from(closes)))
    offset = draw(st.sampled_from([0, 0, 0, -1, -119, -120, -299, -300, -1800, 1]))
    return format_instant(close + offset * 10**6)[11:19]


def tables(draw: st.DrawFn, size: int, *columns: st.SearchStrategy[Any]) -> list[list[str]]:
    return draw(st.lists(st.tuples(*columns).map(lambda row: [str(field) for field in row]), max_size=size))


def joined(lines: list[list[str]]) -> str:
    return "\n".join(" ".join(filter(None, line)) for line in lines)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    resolution = draw(st.sampled_from(["5m", "1h"]))
    closes = CLOSES[resolution]
    when, price = instants(closes), st.one_of(amounts(positive=True), st.sampled_from(["1", "0.996", "1.1"]))
    moved = tables(
        draw, 9, when, st.sampled_from(["one", "two"]), st.sampled_from(ASSETS), amounts(positive=False),
        st.sampled_from(["holding", "holding", "holding", "transit", "unmatched", "deficit"]),
    )  # fmt: skip
    for row in moved:
        row[3] = row[3] if row[4] == "holding" else row[3].lstrip("-")
    asked = tables(
        draw, 14, when,
        st.sampled_from(["AAA/USD", "AAA/USDT", "AAA/EUR", "BBB/EURT", "BBB/GBP", "USDT/USD"]),
        st.sampled_from(["5m", "1h", "spot"]), st.sampled_from(["x", "y"]), price,
    )  # fmt: skip
    rate = st.one_of(amounts(positive=True), st.sampled_from(["FX_HELD EUR/USD", "1.25 FX_CLOSED"]))
    known = tables(draw, 10, st.sampled_from(closes), st.sampled_from(["EUR", "GBP", "USD"]), rate)
    pair = st.sampled_from(["USD/USDT", "EURT/EUR"])
    watched = tables(draw, 2, when, pair, st.sampled_from(["1", "1.006"]))
    status = st.sampled_from(["normal", "excluded", f"manual 2.5 {closes[-1]}", f"manual 0 {closes[1]}"])
    return Case(
        moves=joined(moved), prices=joined(list({tuple(row[:4]): row for row in asked}.values())),
        rates=joined(list({tuple(row[:2]): row for row in known}.values())),
        statuses=joined(tables(draw, 3, when, st.sampled_from(["AAA", "BBB"]), status)),
        pegs=PEGS, closes=" ".join(closes), resolution=resolution, base=draw(st.sampled_from(["USD", "EUR"])),
        sources=draw(st.sampled_from([(), ("y",), ("y", "x")])), cash_in_nav=draw(st.booleans()),
        pair_rates=joined(watched),
    )  # fmt: skip


@settings(max_examples=examples(40), deadline=None)
@given(cases())
def test_points__are_what_the_naive_valuation_says(case: Case) -> None:
    engine, naive = Told(case), Naive(case)
    for account in (None, "one", "two"):
        points = engine.points(account)
        for close, point in points.items():
            assert point == naive.point(close, account)
    everyone = engine.points()
    sums = [text(value) for value in engine.totals.priced_in_all()]
    assert sums == [everyone[close].priced_value for close in engine.closes]


@settings(max_examples=examples(50), deadline=None)
@given(cases())
def test_totals__are_what_the_snapshots_add_up_to(case: Case) -> None:
    told_by = Told(case)
    sums = iter(zip(told_by.totals.priced().to_list(), told_by.totals.complete().tolist(), strict=True))
    for account in told_by.totals.accounts:
        points = told_by.points(account)
        for close in told_by.closes:
            priced, complete = next(sums)
            assert (text(priced), complete) == (points[close].priced_value, points[close].coverage == 1)


@settings(max_examples=examples(25), deadline=None)
@given(cases())
def test_values_made_beside_the_caller__are_the_same_in_the_same_order(case: Case) -> None:
    alone = Told(case)
    with patch.object(price_engine, "BESIDE_FROM", 0):
        beside = Told(case)
    assert [frame.rows() for frame in beside.frames] == [frame.rows() for frame in alone.frames]
    assert beside.totals.priced().to_list() == alone.totals.priced().to_list()


@settings(max_examples=examples(50), deadline=None)
@given(cases(), st.data())
def test_observations_taken_away__leave_gaps_and_change_nothing_else(case: Case, data: st.DataObject) -> None:
    lines = [line for line in case.prices.splitlines() if not line.split()[1].startswith("USDT")]
    watched = [line for line in case.prices.splitlines() if line.split()[1].startswith("USDT")]
    gone = data.draw(st.sets(st.sampled_from(lines))) if lines else set()
    whole, less = Told(case), Told(replace(case, prices="\n".join([*watched, *(set(lines) - gone)])))
    assert whole.rows.keys() == less.rows.keys()
    taken, left = (
        {(row[1].split("/")[0], at(row[0]), row[3]) for row in rows("\n".join(those))}
        for those in (gone, set(lines) - gone)
    )
    for key, row in less.rows.items():
        asset, before = key[2], whole.rows[key]
        assert row["price_source"] in (None, "manual") or (asset, row["asof"], row["price_source"]) in left
        if (asset, before["asof"], before["price_source"]) not in taken:  # nothing was taken from it
            assert row == before


@settings(max_examples=examples(50), deadline=None)
@given(cases(), st.randoms(use_true_random=False))
def test_order_of_rows__has_no_meaning(case: Case, random: Any) -> None:
    shuffled = {}
    for name in ("moves", "prices", "rates", "pair_rates"):
        lines = getattr(case, name).splitlines()
        random.shuffle(lines)
        shuffled[name] = "\n".join(lines)
    one, other = Told(case), Told(replace(case, **shuffled))
    assert [frame.rows() for frame in one.frames] == [frame.rows() for frame in other.frames]
