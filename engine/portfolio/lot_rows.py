"""A ledger as the lots engine reads it: plain lists by position, slots as integers, fees told apart.

Owns: turning a frame into integers once, exactly, and what a fee is worth where its row alone decides.
Never: lots. A slot is one (account, asset): account code x number of assets + asset code; codes follow the
sorted names, so slots sort like (account, asset).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl

from engine.domain.transactions import Action
from engine.portfolio.ledger_order import Positions, moment_keys

ZERO_PRICE, NO_BASIS, FEE_UNVALUED, FEE_AT_BASIS, INSUFFICIENT_LOTS, UNMATCHED_TRANSFER = (
    1 << bit for bit in range(6)
)
FLAG_NAMES = (
    "ZERO_PRICE", "NO_BASIS", "FEE_UNVALUED", "FEE_AT_BASIS", "INSUFFICIENT_LOTS", "UNMATCHED_TRANSFER",
)  # fmt: skip

CASH_STEP = len(Action)  # rows of cash assets: no lots, whatever the action
_COLUMNS = ("row", "ts", "action", "asset", "quantity", "price", "fee_asset", "fee_amount", "account")


class Fee(NamedTuple):
    """The FEE row made from a `fee_amount`: slot, scaled amount, and scaled USD value, None if not known.

    third: the fee is in another asset, worth the basis of its lots. lots: it is not cash, so it takes lots.
    """

    slot: int
    amount: int
    value: int | None
    third: bool
    lots: bool


@dataclass(frozen=True)
class Rows:
    """Columns by position in ledger order; quantities, prices and values scaled, instants microseconds UTC.

    values: quantity x price, 0 without a price. marks: the flags that the price alone decides.
    """

    frame: pl.DataFrame
    ts: Positions
    steps: list[int]
    slots: list[int]
    slot_codes: Positions
    quantities: list[int]
    values: list[int]
    marks: list[int]
    fees: dict[int, Fee]
    accounts: list[str]
    assets: list[str]

    def price(self, position: int) -> int:
        """Scaled unit price of a row, 0 without one."""
        scaled = self.frame["price"].slice(position, 1).to_physical().item()
        return scaled or 0

    def asset_of(self, event: int) -> int:
        """Code of the asset that an event moves; `~i` is the FEE row made from i."""
        slot = self.slots[event] if event >= 0 else self.fees[~event].slot
        return slot % len(self.assets)


def read_rows(
    ledger: pl.DataFrame,
    order: Positions,
    cash_assets: frozenset[str],
    cash_fee_usd: Mapping[int, int | None],
) -> Rows:
    """Reads a ledger in the order given; `cash_fee_usd`: row number -> value of a fee in cash but USD."""
    frame = ledger.select(_COLUMNS)
    if (order[1:] < order[:-1]).any():
        frame = frame[order]
    accounts, assets, slots, fee_slots = _slots(frame)
    cash = frame["asset"].is_in(list(cash_assets)).to_numpy()
    return Rows(
        frame=frame,
        ts=frame["ts"].to_numpy(),
        steps=np.where(cash, CASH_STEP, frame["action"].to_numpy()).tolist(),
        slots=slots.tolist(),
        slot_codes=slots,
        quantities=frame["quantity"].to_physical().to_list(),
        values=frame.select((pl.col("quantity") * pl.col("price")).fill_null(0).to_physical())
        .to_series()
        .to_list(),
        marks=_marks(frame),
        fees=_fees(frame, fee_slots, cash_assets, cash_fee_usd),
        accounts=accounts,
        assets=assets,
    )


def moments(rows: Rows) -> Positions:
    """The sort key (timestamp, rank) of every position."""
    return moment_keys(rows.frame)


def _slots(frame: pl.DataFrame) -> tuple[list[str], list[str], Positions, Positions]:
    """Names of accounts and assets, and the slots of the rows and of their fees (meaningless without one)."""
    accounts = frame["account"].unique().sort()
    assets = pl.concat([frame["asset"].unique(), frame["fee_asset"].drop_nulls().unique()]).unique().sort()
    account = _codes(frame["account"], accounts)
    own = account * len(assets) + _codes(frame["asset"], assets)
    fee = account * len(assets) + _codes(frame["fee_asset"], assets)
    return accounts.to_list(), assets.to_list(), own, fee


def _codes(column: pl.Series, names: pl.Series) -> Positions:
    codes: Positions = column.cast(pl.Enum(names)).to_physical().cast(pl.Int64).fill_null(0).to_numpy()
    return codes


def _marks(frame: pl.DataFrame) -> list[int]:
    """ZERO_PRICE of a BUY for nothing, NO_BASIS of any row without a price."""
    price, action = pl.col("price"), pl.col("action")
    free = (action == Action.BUY) & (price == 0)
    mark = pl.when(price.is_null()).then(NO_BASIS).when(free).then(ZERO_PRICE).otherwise(0)
    return frame.select(mark.alias("mark")).to_series().to_list()


def _fees(
    frame: pl.DataFrame,
    fee_slots: Positions,
    cash_assets: frozenset[str],
    cash_fee_usd: Mapping[int, int | None],
) -> dict[int, Fee]:
    """Position -> fee, for every row that makes a FEE row."""
    has_fee = ((pl.col("fee_amount") > 0) & (pl.col("action") != Action.FEE)).fill_null(False)
    positions = np.flatnonzero(frame.select(has_fee).to_series().to_numpy())
    if not len(positions):
        return {}
    part = frame[positions].select(
        "row", "asset", "fee_asset",
        pl.col("fee_amount").to_physical(),
        own=pl.when(pl.col("asset") == pl.col("fee_asset"))
        .then(pl.col("fee_amount") * pl.col("price")).to_physical(),
    )  # fmt: skip
    fees: dict[int, Fee] = {}
    columns = (part[name].to_list() for name in ("row", "asset", "fee_asset", "fee_amount", "own"))
    places = zip(positions.tolist(), fee_slots[positions].tolist(), *columns, strict=True)
    for position, slot, row, asset, fee_asset, amount, own in places:
        is_cash = fee_asset in cash_assets
        if fee_asset == "USD":
            fees[position] = Fee(slot, amount, amount, False, not is_cash)
        elif is_cash:
            fees[position] = Fee(slot, amount, cash_fee_usd.get(row), False, False)
        else:
            fees[position] = Fee(slot, amount, own, fee_asset != asset, True)
    return fees
