"""What opens over the lots: the trace of one row with its source rows, and the form of an imagined sale."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from console.modals.detail import Detail
from console.modals.form import Form
from console.screens.lot_lines import Entry, imagined_lines, trace_entries
from console.widgets.fields import Choice, Field, Note
from console.widgets.lines import Rows
from console.widgets.pieces import Line, cut, line, wrapped

Document = dict[str, Any]
SALE = ("asset", "account", "quantity", "price", "at")
HINTS = {"price": "USD for one, fees taken off", "at": "now"}
HOW = "Enter asks the engine; nothing is ever stored."


class TracePage(Detail):
    """`trace`: as `lots_explain` tells it. Enter on a line hands its source row to `opened`."""

    AUTO_FOCUS = "Rows"
    KEYS_TOLD: ClassVar[str] = "enter opens the row  esc closes"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "open", "open", show=False)]

    def __init__(self, trace: Document, opened: Callable[[str], None]) -> None:
        super().__init__("Lots and source rows", lambda _width: [])
        self._trace = trace
        self._opened = opened
        self._entries: list[Entry] = []

    def compose(self) -> ComposeResult:
        with Vertical(id="page"):
            yield Rows(self._row, id="lines")

    def _fill(self) -> None:
        for rows in self.query(Rows):
            self._entries = trace_entries(self._trace, rows.width - 2)
            rows.fill(len(self._entries), rows.cursor)

    def _row(self, index: int, width: int) -> Line:
        return cut(self._entries[index].line, width) if index < len(self._entries) else ()

    @on(Rows.Opened)
    def action_open(self) -> None:
        cursor = self.query_one(Rows).cursor
        tx = self._entries[cursor].tx if cursor < len(self._entries) else None
        if tx is not None:
            self._opened(tx)


class WhatIf(Form[None]):
    """A sale under each method. `ask`: the engine's answer to the fields; None where it failed."""

    AUTO_FOCUS = "#f-price"

    def __init__(self, guess: dict[str, str], ask: Callable[[Document], Awaitable[Document | None]]) -> None:
        super().__init__("What if")
        self._guess = guess
        self._ask = ask
        self._found: Document | None = None

    def parts(self) -> Sequence[Widget]:
        return [
            Horizontal(
                Static(Content(name)),
                Field(self._guess.get(name, ""), placeholder=HINTS.get(name, ""), id=f"f-{name}"),
                classes="field",
            )
            for name in SALE
        ]

    def below(self) -> Sequence[Widget]:
        return [Note(self._told, id="verdict")]

    def choices(self) -> Sequence[Choice]:
        return [Choice("Show", id="show")]

    def _told(self, width: int) -> list[Line]:
        if self._found is None:
            return [line((part, "muted")) for part in wrapped(HOW, width)]
        return imagined_lines(self._found, width)

    def _sale(self) -> Document:
        typed = {name: self.query_one(f"#f-{name}", Field).value.strip() for name in SALE}
        return typed | {"at": typed["at"] or None}

    def submitted(self, _field: Field) -> None:
        self._show()

    @on(Choice.Pressed, "#show")
    def _pressed(self) -> None:
        self._show()

    @work(exclusive=True, group="page")
    async def _show(self) -> None:
        self._found = await self._ask(self._sale())
        self.query_one("#verdict", Note).renew()

    @on(Field.Changed)
    def _changed(self) -> None:
        """What is shown is not what is typed any more."""
        if self._found is not None:
            self._found = None
            self.query_one("#verdict", Note).renew()
