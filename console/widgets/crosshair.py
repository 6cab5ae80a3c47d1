"""How a crosshair moves over the points of a chart: by one, by a column, by a tenth, to an end. Pure.

`stops`: the instants of the points, in order. The columns are those of the curve.
"""

from collections.abc import Sequence

from console.widgets.series import place

TENTH = 10


def moved(stops: Sequence[int], stop: int, unit: str, by: int, columns: int) -> int:
    """The point that a move leads to. `unit`: point, column, page or edge; `by`: 1 on, -1 back."""
    last = len(stops) - 1
    if unit == "edge":
        return last if by > 0 else 0
    if unit == "point":
        return max(0, min(last, stop + by))
    wide = max(1, columns // TENTH) if unit == "page" else 1
    here = _column(stops, stop, columns)
    ways = range(stop, last + 1) if by > 0 else range(stop, -1, -1)
    far = (way for way in ways if abs(_column(stops, way, columns) - here) >= wide)
    return next(far, last if by > 0 else 0)


def standing(stops: Sequence[int], stop: int, columns: int) -> tuple[int, int]:
    """Which of how many points of its column it is."""
    here = _column(stops, stop, columns)
    shared = [other for other in range(len(stops)) if _column(stops, other, columns) == here]
    return shared.index(stop) + 1, len(shared)


def to_column(stops: Sequence[int], column: int, columns: int) -> int:
    """The point nearest to a column."""
    return min(range(len(stops)), key=lambda stop: abs(_column(stops, stop, columns) - column))


def _column(stops: Sequence[int], stop: int, columns: int) -> int:
    return place(stops[stop], stops[0], stops[-1], max(1, columns))
