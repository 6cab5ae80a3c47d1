"""The form that corrects one row: what is wrong comes first, each with its rule and what the engine suggests.

Enter has the row checked by the engine, which stores nothing then. What is typed goes there as it is.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from textual import on
from textual.containers import Horizontal
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from console.modals.checked import Check, Checked, CheckedForm
from console.screens.rows import header_of, verdict_line
from console.text import count, shorten, words
from console.widgets.fields import Choice, Field, Note
from console.widgets.pieces import Line, Piece, cut, line, wrapped

Document = dict[str, Any]

NAME_CELLS = 16  # of a column's name, as in console.tcss
SUGGESTION_CELLS = 30  # of a suggested value, as shown
HOW = "Enter checks the row; nothing is stored before you apply it."


class FixForm(CheckedForm):
    """Answers with the columns to set and their values. `shown`: the row, as `quarantine_show` tells it."""

    AUTO_FOCUS = "Field"

    def __init__(self, shown: Document, check: Check) -> None:
        super().__init__("Fix a row", check)
        self._place = line((shown["file"], "strong"), (f"  line {count(shown['line'])}", "muted"))
        self._reasons: list[Document] = shown["reasons"]
        self._suggested = {each["column"]: each for each in shown.get("suggestions", [])}
        self._before: dict[str, str] = shown["row"]
        wrong = list(dict.fromkeys(reason["column"] for reason in self._reasons))
        columns = list(dict.fromkeys([*self._before, *header_of(self._before)]))
        self._told_rules: list[Note] = []
        self._columns = sorted(columns, key=lambda name: wrong.index(name) if name in wrong else len(wrong))

    # -- what it is made of --

    def parts(self) -> Sequence[Widget]:
        general = [reason for reason in self._reasons if reason["column"] not in self._columns]
        made: list[Widget] = [Note(lambda width: [cut(self._place, width)])]
        if general:
            made.append(Note(partial(_rules, general, 2)))
        for name in self._columns:
            made += self._column(name)
        return made

    def _column(self, name: str) -> list[Widget]:
        broken = _about(self._reasons, name)
        head = Static(Content(f"{'!' if broken else ' '} {name}"), classes="wrong" if broken else "")
        made: list[Widget] = [
            Horizontal(head, Field(self._before.get(name, ""), id=f"f-{name}"), classes="field")
        ]
        if broken:
            self._told_rules.append(Note(partial(self._rules_of, name)))
            made.append(self._told_rules[-1])
        if name in self._suggested:
            made.append(self._suggestion(name))
        return made

    def _rules_of(self, name: str, width: int) -> list[Line]:
        """The rules that the column breaks: as it was, or as it was checked."""
        now = self._reasons if self._checked is None else self._checked[1]["rows"][0]["reasons"]
        broken = _about(now, name)
        passes = line(" " * (NAME_CELLS + 2), ("✓ breaks no rule now", "ok"))
        return _rules(broken, NAME_CELLS + 2, width) if broken else [passes]

    def _suggestion(self, name: str) -> Widget:
        value, why = (self._suggested[name][key] for key in ("value", "why"))
        choice = Choice(f"use {shorten(value, SUGGESTION_CELLS) or 'nothing: empty'}", id=f"s-{name}")
        reason = Note(lambda width: [line((part, "muted")) for part in wrapped(why, width)][:2])
        return Horizontal(choice, reason, classes="suggestion")

    def choices(self) -> Sequence[Choice]:
        return [Choice("Apply", id="apply")]

    def verdict(self, width: int) -> list[Line]:
        if self._checked is None:
            return [line((part, "muted")) for part in wrapped(HOW, width)]
        found = self._checked[1]
        (row,) = found["rows"]
        return [verdict_line(found), *_rules(row["reasons"], 2, width)[:3]]

    # -- what happens in it --

    def take(self, checked: Checked | None) -> None:
        super().take(checked)
        for note in self._told_rules:
            note.renew()

    def next_after(self, found: Document) -> Widget:
        """A row that still fails: the field that is wrong, in sight."""
        wrong = [reason["column"] for reason in found["rows"][0]["reasons"]]
        still = next((name for name in self._columns if name in wrong), None)
        return self.query_one(f"#f-{still}", Field) if still else super().next_after(found)

    def changes(self) -> dict[str, str]:
        """The columns whose values are others than before; one that the row lacks counts as typed."""
        lacks = any(reason["code"] == "COLUMN_COUNT" for reason in self._reasons)
        typed = {name: self.query_one(f"#f-{name}", Field).value for name in self._columns}
        return {
            name: value for name, value in typed.items()
            if value != self._before.get(name, "") or (lacks and name not in self._before)
        }  # fmt: skip

    def submitted(self, _field: Field) -> None:
        if self.changes():
            self.ask({"set": self.changes()})
        else:
            self.deck.tell("Nothing is changed yet.", "warning")

    @on(Choice.Pressed)
    def _pressed(self, event: Choice.Pressed) -> None:
        pressed = event.choice.id or ""
        if pressed.startswith("s-"):
            field = self.query_one(f"#f-{pressed[2:]}", Field)
            field.value = self._suggested[pressed[2:]]["value"]
            field.cursor_position = len(field.value)
            field.focus()


def _about(reasons: Sequence[Document], column: str) -> list[Document]:
    return [reason for reason in reasons if reason["column"] == column]


def _rules(reasons: Sequence[Document], indent: int, width: int) -> list[Line]:
    """Each rule that is broken, with what it means."""
    made: list[Line] = []
    for reason in reasons:
        text = f"{reason['code']}: {reason.get('hint') or words(reason['code'])}"
        lead: Piece = (" " * indent, "text")
        made += [(lead, (part, "warn")) for part in wrapped(text, max(8, width - indent))]
    return made
