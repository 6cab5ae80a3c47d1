"""A curve as characters: dots of braille, quarters of blocks, or ASCII signs. Pure.

Every extreme of the values is a dot of its own row and column, and nothing is drawn across what is not known.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from console.widgets.series import Sample, place, strokes

_BRAILLE_DOTS = (0x01, 0x08, 0x02, 0x10, 0x04, 0x20, 0x40, 0x80)  # from the top, left then right


@dataclass(frozen=True, slots=True)
class Pen:
    """What a curve is drawn with: `wide` x `high` dots a cell, and a sign for each set of them.

    Dot number `y * wide + x` from the top left is the bit of that number.
    """

    wide: int
    high: int
    signs: str


def _braille() -> str:
    codes = (sum(dot for bit, dot in enumerate(_BRAILLE_DOTS) if bits >> bit & 1) for bits in range(256))
    return "".join(chr(0x2800 + code) if code else " " for code in codes)


BRAILLE = Pen(2, 4, _braille())
BLOCK = Pen(2, 2, " ▘▝▀▖▌▞▛▗▚▐▜▄▙▟█")
ASCII = Pen(1, 2, " '.:")
PENS = {"braille": BRAILLE, "block": BLOCK, "ascii": ASCII}


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
) -> list[str]:
    """The bare curve in `columns` x `rows` cells, one string a row; `reach`: lowest and highest figure.

    `bars`: each value stands on the ground by itself, and is joined to no other.
    """
    wide, high = columns * by.wide, rows * by.high
    cells = [[0] * columns for _ in range(rows)]
    for stroke in strokes(found, wide):
        dots = [
            (place(sample.ts, found[0].ts, found[-1].ts, wide), level(sample.value or 0.0, high, reach))
            for sample in stroke
        ]
        for part in ([(x, high - 1), (x, y)] for x, y in dots) if bars else (dots,):
            for x, y in _joined(part):
                cells[y // by.high][x // by.wide] |= 1 << (y % by.high * by.wide + x % by.wide)
    return ["".join(by.signs[bits] for bits in row) for row in cells]


def level(value: float, rows: int, reach: tuple[float, float]) -> int:
    """The row of a value, from the top."""
    low, high = reach
    return rows - 1 - min(rows - 1, max(0, round((value - low) / (high - low) * (rows - 1))))


def _joined(dots: Sequence[tuple[int, int]]) -> Iterable[tuple[int, int]]:
    """The dots and those on the lines between one and the next."""
    yield dots[0]
    for before, after in pairwise(dots):
        steps = max(abs(after[0] - before[0]), abs(after[1] - before[1]))
        for step in range(1, steps + 1):
            yield _between(before[0], after[0], step, steps), _between(before[1], after[1], step, steps)


def _between(start: int, end: int, step: int, steps: int) -> int:
    return start + (2 * (end - start) * step + steps) // (2 * steps)
