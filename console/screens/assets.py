"""Assets: their status, and what keeps NAV from being known, the oldest and largest of it first."""

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

from textual.widget import Widget

from console import actions
from console.acting import Acting
from console.actions import Need
from console.mirror import NOTHING
from console.modals.pick import Pick
from console.modals.status import StatusForm
from console.screens.acts import ActingScreen
from console.screens.asset_lines import COLUMNS, asset_lines, cells, chosen_lines, values
from console.screens.base import as_json, bindings
from console.screens.lists import MarkedList
from console.screens.ordering import Value
from console.text import count, plural
from console.widgets.lines import Lines, Rows
from console.widgets.pieces import BLANK, Line, Piece, cut, line
from engine.api import Query

Document = dict[str, Any]

UNDOABLE = ("asset_status",)
STATUSES = ("excluded", "manual", "normal")
MEANING = {
    "excluded": "excluded: spam, outside NAV; its rows and lots stay",
    "manual": "manual: a price of your own, with evidence, until it expires",
    "normal": "normal: by its observed prices",
}
TERMS = ("since", "price", "expires")  # of a status

GOOD = ("  ✓ NAV is known", "ok")


class Assets(ActingScreen, MarkedList[Document]):
    """Opened over another screen; esc goes back to it."""

    ID = actions.ASSETS
    IS_OVER = True
    MOVED_BY = frozenset({"counts", "nav"})
    BINDINGS = bindings(actions.ASSETS)
    COLUMNS = COLUMNS

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[Document] = []
        self._desk = Acting(self, UNDOABLE)

    def body(self) -> Sequence[Widget]:
        return (Lines(self._head, NOTHING, id="head"), Rows(self._row, NOTHING, id="list"))

    def there(self) -> Collection[Need]:
        found: set[Need] = {*super().there()}
        if self.chosen() or self._marks:
            found.add("row")
        return found | {"mark"} if self._marks else found

    # -- the list --

    def about(self, row: Document) -> str:
        return str(row["asset_id"])

    async def fetch(self) -> None:
        found = await self.deck.session.ask(Query("assets", {}))
        self._rows = [row | {"id": row["asset_id"]} for row in found["assets"]]

    def everything(self) -> Sequence[Document]:
        return self._rows

    def row_told(self, row: Document) -> list[Piece]:
        return cells(row, self.now)

    def subject(self, row: Document) -> Document | None:
        return row

    def values(self, row: Document) -> Sequence[Value]:
        return [None, *values(row)]

    def _head(self, width: int, _height: int) -> list[Line]:
        blocking = sum(row["blocking"] is not None for row in self._rows)
        keep = "keeps" if blocking == 1 else "keep"
        sign = (f"  × {count(blocking)} {keep} NAV from being known", "warn") if blocking else GOOD
        first = self.first_line("Assets", count(len(self._rows)), sign, self.marks_told(), self.range_told())
        row = self.chosen()
        act = line(("→ ", "muted"), (row["act"], "text")) if row and row["act"] else BLANK
        return [cut(first, width), cut(act, width), self.heads()]

    def record(self, row: Document) -> Document:
        return {name: value for name, value in row.items() if name != "id"}

    def detail(self) -> tuple[str, Callable[[int], list[Line]]] | None:
        row = self.chosen()
        return ("Asset", partial(asset_lines, row)) if row else None

    def copied(self) -> str:
        return as_json(self.chosen())

    # -- marks --

    def do_mark(self) -> None:
        row = self.chosen()
        if row:
            self.mark(row)

    def do_mark_all(self) -> None:
        self._marks.add(self._shown)
        self.repaint()

    # -- the act --

    def do_asset_status(self) -> None:
        rows = self.subjects(self.chosen())
        if rows:
            self._desk.carry("asset_status", self._set(rows))

    def renew(self, gone: Sequence[str], good: Sequence[str]) -> None:
        """The list is asked for again; assets that were dealt with lose their marks."""
        self._marks.forget(gone)
        super().renew(gone, good)

    async def _set(self, rows: Sequence[Document]) -> None:
        ways = [line(MEANING[status]) for status in STATUSES]
        place = await self.deck.push_screen_wait(Pick("Status", partial(chosen_lines, rows), ways))
        if place is None:
            return
        status = STATUSES[place]
        wanted = await self.deck.push_screen_wait(StatusForm(rows, status))
        while wanted is not None and not await self._carried(rows, status, wanted):
            wanted = await self.deck.push_screen_wait(StatusForm(rows, status, wanted))

    async def _carried(self, rows: Sequence[Document], status: str, wanted: Document) -> bool:
        """Whether the engine took it; why it did not was told then."""
        ids = [row["id"] for row in rows]
        words = f"{plural(len(rows), 'asset')} {status}"
        asked = {"assets": ids, "status": status} | {name: wanted[name] for name in TERMS}
        done = await self._desk.carry_out("asset_status", words, asked, wanted["reason"])
        if done is None:
            return False
        await self._desk.after(line(("✓ ", "ok"), words, ("  z undoes it", "muted")), ids)
        return True
