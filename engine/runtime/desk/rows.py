"""Quarantined rows and decisions as the desk's acts and queries see them. Reads only.

Owns how a row is named, what its fields are now, and which decisions were made on it.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import polars as pl

from engine.domain.instants import format_instant
from engine.domain.reasons import ROW_REASONS
from engine.domain.transactions import ACTIONS, COLUMNS, CONTENT_COLUMNS, id_text
from engine.errors import UsageError
from engine.ingestion.csv_processor import Parsed, Reason, parse_records
from engine.ingestion.refit import named
from engine.ingestion.suggestions import has_decimal_comma
from engine.store.reader import Reader

ID_HEX = 12  # of the file's SHA-256: short enough to type; where two files share it, it names neither
IDS_MAX = 100_000
INSTANTS = ("since", "expires", "from", "to", "granted")  # in the detail of a decision, as microseconds
NAMED_MAX = 5  # how many ids a message names
TX_PREFIX_MIN = 8  # characters of a transaction's id that may stand for it, hyphens aside
_ID = re.compile(rf"([0-9a-f]{{{ID_HEX}}})-([1-9][0-9]{{0,9}})")
_COLUMNS = (
    "q.file, f.sha256, f.name, f.kind, f.committed_at AS taken_at, f.trace_id, q.record, q.line, q.status,"
    " q.fields, q.edited, q.reasons, q.row"
)


@dataclass(frozen=True, slots=True)
class Held:
    """A row of the quarantine table with its file. `now`: its fields after fixes; `row`: a ledger row.

    `row` is the ledger row that it became or, while released as a duplicate, repeats; it stays after the
    release was undone, for that ledger row is there still, taken back.
    """

    file: int
    sha256: str
    name: str
    kind: str
    taken_at: int
    trace_id: str | None
    record: int
    line: int
    status: str
    fields: tuple[str, ...]
    edited: tuple[str, ...] | None
    reasons: list[dict[str, str]]
    row: int | None

    @property
    def id(self) -> str:
        return row_id(self.sha256, self.record)

    @property
    def now(self) -> tuple[str, ...]:
        return self.fields if self.edited is None else self.edited

    @property
    def subject(self) -> str:
        """What its decisions are about, as stored."""
        return subject_of(self.sha256, self.record)

    def listed(self) -> dict[str, Any]:
        """The row as JSON, as `quarantine list` gives it."""
        return {
            "id": self.id,
            "file": self.name,
            "sha256": self.sha256,
            "record": self.record,
            "line": self.line,
            "status": self.status,
            "reasons": self.reasons,
            "row": named(self.kind, self.now),
        }

    def told(self) -> dict[str, Any]:
        """The row as JSON, as `quarantine_page` gives it."""
        return self.listed() | {
            "edited": self.edited is not None,
            "taken_at": format_instant(self.taken_at),
            "trace_id": self.trace_id,
            "reasons": [hinted(reason) for reason in self.reasons],
        }


def row_id(sha256: str, record: int) -> str:
    """What people call a quarantined row."""
    return f"{sha256[:ID_HEX]}-{record}"


def subject_of(sha256: str, record: int) -> str:
    """The subject of decisions on a row, as stored."""
    return json.dumps({"file": sha256, "record": record})


def hinted(reason: dict[str, str]) -> dict[str, str]:
    """A reason with its sentence for people."""
    return reason | {"hint": ROW_REASONS[reason["code"]]}


def reasons_told(reasons: Iterable[Reason]) -> list[dict[str, str]]:
    return [{"code": one.code, "column": one.column, "value": one.value} for one in reasons]


# -- rows by id ---------------------------------------------------------------------------------------


def find(reader: Reader, ids: object) -> list[Held]:
    """The rows of these ids by file and record, each once. UsageError if one does not exist."""
    if not isinstance(ids, list) or not ids or not all(isinstance(one, str) for one in ids):
        raise UsageError("No rows were named.", "Give the ids that `navdeck quarantine list` shows.")
    if len(ids) > IDS_MAX:
        raise UsageError(f"{len(ids):,} rows are too many at once.", f"Name {IDS_MAX:,} at most.")
    found = {row.id: row for row in _rows(reader, _records_by_file(reader, ids))}
    missing = [one for one in dict.fromkeys(ids) if one not in found]
    if missing:
        raise UsageError(
            f"There is no row {', '.join(f'{one!r:.80}' for one in missing[:NAMED_MAX])}"
            + (f" and {len(missing) - NAMED_MAX:,} more" if len(missing) > NAMED_MAX else "")
            + " in quarantine.",
            "`navdeck quarantine list` shows the ids; nothing was done.",
        )
    return sorted(found.values(), key=lambda row: (row.file, row.record))


def _records_by_file(reader: Reader, ids: list[str]) -> dict[int, list[int]]:
    """The record numbers that are named, by file; names of no file or of several lead nowhere."""
    by_prefix: dict[str, list[int]] = {}
    for match in filter(None, map(_ID.fullmatch, ids)):
        by_prefix.setdefault(match[1], []).append(int(match[2]))
    found = {}
    for prefix, records in by_prefix.items():
        files = reader.rows("SELECT file FROM files WHERE sha256 BETWEEN ? AND ?", (prefix, prefix + "g"))
        if len(files) == 1:
            found[files[0][0]] = records
    return found


def _rows(reader: Reader, records: dict[int, list[int]]) -> Iterator[Held]:
    for file, numbers in records.items():
        yield from read_rows(
            reader,
            "q.file = ? AND q.record IN (SELECT value FROM json_each(?))",
            (file, json.dumps(numbers)),
        )


def read_rows(reader: Reader, where: str, values: Sequence[Any] = ()) -> list[Held]:
    """Rows of quarantine under a condition on `q` and its file `f`."""
    found = reader.records(
        f"SELECT {_COLUMNS} FROM quarantine q JOIN files f USING (file) WHERE {where}", values
    )
    return [_held(row) for row in found]


def _held(row: dict[str, Any]) -> Held:
    edited = None if row["edited"] is None else tuple(json.loads(row["edited"]))
    lists = {"fields": tuple(json.loads(row["fields"])), "reasons": json.loads(row["reasons"])}
    return Held(**row | lists | {"edited": edited})


def decimal_comma(reader: Reader, row: Held) -> bool:
    """Whether a quarantined row of the same file has a number with a decimal comma."""
    rows = reader.rows(
        "SELECT fields FROM quarantine WHERE file = ? AND fields GLOB '*[0-9],[0-9]*'", (row.file,)
    )  # between two fields there is more than a comma
    return any(has_decimal_comma(named(row.kind, json.loads(fields))) for (fields,) in rows)


def by_file(rows: Sequence[Held]) -> Iterator[list[Held]]:
    """Rows that come sorted, file by file."""
    for _, group in groupby(rows, key=lambda row: row.file):
        yield list(group)


def judged_now(rows: Sequence[Held], now_us: int) -> Parsed:
    """The rows of one file, as they are now, under the rules of today."""
    return parse_records(rows[0].kind, [(row.record, row.line, row.now) for row in rows], now_us)


def put_frame(rows: Iterable[Held]) -> pl.DataFrame:
    """Rows as the quarantine table stores them."""
    columns = ("file", "record", "line", "status", "fields", "reasons", "codes", "edited", "row")
    kinds = (*(pl.Int64,) * 3, *(pl.String,) * 5, pl.Int64)
    values = [
        (
            row.file, row.record, row.line, row.status, json.dumps(row.fields), json.dumps(row.reasons),
            ",".join(sorted({reason["code"] for reason in row.reasons})),
            None if row.edited is None else json.dumps(row.edited), row.row,
        )
        for row in rows
    ]  # fmt: skip
    return pl.DataFrame(values, schema=dict(zip(columns, kinds, strict=True)), orient="row")


# -- ledger rows --------------------------------------------------------------------------------------


def find_tx(reader: Reader, name: object) -> int:
    """The row number of the transaction with this id, remembered id or unique beginning of an id.

    UsageError if there is none, or several.
    """
    plain = str(name).replace("-", "").lower() if isinstance(name, str) else ""
    if not re.fullmatch(rf"[0-9a-f]{{{TX_PREFIX_MIN},32}}", plain):
        raise UsageError(
            f"{name!r:.80} is no id of a transaction.",
            f"Give an id, or its first {TX_PREFIX_MIN} digits or more.",
        )
    low, high = (bytes.fromhex(plain.ljust(32, digit)) for digit in "0f")
    found = reader.rows("SELECT row FROM tx WHERE id BETWEEN ? AND ? LIMIT 2", (low, high))
    if not found:
        found = reader.rows("SELECT row FROM id_aliases WHERE id BETWEEN ? AND ? LIMIT 2", (low, high))
    if not found:
        raise UsageError(f"There is no transaction {name!r}.", "`navdeck sql` over ledger shows the ids.")
    if len(found) > 1:
        raise UsageError(f"Several transactions begin with {name!r}.", "Give more digits of the id.")
    return int(found[0][0])


_NAME = "(SELECT name FROM names WHERE n = t.{0}) AS {0}"
_TX = (
    "SELECT t.row, t.id, t.file, t.record, t.line, t.ts, t.action, t.quantity, t.price, t.fee_amount,"
    " t.tx_hash, t.external_id, t.notes, t.kind, t.k, t.marks, t.superseded_by, "
    + ", ".join(_NAME.format(name) for name in ("asset", "fee_asset", "account", "wallet", "venue"))
    + " FROM tx t WHERE t.row IN (SELECT value FROM json_each(?)) ORDER BY t.row"
)


def tx_rows(reader: Reader, rows: Iterable[int]) -> list[dict[str, Any]]:
    """Stored ledger rows with their texts, by row number."""
    return reader.records(_TX, (json.dumps(sorted(set(rows))),))


def tx_ids(reader: Reader, rows: Iterable[int]) -> dict[int, str]:
    """Ids in text by row number."""
    found = reader.rows(
        "SELECT row, id FROM tx WHERE row IN (SELECT value FROM json_each(?))", (json.dumps(list(rows)),)
    )
    return {row: id_text(raw) for row, raw in found}


def tx_fields(tx: dict[str, Any]) -> dict[str, str]:
    """A stored ledger row under the names of the file's columns, quantities unsigned as there."""
    short = {"asset_id": "asset", "unit_price_usd": "price"}
    texts = {name: tx.get(short.get(name, name)) or "" for name in COLUMNS}
    return texts | {
        "id": id_text(tx["id"]),
        "timestamp": format_instant(tx["ts"]),
        "action": ACTIONS[tx["action"]],
    }


def tx_content(tx: dict[str, Any]) -> list[str]:
    """The ten canonical content fields of a stored ledger row."""
    fields = tx_fields(tx)
    return [fields[name] for name in CONTENT_COLUMNS]


# -- decisions ----------------------------------------------------------------------------------------


def undone(reader: Reader) -> dict[int, int]:
    """Number of each decision that was undone -> number of the decision that did."""
    rows = reader.rows("SELECT decision, subject FROM decisions WHERE kind = 'undo'")
    return {json.loads(subject)["decision"]: decision for decision, subject in rows}


def history(reader: Reader, subject: str) -> list[dict[str, Any]]:
    """The decisions on a subject, oldest first, and those that undid one of them; all as answered."""
    own = decisions(reader, "subject = ?", (subject,))
    undoing = json.dumps([one["undone_by"] for one in own if one["undone_by"] is not None])
    also = decisions(reader, "decision IN (SELECT value FROM json_each(?))", (undoing,))
    return sorted(map(dated, (*own, *also)), key=lambda one: int(one["decision"]))


def dated(decision: dict[str, Any]) -> dict[str, Any]:
    """A decision as it is answered: the instants in its detail as text."""
    detail = decision["detail"]
    told = {name: format_instant(detail[name]) for name in INSTANTS if detail.get(name) is not None}
    return decision | {"detail": detail | told}


def decisions(reader: Reader, where: str = "1", values: Sequence[Any] = ()) -> list[dict[str, Any]]:
    """Decisions as JSON under a condition (and its order), each with the number of the one that undid it."""
    rows = reader.records(
        "SELECT decision, kind, subject, detail, actor, reason, committed_at AS at, trace_id FROM decisions"
        f" WHERE {where}",
        values,
    )
    by = undone(reader) if rows else {}
    return [
        row
        | {"subject": json.loads(row["subject"]), "detail": json.loads(row["detail"])}
        | {"at": format_instant(row["at"]), "undone_by": by.get(row["decision"])}
        for row in rows
    ]
