"""Paths of lots: the same lots as the engine's, each carried from where it was acquired to where it is."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.portfolio.lot_paths import ARRIVAL, follow
from engine.portfolio.lots_engine import METHODS, run
from engine.portfolio.lots_outcome import PLACE_BITS
from engine.portfolio.transfers import link
from tests.effort import examples
from tests.portfolio.ledgers import CASH, Tx, frame, trades
from tests.portfolio.strategies import ledgers


def accounts_of(rows: list[Tx], method: str = "FIFO") -> list[list[str]]:
    """The accounts that each realized lot went through."""
    ledger = frame(rows)
    links = link(ledger)
    outcome, paths = follow(ledger, links, method, CASH, {})
    names = ledger["account"].gather(links.order).to_list()
    return [
        [names[leg.out] for leg in found] + [names[found[-1].into]] if found else []
        for found in (paths.of(piece[1] & ARRIVAL) for piece in outcome.realized)
    ]


def test_path__over_two_accounts__and_none_where_it_was_bought() -> None:
    rows = trades("""
        09:00 a BUY 2 X @10
        10:00 a TRANSFER_OUT 1 X #h1
        11:00 b TRANSFER_IN 1 X #h1
        12:00 b TRANSFER_OUT 1 X #h2
        13:00 c TRANSFER_IN 1 X #h2
        14:00 c SELL 1 X @20
        15:00 a SELL 1 X @20
    """)
    assert accounts_of(rows) == [["a", "b", "c"], []]


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=examples(40), deadline=None)
@given(data=st.data())
def test_paths__of_any_ledger__are_unbroken_and_change_no_lot(method: str, data: st.DataObject) -> None:
    ledger = frame(data.draw(ledgers()))
    links = link(ledger)
    plain = run(ledger, links, method, CASH, {})
    outcome, paths = follow(ledger, links, method, CASH, {})
    assert (outcome.open, outcome.realized, outcome.in_transit) == (
        plain.open, plain.realized, plain.in_transit,
    )  # fmt: skip
    names = ledger["account"].gather(links.order).to_list()
    drawn = {(piece.out, piece.into) for piece in links.drawn}
    for slot, place, *_ in outcome.open:
        legs = paths.of(place & ARRIVAL)
        assert all((leg.out, leg.into) in drawn for leg in legs)
        ends = [names[leg.into] for leg in legs]
        starts = [names[leg.out] for leg in legs]
        assert starts[1:] == ends[:-1]
        assert (ends[-1:] or [names[place >> PLACE_BITS]]) == [
            outcome.rows.accounts[slot // len(outcome.rows.assets)]
        ]
