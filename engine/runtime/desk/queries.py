"""What can be asked about quarantine and decisions. Each query reads one snapshot of the store."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import batched
from pathlib import Path
from typing import Any

from engine.domain.expressions import matching
from engine.domain.instants import SECOND_US
from engine.domain.reasons import ROW_REASONS, counted_codes
from engine.domain.transactions import CONTENT_COLUMNS, UNIT_SEPARATOR
from engine.errors import UsageError
from engine.ingestion.csv_processor import TRANSACTIONS, read_csv_file
from engine.ingestion.records import Records, decode
from engine.ingestion.refit import HEADERS, named
from engine.ingestion.suggestions import suggest
from engine.runtime.asking import expressions
from engine.runtime.desk.judge import weigh
from engine.runtime.desk.rows import (
    IDS_MAX,
    Held,
    dated,
    decimal_comma,
    decisions,
    find,
    history,
    read_rows,
    row_id,
    tx_fields,
    tx_rows,
)
from engine.runtime.home import Home
from engine.runtime.known_names import require_known
from engine.store.reader import Reader

PAGE_ROWS = 200  # a page of rows draws in well under half a second
PAGE_ROWS_MAX = 10_000  # for who asks for more: every page looks at all rows again
FILES_SHOWN = 20
MATCHED_AT_ONCE = 10_000  # rows whose texts are in memory
RAW_CHARS_MAX = 20_000  # of a record's physical text; a field may hold megabytes
CONFLICT_SHOWS = (
    "timestamp", "action", "asset_id", "quantity", "unit_price_usd", "account", "tx_hash", "external_id",
)  # fmt: skip
NEWEST = "q.file DESC, q.record"
SORTS = {  # what a row is sorted by, as it shows it: its first reason, its file's name, its line there
    "reason": "json_extract(q.reasons, '$[0].code')",
    "file": "(SELECT lower(name) FROM files WHERE file = q.file)",
    "line": "q.line",
}
OF_TRANSACTIONS = "q.file IN (SELECT file FROM files WHERE kind = 'transactions')"
ACCOUNT = f"json_extract(coalesce(q.edited, q.fields), '$[{HEADERS[TRANSACTIONS].index('account')}]')"
STATUSES = ("open", "released", "rejected")
ALL = "all"


def quarantine(home_path: str, _now: int, _arguments: dict[str, Any]) -> dict[str, Any]:
    """The rows of `quarantine list`, under `rows`: all of them, whatever their status."""
    home = Home(Path(home_path))
    home.require()
    with Reader(home.state) as reader:
        found = read_rows(reader, "1 ORDER BY f.committed_at, f.file, q.record")
    return {"rows": [row.listed() for row in found]}


def quarantine_page(home_path: str, now: int, arguments: dict[str, Any]) -> dict[str, Any]:
    """A page of quarantine, newest file first: `total`, `rows`, `by_reason` and `files` under the filters.

    Arguments, all optional: offset, limit; status (open unless told), reason (a code), text (anywhere in
    the row or the file's name, or `column: value` as it is wrong), not_text (nowhere there), matching (an
    expression that the file's name or a field matches), not_matching (that none does), file (part of its
    name, or the beginning of its SHA-256),
    account (the whole name; with `named` a row must have it, else UsageError: what is typed letter by
    letter may find nothing), older_than_s. Letters' case makes no difference. `by_reason` leaves
    the filter reason out. sort (one of SORTS) and descending: another order; rows without it come last.
    """
    offset, limit = _place(arguments)
    order = _order(arguments)
    with Reader(Home(Path(home_path)).state) as reader:
        under = _filters(reader, now, arguments)
        by_codes = dict(reader.rows(f"SELECT q.codes, count(*) {under.rows} GROUP BY q.codes", under.values))
        chosen = under.of_reason(by_codes, arguments.get("reason"))
        files = reader.rows(
            f"SELECT q.file, count(*) {chosen.rows} GROUP BY q.file ORDER BY 2 DESC, 1 DESC", chosen.values
        )
        places = reader.rows(
            f"SELECT q.file, q.record {chosen.rows} {order} LIMIT ? OFFSET ?",
            (*chosen.values, limit, offset),
        )
        names = dict(reader.rows("SELECT file, name FROM files"))
        rows = _page(reader, places)
    commonest: Counter[str] = Counter()
    for file, number in files:
        commonest[names[file]] += number
    return {
        "total": sum(number for _, number in files),
        "rows": [row.told() for row in rows],
        "by_reason": counted_codes(by_codes),
        "files": dict(commonest.most_common(FILES_SHOWN)),
    }


def quarantine_ids(home_path: str, now: int, arguments: dict[str, Any]) -> dict[str, Any]:
    """The ids of all rows of `quarantine_page`, in its order, at most IDS_MAX, and how many there are."""
    order = _order(arguments)
    with Reader(Home(Path(home_path)).state) as reader:
        under = _filters(reader, now, arguments)
        by_codes = dict(reader.rows(f"SELECT q.codes, count(*) {under.rows} GROUP BY q.codes", under.values))
        chosen = under.of_reason(by_codes, arguments.get("reason"))
        total = reader.value(f"SELECT count(*) {chosen.rows}", chosen.values)
        places = reader.rows(
            f"SELECT q.file, q.record {chosen.rows} {order} LIMIT ?", (*chosen.values, IDS_MAX)
        )
        digests = dict(reader.rows("SELECT file, sha256 FROM files"))
    return {"ids": [row_id(digests[file], record) for file, record in places], "total": total}


def quarantine_show(home_path: str, now: int, arguments: dict[str, Any]) -> dict[str, Any]:
    """One row as a page has it, with its physical text, its fields as they came and what they may mean,
    the ledger rows that it collides with, and what was decided on it.
    """
    home = Home(Path(home_path))
    with Reader(home.state) as reader:
        (row,) = find(reader, [arguments.get("id")])
        failing = (reason["column"] for reason in row.reasons)
        proposals = suggest(named(row.kind, row.now), failing, decimal_comma(reader, row))
        return row.told() | {
            "raw": raw_text(home, row.sha256, row.record),
            "original": named(row.kind, row.fields),
            "suggestions": [{"column": one.column, "value": one.value, "why": one.why} for one in proposals],
            "conflicts": _conflicts(home, reader, row, now) if row.status == "open" else [],
            "history": history(reader, row.subject),
        }


def decisions_page(home_path: str, _now: int, arguments: dict[str, Any]) -> dict[str, Any]:
    """A page of all decisions, newest first."""
    offset, limit = _place(arguments)
    with Reader(Home(Path(home_path)).state) as reader:
        rows = decisions(reader, "1 ORDER BY decision DESC LIMIT ? OFFSET ?", (limit, offset))
        return {"total": reader.count("decisions"), "rows": [dated(row) for row in rows]}


def _order(arguments: dict[str, Any]) -> str:
    """The order of the rows, newest file first where nothing else is said. UsageError for an unknown one."""
    name = arguments.get("sort")
    if name is None:
        return f"ORDER BY {NEWEST}"
    if name not in SORTS:
        raise UsageError(f"Rows are not sorted by {name!r:.80}.", f"Choose one of {', '.join(SORTS)}.")
    down = "DESC" if arguments.get("descending") else "ASC"
    return f"ORDER BY {SORTS[name]} IS NULL, {SORTS[name]} {down}, {NEWEST}"


def _place(arguments: dict[str, Any]) -> tuple[int, int]:
    """Offset and limit of a page."""
    return _number(arguments, "offset", 0), min(_number(arguments, "limit", PAGE_ROWS), PAGE_ROWS_MAX)


def _number(arguments: dict[str, Any], name: str, default: int) -> int:
    """A count given as an argument. UsageError if it is none."""
    value = arguments.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**53:
        raise UsageError(f"{name} {value!r:.80} is no count.", "Give 0 or a whole number above.")
    return value


# -- filters ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Under:
    """Rows under filters: `FROM … WHERE …` and its values."""

    rows: str
    values: tuple[Any, ...]

    def of_reason(self, by_codes: Mapping[str, int], reason: object) -> "_Under":
        """Those of them that have a reason; UsageError if there is none of that name."""
        if not reason:
            return self
        if reason not in ROW_REASONS:
            choices = ", ".join(ROW_REASONS)
            raise UsageError(f"There is no reason {reason!r:.80}.", f"Choose one of {choices}.")
        having = [codes for codes in by_codes if reason in (codes or "").split(",")]
        marks = ", ".join("?" * len(having))
        return _Under(f"{self.rows} AND q.codes IN ({marks})", (*self.values, *having))


def _filters(reader: Reader, now: int, arguments: dict[str, Any]) -> _Under:
    """All filters but that of the reason. UsageError for a status that does not exist."""
    status = arguments.get("status") or "open"
    if status not in (*STATUSES, ALL):
        choices = ", ".join((*STATUSES, ALL))
        raise UsageError(f"There is no status {status!r:.80}.", f"Choose one of {choices}.")
    if arguments.get("named") and not _sets_aside(reader, arguments.get("account")):
        require_known(reader, arguments)
    files = _files(reader, now, arguments)
    among = ", ".join(f"'{one}'" for one in STATUSES if status in (one, ALL))
    where, values = _row_filters(arguments, files)
    if arguments.get("file") or arguments.get("older_than_s") is not None:
        where += f" AND q.file IN ({', '.join(map(str, files))})"
    under = _Under(f"FROM quarantine q WHERE q.status IN ({among}){where}", tuple(values))
    for expression, is_wanted in expressions(arguments):
        under = _matching(reader, under, files, expression, is_wanted)
    return under


def _sets_aside(reader: Reader, account: object) -> bool:
    """Whether some row of an account was ever set aside: such an account need not be in the ledger."""
    wanted = f"SELECT 1 FROM quarantine q WHERE {OF_TRANSACTIONS} AND lower({ACCOUNT}) = lower(?) LIMIT 1"
    return account is not None and reader.value(wanted, (str(account),)) is not None


def _matching(
    reader: Reader, under: _Under, files: Mapping[int, str], expression: str, is_wanted: bool
) -> _Under:
    """Those of the rows of which the file's name or a field, as it is now, matches; or of which none does."""
    chosen: list[int] = []
    rows = reader.stream(f"SELECT q.file, q.record, coalesce(q.edited, q.fields) {under.rows}", under.values)
    for some in batched(rows, MATCHED_AT_ONCE):
        texts = ["\n".join((files[file], *json.loads(fields))) for file, _, fields in some]
        verdicts = zip(some, matching(expression, texts), strict=True)
        chosen += [file << 32 | record for (file, record, _), one in verdicts if one == is_wanted]
    kept = "(q.file << 32 | q.record) IN (SELECT value FROM json_each(?))"
    return _Under(f"{under.rows} AND {kept}", (*under.values, json.dumps(chosen)))


def _files(reader: Reader, now: int, arguments: dict[str, Any]) -> dict[int, str]:
    """Number and name of the files that the filters let through."""
    wanted = str(arguments.get("file") or "").lower()
    before = now - _number(arguments, "older_than_s", 0) * SECOND_US
    old = arguments.get("older_than_s") is None
    rows = reader.rows("SELECT file, sha256, name, committed_at FROM files WHERE status <> 'rejected'")
    return {
        file: name
        for file, sha256, name, taken_at in rows
        if (old or taken_at <= before) and (wanted in name.lower() or sha256.startswith(wanted))
    }


def _row_filters(arguments: dict[str, Any], files: Mapping[int, str]) -> tuple[str, list[Any]]:
    """Conditions on the fields as they are now, and their values."""
    where, values = "", []
    for name, sign in (("text", ""), ("not_text", "NOT ")):
        if arguments.get(name):
            found, wanted = _text_filter(str(arguments[name]), files)
            where += f" AND {sign}({found})"
            values += wanted
    if arguments.get("account"):
        where += f" AND {OF_TRANSACTIONS} AND lower({ACCOUNT}) = lower(?)"
        values.append(str(arguments["account"]))
    return where, values


def _text_filter(text: str, files: Mapping[int, str]) -> tuple[str, list[str]]:
    """Rows with a text in one of their fields, or in the name of their file, or wrong as `column: value`."""
    by_name = [file for file, name in files.items() if text.lower() in name.lower()]
    kept = "coalesce(q.edited, q.fields)"
    # Cheap, and no row is missed: this text looks in JSON as it looks in its field.
    near = f"instr(lower({kept}), lower(?)) AND " if json.dumps(text) == f'"{text}"' else ""
    found = f"EXISTS (SELECT 1 FROM json_each({kept}) WHERE instr(lower(value), lower(?)))"
    condition = f"q.file IN ({','.join(map(str, by_name))}) OR ({near}{found})"
    values = [text] * (2 if near else 1)
    column, colon, value = text.partition(":")
    if colon:  # as lists tell it
        condition += f" OR EXISTS (SELECT 1 FROM json_each(q.reasons) WHERE {_WRONG})"
        values += [column, value.lstrip()]
    return condition, values


_WRONG = (
    "lower(value ->> 'column') = lower(?)"
    " AND instr(lower(coalesce(nullif(value ->> 'value', ''), 'empty')), lower(?))"
)


def _page(reader: Reader, places: list[tuple[int, int]]) -> list[Held]:
    """The rows at (file, record), in this order."""
    records: dict[int, list[int]] = {}
    for file, record in places:
        records.setdefault(file, []).append(record)
    rows = {
        (row.file, row.record): row
        for file, numbers in records.items()
        for row in read_rows(
            reader, f"q.file = ? AND q.record IN ({','.join('?' * len(numbers))})", (file, *numbers)
        )
    }
    return [rows[place] for place in places]


# -- one row ------------------------------------------------------------------------------------------


def raw_text(home: Home, sha256: str, record: int) -> str | None:
    """The physical lines of a record of an archived CSV, cut at RAW_CHARS_MAX; None for a Parquet file."""
    path = home.archived(sha256, ".csv")
    if not path.is_file():
        return None
    data = path.read_bytes()
    records = read_csv_file(data, len(data), len(data))
    assert isinstance(records, Records), "it was taken before"
    line, end = _span(records, record)
    return "\n".join(decode(data).split("\n")[line - 1 : end])[:RAW_CHARS_MAX]


def _span(records: Records, record: int) -> tuple[int, int]:
    for number, line, end, _ in records.odd:
        if number == record:
            return line, end
    found = records.frame.filter(records.frame["record"] == record)
    return int(found["line"].item()), int(found["end"].item())


def _conflicts(home: Home, reader: Reader, row: Held, now: int) -> list[dict[str, Any]]:
    """The ledger rows that stand in the way of an open row, as it is now."""
    verdict = weigh(home, reader, [row], now)
    rows = tx_rows(reader, verdict.clashes.get(row.record, []))
    if not rows:
        return []
    (fields,) = verdict.parsed.frame.select("id", "content").iter_rows()
    mine = {"id": fields[0] or ""} | dict(zip(CONTENT_COLUMNS, fields[1].split(UNIT_SEPARATOR), strict=True))
    return [_conflict(reader, tx, mine) for tx in rows]


def _conflict(reader: Reader, tx: dict[str, Any], mine: dict[str, str]) -> dict[str, Any]:
    fields = tx_fields(tx)
    return {
        "tx": fields["id"],
        "file": reader.value("SELECT name FROM files WHERE file = ?", (tx["file"],)),
        "line": tx["line"],
        **{name: fields[name] for name in CONFLICT_SHOWS},
        "same": [name for name in mine if fields[name] == mine[name]],
    }
