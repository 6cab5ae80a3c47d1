"""Realized pieces, lots and income with the store's rows behind them, as frames.

The one place of the runtime that turns an outcome's positions into row numbers. It books and values nothing.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from engine.domain.transactions import ACTIONS, Action
from engine.portfolio.lot_paths import ARRIVAL
from engine.portfolio.lot_rows import INSUFFICIENT_LOTS
from engine.portfolio.lots_outcome import PLACE_BITS, LotsOutcome, MovingLot
from engine.runtime.books import Books


def realized_pieces(books: Books, outcome: LotsOutcome) -> pl.DataFrame:
    """The realized frame and: kind (action of the disposal; FEE for a row's own fee), disposal_row,
    lot_row (null where nothing acquired the lot), arrival (number, 0: where it was acquired), disposal_tx,
    acquisition_tx (ids), at_basis.

    at_basis: a fee whose value is not known, so that the books take it at the basis of its lots.
    """
    events = np.array([piece[0] for piece in outcome.realized], dtype=np.int64)
    masks = [piece[5] for piece in outcome.realized]
    positions = np.where(events < 0, ~events, events)
    kinds = np.where(events < 0, int(Action.FEE), outcome.rows.frame["action"].to_numpy()[positions])
    frame = outcome.realized_frame().with_columns(
        kind=_names(kinds),
        disposal_row=_rows(outcome, positions),
        lot_row=_lot_rows(outcome, [piece[1] for piece in outcome.realized], masks),
        at_basis=_fees_at_basis(books, outcome, events),
        arrival=_arrivals([piece[1] for piece in outcome.realized]),
    )
    return _with_ids(books, frame, {"disposal_row": "disposal_tx", "lot_row": "acquisition_tx"})


def _fees_at_basis(books: Books, outcome: LotsOutcome, events: np.ndarray) -> pl.Series:
    """Whether each event is a fee that has no value of its own: no price, or in a third asset."""
    rows = outcome.rows.frame
    unpriced = rows["price"].is_null().to_numpy()
    third = (rows["fee_asset"] != rows["asset"]).fill_null(False).to_numpy()
    given = unpriced & (rows["action"] == int(Action.FEE)).to_numpy()
    for position, settlement in books.links.settlements.items():
        given[position] = settlement.kind == "fee" and settlement.value is None
    made = unpriced | third
    return pl.Series(np.where(events < 0, made[~events], given[events]), dtype=pl.Boolean)


def open_lots(books: Books, outcome: LotsOutcome) -> pl.DataFrame:
    """Open lots, then lots in transit: the open lots' frame and left_at, status, lot_row, arrival,
    acquisition_tx, out_row (of lots in transit).
    """
    held = outcome.open_lots_frame().with_columns(
        left_at=pl.lit(None, pl.Int64),
        status=pl.lit("open"),
        lot_row=_lot_rows(outcome, [lot[1] for lot in outcome.open], [lot[4] for lot in outcome.open]),
        out_row=pl.lit(None, pl.Int64),
        arrival=_arrivals([lot[1] for lot in outcome.open]),
    )
    moving = _left(outcome.in_transit_frame(), outcome.in_transit, "in_transit", outcome)
    return _with_ids(books, pl.concat([held, moving.select(held.columns)]), {"lot_row": "acquisition_tx"})


def settled_lots(books: Books, outcome: LotsOutcome) -> pl.DataFrame:
    """Lots that left for good without a gain, as an operator said; as lots in transit."""
    gone = _left(outcome.settled_frame(), outcome.settled, "settled", outcome)
    return _with_ids(books, gone.drop("row"), {"lot_row": "acquisition_tx"})


def _left(frame: pl.DataFrame, lots: Sequence[MovingLot], status: str, outcome: LotsOutcome) -> pl.DataFrame:
    return frame.with_columns(
        status=pl.lit(status),
        lot_row=_lot_rows(outcome, [lot[1] for lot in lots], [lot[4] for lot in lots]),
        out_row=_rows(outcome, np.array([lot[0] for lot in lots], dtype=np.int64)),
        arrival=_arrivals([lot[1] for lot in lots]),
    )


def income(books: Books, outcome: LotsOutcome) -> pl.DataFrame:
    """account, asset, ts, kind, quantity, income (null: not known), tx, of rewards, airdrops and income."""
    rows = books.ledger.select("row", "action", "quantity", tx="id")
    found = outcome.income_frame().join(rows, on="row", how="left", maintain_order="left")
    cash = (pl.col("asset") == "USD") & pl.col("income").is_null()
    return found.select(
        "account", "asset", "ts", "quantity", "tx",
        income=pl.when(cash).then("quantity").otherwise("income"),
        kind=_names(found["action"].to_numpy()),
    )  # fmt: skip


def _names(actions: np.ndarray) -> pl.Series:
    return pl.Series(ACTIONS).gather(actions.astype(np.int64))


def _rows(outcome: LotsOutcome, positions: np.ndarray) -> pl.Series:
    return outcome.rows.frame["row"].gather(positions).alias("row")


def _lot_rows(outcome: LotsOutcome, places: Sequence[int], masks: Sequence[int]) -> pl.Series:
    """Row numbers of what acquired the lots; null for what was never held."""
    positions = np.maximum(np.array(places, dtype=np.int64) >> PLACE_BITS, 0)
    missing = (np.array(masks, dtype=np.int64) & INSUFFICIENT_LOTS) != 0
    found = pl.DataFrame({"row": _rows(outcome, positions), "missing": pl.Series(missing)})
    return found.select(pl.when(~pl.col("missing")).then("row")).to_series()


def _arrivals(places: Sequence[int]) -> pl.Series:
    return pl.Series(np.maximum(np.array(places, dtype=np.int64), 0) & ARRIVAL)


def _with_ids(books: Books, frame: pl.DataFrame, columns: dict[str, str]) -> pl.DataFrame:
    """The frame with the ids of the rows in some columns."""
    ids = books.ledger.select("row", "id")
    for row, name in columns.items():
        frame = frame.join(ids.rename({"id": name}), left_on=row, right_on="row", how="left",
                           maintain_order="left")  # fmt: skip
    return frame
