"""Series of values over time, made ready to be drawn. Pure; the only place where a figure becomes a float.

A value that is not known stays unknown: it is a gap, never a line drawn across.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from console.widgets.figures import to_us

STEP_US = {"5m": 300_000_000, "1h": 3_600_000_000, "1d": 86_400_000_000}
WHY = ("", "missing", "held", "broken")  # of several in one column of a chart, the last is seen
ABSENT_STEPS = 1.5  # between two points; beyond, buckets in between are absent


@dataclass(frozen=True, slots=True)
class Sample:
    """One point: `value` None where it is not known. `why` there is none, or it is not used: one of WHY."""

    ts: int
    value: float | None
    why: str = ""


def samples(points: Sequence[dict[str, Any]], resolution: str, key: str = "nav") -> list[Sample]:
    """The points of `nav --json`, or of another figure beside it, to be drawn.

    A stretch without buckets is a gap too, and so is a break, where an index begins anew.
    """
    made: list[Sample] = []
    most = STEP_US[resolution] * ABSENT_STEPS
    for point in points:
        ts = to_us(point["bucket_close"])
        gap = "missing" if made and ts - made[-1].ts > most else ""
        gap = "broken" if made and key != "nav" and point["break"] else gap
        if gap:
            made.append(Sample((made[-1].ts + ts) // 2, None, gap))
        value = None if point[key] is None else float(point[key])
        made.append(Sample(ts, value, "" if value is not None else why(point)))
    return made


def why(point: dict[str, Any]) -> str:
    """The kind of gap that a point without NAV is."""
    return "held" if point["held"] else "missing"


def drawdown(found: Sequence[Sample]) -> list[Sample]:
    """How far each known value is below the highest known one before it: 0 or less, as a ratio.

    Of the values as they are: money that came or went is not taken out. None where no value was above 0 yet.
    """
    peak = 0.0
    made = []
    for sample in found:
        if sample.value is None:
            made.append(sample)
            continue
        peak = max(peak, sample.value)
        below = sample.value / peak - 1 if peak > 0 else None
        made.append(Sample(sample.ts, below, "missing" if below is None else ""))
    return made


def place(ts: int, first: int, last: int, columns: int) -> int:
    """The column of an instant between the first and the last: each column is as long as the others."""
    return min(columns - 1, (ts - first) * columns // (last - first)) if last > first else 0


def strokes(found: Sequence[Sample], columns: int) -> list[list[Sample]]:
    """Unbroken stretches of known values, each with at most the least and the most value of a column."""
    if not found:
        return []
    first, last = found[0].ts, found[-1].ts
    runs = groupby(found, lambda sample: sample.value is not None)
    stretches = [list(run) for known, run in runs if known]
    return [_reduced(stretch, first, last, columns) for stretch in stretches]


def _reduced(stretch: Sequence[Sample], first: int, last: int, columns: int) -> list[Sample]:
    kept: list[Sample] = []
    for _, group in groupby(stretch, lambda sample: place(sample.ts, first, last, columns)):
        column = sorted(group, key=lambda sample: (sample.value or 0.0, sample.ts))
        kept += sorted({column[0], column[-1]}, key=lambda sample: sample.ts)
    return kept


def gap_rail(found: Sequence[Sample], columns: int) -> list[str]:
    """For each column why something in it is not known or not used; empty where all is well.

    Every gap is seen, whole. A known value may say why too: a figure that is withheld.
    """
    rail = [""] * columns
    for before, sample in zip((None, *found), found, strict=False):
        if not sample.why:
            continue
        here = place(sample.ts, found[0].ts, found[-1].ts, columns)
        joined = sample.value is None or (before is not None and before.why == sample.why)
        start = place((before or sample).ts, found[0].ts, found[-1].ts, columns) if joined else here
        for column in range(min(here, start + 1), here + 1):
            rail[column] = max(rail[column], sample.why, key=WHY.index)
    return rail
