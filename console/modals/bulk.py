"""The form that corrects many rows at once: one column set in all, or what the engine suggests for each.

The engine says first what would come of it, for every row; five of them are shown before and after.
"""

from collections.abc import Sequence
from typing import Any

from textual import on, work
from textual.suggester import SuggestFromList
from textual.widget import Widget

from console.modals.fix import Check
from console.modals.form import CANCEL, Form
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


class BulkForm(Form[Document]):
    """Answers with {"set": {column: value}} or {"suggested": True}. `columns`: those there are."""

    AUTO_FOCUS = "#value"

    def __init__(self, rows: int, columns: Sequence[str], guess: str, check: Check) -> None:
        super().__init__(f"Fix {plural(rows, 'row')}")
        self._rows = rows
        self._known = columns
        self._guess = guess
        self._check = check
        self._checked: tuple[Document, Document] | None = None  # what was asked, and what the engine said

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

    def below(self) -> Sequence[Widget]:
        return [Note(self._told, id="verdict")]

    def choices(self) -> Sequence[Choice]:
        return [Choice(f"Apply to {count(self._rows)}", id="apply", disabled=True)]

    def _told(self, width: int) -> list[Line]:
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
            self._ask({"set": {self._typed("column").strip(): self._typed("value")}})

    def _typed(self, id: str) -> str:
        return self.query_one(f"#{id}", Field).value

    @work(exclusive=True, group="page")
    async def _ask(self, asked: Document) -> None:
        found = await self._check(asked)
        self._take(None if found is None else (asked, found))
        if found is not None:
            self.query_one(f"#{CANCEL}", Choice).focus()

    def _take(self, checked: tuple[Document, Document] | None) -> None:
        self._checked = checked
        self.query_one("#apply", Choice).disabled = checked is None
        self.query_one("#verdict", Note).renew()

    @on(Field.Changed)
    def _changed(self) -> None:
        if self._checked is not None:
            self._take(None)

    @on(Choice.Pressed)
    def _pressed(self, event: Choice.Pressed) -> None:
        if event.choice.id == "suggested":
            self._ask({"suggested": True})
        elif event.choice.id == "apply" and self._checked is not None:
            self.dismiss(self._checked[0])


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
