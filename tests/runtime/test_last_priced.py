"""The last close that some observation can price: the same from the newest back as from all of them."""

from dataclasses import dataclass, field
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.instants import HOUR_US, MINUTE_US, SECOND_US, parse_instant
from engine.domain.resolutions import SPOT_TOLERANCE_US, STEP_US
from engine.runtime.series import last_priced
from engine.valuation import buckets

NEWEST = parse_instant("2025-03-31T12:00:00Z") or 0  # the day after Europe's clocks went forward
Observation = tuple[int, str]  # asof, resolution


@dataclass
class Priced:
    """Books that hold these observations and nothing else."""

    observations: list[Observation]
    zone: str
    reads: list[int] = field(default_factory=list)  # how many observations each look brought

    @property
    def config(self) -> dict[str, Any]:
        return {"timezone": self.zone}

    def price_span(self) -> tuple[int, int] | None:
        instants = [asof for asof, _ in self.observations]
        return (min(instants), max(instants)) if instants else None

    def prices_of(self, _assets: None, spans: list[tuple[int, int]]) -> pl.DataFrame:
        ((first, last),) = spans
        found = [one for one in self.observations if first <= one[0] <= last]
        self.reads.append(len(found))
        return pl.DataFrame(found, schema={"asof": pl.Int64, "resolution": pl.String}, orient="row")


def naive(priced: Priced, resolution: str) -> int | None:
    """Close after close, by the rule's words."""
    coarser = [name for name, step in STEP_US.items() if step > STEP_US[resolution]]
    tolerance = SPOT_TOLERANCE_US[resolution]
    found = []
    for asof, kind in priced.observations:
        if kind in coarser:
            continue
        closes = buckets.closes(resolution, priced.zone, asof, asof + HOUR_US).tolist()
        found += [c for c in closes if c == asof or (kind == "spot" and asof <= c < asof + tolerance)]
    return max(found, default=None)


OFFSETS = st.one_of(
    st.integers(0, 60).map(lambda n: n * 5 * MINUTE_US),
    st.integers(0, 60 * 24 * 40).map(lambda n: n * MINUTE_US),
    st.integers(0, 3 * 3600).map(lambda n: n * SECOND_US + 1),
)
ONE = st.tuples(OFFSETS.map(lambda back: NEWEST - back), st.sampled_from([*STEP_US, "spot"]))
OBSERVATIONS = st.lists(ONE, max_size=12)


@given(OBSERVATIONS, st.sampled_from(list(STEP_US)), st.sampled_from(["UTC", "Europe/Berlin"]))
def test_last_priced__is_what_all_observations_give(
    observations: list[Observation], resolution: str, zone: str
) -> None:
    priced = Priced(observations, zone)
    assert last_priced(priced, resolution) == naive(priced, resolution)  # type: ignore[arg-type]


@pytest.mark.parametrize("resolution", list(STEP_US))
def test_last_priced__many_closes__reads_about_a_bucket_of_them(resolution: str) -> None:
    priced = Priced([(NEWEST - n * STEP_US["5m"], "5m") for n in range(40 * 288)], "UTC")
    assert last_priced(priced, resolution) == naive(priced, resolution)  # type: ignore[arg-type]
    assert sum(priced.reads) <= (STEP_US[resolution] + HOUR_US) // STEP_US["5m"]
