"""A figure over time as lines of text: its words, the curve, figures at the left, time below, gaps on a rail.

The widget draws it and, while it has the focus, a crosshair that tells one point exactly. What the points
are, and what is known of each, is its screen's.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, ClassVar, cast

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from console.actions import CROSS_MOVES
from console.mirror import EVERYTHING, Topics
from console.widgets.canvas import BRAILLE, Pen, curve, level
from console.widgets.crosshair import moved, standing, to_column
from console.widgets.figures import DAY_US, HOUR_US, MINUTE_US, from_us, spark
from console.widgets.lines import Lines
from console.widgets.pieces import BLANK, Column, Line, Piece, as_fits, line
from console.widgets.series import Sample, gap_rail, place

if TYPE_CHECKING:
    from console.app import NavdeckApp

ROWS_A_FIGURE = 3  # rows of the chart for each figure at the left
CELLS_A_TIME = 14  # between two times below
EDGE_LEAST, EDGE_SHARE = 9, 8  # cells for figures at the left, so that charts above one another agree
LEVELS_CELLS = 24  # of a course for which there is one line alone
RULE, HAIR, CROSSED = "╌", "│", "┼"
_TIME_STEPS_US = [
    *(MINUTE_US * minutes for minutes in (1, 5, 15, 30)),
    *(HOUR_US * hours for hours in (1, 2, 3, 4, 6, 12)),
    *(DAY_US * days for days in (1, 2, 7, 14, 28, 56, 91, 182, 364)),
]
RAIL = {"": (" ", "text"), "held": ("‖", "held"), "missing": ("×", "warn"), "broken": ("!", "bad")}

Figure = Callable[[float], str]


def _unsaid(_: int) -> Line:
    return BLANK


def _unknown(_: int) -> list[Piece]:
    return []


@dataclass(frozen=True, slots=True)
class Course:
    """A figure over time, by its name: to be drawn, to be told in words, and to be looked at point by point.

    `figure`: a value at the left; `rules`: values with a line of their own, and its meaning; `within`: values
    that the scale always reaches. `words`: all of it in one line of a width. `stops`: the instants of its
    points, in order; `cells`: what is known at the n-th, exactly, a piece for each of `columns`, its time
    first; `unit`: of the second. `bars`: values that are joined to no other. `picture`: what is drawn
    instead of a curve.
    """

    name: str
    samples: Sequence[Sample]
    figure: Figure
    mark: str = "accent"
    rules: Sequence[tuple[float, str]] = ()
    within: Sequence[float] = ()
    words: Callable[[int], Line] = _unsaid
    stops: Sequence[int] = ()
    columns: Sequence[Column] = ()
    cells: Callable[[int], list[Piece]] = _unknown
    unit: str = ""
    bars: bool = False
    picture: Callable[[int, int], list[Line]] | None = None


NO_COURSE = Course("", (), str)  # before the engine has answered


class Chart(Lines, can_focus=False):
    """A panel with a course, drawn at most every two seconds; with the focus it has a crosshair.

    It takes the focus only when it is asked to: a list that is hidden must not hand it on to a chart.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(keys, action, help_text, show=False) for keys, action, _, help_text in CROSS_MOVES
    ]
    least_s = 2.0

    class Opened(Message):
        """All about the point under the crosshair is asked for; `place`: its number."""

        def __init__(self, chart: "Chart", place: int) -> None:
            super().__init__()
            self.chart, self.place = chart, place

    def __init__(
        self, course: Callable[[], Course], topics: Topics = EVERYTHING, *, id: str | None = None
    ) -> None:
        super().__init__(self._drawn, topics, id=id)
        self.course = course
        self._at: int | None = None  # the instant that the crosshair is on

    def _drawn(self, width: int, height: int) -> list[Line]:
        course = self.course()
        stop = self._stop(course)
        told = course.words(width) if stop is None else self._told(course, stop, width, height)
        at = None if stop is None else course.stops[stop]
        if course.picture is not None:
            return [told, *course.picture(width, height - 1)]
        body = chart(course, width, height - 1, cast("NavdeckApp", self.app).pen, at)
        if body:
            return [told, *body]
        levels = spark([sample.value for sample in course.samples], LEVELS_CELLS)
        return [as_fits([told, line((levels, course.mark))], width)]

    def _told(self, course: Course, stop: int, width: int, height: int) -> Line:
        """What is known under the crosshair; where several points share its column, which of them it is."""
        when, (figure, mark), *rest = course.cells(stop)
        number, many = standing(course.stops, stop, columns_of(course, width, height - 1))
        shared = f" ({number} of {many} here)" if many > 1 else ""
        lead = line(("▸ ", "mark"), (when[0], "strong"), (shared, "muted"))
        exact = line((f"{figure} {course.unit}".rstrip(), mark))
        return as_fits([lead, exact, *(line(piece) for piece in rest if piece[0])], width)

    # -- the crosshair --

    @property
    def place(self) -> int | None:
        """The number of the point that the crosshair is on."""
        return self._stop(self.course())

    def _stop(self, course: Course) -> int | None:
        if self._at is None or not course.stops:
            return None
        return max(0, bisect_right(course.stops, self._at) - 1)

    def look(self) -> None:
        """Takes the focus, and with it the crosshair."""
        self.can_focus = True
        self.focus()

    def watch_has_focus(self, has_focus: bool) -> None:
        """The crosshair begins at the newest point, or where it was clicked, and goes with the focus."""
        super().watch_has_focus(has_focus)
        self.can_focus = has_focus
        self.screen.set_class(has_focus, "-crossing")
        for other in self.screen.query("#keys, #head").results(Lines):
            self.call_after_refresh(other.repaint)
        stops = self.course().stops
        begins = stops[-1] if stops and self._at is None else self._at
        self._show(begins if has_focus else None)

    def action_cross(self, unit: str, by: int) -> None:
        """Moves on by points or columns, a tenth of the chart, or to an end."""
        course = self.course()
        stop = self._stop(course)
        if stop is not None:
            columns = columns_of(course, self.width, self._rows)
            self._show(course.stops[moved(course.stops, stop, unit, by, columns)])

    def action_open(self) -> None:
        stop = self.place
        if stop is not None:
            self.post_message(self.Opened(self, stop))

    def action_leave(self) -> None:
        """The focus goes back to the list, if there is one."""
        self.screen.set_focus(next(iter(self.screen.query("Rows")), None))

    def on_click(self, event: events.Click) -> None:
        """Puts the crosshair where it was clicked."""
        course = self.course()
        columns = columns_of(course, self.width, self._rows)
        inside = event.get_content_offset(self)
        if columns and course.stops and inside is not None:
            self.look()
            column = inside.x - (self.width - columns)
            self._show(course.stops[to_column(course.stops, column, columns)])

    @property
    def _rows(self) -> int:
        """Rows there are for the curve, its rail and its times."""
        return self.scrollable_content_region.height - 1

    def _show(self, at: int | None) -> None:
        self._at = at
        self.hurry()
        self.repaint()


# -- drawing --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Frame:
    """How a course lies in its room."""

    rows: int
    columns: int
    edge: int  # cells of the figures at the left
    reach: tuple[float, float]
    labels: list[str]


def _framed(course: Course, width: int, height: int) -> _Frame | None:
    known = [sample.value for sample in course.samples if sample.value is not None]
    scale = [*known, *course.within]
    rows = height - 2
    if not course.samples or not scale or rows < 3:
        return None
    reach = _reach(min(scale), max(scale))
    labels = _labels(*reach, rows, course.figure)
    edge = max(min(EDGE_LEAST, width // EDGE_SHARE), *(len(label) for label in labels))
    columns = width - edge - 2
    return _Frame(rows, columns, edge, reach, labels) if columns >= 10 else None


def columns_of(course: Course, width: int, height: int) -> int:
    """How many columns the curve has in `width` x `height` cells; 0 where none is drawn."""
    frame = None if course.picture else _framed(course, width, height)
    return frame.columns if frame else 0


def chart(course: Course, width: int, height: int, by: Pen = BRAILLE, at: int | None = None) -> list[Line]:
    """The curve in `width` x `height` cells; nothing where there is no known value or no room.

    `at`: the instant of the crosshair.
    """
    frame = _framed(course, width, height)
    if frame is None:
        return []
    found, columns, edge = course.samples, frame.columns, frame.edge
    hair = None if at is None else place(at, found[0].ts, found[-1].ts, columns)
    rules = {level(value, frame.rows, frame.reach): mark for value, mark in course.rules}
    drawn = curve(found, columns, frame.rows, frame.reach, by, course.bars)
    body: list[Line] = [
        (
            (f"{label:>{edge}} ", "muted"),
            ("┤" if label else "│", "muted"),
            *_row(row, course.mark, rules.get(y), hair),
        )
        for y, (label, row) in enumerate(zip(frame.labels, drawn, strict=True))
    ]
    return [*body, _rail(found, edge, columns, hair), _times(found, edge, columns)]


def _row(row: str, mark: str, rule: str | None, hair: int | None) -> list[Piece]:
    """One row of the curve; a rule and the crosshair show where it leaves the room."""
    signs = [(RULE, rule) if rule and sign == " " else (sign, mark) for sign in row]
    if hair is not None:
        signs[hair] = (HAIR if row[hair] == " " else row[hair], "mark")
    return _runs(signs)


def _runs(signs: Sequence[Piece]) -> list[Piece]:
    """Neighbours of one meaning as one piece."""
    runs = groupby(signs, lambda sign: sign[1])
    return [("".join(text for text, _ in run), mark) for mark, run in runs]


def _reach(least: float, most: float) -> tuple[float, float]:
    """The lowest and highest figure of the scale; a level line has room on both sides."""
    room = (most - least) * 0.04 or abs(most) * 0.01 or 1.0
    return (least - room, most + room if most else 0.0)


def _labels(low: float, high: float, rows: int, figure: Figure) -> list[str]:
    """A round figure in the row it belongs to, empty strings in the others; from the top."""
    labels = [""] * rows
    step = _round_step((high - low) / max(1, rows // ROWS_A_FIGURE))
    tick = math.ceil(low / step)
    while tick * step <= high:
        labels[level(tick * step, rows, (low, high))] = figure(tick * step)
        tick += 1
    return labels


def _round_step(least: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * digit for digit in (1, 2, 5, 10) if power * digit >= least * 0.999999)


def _rail(found: Sequence[Sample], edge: int, columns: int, hair: int | None) -> Line:
    """The line below the curve: a sign in each column with something unknown, and why."""
    signs: list[Piece] = [RAIL[kind] if kind else ("─", "muted") for kind in gap_rail(found, columns)]
    if hair is not None:
        signs[hair] = (CROSSED if signs[hair][0] == "─" else signs[hair][0], "mark")
    return ((" " * (edge + 1) + "┴", "muted"), *_runs(signs))


def _times(found: Sequence[Sample], edge: int, columns: int) -> Line:
    """Round times under their columns, in UTC."""
    first, last = found[0].ts, found[-1].ts
    wanted = (last - first) / max(1, columns // CELLS_A_TIME)
    step = next((step for step in _TIME_STEPS_US if step >= wanted), _TIME_STEPS_US[-1])
    text = [" "] * columns
    for ts in range(-(-first // step) * step, last + 1, step):
        label = _time(ts, step)
        start = min(place(ts, first, last, columns), columns - len(label))
        if "".join(text[max(0, start - 2) : start + len(label) + 1]).strip() == "":
            text[start : start + len(label)] = label
    return ((" " * (edge + 2) + "".join(text), "muted"),)


def _time(ts: int, step: int) -> str:
    told = from_us(ts)
    if step >= 28 * DAY_US:
        return told[:10]
    return told[5:10] if step >= DAY_US or ts % DAY_US == 0 else told[11:16]
