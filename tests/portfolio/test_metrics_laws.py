"""Laws of returns over random series, and agreement with other people's calculations.

Figures are floats: a product of n factors differs from another order of the same product by some n x 1e-16,
so everything that is only calculated in another way agrees to 1e-12 of its size.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.instants import DAY_US, to_us
from engine.portfolio import metrics, sub_periods
from engine.portfolio.sub_periods import END, EXACT, FLOW_TIMINGS, IN_BUCKET, START
from tests.effort import examples

REL = 1e-12

amounts = st.integers(1, 10**9).map(lambda cents: cents / 100)
holes = st.none() | amounts
flow_lists = st.lists(st.tuples(st.integers(0, 2_000), st.integers(-5_000, 50_000)), max_size=8)
timings = st.sampled_from(FLOW_TIMINGS)
relaxed = settings(deadline=None, max_examples=examples(40))


def made(
    navs: Sequence[float | None], flows: Sequence[tuple[int, float]] = (), timing: str = IN_BUCKET
) -> sub_periods.Series:
    """Valuations a day apart; a flow's instant in hundredths of a day."""
    return sub_periods.made(
        [DAY_US * place for place in range(len(navs))], navs,
        [at * DAY_US // 100 for at, _ in flows], [amount for _, amount in flows], timing,
    )  # fmt: skip


def twr(series: sub_periods.Series) -> float | None:
    return metrics.measure(series, 365, "1d").twr.value


def growth(series: sub_periods.Series) -> Any:
    """1 + TWR, from the index: near a loss of all, TWR itself has lost the digits. None if broken."""
    found = metrics.measure(series, 365, "1d")
    return None if found.twr.value is None else float(found.index[-1])


def document(series: sub_periods.Series) -> dict[str, Any]:
    return metrics.measure(series, 365, "1d").document()


# -- laws ---------------------------------------------------------------------------------------------


@relaxed
@given(st.lists(amounts, min_size=2, max_size=40))
def test_no_flow__twr_is_the_product_of_the_ratios(navs: list[float]) -> None:
    assert 1 + (twr(made(navs)) or 0.0) == pytest.approx(navs[-1] / navs[0], rel=REL)


@relaxed
@given(st.lists(holes, max_size=20), flow_lists, timings)
def test_hole__never_gets_a_value(
    navs: list[float | None], flows: list[tuple[int, float]], timing: str
) -> None:
    points = metrics.measure(made(navs, flows, timing), 365, "1d").points()
    assert [point["index"] is None for point in points] == [nav is None for nav in navs]
    assert [point["drawdown"] is None for point in points] == [nav is None for nav in navs]


@relaxed
@given(st.lists(holes, max_size=20), flow_lists, timings)
def test_every_number_is_finite__and_bounded(
    navs: list[float | None], flows: list[tuple[int, float]], timing: str
) -> None:
    found = document(made(navs, flows, timing))
    known = [found[name] for name in ("twr", "max_drawdown", "volatility") if found[name] is not None]
    assert all(np.isfinite(value) for value in known)
    assert found["twr"] is None or found["twr"] >= -1
    assert found["max_drawdown"] is None or -1 <= found["max_drawdown"] <= 0
    assert 0 <= found["coverage"] <= 1
    assert (found["twr"] is None) == (found["reason"] is not None)
    assert (found["breaks"] == []) or found["twr"] is None


@relaxed
@given(st.lists(amounts, min_size=3, max_size=20), flow_lists, timings, st.data())
def test_split__the_parts_multiply_to_the_whole(
    navs: list[float], flows: list[tuple[int, float]], timing: str, data: st.DataObject
) -> None:
    at = data.draw(st.integers(1, len(navs) - 2))
    whole = made(navs, flows, timing)
    first = sub_periods.Series(whole.ts[: at + 1], whole.nav[: at + 1], whole.flow_ts, whole.flow, timing)
    second = sub_periods.Series(whole.ts[at:], whole.nav[at:], whole.flow_ts, whole.flow, timing)
    parts = (growth(first), growth(second))
    if None in parts:
        assert growth(whole) is None
    else:
        assert growth(whole) == pytest.approx(parts[0] * parts[1], rel=REL)


@relaxed
@given(st.lists(holes, max_size=15), flow_lists, timings, st.sampled_from([2.0**-20, 0.5, 4.0, 2.0**30]))
def test_scale__twice_the_money_is_the_same_return(
    navs: list[float | None], flows: list[tuple[int, float]], timing: str, factor: float
) -> None:
    """A power of two scales binary fractions without rounding, so nothing at all may differ."""
    larger = [None if nav is None else nav * factor for nav in navs]
    plain = document(made(navs, flows, timing))
    scaled = document(made(larger, [(at, amount * factor) for at, amount in flows], timing))
    for name in ("twr", "drawdown", "volatility", "best", "worst", "coverage", "breaks", "gaps"):
        assert plain[name] == scaled[name], name


@relaxed
@given(st.lists(holes, max_size=15), flow_lists, timings, st.randoms())
def test_order_of_flows__changes_nothing(
    navs: list[float | None], flows: list[tuple[int, float]], timing: str, random: Any
) -> None:
    mixed = random.sample(flows, len(flows))
    assert document(made(navs, flows, timing)) == document(made(navs, mixed, timing))


@relaxed
@given(st.lists(amounts, min_size=2, max_size=15), flow_lists, timings)
def test_naive_fractions__agree(navs: list[float], flows: list[tuple[int, float]], timing: str) -> None:
    expected = naive_twr(navs, flows, timing)
    found = twr(made(navs, flows, timing))
    if expected is None:
        assert found is None
    else:
        assert 1 + (found or 0.0) == pytest.approx(float(expected), rel=1e-9, abs=1e-12)


def naive_twr(navs: Sequence[float], flows: Sequence[tuple[int, float]], timing: str) -> Fraction | None:
    """Exact, period by period, straight from the contract's words; none of the periods is over a gap."""
    linked = Fraction(1)
    for place, (before, after) in enumerate(pairwise(navs)):
        start, end = Fraction(before), Fraction(after)
        for at, amount in flows:
            if 100 * place < at <= 100 * (place + 1):
                invested = {
                    IN_BUCKET: Fraction(1 if amount > 0 else 0),
                    EXACT: Fraction(100 * (place + 1) - at, 100),
                    START: Fraction(1),
                    END: Fraction(0),
                }[timing]
                start += invested * Fraction(amount)
                end -= (1 - invested) * Fraction(amount)
        if start < 0 or end < 0 or (start == 0 and end != 0):
            return None
        linked *= end / start if start else 1
    return linked


# -- other people's calculations ----------------------------------------------------------------------


@relaxed
@given(st.lists(st.integers(50, 200).map(float), min_size=3, max_size=60))
def test_empyrical__agrees_on_return_drawdown_and_volatility(navs: list[float]) -> None:
    import empyrical  # and pandas and scipy with it: seconds, for this one test

    found = document(made(navs))
    simple = np.array([after / before - 1 for before, after in pairwise(navs)])
    assert found["twr"] == pytest.approx(empyrical.cum_returns_final(simple), rel=REL, abs=REL)
    assert found["max_drawdown"] == pytest.approx(empyrical.max_drawdown(simple), rel=REL, abs=REL)
    spread = empyrical.annual_volatility(np.log1p(simple), annualization=365)
    assert found["volatility"] == pytest.approx(spread, rel=REL, abs=REL)


def test_published__time_weighted_return_with_a_valuation_before_the_flow() -> None:
    """500 in; worth 1,000 a year later, when 1,000 more come in; 1,500 in the end: 50 % over two years."""
    found = made([500.0, 2000.0, 1500.0], [(100, 1000.0)], END)
    assert twr(found) == pytest.approx(0.5, rel=REL)


def test_published__modified_dietz() -> None:
    """100 at first, 50 more in the middle, 300 in the end: 150 / 125."""
    assert twr(made([100.0, 300.0], [(50, 50.0)], EXACT)) == pytest.approx(1.2, rel=REL)
    assert twr(made([100.0, None, 300.0], [(100, 50.0)])) == pytest.approx(1.2, rel=REL)


def test_published__xirr_of_a_spreadsheet_s_manual() -> None:
    """-10,000 on 2008-01-01, then 2,750, 4,250, 3,250 and 2,750: 37.3362535 % a year."""
    paid = {(2008, 3, 1): 2750.0, (2008, 10, 30): 4250.0, (2009, 2, 15): 3250.0}
    found = sub_periods.made(
        [at(2008, 1, 1), at(2009, 4, 1)], [10_000.0, 2750.0],
        [at(*when) for when in paid], [-amount for amount in paid.values()],
    )  # fmt: skip
    assert metrics.money_weighted(found).value == pytest.approx(0.373362535, abs=1e-8)


def at(*when: int) -> int:
    return to_us(datetime(*when, tzinfo=UTC))  # type: ignore[arg-type, misc]


@relaxed
@given(st.lists(st.integers(1, 5_000), min_size=1, max_size=6), st.integers(1, 10**6))
def test_money_weighted__brings_the_flows_to_0(inflows: list[int], worth: int) -> None:
    """What XIRR means: at that rate, all that was paid in has grown to what is there."""
    days = range(30, 30 * len(inflows) + 1, 30)
    last = 30 * len(inflows) + 300
    found = metrics.money_weighted(
        sub_periods.made([0, last * DAY_US], [100.0, float(worth)], [day * DAY_US for day in days], inflows)
    )
    assert found.value is not None
    growth = 1 + found.value
    paid = [(0, 100.0), *zip(days, inflows, strict=True)]
    grown = sum(amount * growth ** ((last - day) / 365) for day, amount in paid)
    assert grown == pytest.approx(worth, rel=1e-6)
