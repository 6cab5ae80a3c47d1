"""The quarantine: rows that were set aside, by reason, with all that is wrong with each."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from textual import on, work
from textual.containers import Horizontal
from textual.widget import Widget

from console import actions
from console.client import Topics
from console.screens import panels
from console.screens.base import ListScreen, bindings
from console.screens.filtering import Filter, plain
from console.text import UNKNOWN, count
from console.widgets.lines import Lines, Rows
from console.widgets.pieces import BLANK, Column, Line, Piece, cut, fitted, line
from engine.api import EngineError, Query

Document = dict[str, Any]

PAGE_ROWS = 200  # asked for at once; far more than a screen shows
PAGES_KEPT = 20  # the engine is asked again for older ones
COLUMNS = (
    Column("reason", 22), Column("wrong", 22, grows=2, prose=True), Column("file", 16, grows=1),
    Column("line", 7, right=True), Column("row", 30, rank=1, grows=3, prose=True),
)  # fmt: skip
KEY_FIELDS = (
    "action", "quantity", "asset_id", "base", "quote", "rate", "resolution", "close", "bucket_close",
    "timestamp", "asof", "account",
)  # fmt: skip


def row_cells(row: Document) -> list[Piece]:
    """One row as cells of COLUMNS."""
    codes = [reason["code"] for reason in row["reasons"]]
    more = f" +{len(codes) - 1}" if len(codes) > 1 else ""
    fields = [row["row"][name] for name in KEY_FIELDS if row["row"].get(name)]
    first = row["reasons"][0] if row["reasons"] else {"column": "", "value": ""}
    wrong = f"{first['column']}: {first['value'] or 'empty'}" if first["column"] else first["value"]
    return [
        (f"{codes[0] if codes else UNKNOWN}{more}", "text"), (wrong or "", "warn"), (row["file"], "text"),
        (count(row["line"]), "muted"), (" ".join(fields), "muted"),
    ]  # fmt: skip


def row_detail(row: Document, width: int) -> list[Line]:
    """All about one row: what is wrong, then every field, the wrong ones marked."""
    wrong = {reason["column"] for reason in row["reasons"]}
    where = f"{count(row['line'])}, record {count(row['record'])}"
    pairs = [("file", line(row["file"])), ("line", line(where)), ("id", line(row["id"]))]
    made = [*panels.details(pairs, width), BLANK]
    for reason in row["reasons"]:
        made += panels.reason_lines(reason, width)
    fields = [
        (f"{'!' if name in wrong else ' '} {name}", line((value or "empty", _meaning(name in wrong, value))))
        for name, value in row["row"].items()
    ]
    return [*made, BLANK, panels.head("The row as it came"), *panels.details(fields, width)]


def _meaning(is_wrong: bool, value: str) -> str:
    return "warn" if is_wrong else "text" if value else "muted"


class Pages:
    """The rows that were fetched, a page at a time; the newest pages are kept."""

    def __init__(self) -> None:
        self.total = 0
        self._pages: dict[int, list[Document]] = {}

    def row(self, index: int) -> Document | None:
        """The row, if its page is here."""
        page = self._pages.get(index // PAGE_ROWS, [])
        return page[index % PAGE_ROWS] if index % PAGE_ROWS < len(page) else None

    def take(self, page: int, total: int, rows: list[Document]) -> None:
        """Keeps a page. Another total means that the pages before it tell of another list."""
        if total != self.total:
            self._pages.clear()
        self.total = total
        self._pages[page] = rows
        while len(self._pages) > PAGES_KEPT:
            self._pages.pop(next(iter(self._pages)))


class Quarantine(ListScreen):
    """Screen 3."""

    ID = actions.QUARANTINE
    BINDINGS = bindings(actions.QUARANTINE)

    def __init__(self) -> None:
        super().__init__()
        self._pages = Pages()
        self._reason = ""
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

    def redraw(self, topics: Topics) -> None:
        """Asks for the page in sight again when the quarantine moved."""
        super().redraw(topics)
        if "quarantine" in topics:
            self._want(self.rows.cursor // PAGE_ROWS)

    def parsed(self, typed: str) -> Filter:
        return plain(typed)

    def refilter(self) -> None:
        self._pages = Pages()
        self.rows.cursor = 0
        self._want(0)

    def _want(self, page: int) -> None:
        self._wanted = page
        self._ask(page)

    @work(exclusive=True, group="page")
    async def _ask(self, page: int) -> None:
        wanted = {"offset": page * PAGE_ROWS, "limit": PAGE_ROWS, "reason": self._reason or None,
                  "text": (self.filter.typed if not self.filter.problem else "") or None}  # fmt: skip
        self._trouble = ""
        try:
            found = await self.deck.session.ask(Query("quarantine_page", wanted))
            self._pages.take(page, found["total"], found["rows"])
        except (EngineError, OSError) as error:
            self._trouble = str(error)
        self._wanted = None
        self.rows.fill(self._pages.total, self.rows.cursor)
        super().redraw(frozenset({"quarantine"}))

    def _row(self, index: int, width: int) -> Line:
        row = self._pages.row(index)
        if row is None:
            self.call_later(self._missing, index // PAGE_ROWS)
            return line(("…", "muted"))
        return fitted(COLUMNS, width).row(row_cells(row))

    def _missing(self, page: int) -> None:
        if self._wanted is None and not self._trouble:
            self._want(page)

    def _reasons(self) -> list[tuple[str, int]]:
        found = self.doc["quarantine"]
        return [("all", found["open"]), *panels.commonest(found["by_reason"])]

    def _chosen_reason(self) -> int:
        codes = [code for code, _ in self._reasons()]
        return codes.index(self._reason) if self._reason in codes else 0

    def do_reason_before(self) -> None:
        self._choose(self._chosen_reason() - 1)

    def do_reason_after(self) -> None:
        self._choose(self._chosen_reason() + 1)

    def _choose(self, place: int) -> None:
        codes = [code for code, _ in self._reasons()]
        chosen = codes[place % len(codes)]
        self._reason = "" if chosen == "all" else chosen
        self.refilter()

    def _head(self, width: int, _height: int) -> list[Line]:
        about = f"{count(self._pages.total)} of {count(self.doc['quarantine']['open'])} rows"
        first = (*panels.head("Quarantine", about), *self.filter_told())
        if self._trouble:
            first = line((self._trouble, "bad"))
        heads = line("  ", *fitted(COLUMNS, self.rows.width - 2).head())
        return [cut(first, width), panels.chips(self._reasons(), self._chosen_reason(), width), heads]

    def _side(self, width: int, height: int) -> list[Line]:
        row = self._pages.row(self.rows.cursor)
        return (
            row_detail(row, width)[:height]
            if row
            else [line(("✓ ", "ok"), ("nothing is set aside here", "muted"))]
        )

    @on(Rows.Moved)
    def _moved(self) -> None:
        self.query_one("#side", Lines).repaint()

    def detail(self) -> tuple[str, Callable[[int], list[Line]]] | None:
        row = self._pages.row(self.rows.cursor)
        return ("Row in quarantine", lambda width: row_detail(row, width)) if row else None

    def copied(self) -> str:
        row = self._pages.row(self.rows.cursor)
        return json.dumps(row, ensure_ascii=False) if row else ""
