"""Sub-periods of a series: what each began with, what it became, and where no return can be known.

Owns: linking known valuations, weighing flows by their timing, judging capital. Never: figures over many
sub-periods, which metrics.py makes; its opening has the rules and a worked example.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Instants = NDArray[np.int64]
Floats = NDArray[np.float64]
Marks = NDArray[np.bool_]

IN_BUCKET, EXACT, START, END = FLOW_TIMINGS = ("in bucket", "exact", "start of period", "end of period")
BREAKS = ("", "FLOW_UNPRICED", "NO_CAPITAL", "DIETZ_UNDEFINED", "VALUE_OUT_OF_RANGE")
UNPRICED, NO_CAPITAL, UNDEFINED, TOO_LARGE = 1, 2, 3, 4
DUST = 1e-12  # what is below this part of what it was made from is what rounding left of 0


@dataclass(frozen=True, slots=True)
class Series:
    """Valuations at ascending instants (us) and flows in any order; NaN where a value is not known.

    `opens`: the open of the bucket that each valuation closes; None: the instant of the entry before it.
    Flows: amounts into the portfolio are positive.
    """

    ts: Instants
    nav: Floats
    flow_ts: Instants
    flow: Floats
    timing: str = IN_BUCKET
    opens: Instants | None = None


@dataclass(frozen=True, slots=True)
class Chain:
    """Sub-periods between consecutive known valuations; arrays of n + 1 instants and n sub-periods.

    `factor` is NaN where `broken` (a code of BREAKS, by its place); `is_idle`: no capital and no gain.
    """

    at: Instants
    factor: Floats
    over_gap: Marks
    is_idle: Marks
    broken: NDArray[np.int8]

    @property
    def size(self) -> int:
        return len(self.factor)


def made(
    ts: Sequence[int], nav: Sequence[float | None], flow_ts: Sequence[int], flow: Sequence[float | None],
    timing: str = IN_BUCKET, opens: Instants | None = None,
) -> Series:  # fmt: skip
    """A series of plain lists; None where a value is not known."""
    return Series(
        np.array(ts, np.int64), np.array(nav, np.float64),
        np.array(flow_ts, np.int64), np.array(flow, np.float64), timing, opens,
    )  # fmt: skip


def chain(series: Series) -> Chain:
    """Links the known valuations of a series. ValueError for instants that do not ascend."""
    ts, nav = series.ts, series.nav
    if series.timing not in FLOW_TIMINGS or bool((ts[1:] <= ts[:-1]).any()):
        raise ValueError("valuations ascend, and flow timing is one of " + ", ".join(FLOW_TIMINGS))
    unknown = np.isnan(nav)
    whole = not unknown.any()
    known = slice(None) if whole else np.flatnonzero(~unknown)
    at, value = ts[known], nav[known]
    if len(at) < 2:
        nothing = np.zeros(0)
        return Chain(at, nothing, nothing.astype(bool), nothing.astype(bool), nothing.astype(np.int8))
    if whole and series.opens is None:
        over_gap = np.zeros(len(at) - 1, np.bool_)
    else:
        over_gap = _opens(series)[known][1:] != at[:-1]
    links = _judged(at, value[:-1], value[1:], over_gap)
    if len(series.flow_ts):
        _weigh_flows(series, links, value)
    return links


def _opens(series: Series) -> Instants:
    if series.opens is not None:
        return series.opens
    return np.concatenate((series.ts[:1], series.ts[:-1]))


def _judged(at: Instants, start: Floats, end: Floats, over_gap: Marks) -> Chain:
    """Sub-periods from their capital and what it became."""
    broken = np.zeros(len(start), np.int8)
    is_idle = np.zeros(len(start), np.bool_)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        factor = end / start
    if start.min() > 0 and end.min() >= 0 and factor.max() < np.inf:
        return Chain(at, factor, over_gap, is_idle, broken)
    empty, negative = start == 0, (start < 0) | (end < 0)
    is_idle = empty & (end == 0)
    broken[factor == np.inf] = TOO_LARGE
    broken[negative] = UNDEFINED
    broken[empty] = NO_CAPITAL
    broken[np.isnan(start) | np.isnan(end)] = UNPRICED
    broken[is_idle] = 0
    factor[is_idle] = 1.0
    factor[broken > 0] = np.nan
    return Chain(at, factor, over_gap, is_idle, broken)


def _weigh_flows(series: Series, links: Chain, value: Floats) -> None:
    """Judges anew the sub-periods in which something came or went."""
    at = links.at
    inside = (series.flow_ts > at[0]) & (series.flow_ts <= at[-1])
    ts, flow = series.flow_ts[inside], series.flow[inside]
    order = np.lexsort((flow, ts))  # sums do not depend on the order in which flows are told
    ts, flow = ts[order], flow[order]
    period = np.searchsorted(at, ts, side="left") - 1
    weight = _weights(series, at, ts, flow, period, links.over_gap)
    touched, place = np.unique(period, return_inverse=True)
    if not len(touched):
        return
    start, end = value[touched], value[touched + 1]
    scale = np.abs(start)
    np.add.at(scale, place, np.abs(flow))
    np.add.at(start, place, weight * flow)
    np.add.at(end, place, -(1 - weight) * flow)
    for amounts in (start, end):
        amounts[np.abs(amounts) <= DUST * scale] = 0.0
    judged = _judged(touched, start, end, links.over_gap[touched])
    links.factor[touched], links.is_idle[touched] = judged.factor, judged.is_idle
    links.broken[touched] = judged.broken


def _weights(
    series: Series, at: Instants, ts: Instants, flow: Floats, period: Instants, over_gap: Marks
) -> Floats:
    """The share of its sub-period in which each flow was invested."""
    if series.timing in (START, END):
        bucket = np.searchsorted(series.ts, ts, side="left")
        instant = series.ts[bucket] if series.timing == END else _opens(series)[bucket]
    else:
        instant = ts
    length = at[period + 1] - at[period]
    weight = np.clip((at[period + 1] - instant) / length, 0.0, 1.0)
    if series.timing == IN_BUCKET:
        weight = np.where(over_gap[period], weight, np.where(flow > 0, 1.0, 0.0))
    return np.asarray(weight)
