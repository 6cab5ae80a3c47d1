"""Where a list screen has its rows from: all at hand, asked for whole, or a page at a time; and its marks.

What a row says, what is asked for and what can be done with it are each screen's own.
"""

from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, ClassVar

from textual import work

from console.mirror import Topics
from console.modals.detail import Detail
from console.screens.base import ListScreen
from console.screens.filtering import Filter, Take, asked, parse
from console.screens.ordering import Value
from console.screens.pages import PAGE_ROWS, Marks, Pages
from console.screens.rows import IN_RANGE, MARKED, UNMARKED
from console.text import count
from console.widgets.pieces import Column, Line, Piece, line, widest
from engine.api import EngineError

Document = dict[str, Any]
WIDE_ROWS = 200  # looked at for the width of columns
EXPORT_ROWS = 5_000  # of a paged list at once; every page makes the engine look at all rows again


class HeldList[Row](ListScreen):
    """A list whose rows are all here: filtered and sorted here."""

    COLUMNS: ClassVar[Sequence[Column]]
    ALSO: ClassVar[Sequence[str]] = ()  # the names of what a row is found by besides its columns

    def __init__(self) -> None:
        super().__init__()
        self._shown: list[Row] = []

    @property
    def table(self) -> Sequence[Column]:
        return self.COLUMNS

    def sortable(self) -> Sequence[int]:
        return [place for place, column in enumerate(self.COLUMNS) if column.head]

    @abstractmethod
    def everything(self) -> Sequence[Row]:
        """All rows, in the list's own order."""

    @abstractmethod
    def cells(self, row: Row) -> list[Piece]:
        """What a row shows, as cells of COLUMNS."""

    @abstractmethod
    def values(self, row: Row) -> Sequence[Value]:
        """What the cells stand for, by which they are sorted and found."""

    def also(self, _row: Row) -> Mapping[str, str]:
        """What a row is found by besides its columns."""
        return {}

    def texts(self, row: Row) -> Mapping[str, str]:
        """What a filter looks at: each column as it is shown and as it is."""
        found = zip(self.COLUMNS, self.cells(row), self.values(row), strict=True)
        told = {
            column.word: text if value is None else f"{text}\n{value}" for column, (text, _), value in found
        }
        return {**told, **self.also(row)}

    def filter_words(self) -> str:
        names = " ".join(f"{column.word}:" for column in self.COLUMNS if column.head)
        return f"text, !not, ~expression, {names}"

    def parsed(self, typed: str) -> Filter:
        names = [column.word for column in self.COLUMNS if column.head]
        return parse(typed, [*names, *self.ALSO])

    def passing(self) -> list[Row]:
        """The rows that pass the filter, in the order that was chosen."""
        return self.order.ordered(self.filter.passing(self.everything(), self.texts), self.values)

    def row_cells(self, index: int) -> list[Piece]:
        """The cells of the row at a place."""
        return self.cells(self._shown[index])

    def _row(self, index: int, width: int) -> Line:
        return self.laid(width).row(self.row_cells(index))

    def widen(self) -> None:
        """Fits the columns to the rows that are shown."""
        self.wants = widest(self.cells(row) for row in self._shown[:WIDE_ROWS])

    def chosen(self) -> Row | None:
        """The row under the cursor."""
        return self._shown[self.rows.cursor] if self.rows.cursor < len(self._shown) else None

    @abstractmethod
    def record(self, row: Row) -> Document:
        """What a file is told of a row."""

    async def exported(self) -> AsyncIterator[Sequence[Document]]:
        yield [self.record(row) for row in self._shown]

    @abstractmethod
    def detail(self) -> tuple[str, Callable[[int], list[Line]]] | None:
        """The title and the lines, for a width, of all about the row under the cursor."""

    def do_detail(self) -> None:
        found = self.detail()
        if found:
            self.deck.push_screen(Detail(*found))


class FetchedList[Row](HeldList[Row]):
    """A list that the engine is asked for whole, and that is filtered here."""

    MOVED_BY: ClassVar[Topics]  # what may change it

    def __init__(self) -> None:
        super().__init__()
        self.answered = False
        self._sought = ""  # the row that the cursor is to be on when it is there

    @abstractmethod
    def about(self, row: Row) -> str:
        """What tells the row from all others."""

    def seek(self, about: str) -> None:
        self._sought = about
        if self.answered:
            self.fill()
            self.moved()

    @abstractmethod
    async def fetch(self) -> None:
        """Asks the engine for the rows and keeps them."""

    async def fetched(self) -> None:
        """The list was filled anew."""

    def redraw(self, topics: Topics) -> None:
        """Asks again when the rows may have changed, while somebody looks."""
        super().redraw(topics)
        if topics & self.MOVED_BY and self.is_current:
            self.ask()

    @work(exclusive=True, group="page")
    async def ask(self) -> None:
        """Asks for the list again, and shows it."""
        self.asking()
        try:
            await self.fetch()
            self.answered = True
        except (EngineError, OSError) as error:
            self.trouble = str(error)
        if not self.is_left:
            self.fill()
            await self.fetched()

    def refilter(self) -> None:
        self.rows.to_top()
        self.fill()

    def fill(self) -> None:
        """Shows what passes the filter."""
        self._shown = self.passing()
        self.widen()
        found = (place for place, row in enumerate(self._shown) if self.about(row) == self._sought)
        self.rows.fill(len(self._shown), next(found, self.rows.cursor))
        self._sought = ""
        self.repaint()

    def renew(self, _gone: Sequence[str], _good: Sequence[str]) -> None:
        """Asks again after an act."""
        self.ask()


class PagedList(ListScreen):
    """A list of which the engine is asked for the pages in sight: it may have a million rows.

    The engine filters and sorts it.
    """

    MOVED_BY: ClassVar[Topics]  # what may change it
    TAKES: ClassVar[Mapping[str, Take]]  # the fields that the engine can filter by

    def __init__(self) -> None:
        super().__init__()
        self.answered = False
        self._pages = Pages()
        self._wanted: int | None = None

    def sorts(self) -> Mapping[int, str]:
        """The columns that the engine can sort by, by their places, as it calls them."""
        return {}

    def sortable(self) -> Sequence[int]:
        return list(self.sorts())

    def asked_order(self) -> Document:
        """What the engine is asked for besides, to have the rows in the order that was chosen."""
        place = self.order.place
        return {} if place is None else {"sort": self.sorts()[place], "descending": self.order.down}

    def filter_words(self) -> str:
        return f"text, !not, {' '.join(f'{name}:' for name in self.TAKES)}"

    def parsed(self, typed: str) -> Filter:
        return asked(typed, self.TAKES)

    @abstractmethod
    async def fetch(self, place: Document) -> Document:
        """Asks the engine for the rows of a place, as `offset` and `limit`: `total` and `rows`."""

    @abstractmethod
    def cells(self, index: int, row: Document) -> list[Piece]:
        """What a row that is here shows, as cells of the table."""

    def chosen(self) -> Document | None:
        """The row under the cursor, if its page is here."""
        return self._pages.row(self.rows.cursor)

    def redraw(self, topics: Topics) -> None:
        """Asks for the page in sight again when the rows may have changed."""
        super().redraw(topics)
        if topics & self.MOVED_BY and not self.is_left:
            self.want_sight()

    async def exported(self) -> AsyncIterator[Sequence[Document]]:
        """Page by page. EngineError if the list changed meanwhile: a row would be missing, or there twice."""
        last: list[Document] = []
        offset = total = 0
        while offset < total or not last:
            place = {"offset": offset - len(last), "limit": EXPORT_ROWS + len(last)}
            found = await self.fetch(place)
            again, rows = found["rows"][: len(last)], found["rows"][len(last) :]
            if last and (found["total"], again) != (total, last):
                hint = "Export it again; with a narrower filter it is read sooner."
                raise EngineError("The list changed while it was read.", hint)
            if not rows:
                return
            total, last = found["total"], rows[-1:]  # asked for once more, to see that it stayed in its place
            offset += len(rows)
            yield rows

    def refilter(self) -> None:
        self._pages = Pages()
        self.rows.to_top()
        self._want(0)

    def want_sight(self) -> None:
        """Asks for the page that the cursor is on."""
        self._want(self.rows.cursor // PAGE_ROWS)

    def _want(self, page: int) -> None:
        self._wanted = page
        self._ask(page)

    @work(exclusive=True, group="page")
    async def _ask(self, page: int) -> None:
        self.asking()
        try:
            self._pages.take(page, await self.fetch({"offset": page * PAGE_ROWS, "limit": PAGE_ROWS}))
            self.answered = True
        except (EngineError, OSError) as error:
            self.trouble = str(error)
        if self.is_left:
            return
        self._wanted = None
        self.wants = widest(self.cells(-1, row) for row in self._pages.of(page))
        self.rows.fill(self._pages.total, self.rows.cursor)
        self.repaint()

    def _missing(self, page: int) -> None:
        if self._wanted is None and not self.trouble:
            self._want(page)

    def _row(self, index: int, width: int) -> Line:
        row = self._pages.row(index)
        if row is None:
            self.call_later(self._missing, index // PAGE_ROWS)
            return line(("…", "muted"))
        return self.laid(width).row(self.cells(index, row))


class Marked(ListScreen):
    """A list whose rows can be marked; an act takes the marked ones, else the one under the cursor."""

    def __init__(self) -> None:
        super().__init__()
        self._marks = Marks()
        self._range: int | None = None  # the row at which a range was begun

    def marks_told(self) -> Piece:
        """How many rows are marked, for the head of the list."""
        return f"  ■ {count(len(self._marks))} marked" if self._marks else "", "mark"

    def mark(self, row: Document) -> None:
        """Marks the row under the cursor, or takes its mark away, and goes on to the next."""
        self._marks.turn(row)
        self.rows.move(self.rows.cursor + 1)
        self.repaint()

    def sign(self, index: int, id: str) -> Piece:
        """Whether the row is marked, or would be with the range."""
        if id in self._marks:
            return MARKED
        first, last = self._reach()
        return IN_RANGE if first <= index <= last else UNMARKED

    def _reach(self) -> tuple[int, int]:
        """The first and last row of the range that is being chosen; an empty one if none is."""
        if self._range is None:
            return 0, -1
        return min(self._range, self.rows.cursor), max(self._range, self.rows.cursor)

    def range_told(self) -> Piece:
        """That a range is being chosen, for the head of the list."""
        first, last = self._reach()
        return f"  □ range of {count(last + 1 - first)}: v marks it" if last >= first else "", "mark"

    @abstractmethod
    def mark_between(self, first: int, last: int) -> None:
        """Marks the rows from `first` to `last`, both in, that can be marked."""

    def do_range(self) -> None:
        """Begins a range at the cursor; the second time its rows are marked."""
        if self._range is None:
            self._range = self.rows.cursor
        else:
            first, last = self._reach()
            self._range = None
            self.mark_between(first, last)
        self.repaint()

    def do_back(self) -> None:
        """Leaves the range, then the filter, then the screen; marks stay."""
        if self._range is None:
            super().do_back()
        else:
            self._range = None
            self.repaint()

    def subjects(self, chosen: Document | None) -> Sequence[Document]:
        """What is known of the rows that an act takes."""
        return self._marks.known(self._marks.ids()) or ([chosen] if chosen else [])

    def do_unmark(self) -> None:
        self._marks = Marks()
        self.repaint()


class MarkedList[Row](Marked, FetchedList[Row]):
    """A list that is here whole, whose rows can be marked. Its first column is for the sign."""

    @abstractmethod
    def subject(self, row: Row) -> Document | None:
        """What is marked of a row; None if it cannot be."""

    def cells(self, row: Row) -> list[Piece]:
        return [UNMARKED, *self.row_told(row)]

    @abstractmethod
    def row_told(self, row: Row) -> list[Piece]:
        """What a row shows, as cells of COLUMNS but the first."""

    def row_cells(self, index: int) -> list[Piece]:
        row = self._shown[index]
        found = self.subject(row)
        return [self.sign(index, found["id"]) if found else UNMARKED, *self.row_told(row)]

    def refilter(self) -> None:
        self._range = None
        super().refilter()

    def mark_between(self, first: int, last: int) -> None:
        found = (self.subject(row) for row in self._shown[first : last + 1])
        self._marks.add(row for row in found if row is not None)
