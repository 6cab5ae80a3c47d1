"""What to ask of whom: the missing instants of each series, cut into calls of providers that have them.

The problem. Prices are missing here and there: an exchange stood still, a daemon slept, a provider was out
of reach. Each provider has other assets, other spacings and another reach, and calls are scarce.

A worked example. Hourly BTC, wanted 00:00 … 06:00; there are 00:00, 01:00 and 05:00. Preferred are first
`coingecko` (a year back), then `binance` (no end). Missing are 02:00, 03:00, 04:00 and 06:00. Of this
morning: one call of coingecko over (02:00 − 1 µs, 06:00], for 05:00 in between costs nothing and is a
duplicate at worst. Of the same hours two years ago: coingecko has none of them, so one call of binance.
Of 5m bars, two days old, without binance: nobody has them, so they are gaps, BEYOND_HISTORY.

Rules chosen. An instant goes to the first provider in order that knows the series, reaches that far and has
not answered before that it has nothing there. One fetch is one call: never more of the wanted instants, from
its first to its last, than the provider gives a call. What nobody can give is a gap, with its reason.
Pure: instants are µs UTC, and nothing is fetched here.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from engine.domain.instants import from_us
from engine.providers.protocol import (
    BEYOND_HISTORY,
    NO_PROVIDER,
    NOT_PUBLISHED,
    UNFINISHED,
    Gap,
    Gives,
    Provider,
    Series,
    name_gaps,
)


class Fetch(NamedTuple):
    """One call to make: `series` of a provider for (start, end]; `wanted` of its instants are missing."""

    provider: str
    series: Series
    start: int
    end: int
    wanted: int

    @property
    def days(self) -> tuple[date, date]:
        """First and last UTC day, for rates."""
        return from_us(self.start + 1).date(), from_us(self.end).date()


@dataclass(frozen=True)
class Plan:
    """Calls to make, by series and instant, and what remains missing whatever is called."""

    fetches: tuple[Fetch, ...]
    gaps: tuple[Gap, ...]


Silent = Mapping[tuple[str, Series], Collection[int]]


def plan_backfill(
    wanted: Mapping[Series, Sequence[int]], have: Mapping[Series, Collection[int]],
    providers: Sequence[Provider], now: int, silent: Silent | None = None,
) -> Plan:  # fmt: skip
    """`wanted`: the instants each series should have, ascending; `have`: those it has.

    `providers`: best first. `silent`: instants for which a provider has answered that it has nothing.
    """
    fetches: list[Fetch] = []
    gaps: list[Gap] = []
    for series in sorted(wanted):
        able = _able(series, providers)
        chosen = _choose(series, wanted[series], have.get(series, ()), able, now, silent or {})
        fetches += _cut(series, wanted[series], chosen, able)
        served = set(have.get(series, ())) | {at for at, choice in chosen.items() if choice.provider}
        why = {at: (choice.reason, "") for at, choice in chosen.items() if not choice.provider}
        gaps += name_gaps(series, wanted[series], served, why)
    return Plan(tuple(fetches), tuple(gaps))


class _Choice(NamedTuple):
    """A provider, or the reason why there is none."""

    provider: str
    reason: str


Able = dict[str, list[Gives]]  # by provider, best first


def _able(series: Series, providers: Sequence[Provider]) -> Able:
    """Who can be asked for the series at all."""
    able = {}
    for provider in providers:
        of_kind = (one for one in provider.gives if one.kind == series.kind)
        gives = [one for one in of_kind if series.resolution in one.resolutions]
        if gives and provider.knows(series.kind, series.name):
            able[provider.name] = gives
    return able


def _choose(
    series: Series, wanted: Sequence[int], have: Collection[int], able: Able, now: int, silent: Silent
) -> dict[int, _Choice]:
    """Who is asked for each missing instant."""
    had = set(have)
    silences = {name: set(silent.get((name, series), ())) for name in able}
    return {at: _choice(series, at, able, now, silences) for at in wanted if at not in had}


def _choice(
    series: Series, at: int, able: Able, now: int, silences: Mapping[str, Collection[int]]
) -> _Choice:
    if at > now:
        return _Choice("", UNFINISHED)
    if not able:
        return _Choice("", NO_PROVIDER)
    reaching = [name for name, gives in able.items() if _reaches(gives, series, at, now)]
    for name in reaching:
        if at not in silences[name]:
            return _Choice(name, "")
    return _Choice("", NOT_PUBLISHED if reaching else BEYOND_HISTORY)


def _reaches(gives: Sequence[Gives], series: Series, at: int, now: int) -> bool:
    return any(one.covers(series.resolution, at, now) for one in gives)


def _cut(series: Series, wanted: Sequence[int], chosen: Mapping[int, _Choice], able: Able) -> list[Fetch]:
    """Each provider's instants in calls as large as it takes."""
    place = {at: number for number, at in enumerate(wanted)}
    fetches: list[Fetch] = []
    for name, gives in able.items():
        rows_max = min(one.rows_per_call for one in gives)
        first = 0
        for at in (at for at, choice in chosen.items() if choice.provider == name):
            last = fetches[-1] if fetches and fetches[-1].provider == name else None
            if last is not None and place[at] - first < rows_max:
                fetches[-1] = last._replace(end=at, wanted=last.wanted + 1)
            else:
                first = place[at]
                fetches.append(Fetch(name, series, at - 1, at, 1))
    return sorted(fetches, key=lambda fetch: (fetch.start, fetch.provider))
