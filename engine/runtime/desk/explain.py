"""Where a transaction came from, what was decided on it, and what became of it in lots and gains."""

from pathlib import Path
from typing import Any

from engine.domain.instants import format_instant
from engine.domain.money import to_scaled, to_text
from engine.domain.transactions import OUTGOING, Action, id_text
from engine.portfolio.lots_outcome import LotsOutcome
from engine.runtime.books import told_lots
from engine.runtime.desk.queries import raw_text
from engine.runtime.desk.rows import find_tx, history, subject_of, tx_fields, tx_ids, tx_rows
from engine.runtime.home import Home
from engine.runtime.kept_books import open_books
from engine.store.reader import Reader

Tx = dict[str, Any]
_FILE = "SELECT name, sha256, committed_at, trace_id FROM files WHERE file = ?"


def explain(home_path: str, _now: int, arguments: dict[str, Any]) -> dict[str, Any]:
    """Everything about one transaction, named by its id or a unique beginning of it.

    Quantities are signed as the ledger has them. Lots and gains are those of the home's lot method; a row
    that does not count has none. UsageError if there is no such transaction.
    """
    home = Home(Path(home_path))
    with Reader(home.state) as reader:
        row = find_tx(reader, arguments.get("tx"))
        (tx,) = tx_rows(reader, [row])
        (file,) = reader.records(_FILE, (tx["file"],))
        outcome = open_books(home, reader).outcome().of_row(row)
        return {
            "tx": _fields(tx),
            "file": _source(tx, file),
            "raw": raw_text(home, file["sha256"], tx["record"]),
            "versions": _versions(reader, row),
            "superseded_by": _replacement(reader, tx),
            "taken_back": (tx["superseded_by"] or 0) < 0,
            "decisions": history(reader, subject_of(file["sha256"], tx["record"])),
            "fee_row": _fee_row(tx),
            "duplicates_known": reader.count("id_aliases", f"row = {row}"),
            "lots": _lots(outcome, row),
            "gains": _gains(outcome, row),
        }


def _fields(tx: Tx) -> dict[str, str]:
    fields = tx_fields(tx)
    if tx["action"] in OUTGOING:
        fields["quantity"] = f"-{fields['quantity']}"
    return fields | {"k": str(tx["k"])}


def _source(tx: Tx, file: dict[str, Any]) -> dict[str, Any]:
    place = {"name": file["name"], "sha256": file["sha256"], "record": tx["record"], "line": tx["line"]}
    return place | {"taken_at": format_instant(file["committed_at"]), "trace_id": file["trace_id"]}


def _replacement(reader: Reader, tx: Tx) -> str | None:
    by = tx["superseded_by"]
    return tx_ids(reader, [by])[by] if by is not None and by > 0 else None


def _versions(reader: Reader, row: int) -> list[str]:
    """The ids of all versions of a transaction, oldest first: several rows may have been merged into one."""
    rows = reader.rows(
        "WITH RECURSIVE later(row) AS (VALUES (?) UNION SELECT superseded_by FROM tx JOIN later USING (row)"
        " WHERE superseded_by > 0),"
        " version(row) AS (SELECT row FROM later UNION SELECT tx.row FROM tx JOIN version"
        " ON tx.superseded_by = version.row)"
        " SELECT tx.id FROM version JOIN tx USING (row) ORDER BY tx.row",
        (row,),
    )
    return [id_text(raw) for (raw,) in rows]


def _fee_row(tx: Tx) -> dict[str, str] | None:
    """The FEE row that normalisation makes of it."""
    amount = to_scaled(tx["fee_amount"] or "0")
    if not amount or tx["action"] == Action.FEE:
        return None
    return {"asset_id": tx["fee_asset"], "quantity": to_text(-amount)}


def _lots(outcome: LotsOutcome, row: int) -> list[dict[str, Any]]:
    """The lots that the row acquired, whole or in parts, and what each is now."""
    realized = zip(told_lots(outcome.realized_frame()), outcome.parts(row), strict=True)
    by_status = {
        "open": told_lots(outcome.open_lots_frame()),
        "in_transit": told_lots(outcome.in_transit_frame()),
        "realized": [piece for piece, (_, acquired) in realized if acquired],
    }
    names = ("account", "asset_id", "acquired_at", "quantity", "cost_basis_usd")
    return [
        {name: lot[name] for name in names} | {"status": status}
        for status, lots in by_status.items()
        for lot in lots
    ]


def _gains(outcome: LotsOutcome, row: int) -> list[dict[str, Any]]:
    pieces = zip(told_lots(outcome.realized_frame()), outcome.parts(row), strict=True)
    return [{"role": role, **piece} for piece, (role, _) in pieces]
