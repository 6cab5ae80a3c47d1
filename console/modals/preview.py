"""What the inbox would bring: new rows, rows seen before, conflicting ones, bad ones by reason."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from textual import work

from console.modals.detail import Detail
from console.screens import panels
from console.text import count, plural
from console.widgets.pieces import BLANK, Column, Line, Piece, fitted, line, wrapped

Document = dict[str, Any]

CONFLICT = "IDEMPOTENCY_CONFLICT"
COLUMNS = (
    Column("file", 20, grows=1), Column("new", 8, right=True), Column("seen before", 11, right=True),
    Column("conflicting", 11, right=True), Column("bad", 6, right=True),
)  # fmt: skip
STORED = (
    "Nothing of this is stored. Each file is judged against what is stored, not against the others."
    " Back on the inbox, i takes them in."
)


class Preview(Detail):
    """`ask` gives the engine's answer, or None where it failed."""

    def __init__(self, files: int, ask: Callable[[], Awaitable[Document | None]]) -> None:
        super().__init__("Preview of the inbox", self._made)
        self._files = files
        self._ask = ask
        self._found: Document | None = None

    def on_mount(self) -> None:
        self._look()

    @work(group="page")
    async def _look(self) -> None:
        self._found = await self._ask()
        if self._found is None:
            self.dismiss()
        else:
            self._fill()

    def _made(self, width: int) -> list[Line]:
        if self._found is None:
            return [line(("▸ ", "accent"), f"reading {plural(self._files, 'file')} …")]
        return preview_lines(self._found, width)


def preview_lines(found: Document, width: int) -> list[Line]:
    """The whole page."""
    layout = fitted(COLUMNS, width)
    made = [layout.head()]
    for entry in found["files"]:
        made += [layout.row(_cells(entry)), *_reasons(entry, width)]
    if len(found["files"]) > 1:
        made += [BLANK, layout.row(_sums(found["files"]))]
    made += [
        line(("! ", "warn"), name, ("  not taken: rename or remove it", "muted")) for name in found["waiting"]
    ]
    return [*made, BLANK, *(line((part, "muted")) for part in wrapped(STORED, width))]


def _counts(entry: Document) -> tuple[int, int, int, int]:
    """New, seen before, conflicting, bad."""
    conflicting = (entry.get("reasons") or {}).get(CONFLICT, 0)
    return entry["accepted"], entry["duplicates"], conflicting, entry["quarantined"] - conflicting


def _cells(entry: Document) -> list[Piece]:
    name: Piece = (entry["path"].rpartition("/")[2], "text")
    if entry["status"] != "ingested":
        return [name, *[("", "text")] * 4]
    return [name, *_figures(_counts(entry))]


def _figures(counts: Sequence[int]) -> list[Piece]:
    marks = ("text", "muted", "warn", "warn")
    return [(count(number), mark if number else "muted") for number, mark in zip(counts, marks, strict=True)]


def _sums(entries: Sequence[Document]) -> list[Piece]:
    each = [_counts(entry) for entry in entries if entry["status"] == "ingested"]
    return [("all", "strong"), *_figures([sum(counts) for counts in zip(*each, strict=True)] or [0] * 4)]


def _reasons(entry: Document, width: int) -> list[Line]:
    """Why rows, or the file, would not be taken."""
    if entry["status"] == "rejected":
        told = f"refused: {entry['reason']}  {entry.get('detail') or ''}"
        return [line("  ", ("✗ " if not n else "  ", "bad"), (part, "bad"))
                for n, part in enumerate(wrapped(told, width - 4))]  # fmt: skip
    if entry["status"] == "duplicate":
        return [line("  ", ("= these bytes are known: nothing would change", "muted"))]
    bad = {code: number for code, number in (entry.get("reasons") or {}).items() if code != CONFLICT}
    told = ", ".join(f"{code} {count(number)}" for code, number in panels.commonest(bad))
    return [line("  ", (part, "warn")) for part in wrapped(told, width - 2) if part]
