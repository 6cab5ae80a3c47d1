"""Figures for the eye: ages, shares, gauges, sparklines. Pure; floats only for what is drawn."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from console.text import UNKNOWN
from console.widgets.pieces import Line

ALERT_RATIO, CRITICAL_RATIO = 0.65, 0.90  # of the memory limit, CONTRACT §12
LEVELS = "▁▂▃▄▅▆▇█"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)
SECOND_US, MINUTE_US, HOUR_US, DAY_US = 1_000_000, 60_000_000, 3_600_000_000, 86_400_000_000


def to_us(told: str) -> int:
    """Microseconds UTC of an instant as the engine tells it."""
    return (datetime.fromisoformat(told) - _EPOCH) // _US


def from_us(ts: int) -> str:
    """The instant, to the second, as the engine would tell it."""
    return (_EPOCH + timedelta(microseconds=ts)).strftime("%Y-%m-%dT%H:%M:%SZ")


def span(us: int) -> str:
    """A length of time in its largest unit; nothing shorter than a minute, so that ages seldom move."""
    if us < MINUTE_US:
        return "< 1 min"
    if us < HOUR_US:
        return f"{us // MINUTE_US} min"
    return f"{us // HOUR_US} h" if us < 2 * DAY_US else f"{us // DAY_US} d"


def left(started_at: str, now: int, done: int, of: int) -> str:
    """How long work still takes if it goes on as it went: `40 s left`, `3 min left`; empty where unknown."""
    gone = now - to_us(started_at)
    if not 0 < done < of or gone < SECOND_US:
        return ""
    rest = gone * (of - done) // done
    return f"{max(1, rest // SECOND_US)} s left" if rest < MINUTE_US else f"{span(rest)} left"


def age(told: str | None, now: int) -> str:
    """How long ago it was; unknown if it never was."""
    return UNKNOWN if told is None else span(max(0, now - to_us(told)))


def clock(told: str) -> str:
    """The time of day in UTC, to the minute: `14:05`."""
    return told[11:16]


def moment(told: str, now: int) -> str:
    """The time in UTC, with its day where that is not today: `14:05Z`, `03-04 14:05Z`."""
    return f"{clock(told)}Z" if told[:10] == from_us(now)[:10] else day_clock(told, now)


def day(told: str, now: int) -> str:
    """The day in UTC: `03-04`; with its year, `2024-03-04`, where that is not the year of now."""
    return told[5:10] if told[:4] == from_us(now)[:4] else told[:10]


def day_clock(told: str, now: int) -> str:
    """Day and time in UTC: `03-04 14:05Z`."""
    return f"{day(told, now)} {told[11:16]}Z"


def share(ratio: float) -> str:
    """A share as whole percents: `61%`."""
    return f"{ratio * 100:.0f}%"


def percent(ratio: float | None, signed: bool = False) -> str:
    """A ratio as percents with two places, a true minus before negative ones."""
    if ratio is None:
        return UNKNOWN
    text = f"{ratio * 100:{'+' if signed else ''}.2f} %"
    return text.replace("-", "−")


def memory_state(ratio: float) -> tuple[str, str]:
    """The word for a share of the memory limit, and what it means."""
    if ratio >= CRITICAL_RATIO:
        return "critical", "bad"
    return ("alert", "warn") if ratio >= ALERT_RATIO else ("ok", "ok")


def level(ratio: float) -> str:
    """One character as high as the ratio."""
    return LEVELS[min(len(LEVELS) - 1, max(0, int(ratio * len(LEVELS))))]


def bar(ratio: float, width: int) -> str:
    """A bar filled up to the ratio."""
    filled = round(min(1.0, max(0.0, ratio)) * width)
    return "█" * filled + "░" * (width - filled)


def gauge(ratio: float, width: int) -> Line:
    """A bar with the alert and the critical mark on it."""
    drawn = bar(ratio, width)
    meaning = memory_state(ratio)[1]
    marks = {round(ALERT_RATIO * width): "warn", round(CRITICAL_RATIO * width): "bad"}
    return tuple(
        ("│", marks[place]) if place in marks else (sign, meaning if sign == "█" else "muted")
        for place, sign in enumerate(drawn)
    )


def spark(
    values: Sequence[float | None], width: int, low: float | None = None, high: float | None = None
) -> str:
    """The newest values as a line of levels, at most `width` wide, each column the mean of its known values.

    A column without a known value is a gap. `low` and `high` set the scale; the values themselves otherwise.
    """
    columns = _columns(values, width)
    known = [value for value in columns if value is not None]
    if not known:
        return ""
    least = min(known) if low is None else low
    reach = (max(known) if high is None else high) - least
    return "".join(
        " " if value is None else level((value - least) / reach if reach else 0.5) for value in columns
    )


def in_force(points: Sequence[Sequence[Any]], now: int, step_us: int, steps: int) -> list[float | None]:
    """The value in force at the end of each of the last `steps` steps up to now; none before the first point.

    `points`: (time, value), oldest first; a value holds until the next one.
    """
    values: list[float | None] = []
    latest, place = None, 0
    for step in range(steps - 1, -1, -1):
        while place < len(points) and points[place][0] <= now - step * step_us:
            latest = points[place][1]
            place += 1
        values.append(latest)
    return values


def _columns(values: Sequence[float | None], width: int) -> list[float | None]:
    if len(values) <= width:
        return list(values)
    edges = [len(values) * place // width for place in range(width + 1)]
    return [_mean(values[start:end]) for start, end in pairwise(edges)]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
