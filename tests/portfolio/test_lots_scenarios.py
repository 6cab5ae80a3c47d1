"""Every row of the event table and every move, as a trader would write it down: trades, then what is left.

Lots read `account asset acquired quantity basis FLAGS`, gains
`account asset disposed acquired quantity proceeds basis gain FLAGS`; `?` is an unknown acquisition.
"""

import pytest

from engine.portfolio.lots_engine import METHODS
from tests.portfolio.ledgers import book, deficits, in_transit, open_lots, realized, table


def expect(
    trades: str, lots: str = "", gains: str = "", moving: str = "", missing: str = "", method: str = "FIFO"
) -> None:
    outcome = book(trades, method)
    assert open_lots(outcome) == table(lots)
    assert realized(outcome) == table(gains)
    assert in_transit(outcome) == table(moving)
    assert deficits(outcome) == table(missing)


def test_buy__fee_in_usd__is_part_of_the_basis() -> None:
    expect("09:00 a BUY 2 X @10 fee 1 USD", lots="a X 09:00 2 21")


def test_buy__price_zero__is_taken_and_flagged() -> None:
    expect("09:00 a BUY 2 X @0", lots="a X 09:00 2 0 ZERO_PRICE")


def test_buy__fee_in_own_asset__adds_its_value_and_is_realized_at_it() -> None:
    gains = "a X 09:00 09:00 0.5 5 6.25 -1.25"
    expect("09:00 a BUY 2 X @10 fee 0.5 X", "a X 09:00 1.5 18.75", gains)


def test_buy__fee_in_third_asset__adds_the_basis_of_the_lots_taken() -> None:
    expect(
        """
        08:00 a BUY 4 Y @2
        09:00 a BUY 2 X @10 fee 1 Y
        """,
        lots="""
        a X 09:00 2 22 FEE_AT_BASIS
        a Y 08:00 3 6
        """,
        gains="a Y 09:00 08:00 1 2 2 0 FEE_AT_BASIS",
    )


@pytest.mark.parametrize(
    ("value", "lot"), [(None, "a X 09:00 2 20 FEE_UNVALUED"), (11 * 10**17, "a X 09:00 2 21.1")]
)
def test_buy__fee_in_other_cash__counts_once_its_value_is_known(value: int | None, lot: str) -> None:
    outcome = book("09:00 a BUY 2 X @10 fee 1 EUR", cash_fee_usd={1: value})
    assert open_lots(outcome) == [lot]
    assert realized(outcome) == []


@pytest.mark.parametrize("action", ["STAKING_REWARD", "AIRDROP", "INCOME"])
def test_income__with_price__is_income_and_basis(action: str) -> None:
    outcome = book(f"09:00 a {action} 2 X @10 fee 1 USD")
    assert open_lots(outcome) == ["a X 09:00 2 21"]
    assert outcome.income == [(0, 20 * 10**18)]


@pytest.mark.parametrize("action", ["STAKING_REWARD", "AIRDROP", "INCOME"])
def test_income__without_price__is_unvalued_never_zero(action: str) -> None:
    outcome = book(f"09:00 a {action} 2 X fee 0.5 X")
    assert open_lots(outcome) == ["a X 09:00 1.5 0 FEE_UNVALUED NO_BASIS"]
    assert realized(outcome) == ["a X 09:00 09:00 0.5 0 0 0 FEE_AT_BASIS FEE_UNVALUED NO_BASIS"]
    assert outcome.income == [(0, None)]


THREE_LOTS = """
    09:00 a BUY 1 X @10
    10:00 a BUY 1 X @30
    11:00 a BUY 1 X @20
    12:00 a SELL 1.5 X @40 fee 3 USD
"""


def test_sell__fifo__spans_two_lots() -> None:
    gains = """
    a X 12:00 09:00 1 38 10 28
    a X 12:00 10:00 0.5 19 15 4
    """
    expect(THREE_LOTS, "a X 10:00 0.5 15 \n a X 11:00 1 20", gains)


def test_sell__lifo__takes_the_newest_first() -> None:
    gains = """
    a X 12:00 11:00 1 38 20 18
    a X 12:00 10:00 0.5 19 15 4
    """
    expect(THREE_LOTS, "a X 09:00 1 10 \n a X 10:00 0.5 15", gains, method="LIFO")


def test_sell__hifo__takes_the_dearest_first() -> None:
    gains = """
    a X 12:00 10:00 1 38 30 8
    a X 12:00 11:00 0.5 19 10 9
    """
    expect(THREE_LOTS, "a X 09:00 1 10 \n a X 11:00 0.5 10", gains, method="HIFO")


def test_sell__thirds__last_piece_takes_what_is_left() -> None:
    trades = "09:00 a BUY 3 X @0.333333333333333333 fee 0.000000000000000002 USD \n"
    trades += "10:00 a SELL 1 X @1 \n 11:00 a SELL 1 X @1 \n 12:00 a SELL 1 X @1"
    basis = [line.split()[6] for line in realized(book(trades))]
    assert basis == ["0.333333333333333334", "0.333333333333333334", "0.333333333333333333"]


def test_sell__fee_in_third_asset__lowers_the_proceeds_by_its_basis() -> None:
    expect(
        """
        08:00 a BUY 4 Y @2
        09:00 a BUY 1 X @10
        10:00 a SELL 1 X @15 fee 1 Y
        """,
        lots="a Y 08:00 3 6",
        gains="""
        a Y 10:00 08:00 1 2 2 0 FEE_AT_BASIS
        a X 10:00 09:00 1 13 10 3 FEE_AT_BASIS
        """,
    )


def test_sell__more_than_held__excess_has_basis_zero_and_no_acquisition() -> None:
    expect(
        "09:00 a BUY 1 X @10 \n 10:00 a SELL 3 X @20",
        gains="""
        a X 10:00 09:00 1 20 10 10
        a X 10:00 ? 2 40 0 40 INSUFFICIENT_LOTS
        """,
        missing="a X 10:00 2",
    )


def test_fee_row__with_price__is_realized_at_its_value() -> None:
    expect("09:00 a BUY 1 X @10 \n 10:00 a FEE 1 X @12", gains="a X 10:00 09:00 1 12 10 2")


def test_fee_row__without_price__has_no_gain() -> None:
    expect("09:00 a BUY 1 X @10 \n 10:00 a FEE 1 X", gains="a X 10:00 09:00 1 10 10 0 FEE_AT_BASIS")


def test_fee_row__with_a_fee_of_its_own__ignores_it() -> None:
    trades = "09:00 a BUY 2 X @10 \n 10:00 a FEE 1 X @12 fee 1 X"
    expect(trades, "a X 09:00 1 10", "a X 10:00 09:00 1 12 10 2")


def test_cash__has_no_lots_and_no_gains() -> None:
    expect("09:00 a BUY 5 EUR @1.1 \n 10:00 a SELL 9 EUR @1.2 \n 11:00 a FEE 1 USD")
    expect("12:00 a TRANSFER_OUT 1 EUR \n 12:00 b TRANSFER_IN 2 EUR")


def test_transfer__moves_lots_with_acquisition_and_basis_and_no_gain() -> None:
    expect(
        """
        09:00 a BUY 2 X @10
        11:00 a TRANSFER_OUT 1.5 X #h fee 0.1 USD
        12:00 b TRANSFER_IN 1.5 X #h fee 0.1 USD
        """,
        lots="a X 09:00 0.5 5 \n b X 09:00 1.5 15",
    )


def test_transfer__arrived_lot_queues_by_acquisition_not_by_arrival() -> None:
    expect(
        """
        09:00 a BUY 1 X @10
        10:00 b BUY 1 X @20
        11:00 a TRANSFER_OUT 1 X #h
        11:30 b TRANSFER_IN 1 X #h
        12:00 b SELL 1 X @30
        """,
        lots="b X 10:00 1 20",
        gains="b X 12:00 09:00 1 30 10 20",
    )


TWO_OUTS_ONE_IN = """
    09:00 a BUY 1 X @10
    09:30 b BUY 1 X @20
    10:00 a TRANSFER_OUT 1 X #h
    12:00 b TRANSFER_OUT 1 X #h
    11:00 c TRANSFER_IN 2 X #h
"""


@pytest.mark.parametrize(
    ("as_of", "lots", "moving"),
    [
        ("10:00", ["b X 09:30 1 20"], ["a X 09:00 10:00 1 10"]),
        ("11:00", ["b X 09:30 1 20"], ["a X 09:00 10:00 1 10"]),
        ("12:00", ["c X 09:00 1 10", "c X 09:30 1 20"], []),
    ],
)
def test_transfer__in_arrives_whole_with_its_last_out(as_of: str, lots: list[str], moving: list[str]) -> None:
    outcome = book(TWO_OUTS_ONE_IN, as_of=as_of)
    assert (open_lots(outcome), in_transit(outcome)) == (lots, moving)


def test_transfer__several_ins__share_the_lots_in_order() -> None:
    expect(
        """
        09:00 a BUY 1 X @10
        09:30 a BUY 2 X @20
        10:00 a TRANSFER_OUT 3 X #h
        11:00 c TRANSFER_IN 1.5 X #h
        12:00 b TRANSFER_IN 1.5 X #h
        """,
        lots="b X 09:30 1.5 30 \n c X 09:00 1 10 \n c X 09:30 0.5 10",
    )


def test_transfer__between_wallets_of_one_account__changes_no_lot() -> None:
    trades = "09:00 a BUY 1 X @10 \n 10:00 a TRANSFER_OUT 5 X #h \n 11:00 a TRANSFER_IN 5 X #h"
    expect(trades, "a X 09:00 1 10")


def test_out_without_in__lots_stay_in_transit_and_are_flagged() -> None:
    expect(
        "09:00 a BUY 2 X @10 \n 10:00 a TRANSFER_OUT 1 X #h",
        lots="a X 09:00 1 10",
        moving="a X 09:00 10:00 1 10 UNMATCHED_TRANSFER",
    )


def test_out_larger_than_its_in__the_rest_stays_in_transit() -> None:
    expect(
        "09:00 a BUY 2 X @10 \n 10:00 a TRANSFER_OUT 2 X #h \n 11:00 b TRANSFER_IN 1.5 X #h",
        lots="b X 09:00 1.5 15",
        moving="a X 09:00 10:00 0.5 5 UNMATCHED_TRANSFER",
    )


def test_in_without_out__is_a_lot_without_income() -> None:
    outcome = book("10:00 b TRANSFER_IN 2 X @10 fee 1 USD #h")
    assert open_lots(outcome) == ["b X 10:00 2 21 UNMATCHED_TRANSFER"]
    assert outcome.income == []
    assert open_lots(book("10:00 b TRANSFER_IN 2 X #h")) == ["b X 10:00 2 0 NO_BASIS UNMATCHED_TRANSFER"]


def test_in_larger_than_its_out__excess_takes_price_and_fee_by_quantity() -> None:
    expect(
        "09:00 a BUY 1 X @5 \n 10:00 a TRANSFER_OUT 1 X #h \n 11:00 b TRANSFER_IN 4 X @10 fee 2 USD #h",
        lots="b X 09:00 1 5 \n b X 11:00 3 31.5 UNMATCHED_TRANSFER",
    )


def test_moved_more_than_held__excess_travels_with_basis_zero_and_no_gain() -> None:
    expect(
        "09:00 a BUY 1 X @10 \n 10:00 a TRANSFER_OUT 3 X #h \n 11:00 b TRANSFER_IN 3 X #h",
        lots="b X 09:00 1 10 \n b X ? 2 0 INSUFFICIENT_LOTS",
        missing="a X 10:00 2",
    )


def test_operator_match__links_rows_without_a_common_key() -> None:
    trades = "09:00 a BUY 1 X @10 \n 10:00 a TRANSFER_OUT 1 X \n 11:00 b TRANSFER_IN 1 X"
    assert open_lots(book(trades, matches=[(2, 3)])) == ["b X 09:00 1 10"]
    assert in_transit(book(trades, matches=[(2, 3)])) == []


# The three moves


def test_move__in_is_booked_right_after_its_out_and_before_sales() -> None:
    expect(
        """
        09:00 a BUY 1 X @10
        10:00 b SELL 1 X @30
        10:00 a TRANSFER_OUT 1 X #h
        10:00 b TRANSFER_IN 1 X #h
        """,
        gains="b X 10:00 09:00 1 30 10 20",
    )


def test_move__chain_at_one_instant__each_out_waits_for_the_in_before_it() -> None:
    expect(
        """
        09:00 c BUY 1 X @10
        10:00 a TRANSFER_OUT 1 X #h2
        10:00 z TRANSFER_IN 1 X #h2
        10:00 b TRANSFER_OUT 1 X #h1
        10:00 a TRANSFER_IN 1 X #h1
        10:00 c TRANSFER_OUT 1 X #h0
        10:00 b TRANSFER_IN 1 X #h0
        """,
        lots="z X 09:00 1 10",
    )


def test_move__ring_at_one_instant__the_first_out_goes_ahead() -> None:
    expect(
        """
        09:00 a BUY 1 X @10
        10:00 a TRANSFER_OUT 1 X #h1
        10:00 b TRANSFER_IN 1 X #h1
        10:00 b TRANSFER_OUT 1 X #h2
        10:00 a TRANSFER_IN 1 X #h2
        """,
        lots="a X 09:00 1 10",
    )


def test_move__third_asset_fee__is_booked_before_its_parent_and_after_purchases_of_it() -> None:
    expect(
        "09:00 a BUY 1 X @10 fee 1 Y \n 09:00 a BUY 2 Y @3",
        lots="a X 09:00 1 13 FEE_AT_BASIS \n a Y 09:00 1 3",
        gains="a Y 09:00 09:00 1 3 3 0 FEE_AT_BASIS",
    )


def test_move__third_asset_fee_of_an_out__waits_for_the_in_of_that_asset() -> None:
    expect(
        """
        09:00 a BUY 1 X @10
        09:00 z BUY 1 Y @3
        10:00 a TRANSFER_OUT 1 X #h1 fee 1 Y
        10:00 b TRANSFER_IN 1 X #h1
        10:00 z TRANSFER_OUT 1 Y #h2
        10:00 a TRANSFER_IN 1 Y #h2
        """,
        lots="b X 09:00 1 10",
        gains="a Y 10:00 09:00 1 3 3 0 FEE_AT_BASIS",
    )


def test_move__fee_of_an_early_in__stands_at_the_ins_own_time() -> None:
    expect(
        """
        09:00 a BUY 1 X @10
        10:00 b TRANSFER_IN 1 X #h fee 0.25 X
        12:00 a TRANSFER_OUT 1 X #h
        """,
        lots="b X 09:00 1 10",
        gains="b X 10:00 ? 0.25 0 0 0 FEE_AT_BASIS INSUFFICIENT_LOTS",
        missing="b X 10:00 0.25",
    )


def test_made_fee__of_a_row_that_has_no_key_but_its_content__stands_where_that_content_does() -> None:
    """FEE comes before SELL, and so does the fee that was given before the one that the sale made."""
    expect(
        """
        09:00 a BUY 1.5 X @10
        10:00 a BUY 9 X @20
        12:00 a SELL 1 X @30 fee 0.5 X
        12:00 a FEE 1 X @30
        """,
        lots="a X 10:00 8 160",
        gains="""
        a X 12:00 09:00 1 15 10 5
        a X 12:00 09:00 0.5 15 5 10
        a X 12:00 10:00 0.5 15 10 5
        a X 12:00 10:00 0.5 15 10 5
        """,
    )


def test_worked_example_of_the_engine__comes_out_as_written() -> None:
    expect(
        """
        09:00 a BUY 2 X @10 fee 1 USD
        10:00 a BUY 1 X @30
        11:00 a TRANSFER_OUT 2.5 X #h
        11:00 b TRANSFER_IN 2.5 X #h
        12:00 b SELL 2.2 X @20
        13:00 a FEE 0.5 X @24
        """,
        lots="b X 10:00 0.3 9",
        gains="""
        b X 12:00 09:00 2 40 21 19
        b X 12:00 10:00 0.2 4 6 -2
        a X 13:00 10:00 0.5 12 15 -3
        """,
    )


@pytest.mark.parametrize("method", sorted(METHODS))
def test_one_lot__every_method__gives_the_same(method: str) -> None:
    trades = "09:00 a BUY 3 X @7 fee 1 USD \n 10:00 a SELL 1 X @9 \n 11:00 a TRANSFER_OUT 1 X #h"
    expect(
        trades,
        lots="a X 09:00 1 7.333333333333333333",
        gains="a X 10:00 09:00 1 9 7.333333333333333333 1.666666666666666667",
        moving="a X 09:00 11:00 1 7.333333333333333334 UNMATCHED_TRANSFER",
        method=method,
    )
