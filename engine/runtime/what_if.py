"""A sale that is only imagined, under each lot method side by side: what it would take, gain and leave.

The ledger with one more SELL row is booked by each method, from the first row up to the sale, so a column
tells the home as it would be had that method always been in force. Nothing is stored.
"""

from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from engine.config import LOT_METHODS, Config
from engine.domain.instants import format_instant
from engine.domain.money import SCALE, is_plain, mul, to_scaled, to_text
from engine.domain.transactions import Action, KeyKind
from engine.errors import UsageError
from engine.portfolio.lots_outcome import decimals
from engine.runtime.asking import instant
from engine.runtime.books import LOTS_CURRENCY, Books
from engine.runtime.bound_books import BoundBooks
from engine.runtime.home import Home
from engine.runtime.known_names import require_known
from engine.runtime.lot_pieces import open_lots, realized_pieces
from engine.runtime.reports import (
    as_rows,
    exact_sum,
    instant_texts,
    scaled_texts,
    sum_text,
    sums_of_gains,
    with_terms,
)
from engine.store.reader import Reader

Document = dict[str, Any]
IMAGINED = -1  # row number: the store's own begin at 1
VALUE_LIMIT = 10**19 * SCALE  # quantity x price stays below it, as in files


class _Imagined(BoundBooks):
    """Books of the assets that a sale can touch, with the sale among their rows."""

    def __init__(self, reader: Reader, config: Config, sale: dict[str, Any]) -> None:
        super().__init__(reader, config, [sale["asset"]])
        self._sale = sale

    @cached_property
    def ledger(self) -> pl.DataFrame:
        real = self.real_rows()
        amounts = {name: decimals([self._sale[name]]) for name in ("quantity", "price")}
        row = {name: pl.Series([self._sale.get(name)], dtype=kind) for name, kind in real.schema.items()
               if name not in amounts}  # fmt: skip
        return pl.concat([real, pl.DataFrame(row | amounts).select(real.columns)])


def what_if(home_path: str, now: int, arguments: Document) -> Document:
    """`what-if --json`: the sale, and for each method the lots taken, sums and what is left.

    Arguments: asset, account, quantity, price (texts), at (text, else now). UsageError if they make no sense.
    """
    home = Home(Path(home_path))
    config = home.config()
    sale = _sale(arguments, instant(arguments, "at"), now, config)
    with Reader(home.state) as reader:
        require_known(reader, {name: str(sale[name]) for name in ("asset", "account")})
        books = _Imagined(reader, config, sale)
        columns = [_under(method, books, sale) for method in LOT_METHODS]
    return {
        "account": sale["account"],
        "asset_id": sale["asset"],
        "quantity": to_text(sale["quantity"]),
        "price_usd": to_text(sale["price"]),
        "at": format_instant(sale["ts"]),
        "currency": LOTS_CURRENCY,
        "method": config["lot_method"],
        "holding": config["tax.holding"],
        "methods": columns,
    }


def _sale(arguments: Document, at: int | None, now: int, config: Config) -> dict[str, Any]:
    """The imagined SELL as a ledger row. UsageError for one that no file could bring."""
    amounts: dict[str, int] = {}
    for name in ("quantity", "price"):
        told = arguments.get(name)
        if not isinstance(told, str) or not is_plain(told) or to_scaled(told) < 0:
            raise UsageError(f"The {name} {told!r:.80} is no plain decimal.", "Write it like 1250.50.")
        amounts[name] = to_scaled(told)
    if not amounts["quantity"] or mul(amounts["quantity"], amounts["price"]) >= VALUE_LIMIT:
        raise UsageError("Nobody can sell that much.", "The quantity is above 0, the proceeds below 10^19.")
    asset, account = arguments.get("asset"), arguments.get("account")
    if asset in config["cash_assets"]:
        raise UsageError(f"{asset} is cash: it has no lots.", "Name an asset that has lots.")
    ts = now if at is None else at
    return amounts | {
        "row": IMAGINED, "ts": ts, "action": int(Action.SELL), "asset": asset, "account": account, "id": "",
        "kind": int(KeyKind.CONTENT), "k": 1,
    }  # fmt: skip


def _under(method: str, books: Books, sale: dict[str, Any]) -> Document:
    """What the sale comes to under a method."""
    outcome = books.outcome(method, sale["ts"])
    pieces = realized_pieces(books, outcome).filter(pl.col("disposal_row") == IMAGINED)
    pieces = with_terms(pieces, books.config)
    missing = pieces.filter(pl.col("flags").list.contains("INSUFFICIENT_LOTS"))["quantity"]
    left = open_lots(books, outcome).filter(
        (pl.col("status") == "open")
        & (pl.col("account") == sale["account"])
        & (pl.col("asset") == sale["asset"])
    )
    return {
        "method": method,
        **sums_of_gains(pieces),
        "insufficient": sum_text(exact_sum(missing)),
        "lots": _taken(pieces),
        "left": {
            "lots": left.height,
            "quantity": sum_text(exact_sum(left["quantity"])),
            "cost_basis_usd": sum_text(exact_sum(left["basis"])),
        },
    }


def _taken(pieces: pl.DataFrame) -> list[Document]:
    return as_rows(
        {
            "acquired_at": instant_texts(pieces["acquired_at"]),
            "quantity": scaled_texts(pieces["quantity"]),
            "proceeds_usd": scaled_texts(pieces["proceeds"]),
            "cost_basis_usd": scaled_texts(pieces["basis"]),
            "gain_usd": scaled_texts(pieces["gain"]),
            "term": pieces["term"].to_list(),
            "flags": pieces["flags"].to_list(),
            "acquisition_tx": pieces["acquisition_tx"].to_list(),
        }
    )
