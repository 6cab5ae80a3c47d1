"""Returns of a series of valuations with flows: TWR, drawdown, volatility, XIRR. Floats, and never a guess.

The problem. A portfolio is worth 100 at Monday's close. On Tuesday 50 come in, and it closes at 165. On
Wednesday no price is there, so nobody knows what it was worth, and 20 are taken out at noon. Thursday closes
at 160. What did the portfolio itself return, whatever came and went, and how far is that known?

A worked example, flow timing `in bucket`:

    Tuesday    in 50, counts from the open:       165 / (100 + 50)                    = 1.1
    Wednesday  unknown. Tuesday's close to Thursday's is one sub-period over a gap of two days; the 20 left a
               quarter of it after its start and weigh 3/4 (Modified Dietz):
                                                  1 + (160 - 165 + 20) / (165 - 20 x 0.75) = 1.1
    TWR        1.1 x 1.1 - 1                                                          = 0.21
    coverage   1 day of 3 is neither broken nor over a gap                            = 0.3333...

Had Wednesday's 20 been of unknown value, the chain would be broken there (FLOW_UNPRICED): no TWR and no
drawdown over the range, and 0.1 over the longest unbroken stretch, Monday to Tuesday.

The rules. A valuation holds all flows up to its own instant, so a flow belongs to the sub-period (before, at]
in which it falls. A flow f has the weight w, the share of the sub-period in which it was invested:

    factor = (end - sum of (1 - w) f) / (start + sum of w f)

    `in bucket`         w = 1 for an inflow, 0 for an outflow; over a gap by the flow's own instant
    `exact`             w by the flow's own instant; at a valuation's instant it is 0: exactly before it
    `start of period`   every flow counts from the open of the bucket in which it falls
    `end of period`     every flow counts from the close of the bucket in which it falls

A bucket reaches from one entry of the series to the next, known or not, unless opens are given; a sub-period
that is longer than the bucket that ends it spans a gap. Capital 0 that ends as 0 counts as 1 and is no
return; capital 0 with a gain is NO_CAPITAL; average capital below 0, or a loss of more than all of it, is
DIETZ_UNDEFINED. Drawdown is on the index of linked factors, whose first value is a peak. Volatility is of
log returns, n - 1, without sub-periods over a gap, broken ones and those without capital.

What is refused. A value for a hole, a return across a break, 0 or infinity for what is not known: they are
None with a reason. This module gets plain arrays; it knows no price, no ledger and no clock.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyxirr
from numpy.typing import NDArray

from engine.domain.instants import DAY_US, SECOND_US, format_instant
from engine.portfolio.sub_periods import (
    BREAKS,
    DUST,
    TOO_LARGE,
    UNPRICED,
    Chain,
    Floats,
    Instants,
    Marks,
    Series,
    chain,
)

NO_VALUATION, ONE_VALUATION = "NO_VALUATION", "ONE_VALUATION"
TOO_FEW, LOST_ALL, NO_SOLUTION = "TOO_FEW_RETURNS", "RETURN_OF_MINUS_100_PERCENT", "NO_SOLUTION"
OUT_OF_RANGE = BREAKS[TOO_LARGE]
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Drawdown:
    """The deepest fall of the index: depth <= 0; instants None where it never fell, or has not recovered."""

    depth: float
    peak: int | None
    trough: int | None
    recovery: int | None
    duration_s: int  # from peak to recovery, or to the last valuation


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure, or None with a reason."""

    value: float | None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Stretch:
    """Sub-periods [first, last) of a chain without a break."""

    first: int
    last: int
    twr: float | None


# -- figures of a chain -------------------------------------------------------------------------------


def reason(links: Chain) -> str | None:
    """Why there is no TWR over the whole chain; None if there is one."""
    if not len(links.at):
        return NO_VALUATION
    if not links.size:
        return ONE_VALUATION
    places = np.flatnonzero(links.broken)
    return BREAKS[links.broken[places[0]]] if len(places) else None


def index(links: Chain) -> Floats:
    """The linked index at every instant of the chain: 1 at its start, and at 1 again behind each break."""
    if not len(links.at):
        return np.zeros(0)
    made = np.empty(len(links.at))
    made[0] = 1.0
    for first, last in _unbroken(links):
        made[first] = 1.0
        np.cumprod(links.factor[first:last], out=made[first + 1 : last + 1])
    return made


def _unbroken(links: Chain) -> list[tuple[int, int]]:
    """Stretches [first, last) of sub-periods between breaks; an empty one where two breaks meet."""
    places = np.flatnonzero(links.broken).tolist() if links.broken.any() else []
    return list(zip([0, *(place + 1 for place in places)], [*places, links.size], strict=True))


def underwater(made: Floats) -> Floats:
    """How far an unbroken index is below its highest value so far: 0 or less."""
    top = np.maximum.accumulate(made)
    with np.errstate(invalid="ignore"):
        np.divide(made, top, out=top)
    top -= 1
    return top


def drawdown(at: Instants, made: Floats) -> Drawdown:
    """The deepest fall of an unbroken index at ascending instants; at least one of each.

    Levels that only rounding tells apart are one level: what came back to its peak has recovered.
    """
    below = underwater(made)
    depth = below.min()
    if not depth < -DUST:
        return Drawdown(0.0, None, None, None, 0)
    trough = int(np.flatnonzero(below <= depth + DUST)[0])
    top = made[: trough + 1].max() * (1 - DUST)
    peak = int(np.flatnonzero(made[: trough + 1] >= top)[-1])
    risen = np.flatnonzero(made[trough:] >= top)
    recovery = trough + int(risen[0]) if len(risen) else None
    until = int(at[recovery] if recovery is not None else at[-1])
    return Drawdown(
        float(depth), int(at[peak]), int(at[trough]), None if recovery is None else until,
        (until - int(at[peak])) // SECOND_US,
    )  # fmt: skip


def returns(links: Chain) -> tuple[NDArray[np.int64], Floats]:
    """Sub-periods of one bucket with a return, and the returns."""
    places = np.flatnonzero(~(links.over_gap | links.is_idle | (links.broken > 0)))
    return places, links.factor[places] - 1


def volatility(links: Chain, periods_per_year: int) -> tuple[Figure, int]:
    """The standard deviation (n - 1) of log returns, per year, and n."""
    places, _ = returns(links)
    factor = links.factor[places]
    if len(factor) < 2:
        return Figure(None, TOO_FEW), len(factor)
    if not factor.all():
        return Figure(None, LOST_ALL), len(factor)
    return _finite(float(np.std(np.log(factor), ddof=1)) * periods_per_year**0.5), len(factor)


def coverage(links: Chain, length_us: int) -> float:
    """The summed length of sub-periods neither broken nor over a gap, divided by the range."""
    if length_us <= 0 or not links.size:
        return 0.0
    kept = ~(links.over_gap | (links.broken > 0))
    return int(np.diff(links.at)[kept].sum()) / length_us


def longest(links: Chain) -> Stretch | None:
    """The longest stretch without a break, in time; the first of equally long ones."""
    stretches = [(first, last) for first, last in _unbroken(links) if last > first]
    if not stretches:
        return None
    first, last = max(stretches, key=lambda span: (int(links.at[span[1]] - links.at[span[0]]), -span[0]))
    with np.errstate(over="ignore", invalid="ignore"):
        return Stretch(first, last, _finite(float(np.prod(links.factor[first:last])) - 1).value)


def money_weighted(series: Series) -> Figure:
    """XIRR of the first value, the flows after it and the last value: by UTC date, actual/365."""
    known = np.flatnonzero(~np.isnan(series.nav))
    if len(known) < 2:
        return Figure(None, ONE_VALUATION if len(known) else NO_VALUATION)
    first, last = int(known[0]), int(known[-1])
    after, until = int(series.ts[first]), int(series.ts[last])
    inside = (series.flow_ts > after) & (series.flow_ts <= until)
    if np.isnan(series.flow[inside]).any():
        return Figure(None, BREAKS[UNPRICED])
    days = np.concatenate(([after], series.flow_ts[inside], [until])) // DAY_US
    paid = np.concatenate(([-series.nav[first]], -series.flow[inside], [series.nav[last]]))
    if not ((paid > 0).any() and (paid < 0).any() and days.min() < days.max()):
        return Figure(None, NO_SOLUTION)
    order = np.lexsort((paid, days))
    dates = [_EPOCH + timedelta(days=day) for day in days[order].tolist()]
    found = pyxirr.xirr(dates, paid[order].tolist(), silent=True)
    return Figure(None, NO_SOLUTION) if found is None else _finite(found, NO_SOLUTION)


def _finite(value: float, otherwise: str = OUT_OF_RANGE) -> Figure:
    return Figure(value) if np.isfinite(value) else Figure(None, otherwise)


# -- all of them --------------------------------------------------------------------------------------

METHODS = {
    "twr": "sub-periods between known valuations, linked; flow timing {timing}; Modified Dietz over gaps",
    "max_drawdown": "on the index of linked sub-periods, so flows are taken out",
    "volatility": "standard deviation (n - 1) of log returns, per year of {periods} periods",
    "money_weighted": "XIRR, actual/365 by UTC date: first value, flows, last value",
    "best_worst": "single periods of {period}, none over a gap",
    "coverage": "length of sub-periods neither broken nor over a gap / range",
}


@dataclass(frozen=True, slots=True)
class Metrics:
    """All figures of a series; `period`: the resolution that best and worst are told in."""

    series: Series
    links: Chain
    index: Floats
    periods_per_year: int
    period: str

    @property
    def twr(self) -> Figure:
        """The return of the whole range, flows taken out."""
        why = reason(self.links)
        return Figure(None, why) if why else _finite(float(self.index[-1]) - 1)

    @property
    def drawdown(self) -> Drawdown | None:
        return None if self.twr.value is None else drawdown(self.links.at, self.index)

    def document(self) -> dict[str, Any]:
        """The figures as JSON: ratios are numbers, instants text, what is not known null with a reason."""
        links, ts, twr, fall = self.links, self.series.ts, self.twr, self.drawdown
        spread, count = volatility(links, self.periods_per_year)
        best, worst = self._extremes()
        money = money_weighted(self.series)
        names = {
            "timing": self.series.timing, "periods": f"{self.periods_per_year:,}", "period": self.period
        }  # fmt: skip
        methods = {name: told.format(**names) for name, told in METHODS.items()}
        return {
            "from": _told(ts[0]) if len(ts) else None,
            "to": _told(ts[-1]) if len(ts) else None,
            "first_valued": _told(links.at[0]) if len(links.at) else None,
            "last_valued": _told(links.at[-1]) if len(links.at) else None,
            "twr": twr.value,
            "max_drawdown": fall.depth if fall else None,
            "drawdown": _drawdown_told(fall) if fall else None,
            "money_weighted": {"value": money.value, "reason": money.reason},
            "volatility": spread.value,
            "volatility_detail": {
                "reason": spread.reason, "periods_per_year": self.periods_per_year, "n": count
            },
            "best": best,
            "worst": worst,
            "coverage": coverage(links, int(ts[-1] - ts[0]) if len(ts) else 0),
            "periods": links.size,
            "gaps": self._spans(links.over_gap),
            "breaks": self._breaks(),
            "longest_unbroken": self._longest(),
            "reason": twr.reason,
            "methods": methods,
        }  # fmt: skip

    def _extremes(self) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        places, found = returns(self.links)
        if not len(found):
            return None, None
        chosen = ((places[place], found[place]) for place in (found.argmax(), found.argmin()))
        best, worst = ({"period": self.period, "return": float(value), **self._span(int(place))}
                       for place, value in chosen)  # fmt: skip
        return best, worst

    def _span(self, place: int) -> dict[str, Any]:
        return {"from": _told(self.links.at[place]), "to": _told(self.links.at[place + 1])}

    def _spans(self, marks: Marks) -> list[dict[str, Any]]:
        return [self._span(place) for place in np.flatnonzero(marks).tolist()]

    def _breaks(self) -> list[dict[str, Any]]:
        broken = self.links.broken
        return [
            {"at": _told(self.links.at[place + 1]), "code": BREAKS[broken[place]], **self._span(place)}
            for place in np.flatnonzero(broken).tolist()
        ]

    def _longest(self) -> dict[str, Any] | None:
        found = longest(self.links)
        if found is None:
            return None
        at = self.links.at
        return {"from": _told(at[found.first]), "to": _told(at[found.last]), "twr": found.twr}

    def points(self) -> list[dict[str, Any]]:
        """index and drawdown (None where NAV is not known) and a break's code, for each entry of the series.

        Behind a break both begin anew: an index across it would claim a return that nobody knows.
        """
        fall = np.concatenate(
            [underwater(self.index[first : last + 1]) for first, last in _unbroken(self.links)]
        ) if len(self.index) else self.index  # fmt: skip
        codes = ["", *(BREAKS[code] for code in self.links.broken.tolist())]
        linked = zip(self.index.tolist(), fall.tolist(), codes, strict=False)
        told = dict(zip(self.links.at.tolist(), linked, strict=True))
        return [_point(at, told.get(at)) for at in self.series.ts.tolist()]


def measure(series: Series, periods_per_year: int, period: str) -> Metrics:
    """Links a series and makes its index; the figures follow when asked for."""
    links = chain(series)
    with np.errstate(over="ignore", invalid="ignore"):
        return Metrics(series, links, index(links), periods_per_year, period)


def _told(us: Any) -> str:
    return format_instant(int(us))


def _drawdown_told(fall: Drawdown) -> dict[str, Any]:
    moments = {"peak": fall.peak, "trough": fall.trough, "recovery": fall.recovery}
    told = {name: None if us is None else _told(us) for name, us in moments.items()}
    return {"depth": fall.depth, **told, "duration_s": fall.duration_s}


def _point(at: int, linked: tuple[float, float, str] | None) -> dict[str, Any]:
    level, fall, code = linked or (None, None, "")
    finite = level is not None and np.isfinite(level)
    return {
        "bucket_close": _told(at), "index": level if finite else None, "drawdown": fall if finite else None,
        "break": code or None,
    }  # fmt: skip
