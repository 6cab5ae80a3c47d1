"""The digest of a home: SHA-256 over what is true, whatever way it came in (CONTRACT §13).

Each part is a set of lines in canonical text, sorted; a part's digest is over its lines, the whole over the
five parts ledger, observations, decisions, open lots, realized. Snapshots and quarantine stand beside it.
"""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from engine.domain.transactions import content_text
from engine.portfolio import transfers
from engine.runtime.books import Books
from engine.runtime.desk.rows import tx_content, tx_rows
from engine.runtime.open_day import contents
from engine.runtime.standing import MATCH, SETTLE, stored_rows
from engine.snapshots.views import RESOLUTIONS
from engine.store.reader import OBSERVATIONS, Reader

WHOLE = ("ledger", "observations", "decisions", "open_lots", "realized")
SEPARATOR = "\x1f"


def digest(reader: Reader, books: Books) -> dict[str, Any]:
    """`digest --json`."""
    lots = books.lots()
    parts = {
        "ledger": _over(_ledger(reader, books)),
        "observations": _over(_observations(reader)),
        "decisions": _over(_decisions(reader)),
        "open_lots": _over(_lots(lots)),
        "realized": _over(_realized(lots)),
    }
    whole = hashlib.sha256("\n".join(f"{name} {parts[name]}" for name in WHOLE).encode()).hexdigest()
    parts["snapshots"] = _over(_snapshots(reader))
    parts["quarantine"] = _over(_quarantine(reader))
    return {"digest": whole, "parts": parts}


def _over(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def _line(*fields: object) -> str:
    return SEPARATOR.join("" if field is None else str(field) for field in fields)


def _ledger(reader: Reader, books: Books) -> Iterable[str]:
    marks = transfers.pairing_marks(books.ledger, books.links)
    names = {n: name for name, n in reader.names().items()}
    rows = reader.rows(
        "SELECT ts, action, asset, quantity, price, fee_asset, fee_amount, account, tx_hash, external_id,"
        " k, superseded_by IS NOT NULL, row FROM tx"
    )
    for ts, action, asset, quantity, price, fee_asset, fee_amount, account, *rest in rows:
        tx_hash, external_id, k, superseded, row = rest
        content = content_text(
            ts, action, names[asset], quantity, price, names.get(fee_asset), fee_amount, names[account],
            tx_hash, external_id,
        )  # fmt: skip
        yield _line(content, k, superseded, marks.get(row))


def _observations(reader: Reader) -> Iterable[str]:
    for kind, ((prefix, *keys), table, values) in OBSERVATIONS.items():
        rows = reader.rows(
            f"SELECT {', '.join(keys)}, asof, version, {', '.join(values)}"
            f" FROM {table} JOIN {prefix}_series USING (series)"
        )
        for row in rows:
            yield _line(kind, *row)


def _decisions(reader: Reader) -> Iterable[str]:
    rows = reader.rows("SELECT kind, subject, detail, actor, reason, committed_at FROM decisions")
    about = _transfers(reader, [json.loads(row[1]) for row in rows if row[0] in (MATCH, SETTLE)])
    for kind, subject, *rest in rows:
        yield _line(kind, about.get(subject, subject), *rest)


def _transfers(reader: Reader, subjects: list[dict[str, str]]) -> dict[str, str]:
    """Subjects of decisions on transfers by content: which id a row has may hang on the order of files."""
    ids = {one for each in subjects for one in each.values()}
    rows = {id_: row for id_, row, _ in stored_rows(reader, ids)}
    texts = {tx["row"]: _line(*tx_content(tx), tx["k"]) for tx in tx_rows(reader, rows.values())}
    return {
        json.dumps(each): _line(*(word for side, id_ in each.items() for word in (side, texts[rows[id_]])))
        for each in subjects
    }


def _lots(lots: dict[str, Any]) -> Iterable[str]:
    for lot in lots["open_lots"]:
        yield _line("open", *lot.values())
    for lot in lots["in_transit"]:
        yield _line("in_transit", *lot.values())


def _realized(lots: dict[str, Any]) -> Iterable[str]:
    for piece in lots["realized"]:
        yield _line(*piece.values())


def _snapshots(reader: Reader) -> Iterable[str]:
    for resolution in RESOLUTIONS:
        for (dt, asset), content in contents(reader, resolution).items():
            yield _line(resolution, dt, asset, content)


def _quarantine(reader: Reader) -> Iterable[str]:
    rows = reader.rows(
        "SELECT sha256, record, q.status, fields, reasons FROM quarantine q JOIN files USING (file)"
    )
    for row in rows:
        yield _line(*row)
