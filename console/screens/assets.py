"""Assets: their status, and what keeps NAV from being known, the oldest and largest of it first."""

import json
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

from textual import on, work
from textual.widget import Widget

from console import actions
from console.acting import Acting
from console.actions import Need
from console.client import NOTHING, Topics
from console.modals.pick import Pick
from console.modals.status import StatusForm
from console.screens import panels
from console.screens.asset_lines import COLUMNS, asset_lines, cells, chosen_lines
from console.screens.base import ListScreen, bindings
from console.screens.pages import Marks
from console.screens.rows import MARKED, UNMARKED
from console.text import count, plural
from console.widgets.bars import KeyBar
from console.widgets.lines import Lines, Rows
from console.widgets.pieces import BLANK, Line, cut, fitted, line
from engine.api import EngineError, Query

Document = dict[str, Any]

UNDOABLE = ("asset_status",)
STATUSES = ("excluded", "manual", "normal")
MEANING = {
    "excluded": "excluded: spam, outside NAV; its rows and lots stay",
    "manual": "manual: a price of your own, with evidence, until it expires",
    "normal": "normal: by its observed prices",
}

GOOD, LOOKING = ("  ✓ NAV is known", "ok"), ("  looking …", "muted")


class Assets(ListScreen):
    """Opened over another screen; esc goes back to it."""

    ID = actions.ASSETS
    BINDINGS = bindings(actions.ASSETS)

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[Document] = []
        self._asked = False  # until the first answer nothing is known, and nothing is well
        self._shown: list[Document] = []
        self._marks = Marks()
        self._trouble = ""
        self._desk = Acting(self, UNDOABLE)

    def body(self) -> Sequence[Widget]:
        return (Lines(self._head, NOTHING, id="head"), Rows(self._row, NOTHING, id="list"))

    def above_keys(self) -> Sequence[Widget]:
        return (Lines(self._strip, NOTHING, id="strip"),)

    def there(self) -> Collection[Need]:
        found: set[Need] = {"row"} if self._chosen() or self._marks else set()
        return found | {"mark"} if self._marks else found

    # -- the list --

    def redraw(self, topics: Topics) -> None:
        """Asks for the list again when the ledger or a value moved."""
        super().redraw(topics)
        if topics & {"counts", "nav"}:
            self._ask()

    @work(exclusive=True, group="page")
    async def _ask(self) -> None:
        self._trouble = ""
        try:
            found = await self.deck.session.ask(Query("assets", {}))
            self._rows = [row | {"id": row["asset_id"]} for row in found["assets"]]
            self._asked = True
        except (EngineError, OSError) as error:
            self._trouble = str(error)
        self._fill()

    def refilter(self) -> None:
        self.rows.cursor = 0
        self._fill()

    def _fill(self) -> None:
        self._shown = [
            row for row in self._rows if self.filter.passes(" ".join(text for text, _ in cells(row)))
        ]
        self.rows.fill(len(self._shown), self.rows.cursor)
        self._repaint()

    def _repaint(self) -> None:
        for part in self.query(Lines):
            part.repaint()
        self.query_one(KeyBar).repaint()

    def _chosen(self) -> Document | None:
        return self._shown[self.rows.cursor] if self.rows.cursor < len(self._shown) else None

    @on(Rows.Moved)
    def _moved(self) -> None:
        self.query_one(KeyBar).repaint()

    def _row(self, index: int, width: int) -> Line:
        row = self._shown[index]
        mark = MARKED if row["id"] in self._marks else UNMARKED
        return fitted(COLUMNS, width).row([mark, *cells(row)])

    def _head(self, width: int, _height: int) -> list[Line]:
        blocking = sum(row["blocking"] is not None for row in self._rows)
        sign = (f"  × {count(blocking)} keep NAV from being known", "warn") if blocking else GOOD
        if not self._asked:
            sign = LOOKING
        marked = (f"  ■ {count(len(self._marks))} marked" if self._marks else "", "mark")
        first = line(*panels.head("Assets", count(len(self._rows))), sign, marked, *self.filter_told())
        if self._trouble:
            first = line((self._trouble, "bad"))
        row = self._chosen()
        act = line(("→ ", "muted"), (row["act"], "text")) if row and row["act"] else BLANK
        return [cut(first, width), cut(act, width), line("  ", *fitted(COLUMNS, self.rows.width - 2).head())]

    def _strip(self, width: int, _height: int) -> list[Line]:
        return [cut(self._desk.told, width)]

    def detail(self) -> tuple[str, Callable[[int], list[Line]]] | None:
        row = self._chosen()
        return ("Asset", partial(asset_lines, row)) if row else None

    def copied(self) -> str:
        row = self._chosen()
        return json.dumps(row, ensure_ascii=False) if row else ""

    def do_back(self) -> None:
        """Leaves the filter, then the screen."""
        if self.has_class("-filtering") or self.filter.typed:
            super().do_back()
        else:
            self.dismiss()

    # -- marks --

    def do_mark(self) -> None:
        row = self._chosen()
        if row:
            self._marks.turn(row)
            self.rows.move(self.rows.cursor + 1)
            self._repaint()

    def do_mark_all(self) -> None:
        self._marks.add(self._shown)
        self._repaint()

    def do_unmark(self) -> None:
        self._marks = Marks()
        self._repaint()

    # -- the act --

    def do_asset_status(self) -> None:
        row = self._chosen()
        rows = self._marks.known(self._marks.ids()) or ([row] if row else [])
        if rows:
            self._desk.carry("asset_status", self._set(rows))

    def do_undo(self) -> None:
        self._desk.carry("undo", self._desk.undo())

    def told(self) -> None:
        """The desk has something else to say."""
        self.set_class(bool(self._desk.told), "-told")
        self.query_one("#strip", Lines).repaint()

    def renew(self, gone: Sequence[str], _good: Sequence[str]) -> None:
        """The list is asked for again; assets that were dealt with lose their marks."""
        self._marks.forget(gone)
        self._ask()

    async def _set(self, rows: Sequence[Document]) -> None:
        ways = [line(MEANING[status]) for status in STATUSES]
        place = await self.deck.push_screen_wait(Pick("Status", partial(chosen_lines, rows), ways))
        if place is None:
            return
        status = STATUSES[place]
        wanted = await self.deck.push_screen_wait(StatusForm(rows, status))
        if wanted is None:
            return
        ids = [row["id"] for row in rows]
        reason = wanted.pop("reason")
        words = f"{plural(len(rows), 'asset')} {status}"
        done = await self._desk.carry_out(
            "asset_status", words, {"assets": ids, "status": status, **wanted}, reason
        )
        if done is not None:
            await self._desk.after(line(("✓ ", "ok"), words, ("  z undoes it", "muted")), ids)
