"""Linking: who feeds whom, what cancels, what is left over, when it arrives."""

import pytest

from engine.portfolio.transfers import Links, link, pairing_marks
from tests.portfolio.ledgers import clock, frame, trades

UNIT = 10**18


def linked(text: str, matches: tuple[tuple[int, int], ...] = ()) -> Links:
    return link(frame(trades(text)), matches)


def drawn(links: Links) -> list[str]:
    """`row of OUT > row of IN quantity`."""
    rows = links.rows.tolist()
    return [f"{rows[p.out]} > {rows[p.into]} {p.quantity // UNIT}" for p in links.drawn]


@pytest.mark.parametrize(
    ("out", "into", "is_linked"),
    [
        ("#h", "#h", True),
        ("#h", "#g", False),
        ("#h ~e", "#g ~e", False),
        ("#h ~e", "~e", True),
        ("~e", "#h ~e", True),
        ("~e", "~e", True),
        ("~e", "~f", False),
        ("#h", "~e", False),
        ("", "", False),
    ],
)
def test_link__by_hash_or_by_external_id_if_one_has_no_hash(out: str, into: str, is_linked: bool) -> None:
    links = linked(f"09:00 a TRANSFER_OUT 1 X {out} \n 10:00 b TRANSFER_IN 1 X {into}")
    assert bool(links.drawn) == is_linked
    assert bool(links.rest) == bool(links.excess) == (not is_linked)


def test_link__two_assets__never() -> None:
    links = linked("09:00 a TRANSFER_OUT 1 X #h \n 10:00 b TRANSFER_IN 1 Y #h", ((1, 2),))
    assert not links.sets


def test_link__external_id_joins_rows_of_two_hashes() -> None:
    text = """
    09:00 a TRANSFER_OUT 1 X #h ~e
    09:30 b TRANSFER_OUT 2 X #g ~e
    10:00 c TRANSFER_IN 3 X ~e
    """
    assert drawn(linked(text)) == ["1 > 3 1", "2 > 3 2"]


def test_cut__in_time_order_on_both_sides() -> None:
    text = """
    09:00 a TRANSFER_OUT 2 X #h
    09:30 b TRANSFER_OUT 3 X #h
    11:00 d TRANSFER_IN 3 X #h
    10:00 c TRANSFER_IN 1 X #h
    """
    links = linked(text)
    assert drawn(links) == ["1 > 4 1", "1 > 3 1", "2 > 3 2"]
    assert list(links.rest.values()) == [UNIT]


def test_cancel__one_account_first__then_the_rest_is_cut() -> None:
    text = """
    09:00 a TRANSFER_OUT 5 X #h
    09:00 b TRANSFER_IN 2 X #h
    10:00 a TRANSFER_IN 3 X #h
    """
    links = linked(text)
    assert [piece.quantity // UNIT for piece in links.cancelled] == [3]
    assert drawn(links) == ["1 > 2 2"]
    assert not links.rest
    assert not links.excess


def test_arrival__is_the_later_of_own_time_and_last_out() -> None:
    text = """
    09:00 a TRANSFER_OUT 1 X #h
    12:00 b TRANSFER_OUT 1 X #h
    11:00 c TRANSFER_IN 2 X #h
    13:00 d TRANSFER_IN 1 X #g
    """
    assert [clock(ts) for ts in sorted(linked(text).arrival.values())] == ["12:00", "13:00"]


def test_match__of_a_row_that_is_gone__links_nothing() -> None:
    assert not linked("09:00 a TRANSFER_OUT 1 X \n 10:00 b TRANSFER_IN 1 X", ((1, 9), (2, 1))).sets


def test_pairing_marks__one_per_set_and_none_for_the_unpaired() -> None:
    ledger = frame(
        trades(
            """
            09:00 a TRANSFER_OUT 1 X #h
            09:00 b TRANSFER_IN 1 X #h
            09:00 a TRANSFER_OUT 1 X #g
            10:00 b TRANSFER_OUT 1 X
            10:00 c TRANSFER_IN 1 X
            """
        )
    )
    marks = pairing_marks(ledger, link(ledger, [(4, 5)]))
    assert sorted(marks) == [1, 2, 4, 5]
    assert marks[1] == marks[2] != marks[4] == marks[5]


def test_ledger_order__time_rank_kind_of_key_key_content() -> None:
    rows = trades(
        """
        10:00 a SELL 1 X @1 #h
        10:00 a TRANSFER_OUT 1 X #h
        10:00 a TRANSFER_IN 1 X #h
        10:00 b BUY 1 X @1
        10:00 a BUY 9 X @1
        10:00 a BUY 10 X @1
        10:00 a INCOME 1 X ~e
        10:00 b BUY 1 X @1 #h
        10:00 a BUY 1 X @1 #k
        09:00 z FEE 1 X
        """
    )
    links = link(frame(rows))
    assert links.rows.tolist() == [10, 9, 8, 7, 4, 6, 5, 3, 2, 1]
