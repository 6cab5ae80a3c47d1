"""From a disposal to the lots it took, their fees and source rows; from a purchase to all that it became.

A lot is told by the row that acquired it, with what the row brought in whole: the quantity and basis of all
its parts, wherever they are now, so they add up to the last digit; and by the transfers that carried it from
where it was acquired to where it ended, first to last.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl

from engine.domain.money import mul, to_scaled, to_text
from engine.domain.transactions import Action
from engine.portfolio.lot_paths import follow
from engine.runtime.books import Books
from engine.runtime.bound_books import BoundBooks
from engine.runtime.desk.rows import find_tx, tx_fields, tx_rows
from engine.runtime.home import Home
from engine.runtime.lot_pieces import open_lots, realized_pieces, settled_lots
from engine.runtime.reports import as_rows, exact_sum, instant_texts, scaled_texts, sum_text, with_terms
from engine.store.reader import Reader

Document = dict[str, Any]
SOURCE_FIELDS = (
    "action", "timestamp", "account", "asset_id", "quantity", "unit_price_usd", "fee_asset", "fee_amount",
)  # fmt: skip


def lots_explain(home_path: str, _now: int, arguments: Document) -> Document:
    """`lots --explain --json`: one transaction with the lots it took and what became of those it made.

    Arguments: tx, its id or a unique beginning. UsageError if there is none, or several.
    """
    home = Home(Path(home_path))
    with Reader(home.state) as reader:
        row = find_tx(reader, arguments.get("tx"))
        sources = _Sources(reader)
        assets = {sources.of(row)["asset_id"], sources.of(row)["fee_asset"]} - {""}
        books = BoundBooks(reader, home.config(), assets)
        trace = _Trace(books, sources)
        return {"method": books.config["lot_method"], **trace.of(row)}


class _Sources:
    """Ledger rows as a trace names them: with the file and line they came from. Each is read once."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._known: dict[int, Document] = {}

    def of(self, row: int) -> Document:
        if row not in self._known:
            self.want([row])
        return self._known[row]

    def want(self, rows: Iterable[int | None]) -> None:
        """Reads many at once."""
        unknown = [row for row in set(rows) if row is not None and row not in self._known]
        files = dict(self._reader.rows("SELECT file, name FROM files")) if unknown else {}
        for tx in tx_rows(self._reader, unknown):
            fields = tx_fields(tx)
            place = {"file": files[tx["file"]], "record": tx["record"], "line": tx["line"]}
            told = {name: fields[name] for name in SOURCE_FIELDS}
            self._known[tx["row"]] = {"tx": fields["id"], **told, **place}

    def hop(self, out: int, into: int) -> Document:
        return {"out": self.of(out), "in": self.of(into)}


class _Trace:
    """A home's pieces, lots and transfers, as one transaction sees them."""

    def __init__(self, books: Books, sources: "_Sources") -> None:
        config = books.config
        outcome, self._paths = follow(
            books.ledger, books.links, config["lot_method"], books.cash_assets, books.cash_fee_usd
        )
        self._sources = sources
        self._rows = books.ledger["row"].gather(books.links.order).to_list()
        self._drawn = books.links.drawn
        self._pieces = with_terms(realized_pieces(books, outcome), books.config)
        lots = open_lots(books, outcome)
        self._lots = pl.concat([lots, settled_lots(books, outcome).select(lots.columns)])

    def of(self, row: int) -> Document:
        taken = self._pieces.filter(pl.col("disposal_row") == row)
        made = pl.col("lot_row") == row
        pieces = [(self._rows[out], self._rows[into], quantity) for out, into, quantity in self._drawn]
        transfers = [piece for piece in pieces if row in piece[:2]]
        self._sources.want([row, *(end for piece in transfers for end in piece[:2])])
        return {
            "tx": self._sources.of(row),
            "taken": self._taken(taken),
            "made": self._wholes([row]).get(row),
            "parts": self._parts(self._pieces.filter(made), self._lots.filter(made)),
            "transfers": [
                self._sources.hop(out, into) | {"quantity": to_text(quantity)}
                for out, into, quantity in transfers
            ],
        }

    def _taken(self, taken: pl.DataFrame) -> list[Document]:
        """The pieces of a disposal, each with its lot."""
        rows = taken["lot_row"].to_list()
        self._sources.want(rows)
        wholes = self._wholes(set(rows) - {None})
        told = []
        for piece, row, via in zip(_told(taken), rows, self._vias(taken), strict=True):
            lot = None if row is None else {**self._sources.of(row), **wholes[row]}
            told.append(piece | {"lot": lot, "via": via})
        return told

    def _parts(self, pieces: pl.DataFrame, lots: pl.DataFrame) -> list[Document]:
        """All that became of what a row acquired: parts open, on the way, or realized by another row."""
        self._sources.want([*pieces["disposal_row"], *lots["out_row"]])
        there = zip(_told_lots(lots), lots["out_row"].to_list(), self._vias(lots), strict=True)
        ended = zip(_told(pieces), pieces["disposal_row"].to_list(), self._vias(pieces), strict=True)
        return [
            part | {"by": None if by is None else self._sources.of(by), "via": via}
            for part, by, via in (*there, *ended)
        ]

    def _wholes(self, rows: Iterable[int]) -> dict[int, Document]:
        """What rows brought in, each the sum of all its parts."""
        wanted = pl.col("lot_row").is_in(list(rows))
        frames = [frame.filter(wanted).select("lot_row", "quantity", "basis")
                  for frame in (self._pieces, self._lots)]  # fmt: skip
        return {
            part["lot_row"][0]: self._whole(part["lot_row"][0], part)
            for part in pl.concat(frames).partition_by("lot_row")
        }

    def _whole(self, row: int, parts: pl.DataFrame) -> Document:
        """Quantity and basis of all parts, and what of the basis is a fee (null where that is not told)."""
        source = self._sources.of(row)
        quantity, basis = exact_sum(parts["quantity"]) or 0, exact_sum(parts["basis"])
        price = to_scaled(source["unit_price_usd"] or "0")
        is_transfer = source["action"] == Action.TRANSFER_IN.name
        fee = None if basis is None or is_transfer else basis - mul(quantity, price)
        return {
            "whole_quantity": to_text(quantity),
            "whole_basis_usd": sum_text(basis),
            "fee_in_basis_usd": sum_text(fee),
        }

    def _vias(self, parts: pl.DataFrame) -> list[list[Document]]:
        """The transfers that carried each part, first to last."""
        paths = [
            [(self._rows[leg.out], self._rows[leg.into]) for leg in self._paths.of(arrival)]
            for arrival in parts["arrival"].to_list()
        ]
        self._sources.want({row for path in paths for ends in path for row in ends})
        return [[self._sources.hop(*ends) for ends in path] for path in paths]


def _told(pieces: pl.DataFrame) -> list[Document]:
    columns = {
        "status": ["realized"] * pieces.height,
        "kind": pieces["kind"].to_list(),
        "account": pieces["account"].to_list(),
        "asset_id": pieces["asset"].to_list(),
        "at": instant_texts(pieces["disposed_at"]),
        "acquired_at": instant_texts(pieces["acquired_at"]),
        "quantity": scaled_texts(pieces["quantity"]),
        "proceeds_usd": scaled_texts(pieces["proceeds"]),
        "cost_basis_usd": scaled_texts(pieces["basis"]),
        "gain_usd": scaled_texts(pieces["gain"]),
        "term": pieces["term"].to_list(),
        "flags": pieces["flags"].to_list(),
    }
    return as_rows(columns)


def _told_lots(lots: pl.DataFrame) -> list[Document]:
    columns = {
        "status": lots["status"].to_list(),
        "account": lots["account"].to_list(),
        "asset_id": lots["asset"].to_list(),
        "at": instant_texts(lots["left_at"]),
        "acquired_at": instant_texts(lots["acquired_at"]),
        "quantity": scaled_texts(lots["quantity"]),
        "cost_basis_usd": scaled_texts(lots["basis"]),
        "flags": lots["flags"].to_list(),
    }
    return as_rows(columns)
