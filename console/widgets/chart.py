"""A line chart of text: figures at the left, time below, gaps as gaps and marked on a rail.

The curve is drawn by plotext from at most two points a column; the rest is set here, so that figures align,
colours have the theme's meanings and a repaint sends only the cells that changed.
"""

import math
import re
from collections.abc import Callable, Sequence

from console.widgets.figures import DAY_US, HOUR_US, MINUTE_US, from_us
from console.widgets.lines import Lines
from console.widgets.pieces import Line, Piece
from console.widgets.series import Sample, gap_rail, place, strokes

ROWS_A_FIGURE = 3  # rows of the chart for each figure at the left
CELLS_A_TIME = 14  # between two times below
_CODES = re.compile(r"\x1b\[[0-9;]*m")
_TIME_STEPS_US = [
    *(MINUTE_US * minutes for minutes in (5, 15, 30)),
    *(HOUR_US * hours for hours in (1, 2, 3, 4, 6, 12)),
    *(DAY_US * days for days in (1, 2, 7, 14, 28, 91, 182, 364)),
]
RAIL = {"": (" ", "text"), "held": ("‖", "held"), "missing": ("×", "warn"), "broken": ("!", "bad")}

Figure = Callable[[float], str]


class Chart(Lines):
    """A panel that is drawn at most every two seconds."""

    least_s = 2.0


def ready() -> None:
    """Imports what draws; slow the first time, so it is done off the event loop."""
    import textual_plotext.plot  # noqa: F401


def chart(
    found: Sequence[Sample],
    width: int,
    height: int,
    figure: Figure,
    mark: str = "accent",
    ascii_only: bool = False,
) -> list[Line]:
    """The chart in `width` x `height` cells; nothing where there is no known value or no room."""
    known = [sample.value for sample in found if sample.value is not None]
    rows = height - 2
    if not known or rows < 3:
        return []
    low, high = _reach(min(known), max(known))
    labels = _labels(low, high, rows, figure)
    edge = max(len(label) for label in labels)
    columns = width - edge - 2
    if columns < 10:
        return []
    drawn = _canvas(found, columns, rows, (low, high), "*" if ascii_only else "braille")
    body: list[Line] = [
        ((f"{label:>{edge}} ", "muted"), ("┤" if label else "│", "muted"), (row, mark))
        for label, row in zip(labels, drawn, strict=True)
    ]
    return [*body, _rail(found, edge, columns), _times(found, edge, columns)]


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
        row = rows - 1 - round((tick * step - low) / (high - low) * (rows - 1))
        labels[row] = figure(tick * step)
        tick += 1
    return labels


def _round_step(least: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * digit for digit in (1, 2, 5, 10) if power * digit >= least * 0.999999)


def _canvas(
    found: Sequence[Sample], columns: int, rows: int, reach: tuple[float, float], marker: str
) -> list[str]:
    """The bare curve, one string a row."""
    from textual_plotext.plot import Plot

    first, last = found[0].ts, max(found[-1].ts, found[0].ts + 1)
    plot = Plot()
    plot.theme("clear")
    plot.plotsize(columns, rows)
    plot._set_size(columns, rows)  # plotsize alone cuts it to the terminal that plotext believes in
    plot.frame(False)
    plot.xaxes(False)
    plot.yaxes(False)
    plot.xticks([])
    plot.yticks([])
    plot.xlim(0, 1)
    plot.ylim(*reach)
    for stroke in strokes(found, columns):
        xs = [(sample.ts - first) / (last - first) for sample in stroke]
        ys = [sample.value for sample in stroke]
        (plot.plot if len(stroke) > 1 else plot.scatter)(xs, ys, marker=marker)
    drawn = _CODES.sub("", plot.build()).split("\n")[:rows]
    return [row.ljust(columns)[:columns] for row in (*drawn, *[""] * (rows - len(drawn)))]


def _rail(found: Sequence[Sample], edge: int, columns: int) -> Line:
    """The line below the curve: a sign in each column with something unknown, and why."""
    pieces: list[Piece] = [(" " * (edge + 1) + "┴", "muted")]
    pieces += [RAIL[kind] if kind else ("─", "muted") for kind in gap_rail(found, columns)]
    return tuple(pieces)


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
