"""A curve as characters: dots of braille, quarters of blocks, or ASCII signs. plotext draws it.

It is given places in dots, not figures: so every extreme of the values is a dot of its own row and column,
and nothing is drawn across what is not known.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from console.widgets.series import Sample, place, strokes

_UNJOINED = (math.nan, math.nan)  # plotext draws no line to it, and no dot


@dataclass(frozen=True, slots=True)
class Pen:
    """What a curve is drawn with: plotext's name of it, and its `wide` x `high` dots a cell."""

    marker: str
    wide: int
    high: int


BRAILLE = Pen("braille", 2, 4)
BLOCK = Pen("hd", 2, 2)
ASCII = Pen("*", 1, 1)
PENS = {"braille": BRAILLE, "block": BLOCK, "ascii": ASCII}


def ready() -> None:
    """Imports what draws; slow the first time, so it is done off the event loop."""
    import textual_plotext.plot  # noqa: F401


def pen(setting: str, ascii_only: bool) -> Pen:
    """What to draw with: the setting's choice, but only ASCII where the terminal has nothing else."""
    return ASCII if ascii_only else PENS.get(setting, BRAILLE)


def curve(
    found: Sequence[Sample],
    columns: int,
    rows: int,
    reach: tuple[float, float],
    by: Pen,
    bars: bool = False,
) -> Sequence[str]:
    """The bare curve in `columns` x `rows` cells, one string a row; `reach`: lowest and highest figure.

    `bars`: each value stands on the ground by itself, and is joined to no other.
    """
    wide, high = columns * by.wide, rows * by.high
    dots: list[tuple[float, float]] = []
    for stroke in strokes(found, wide):
        for sample in stroke:
            x = place(sample.ts, found[0].ts, found[-1].ts, wide)
            y = high - 1 - level(sample.value or 0.0, high, reach)
            dots += [(x, y), (x, 0), _UNJOINED] if bars else [(x, y)]
        dots.append(_UNJOINED)
    return _drawn(tuple(dots), columns, rows, by)


def level(value: float, rows: int, reach: tuple[float, float]) -> int:
    """The row of a value, from the top."""
    low, high = reach
    return rows - 1 - min(rows - 1, max(0, round((value - low) / (high - low) * (rows - 1))))


@lru_cache(maxsize=8)  # a move of the crosshair draws the same curve again
def _drawn(dots: tuple[tuple[float, float], ...], columns: int, rows: int, by: Pen) -> tuple[str, ...]:
    """One dot after the other joined by lines; (0, 0) is at the bottom left."""
    from plotext import uncolorize
    from textual_plotext.plot import Plot

    plot = Plot()
    plot.plotsize(columns, rows)
    plot._set_size(columns, rows)  # plotsize alone cuts it to the terminal that plotext believes in
    plot.frame(False)
    plot.xaxes(False)
    plot.yaxes(False)
    plot.xticks([])
    plot.yticks([])
    plot.xlim(0, columns * by.wide - 1)
    plot.ylim(0, rows * by.high - 1)
    plot.plot([x for x, _ in dots], [y for _, y in dots], marker=by.marker)
    drawn = uncolorize(plot.build()).split("\n")[:rows]
    return tuple(row.ljust(columns)[:columns] for row in (*drawn, *[""] * (rows - len(drawn))))
