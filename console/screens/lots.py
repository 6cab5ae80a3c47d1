"""Lots: what is held lot by lot, what was realized, and from any figure to its source rows.

A home can have a million pieces: the engine filters and pages, this screen shows what is in sight.
"""

import json
from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

from textual import on, work
from textual.containers import Horizontal
from textual.widget import Widget

from console import actions
from console.actions import Need
from console.client import Topics
from console.modals.detail import Detail
from console.modals.lots import TracePage, WhatIf
from console.screens import lot_lines, panels
from console.screens.base import ListScreen, bindings
from console.screens.filtering import Filter
from console.screens.lot_lines import COLUMNS, OPEN, REALIZED, STATES
from console.screens.pages import PAGE_ROWS, Pages
from console.text import count
from console.widgets.bars import KeyBar
from console.widgets.lines import Lines, Rows
from console.widgets.pieces import Line, cut, fitted, line
from engine.api import EngineError, Query

Document = dict[str, Any]
WHAT = {OPEN: "open lots", REALIZED: "realized pieces"}


class Lots(ListScreen):
    """Over the NAV."""

    ID = actions.LOTS
    BINDINGS = bindings(actions.LOTS)
    FILTER_TOLD = "text, !text, asset: account:"

    def __init__(self) -> None:
        super().__init__()
        self._state = OPEN
        self._pages = Pages()
        self._sums: dict[str, str | None] = {}
        self._method = ""
        self._trouble = ""
        self._wanted: int | None = None

    def body(self) -> Sequence[Widget]:
        mine = frozenset({"counts"})
        side = Lines(self._side, mine, id="side")
        side.border_title = "Row"
        return (
            Lines(self._head, mine, id="head"),
            Horizontal(Rows(self._row, mine, id="list"), side, id="split"),
        )

    def there(self) -> Collection[Need]:
        return {"row"} if self._pages.total else ()

    # -- pages --

    def redraw(self, topics: Topics) -> None:
        """Asks for the page in sight again when the books may have moved."""
        super().redraw(topics)
        if "counts" in topics:
            self._want(self.rows.cursor // PAGE_ROWS)

    def parsed(self, typed: str) -> Filter:
        return lot_lines.asked(typed)

    def refilter(self) -> None:
        self._pages = Pages()
        self._sums = {}
        self.rows.cursor = 0
        self._want(0)

    def _want(self, page: int) -> None:
        self._wanted = page
        self._ask_page(page)

    @work(exclusive=True, group="page")
    async def _ask_page(self, page: int) -> None:
        place = {"state": self._state, "offset": page * PAGE_ROWS, "limit": PAGE_ROWS}
        self._trouble = ""
        try:
            found = await self.deck.session.ask(Query("lots_page", place | dict(self.filter.asked)))
            self._pages.take(page, found)
            self._sums, self._method = found["sums"], found["method"]
        except (EngineError, OSError) as error:
            self._trouble = str(error)
        self._wanted = None
        self.rows.fill(self._pages.total, self.rows.cursor)
        super().redraw(frozenset({"counts"}))
        self.query_one(KeyBar).repaint()

    def _missing(self, page: int) -> None:
        if self._wanted is None and not self._trouble:
            self._want(page)

    # -- what is shown --

    def _row(self, index: int, width: int) -> Line:
        row = self._pages.row(index)
        if row is None:
            self.call_later(self._missing, index // PAGE_ROWS)
            return line(("…", "muted"))
        cells = lot_lines.lot_cells(row, self.now) if self._state == OPEN else lot_lines.piece_cells(row)
        return fitted(COLUMNS[self._state], width).row(cells)

    def _head(self, width: int, _height: int) -> list[Line]:
        names = [panels.choice(name, name == self._state) for name in STATES]
        told = f"{count(self._pages.total)} {WHAT[self._state]}, {self._method}"
        first = (*panels.head("Lots", told), ("  ", "text"), *names, *self.filter_told())
        if self._trouble:
            first = line((self._trouble, "bad"))
        heads = line("  ", *fitted(COLUMNS[self._state], self.rows.width - 2).head())
        return [cut(first, width), cut(lot_lines.sums_line(self._state, self._sums), width), heads]

    def _side(self, width: int, height: int) -> list[Line]:
        row = self._pages.row(self.rows.cursor)
        return lot_lines.side_lines(row, width)[:height] if row else [line(("nothing here", "muted"))]

    @on(Rows.Moved)
    def _moved(self) -> None:
        self.query_one("#side", Lines).repaint()

    def copied(self) -> str:
        row = self._pages.row(self.rows.cursor)
        return json.dumps(row, ensure_ascii=False) if row else ""

    # -- acts --

    def do_state(self) -> None:
        """Open lots, or realized pieces."""
        self._state = STATES[1 - STATES.index(self._state)]
        self.refilter()

    async def do_find(self) -> None:
        await self.do_filter()

    def do_back(self) -> None:
        """Leaves the filter, then the screen."""
        if self.has_class("-filtering") or self.filter.typed:
            super().do_back()
        else:
            self.deck.pop_screen()

    def do_detail(self) -> None:
        row = self._pages.row(self.rows.cursor)
        if row is None:
            return
        tx = row.get("disposal_tx") or row["acquisition_tx"]
        if tx is None:
            self.deck.tell("open: nothing is known to have acquired this lot", "warning")
        else:
            self._open(tx)

    @work(group="page")
    async def _open(self, tx: str) -> None:
        found = await self._ask("open", Query("lots_explain", {"tx": tx}))
        if found is not None:
            self.deck.push_screen(TracePage(found, self._show_row))

    def _show_row(self, tx: str) -> None:
        self._open_row(tx)

    @work(group="page")
    async def _open_row(self, tx: str) -> None:
        found = await self._ask("open", Query("explain", {"tx": tx}))
        if found is not None:
            self.deck.push_screen(Detail("Source row", partial(lot_lines.explained_lines, found)))

    def do_what_if(self) -> None:
        row = self._pages.row(self.rows.cursor) or {}
        names = {"asset": "asset_id", "account": "account", "quantity": "quantity"}
        guess = {field: row[name] for field, name in names.items() if name in row}
        self.deck.push_screen(WhatIf(guess, self._imagine))

    async def _imagine(self, sale: Document) -> Document | None:
        return await self._ask("what if", Query("what_if", sale))

    async def _ask(self, label: str, query: Query) -> Document | None:
        """The answer; None where it failed, which was told then."""
        try:
            found: Document = await self.deck.session.ask(query)
        except (EngineError, OSError) as error:
            self.deck.tell_error(label, error)
            return None
        return found
