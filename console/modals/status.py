"""The form that gives assets a status: from when on, a price by hand where it needs one, and why."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from textual import on
from textual.widget import Widget

from console.modals.form import Form, typed_first
from console.screens.asset_lines import chosen_lines
from console.text import plural
from console.widgets.fields import Choice, Field, Note
from console.widgets.pieces import BLANK, Line, line, wrapped

Document = dict[str, Any]

SINCE = "From when on? An instant or a date; start: from the first row; empty: from now."
NEEDED = {"price": "the price", "expires": "until when", "reason": "why"}  # by hand; else the last alone
WHY = "Why? It is kept with the decision."


class StatusForm(Form[Document]):
    """Answers with since, price, expires and reason; None for what was left empty."""

    def __init__(self, rows: Sequence[Document], status: str, typed: Document | None = None) -> None:
        """`typed`: what an earlier form answered, that the engine did not take."""
        super().__init__(f"{plural(len(rows), 'asset')}: {status}")
        self._rows = rows
        self._status = status
        self._before = typed
        self._needed = NEEDED if status == "manual" else {"reason": NEEDED["reason"]}

    def begin(self) -> None:
        self.query_one(f"#{next(iter(self._needed))}", Field).focus()  # nothing can be chosen before

    def parts(self) -> Sequence[Widget]:
        never_priced = all(row["last_price"] is None for row in self._rows)
        made: list[Widget] = [Note(partial(chosen_lines, self._rows)), Note(partial(_spoken, SINCE))]
        since = "start" if never_priced and self._before is None else ""
        made.append(self._field("since", "now", since))
        if self._status == "manual":
            made += [
                Note(partial(_spoken, "Price in base currency; 0 writes it off.")),
                self._field("price", "such as 12.50"),
                Note(partial(_spoken, "Until when?")),
                self._field("expires", "such as 2027-01-31"),
            ]
        return [*made, Note(partial(_spoken, WHY)), self._field("reason", "why")]

    def _field(self, name: str, placeholder: str, value: str = "") -> Field:
        return Field((self._before or {}).get(name) or value, id=name, placeholder=placeholder)

    def choices(self) -> Sequence[Choice]:
        return [Choice(f"Set {plural(len(self._rows), 'asset')} {self._status}", id="set")]

    def _typed(self, id: str) -> str | None:
        return next((field.value.strip() for field in self.query(f"#{id}").results(Field)), "") or None

    def lacks(self) -> str:
        return typed_first([words for name, words in self._needed.items() if not self._typed(name)])

    @on(Field.Changed)
    def _changed(self) -> None:
        self.judge()

    @on(Choice.Pressed, "#set")
    def _pressed(self) -> None:
        self.dismiss({name: self._typed(name) for name in ("since", "price", "expires", "reason")})


def _spoken(text: str, width: int) -> list[Line]:
    return [BLANK, *(line((part, "muted")) for part in wrapped(text, width))]
