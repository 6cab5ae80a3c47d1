"""Currency rates at bucket closes: which observation counts, when it is withheld, and why.

The problem. Money in EUR has to be told in USD at every five minutes of the year. An intraday source says
what a euro was worth, but it sleeps at weekends and sometimes dies. A daily reference rate is always there,
but by evening the market has moved away from it. Taking it silently would print a NAV that nobody could
have traded at; refusing it always would leave a hole every time a provider restarts.

A worked example. EUR/USD, all times UTC on a Wednesday in winter:

    13:15  ecb     1d    1.1000   (fallback; serves until 15:30 tomorrow, 16:30 in Frankfurt)
    14:00  broker  1h    1.1005   (primary; serves the closes in [14:00, 15:00))
    15:00  nothing: the broker is silent
    20:00  broker  1h    1.1040   (back again)

    14:00  1.1005 from broker.
    15:00  No primary in force: the fallback, checked against the latest primary, 1.1000 / 1.1005 - 1 = 4.54
           bps. That is within 25, so 1.1000 from ecb with drift_bps 4.54.
    20:00  1.1040 from broker. Should it fall silent once more, then at
    21:00  1.1000 / 1.1040 - 1 = 36.2 bps: held. feed_bps says what the two sources differed by at the fixing,
           moved_bps what the market has done since; the operator sees which of the two it was.

Rules chosen. A pair counts both ways round; an inverse is 1 / rate. How long a rate serves goes by its
resolution: an intraday one until 1 h of open market has passed, a 1d one until 16:30 Frankfurt of the next
TARGET day. Its role, primary or fallback, goes by configuration. A primary in force goes before a fallback
in force; of several the latest `asof`, then source order, name, finer resolution (a spot is finest), then
the one quoted as the pair is named. Only if neither is in force the two legs through EUR are taken, each by
these rules, and crossed exactly: one rounding, at the end. A cross shows the older `asof` and the larger
drift of its legs; it is held if a leg is held, and has no rate if a leg has none.
A pair listed as eod_only takes the fallback in force, or else crosses the legs' fallbacks, and is never
checked: EOD_ONLY says so. An operator's override lets the fallback pass at closes that would be held:
EOD_OVERRIDE says so; where a primary is in force it does nothing. FX_CLOSED marks an intraday rate that
serves only because the market is closed.

Drift is measured in the direction of the pair's name, whichever way round the pair is used.

What is refused. A fallback more than `drift_bps_max` off the latest primary, or without a primary within
24 h of open market, is held and never used in silence. Nothing is interpolated, nothing is taken from after
the close, no leg but EUR is tried. A rate that 18 places cannot hold (or that rounds to 0) is out of range.
Never reads the clock: a hold is a function of the close and the observations.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from engine.domain.money import SCALE, in_range, to_scaled
from engine.valuation.buckets import Instants
from engine.valuation.fx_quotes import (
    OBSERVATIONS_SCHEMA,
    PIVOT,
    Positions,
    Quotes,
    Ratio,
    pair_name,
    quotes_by_role,
)
from engine.valuation.rates import NO_RATE, Fixing, HoldEvidence, RateUse, RateVector


class Span(NamedTuple):
    """The closes in (after, until], microseconds UTC."""

    after: int
    until: int


@dataclass(frozen=True, slots=True)
class FxPolicy:
    """What the configuration says of currency sources, and what operators decided.

    `drift_bps_max` is exact: an int or decimal text. `overrides`: by pair name, the closes at which the
    fallback may pass though the pair is held.
    """

    primary: tuple[str, ...] = ()
    fallback: tuple[str, ...] = ()
    eod_only: frozenset[str] = frozenset()
    drift_bps_max: int | str = 25
    overrides: Mapping[str, Sequence[Span]] = field(default_factory=dict)


class _Leg(NamedTuple):
    """One pair's part of a conversion. With evidence it is held; `ratio` is what the fallback would give."""

    ratio: Ratio
    source: str
    asof: int
    flags: tuple[str, ...]
    drift_bps: int | None = None
    evidence: HoldEvidence | None = None


@dataclass(frozen=True, slots=True)
class _LegVector:
    idx: Positions  # -1: nothing in force
    table: list[_Leg]


class RateBook:
    """All observations (OBSERVATIONS_SCHEMA, the last version of each key, in any order) under one policy.

    ValueError for a rate that is missing or not above zero: ingestion lets none in.
    """

    def __init__(self, observations: pl.DataFrame, policy: FxPolicy) -> None:
        observations = observations.select(*OBSERVATIONS_SCHEMA)
        if observations["rate"].null_count() or not (observations["rate"] > 0).all():
            raise ValueError("a currency rate is missing or not above zero")
        self._limit = to_scaled(str(policy.drift_bps_max))
        self._eod_only = {pair_name(*name.split("/")) for name in policy.eod_only}
        self._overrides = policy.overrides
        self._primary, self._fallback = quotes_by_role(observations, policy.primary, policy.fallback)
        self._none = Quotes(observations.clear())

    def convert(self, from_ccy: str, to_ccy: str, closes: Instants) -> RateVector:
        """One `from_ccy` in `to_ccy` at each close (any order), by the rules above, holds included."""
        if pair_name(from_ccy, to_ccy) in self._eod_only:
            return _convert(from_ccy, to_ccy, closes, self._eod_leg)
        return _convert(from_ccy, to_ccy, closes, self._ruled_leg)

    @property
    def pairs(self) -> list[str]:
        """The names of all pairs that have an observation."""
        return sorted(self._primary.keys() | self._fallback.keys())

    def direct(self, pair: str, closes: Instants) -> RateVector:
        """What a pair's own observations say, in the direction of its name: never crossed."""
        from_ccy, to_ccy = pair.split("/")
        legs = self._ruled_leg(from_ccy, to_ccy, closes)
        return RateVector(legs.idx.astype(np.int32), [*(_use(leg) for leg in legs.table), NO_RATE])

    def fixings(self, pair: str, after: int, until: int) -> list[Fixing]:
        """The pair's fallback rates with an asof in (after, until], each against the latest primary then."""
        primary, fallback = self._of(self._primary, pair), self._of(self._fallback, pair)
        from_ccy = pair.partition("/")[0]
        found = []
        for at, asof in enumerate(fallback.asof):
            if after < asof <= until:
                found.append(_fixing(primary, fallback.ratio(at, from_ccy), asof, from_ccy))
        return found

    def reference(self, from_ccy: str, to_ccy: str, instants: Instants) -> RateVector:
        """The fallback in force at each instant, direct or else through EUR: never checked, never held."""
        return _convert(from_ccy, to_ccy, instants, self._reference_leg)

    def _ruled_leg(self, from_ccy: str, to_ccy: str, closes: Instants) -> _LegVector:
        pair = pair_name(from_ccy, to_ccy)
        if pair in self._eod_only:
            return self._eod_leg(from_ccy, to_ccy, closes)
        if pair not in self._primary and pair not in self._fallback:
            return _LegVector(np.full(closes.shape, -1, np.int64), [])
        direct = _Pair(from_ccy, to_ccy, self._of(self._primary, pair), self._of(self._fallback, pair))
        return direct.legs(closes, self._limit, _within(closes, self._overrides.get(pair, ())))

    def _reference_leg(self, from_ccy: str, to_ccy: str, closes: Instants) -> _LegVector:
        quotes = self._of(self._fallback, pair_name(from_ccy, to_ccy))
        at = quotes.in_force(closes)
        used = at >= 0
        rows, index = _distinct(at[used], quotes.is_late(at, closes)[used])
        idx = np.full(closes.shape, -1, np.int64)
        idx[used] = index
        return _LegVector(idx, [_plain_leg(quotes, i, from_ccy, late) for i, late in rows])

    def _eod_leg(self, from_ccy: str, to_ccy: str, closes: Instants) -> _LegVector:
        legs = self._reference_leg(from_ccy, to_ccy, closes)
        flagged = [leg._replace(flags=("EOD_ONLY", *leg.flags)) for leg in legs.table]
        return _LegVector(legs.idx, flagged)

    def _of(self, quotes: dict[str, Quotes], pair: str) -> Quotes:
        return quotes.get(pair, self._none)


@dataclass(frozen=True, slots=True)
class _Pair:
    """One pair in the direction of a conversion, with the quotes of both roles."""

    from_ccy: str
    to_ccy: str
    primary: Quotes
    fallback: Quotes

    def legs(self, closes: Instants, limit: int, let_pass: NDArray[np.bool_]) -> _LegVector:
        """The primary in force, else the fallback in force as far as the check or the operator lets it."""
        idx = np.full(closes.shape, -1, np.int64)
        first = self.primary.in_force(closes)
        used = first >= 0
        rows, index = _distinct(first[used], self.primary.is_late(first, closes)[used])
        idx[used] = index
        table = [_plain_leg(self.primary, at, self.from_ccy, late) for at, late in rows]

        second = self.fallback.in_force(closes)
        used = (first < 0) & (second >= 0)
        last = self.primary.latest(closes)
        late, recent = self.fallback.is_late(second, closes), self.primary.is_recent(last, closes)
        rows, index = _distinct(*(column[used] for column in (second, late, last, recent, let_pass)))
        idx[used] = index + len(table)
        for at, is_late, primary, is_recent, passes in rows:
            leg = self._checked_leg(at, is_late, primary, is_recent, limit)
            table.append(_overridden(leg) if passes else leg)
        return _LegVector(idx, table)

    def _checked_leg(self, at: int, late: int, last: int, recent: int, limit: int) -> _Leg:
        """The fallback at a position, held unless the latest primary is recent and close enough."""
        leg = _plain_leg(self.fallback, at, self.from_ccy, late)
        if not recent:
            return leg._replace(evidence=self._evidence(leg, at, last, "NO_PRIMARY", None))
        drift = self._named(self.fallback, at).bps_off(self._named(self.primary, last))
        drift_bps = _fitting(drift.scaled())
        if drift.num * SCALE <= limit * drift.den:
            return leg._replace(drift_bps=drift_bps)
        return leg._replace(drift_bps=drift_bps, evidence=self._evidence(leg, at, last, "DRIFT", drift_bps))

    def _named(self, quotes: Quotes, at: int) -> Ratio:
        """In the direction of the pair's name: a pair is held or not, whichever way round it is used."""
        return quotes.ratio(at, pair_name(self.from_ccy, self.to_ccy).partition("/")[0])

    def _evidence(self, leg: _Leg, at: int, last: int, cause: str, drift_bps: int | None) -> HoldEvidence:
        evidence = HoldEvidence(
            pair_name(self.from_ccy, self.to_ccy), self.from_ccy, self.to_ccy, cause,
            leg.ratio.scaled(), leg.source, leg.asof, drift_bps,
        )  # fmt: skip
        if last < 0:
            return evidence
        evidence = replace(
            evidence,
            primary_rate=self.primary.ratio(last, self.from_ccy).scaled(),
            primary_source=self.primary.source[last],
            primary_asof=self.primary.asof[last],
        )
        fixing = int(self.primary.latest(np.array([leg.asof], np.int64))[0])
        if fixing < 0:
            return evidence
        then, now = self._named(self.primary, fixing), self._named(self.primary, last)
        feed_bps = _fitting(self._named(self.fallback, at).bps_off(then).scaled())
        return replace(evidence, feed_bps=feed_bps, moved_bps=_fitting(now.bps_off(then).scaled()))


def _fixing(primary: Quotes, ratio: Ratio, asof: int, from_ccy: str) -> Fixing:
    last = int(primary.latest(np.array([asof], np.int64))[0])
    if last < 0:
        return Fixing(asof, ratio.scaled())
    then = primary.ratio(last, from_ccy)
    feed_bps = _fitting(ratio.bps_off(then).scaled())
    return Fixing(asof, ratio.scaled(), primary.asof[last], then.scaled(), feed_bps)


def _plain_leg(quotes: Quotes, at: int, from_ccy: str, late: int) -> _Leg:
    flags = ("FX_CLOSED",) if late else ()
    return _Leg(quotes.ratio(at, from_ccy), quotes.source[at], quotes.asof[at], flags)


def _overridden(leg: _Leg) -> _Leg:
    """A held fallback that the operator lets pass; one that is not held needs no leave."""
    if leg.evidence is None:
        return leg
    return leg._replace(evidence=None, flags=("EOD_OVERRIDE", *leg.flags))


def _within(closes: Instants, spans: Sequence[Span]) -> NDArray[np.bool_]:
    inside = np.zeros(closes.shape, np.bool_)
    for span in spans:
        inside |= (closes > span.after) & (closes <= span.until)
    return inside


def _convert(
    from_ccy: str, to_ccy: str, closes: Instants, leg: Callable[[str, str, Instants], _LegVector]
) -> RateVector:
    """The direct pair, and through EUR where it has nothing in force."""
    if from_ccy == to_ccy:
        return RateVector(np.zeros(closes.shape, np.int32), [RateUse(SCALE), NO_RATE])
    direct = leg(from_ccy, to_ccy, closes)
    idx, table = direct.idx, [_use(one) for one in direct.table]
    missing = np.flatnonzero(idx < 0)
    if missing.size and PIVOT not in (from_ccy, to_ccy):
        first, second = leg(from_ccy, PIVOT, closes[missing]), leg(PIVOT, to_ccy, closes[missing])
        both = (first.idx >= 0) & (second.idx >= 0)
        rows, index = _distinct(first.idx[both], second.idx[both])
        idx[missing[both]] = index + len(table)
        table += [_use(first.table[one], second.table[two]) for one, two in rows]
    return RateVector(idx.astype(np.int32), [*table, NO_RATE])


def _use(*legs: _Leg) -> RateUse:
    """What one leg, or two crossed, come to."""
    ratio = legs[0].ratio if len(legs) == 1 else legs[0].ratio.times(legs[1].ratio)
    rate = _fitting(ratio.scaled()) or None  # a rate that rounds to 0 would value a holding at nothing
    drift_bps = max((leg.drift_bps for leg in legs if leg.drift_bps is not None), default=None)
    evidence = tuple(leg.evidence for leg in legs if leg.evidence is not None)
    if evidence:
        held_pairs = tuple(sorted(one.pair for one in evidence))
        return RateUse(
            None, drift_bps=drift_bps, flags=("DELAYED_FX",), reason="FX_HELD",
            held_pairs=held_pairs, evidence=evidence, held_rate=rate,
        )  # fmt: skip
    return RateUse(
        rate,
        source="+".join(leg.source for leg in legs),
        asof=min(leg.asof for leg in legs),
        drift_bps=drift_bps,
        flags=tuple(sorted({flag for leg in legs for flag in leg.flags})),
        reason="VALUE_OUT_OF_RANGE" if rate is None else None,
    )


def _fitting(scaled: int) -> int | None:
    return scaled if in_range(scaled) else None


def _distinct(*columns: NDArray[np.generic]) -> tuple[list[tuple[int, ...]], Positions]:
    """The distinct rows of columns of equal length, and for each row which one it is.

    A rate serves for a run of closes, so whole runs are looked up.
    """
    rows = np.stack([column.astype(np.int64) for column in columns])
    if not rows.size:
        return [], np.empty(0, np.int64)
    begins = np.append(True, (rows[:, 1:] != rows[:, :-1]).any(axis=0))
    table: dict[tuple[int, ...], int] = {}
    numbers = [table.setdefault(row, len(table)) for row in zip(*rows[:, begins].tolist(), strict=True)]
    return list(table), np.array(numbers, np.int64)[np.cumsum(begins) - 1]
