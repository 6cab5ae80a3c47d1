"""Buckets: where they open and close in the reporting time zone, as UTC microseconds.

5m and 1h boundaries are the instants at which the local clock, by the offset just before or just after,
shows a whole multiple of five minutes or a whole hour. 1d opens at the first instant of each local date
that exists. So a repeated hour is two buckets, a half-hour shift makes a half-hour bucket, and a date that
the zone skips has none. Zone data come from `zoneinfo` alone. Never reads the clock or the machine's zone.
"""

from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from engine.domain.instants import DAY_US, SECOND_US, from_us
from engine.domain.resolutions import STEP_US
from engine.errors import UsageError

Instants = NDArray[np.int64]

_DAY_S = 86_400
_ONE_SECOND = timedelta(seconds=1)
# Longer than any bucket, so that looking this far back always finds the boundary before.
_LEAD_US = 4 * DAY_US


def closes(resolution: str, zone: str, first_ts: int, last_ts: int) -> Instants:
    """All bucket closes c with first_ts <= c <= last_ts, ascending; each is also the next bucket's open.

    UsageError for a resolution other than 5m, 1h, 1d, or a zone that `zoneinfo` does not know.
    """
    step = _step(resolution)
    if first_ts > last_ts:
        return np.empty(0, np.int64)
    starts, offsets = _stretches(zone, first_ts - _LEAD_US, last_ts)
    marks = _whole_steps(step, starts, np.append(starts[1:], last_ts), offsets)
    if resolution == "1d":
        marks = _first_of_dates(np.union1d(marks, starts[1:]), starts, offsets)
    return marks[np.searchsorted(marks, first_ts) :]


def opens(closes_arr: Instants, resolution: str, zone: str) -> Instants:
    """The open of each bucket, given its close: the boundary before it. Any order, same shape."""
    if not closes_arr.size:
        return closes_arr
    marks = closes(resolution, zone, int(closes_arr.min()) - _LEAD_US, int(closes_arr.max()))
    return marks[np.searchsorted(marks, closes_arr) - 1]


def first_close(resolution: str, zone: str, ts: int) -> int:
    """The first bucket close at or after `ts`."""
    return int(closes(resolution, zone, ts, ts + _LEAD_US)[0])


def is_boundary(resolution: str, zone: str, ts: Instants) -> NDArray[np.bool_]:
    """Whether each instant opens (and so closes) a bucket of the resolution. Any order, same shape."""
    step = _step(resolution)
    if not ts.size:
        return np.empty(0, np.bool_)
    if resolution == "1d":
        return np.isin(ts, closes(resolution, zone, int(ts.min()), int(ts.max())))
    shown_after = ts + _offsets(ts, zone)
    shown_before = ts + _offsets(ts - 1, zone)
    whole: NDArray[np.bool_] = (shown_after % step == 0) | (shown_before % step == 0)
    return whole


def local_days(ts: Instants, zone: str) -> Instants:
    """The local date of each instant, as days since 1970-01-01. Any order, same shape."""
    if not ts.size:
        return ts
    return (ts + _offsets(ts, zone)) // DAY_US


def local_dates(ts: Instants, zone: str) -> list[str]:
    """The local date of each instant as YYYY-MM-DD; of a bucket's open, this is its `dt`."""
    days, index = np.unique(local_days(ts, zone), return_inverse=True)
    texts = days.astype("datetime64[D]").astype(str).tolist()
    return [texts[i] for i in index.tolist()]


def _step(resolution: str) -> int:
    if resolution not in STEP_US:
        raise UsageError(f"There are no {resolution!r} buckets.", "Use one of 5m, 1h, 1d.")
    return STEP_US[resolution]


def _whole_steps(step: int, starts: Instants, ends: Instants, offsets: Instants) -> Instants:
    """Instants at which the clock shows a whole step. A stretch counts up to and with its end,
    because at a shift the offset just before speaks as well as the one just after."""
    runs = [
        np.arange(-(-(start + offset) // step) * step - offset, end + 1, step, dtype=np.int64)
        for start, end, offset in zip(starts.tolist(), ends.tolist(), offsets.tolist(), strict=True)
    ]
    marks: Instants = np.concatenate(runs)
    is_new: NDArray[np.bool_] = np.append(True, marks[1:] > marks[:-1])
    return marks[is_new]


def _first_of_dates(candidates: Instants, starts: Instants, offsets: Instants) -> Instants:
    """Of ascending instants, those at which a local date is seen for the first time."""
    shown = candidates + offsets[np.searchsorted(starts, candidates, side="right") - 1]
    _, first = np.unique(shown // DAY_US, return_index=True)
    opening: Instants = candidates[np.sort(first)]
    return opening


def _offsets(ts: Instants, zone: str) -> Instants:
    starts, offsets = _stretches(zone, int(ts.min()), int(ts.max()))
    in_force: Instants = offsets[np.searchsorted(starts, ts, side="right") - 1]
    return in_force


def _stretches(zone: str, first_ts: int, last_ts: int) -> tuple[Instants, Instants]:
    """Stretches of one offset that cover [first_ts, last_ts]: their starts and offsets, microseconds."""
    starts = [first_ts]
    offsets = [_offset_s(_zone(zone), first_ts // SECOND_US) * SECOND_US]
    for year in range(from_us(first_ts).year, from_us(last_ts).year + 1):
        for shift_s, offset_s in _shifts(zone, year):
            if first_ts < shift_s * SECOND_US <= last_ts:
                starts.append(shift_s * SECOND_US)
                offsets.append(offset_s * SECOND_US)
    return np.array(starts, np.int64), np.array(offsets, np.int64)


@cache
def _shifts(zone: str, year: int) -> tuple[tuple[int, int], ...]:
    """Each (instant, offset from then on) at which the zone's offset changes in a UTC year, in seconds.

    Days are compared end to end: no zone goes to another offset and back within one.
    """
    tz = _zone(zone)
    first_s = int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) - 1
    last_s = int(datetime(year, 12, 31, tzinfo=UTC).timestamp()) + _DAY_S - 1
    found = []
    for day_s in range(first_s, last_s, _DAY_S):
        at_s, end_s = day_s, day_s + _DAY_S
        while _offset_s(tz, at_s) != _offset_s(tz, end_s):
            at_s = _next_shift_s(tz, at_s, end_s)
            found.append((at_s, _offset_s(tz, at_s)))
    return tuple(found)


def _next_shift_s(tz: ZoneInfo, same_s: int, other_s: int) -> int:
    """The second at which the offset of `same_s` ends, given that it differs at `other_s`."""
    offset_s = _offset_s(tz, same_s)
    while other_s - same_s > 1:
        middle_s = (same_s + other_s) // 2
        if _offset_s(tz, middle_s) == offset_s:
            same_s = middle_s
        else:
            other_s = middle_s
    return other_s


def _offset_s(tz: ZoneInfo, at_s: int) -> int:
    offset = datetime.fromtimestamp(at_s, tz).utcoffset()
    assert offset is not None
    return offset // _ONE_SECOND


@cache
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(
            f"There is no time zone {name!r}.", "Use an IANA name such as UTC or Europe/Berlin."
        ) from None
