"""Step changes of what each account owns, for valuation (CONTRACT §4, §8).

Owns: when a row counts, what is under way and to whom it belongs, what is missing, what is unmatched.
Never: prices, buckets, lots. Four series:

- holding: every row from its timestamp, signed; a matched IN from its arrival; FEE rows made from fees.
- transit: what has left and not yet arrived, counted in the account that it is bound for.
- deficit: what was sold, paid or moved beyond what was held, so that holding + transit + deficit = lots.
- unmatched: the part of OUTs and INs without a counterpart that nobody settled, always positive.

The law: over all accounts of an asset, holding + transit changes only with rows that are no transfers, with
the unmatched rest of an OUT and with the unmatched excess of an IN; a matched piece changes nothing.
"""

from collections.abc import Iterable

import numpy as np
import polars as pl

from engine.domain.transactions import DECIMAL, OUTGOING, Action
from engine.portfolio.ledger_order import Positions
from engine.portfolio.lots_outcome import decimals
from engine.portfolio.transfers import Links, Piece

SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "account": pl.String,
    "asset": pl.String,
    "ts": pl.Int64,
    "delta": DECIMAL,
    "series": pl.String,
}
_ORDER = ("account", "asset", "ts", "series", "delta")


def one_of_each(assets: Iterable[str], since: int) -> pl.DataFrame:
    """Movements by which nobody holds one of each of these, so that each is priced from an instant on."""
    held = {"account": "", "asset": sorted(set(assets)), "ts": since, "delta": 1, "series": "holding"}
    return pl.DataFrame(held, schema=SCHEMA)


def movements(
    ledger: pl.DataFrame, links: Links, deficits: pl.DataFrame, cash_mode: str, cash_assets: frozenset[str]
) -> pl.DataFrame:
    """account, asset, ts (us), delta (signed), series, sorted; several steps may share an instant.

    deficits: account, asset, ts, quantity. cash_mode: "external", or "account" where a BUY or SELL also
    moves its quantity x price of USD; fees in cash move the balance in both.
    """
    ordered = ledger[links.order]
    parts = [
        _rows(ordered, links),
        _late_cancellations(ordered, links),
        _transit(ordered, links),
        _deficits(deficits, cash_assets),
        _unmatched(ordered, links),
    ]
    parts = [part.select(list(SCHEMA)) for part in parts]
    return pl.concat([*parts, beside(ordered, cash_mode)]).sort(_ORDER)


def beside(ledger: pl.DataFrame, cash_mode: str) -> pl.DataFrame:
    """What rows move beside their own quantity, linked or not: fees, and the money of trades."""
    parts = [_made_fees(ledger)]
    if cash_mode == "account":
        parts.append(_money_of_trades(ledger))
    return pl.concat([part.select(list(SCHEMA)) for part in parts])


def _rows(ordered: pl.DataFrame, links: Links) -> pl.DataFrame:
    counted_from = ordered["ts"].to_numpy().copy()
    if links.arrival:
        counted_from[list(links.arrival)] = list(links.arrival.values())
    outgoing = pl.col("action").is_in([int(action) for action in OUTGOING])
    return ordered.select(
        "account",
        "asset",
        pl.Series("ts", counted_from, dtype=pl.Int64),
        delta=pl.when(outgoing).then(-pl.col("quantity")).otherwise("quantity").cast(DECIMAL),
        series=pl.lit("holding"),
    )


def _made_fees(ordered: pl.DataFrame) -> pl.DataFrame:
    """A FEE given as a row ignores a fee of its own."""
    paid = ordered.filter((pl.col("fee_amount") > 0) & (pl.col("action") != Action.FEE))
    return paid.select(
        "account",
        pl.col("fee_asset").alias("asset"),
        "ts",
        delta=(-pl.col("fee_amount")).cast(DECIMAL),
        series=pl.lit("holding"),
    )


def _money_of_trades(ordered: pl.DataFrame) -> pl.DataFrame:
    value = pl.col("quantity") * pl.col("price")
    trades = ordered.filter(pl.col("action").is_in([int(Action.BUY), int(Action.SELL)]))
    return trades.select(
        "account",
        pl.lit("USD").alias("asset"),
        "ts",
        delta=pl.when(pl.col("action") == Action.BUY).then(-value).otherwise(value).cast(DECIMAL),
        series=pl.lit("holding"),
    )


def _late_cancellations(ordered: pl.DataFrame, links: Links) -> pl.DataFrame:
    """An IN that came before the OUT of its own account counts, in that part, from the OUT's time."""
    ts = ordered["ts"].to_numpy()
    late = [piece for piece in links.cancelled if ts[piece.out] > links.arrival[piece.into]]
    arrived = np.array([links.arrival[piece.into] for piece in late], dtype=np.int64)
    return _between(ordered, late, ts[_outs(late)], arrived, "holding")


def _transit(ordered: pl.DataFrame, links: Links) -> pl.DataFrame:
    """Every piece from its OUT's time to the arrival of its IN, in the account of the IN."""
    ts = ordered["ts"].to_numpy()
    moving = [piece for piece in links.drawn + links.cancelled if links.arrival[piece.into] > ts[piece.out]]
    arrives = np.array([links.arrival[piece.into] for piece in moving], dtype=np.int64)
    return _between(ordered, moving, ts[_outs(moving)], arrives, "transit")


def _between(
    ordered: pl.DataFrame, pieces: list[Piece], enters: Positions, leaves: Positions, series: str
) -> pl.DataFrame:
    """+quantity in the account of the IN at `enters`, -quantity at `leaves`."""
    into = np.array([piece.into for piece in pieces], dtype=np.int64)
    steps = ordered.select("account", "asset")[into].with_columns(
        pl.Series("enters", enters, dtype=pl.Int64),
        pl.Series("leaves", leaves, dtype=pl.Int64),
        decimals(piece.quantity for piece in pieces).alias("quantity"),
        series=pl.lit(series),
    )
    entering = steps.with_columns(ts="enters", delta="quantity")
    leaving = steps.with_columns(ts="leaves", delta=(-pl.col("quantity")).cast(DECIMAL))
    return pl.concat([entering, leaving])


def _outs(pieces: list[Piece]) -> Positions:
    return np.array([piece.out for piece in pieces], dtype=np.int64)


def _deficits(deficits: pl.DataFrame, cash_assets: frozenset[str]) -> pl.DataFrame:
    """Cash may be overdrawn: that is a negative balance, not a deficit of lots."""
    lots = deficits.filter(~pl.col("asset").is_in(list(cash_assets)))
    return lots.select("account", "asset", "ts", pl.col("quantity").alias("delta"), series=pl.lit("deficit"))


def _unmatched(ordered: pl.DataFrame, links: Links) -> pl.DataFrame:
    loose = links.rest | links.excess
    unmatched = {position: left for position, left in loose.items() if position not in links.settlements}
    positions = np.array(list(unmatched), dtype=np.int64)
    known_from = ordered["ts"].to_numpy()[positions]
    arrivals = [links.arrival.get(p, int(ts)) for p, ts in zip(unmatched, known_from, strict=True)]
    return ordered.select("account", "asset")[positions].with_columns(
        pl.Series("ts", arrivals, dtype=pl.Int64),
        decimals(unmatched.values()).alias("delta"),
        series=pl.lit("unmatched"),
    )
