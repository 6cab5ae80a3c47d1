"""The quarantine: rows that were set aside, by reason; marked, corrected, released, rejected here.

The list, its filter and its marks are this screen's; what an act does is the desk's business.
"""

import json
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

from textual import on, work
from textual.containers import Horizontal
from textual.widget import Widget

from console import actions
from console.actions import Need
from console.client import NOTHING, Topics
from console.desk import Desk
from console.screens import panels
from console.screens.base import ListScreen, bindings
from console.screens.filtering import Filter, asked, contradicts
from console.screens.pages import PAGE_ROWS, Marks, Pages
from console.screens.rows import COLUMNS, IN_RANGE, MARKED, UNMARKED, header_of, row_cells, row_lines
from console.text import count, plural
from console.widgets.bars import KeyBar
from console.widgets.lines import Lines, Rows
from console.widgets.pieces import Line, Piece, cut, fitted, line
from engine.api import EngineError, Query

Document = dict[str, Any]


class Quarantine(ListScreen):
    """Screen 3."""

    ID = actions.QUARANTINE
    BINDINGS = bindings(actions.QUARANTINE)
    FILTER_TOLD = "text, !text, reason: file: account: status: age:>2h"

    def __init__(self) -> None:
        super().__init__()
        self._pages = Pages()
        self._marks = Marks()
        self._desk = Desk(self)
        self._reason = ""
        self._range: int | None = None  # the row at which a range was begun
        self._trouble = ""
        self._wanted: int | None = None

    def body(self) -> Sequence[Widget]:
        mine = frozenset({"quarantine"})
        side = Lines(self._side, mine, id="side")
        side.border_title = "Row"
        return (
            Lines(self._head, mine, id="head"),
            Horizontal(Rows(self._row, mine, id="list"), side, id="split"),
        )

    def above_keys(self) -> Sequence[Widget]:
        return (Lines(self._strip, NOTHING, id="strip"),)

    def there(self) -> Collection[Need]:
        found: set[Need] = {"row"} if self._pages.total else set()
        if self._marks:
            found |= {"row", "open", "mark"}
        row = self._pages.row(self.rows.cursor)
        return found | {"open"} if row and row["status"] == "open" else found

    # -- pages --

    def redraw(self, topics: Topics) -> None:
        """Asks for the page in sight again when the quarantine moved."""
        super().redraw(topics)
        if "quarantine" in topics:
            self._want(self.rows.cursor // PAGE_ROWS)

    def parsed(self, typed: str) -> Filter:
        return asked(typed)

    def refilter(self) -> None:
        self._pages = Pages()
        self._range = None
        self.rows.cursor = 0
        self._want(0)

    def _filters(self) -> Document:
        """What the engine is asked for besides a place: a typed reason goes before a chosen one."""
        chosen = {"reason": self._reason} if self._reason else {}
        return chosen | dict(self.filter.asked)

    def _want(self, page: int) -> None:
        self._wanted = page
        self._ask(page)

    @work(exclusive=True, group="page")
    async def _ask(self, page: int) -> None:
        wanted = {"offset": page * PAGE_ROWS, "limit": PAGE_ROWS, **self._filters()}
        self._trouble = ""
        try:
            found = await self.deck.session.ask(Query("quarantine_page", wanted))
            if contradicts(wanted, found["rows"]):
                raise EngineError("This engine cannot search for rows without a text.")
            self._pages.take(page, found)
        except (EngineError, OSError) as error:
            self._trouble = str(error)
        self._wanted = None
        self.rows.fill(self._pages.total, self.rows.cursor)
        self._repaint()

    def _missing(self, page: int) -> None:
        if self._wanted is None and not self._trouble:
            self._want(page)

    def _repaint(self) -> None:
        """All that tells of rows and marks, and the keys, which depend on them."""
        super().redraw(frozenset({"quarantine"}))
        self.query_one(KeyBar).repaint()

    # -- what is shown --

    def _row(self, index: int, width: int) -> Line:
        row = self._pages.row(index)
        if row is None:
            self.call_later(self._missing, index // PAGE_ROWS)
            return line(("…", "muted"))
        return fitted(COLUMNS, width).row(row_cells(row, self._sign(index, row["id"])))

    def _sign(self, index: int, id: str) -> Piece:
        if id in self._marks:
            return MARKED
        first, last = self._reach()
        return IN_RANGE if first <= index <= last else UNMARKED

    def _reach(self) -> tuple[int, int]:
        """The first and last row of the range that is being chosen; an empty one if none is."""
        if self._range is None:
            return 0, -1
        return min(self._range, self.rows.cursor), max(self._range, self.rows.cursor)

    def _head(self, width: int, _height: int) -> list[Line]:
        shown = self.filter.asked.get("status", "open")
        of = f" of {count(self.doc['quarantine']['open'])}" if shown == "open" else ""
        told = (
            f"{count(self._pages.total)}{of} rows" if of else f"{plural(self._pages.total, 'row')}, {shown}"
        )
        first = (*panels.head("Quarantine", told), *self._marks_told(), *self.filter_told())
        if self._trouble:
            first = line((self._trouble, "bad"))
        heads = line("  ", *fitted(COLUMNS, self.rows.width - 2).head())
        return [cut(first, width), panels.chips(self._reasons(), self._chosen_reason(), width), heads]

    def _marks_told(self) -> Line:
        first, last = self._reach()
        marked = f"  ■ {count(len(self._marks))} marked" if self._marks else ""
        reach = f"  □ range of {count(last + 1 - first)}: v marks it" if last >= first else ""
        return line((marked, "mark"), (reach, "mark"))

    def _side(self, width: int, height: int) -> list[Line]:
        row = self._pages.row(self.rows.cursor)
        return (
            row_lines(row, width)[:height]
            if row
            else [line(("✓ ", "ok"), ("nothing is set aside here", "muted"))]
        )

    def _strip(self, width: int, _height: int) -> list[Line]:
        return [cut(self._desk.told, width)]

    @on(Rows.Moved)
    def _moved(self) -> None:
        self.query_one("#side", Lines).repaint()
        self.query_one(KeyBar).repaint()
        if self._range is not None:
            self.query_one("#head", Lines).repaint()

    def copied(self) -> str:
        row = self._pages.row(self.rows.cursor)
        return json.dumps(row, ensure_ascii=False) if row else ""

    # -- reasons --

    def _reasons(self) -> list[tuple[str, int | None]]:
        """The chips; the chosen reason has one even when no row has it any more."""
        chosen = self._filters().get("reason")
        found = self._pages.by_reason or self.doc["quarantine"]["by_reason"]
        gone = [(chosen, 0)] if chosen and chosen not in found else []
        return [("all", None), *panels.commonest(found), *gone]

    def _chosen_reason(self) -> int:
        codes = [code for code, _ in self._reasons()]
        chosen = self._filters().get("reason")
        return codes.index(chosen) if chosen in codes else 0

    def do_reason_before(self) -> None:
        self._choose(self._chosen_reason() - 1)

    def do_reason_after(self) -> None:
        self._choose(self._chosen_reason() + 1)

    def _choose(self, place: int) -> None:
        if "reason" in self.filter.asked:
            self.deck.tell("The typed filter names a reason; esc clears it.", "warning")
            return
        codes = [code for code, _ in self._reasons()]
        chosen = codes[place % len(codes)]
        self._reason = "" if chosen == "all" else chosen
        self.refilter()

    # -- marks --

    async def do_search(self) -> None:
        await self.do_filter()

    def do_mark(self) -> None:
        row = self._pages.row(self.rows.cursor)
        if row:
            self._marks.turn(row)
            self.rows.move(self.rows.cursor + 1)
            self._repaint()

    def do_range(self) -> None:
        """Begins a range at the cursor; the second time its rows are marked."""
        if self._range is None:
            self._range = self.rows.cursor
            self._repaint()
            return
        first, last = self._reach()
        self._range = None
        known = self._pages.rows(first, last)
        if known is None:
            self._mark_ids(slice(first, last + 1))
        else:
            self._marks.add(known)
            self._repaint()

    def do_mark_all(self) -> None:
        problem = self.filter.problem or self._trouble
        if problem:
            self.deck.tell(f"mark all: the filter is not understood ({problem})", "warning")
        else:
            self._mark_ids(slice(None))

    @work(group="command")
    async def _mark_ids(self, part: slice) -> None:
        """Marks rows that were never fetched, by the ids of the whole filtered list."""
        try:
            found = await self.deck.session.ask(Query("quarantine_ids", self._filters()))
        except (EngineError, OSError) as error:
            self.deck.tell_error("mark", error)
            return
        ids = found["ids"][part]
        self._marks.add_ids(ids)
        here = set(ids)
        self._marks.add(row for row in self._pages.known() if row["id"] in here)
        if part == slice(None) and found["total"] > len(found["ids"]):
            some = f"The first {count(len(found['ids']))} of {count(found['total'])} rows are marked."
            self.deck.tell(some, "warning")
        self._repaint()

    def do_unmark(self) -> None:
        self._marks = Marks()
        self._repaint()

    def do_back(self) -> None:
        """Leaves the range, then the filter, then the screen; marks stay."""
        if self._range is None:
            super().do_back()
        else:
            self._range = None
            self._repaint()

    # -- acts --

    def _subjects(self) -> list[str]:
        """The marked rows, else the one under the cursor."""
        row = self._pages.row(self.rows.cursor)
        return self._marks.ids() or ([row["id"]] if row else [])

    def do_detail(self) -> None:
        row = self._pages.row(self.rows.cursor)
        if row:
            self._desk.start("open", [row["id"]])

    def do_fix(self) -> None:
        self._desk.start("fix", self._subjects())

    def do_release(self) -> None:
        self._desk.start("release", self._subjects())

    def do_reject(self) -> None:
        self._desk.start("reject", self._subjects())

    def do_undo(self) -> None:
        self._desk.start("undo")

    # -- what the desk needs --

    def told(self) -> None:
        """The desk has something else to say."""
        self.set_class(bool(self._desk.told), "-told")
        self.query_one("#strip", Lines).repaint()

    def renew(self, gone: Sequence[str], good: Sequence[str]) -> None:
        """The list is fetched again; rows dealt with lose their marks, those that can go on get one."""
        self._marks.forget(gone)
        self._marks.add_ids(good)
        self._pages.renew()
        self._want(self.rows.cursor // PAGE_ROWS)

    def known(self, ids: Sequence[str]) -> list[Document]:
        """What is known here of these rows."""
        row = self._pages.row(self.rows.cursor)
        return self._marks.known(ids) or ([row] if row and row["id"] in ids else [])

    def columns(self, ids: Sequence[str]) -> tuple[Sequence[str], str]:
        """The columns of these rows, and the one that is wrong most often, as far as is known here."""
        row = self._pages.row(0)
        known = self.known(ids) or ([row] if row else [])
        wrong = Counter(reason["column"] for row in known for reason in row["reasons"] if reason["column"])
        columns = header_of(known[0]["row"]) if known else ()
        return columns, next((name for name, _ in wrong.most_common(1)), "")
