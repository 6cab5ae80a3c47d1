"""Currency rates in scenarios that a trader can read: weekends, silent sources, holds, crosses."""

import numpy as np
import polars as pl
import pytest

from engine.domain.instants import HOUR_US, parse_instant
from engine.domain.money import SCALE, div_half_even, to_scaled, to_text
from engine.valuation.fx_handler import NO_RATE, FxPolicy, RateBook, RateUse
from engine.valuation.fx_quotes import OBSERVATIONS_SCHEMA, pair_name

POLICY = FxPolicy()
RESOLUTION_OF = {"broker": "1h", "second": "1h", "spotty": "spot", "ecb": "1d", "boe": "1d"}


def at(text: str) -> int:
    us = parse_instant(text if "T" in text else text.replace(" ", "T") + ":00Z")
    assert us is not None
    return us


def book(table: str, policy: FxPolicy = POLICY, *, backwards: bool = False) -> RateBook:
    """Rows of `pair source asof rate [resolution]`, the instant as 2024-01-10 14:00."""
    rows = []
    for line in filter(None, map(str.strip, table.splitlines())):
        pair, source, day, clock, rate, *resolution = line.split()
        base, quote = pair.split("/")
        grain = resolution[0] if resolution else RESOLUTION_OF[source]
        rows.append((base, quote, source, grain, at(f"{day} {clock}"), rate))
    frame = pl.DataFrame(rows, schema={**OBSERVATIONS_SCHEMA, "rate": pl.String}, orient="row")
    frame = frame.with_columns(pl.col("rate").cast(OBSERVATIONS_SCHEMA["rate"]))
    return RateBook(frame.reverse() if backwards else frame, policy)


def use(rates: RateBook, pair: str, close: str) -> RateUse:
    from_ccy, to_ccy = pair.split("/")
    found = rates.convert(from_ccy, to_ccy, np.array([at(close)], np.int64))
    return found.table[int(found.idx[0])]


def rate(rates: RateBook, pair: str, close: str) -> str | None:
    scaled = use(rates, pair, close).rate
    return None if scaled is None else to_text(scaled)


def bps(scaled: int | None) -> str | None:
    return None if scaled is None else to_text(scaled)[:5]


# Wednesday 10 January 2024; the last primary is at 14:00.
WEDNESDAY = """
    EUR/USD ecb    2024-01-09 13:15 1.0950
    EUR/USD ecb    2024-01-10 13:15 1.1000
    EUR/USD broker 2024-01-10 13:00 1.1002
    EUR/USD broker 2024-01-10 14:00 1.1005
"""


def test_same_currency__is_one__without_a_source() -> None:
    assert use(book(""), "USD/USD", "2024-01-10 14:00") == RateUse(SCALE)


def test_primary__serves_from_its_asof_until_just_before_an_hour_later() -> None:
    rates = book(WEDNESDAY)
    assert use(rates, "EUR/USD", "2024-01-10 14:00") == RateUse(
        to_scaled("1.1005"), "broker", at("2024-01-10 14:00")
    )
    assert rate(rates, "EUR/USD", "2024-01-10 14:55") == "1.1005"
    assert use(rates, "EUR/USD", "2024-01-10 13:59").asof == at("2024-01-10 13:00")
    assert use(rates, "EUR/USD", "2024-01-10 15:00").source == "ecb"


def test_fallback__close_to_the_latest_primary__is_used_and_says_its_drift() -> None:
    used = use(book(WEDNESDAY), "EUR/USD", "2024-01-10 15:00")
    drift = div_half_even(5 * 10_000 * SCALE, 11_005)  # 0.0005 / 1.1005
    assert used == RateUse(to_scaled("1.1"), "ecb", at("2024-01-10 13:15"), drift)


@pytest.mark.parametrize(("primary", "held"), [("1.1022", False), ("1.1033", True)])  # 20 and 30 bps
def test_fallback__at_20_bps_is_used__at_30_bps_is_held(primary: str, held: bool) -> None:
    rates = book(f"""
        EUR/USD ecb    2024-01-10 13:15 1.1000
        EUR/USD broker 2024-01-10 14:00 {primary}
    """)
    used = use(rates, "EUR/USD", "2024-01-10 15:00")
    assert (used.reason, used.rate is None) == (("FX_HELD", True) if held else (None, False))
    assert used.flags == (("DELAYED_FX",) if held else ())
    assert used.held_pairs == (("EUR/USD",) if held else ())


@pytest.mark.parametrize(
    ("fallback", "limit", "held"),
    [
        ("1.0025", 25, False),
        ("0.9975", 25, False),
        ("1.002500000000000001", 25, True),  # 10^-14 bps too far: the compare is exact
        ("1.002500000000000001", "25.00000000000001", False),
        ("1.00000001", 0, True),
        ("1", 0, False),
    ],
)
def test_drift__is_compared_exactly__and_the_limit_itself_passes(
    fallback: str, limit: int | str, held: bool
) -> None:
    rates = book(
        f"""
        EUR/USD ecb    2024-01-10 13:15 {fallback}
        EUR/USD broker 2024-01-10 14:00 1
        """,
        FxPolicy(drift_bps_max=limit),
    )
    assert (use(rates, "EUR/USD", "2024-01-10 15:00").reason == "FX_HELD") is held


@pytest.mark.parametrize("written", [f"{pair} broker 2024-01-10 14:00 1" for pair in ("EUR/USD", "USD/EUR")])
@pytest.mark.parametrize(("fallback", "drift"), [("0.9975", "25"), ("0.997499", "25.01")])
def test_drift__the_other_way_round__is_that_of_the_pair__so_it_is_held_or_not(
    fallback: str, drift: str, written: str
) -> None:
    """Measured against what a dollar is worth, 0.9975 would be 25.06 bps off, and the pair held for some."""
    rates = book(f"EUR/USD ecb 2024-01-10 13:15 {fallback}\n{written}")
    both = [use(rates, pair, "2024-01-10 15:00") for pair in ("EUR/USD", "USD/EUR")]
    assert {to_text(used.drift_bps or 0) for used in both} == {drift}
    assert [used.reason for used in both] == [None if drift == "25" else "FX_HELD"] * 2
    direct = rates.direct("EUR/USD", np.array([at("2024-01-10 15:00")], np.int64))
    assert direct.table[int(direct.idx[0])].reason == both[0].reason


def test_hold__shows_both_rates_and_splits_the_drift_into_feed_and_move() -> None:
    rates = book("""
        EUR/USD ecb    2024-01-10 13:15 1.1000
        EUR/USD broker 2024-01-10 13:00 1.1011
        EUR/USD broker 2024-01-10 20:00 1.1055
    """)
    held = use(rates, "EUR/USD", "2024-01-10 21:00")
    (evidence,) = held.evidence
    assert (held.rate, held.source, held.held_rate) == (None, None, to_scaled("1.1"))
    assert (evidence.cause, evidence.fallback_rate) == ("DRIFT", to_scaled("1.1"))
    assert (evidence.fallback_source, evidence.fallback_asof) == ("ecb", at("2024-01-10 13:15"))
    assert (evidence.primary_rate, evidence.primary_source) == (to_scaled("1.1055"), "broker")
    assert evidence.primary_asof == at("2024-01-10 20:00")
    assert bps(evidence.drift_bps) == "49.75"  # 0.0055 / 1.1055
    assert bps(evidence.feed_bps) == "9.990"  # 0.0011 / 1.1011
    assert bps(evidence.moved_bps) == "39.96"  # 0.0044 / 1.1011
    assert evidence.primary_age_s(at("2024-01-10 21:00")) == 3600
    assert evidence.fallback_age_s(at("2024-01-10 21:00")) == 7 * 3600 + 2700


def test_hold__ends_with_that_closes_own_primary() -> None:
    silent = "EUR/USD ecb 2024-01-10 13:15 1.1000\nEUR/USD broker 2024-01-10 14:00 1.2\n"
    assert use(book(silent), "EUR/USD", "2024-01-10 18:00").reason == "FX_HELD"
    back = book(silent + "EUR/USD broker 2024-01-10 18:00 1.21")
    assert rate(back, "EUR/USD", "2024-01-10 18:00") == "1.21"
    assert use(back, "EUR/USD", "2024-01-10 17:55").reason == "FX_HELD"


def test_fallback__without_any_primary__is_held() -> None:
    held = use(book("EUR/USD ecb 2024-01-10 13:15 1.1"), "EUR/USD", "2024-01-10 14:00")
    (evidence,) = held.evidence
    assert (held.reason, evidence.cause) == ("FX_HELD", "NO_PRIMARY")
    assert (evidence.primary_rate, evidence.drift_bps, evidence.feed_bps) == (None, None, None)
    assert evidence.primary_age_s(at("2024-01-10 14:00")) is None


def test_fallback__with_the_primary_silent_for_24_h_of_open_market__is_held() -> None:
    rates = book("""
        EUR/USD broker 2024-01-11 14:00 1.1
        EUR/USD ecb    2024-01-11 13:15 1.1
        EUR/USD ecb    2024-01-12 13:15 1.1
    """)
    assert use(rates, "EUR/USD", "2024-01-12 13:55").reason is None
    held = use(rates, "EUR/USD", "2024-01-12 14:00")
    assert (held.reason, held.drift_bps, held.evidence[0].cause) == ("FX_HELD", None, "NO_PRIMARY")
    assert held.evidence[0].primary_age_s(at("2024-01-12 14:00")) == 24 * 3600


def test_age_of_the_primary__leaves_the_weekend_out() -> None:
    # Two hours to the Friday close at 22:00 UTC and one from Sunday 22:00, in 51 hours of clock.
    rates = book("""
        EUR/USD broker 2024-01-12 20:00 1.1
        EUR/USD ecb    2024-01-12 13:15 1.1
    """)
    sunday = use(rates, "EUR/USD", "2024-01-14 23:00")
    assert (sunday.source, sunday.reason, sunday.drift_bps) == ("ecb", None, 0)
    held = use(
        book("EUR/USD ecb 2024-01-12 13:15 1.2\nEUR/USD broker 2024-01-12 20:00 1.1"),
        "EUR/USD",
        "2024-01-14 23:00",
    )
    assert held.evidence[0].primary_age_s(at("2024-01-14 23:00")) == 3 * 3600


def test_weekend__the_last_bar_of_friday_serves_until_an_hour_after_sundays_opening() -> None:
    rates = book("EUR/USD broker 2024-01-12 22:00 1.1")  # Friday 17:00 in New York
    assert use(rates, "EUR/USD", "2024-01-12 22:55").flags == ()
    for close in ("2024-01-12 23:00", "2024-01-13 12:00", "2024-01-14 22:55"):
        assert use(rates, "EUR/USD", close) == RateUse(
            to_scaled("1.1"), "broker", at("2024-01-12 22:00"), flags=("FX_CLOSED",)
        )
    assert use(rates, "EUR/USD", "2024-01-14 23:00") == NO_RATE


def test_weekend__a_feed_that_stopped_on_friday_at_three__does_not_serve_the_weekend() -> None:
    rates = book("EUR/USD broker 2024-01-12 20:00 1.1")
    assert use(rates, "EUR/USD", "2024-01-12 20:55").reason is None
    assert use(rates, "EUR/USD", "2024-01-13 12:00") == NO_RATE


def test_christmas__the_bar_of_the_24th_serves_until_an_hour_after_the_25ths_opening() -> None:
    rates = book("EUR/USD broker 2024-12-24 22:00 1.04")
    assert use(rates, "EUR/USD", "2024-12-25 22:55").flags == ("FX_CLOSED",)
    assert use(rates, "EUR/USD", "2024-12-25 23:00") == NO_RATE


def test_reference__serves_until_half_past_four_of_the_next_target_day__over_easter() -> None:
    eod = FxPolicy(eod_only=frozenset({"EUR/USD"}))
    rates = book("EUR/USD ecb 2024-03-28 13:15 1.08", eod)
    assert rate(rates, "EUR/USD", "2024-03-28 13:10") is None
    assert rate(rates, "EUR/USD", "2024-04-02 14:25") == "1.08"
    assert use(rates, "EUR/USD", "2024-04-02 14:30") == NO_RATE


def test_inverse__is_one_divided_by_the_rate() -> None:
    rates = book("EUR/USD broker 2024-01-10 14:00 1.1")
    assert rate(rates, "USD/EUR", "2024-01-10 14:00") == "0.909090909090909091"
    assert use(rates, "USD/EUR", "2024-01-10 14:00").source == "broker"


def test_pair__quoted_both_ways__is_one_pair_and_the_latest_counts() -> None:
    rates = book("""
        EUR/USD broker 2024-01-10 13:30 1.1
        USD/EUR second 2024-01-10 14:00 0.8
    """)
    assert rate(rates, "EUR/USD", "2024-01-10 13:55") == "1.1"
    assert rate(rates, "EUR/USD", "2024-01-10 14:00") == "1.25"
    assert rate(rates, "USD/EUR", "2024-01-10 14:00") == "0.8"


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize(
    ("table", "policy", "source", "expected"),
    [
        ("EUR/USD second 2024-01-10 13:55 1.2", POLICY, "broker", "1.1"),  # older
        ("EUR/USD second 2024-01-10 14:00 1.2", POLICY, "broker", "1.1"),  # by name
        ("EUR/USD second 2024-01-10 14:00 1.2", FxPolicy(primary=("second",)), "second", "1.2"),
        ("EUR/USD second 2024-01-10 14:00 1.2", FxPolicy(primary=("second", "broker")), "second", "1.2"),
        ("EUR/USD broker 2024-01-10 14:00 1.2 5m", POLICY, "broker", "1.2"),  # finer
        ("EUR/USD broker 2024-01-10 14:00 1.2 spot", POLICY, "broker", "1.2"),
        ("EUR/USD second 2024-01-10 14:00 1.2 5m", POLICY, "broker", "1.1"),  # name before fineness
        ("USD/EUR broker 2024-01-10 14:00 0.8", POLICY, "broker", "1.1"),  # as the pair is named
        ("EUR/USD second 2024-01-10 14:05 1.2", FxPolicy(fallback=("second",)), "broker", "1.1"),
        ("EUR/USD ecb 2024-01-10 13:15 1.2", FxPolicy(primary=("ecb",)), "broker", "1.1"),
        ("EUR/USD ecb 2024-01-10 14:05 1.2", FxPolicy(primary=("ecb",)), "ecb", "1.2"),
    ],
)
def test_several_in_force__latest_then_source_order_then_name_then_finer(
    table: str, policy: FxPolicy, source: str, expected: str, backwards: bool
) -> None:
    rates = book("EUR/USD broker 2024-01-10 14:00 1.1\n" + table, policy, backwards=backwards)
    used = use(rates, "EUR/USD", "2024-01-10 14:05")
    assert (used.source, rate(rates, "EUR/USD", "2024-01-10 14:05")) == (source, expected)


def test_daily_primary__outlives_a_later_intraday_one() -> None:
    rates = book(
        """
        EUR/USD ecb    2024-01-10 13:15 1.1
        EUR/USD broker 2024-01-10 14:00 1.2
        """,
        FxPolicy(primary=("broker", "ecb")),
    )
    assert rate(rates, "EUR/USD", "2024-01-10 14:00") == "1.2"
    assert use(rates, "EUR/USD", "2024-01-10 15:00") == RateUse(
        to_scaled("1.1"), "ecb", at("2024-01-10 13:15")
    )


CROSS = """
    EUR/GBP second 2024-01-10 13:30 0.86
    EUR/USD broker 2024-01-10 14:00 1.1
"""


def test_cross__goes_through_eur_and_is_rounded_once() -> None:
    used = use(book(CROSS), "GBP/USD", "2024-01-10 14:00")
    exact = div_half_even(to_scaled("1.1") * SCALE, to_scaled("0.86"))
    twice = div_half_even(div_half_even(SCALE * SCALE, to_scaled("0.86")) * to_scaled("1.1"), SCALE)
    assert used == RateUse(exact, "second+broker", at("2024-01-10 13:30"))
    assert exact != twice
    assert use(book(CROSS), "USD/GBP", "2024-01-10 14:00").source == "broker+second"


@pytest.mark.parametrize("direct", ["GBP/USD", "USD/GBP"])
def test_cross__gives_way_to_any_direct_rate_in_force__held_or_not(direct: str) -> None:
    primary = book(CROSS + f"{direct} broker 2024-01-10 13:30 1.25")
    assert use(primary, "GBP/USD", "2024-01-10 14:00").source == "broker"
    fallback = book(CROSS + f"{direct} boe 2024-01-10 13:30 1.25")
    assert use(fallback, "GBP/USD", "2024-01-10 14:00").held_pairs == ("GBP/USD",)
    expired = book(CROSS + f"{direct} broker 2024-01-10 13:00 1.25")
    assert use(expired, "GBP/USD", "2024-01-10 14:00").source == "second+broker"


def test_cross__is_held_if_a_leg_is__and_names_that_leg() -> None:
    held = use(
        book("EUR/GBP ecb 2024-01-10 13:15 0.86\nEUR/USD broker 2024-01-10 14:00 1.1"),
        "GBP/USD",
        "2024-01-10 14:00",
    )
    assert (held.reason, held.held_pairs) == ("FX_HELD", ("EUR/GBP",))
    assert held.held_rate == div_half_even(to_scaled("1.1") * SCALE, to_scaled("0.86"))
    assert (held.evidence[0].from_ccy, held.evidence[0].to_ccy) == ("GBP", "EUR")


def test_cross__without_one_leg__has_no_rate() -> None:
    rates = book("EUR/GBP ecb 2024-01-10 13:15 0.86")
    assert use(rates, "GBP/USD", "2024-01-10 14:00") == NO_RATE


def test_cross__of_two_fallbacks__shows_the_larger_drift() -> None:
    rates = book("""
        EUR/GBP broker 2024-01-10 12:00 1
        EUR/USD broker 2024-01-10 12:00 1
        EUR/GBP ecb    2024-01-10 13:15 1.001
        EUR/USD boe    2024-01-10 13:00 1.002
    """)
    used = use(rates, "GBP/USD", "2024-01-10 14:00")
    assert (used.source, used.asof) == ("ecb+boe", at("2024-01-10 13:00"))
    assert used.drift_bps == to_scaled("20")


@pytest.mark.parametrize("listed", ["EUR/USD", "USD/EUR"])
def test_eod_only__is_valued_by_its_reference_even_beside_a_primary(listed: str) -> None:
    rates = book(WEDNESDAY, FxPolicy(eod_only=frozenset({listed})))
    assert use(rates, "EUR/USD", "2024-01-10 14:00") == RateUse(
        to_scaled("1.1"), "ecb", at("2024-01-10 13:15"), flags=("EOD_ONLY",)
    )
    assert rate(rates, "EUR/USD", "2024-01-10 13:10") == "1.095"
    assert use(rates, "EUR/USD", "2024-01-11 15:30") == NO_RATE


def test_eod_only__of_a_pair_without_eur__crosses_the_references_unchecked() -> None:
    ecb = "EUR/GBP ecb 2024-01-10 13:15 0.8\nEUR/USD ecb 2024-01-10 13:15 1.2\n"
    rates = book(ecb + CROSS, FxPolicy(eod_only=frozenset({"USD/GBP"})))
    used = use(rates, "GBP/USD", "2024-01-10 14:00")
    assert used == RateUse(to_scaled("1.5"), "ecb+ecb", at("2024-01-10 13:15"), flags=("EOD_ONLY",))


def test_eod_only__as_a_leg__flags_the_cross() -> None:
    ecb = "EUR/GBP ecb 2024-01-10 13:15 0.8\n"
    rates = book(ecb + CROSS, FxPolicy(eod_only=frozenset({"EUR/GBP"})))
    used = use(rates, "GBP/USD", "2024-01-10 14:00")
    assert (used.rate, used.source, used.flags) == (to_scaled("1.375"), "ecb+broker", ("EOD_ONLY",))


def test_reference__is_the_fallback_in_force__direct_else_through_eur() -> None:
    rates = book(WEDNESDAY + "EUR/GBP ecb 2024-01-10 13:15 0.8")

    def reference(from_ccy: str, instant: str) -> int | None:
        found = rates.reference(from_ccy, "USD", np.array([at(instant)], np.int64))
        return found.table[int(found.idx[0])].rate

    assert reference("EUR", "2024-01-10 14:00") == to_scaled("1.1")
    assert reference("GBP", "2024-01-10 14:00") == to_scaled("1.375")
    assert reference("USD", "2024-01-10 14:00") == SCALE
    assert reference("GBP", "2024-01-10 13:10") is None


def test_observation_of_the_future__is_never_used() -> None:
    assert use(book(WEDNESDAY), "EUR/USD", "2024-01-09 13:10") == NO_RATE


def test_rate__that_18_places_cannot_hold__is_out_of_range() -> None:
    rates = book("""
        EUR/AAA broker 2024-01-10 14:00 0.000000000000000001
        EUR/BBB broker 2024-01-10 14:00 99999999999999999999
    """)
    assert use(rates, "AAA/BBB", "2024-01-10 14:00").reason == "VALUE_OUT_OF_RANGE"
    assert use(rates, "BBB/AAA", "2024-01-10 14:00").reason == "VALUE_OUT_OF_RANGE"
    assert use(rates, "BBB/EUR", "2024-01-10 14:00").reason == "VALUE_OUT_OF_RANGE"


def test_rate_of_zero__is_refused_with_the_book() -> None:
    with pytest.raises(ValueError, match="not above zero"):
        book("EUR/USD broker 2024-01-10 14:00 0")


def test_closes__in_any_order__and_none_at_all() -> None:
    rates = book(WEDNESDAY)
    closes = np.array([at("2024-01-10 15:00"), at("2024-01-01 00:00"), at("2024-01-10 14:00")])
    found = rates.convert("EUR", "USD", closes)
    assert [found.table[i].source for i in found.idx.tolist()] == ["ecb", None, "broker"]
    assert found.idx.dtype == np.int32
    assert rates.convert("GBP", "USD", np.empty(0, np.int64)).idx.size == 0


def test_table__stays_small_however_many_closes() -> None:
    first = at("2024-01-10 13:00")
    found = book(WEDNESDAY).convert("EUR", "USD", np.arange(first, first + 2 * HOUR_US, 1_000_000))
    assert len(found.table) == 3


@pytest.mark.parametrize(
    ("one", "other", "name"),
    [
        ("USD", "EUR", "EUR/USD"),
        ("AUD", "EUR", "EUR/AUD"),
        ("USD", "GBP", "GBP/USD"),
        ("CHF", "JPY", "CHF/JPY"),
    ],
)
def test_pair_name__starts_with_eur_else_goes_by_the_alphabet(one: str, other: str, name: str) -> None:
    assert pair_name(one, other) == pair_name(other, one) == name
