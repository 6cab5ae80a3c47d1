"""Widgets of plain lines on Textual's Line API: a panel, and a list with a cursor.

A repaint compares what is to be shown with what is shown, cell by cell, and sends only the runs that differ:
one changed figure costs about a hundred bytes, no change costs none.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, cast

from rich.cells import cell_len
from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from console.actions import MOVES
from console.mirror import EVERYTHING, Topics
from console.text import ascii_text, safe_text
from console.widgets.pieces import BLANK, Line, Piece, cut

if TYPE_CHECKING:
    from console.app import NavdeckApp

RUNS_APART = 6  # cells; changed runs closer than this go out as one, a cursor move costs as much

Build = Callable[[int, int], Sequence[Line]]


@lru_cache(maxsize=4096)
def shown(text: str, ascii_only: bool) -> str:
    """`text` as it may go to the terminal."""
    told = text if text.isascii() and text.isprintable() else safe_text(text)
    return ascii_text(told) if ascii_only else told


def changed_runs(before: Line, after: Line) -> list[tuple[int, int]]:
    """The cells, as (start, end), in which two lines differ."""
    old, new = _spelled(before), _spelled(after)
    length = max(len(old), len(new))
    old += [" "] * (length - len(old))
    new += [" "] * (length - len(new))
    runs: list[tuple[int, int]] = []
    for place in range(length):
        if old[place] == new[place]:
            continue
        if runs and place - runs[-1][1] < RUNS_APART:
            runs[-1] = (runs[-1][0], place + 1)
        else:
            runs.append((place, place + 1))
    return runs


def _spelled(line: Line) -> list[object]:
    """One value a cell; a wide character has its second cell empty. Plain blanks are alike in any meaning."""
    made: list[object] = []
    for text, mark in line:
        for character in text:
            made.append(" " if character == " " and mark != "reverse" else (character, mark))
            made += [""] * (cell_len(character) - 1)
    return made


READING: Line = (("reading…", "muted"),)  # what nobody knows yet is neither 0 nor well


class Lines(ScrollView, can_focus=False):
    """A panel of lines. `build` makes them for a width and a height; `topics`: what of the view they tell.

    As long as its screen has an `unread` line, it says that alone.
    """

    DEFAULT_CSS = "Lines { overflow: hidden hidden; }"
    OF_DATA: ClassVar[bool] = True  # whether it tells of what has to be read first
    least_s = 0.0  # between two repaints; the app's pulse is enough for most

    def __init__(
        self, build: Build, topics: Topics = EVERYTHING, *, id: str | None = None, classes: str = ""
    ) -> None:
        super().__init__(id=id, classes=classes or None)
        self._build = build
        self.topics = topics
        self._painted: list[Line] = []
        self._next_at_s = 0.0
        self._waiting = False

    def repaint(self) -> None:
        """Shows what is to be shown now; not sooner than `least_s` after the last time."""
        wait_s = self._next_at_s - time.monotonic() if self.least_s else 0.0
        if wait_s <= 0:
            self._paint()
        elif not self._waiting:
            self._waiting = True
            self.set_timer(wait_s, self._paint)

    def hurry(self) -> None:
        """Another picture was asked for: the next one need not wait."""
        self._next_at_s = 0.0

    def _paint(self) -> None:
        self._waiting = False
        if self.least_s:
            self._next_at_s = time.monotonic() + self.least_s
        before, self._painted = self._painted, self._made()
        regions = self._differing(before)
        if regions:
            self.refresh(*regions)

    @property
    def width(self) -> int:
        """Cells there are for a line, beside a scrollbar."""
        return self.scrollable_content_region.width

    def _made(self) -> list[Line]:
        size = self.scrollable_content_region.size
        if not size.width or not size.height:
            return []
        unread: Line | None = getattr(self.screen, "unread", None) if self.OF_DATA else None
        return [cut(unread, size.width)] if unread else list(self._build(size.width, size.height))

    def _differing(self, before: Sequence[Line]) -> list[Region]:
        regions = []
        for y in range(max(len(before), len(self._painted))):
            old, new = _at(before, y), _at(self._painted, y)
            if old != new:
                regions += [Region(start, y, end - start, 1) for start, end in changed_runs(old, new)]
        return regions

    def on_resize(self, _event: events.Resize) -> None:
        """A new size is a new picture."""
        self._painted = self._made()
        self.refresh()

    def on_show(self) -> None:
        self.repaint()

    def on_mount(self) -> None:
        """A theme can change what a mark wears and nothing of the widget itself."""
        self.app.theme_changed_signal.subscribe(self, lambda _theme: self.refresh())

    def render_line(self, y: int) -> Strip:
        """One line of the window."""
        deck = cast("NavdeckApp", self.app)
        base = deck.mark_style("cursor") if self._is_cursor(y) else self.rich_style
        segments = [
            Segment(shown(text, deck.terminal.ascii), base + deck.mark_style(mark))
            for text, mark in _at(self._painted, y)
            if text
        ]
        return Strip(segments).adjust_cell_length(self.size.width, base)

    def _is_cursor(self, _y: int) -> bool:
        return False


class Frame(Lines):
    """A panel that tells of the console itself: there is nothing to wait for."""

    OF_DATA = False


def _at(lines: Sequence[Line], y: int) -> Line:
    return lines[y] if y < len(lines) else BLANK


class Rows(Lines, can_focus=True):
    """A list with a cursor, as long as it likes: only the rows in the window are ever made.

    `row(index, width)` makes one row. The owner sets `total` and repaints.
    """

    OF_DATA = False  # it is empty before; what stands over it tells why

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(keys, action, help_text, show=False) for keys, action, _, help_text in MOVES
    ]
    DEFAULT_CSS = "Rows { overflow: hidden auto; scrollbar-size-vertical: 1; scrollbar-gutter: stable; }"

    class Told(Message):
        """Something happened to the list."""

        def __init__(self, rows: "Rows") -> None:
            super().__init__()
            self.rows = rows

        @property
        def control(self) -> "Rows":
            return self.rows

    class Moved(Told):
        """The cursor is on another row."""

    class Opened(Moved):
        """The row under the cursor was clicked a second time."""

    class Resized(Told):
        """The list has another width or height; what stands over its columns has to follow."""

    def __init__(
        self, row: Callable[[int, int], Line], topics: Topics = EVERYTHING, *, id: str | None = None
    ) -> None:
        super().__init__(self._window, topics, id=id)
        self._row = row
        self._labels: Mapping[int, str] = {}
        self.total = 0
        self.cursor = 0

    def _window(self, width: int, height: int) -> list[Line]:
        top = self.scroll_offset.y
        return [
            (self._lead(index), *self._row(index, width - 2))
            for index in range(top, min(self.total, top + height))
        ]

    def on_resize(self, _event: events.Resize) -> None:
        """Textual calls that of `Lines` too."""
        self.post_message(self.Resized(self))

    def _lead(self, index: int) -> Piece:
        """The cursor has a sign of its own, so that it is seen without colour too; labels go before it."""
        if index in self._labels:
            return f"{self._labels[index]:<2}", "reverse"
        return ("▸ ", "mark") if index == self.cursor and self.has_focus else ("  ", "text")

    def _is_cursor(self, y: int) -> bool:
        return self.total > 0 and self.scroll_offset.y + y == self.cursor

    def fill(self, total: int, cursor: int) -> None:
        """Takes a new length and cursor, and repaints."""
        before, self.total = self.cursor, total
        self.cursor = max(0, min(cursor, total - 1))
        if self.virtual_size.height != total:
            self.virtual_size = Size(0, total)
        if before != self.cursor:
            self._follow(before)
        self.repaint()

    def to_top(self) -> None:
        """Puts the cursor on the first row, and that in sight; the owner repaints."""
        self.cursor = 0
        self.scroll_to(y=0, animate=False, immediate=True)

    def label(self, labels: Mapping[int, str]) -> None:
        """Puts labels of at most two letters before rows, by their index."""
        self._labels = labels
        self.repaint()

    def move(self, cursor: int) -> None:
        """Puts the cursor on a row, as far as there are rows."""
        before, self.cursor = self.cursor, max(0, min(cursor, self.total - 1))
        if before != self.cursor:
            self._follow(before)
            self.repaint()
            self.post_message(self.Moved(self))

    def _follow(self, before: int) -> None:
        for index in (before, self.cursor):
            self.refresh_line(index)
        top, height = self.scroll_offset.y, max(1, self.size.height)
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, immediate=True)
        elif self.cursor >= top + height:
            self.scroll_to(y=self.cursor - height + 1, animate=False, immediate=True)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Other rows are in the window now."""
        self._painted = self._made()
        super().watch_scroll_y(old_value, new_value)

    def watch_has_focus(self, has_focus: bool) -> None:
        super().watch_has_focus(has_focus)
        self.repaint()

    def on_click(self, event: events.Click) -> None:
        """A click puts the cursor there, a second one opens the row."""
        index = self.scroll_offset.y + event.y
        if index == self.cursor:
            self.post_message(self.Opened(self))
        elif index < self.total:
            self.move(index)

    def action_cursor(self, by: int) -> None:
        self.move(self.cursor + by)

    def action_page(self, by: int) -> None:
        self.move(self.cursor + by * max(1, self.size.height - 1))

    def action_edge(self, end: int) -> None:
        self.move(self.total - 1 if end > 0 else 0)
