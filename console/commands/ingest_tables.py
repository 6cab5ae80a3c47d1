"""What `ingest` says for people: files with their counts, what was refused, what was set aside and why."""

from typing import Any

from rich.console import RenderableType
from rich.text import Text

from console.commands.grid import (
    BAD,
    GOOD,
    QUIET,
    WARN,
    Column,
    Grid,
    figure,
    hint,
    legend,
    section,
    show,
    text,
)
from console.text import UNKNOWN, count, plural, words

Document = dict[str, Any]
STATUSES = {
    "ingested": ("✓ ingested", GOOD), "duplicate": ("= duplicate", QUIET), "rejected": ("✗ rejected", BAD),
}  # fmt: skip
FILE_COUNTS = ("rows", "accepted", "duplicates", "quarantined", "fees_created")
FILE_COLUMNS = (
    Column("file", least=24), Column("kind", rank=2), Column("status"), Column("rows", right=True),
    Column("accepted", right=True), Column("duplicates", right=True, brief="dupl."),
    Column("quarantined", right=True, brief="quar."), Column("fees made", right=True, rank=1, brief="fees"),
)  # fmt: skip
PREVIEWS = {
    "ingested": ("✓ taken", GOOD), "duplicate": ("= known", QUIET),
    "rejected": ("✗ refused", BAD),
}  # fmt: skip
SETTLED = dict.fromkeys(("FILE_TOO_LARGE", "FILE_TOO_MANY_ROWS"), "navdeck split FILE, then ingest the parts")
CONFLICT = "IDEMPOTENCY_CONFLICT"
PREVIEW_COLUMNS = (
    Column("file", least=16), Column("kind", rank=3), Column("would be"), Column("rows", right=True, rank=1),
    Column("new", right=True), Column("seen before", right=True, brief="seen"),
    Column("conflicting", right=True, brief="confl."), Column("bad", right=True),
    Column("bad because", least=20, rank=2, wraps=True),
)  # fmt: skip


def ingested(document: Document) -> None:
    """`ingest`."""
    show(*came_in(document))


def came_in(document: Document) -> list[RenderableType]:
    """The files of an ingest, their sums, what was refused or left, and quarantine by reason."""
    parts: list[RenderableType] = []
    if document["files"]:
        parts += [Grid(FILE_COLUMNS, [_file_row(entry) for entry in document["files"]]), Text("")]
    else:
        parts.append(text("Nothing to take in: the inbox is empty.", WARN))
    parts.append(text(_sums(document["totals"])))
    parts += _left_out(document)
    reasons = _reasons(document)
    if reasons:
        parts += [Text(""), section("Set aside in quarantine, by reason", legend(reasons, "reason", WARN))]
        parts.append(hint("navdeck quarantine list"))
    return parts


def previewed(document: Document) -> None:
    """`ingest --dry-run`: of each file what is new, what was seen before, what collides and what is bad."""
    parts: list[RenderableType] = []
    if document["files"]:
        parts += [Grid(PREVIEW_COLUMNS, [_preview_row(entry) for entry in document["files"]]), Text("")]
    else:
        parts.append(text("Nothing to look at: the inbox is empty.", WARN))
    left = _left_out(document)
    parts += [*left, Text("")] if left else []
    reasons = _reasons(document)
    if reasons:
        parts += [section("Would be set aside, by reason", legend(reasons, "reason", WARN))]
    told = "Nothing was stored. Each file was judged by itself, against the books as they are."
    show(*parts, text(told))


def _left_out(document: Document) -> list[RenderableType]:
    """Files that were refused, or that stay where they are."""
    parts: list[RenderableType] = []
    for entry in document["files"]:
        if entry["status"] == "rejected":
            why = f"{entry['reason']}, {entry['detail'] or words(entry['reason'])}"
            parts.append(text(f"✗ {_name(entry)}: {why}", BAD))
            parts.append(hint(SETTLED.get(entry["reason"], "mend the file, then navdeck ingest it again")))
    if document.get("waiting"):
        parts.append(text(f"! not taken, neither .csv nor .parquet: {', '.join(document['waiting'])}", WARN))
    return parts


def _reasons(document: Document) -> dict[str, int]:
    reasons: dict[str, int] = {}
    for entry in document["files"]:
        for code, rows in entry["reasons"].items():
            reasons[code] = reasons.get(code, 0) + rows
    return reasons


def _preview_row(entry: Document) -> list[Text | str]:
    """A row that conflicts has no other reason, so what is left of the quarantined ones is bad."""
    told, style = PREVIEWS[entry["status"]]
    conflicting = entry["reasons"].get(CONFLICT, 0)
    counts = (entry["rows"], entry["accepted"], entry["duplicates"], conflicting)
    bad = entry["quarantined"] - conflicting
    why = " ".join(code for code in entry["reasons"] if code != CONFLICT)
    return [_name(entry), entry["kind"] or UNKNOWN, Text(told, style),
            *(figure(count(number)) for number in (*counts, bad)), text(why, WARN)]  # fmt: skip


def _name(entry: Document) -> str:
    return str(entry["path"]).rsplit("/", 1)[-1]


def _file_row(entry: Document) -> list[Text | str]:
    told, style = STATUSES[entry["status"]]
    counts = (figure(count(entry[name])) for name in FILE_COUNTS)
    return [_name(entry), entry["kind"] or UNKNOWN, Text(told, style), *counts]


def _sums(totals: Document) -> str:
    accepted, duplicates, quarantined = (count(totals[name]) for name in FILE_COUNTS[1:4])
    made = f", and {plural(totals['fees_created'], 'fee')} made from them" if totals["fees_created"] else ""
    rows = plural(totals["rows"], "row")
    return f"{rows} = {accepted} accepted + {duplicates} duplicates + {quarantined} quarantined{made}."
