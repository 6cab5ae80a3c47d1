"""The parts of a page: a table that fits the width there is, and the lines around it.

Data is shown as text only: never as markup, never as control codes. It knows no verb and no document.

A table takes the width there is: names are cut in the middle, columns that matter least are left out, and
where even the rest has no room, each row becomes a few lines. Amounts and instants are never cut.
"""

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from console.terminal import lacks_signs
from console.text import UNKNOWN, ascii_signs, count, safe_text, shorten, words

ROWS_SHOWN = 40  # of a long table; the rest is told by count and had with --json
PIPED_WIDTH = 120  # cells, where no terminal says its own
GAP = 2  # cells between columns
NATURAL_MOST = 60  # cells; a column that may be cut asks for no more
GOOD, WARN, BAD, QUIET = "green", "yellow", "red", "dim"


def show(*parts: RenderableType) -> None:
    """Prints to stdout, as wide as the terminal, with colours and signs only where it has them."""
    console = Console(highlight=False, emoji=False, width=None if sys.stdout.isatty() else PIPED_WIDTH)
    with console.capture() as captured:
        console.print(Group(*parts))
    drawn = "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())
    plain = lacks_signs(os.environ, sys.stdout.encoding or "utf-8")  # text that is not encoded has all
    sys.stdout.write(ascii_signs(drawn) if plain else drawn)


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `least`: cells that it may be cut down to; 0: it is never cut.

    `rank`: the highest is left out first; 0: never. `wraps`: it is folded between words instead of cut.
    `brief`: its head where room is short.
    """

    name: str
    right: bool = False
    least: int = 0
    rank: int = 0
    wraps: bool = False
    brief: str = ""

    def head(self, brief: bool) -> str:
        return self.brief or self.name if brief else self.name


class Grid:
    """Rows under heads, fitted to the width there is when it is drawn. An empty column is left out."""

    def __init__(self, columns: Sequence[Column], rows: Iterable[Sequence[Text | str]]) -> None:
        self._columns = columns
        self._rows = [[cell if isinstance(cell, Text) else text(cell) for cell in row] for row in rows]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        plan = self._plan(options.max_width)
        yield from self._stacked() if plan is None else [self._table(*plan)]

    def _plan(self, width: int) -> tuple[bool, dict[int, int]] | None:
        """Whether heads are brief, and the width of each column that is shown; None if it cannot be."""
        shown = [place for place in range(len(self._columns)) if any(row[place].plain for row in self._rows)]
        while True:
            for brief in (False, True):
                widths = {place: self._natural(place, brief) for place in shown}
                if self._fit(widths, width - GAP * (len(shown) - 1), shrinking=brief, brief=brief):
                    return brief, widths
            rank, last = max((self._columns[place].rank, place) for place in shown)
            if rank == 0:
                return None
            shown.remove(last)

    def _natural(self, place: int, brief: bool) -> int:
        column = self._columns[place]
        lines = (line for row in self._rows for line in row[place].plain.split("\n"))
        widest = max(map(cell_len, lines), default=0)
        return max(min(widest, NATURAL_MOST) if column.least else widest, cell_len(column.head(brief)))

    def _fit(self, widths: dict[int, int], room: int, shrinking: bool, brief: bool) -> bool:
        """Makes the widths fit into `room`, by cutting the widest that may be cut."""
        least = {place: max(self._columns[place].least, cell_len(self._columns[place].head(brief)))
                 for place in widths if self._columns[place].least and shrinking}  # fmt: skip
        for _ in range(sum(widths.values()) - room):
            cuttable = [place for place in least if widths[place] > least[place]]
            if not cuttable:
                return False
            widths[max(cuttable, key=lambda place: widths[place])] -= 1
        return True

    def _table(self, brief: bool, widths: dict[int, int]) -> Table:
        made = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False)
        for place, width in widths.items():
            column = self._columns[place]
            side: Literal["right", "left"] = "right" if column.right else "left"
            made.add_column(column.head(brief), justify=side, width=width, no_wrap=not column.wraps)
        for row in self._rows:
            made.add_row(*(self._cell(row[place], place, width) for place, width in widths.items()))
        return made

    def _cell(self, cell: Text, place: int, width: int) -> Text:
        if self._columns[place].wraps or not self._columns[place].least:
            return cell
        return Text("\n".join(shorten(line, width) for line in cell.plain.split("\n")), style=cell.style)

    def _stacked(self) -> Iterator[RenderableType]:
        for row in self._rows:
            named = zip((column.name for column in self._columns), row, strict=True)
            yield pairs((name, cell) for name, cell in named if cell.plain)
            yield Text("")


def text(value: object, style: str = "") -> Text:
    """Data as a cell or line."""
    return Text(safe_text(value), style=style, overflow="fold")


def figure(told: str) -> Text:
    """A figure as a cell; what is unknown or nothing is quiet."""
    return Text(told, style=QUIET if told in (UNKNOWN, "0") else "")


def pairs(rows: Iterable[tuple[str, object]]) -> Table:
    """Names and values, two columns without a head."""
    made = Table.grid(padding=(0, GAP, 0, 0), pad_edge=False)
    made.add_column(style=QUIET, no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in rows:
        made.add_row(name, value if isinstance(value, Text) else text(value))
    return made


def section(title: str, *parts: RenderableType) -> Group:
    """A title, what stands under it, and an empty line."""
    return Group(Text(title, style="bold"), *parts, Text(""))


def hint(told: str) -> Text:
    """What to do next."""
    return text(f"→ {told}", QUIET)


def rest(rows: Sequence[Any], how: str) -> list[RenderableType]:
    """The line under a table that shows only some of its rows."""
    return [hint(f"{count(len(rows) - ROWS_SHOWN)} more; {how}")] if len(rows) > ROWS_SHOWN else []


def legend(counts: dict[str, int], what: str, style: str = QUIET) -> Grid:
    """Codes with how often they occur and what they mean, most frequent first."""
    columns = (Column(what), Column("count", right=True), Column("what it means", least=24, wraps=True))
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    rows = [(text(code, style), figure(count(number)), words(code)) for code, number in ordered]
    return Grid(columns, rows)


def counted(lists: Iterable[Iterable[str]]) -> dict[str, int]:
    """How often each code occurs in lists of codes."""
    counts: dict[str, int] = {}
    for codes in lists:
        for code in codes:
            counts[code] = counts.get(code, 0) + 1
    return counts
