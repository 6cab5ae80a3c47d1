"""Values at closes: scenarios that a trader can read, told by snapshots and by NAV read back from files."""

import threading
from typing import Any

import pytest

from engine.valuation import price_engine
from tests.valuation.price_tables import Case, Told, at, text

ETHER = """
    12:00 ETH/USD 5m venue 100
    12:05 ETH/USD 5m venue 110
    12:10 ETH/USD 5m venue 120
"""


def told(**tables: Any) -> Told:
    return Told(Case(**tables))


# Quantities and closes


def test_holding__counts_from_the_first_close_at_or_after_its_row() -> None:
    case = told(moves="12:05 main ETH 2\n12:05:01 main ETH 1", prices=ETHER)
    assert case.navs() == {"12:00": "0", "12:05": "220", "12:10": "360"}


def test_no_holding__nav_is_zero_and_covered() -> None:
    point = told(moves="12:01 main ETH 2", prices=ETHER).point("12:00")
    assert (point.nav, point.priced_value, point.coverage, point.missing) == ("0", "0", 1.0, ())


def test_sold_out__is_no_holding() -> None:
    case = told(moves="11:00 main ETH 2\n12:03 main ETH -2\n12:09 main ETH 1", prices=ETHER)
    assert case.navs() == {"12:00": "200", "12:05": "0", "12:10": "120"}
    assert (at("12:05"), "main", "ETH", "holding") not in case.rows


def test_closes_of_a_part_of_the_series__are_valued_as_in_the_whole() -> None:
    tables: dict[str, Any] = {"moves": "11:00 main ETH 2\n12:03 main ETH -1", "prices": ETHER}
    assert told(closes="12:10", **tables).navs() == {"12:10": told(**tables).navs()["12:10"]}
    assert told(closes="12:00 12:10", **tables).navs() == {"12:00": "200", "12:10": "120"}


@pytest.mark.parametrize("closes", ["", "12:00 12:05"])
def test_nothing_at_all__is_no_error(closes: str) -> None:
    case = told(closes=closes)
    assert case.navs() == dict.fromkeys(closes.split(), "0")
    assert case.totals.priced_in_all().to_list() == [0] * len(closes.split())
    assert told(closes="", moves="11:00 main ETH 1", prices=ETHER).navs() == {}


def test_no_prices__everything_is_missing() -> None:
    point = told(moves="11:00 main ETH 1").point("12:05")
    assert (point.nav, point.priced_value, point.coverage) == (None, "0", 0.0)
    assert (point.missing, point.reasons) == (("ETH",), ("NO_PRICE",))


def test_accounts__are_told_apart_and_together() -> None:
    case = told(moves="11:00 main ETH 1\n11:00 cold ETH 2\n11:00 cold XYZ 5", prices=ETHER)
    assert case.point("12:00", "main").nav == "100"
    assert (case.point("12:00", "cold").nav, case.point("12:00", "cold").priced_value) == (None, "200")
    assert (case.point("12:00").priced_value, case.point("12:00").coverage) == ("300", 2 / 3)


# No forward fill


def test_a_missing_bar__is_a_gap_and_the_last_price_is_not_carried() -> None:
    case = told(moves="11:00 main ETH 2", prices="12:00 ETH/USD 5m venue 100\n12:10 ETH/USD 5m venue 120")
    assert case.navs() == {"12:00": "200", "12:05": None, "12:10": "240"}
    assert case.row("12:05", "ETH")["price"] is None
    assert case.row("12:05", "ETH")["reason"] == "NO_PRICE"


# Conversion


def test_conversion__the_example_of_the_module() -> None:
    case = told(
        moves="11:00 main ETH 2.5", prices="12:05 ETH/USDT 5m venue 3512.40",
        base="EUR", pegs={"USDT": "USD"}, rates="12:05 USD 0.920810313075506446",
    )  # fmt: skip
    row = case.row("12:05", "ETH")
    assert text(row["value"]) == "8085.635359116022102326"
    assert (row["flags"], row["quote_currency"], row["fx_source"]) == ("PEGGED", "USDT", "feed")
    assert (row["price_source"], row["resolution"], row["asof"]) == ("venue", "5m", at("12:05"))
    assert text(row["fx_rate"]) == "0.920810313075506446"
    assert row["fx_asof"] == at("12:05")


def test_value__is_rounded_once__half_even__on_both_sides_of_zero() -> None:
    for quantity, value in [("1.5", "0.000000000000000002"), ("2.5", "0.000000000000000002")]:
        for sign in ("", "-"):
            case = told(
                moves=f"11:00 main ETH {sign}{quantity}", prices="12:05 ETH/USD 5m v 0.000000000000000001"
            )
            assert text(case.row("12:05", "ETH")["value"]) == sign + value


def test_value__more_places_than_price_times_rate_can_hold__is_still_rounded_once() -> None:
    # 0.0000000015 x 0.000000001 is 1.5e-18: rounded first it would be 2e-18, and ten of it 2e-17.
    case = told(
        moves="11:00 main ETH 10\n11:00 cold ETH -10", prices="12:05 ETH/EUR 5m v 0.0000000015",
        rates="12:05 EUR 0.000000001",
    )  # fmt: skip
    assert text(case.row("12:05", "ETH")["value"]) == "0.000000000000000015"
    assert text(case.row("12:05", "ETH", "cold")["value"]) == "-0.000000000000000015"


def test_no_rate__is_missing__a_held_rate_is_held() -> None:
    case = told(
        moves="11:00 main ETH 1\n11:00 main BTC 1", prices="12:00 ETH/EUR 5m v 1\n12:05 ETH/EUR 5m v 1",
        rates="12:05 EUR FX_HELD EUR/USD",
    )  # fmt: skip
    none, held = case.point("12:00"), case.point("12:05")
    assert (none.missing, none.held, none.reasons) == (("BTC", "ETH"), (), ("NO_FX", "NO_PRICE"))
    assert (held.missing, held.held, held.reasons) == (("BTC",), ("EUR/USD",), ("FX_HELD", "NO_PRICE"))
    assert held.flags == ("DELAYED_FX",)
    assert held.nav is None


def test_flags_of_the_rate__come_with_the_peg_sorted() -> None:
    case = told(
        moves="11:00 main ETH 1", prices="12:05 ETH/USDT 5m v 2", base="EUR", pegs={"USDT": "USD"},
        rates="12:05 USD 0.9 FX_CLOSED",
    )  # fmt: skip
    assert case.row("12:05", "ETH")["flags"] == "FX_CLOSED|PEGGED"
    assert case.point("12:05").flags == ("FX_CLOSED", "PEGGED")


# Pegs


PEGGED: dict[str, Any] = {"moves": "11:00 main ETH 2\n11:00 main USDT 50", "pegs": {"USDT": "USD"}}


def test_peg__prices_the_token_and_converts_its_quotes() -> None:
    case = told(prices="12:05 ETH/USDT 5m v 100", **PEGGED)
    assert case.navs() == {"12:00": None, "12:05": "250", "12:10": None}
    token, ether = case.row("12:05", "USDT"), case.row("12:05", "ETH")
    assert (text(token["price"]), token["quote_currency"], token["resolution"]) == ("1", "USD", "peg")
    assert token["flags"] == ether["flags"] == "PEGGED"


def test_peg__broken__holds_the_token_and_what_is_quoted_in_it() -> None:
    case = told(prices="12:05 ETH/USDT 5m v 100\n12:05 USDT/USD spot v 0.97", **PEGGED)
    assert case.row("12:05", "USDT")["reason"] == case.row("12:05", "ETH")["reason"] == "PEG_BROKEN"
    point = case.point("12:05")
    assert (point.nav, point.missing, point.held, point.reasons) == (None, (), ("USDT",), ("PEG_BROKEN",))
    assert case.row("12:00", "USDT")["reason"] is None


def test_peg__broken_and_no_rate__the_peg_is_told() -> None:
    case = told(
        prices="12:05 USDT/USD spot v 0.97", base="EUR", moves="11:00 main USDT 1", pegs={"USDT": "USD"}
    )
    assert [case.row(close, "USDT")["reason"] for close in ("12:00", "12:05")] == ["NO_FX", "PEG_BROKEN"]
    assert case.point("12:05").held == ("USDT",)


def test_peg__not_configured__is_an_asset_without_a_rate() -> None:
    case = told(moves="11:00 main ETH 2", prices="12:05 ETH/USDT 5m v 100")
    assert case.row("12:05", "ETH")["reason"] == "NO_FX"


def test_peg__a_quote_that_is_the_base_currency_itself__needs_none() -> None:
    case = told(moves="11:00 main ETH 2", prices="12:05 ETH/USDT 5m v 100", base="USDT", pegs={"USDT": "USD"})
    assert (text(case.row("12:05", "ETH")["value"]), case.row("12:05", "ETH")["flags"]) == ("200", "")


# Cash


CASH_MOVES = "11:00 main ETH 1\n11:00 main EUR 10\n12:03 main EUR -30"
EURO = "12:00 EUR 1.1\n12:05 EUR 1.2"


def test_cash__outside__is_shown_and_never_in_nav() -> None:
    case = told(moves=CASH_MOVES, prices=ETHER, rates=EURO)
    assert case.navs() == {"12:00": "100", "12:05": "110", "12:10": "120"}
    assert text(case.row("12:00", "EUR", kind="cash")["value"]) == "11"
    assert text(case.row("12:05", "EUR", kind="cash")["value"]) == "-24"
    assert case.row("12:10", "EUR", kind="cash")["reason"] == "NO_FX"


def test_cash__inside__is_a_holding__and_negative_makes_the_point_incomplete() -> None:
    case = told(moves=CASH_MOVES, prices=ETHER, rates=EURO, cash_in_nav=True)
    assert case.navs() == {"12:00": "111", "12:05": None, "12:10": None}
    assert case.row("12:05", "EUR")["value"] is None
    for close in ("12:05", "12:10"):  # before NO_FX at 12:10
        assert case.point(close).reasons == ("CASH_NEGATIVE",)
        assert case.point(close).missing == ("EUR",)


def test_cash__is_valued_by_rates_alone__whatever_prices_say() -> None:
    case = told(
        moves="11:00 main EUR 10", prices="12:05 EUR/USD 5m v 9", rates="12:05 EUR 1.2", cash_in_nav=True
    )
    assert case.navs()["12:05"] == "12"


def test_cash__in_base_currency__is_itself() -> None:
    row = told(moves="11:00 main USD 10", cash_in_nav=True).row("12:05", "USD")
    assert (text(row["value"]), row["quote_currency"], row["fx_rate"], row["resolution"]) == (
        "10",
        "USD",
        None,
        "cash",
    )


def test_cash__unmatched__is_told_as_unmatched_and_not_as_a_second_balance() -> None:
    case = told(moves="11:00 main USD 10\n11:00 main USD 10 unmatched")
    assert text(case.row("12:05", "USD", kind="cash")["quantity"]) == "10"
    assert text(case.row("12:05", "USD", kind="unmatched")["value"]) == "10"


# Position breaks and transfers


def test_position_break__at_every_later_close__until_all_is_out() -> None:
    case = told(
        moves="11:00 main ETH 3\n12:01 main ETH -5\n12:01 main ETH 2 deficit\n12:06 main ETH 2", prices=ETHER
    )
    assert case.navs() == {"12:00": "300", "12:05": None, "12:10": None}
    assert case.row("12:05", "ETH")["reason"] == "POSITION_BREAK"
    nothing_by_rows = case.row("12:10", "ETH")  # rows say 0, lots say 2
    assert (text(nothing_by_rows["quantity"]), nothing_by_rows["reason"]) == ("0", "POSITION_BREAK")
    assert case.point("12:10").missing == ("ETH",)


def test_position_break__of_one_account__leaves_the_other_alone() -> None:
    case = told(moves="11:00 main ETH -1\n11:00 main ETH 1 deficit\n11:00 cold ETH 2", prices=ETHER)
    assert case.point("12:00", "cold").nav == "200"
    assert (case.point("12:00").nav, case.point("12:00").coverage) == (None, 0.5)


def test_reasons__one_a_holding__position_first_then_price_then_rate() -> None:
    case = told(
        moves="11:00 main ETH -1\n11:00 main ETH 1 deficit\n11:00 main BTC 1\n11:00 main XRP 1",
        prices="12:05 ETH/EUR 5m v 1\n12:05 XRP/EUR 5m v 1", rates="12:05 EUR FX_HELD EUR/USD",
    )  # fmt: skip
    assert [case.row("12:05", asset)["reason"] for asset in ("ETH", "BTC", "XRP")] == [
        "POSITION_BREAK", "NO_PRICE", "FX_HELD",
    ]  # fmt: skip
    assert case.row("12:00", "ETH")["reason"] == "POSITION_BREAK"
    point = case.point("12:05")
    assert (point.missing, point.held) == (("BTC", "ETH"), ("EUR/USD",))
    assert point.reasons == ("FX_HELD", "NO_PRICE", "POSITION_BREAK")


def test_in_transit__belongs_to_the_destination_and_says_so() -> None:
    case = told(
        moves="""
            11:00 main ETH 3
            12:01 main ETH -1
            12:01 cold ETH 1 transit
            12:06 cold ETH -1 transit
            12:06 cold ETH 1
        """,
        prices=ETHER,
    )
    assert case.navs() == {"12:00": "300", "12:05": "330", "12:10": "360"}
    assert [case.row(close, "ETH", "cold")["flags"] for close in ("12:05", "12:10")] == ["IN_TRANSIT", ""]
    assert case.row("12:05", "ETH")["flags"] == ""
    assert case.point("12:05").flags == ("IN_TRANSIT",)


def test_in_transit__comes_with_the_other_flags_sorted() -> None:
    case = told(moves="11:00 main USDT 1 transit", pegs={"USDT": "USD"})
    assert case.row("12:05", "USDT")["flags"] == "IN_TRANSIT|PEGGED"


def test_unmatched__is_outside_nav__makes_it_provisional_and_shows_the_amount() -> None:
    case = told(
        moves="11:00 main ETH 3\n12:01 main ETH 1 unmatched\n12:01 main XYZ 1 unmatched", prices=ETHER
    )
    assert case.navs()["12:05"] == "330"
    point = case.point("12:05")
    assert (point.flags, point.unmatched_value, point.missing) == (("PROVISIONAL",), None, ())
    alone = told(moves="11:00 main ETH 3\n12:01 main ETH 1 unmatched", prices=ETHER)
    assert (alone.point("12:05").unmatched_value, alone.point("12:00").unmatched_value) == ("110", "0")
    assert alone.point("12:00").flags == ()


# Statuses


SIX = "12:00 12:05 12:10 12:15 12:20 12:25"


def test_manual__beats_observations_until_it_expires__then_they_count_again_or_it_says_so() -> None:
    case = told(
        moves="11:00 main ETH 2", closes=SIX, prices=ETHER + "12:20 ETH/USD 5m venue 140",
        statuses="12:05 ETH manual 7.5 12:15\n12:25 ETH normal",
    )  # fmt: skip
    assert case.navs() == {
        "12:00": "200", "12:05": "15", "12:10": "15", "12:15": None, "12:20": "280", "12:25": None,
    }  # fmt: skip
    assert case.row("12:15", "ETH")["reason"] == "MANUAL_EXPIRED"
    assert case.row("12:25", "ETH")["reason"] == "NO_PRICE"
    manual = case.row("12:10", "ETH")
    assert (manual["price_source"], manual["resolution"], manual["asof"]) == ("manual", "manual", at("12:05"))


def test_manual__zero_writes_off() -> None:
    point = told(moves="11:00 main XYZ 2", statuses="12:05 XYZ manual 0 13:00").point("12:05")
    assert (point.nav, point.coverage) == ("0", 1.0)


def test_manual__is_in_base_currency__no_peg_and_no_rate_is_asked() -> None:
    case = told(
        moves="11:00 main USDT 2", statuses="12:05 USDT manual 0.5 12:10", base="EUR", pegs={"USDT": "USD"},
        prices="12:05 USDT/USD spot v 0.5",
    )  # fmt: skip
    row = case.row("12:05", "USDT")
    assert (text(row["value"]), row["quote_currency"], row["flags"], row["held"]) == ("1", "EUR", "", None)
    assert (
        case.row("12:10", "USDT")["reason"] == "PEG_BROKEN"
    )  # the peg counts again; it is not without a price


def test_manual__the_later_status_counts__of_one_instant_the_later_decision() -> None:
    case = told(
        moves="11:00 main XYZ 1",
        statuses="12:10 XYZ manual 3 13:00\n12:05 XYZ manual 1 13:00\n12:05 XYZ manual 2 13:00",
    )
    assert case.navs() == {"12:00": None, "12:05": "2", "12:10": "3"}


def test_manual__does_not_heal_a_broken_position() -> None:
    case = told(moves="11:00 main XYZ -1\n11:00 main XYZ 1 deficit", statuses="12:00 XYZ manual 1 13:00")
    assert case.row("12:05", "XYZ")["reason"] == "POSITION_BREAK"


def test_excluded__is_outside_nav_and_coverage_but_listed_and_counted() -> None:
    case = told(
        moves="11:00 main ETH 2\n11:00 main SPAM 9\n11:00 main SPAM 1 unmatched\n11:00 cold ETH 1",
        prices=ETHER,
        statuses="12:05 SPAM excluded\n12:10 ETH excluded",
    )  # fmt: skip
    points = [case.point(close) for close in ("12:00", "12:05", "12:10")]
    assert [point.nav for point in points] == [None, "330", "0"]
    assert [point.coverage for point in points] == [2 / 3, 1.0, 1.0]
    assert [point.excluded for point in points] == [0, 1, 3]
    assert [text(value) for value in case.totals.priced_in_all()] == ["300", "330", "0"]
    assert [point.flags for point in points] == [("PROVISIONAL",), (), ()]
    assert text(case.row("12:05", "SPAM", kind="excluded")["quantity"]) == "9"
    assert text(case.row("12:10", "ETH", kind="excluded")["value"]) == "240"


def test_excluded__then_normal__is_a_holding_again() -> None:
    case = told(moves="11:00 main ETH 1", prices=ETHER, statuses="12:05 ETH excluded\n12:10 ETH normal")
    assert case.navs() == {"12:00": "100", "12:05": "0", "12:10": "120"}


# Range


HUGE = "99999999999999999999"


def test_out_of_range__a_product__is_that_holding_alone() -> None:
    case = told(
        moves=f"11:00 main ETH {HUGE}\n11:00 cold ETH 1\n11:00 main USD 5", prices=ETHER, cash_in_nav=True
    )
    row = case.row("12:05", "ETH")
    assert (row["value"], row["price"], row["reason"]) == (None, None, "VALUE_OUT_OF_RANGE")
    assert text(case.row("12:05", "ETH", "cold")["value"]) == "110"
    point = case.point("12:05")
    assert (point.nav, point.priced_value, point.missing) == (None, "115", ("ETH",))
    assert point.reasons == ("VALUE_OUT_OF_RANGE",)


def test_out_of_range__a_quantity() -> None:
    case = told(moves=f"11:00 main ETH {HUGE}\n11:30 main ETH 1", prices=ETHER)
    row = case.row("12:05", "ETH")
    assert (row["quantity"], row["value"], row["reason"]) == (None, None, "VALUE_OUT_OF_RANGE")


def test_out_of_range__price_times_rate__may_come_back_with_a_small_quantity() -> None:
    case = told(
        moves="11:00 main ETH 0.1\n11:00 cold ETH 100",
        prices=f"12:05 ETH/EUR 5m v {HUGE}",
        rates="12:05 EUR 2",
    )
    assert text(case.row("12:05", "ETH")["value"]) == "19999999999999999999.8"
    assert case.row("12:05", "ETH", "cold")["reason"] == "VALUE_OUT_OF_RANGE"


def test_out_of_range__a_sum__is_null_with_its_reason_and_the_parts_are_valued() -> None:
    case = told(
        moves=f"11:00 main ETH {HUGE}\n11:00 cold ETH 1",
        prices="12:00 ETH/USD 5m v 1\n12:05 ETH/USD 5m v 0.5",
    )
    point = case.point("12:00")
    assert (point.nav, point.priced_value, point.coverage) == (None, None, 1.0)
    assert point.reasons == ("VALUE_OUT_OF_RANGE",)
    assert case.point("12:05").nav == "50000000000000000000"
    assert case.point("12:00", "main").nav == HUGE
    assert case.totals.priced_in_all().to_list()[0] is None


# Beside the caller


def test_values_made_beside_the_caller__one_fails__the_caller_hears_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(price_engine, "BESIDE_FROM", 0)
    monkeypatch.setattr(price_engine, "products", lambda *_: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        told(moves="12:00 main ETH 2", prices=ETHER)


def test_values_made_beside_the_caller__who_stops_early__leaves_no_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(price_engine, "BESIDE_FROM", 0)
    inputs = Case(moves="12:00 main ADA 1\n12:00 main BTC 1\n12:00 main ETH 2", prices=ETHER).inputs()
    values = price_engine.run(inputs)
    assert next(values).asset == "ADA"
    assert [thread for thread in threading.enumerate() if thread.name.startswith("value")]
    values.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("value")]
