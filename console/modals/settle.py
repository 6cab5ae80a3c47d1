"""The form that settles transfers: what it covers, a value where one applies, and why. Cancel comes first."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from textual import on
from textual.widget import Widget

from console.modals.form import Form, typed_first
from console.screens.transfer_lines import settle_lines
from console.text import plural
from console.widgets.fields import Choice, Field, Note
from console.widgets.pieces import BLANK, Line, line, wrapped

Document = dict[str, Any]

# Kinds that a value may be told for.
VALUED = {"OUT": ("fee", "payment"), "IN": ("deposit", "gift", "opening")}


class SettleForm(Form[Document]):
    """Answers with {"value": text or None, "reason": text}. `rows`: what is to be settled, as `kind`."""

    def __init__(self, rows: Sequence[Document], kind: str) -> None:
        super().__init__(f"Settle {plural(len(rows), 'transfer')}")
        self._rows = rows
        self._kind = kind
        self._takes_value = len(rows) == 1 and kind in VALUED[rows[0]["side"]]

    def begin(self) -> None:
        self.query(Field).first().focus()  # nothing can be chosen before

    def parts(self) -> Sequence[Widget]:
        made: list[Widget] = [Note(partial(settle_lines, self._rows, self._kind))]
        if self._takes_value:
            text = "What was it worth, in USD?" + (" It may stay empty." if self._kind != "payment" else "")
            made += [Note(partial(_spoken, text)), Field(id="value", placeholder="such as 1234.56")]
        why = "Why? It is kept with the decision. If the other side arrives later, that counts instead."
        return [*made, Note(partial(_spoken, why)), Field(id="reason", placeholder="why")]

    def choices(self) -> Sequence[Choice]:
        return [Choice(f"Settle {plural(len(self._rows), 'transfer')}", id="settle")]

    def _typed(self, id: str) -> str:
        return next((field.value.strip() for field in self.query(f"#{id}").results(Field)), "")

    def lacks(self) -> str:
        needed = {"reason": "why"} | ({"value": "the value"} if self._kind == "payment" else {})
        return typed_first([words for name, words in needed.items() if not self._typed(name)])

    @on(Field.Changed)
    def _changed(self) -> None:
        self.judge()

    @on(Choice.Pressed, "#settle")
    def _pressed(self) -> None:
        self.dismiss({"value": self._typed("value") or None, "reason": self._typed("reason")})


def _spoken(text: str, width: int) -> list[Line]:
    return [BLANK, *(line((part, "muted")) for part in wrapped(text, width))]
