"""The form that gives assets a status: from when on, a price by hand where it needs one, and why."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from textual import on
from textual.widget import Widget

from console.modals.form import Form
from console.screens.asset_lines import chosen_lines
from console.text import plural
from console.widgets.fields import Choice, Field, Note
from console.widgets.pieces import BLANK, Line, line, wrapped

Document = dict[str, Any]

SINCE = "From when on? An instant or a date; start: from the first row; empty: from now."
WHY = "Why? It is kept with the decision."


class StatusForm(Form[Document]):
    """Answers with since, price, expires and reason; None for what was left empty."""

    def __init__(self, rows: Sequence[Document], status: str) -> None:
        super().__init__(f"{plural(len(rows), 'asset')}: {status}")
        self._rows = rows
        self._status = status

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one("#reason", Field).focus()  # nothing can be chosen before

    def parts(self) -> Sequence[Widget]:
        never_priced = all(row["last_price"] is None for row in self._rows)
        made: list[Widget] = [Note(partial(chosen_lines, self._rows)), Note(partial(_spoken, SINCE))]
        made.append(Field("start" if never_priced else "", id="since", placeholder="now"))
        if self._status == "manual":
            made += [
                Note(partial(_spoken, "Price in base currency; 0 writes it off.")),
                Field(id="price", placeholder="12.50"),
                Note(partial(_spoken, "Until when?")),
                Field(id="expires", placeholder="2027-01-31"),
            ]
        return [*made, Note(partial(_spoken, WHY)), Field(id="reason", placeholder="why")]

    def choices(self) -> Sequence[Choice]:
        return [Choice(f"Set {plural(len(self._rows), 'asset')} {self._status}", id="set", disabled=True)]

    def _typed(self, id: str) -> str | None:
        return next((field.value.strip() for field in self.query(f"#{id}").results(Field)), "") or None

    @on(Field.Changed)
    def _changed(self) -> None:
        needed = ("reason", "price", "expires") if self._status == "manual" else ("reason",)
        self.query_one("#set", Choice).disabled = not all(self._typed(name) for name in needed)

    @on(Choice.Pressed, "#set")
    def _pressed(self) -> None:
        self.dismiss({name: self._typed(name) for name in ("since", "price", "expires", "reason")})


def _spoken(text: str, width: int) -> list[Line]:
    return [BLANK, *(line((part, "muted")) for part in wrapped(text, width))]
