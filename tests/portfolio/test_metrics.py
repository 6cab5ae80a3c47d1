"""Returns of small series, as an analyst would check them by hand.

A series is a line of entries a day apart, `-` where the value is not known; flows are `day amount`, a day
being a number such as 1.5 (noon of the second day). `?` is a flow of unknown value.
"""

from typing import Any

import numpy as np
import pytest

from engine.domain.instants import DAY_US, format_instant
from engine.portfolio import metrics, sub_periods
from engine.portfolio.sub_periods import END, EXACT, IN_BUCKET, START

FIRST = 1_704_067_200_000_000  # 2024-01-01T00:00:00Z


def day(number: float) -> int:
    return FIRST + round(number * DAY_US)


def told(number: float) -> str:
    return format_instant(day(number))


def series(navs: str, flows: str = "", timing: str = IN_BUCKET) -> sub_periods.Series:
    values = [None if nav == "-" else float(nav) for nav in navs.split()]
    moved = [part.split() for part in flows.split(",") if part]
    return sub_periods.made(
        [day(number) for number in range(len(values))], values,
        [day(float(at)) for at, _ in moved],
        [None if amount == "?" else float(amount) for _, amount in moved], timing,
    )  # fmt: skip


def measured(navs: str, flows: str = "", timing: str = IN_BUCKET) -> dict[str, Any]:
    return metrics.measure(series(navs, flows, timing), 365, "1d").document()


# -- TWR ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("navs", "flows", "timing", "twr"),
    [
        # without flows: the product of the ratios
        ("100 110 99", "", IN_BUCKET, -0.01),
        # an inflow counts from its bucket's open, an outflow until its close
        ("100 165", "0.5 50", IN_BUCKET, 165 / 150 - 1),
        ("100 90", "0.5 -20", IN_BUCKET, 110 / 100 - 1),
        # both in one bucket: neither hides the other
        ("100 165", "0.2 50, 0.8 -30", IN_BUCKET, 195 / 150 - 1),
        # bought into an empty portfolio, sold out of it again
        ("0 105 0", "0.5 100, 1.5 -110", IN_BUCKET, 105 / 100 * 110 / 105 - 1),
        # at the instant of a valuation: in that valuation, so in the bucket that it closes
        ("100 150 165", "1 50", IN_BUCKET, 0.1),
        ("100 150 165", "1 50", EXACT, 0.1),
        # by its own instant: a quarter of the day left
        ("100 165", "0.75 50", EXACT, 1 + 15 / (100 + 50 * 0.25) - 1),
        # all from the start, all at the end
        ("100 165", "0.75 50", START, 165 / 150 - 1),
        ("100 165", "0.75 50", END, 115 / 100 - 1),
        ("100 80", "0.25 -20", START, 80 / 80 - 1),
        ("100 80", "0.25 -20", END, 100 / 100 - 1),
    ],
)
def test_twr__one_bucket(navs: str, flows: str, timing: str, twr: float) -> None:
    assert measured(navs, flows, timing)["twr"] == pytest.approx(twr, rel=1e-12)


def test_twr__the_module_s_worked_example() -> None:
    found = measured("100 165 - 160", "0.5 50, 1.5 -20")
    assert found["twr"] == pytest.approx(0.21, rel=1e-12)
    assert found["coverage"] == pytest.approx(1 / 3)
    assert found["gaps"] == [{"from": told(1), "to": told(3)}]
    broken = measured("100 165 - 160", "0.5 50, 1.5 ?")
    assert (broken["twr"], broken["reason"]) == (None, "FLOW_UNPRICED")
    longest = broken["longest_unbroken"]
    assert (longest["from"], longest["to"]) == (told(0), told(1))
    assert longest["twr"] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("timing", "flow_counts_from"),
    [(IN_BUCKET, 1.25), (EXACT, 1.25), (START, 1.0), (END, 2.0)],
)
def test_twr__over_a_gap__flows_are_weighted_by_time(timing: str, flow_counts_from: float) -> None:
    found = measured("100 - - 190", "1.25 60", timing)
    weight = (3 - flow_counts_from) / 3
    assert found["twr"] == pytest.approx(30 / (100 + 60 * weight), rel=1e-12)
    assert found["coverage"] == 0.0


def test_twr__flows_before_the_first_and_after_the_last_valuation__are_none() -> None:
    assert measured("100 110", "-1 40, 0 60, 3 500")["twr"] == pytest.approx(0.1)
    assert measured("- 100 110 -", "0.5 40, 2.5 ?")["twr"] == pytest.approx(0.1)


def test_twr__unknown_at_the_ends__is_no_gap__but_not_covered() -> None:
    found = measured("- 100 110 -")
    assert found["gaps"] == []
    assert (found["from"], found["first_valued"], found["last_valued"]) == (told(0), told(1), told(2))
    assert found["coverage"] == pytest.approx(1 / 3)


def test_twr__a_bucket_that_is_not_there__is_a_gap() -> None:
    whole = series("100 110 121")
    opens = whole.ts - DAY_US
    opens[2] -= DAY_US // 2  # the last bucket opened after the second closed: one is absent in between
    absent = sub_periods.Series(whole.ts, whole.nav, whole.flow_ts, whole.flow, opens=opens)
    found = metrics.measure(absent, 365, "1d").document()
    assert found["gaps"] == [{"from": told(1), "to": told(2)}]
    assert found["twr"] == pytest.approx(0.21)
    assert found["coverage"] == pytest.approx(0.5)


# -- no capital, breaks, nothing ----------------------------------------------------------------------


def test_no_capital_and_no_gain__counts_as_1_and_is_no_return() -> None:
    found = measured("100 110 0 0 0 100 105", "1.5 -110, 4.5 100")
    assert found["twr"] == pytest.approx(1.1 * 1.05 - 1)
    assert found["volatility_detail"]["n"] == 4  # two of the six stood without capital
    assert found["coverage"] == 1.0


def test_gain_without_capital__breaks_the_chain() -> None:
    found = measured("100 110 0 5 10", "1.5 -110")
    assert (found["twr"], found["max_drawdown"], found["drawdown"]) == (None, None, None)
    assert found["reason"] == "NO_CAPITAL"
    assert found["breaks"] == [{"at": told(3), "code": "NO_CAPITAL", "from": told(2), "to": told(3)}]
    assert found["longest_unbroken"]["twr"] == pytest.approx(0.1)
    assert found["coverage"] == pytest.approx(3 / 4)


def test_more_taken_out_than_there_was_on_average__has_no_return() -> None:
    found = measured("100 - 10", "0.1 -200, 1.9 105")
    assert found["breaks"][0]["code"] == "DIETZ_UNDEFINED"
    assert found["twr"] is None


def test_loss_of_more_than_all__has_no_return() -> None:
    assert measured("100 -20 30")["breaks"][0]["code"] == "DIETZ_UNDEFINED"


def test_sold_in_parts__rounding_leaves_no_capital() -> None:
    """0.3 - 0.1 - 0.2 is not 0 in binary: nothing was left all the same."""
    found = measured("0.3 0", "0.4 -0.1, 0.6 -0.2", START)
    assert found["breaks"] == []
    assert found["twr"] == 0.0


def test_unpriced_flow__wins_over_other_reasons__and_breaks_one_sub_period_only() -> None:
    found = measured("0 5 10 11", "0.5 ?")
    assert [one["code"] for one in found["breaks"]] == ["FLOW_UNPRICED"]
    assert found["longest_unbroken"] == {"from": told(1), "to": told(3), "twr": pytest.approx(1.2)}


def test_two_breaks__the_longest_stretch_in_time__the_first_of_equals() -> None:
    found = measured("1 2 3 4 5 6 7", "1.5 ?, 4.5 ?")
    longest = found["longest_unbroken"]
    assert (longest["from"], longest["to"]) == (told(2), told(4))
    equal = measured("1 2 3 4", "1.5 ?")["longest_unbroken"]
    assert (equal["from"], equal["to"]) == (told(0), told(1))


@pytest.mark.parametrize(
    ("navs", "reason"),
    [("", "NO_VALUATION"), ("- -", "NO_VALUATION"), ("7", "ONE_VALUATION"), ("- 0 -", "ONE_VALUATION")],
)
def test_nothing_valued__every_figure_is_null_with_a_reason(navs: str, reason: str) -> None:
    found = measured(navs)
    assert found["reason"] == reason
    assert found["money_weighted"] == {"value": None, "reason": reason}
    for name in ("twr", "max_drawdown", "drawdown", "volatility", "best", "worst", "longest_unbroken"):
        assert found[name] is None, name
    assert found["coverage"] == 0.0


def test_figures_beyond_all_range__are_null__never_inf_or_nan() -> None:
    found = measured("1e-300 1e300 1e-300 1e300")
    assert found["twr"] is None
    assert {one["code"] for one in found["breaks"]} == {"VALUE_OUT_OF_RANGE"}
    long = metrics.measure(series("1 1e200 1", "1.5 -1e200"), 365, "1d")
    doubled = sub_periods.Chain(
        long.links.at, np.array([1e200, 1e200]), long.links.over_gap, long.links.is_idle,
        long.links.broken,
    )  # fmt: skip
    with np.errstate(over="ignore"):
        index = metrics.index(doubled)
    found = metrics.Metrics(long.series, doubled, index, 365, "1d").document()
    assert (found["twr"], found["reason"], found["drawdown"]) == (None, "VALUE_OUT_OF_RANGE", None)


# -- drawdown -----------------------------------------------------------------------------------------


def test_drawdown__names_peak_trough_recovery_and_length() -> None:
    fall = measured("100 120 90 108 120 130")["drawdown"]
    assert fall == {
        "depth": pytest.approx(-0.25), "peak": told(1), "trough": told(2), "recovery": told(4),
        "duration_s": 3 * 86_400,
    }  # fmt: skip


def test_drawdown__not_recovered__lasts_to_the_end() -> None:
    fall = measured("100 80 90")["drawdown"]
    assert (fall["peak"], fall["trough"], fall["recovery"]) == (told(0), told(1), None)
    assert fall["duration_s"] == 2 * 86_400


def test_drawdown__the_first_value_is_a_peak__and_the_last_of_equal_peaks_counts() -> None:
    assert measured("100 90 95")["max_drawdown"] == pytest.approx(-0.1)
    assert measured("100 100 50 100")["drawdown"]["peak"] == told(1)


def test_drawdown__never_below__is_0_without_instants() -> None:
    found = measured("100 100 110")
    assert found["max_drawdown"] == 0.0
    assert found["drawdown"] == {
        "depth": 0.0, "peak": None, "trough": None, "recovery": None, "duration_s": 0,
    }  # fmt: skip


def test_drawdown__back_at_its_peak_but_for_rounding__has_recovered() -> None:
    fall = measured("1 15 11 15")["drawdown"]  # 15 x (11 / 15) x (15 / 11) is 14.999999999999998 in floats
    assert (fall["peak"], fall["trough"], fall["recovery"]) == (told(1), told(2), told(3))
    assert fall["duration_s"] == 2 * 86_400


def test_drawdown__equal_but_for_rounding__the_last_peak_and_the_first_trough() -> None:
    fall = measured("1 15 11 15 11 20")["drawdown"]
    assert (fall["peak"], fall["trough"], fall["recovery"]) == (told(1), told(2), told(3))
    assert measured("1 15 13 15 11 20")["drawdown"]["peak"] == told(3)


def test_drawdown__below_its_peak_by_rounding_alone__is_none() -> None:
    assert measured("0.1 0.3", "0.5 0.2")["max_drawdown"] == 0.0


def test_drawdown__money_taken_out_is_no_fall() -> None:
    assert measured("100 50 55", "0.5 -50")["max_drawdown"] == 0.0


# -- volatility, best, worst --------------------------------------------------------------------------


def test_volatility__of_log_returns__n_minus_1__a_year_of_365_days() -> None:
    found = measured("100 110 99")
    up, down = 0.09531017980432493, -0.10536051565782628  # ln 1.1, ln 0.9
    mean = (up + down) / 2
    assert found["volatility"] == pytest.approx((((up - mean) ** 2 + (down - mean) ** 2) * 365) ** 0.5)
    assert found["volatility_detail"] == {"reason": None, "periods_per_year": 365, "n": 2}


def test_volatility__gaps_and_breaks_are_left_out() -> None:
    found = measured("100 110 - 300 330 0 5", "4.5 -330, 5.5 ?")
    assert found["volatility_detail"]["n"] == 3
    assert found["best"]["return"] == pytest.approx(0.1)


def test_volatility__one_return__or_all_lost__is_null() -> None:
    assert measured("100 110")["volatility_detail"]["reason"] == "TOO_FEW_RETURNS"
    lost = measured("100 50 0")
    assert lost["twr"] == -1.0
    assert (lost["volatility"], lost["volatility_detail"]["reason"]) == (None, "RETURN_OF_MINUS_100_PERCENT")


def test_best_and_worst__are_named_by_their_period() -> None:
    found = measured("100 110 99 100")
    assert found["best"] == {
        "period": "1d", "return": pytest.approx(0.1), "from": told(0), "to": told(1)
    }  # fmt: skip
    assert found["worst"] == {
        "period": "1d", "return": pytest.approx(-0.1), "from": told(1), "to": told(2)
    }  # fmt: skip


# -- money-weighted -----------------------------------------------------------------------------------


def test_money_weighted__a_doubling_in_a_year() -> None:
    year = sub_periods.made([day(0), day(365)], [100.0, 200.0], [], [])
    assert metrics.money_weighted(year).value == pytest.approx(1.0, rel=1e-9)


def test_money_weighted__bad_timing_costs__though_twr_does_not_see_it() -> None:
    """100 doubles; then 800 more come in and the whole halves."""
    half, whole = day(182.5), day(365)
    found = sub_periods.made([day(0), half, whole], [100.0, 1000.0, 500.0], [half], [800.0], EXACT)
    assert metrics.measure(found, 365, "1d").twr.value == pytest.approx(0.0)
    assert (metrics.money_weighted(found).value or 0.0) < -0.5


@pytest.mark.parametrize(("navs", "flows", "reason"), [
    ("0 0 0", "", "NO_SOLUTION"),
    ("0 5", "", "NO_SOLUTION"),
    ("100 110 120", "0.5 ?", "FLOW_UNPRICED"),
])  # fmt: skip
def test_money_weighted__undefined__is_null_with_a_reason(navs: str, flows: str, reason: str) -> None:
    assert measured(navs, flows)["money_weighted"] == {"value": None, "reason": reason}


def test_money_weighted__within_one_day__is_undefined() -> None:
    short = sub_periods.made([day(0.1), day(0.9)], [100.0, 200.0], [], [])
    assert metrics.money_weighted(short).reason == "NO_SOLUTION"


# -- points -------------------------------------------------------------------------------------------


def test_points__a_hole_has_no_index__a_break_begins_anew() -> None:
    found = metrics.measure(series("100 110 - 99 198 99", "3.5 ?"), 365, "1d").points()
    index = [point["index"] for point in found]
    assert index == [1.0, pytest.approx(1.1), None, pytest.approx(0.99), 1.0, 0.5]
    assert [point["drawdown"] for point in found] == [0, 0, None, pytest.approx(-0.1), 0, -0.5]
    assert [point["break"] for point in found] == [None, None, None, None, "FLOW_UNPRICED", None]


def test_instants_that_do_not_ascend__are_refused() -> None:
    with pytest.raises(ValueError, match="ascend"):
        sub_periods.chain(sub_periods.made([day(1), day(1)], [1.0, 2.0], [], []))


def test_methods__are_named() -> None:
    methods = measured("100 110 120", "", START)["methods"]
    assert "start of period" in methods["twr"]
    assert "n - 1" in methods["volatility"]
    assert "365" in methods["volatility"]
    assert "XIRR" in methods["money_weighted"]
