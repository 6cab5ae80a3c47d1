"""The quarantine: rows that were set aside, by reason; marked, corrected, released, rejected here.

The list, its filter and its marks are this screen's; what an act does is the desk's business.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from textual import work
from textual.widget import Widget

from console import actions
from console.actions import Need
from console.desk import Desk
from console.screens import panels
from console.screens.acts import ActingScreen
from console.screens.base import as_json, bindings, split
from console.screens.filtering import QUARANTINE, Filter, with_whole_reason
from console.screens.lists import Marked, PagedList
from console.screens.rows import COLUMNS, header_of, row_cells, row_lines
from console.text import count, plural
from console.widgets.lines import Lines
from console.widgets.pieces import Column, Line, Piece, cut, line
from engine.api import EngineError, Query

Document = dict[str, Any]
SORTS = ("reason", "file", "line")  # by which the engine can sort


class Quarantine(ActingScreen, Marked, PagedList):
    """Screen 3."""

    ID = actions.QUARANTINE
    BINDINGS = bindings(actions.QUARANTINE)
    MOVED_BY = frozenset({"quarantine"})
    TAKES = QUARANTINE

    def __init__(self) -> None:
        super().__init__()
        self._desk: Desk = Desk(self)
        self._reason = ""

    def body(self) -> Sequence[Widget]:
        return (
            Lines(self._head, self.MOVED_BY, id="head"),
            split("Row", self._row, self._side, self.MOVED_BY),
        )

    def there(self) -> Collection[Need]:
        found: set[Need] = {*super().there(), "row"} if self._pages.total else set()
        if self._marks:
            found |= {"row", "open", "mark"}
        row = self.chosen()
        return found | {"open"} if row and row["status"] == "open" else found

    # -- pages --

    @property
    def table(self) -> Sequence[Column]:
        return COLUMNS

    def sorts(self) -> Mapping[int, str]:
        return {place: column.word for place, column in enumerate(COLUMNS) if column.word in SORTS}

    def parsed(self, typed: str) -> Filter:
        codes = {*self._pages.by_reason, *self.doc["quarantine"]["by_reason"]}
        return with_whole_reason(super().parsed(typed), codes)

    def refilter(self) -> None:
        self._range = None
        super().refilter()

    def _filters(self) -> Document:
        """What the engine is asked for besides a place: a typed reason goes before a chosen one."""
        chosen = {"reason": self._reason} if self._reason else {}
        return chosen | dict(self.filter.asked)

    async def fetch(self, place: Document) -> Document:
        wanted = place | self._filters() | self.asked_order()
        return await self.deck.session.ask(Query("quarantine_page", wanted))

    # -- what is shown --

    def cells(self, index: int, row: Document) -> list[Piece]:
        return row_cells(row, self.sign(index, row["id"]))

    def _head(self, width: int, _height: int) -> list[Line]:
        shown = self.filter.asked.get("status", "open")
        of = f" of {count(self.doc['quarantine']['open'])}" if shown == "open" else ""
        told = (
            f"{count(self._pages.total)}{of} rows" if of else f"{plural(self._pages.total, 'row')}, {shown}"
        )
        if of and not self.doc["quarantine"]["open"]:
            told = "✓ nothing is set aside"
        first = self.first_line("Quarantine", told, self.marks_told(), self.range_told())
        chips = panels.chips(self._reasons(), self._chosen_reason(), width)
        return [cut(first, width), chips, self.heads()]

    def _side(self, width: int, height: int) -> list[Line]:
        row = self.chosen()
        return (
            row_lines(row, width)[:height]
            if row
            else [line(("✓ ", "ok"), ("nothing is set aside here", "muted"))]
        )

    def copied(self) -> str:
        return as_json(self.chosen())

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
        row = self.chosen()
        if row:
            self.mark(row)

    def mark_between(self, first: int, last: int) -> None:
        known = self._pages.rows(first, last)
        if known is None:
            self._mark_ids(slice(first, last + 1))
        else:
            self._marks.add(known)

    def do_mark_all(self) -> None:
        problem = self.filter.problem or self.trouble
        if problem:
            self.deck.tell(f"mark all: the filter is not understood ({problem})", "warning")
        else:
            self._mark_ids(slice(None))

    @work(group="command")
    async def _mark_ids(self, part: slice) -> None:
        """Marks rows that were never fetched, by the ids of the whole filtered list."""
        try:
            found = await self.deck.session.ask(Query("quarantine_ids", self._filters() | self.asked_order()))
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
        self.repaint()

    # -- acts --

    def _subjects(self) -> list[str]:
        """The marked rows, else the one under the cursor."""
        row = self.chosen()
        return self._marks.ids() or ([row["id"]] if row else [])

    def do_detail(self) -> None:
        row = self.chosen()
        if row:
            self._desk.start("detail", [row["id"]])

    def do_fix(self) -> None:
        self._desk.start("fix", self._subjects())

    def do_release(self) -> None:
        self._desk.start("release", self._subjects())

    def do_reject(self) -> None:
        self._desk.start("reject", self._subjects())

    def do_undo(self) -> None:
        self._desk.start("undo")

    # -- what the desk needs --

    def renew(self, gone: Sequence[str], good: Sequence[str]) -> None:
        """The list is fetched again; rows dealt with lose their marks, those that can go on get one."""
        self._marks.forget(gone)
        self._marks.add_ids(good)
        self._pages.renew()
        self.want_sight()

    def known(self, ids: Sequence[str]) -> list[Document]:
        """What is known here of these rows."""
        row = self.chosen()
        return self._marks.known(ids) or ([row] if row and row["id"] in ids else [])

    def columns(self, ids: Sequence[str]) -> tuple[Sequence[str], str]:
        """The columns of these rows, and the one that is wrong most often, as far as is known here."""
        row = self._pages.row(0)
        known = self.known(ids) or ([row] if row else [])
        wrong = Counter(reason["column"] for row in known for reason in row["reasons"] if reason["column"])
        columns = header_of(known[0]["row"]) if known else ()
        return columns, next((name for name, _ in wrong.most_common(1)), "")
