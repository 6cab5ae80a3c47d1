"""Lines of text as plain values: pieces with a meaning, and columns that fit a width.

A meaning ("ok", "held") becomes a colour only when a widget draws it. Nothing here knows of Textual or of
themes, and nothing ever reads text as markup.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from console.text import CUT, shorten

type Piece = tuple[str, str]  # text, meaning
type Line = tuple[Piece, ...]

MARKS = ("text", "strong", "muted", "ok", "warn", "bad", "held", "mark", "accent", "reverse")
BLANK: Line = ()
GAP = "  "  # between columns


def line(*parts: str | Piece) -> Line:
    """A line of these parts; bare text has no meaning of its own."""
    return tuple((part, "text") if isinstance(part, str) else part for part in parts)


def cells(line: Line) -> int:
    """How many cells the line takes."""
    return sum(cell_len(text) for text, _ in line)


def cut(line: Line, width: int) -> Line:
    """The line in at most `width` cells; what is cut off at the right is told by an ellipsis."""
    if cells(line) <= width:
        return line
    if width <= 0:
        return BLANK
    kept: list[Piece] = []
    room = width - 1
    for text, mark in line:
        kept.append((_start(text, room), mark))
        room -= cell_len(text)
        if room <= 0:
            break
    return (*kept, (CUT, "muted"))


def _start(text: str, width: int) -> str:
    room = max(0, width)
    kept = text[:room]
    while cell_len(kept) > room:
        kept = kept[:-1]
    return kept


def spread(left: Line, right: Line, width: int) -> Line:
    """`left` at the left end and `right` at the right one; the left gives way."""
    end = cut(right, width)
    room = width - cells(end)
    shown = cut(left, room - 1)
    return (*shown, (" " * (room - cells(shown)), "text"), *end)


def joined(parts: Iterable[Line], between: str) -> Line:
    """The parts after one another, with `between`, muted, between them."""
    made: list[Piece] = []
    for part in parts:
        if made:
            made.append((between, "muted"))
        made += part
    return tuple(made)


def as_fits(parts: Iterable[Line], width: int, between: str = "  ") -> Line:
    """The parts after one another as far as whole parts fit; what comes last is dropped first."""
    made: Line | None = None
    for part in parts:
        wider = part if made is None else joined([made, part], between)
        if made is not None and cells(wider) > width:
            break
        made = wider
    return cut(made or BLANK, width)


def wrapped(text: str, width: int) -> list[str]:
    """`text` in lines of at most `width` cells, broken between words; a longer word is broken too."""
    lines = [""]
    for word in text.split(" "):
        glued = f"{lines[-1]} {word}" if lines[-1] else word
        if cell_len(glued) <= width:
            lines[-1] = glued
            continue
        if lines[-1]:
            lines.append("")
        while cell_len(word) > width > 0:
            head = _start(word, width) or word[0]
            lines[-1:] = [head, ""]
            word = word[len(head) :]
        lines[-1] = word
    return lines


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its head, least width in cells; left out first if `rank` is higher, 0: never.

    `grows`: takes its share of the room that nothing needs. `prose`: cut at its end; names are cut in the
    middle.
    """

    head: str
    least: int
    right: bool = False
    rank: int = 0
    grows: int = 0
    prose: bool = False

    @property
    def word(self) -> str:
        """Its head in a word, as it is typed before a colon in a filter."""
        return self.head.partition(" ")[0].lower()


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns that fit a width, by their place among all, with the width each has."""

    columns: Sequence[Column]
    widths: dict[int, int]

    def head(self, sorted_by: int | None = None, sign: str = "") -> Line:
        """The heads, muted, over their columns; that of the sorted one carries the sign of its direction."""
        heads: list[Piece] = [(column.head, "muted") for column in self.columns]
        if sorted_by is not None and sorted_by in self.widths:
            told = _start(self.columns[sorted_by].head, self.widths[sorted_by] - 1)
            heads[sorted_by] = f"{told}{sign}", "mark"
        return self.row(heads)

    def row(self, found: Sequence[Piece]) -> Line:
        """One row: each cell padded or shortened to its column."""
        last = max(self.widths)
        made: list[Piece] = []
        for place, width in self.widths.items():
            text, mark = found[place]
            column = self.columns[place]
            made.append((_padded(text, width, column), mark))
            if place != last:
                made.append((GAP, "text"))
        return tuple(made)


def widest(rows: Iterable[Sequence[Piece]]) -> list[int]:
    """How many cells each column needs for all of these rows; nothing where there are none."""
    return [max(cell_len(text) for text, _ in cells) for cells in zip(*rows, strict=True)]


def fitted(columns: Sequence[Column], width: int, wants: Sequence[int] = ()) -> Layout:
    """The layout of `columns` in `width` cells; room that is left goes where something would be cut first.

    `wants`: the cells that each column needs to tell its rows whole.
    """
    shown = list(range(len(columns)))
    needs = [_need(column, wants[place] if wants else column.least) for place, column in enumerate(columns)]
    while len(shown) > 1 and _all(needs, shown) > width and any(columns[place].rank for place in shown):
        shown.remove(max(shown, key=lambda place: columns[place].rank))
    spare = max(0, width - _all(needs, shown))
    widths = {place: needs[place] for place in shown}
    for goal in (wants or needs, [column.least for column in columns]):
        for place in sorted(shown, key=lambda place: goal[place] - widths[place]):
            more = max(0, min(goal[place] - widths[place], spare))
            widths[place] += more
            spare -= more
    shares = sum(columns[place].grows for place in shown) or 1
    return Layout(
        columns, {place: least + spare * columns[place].grows // shares for place, least in widths.items()}
    )


def _need(column: Column, want: int) -> int:
    """The cells that a column cannot do without; one that grows gives what its rows do not need."""
    return min(column.least, max(want, cell_len(column.head))) if column.grows else column.least


def _all(needs: Sequence[int], shown: Sequence[int]) -> int:
    return sum(needs[place] for place in shown) + len(GAP) * (len(shown) - 1)


def _padded(text: str, width: int, column: Column) -> str:
    is_cut = column.prose and cell_len(text) > width
    shown = _start(text, width - 1) + CUT if is_cut else shorten(text, width)
    space = " " * (width - cell_len(shown))
    return space + shown if column.right else shown + space
