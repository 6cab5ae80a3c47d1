"""A chart as a table: the same figures, one point a line, to be read, read aloud, or copied."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from rich.cells import cell_len
from textual.binding import Binding, BindingType

from console import actions
from console.modals.detail import Detail
from console.text import plural
from console.widgets.chart import Course
from console.widgets.pieces import BLANK, Line, Piece, fitted, line, wrapped

WORDS_CELLS = 1_000  # of a chart's words before they are folded


class Twin(Detail):
    """The page of one chart, newest point first."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "app.act('copy')", "copy", show=False),
        Binding("w", "dismiss", "close", show=False),
    ]
    KEYS_TOLD = f"{actions.BY_ID['copy'].shown} copies it  esc closes"

    def __init__(self, course: Course) -> None:
        self._course = course
        self._cells = [course.cells(stop) for stop in reversed(range(len(course.stops)))]
        super().__init__(course.name, self._made)

    def _made(self, width: int) -> list[Line]:
        words = "".join(text for text, _ in self._course.words(WORDS_CELLS))
        told = [line((part, "text")) for part in wrapped(words, width)]
        about = line((f"{plural(len(self._cells), 'point')}, newest first", "muted"))
        return [*told, about, BLANK, *table(self._course, self._cells, width)]

    def copied(self) -> str:
        """The table with tabs between its columns."""
        heads = [column.head for column in self._course.columns]
        rows = [heads, *([text for text, _ in cells] for cells in self._cells)]
        return "\n".join("\t".join(row) for row in rows)


def table(course: Course, rows: Sequence[Sequence[Piece]], width: int) -> list[Line]:
    """The points under their heads; a column is as wide as its longest figure, so that none is cut."""
    columns = [
        replace(column, least=max([column.least, *(cell_len(row[place][0]) for row in rows)]))
        if column.right
        else column
        for place, column in enumerate(course.columns)
    ]
    layout = fitted(columns, width)
    return [layout.head(), *(layout.row(row) for row in rows)]
