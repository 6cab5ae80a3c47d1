"""Lots: what is held lot by lot, what was realized, and from any figure to its source rows.

A home can have a million pieces: the engine filters and pages, this screen shows what is in sight.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

from textual import work
from textual.widget import Widget

from console import actions
from console.actions import Need
from console.modals.detail import Detail
from console.modals.lots import TracePage, WhatIf
from console.screens import lot_lines, panels
from console.screens.base import as_json, bindings, split
from console.screens.filtering import LOTS
from console.screens.lists import PagedList
from console.screens.lot_lines import COLUMNS, OPEN, REALIZED, SORTS, STATES
from console.screens.ordering import Order
from console.text import count
from console.widgets.lines import Lines
from console.widgets.pieces import Column, Line, Piece, cut, line
from engine.api import Query

Document = dict[str, Any]
WHAT = {OPEN: "open lots", REALIZED: "realized pieces"}


class Lots(PagedList):
    """Over the NAV."""

    ID = actions.LOTS
    BINDINGS = bindings(actions.LOTS)
    IS_OVER = True
    MOVED_BY = frozenset({"counts"})
    TAKES = LOTS

    def __init__(self) -> None:
        super().__init__()
        self._state = OPEN
        self._sums: dict[str, str | None] = {}
        self._method = ""

    def body(self) -> Sequence[Widget]:
        return (
            Lines(self._head, self.MOVED_BY, id="head"),
            split("Row", self._row, self._side, self.MOVED_BY),
        )

    def there(self) -> Collection[Need]:
        return {*super().there(), "row"} if self._pages.total else ()

    # -- pages --

    @property
    def table(self) -> Sequence[Column]:
        return COLUMNS[self._state]

    def sorts(self) -> Mapping[int, str]:
        return {place: SORTS[column.word] for place, column in enumerate(self.table) if column.word in SORTS}

    def refilter(self) -> None:
        self._sums = {}
        super().refilter()

    async def fetch(self, place: Document) -> Document:
        wanted = {"state": self._state} | place | dict(self.filter.asked) | self.asked_order()
        found = await self.deck.session.ask(Query("lots_page", wanted))
        self._sums, self._method = found["sums"], found["method"]
        return found

    # -- what is shown --

    def cells(self, _index: int, row: Document) -> list[Piece]:
        return lot_lines.lot_cells(row, self.now) if self._state == OPEN else lot_lines.piece_cells(row)

    def _head(self, width: int, _height: int) -> list[Line]:
        names = [panels.choice(name, name == self._state) for name in STATES]
        told = f"{count(self._pages.total)} {WHAT[self._state]}, {self._method}"
        first = self.first_line("Lots", told, ("  ", "text"), *names)
        sums = lot_lines.sums_line(self._state, self._sums)
        return [cut(first, width), cut(sums, width), self.heads()]

    def _side(self, width: int, height: int) -> list[Line]:
        row = self.chosen()
        return lot_lines.side_lines(row, width)[:height] if row else [line(("nothing here", "muted"))]

    def copied(self) -> str:
        return as_json(self.chosen())

    # -- acts --

    def do_state(self) -> None:
        """Open lots, or realized pieces."""
        self._state = STATES[1 - STATES.index(self._state)]
        self.order, self.wants = Order(), ()
        self.refilter()

    async def do_find(self) -> None:
        await self.do_filter()

    def do_detail(self) -> None:
        row = self.chosen()
        if row is None:
            return
        tx = row.get("disposal_tx") or row["acquisition_tx"]
        if tx is None:
            self.deck.tell("open: nothing is known to have acquired this lot", "warning")
        else:
            self._open(tx)

    @work(group="page")
    async def _open(self, tx: str) -> None:
        found = await self.deck.asked("open", Query("lots_explain", {"tx": tx}))
        if found is not None:
            self.deck.push_screen(TracePage(found, self._show_row))

    def _show_row(self, tx: str) -> None:
        self._open_row(tx)

    @work(group="page")
    async def _open_row(self, tx: str) -> None:
        found = await self.deck.asked("open", Query("explain", {"tx": tx}))
        if found is not None:
            self.deck.push_screen(Detail("Source row", partial(lot_lines.explained_lines, found)))

    def do_what_if(self) -> None:
        row = self.chosen() or {}
        names = {"asset": "asset_id", "account": "account", "quantity": "quantity"}
        guess = {field: row[name] for field, name in names.items() if name in row}
        self.deck.push_screen(WhatIf(guess, self._imagine))

    async def _imagine(self, sale: Document) -> Document | None:
        return await self.deck.asked("what if", Query("what_if", sale))
