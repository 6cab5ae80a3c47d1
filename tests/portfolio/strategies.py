"""Ledgers made by chance: few accounts, assets, instants and keys, so that ties and rings are common."""

from dataclasses import replace

from hypothesis import strategies as st

from engine.domain.instants import HOUR_US
from engine.portfolio.transfers import IN_KINDS, OUT_KINDS, Settlement
from tests.portfolio.ledgers import DAY, Tx, numbered

QUANTITIES = ("1", "2", "3", "0.7", "10", "0.000000000000000003", "3.333333333333333333")
PRICES = (None, "0", "10", "3", "0.333333333333333333", "7.000000000000000001")
TRANSFERS = ("TRANSFER_IN", "TRANSFER_OUT")
OTHERS = ("BUY", "BUY", "SELL", "FEE", "STAKING_REWARD", "INCOME")


@st.composite
def _tx(draw: st.DrawFn) -> Tx:
    action = draw(st.sampled_from(TRANSFERS * 2 + OTHERS))
    price = draw(st.sampled_from(PRICES[1:] if action in ("BUY", "SELL") else PRICES))
    fee_asset = draw(st.sampled_from((None, None, "USD", "EUR", "X", "Y")))
    moved = action in TRANSFERS
    return Tx(
        ts=DAY + draw(st.integers(0, 3)) * HOUR_US,
        account=draw(st.sampled_from("abc")),
        action=action,
        quantity=draw(st.sampled_from(QUANTITIES)),
        asset=draw(st.sampled_from(("X", "X", "Y", "EUR"))),
        price=price,
        fee_asset=fee_asset,
        fee_amount=draw(st.sampled_from(("0", "1", "0.1", "2.5"))) if fee_asset else None,
        tx_hash=draw(st.sampled_from((None, "h1", "h2"))) if moved else None,
        external_id=draw(st.sampled_from((None, "e1", "e2"))) if moved else None,
        id_given=draw(st.booleans()),
    )


@st.composite
def ledgers(draw: st.DrawFn, max_size: int = 14) -> list[Tx]:
    return numbered(draw(st.lists(_tx(), min_size=1, max_size=max_size)))


@st.composite
def moves_at_one_instant(draw: st.DrawFn) -> list[Tx]:
    """Something bought, then transfers only, all at one moment and well linked."""
    bought = [Tx(DAY, account, "BUY", "5", asset, "10") for account in "abc" for asset in "XY"]
    rows = draw(st.lists(st.sampled_from(bought), max_size=4))
    for number in range(draw(st.integers(1, 6))):
        source, target = draw(st.permutations("abcd"))[:2]
        quantity = draw(st.sampled_from(("1", "5", "7")))
        fee = draw(st.sampled_from((None, None, "X", "Y")))
        out = Tx(DAY + HOUR_US, source, "TRANSFER_OUT", quantity, draw(st.sampled_from("XY")))
        out = replace(out, fee_asset=fee, fee_amount="0.5" if fee else None, tx_hash=f"h{number % 4}")
        rows += [out, replace(out, account=target, action="TRANSFER_IN", fee_asset=None, fee_amount=None)]
    return numbered(rows)


@st.composite
def cash_values(draw: st.DrawFn, rows: list[Tx]) -> dict[int, int | None]:
    """What the reference rate makes of fees in EUR; some are not known."""
    fees = [tx.row for tx in rows if tx.fee_asset == "EUR"]
    return {row: draw(st.sampled_from((None, 10**18, 123456789))) for row in fees}


@st.composite
def settled_rows(draw: st.DrawFn, rows: list[Tx]) -> dict[int, Settlement]:
    """What an operator says of some transfers; now and then of the wrong side, which says nothing."""
    settlements = {}
    for tx in rows:
        if tx.action in TRANSFERS and draw(st.booleans()):
            kind = draw(st.sampled_from(OUT_KINDS + IN_KINDS))
            value = draw(st.sampled_from((0, 1, 10**18, 123456789012345678901)))
            given = kind == "payment" or draw(st.booleans())
            of = draw(st.sampled_from((None, 10**18, 7 * 10**17)))
            settlements[tx.row] = Settlement(kind, value if given else None, of)
    return settlements
