"""Step changes for valuation: scenarios, and their laws against rows and lots."""

from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.instants import HOUR_US
from engine.domain.money import to_text
from engine.portfolio.holdings import movements
from engine.portfolio.lots_engine import METHODS, run
from engine.portfolio.lots_outcome import LotsOutcome
from engine.portfolio.transfers import link
from tests.effort import examples
from tests.portfolio.ledgers import CASH, DAY, Tx, clock, frame, table, trades
from tests.portfolio.strategies import ledgers

UNIT = 10**18
Amounts = Counter[tuple[str, str]]


def steps(rows: list[Tx], cash_mode: str = "external") -> list[dict[str, object]]:
    ledger = frame(rows)
    links = link(ledger)
    missing = run(ledger, links, "FIFO", CASH, {}).deficits_frame()
    return movements(ledger, links, missing, cash_mode, CASH).to_dicts()


def told(text: str, cash_mode: str = "external") -> list[str]:
    """`account asset time delta series`."""
    lines = []
    for step in steps(trades(text), cash_mode):
        delta, ts = step["delta"], step["ts"]
        assert isinstance(delta, Decimal)
        assert isinstance(ts, int)
        amount = to_text(int(delta.scaleb(18)))
        lines.append(f"{step['account']} {step['asset']} {clock(ts)} {amount} {step['series']}")
    return lines


def test_rows_and_made_fees__count_from_their_time() -> None:
    assert told("09:00 a BUY 2 X @10 fee 0.5 X \n 10:00 a SELL 1 X @9 fee 1 EUR") == table(
        """
        a EUR 10:00 -1 holding
        a X 09:00 -0.5 holding
        a X 09:00 2 holding
        a X 10:00 -1 holding
        """
    )


def test_transfer__under_way__is_counted_in_the_destination() -> None:
    assert told("09:00 a BUY 1 X @1 \n 10:00 a TRANSFER_OUT 1 X #h \n 12:00 b TRANSFER_IN 1 X #h") == table(
        """
        a X 09:00 1 holding
        a X 10:00 -1 holding
        b X 10:00 1 transit
        b X 12:00 1 holding
        b X 12:00 -1 transit
        """
    )


def test_transfer__in_before_its_out__counts_from_the_out() -> None:
    assert told("09:00 a BUY 1 X @1 \n 10:00 b TRANSFER_IN 1 X #h \n 12:00 a TRANSFER_OUT 1 X #h") == table(
        """
        a X 09:00 1 holding
        a X 12:00 -1 holding
        b X 12:00 1 holding
        """
    )


def test_transfer__within_one_account__never_changes_what_is_owned() -> None:
    text = "09:00 a BUY 5 X @1 \n 10:00 a TRANSFER_OUT 1 X #h \n 11:00 a TRANSFER_IN 1 X #h"
    early = "09:00 a BUY 5 X @1 \n 10:00 a TRANSFER_IN 1 X #h \n 11:00 a TRANSFER_OUT 1 X #h"
    for rows in (trades(text), trades(early)):
        for hour in range(9, 13):
            assert owned(steps(rows), DAY + hour * HOUR_US)["a", "X"] == 5 * UNIT


def test_unmatched__is_told_from_the_outs_time_and_from_arrival() -> None:
    text = "09:00 a BUY 3 X @1 \n 10:00 a TRANSFER_OUT 2 X \n 11:00 b TRANSFER_IN 1 X ~e"
    assert [line for line in told(text) if line.endswith("unmatched")] == table(
        """
        a X 10:00 2 unmatched
        b X 11:00 1 unmatched
        """
    )


def test_deficit__is_told_at_the_event() -> None:
    assert "a X 10:00 2 deficit" in told("09:00 a BUY 1 X @1 \n 10:00 a SELL 3 X @1")


@pytest.mark.parametrize(
    ("cash_mode", "usd"),
    [
        ("external", "a USD 09:00 -1 holding"),
        ("account", "a USD 09:00 -20 holding \n a USD 09:00 -1 holding \n a USD 10:00 10 holding"),
    ],
)
def test_cash__trades_move_it_only_while_it_is_in_the_account(cash_mode: str, usd: str) -> None:
    lines = told("09:00 a BUY 2 X @10 fee 1 USD \n 10:00 a SELL 1 X @10", cash_mode)
    assert [line for line in lines if "USD" in line] == table(usd)


def owned(found: list[dict[str, object]], ts: int, *series: str) -> Amounts:
    amounts: Amounts = Counter()
    for step in found:
        delta, at = step["delta"], step["ts"]
        assert isinstance(delta, Decimal)
        assert isinstance(at, int)
        if at <= ts and step["series"] in (series or ("holding", "transit")):
            amounts[str(step["account"]), str(step["asset"])] += int(delta.scaleb(18))
    return amounts


def lots_owned(outcome: LotsOutcome, rows: list[Tx], ts: int) -> Amounts:
    """Open lots, and those on their way to an account, counted there."""
    amounts: Amounts = Counter()
    for record in outcome.open_lots_frame().to_dicts():
        amounts[record["account"], record["asset"]] += int(record["quantity"].scaleb(18))
    links = link(frame(rows))
    ordered = [rows[index] for index in links.order]
    for piece in links.drawn:
        if ordered[piece.out].ts <= ts < links.arrival[piece.into]:
            into = ordered[piece.into]
            amounts[into.account, into.asset] += piece.quantity
    return amounts


@settings(max_examples=examples(150), deadline=None)
@given(ledgers(), st.sampled_from(sorted(METHODS)), st.integers(0, 3))
def test_holding_transit_and_deficit__are_the_lots(rows: list[Tx], method: str, hour: int) -> None:
    ts = DAY + hour * HOUR_US
    ledger = frame(rows)
    lots = lots_owned(run(ledger, link(ledger), method, CASH, {}, ts), rows, ts)
    counted = owned(steps(rows), ts, "holding", "transit", "deficit")
    for account, asset in set(lots) | set(counted):
        if asset not in CASH:
            assert counted[account, asset] == lots[account, asset]


@settings(max_examples=examples(150), deadline=None)
@given(ledgers(), st.integers(0, 3))
def test_matched_pieces__change_nothing_over_all_accounts(rows: list[Tx], hour: int) -> None:
    ts = DAY + hour * HOUR_US
    found = owned(steps(rows), ts)
    links = link(frame(rows))
    expected: Counter[str] = Counter()
    for place, index in enumerate(links.order):
        tx = rows[index]
        quantity = int(Decimal(tx.quantity).scaleb(18))
        if tx.action == "TRANSFER_IN":
            expected[tx.asset] += links.excess.get(place, 0) if links.arrival[place] <= ts else 0
        elif tx.ts <= ts and tx.action == "TRANSFER_OUT":
            expected[tx.asset] -= links.rest.get(place, 0)
        elif tx.ts <= ts:
            expected[tx.asset] += -quantity if tx.action in ("SELL", "FEE") else quantity
        if tx.ts <= ts and tx.action != "FEE" and tx.fee_asset and tx.fee_amount:
            expected[tx.fee_asset] -= int(Decimal(tx.fee_amount).scaleb(18))
    totals: Counter[str] = Counter()
    for (_, asset), amount in found.items():
        totals[asset] += amount
    for asset in set(totals) | set(expected):
        assert totals[asset] == expected[asset]
