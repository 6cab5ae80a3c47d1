"""The form that corrects many rows at once: one column set in all, or what the engine suggests for each.

The engine says first what would come of it, for every row; five of them are shown before and after.
"""

from collections.abc import Sequence
from typing import Any

from textual import on
from textual.suggester import SuggestFromList
from textual.widget import Widget

from console.modals.checked import Check, CheckedForm
from console.screens.rows import verdict_line
from console.text import count, plural
from console.widgets.fields import Choice, Field, Note
from console.widgets.pieces import BLANK, Column, Line, Piece, fitted, line, wrapped

Document = dict[str, Any]

PREVIEW_ROWS = 5
COLUMNS = (
    Column("row", 12), Column("column", 14, grows=1), Column("before", 9, grows=2, prose=True),
    Column("after", 9, grows=2, prose=True), Column("then", 15, grows=1, prose=True),
)  # fmt: skip


class BulkForm(CheckedForm):
    """Answers with {"set": {column: value}} or {"suggested": True}. `columns`: those there are."""

    AUTO_FOCUS = "#value"

    def __init__(self, rows: int, columns: Sequence[str], guess: str, check: Check) -> None:
        super().__init__(f"Fix {plural(rows, 'row')}", check)
        self._rows = rows
        self._known = columns
        self._guess = guess

    def parts(self) -> Sequence[Widget]:
        suggester = SuggestFromList(self._known)
        return [
            Note(lambda _width: [line(("In all of them, set the column", "muted"))]),
            Field(self._guess, id="column", placeholder="column", suggester=suggester),
            Note(lambda _width: [line(("to the value", "muted"))]),
            Field(id="value", placeholder="empty"),
            Note(lambda _width: [line(("or", "muted"))]),
            Choice("apply what the engine suggests for each", id="suggested"),
        ]

    def choices(self) -> Sequence[Choice]:
        return [Choice(f"Apply to {count(self._rows)}", id="apply")]

    def verdict(self, width: int) -> list[Line]:
        if self._checked is None:
            return [
                line((part, "muted")) for part in wrapped(f"Enter checks all {count(self._rows)}.", width)
            ]
        layout = fitted(COLUMNS, width)
        rows = preview_rows(self._checked[1]["rows"])
        left = len(self._checked[1]["rows"]) - len(rows)
        more = [line((f"and {count(left)} more", "muted"))] if left else []
        heads = [BLANK, layout.head()] if rows else []
        return [verdict_line(self._checked[1]), *heads, *(layout.row(cells_of(row)) for row in rows), *more]

    def submitted(self, field: Field) -> None:
        if field.id == "column":
            self.query_one("#value", Field).focus()
        else:
            self.ask({"set": {self._typed("column").strip(): self._typed("value")}})

    def _typed(self, id: str) -> str:
        return self.query_one(f"#{id}", Field).value

    @on(Choice.Pressed, "#suggested")
    def _suggested(self) -> None:
        self.ask({"suggested": True})


def preview_rows(rows: Sequence[Document]) -> list[Document]:
    """The rows that are shown: those that still fail first, since they need a look."""
    return sorted(rows, key=lambda row: bool(row["passes"]))[:PREVIEW_ROWS]


def cells_of(row: Document) -> list[Piece]:
    """One row of the preview as cells of COLUMNS; of several changes the first."""
    name = next(iter(row["after"]), "")
    more = f" +{len(row['after']) - 1}" if len(row["after"]) > 1 else ""
    before, after = (row[side].get(name) or "empty" if name else "" for side in ("before", "after"))
    then: Piece = ("✓ passes", "ok")
    if not row["passes"]:
        then = (f"! {row['reasons'][0]['code'] if row['reasons'] else 'fails'}", "warn")
    changed = (name + more, "text") if name else ("nothing changes", "muted")
    return [(row["id"], "text"), changed, (before, "muted"), (after, "text"), then]
