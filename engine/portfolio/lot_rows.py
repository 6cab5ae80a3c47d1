"""A ledger as the lots engine reads it: slots as integers, plain lists by position, fees told apart.

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

(
    ZERO_PRICE, NO_BASIS, FEE_UNVALUED, FEE_AT_BASIS, INSUFFICIENT_LOTS, UNMATCHED_TRANSFER,
    VALUE_OUT_OF_RANGE,
) = (1 << bit for bit in range(7))  # fmt: skip
FLAG_NAMES = (
    "ZERO_PRICE", "NO_BASIS", "FEE_UNVALUED", "FEE_AT_BASIS", "INSUFFICIENT_LOTS", "UNMATCHED_TRANSFER",
    "VALUE_OUT_OF_RANGE",
)  # fmt: skip

PLACE_BITS = 32  # more lots than one run can make
_COLUMNS = ("row", "ts", "action", "asset", "quantity", "price", "fee_asset", "fee_amount", "account")


# What booking a row means. The first two are by far the most, and need nothing but their own row; NOTHING is
# for cash, which has a balance and no lots.
(
    ACQUIRE, DISPOSE, ACQUIRE_WITH_THIRD_FEE, SELL_WITH_THIRD_FEE, PAY_AT_BASIS, DEPART, ARRIVE, NOTHING,
) = range(8)  # fmt: skip
_STEPS = np.array([ACQUIRE, DISPOSE, ARRIVE, DEPART, DISPOSE, ACQUIRE, ACQUIRE, ACQUIRE])  # by action
_TRANSFERS = [int(Action.TRANSFER_IN), int(Action.TRANSFER_OUT)]


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
    """The ordered ledger as arrays by position; instants microseconds UTC.

    frame: the columns that lots are made of. fee_codes: slots of the fees, meaningless without one.
    """

    frame: pl.DataFrame
    ts: Positions
    slot_codes: Positions
    fee_codes: Positions
    accounts: list[str]
    assets: list[str]

    def price(self, position: int) -> int:
        """Scaled unit price of a row, 0 without one."""
        scaled = self.frame["price"].slice(position, 1).to_physical().item()
        return scaled or 0


@dataclass(frozen=True)
class Entries:
    """The rows as plain lists in the order of a walk; quantities and values scaled.

    names: what each is called in what comes out. values: what an acquisition costs or a disposal brings, fees
    but third-asset ones counted; of a transfer quantity x price. marks: the flags that the row alone decides.
    places: place of a lot that the row acquires. fees: of the rows whose fee takes lots, and of INs.
    """

    names: list[int]
    steps: list[int]
    slots: list[int]
    quantities: list[int]
    values: list[int]
    marks: list[int]
    places: list[int]
    fees: dict[int, Fee]


def read_rows(ledger: pl.DataFrame, order: Positions) -> Rows:
    """Reads a ledger in the order given."""
    frame = ledger.select(_COLUMNS)
    if (order[1:] < order[:-1]).any():
        frame = frame[order]
    accounts, assets, slots, fee_slots = _slots(frame)
    return Rows(frame, frame["ts"].to_numpy(), slots, fee_slots, accounts, assets)


def read_entries(
    rows: Rows,
    cash_assets: frozenset[str],
    cash_fee_usd: Mapping[int, int | None],
    ranks: Positions,
    walk: Positions,
) -> Entries:
    """Reads the rows at the positions `walk`, which are their names, as entries.

    cash_fee_usd: row number -> value of a fee in cash but USD. ranks: by position, the place of each row
    among those whose lots can meet.
    """
    read = _read(rows.frame, cash_assets)
    listed = read.select("quantity", "net", "mark")[walk]
    values: list[int] = listed["net"].to_list()
    marks: list[int] = listed["mark"].to_list()
    _add_foreign_fees(read, walk, cash_fee_usd, values, marks)
    return Entries(
        names=walk.tolist(),
        steps=_steps(read)[walk].tolist(),
        slots=rows.slot_codes[walk].tolist(),
        quantities=listed["quantity"].to_list(),
        values=values,
        marks=marks,
        places=(ranks[walk] << PLACE_BITS).tolist(),
        fees=_fees(read, walk, rows.fee_codes, cash_fee_usd),
    )


def moments(rows: Rows) -> Positions:
    """The sort key (timestamp, rank) of every position."""
    return moment_keys(rows.frame)


def lot_fees(rows: Rows, cash_assets: frozenset[str]) -> tuple[Positions, dict[int, int]]:
    """Positions of the rows with a fee in their own asset; and position -> slot of a fee in a third asset."""
    in_lots = _pays() & ~_in(cash_assets, "fee_asset")
    found = rows.frame.select((in_lots & _own()).alias("own"), (in_lots & ~_own()).alias("third"))
    third = np.flatnonzero(found["third"].to_numpy())
    slots = rows.fee_codes[third].tolist()
    return np.flatnonzero(found["own"].to_numpy()), dict(zip(third.tolist(), slots, strict=True))


def _pays() -> pl.Expr:
    """Whether a row makes a FEE row; a FEE given as a row ignores a fee of its own."""
    return ((pl.col("fee_amount") > 0) & (pl.col("action") != Action.FEE)).fill_null(False)


def _own() -> pl.Expr:
    return (pl.col("fee_asset") == pl.col("asset")).fill_null(False)


def _in(cash_assets: frozenset[str], column: str) -> pl.Expr:
    return pl.col(column).is_in(sorted(cash_assets)).fill_null(False)


def _read(frame: pl.DataFrame, cash_assets: frozenset[str]) -> pl.DataFrame:
    """Of every row its scaled values (fee: null where unknown), its marks, and of which kind it is."""
    price, action, pays, own, fee = (pl.col(name) for name in ("price", "action", "pays", "own", "fee"))
    in_cash, usd = pl.col("fee_in_cash"), pl.col("fee_asset") == "USD"
    sells, known = action == Action.SELL, fee.fill_null(0)
    trades = (action != Action.TRANSFER_IN) & (action != Action.TRANSFER_OUT)
    free = (action == Action.BUY) & (price == 0)
    mark = (
        pl.when(sells | (action == Action.FEE)).then(0).when(price.is_null()).then(NO_BASIS)
        .when(free).then(ZERO_PRICE).otherwise(0)
    )  # fmt: skip
    unvalued = pays & own & ~in_cash & price.is_null() & trades
    gross = pl.col("gross")
    # In steps: what several ask for is reckoned once.
    facts = frame.with_columns(
        pays=_pays(), own=_own(), fee_in_cash=_in(cash_assets, "fee_asset"),
        gross=(pl.col("quantity") * price).fill_null(0),
    )  # fmt: skip
    in_kind = pl.when(pays & own & ~in_cash).then(pl.col("fee_amount") * price)
    facts = facts.with_columns(fee=pl.when(pays & usd).then("fee_amount").otherwise(in_kind))
    return facts.select(
        pl.col("row"),
        action,
        pl.col("quantity").to_physical(),
        pl.col("fee_amount").to_physical(),
        fee.to_physical(),
        pl.when(sells).then(gross - known).when(trades).then(gross + known).otherwise(gross).to_physical()
        .alias("net"),
        (mark + pl.when(unvalued).then(FEE_UNVALUED).otherwise(0)).alias("mark"),
        _in(cash_assets, "asset").alias("cash"),
        (pays & in_cash & ~usd).alias("foreign"),
        (pays & ~in_cash).alias("in_lots"),
        (pays & ~in_cash & ~own).alias("third"),
        (pays & (action == Action.TRANSFER_IN)).alias("arriving"),
        price.is_null().alias("unpriced"),
    )  # fmt: skip


def _steps(read: pl.DataFrame) -> Positions:
    actions = read["action"].to_numpy()
    steps: Positions = _STEPS[actions]
    third = read["third"].to_numpy()
    steps[third & (steps == ACQUIRE)] = ACQUIRE_WITH_THIRD_FEE
    steps[third & (actions == Action.SELL)] = SELL_WITH_THIRD_FEE
    steps[(actions == Action.FEE) & read["unpriced"].to_numpy()] = PAY_AT_BASIS
    steps[read["cash"].to_numpy()] = NOTHING
    return steps


def _add_foreign_fees(
    read: pl.DataFrame,
    walk: Positions,
    cash_fee_usd: Mapping[int, int | None],
    values: list[int],
    marks: list[int],
) -> None:
    """Fees in cash other than USD, as far as their value is known, added to the lists."""
    moves = read["action"].is_in(_TRANSFERS)
    found = np.flatnonzero((read["foreign"] & ~moves).to_numpy()[walk])
    part = read.select("row", sells=pl.col("action") == Action.SELL)[walk[found]]
    for place, row, sells in zip(found.tolist(), part["row"].to_list(), part["sells"].to_list(), strict=True):
        value = cash_fee_usd.get(row)
        if value is None:
            marks[place] |= FEE_UNVALUED
        else:
            values[place] += -value if sells else value


def _fees(
    read: pl.DataFrame, walk: Positions, slots: Positions, cash_fee_usd: Mapping[int, int | None]
) -> dict[int, Fee]:
    """Place in the walk -> fee, of the rows whose fee takes lots and of INs, whose excess takes a part."""
    found = np.flatnonzero((read["in_lots"] | read["arriving"]).to_numpy()[walk])
    positions = walk[found]
    names = ("fee_amount", "fee", "third", "in_lots", "foreign", "row")
    part = read.select(names)[positions]
    columns = (part[name].to_list() for name in names)
    return {
        place: Fee(slot, amount, cash_fee_usd.get(row) if foreign else value, third, in_lots)
        for place, slot, amount, value, third, in_lots, foreign, row in zip(
            found.tolist(), slots[positions].tolist(), *columns, strict=True
        )
    }


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
