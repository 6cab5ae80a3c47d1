"""What the operator settles of a transfer without a counterpart: trades, decisions, then what is left."""

import pytest

from engine.domain.money import to_scaled
from engine.portfolio.lots_engine import METHODS
from engine.portfolio.transfers import Settlement
from tests.portfolio.ledgers import book, in_transit, open_lots, realized, settled, table

LEFT = """
    09:00 a BUY 2 X @10
    10:00 a BUY 2 X @30
    11:00 a TRANSFER_OUT 3 X #h
"""
CAME = "10:00 b TRANSFER_IN 2 X @10 fee 1 USD #h"
OUT, IN = 3, 1


def said(kind: str, value: str | None = None, row: int = OUT) -> dict[int, Settlement]:
    return {row: Settlement(kind, None if value is None else to_scaled(value))}


def test_payment__is_a_disposal_at_its_value() -> None:
    outcome = book(LEFT, settlements=said("payment", "90"))
    assert realized(outcome) == table("a X 11:00 09:00 2 60 20 40 \n a X 11:00 10:00 1 30 30 0")
    assert open_lots(outcome) == ["a X 10:00 1 30"]
    assert (in_transit(outcome), settled(outcome)) == ([], [])


def test_fee__with_a_value__is_a_disposal_at_it() -> None:
    outcome = book(LEFT, settlements=said("fee", "45"))
    assert realized(outcome) == table("a X 11:00 09:00 2 30 20 10 \n a X 11:00 10:00 1 15 30 -15")


def test_fee__without_a_value__has_no_gain() -> None:
    outcome = book(LEFT, settlements=said("fee"))
    assert realized(outcome) == table(
        "a X 11:00 09:00 2 20 20 0 FEE_AT_BASIS \n a X 11:00 10:00 1 30 30 0 FEE_AT_BASIS"
    )


@pytest.mark.parametrize("kind", ["withdrawal", "gift", "lost"])
@pytest.mark.parametrize("value", [None, "1000"])
def test_withdrawal_gift_lost__take_the_basis_out_without_a_gain(kind: str, value: str | None) -> None:
    outcome = book(LEFT, settlements=said(kind, value))
    assert settled(outcome) == table("a X 09:00 11:00 2 20 \n a X 10:00 11:00 1 30")
    assert (realized(outcome), in_transit(outcome)) == ([], [])
    assert open_lots(outcome) == ["a X 10:00 1 30"]


def test_settled__lots_are_those_of_the_method() -> None:
    outcome = book(LEFT, method="LIFO", settlements=said("gift"))
    assert settled(outcome) == table("a X 10:00 11:00 2 60 \n a X 09:00 11:00 1 10")


def test_settled__only_what_is_left_over_after_the_matched_part() -> None:
    arrived = LEFT + "12:00 b TRANSFER_IN 2.5 X #h"
    outcome = book(arrived, settlements=said("payment", "90"))
    assert realized(outcome) == ["a X 11:00 10:00 0.5 15 15 0"]
    assert open_lots(outcome) == table("a X 10:00 1 30 \n b X 09:00 2 20 \n b X 10:00 0.5 15")


def test_settled__arrival_of_the_whole_wins_by_itself() -> None:
    arrived = LEFT + "12:00 b TRANSFER_IN 3 X #h"
    outcome = book(arrived, settlements=said("payment", "90"))
    assert (realized(outcome), settled(outcome)) == ([], [])
    assert open_lots(outcome) == table("a X 10:00 1 30 \n b X 09:00 2 20 \n b X 10:00 1 30")


def test_settled__more_than_was_held__excess_has_basis_zero() -> None:
    outcome = book("11:00 a TRANSFER_OUT 3 X #h", settlements=said("lost", row=1))
    assert settled(outcome) == ["a X ? 11:00 3 0 INSUFFICIENT_LOTS"]
    paid = book("11:00 a TRANSFER_OUT 3 X #h", settlements=said("payment", "6", row=1))
    assert realized(paid) == ["a X 11:00 ? 3 6 0 6 INSUFFICIENT_LOTS"]


@pytest.mark.parametrize("kind", ["deposit", "gift", "opening"])
def test_settled_in__has_the_value_given_as_its_basis(kind: str) -> None:
    assert open_lots(book(CAME, settlements=said(kind, "50", IN))) == ["b X 10:00 2 50"]


def test_settled_in__without_a_value__keeps_what_its_row_says() -> None:
    assert open_lots(book(CAME, settlements=said("deposit", row=IN))) == ["b X 10:00 2 21"]
    bare = book("10:00 b TRANSFER_IN 2 X #h", settlements=said("opening", row=IN))
    assert open_lots(bare) == ["b X 10:00 2 0 NO_BASIS"]


def test_settled_in__value_is_of_the_whole_row() -> None:
    trades = "09:00 a BUY 1 X @5 \n 10:00 a TRANSFER_OUT 1 X #h \n 11:00 b TRANSFER_IN 4 X #h"
    outcome = book(trades, settlements=said("deposit", "100"))
    assert open_lots(outcome) == table("b X 09:00 1 5 \n b X 11:00 3 75")


@pytest.mark.parametrize("method", sorted(METHODS))
def test_settled_in__is_sold_like_any_lot(method: str) -> None:
    trades = CAME + "\n 12:00 b SELL 2 X @40"
    outcome = book(trades, method, settlements=said("opening", "50", IN))
    assert realized(outcome) == ["b X 12:00 10:00 2 80 50 30"]


def test_kind_of_the_other_side__says_nothing() -> None:
    assert in_transit(book(LEFT, settlements=said("deposit"))) == in_transit(book(LEFT))
