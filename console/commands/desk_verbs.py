"""The verbs of the quarantine desk: look, fix, release, reject, export; decisions, undo, explain.

What may be done is the engine's to say; here words become its questions and commands. Exit codes: 0 if all
that was asked is done or was done before, 1 if a release refused a row, 2 for what makes no sense.
"""

import argparse
import difflib
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from console.cli import EXIT_DONE, EXIT_FAILED
from console.commands import desk_csv, desk_tables, record_tables
from console.commands.answers import Done, Verb, as_json, asked, opened, out, tell
from console.commands.report_files import write_new
from console.text import WORDS, count, plural, safe_text
from engine import api
from engine.api import Command, EngineClient, Query, UsageError

Document = dict[str, Any]
PAGE_ROWS = 10_000  # asked for at a time; the engine may give fewer
QUARANTINE_SHOWN, DECISIONS_SHOWN = 200, 40  # rows of a table without --limit
NAMED_MOST = 5  # ids in one sentence
ID = re.compile("[0-9a-f]{12}-[1-9][0-9]{0,9}")
COLUMNS = sorted({column for header in desk_csv.HEADERS.values() for column in header})
EXTRA_COLUMN = re.compile("column_[1-9][0-9]{0,4}")  # beyond the header, by its place
LIST_KEYS = ("id", "file", "sha256", "record", "line", "status", "reasons", "row")
REASON_KEYS = ("code", "column", "value")
NOTHING: dict[str, Document] = {  # what a command says that found nothing to do
    "quarantine_fix": {"rows": [], "would_pass": 0, "still_fail": 0, "decisions": []},
    "quarantine_release": {
        "released": 0, "accepted": 0, "duplicates": 0, "refused": [], "already": [], "rows": [], "files": [],
        "accounts": [], "first": None, "last": None, "decisions": [],
    },
    "quarantine_reject": {"rejected": 0, "already": [], "decisions": []},
}  # fmt: skip


# -- which rows ---------------------------------------------------------------------------------------


def _filters(arguments: argparse.Namespace) -> Document:
    """The query's arguments; the account must be one that is there.

    UsageError for an empty filter (it would mean every row) or an unknown code.
    """
    code = arguments.code and arguments.code.upper()
    told = {
        "reason": code, "file": arguments.file, "account": arguments.account, "text": arguments.text,
        "older_than_s": arguments.older_than, "status": getattr(arguments, "status", None),
    }  # fmt: skip
    if "" in told.values():
        raise UsageError("A filter is empty.", "Leave it out to mean all rows.")
    if code is not None and code not in WORDS:
        raise UsageError(f"There is no reason {code!r}.", _meant(code, WORDS))
    given = {name: value for name, value in told.items() if value is not None}
    return given | {"named": True} if arguments.account is not None else given


def _meant(given: str, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(given, list(names), n=1)
    return f"Did you mean {close[0]}?" if close else "`navdeck quarantine list` shows those that occur."


def _targets(arguments: argparse.Namespace) -> tuple[list[str], dict[str, str]]:
    """The ids and the column=value pairs among the words. UsageError for a word that is neither."""
    ids: dict[str, None] = {}
    values: dict[str, str] = {}
    for word in arguments.words:
        column, is_pair, value = word.partition("=")
        if is_pair:
            values[_new_column(column, values)] = value
        elif ID.fullmatch(word):
            ids[word] = None
        else:
            raise UsageError(f"{word!r} is no row's id.", "`navdeck quarantine list` shows ids.")
    narrowed = _filters(arguments)
    if arguments.all == bool(ids):
        raise UsageError("Say which rows: their ids, or --all.", "`navdeck quarantine list` shows ids.")
    if narrowed and not arguments.all:
        raise UsageError("Filters go with --all, not with ids.", "Leave out the one or the other.")
    return list(ids), values


def _new_column(column: str, values: Document) -> str:
    if column not in COLUMNS and not EXTRA_COLUMN.fullmatch(column):
        close = difflib.get_close_matches(column, COLUMNS, n=1)
        hint = f"Did you mean {close[0]}?" if close else f"There are {', '.join(COLUMNS)}."
        raise UsageError(f"There is no column {column!r}.", hint)
    if column in values:
        raise UsageError(f"{column} is set twice.", "Give each column one value.")
    return column


def _why(arguments: argparse.Namespace) -> str:
    """The reason for the record. UsageError where a filter may have been meant: it would act on every row."""
    reason = str(arguments.reason).strip()
    if arguments.all and reason.upper() in WORDS:
        raise UsageError(
            f"--reason says why you act; {reason} is what rows were set aside for.",
            f"Choose rows with --code {reason.upper()}.",
        )
    return reason


async def _pages(client: EngineClient, query: Query, offset: int, limit: int | None, key: str) -> Document:
    """The answer with all its rows from `offset` on, at most `limit`, page by page, each row once."""
    answer: Document = {}
    rows: dict[Any, Document] = {}
    while True:
        wanted = PAGE_ROWS if limit is None else min(PAGE_ROWS, limit - len(rows))
        place = {"offset": offset, "limit": max(1, wanted)}
        page = (await client.ask(Query(query.name, query.arguments | place))).value
        answer = answer or page
        rows |= {row[key]: row for row in page["rows"]}
        offset += len(page["rows"])
        if not page["rows"] or offset >= page["total"] or (limit is not None and len(rows) >= limit):
            return answer | {"rows": list(rows.values())[:limit]}


# -- looking ------------------------------------------------------------------------------------------


async def _list(arguments: argparse.Namespace) -> int:
    query = Query("quarantine_page", _filters(arguments))
    limit = QUARANTINE_SHOWN if arguments.limit is None and not arguments.json else arguments.limit
    async with opened(arguments) as client:
        page = await _pages(client, query, arguments.offset, limit, "id")
    if arguments.json:
        out(lambda: as_json([_listed(row) for row in page["rows"]]))
    else:
        out(lambda: desk_tables.listed(page, query.arguments, arguments.offset))
    return EXIT_DONE


def _listed(row: Document) -> Document:
    """A row as the contract has it."""
    reasons = [{key: reason[key] for key in REASON_KEYS} for reason in row["reasons"]]
    return {key: row[key] for key in LIST_KEYS} | {"reasons": reasons}


def _show(arguments: argparse.Namespace) -> int:
    tell(asked(arguments, "quarantine_show", id=arguments.id), arguments, desk_tables.shown)
    return EXIT_DONE


async def _export(arguments: argparse.Namespace) -> int:
    query = Query("quarantine_page", _filters(arguments))
    async with opened(arguments) as client:
        rows = (await _pages(client, query, 0, None, "id"))["rows"]
    sheet = desk_csv.sheet(rows, _kind(arguments.kind, desk_csv.kinds(rows)))
    told = {"kind": sheet.kind, "rows": sheet.rows, "altered": sheet.altered, "to": arguments.to}
    if arguments.to is not None:
        write_new(Path(arguments.to), sheet.text.encode())
        tell(told | {"csv": None}, arguments, desk_tables.exported)
    elif arguments.json:
        out(lambda: as_json(told | {"csv": sheet.text}))
    else:
        out(lambda: _put(sheet.text))
    if sheet.altered:
        _warn_altered(sheet.altered)
    return EXIT_DONE


def _kind(wanted: str | None, counts: dict[str, int]) -> str:
    """The kind to write: a file has one header. UsageError if rows are of several and none is named."""
    if wanted is None and len(counts) > 1:
        told = ", ".join(f"{count(counts[kind])} {kind}" for kind in sorted(counts))
        raise UsageError(f"These rows are of several kinds: {told}.", "Choose one with --kind.")
    return wanted or next(iter(counts), "transactions")


def _put(text: str) -> None:
    """CSV to stdout: byte for byte into a pipe, but what moves a cursor never reaches a terminal."""
    if sys.stdout.isatty():
        sys.stdout.write(safe_text(text, keep_lines=True))
    else:
        sys.stdout.buffer.write(text.encode())


def _warn_altered(ids: list[str]) -> None:
    named = ", ".join(ids[:NAMED_MOST]) + (" …" if len(ids) > NAMED_MOST else "")
    told = f"{plural(len(ids), 'row')} not written as they are, for a formula or an unprintable character"
    print(f"navdeck: {told}: {named}.\n  hint: look at them before you ingest the file.", file=sys.stderr)


# -- acting -------------------------------------------------------------------------------------------


async def _fix(arguments: argparse.Namespace) -> int:
    ids, values = _targets(arguments)
    if arguments.suggested == bool(values):
        raise UsageError("Say what to set: either column=value, or --suggested.",
                         "`navdeck quarantine show ID` shows columns and suggestions.")  # fmt: skip
    how = {"suggested": True} if arguments.suggested else {"set": values}
    fixed = await _acted(arguments, "quarantine_fix", ids, how)
    tell(fixed, arguments, lambda told: desk_tables.fixed(told, arguments.dry_run))
    return EXIT_DONE


async def _release(arguments: argparse.Namespace) -> int:
    how = {"as_leg": arguments.as_leg, "supersede": arguments.supersede}
    released = await _acted(arguments, "quarantine_release", _only_ids(arguments), how)
    tell(released, arguments, lambda told: desk_tables.released(told, arguments.dry_run))
    return EXIT_FAILED if released["refused"] else EXIT_DONE


async def _reject(arguments: argparse.Namespace) -> int:
    if not arguments.reason.strip():
        raise UsageError("A rejection needs a reason.", "Say why with --reason.")
    rejected = await _acted(arguments, "quarantine_reject", _only_ids(arguments), {})
    tell(rejected, arguments, lambda told: desk_tables.rejected(told, arguments.dry_run))
    return EXIT_DONE


def _only_ids(arguments: argparse.Namespace) -> list[str]:
    ids, values = _targets(arguments)
    if values:
        raise UsageError("Columns are set by `navdeck quarantine fix`.", "Fix the row first.")
    return ids


async def _acted(arguments: argparse.Namespace, name: str, ids: list[str], how: Document) -> Document:
    """The command's answer, on the named rows or on all that the filters leave.

    A dry run does all that the act would do and then leaves it, so it needs the home to itself as well.
    """
    reason = _why(arguments)
    async with opened(arguments, writing=True) as client:
        chosen = ids or await _matching(client, _filters(arguments))
        if not chosen:
            return NOTHING[name]
        command = Command(name, {"ids": chosen, **how}, api.actor(), reason, arguments.dry_run)
        return (await client.do(command)).value


async def _matching(client: EngineClient, filters: Document) -> list[str]:
    """The ids of all open rows that the filters leave. UsageError if they are more than one act can take."""
    found = (await client.ask(Query("quarantine_ids", filters))).value
    if found["total"] > len(found["ids"]):
        raise UsageError(
            f"{count(found['total'])} rows match; one act takes {count(len(found['ids']))}.",
            "Narrow them, for example with --file or --code.",
        )
    return list(found["ids"])


async def _undo(arguments: argparse.Namespace) -> int:
    which = {"decision": arguments.decision, "whole": arguments.whole}
    which = {name: value for name, value in which.items() if value not in (None, False)}
    async with opened(arguments, writing=True) as client:
        command = Command("undo", which, api.actor(), arguments.reason.strip(), arguments.dry_run)
        undone = (await client.do(command)).value
    tell(undone, arguments, lambda told: record_tables.undone(told, arguments.dry_run))
    return EXIT_DONE


async def _decisions(arguments: argparse.Namespace) -> int:
    limit = DECISIONS_SHOWN if arguments.limit is None and not arguments.json else arguments.limit
    async with opened(arguments) as client:
        found = await _pages(client, Query("decisions"), 0, limit, "decision")
    tell(found, arguments, record_tables.decisions)
    return EXIT_DONE


def _explain(arguments: argparse.Namespace) -> int:
    tell(asked(arguments, "explain", tx=arguments.tx), arguments, record_tables.explained)
    return EXIT_DONE


def _quarantine(arguments: argparse.Namespace) -> Done:
    return ACTS[arguments.act](arguments)


ACTS: dict[str, Verb] = {
    "list": _list,
    "show": _show,
    "fix": _fix,
    "release": _release,
    "reject": _reject,
    "export": _export,
}
VERBS: dict[str, Verb] = {
    "quarantine": _quarantine,
    "undo": _undo,
    "decisions": _decisions,
    "explain": _explain,
}
