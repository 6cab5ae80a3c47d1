"""Who is asked for what is missing, and what nobody can give."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.instants import DAY_US, HOUR_US, MINUTE_US
from engine.providers.backfill import Fetch, plan_backfill
from engine.providers.ecb import fixing_us
from engine.providers.protocol import Gap, Gives, Kind, Series, days_between, name_gaps
from tests.providers.players import is_target
from tests.providers.world import us

NOW = us("2024-03-04T10:00:00Z")
BTC = Series("price", "BTC", "1h")
BTC_5M = Series("price", "BTC", "5m")
EURUSD = Series("rate", "EUR/USD", "1d")


@dataclass(frozen=True)
class Fake:
    """A provider that can be planned with, and never called."""

    name: str
    gives: Sequence[Gives]
    names: Collection[str] = ("BTC", "EUR/USD")

    def knows(self, kind: Kind, name: str) -> bool:
        return name in self.names


EXCHANGE = Fake("exchange", [Gives("price", ("5m", "1h", "1d"), 1_000)])
RECENT = Fake("recent", [Gives("price", ("5m",), 288, DAY_US), Gives("price", ("1h",), 100, 365 * DAY_US)])
BANK = Fake("bank", [Gives("rate", ("1d",), 1_000)])
OLD_FILE = Fake("old_file", [Gives("rate", ("1d",), 9_999, latest=us("2024-02-28T23:00:00Z"))])


def hours(first: str, count: int) -> list[int]:
    return [us(first) + number * HOUR_US for number in range(count)]


def test_nothing_missing__nothing_asked() -> None:
    wanted = {BTC: hours("2024-03-04T00:00:00Z", 5)}
    plan = plan_backfill(wanted, wanted, [EXCHANGE], NOW)
    assert (plan.fetches, plan.gaps) == ((), ())


def test_first_provider_that_has_it__is_asked_once_for_neighbours() -> None:
    want = hours("2024-03-04T00:00:00Z", 7)
    plan = plan_backfill({BTC: want}, {BTC: [want[0], want[1], want[5]]}, [RECENT, EXCHANGE], NOW)
    assert plan.fetches == (Fetch("recent", BTC, want[2] - 1, want[6], 4),)
    assert plan.gaps == ()


def test_beyond_its_reach__the_next_is_asked() -> None:
    old, new = hours("2022-03-04T00:00:00Z", 2), hours("2024-03-04T00:00:00Z", 2)
    plan = plan_backfill({BTC: old + new}, {}, [RECENT, EXCHANGE], NOW)
    assert [(fetch.provider, fetch.end, fetch.wanted) for fetch in plan.fetches] == [
        ("exchange", old[1], 2), ("recent", new[1], 2),
    ]  # fmt: skip


def test_what_nobody_can_give__is_a_gap_that_says_why() -> None:
    old = [us("2024-03-01T00:05:00Z"), us("2024-03-01T00:10:00Z")]
    ahead = [NOW + 5 * MINUTE_US]
    plan = plan_backfill({BTC_5M: old + ahead, BTC._replace(name="XYZ"): old}, {}, [RECENT], NOW)
    assert plan.fetches == ()
    assert plan.gaps == (
        Gap(BTC_5M, old[0] - 1, old[1], "BEYOND_HISTORY"),
        Gap(BTC_5M, old[1], ahead[0], "UNFINISHED"),
        Gap(BTC._replace(name="XYZ"), old[0] - 1, old[1], "NO_PROVIDER"),
    )


def test_silence__is_not_asked_again_but_the_next_is() -> None:
    want = hours("2024-03-04T00:00:00Z", 3)
    silent = {("recent", BTC): [want[1]]}
    plan = plan_backfill({BTC: want}, {BTC: [want[0], want[2]]}, [RECENT, EXCHANGE], NOW, silent)
    assert plan.fetches == (Fetch("exchange", BTC, want[1] - 1, want[1], 1),)
    both = silent | {("exchange", BTC): [want[1]]}
    plan = plan_backfill({BTC: want}, {BTC: [want[0], want[2]]}, [RECENT, EXCHANGE], NOW, both)
    assert plan.fetches == ()
    assert plan.gaps == (Gap(BTC, want[0], want[1], "NOT_PUBLISHED"),)


def test_long_ranges__are_cut_into_calls() -> None:
    want = hours("2023-11-01T00:00:00Z", 250)
    plan = plan_backfill({BTC: want}, {}, [RECENT], NOW)
    assert [fetch.wanted for fetch in plan.fetches] == [100, 100, 50]
    assert [fetch.start for fetch in plan.fetches] == [want[0] - 1, want[100] - 1, want[200] - 1]


def test_embedded_file__is_asked_for_its_own_days_alone() -> None:
    days = [day for day in days_between(date(2024, 2, 27), date(2024, 3, 1)) if is_target(day)]
    plan = plan_backfill({EURUSD: [fixing_us(day) for day in days]}, {}, [OLD_FILE], NOW)
    (fetch,) = plan.fetches
    assert fetch.days == (date(2024, 2, 27), date(2024, 2, 28))
    assert [(gap.end, gap.reason) for gap in plan.gaps] == [
        (fixing_us(date(2024, 3, 1)), "BEYOND_HISTORY"),
    ]
    later = plan_backfill({EURUSD: [NOW]}, {}, [OLD_FILE, BANK], NOW)
    assert [fetch.provider for fetch in later.fetches] == ["bank"]


def test_gaps__of_neighbours_join__of_others_do_not() -> None:
    want = [10, 20, 30, 40, 50, 60]
    assert [gap[1:4] for gap in name_gaps(BTC, want, {30}, {60: ("BAD_ROW", "")})] == [
        (9, 20, "NOT_PUBLISHED"), (30, 50, "NOT_PUBLISHED"), (50, 60, "BAD_ROW"),
    ]  # fmt: skip


numbers = st.sets(st.integers(-400, 20), max_size=60)


@settings(max_examples=80, deadline=None)
@given(numbers, numbers, numbers, st.permutations([RECENT, EXCHANGE, OLD_FILE]), st.integers(0, 3))
def test_plan__covers_each_missing_instant_exactly_once(
    wanted: set[int], have: set[int], silent: set[int], providers: list[Fake], count: int
) -> None:
    """In a fetch of a provider that has it, or in a gap; nothing that is there is ever a gap."""
    able = {fake.name: fake for fake in providers[:count]}
    want = sorted(NOW + number * HOUR_US for number in wanted)
    has = {NOW + number * HOUR_US for number in have}
    quiet = {("recent", BTC): {NOW + number * HOUR_US for number in silent}}
    plan = plan_backfill({BTC: want}, {BTC: has}, providers[:count], NOW, quiet)
    asked = [at for fetch in plan.fetches for at in want if fetch.start < at <= fetch.end]
    gaps = [at for gap in plan.gaps for at in want if gap.start < at <= gap.end]
    assert set(asked) | set(gaps) >= set(want) - has
    assert len(gaps) == len(set(gaps))
    assert not set(gaps) & has
    for fetch in plan.fetches:
        inside = [at for at in want if fetch.start < at <= fetch.end]
        assert fetch.wanted <= len(inside) <= able[fetch.provider].gives[-1].rows_per_call
        assert {inside[0], inside[-1]}.isdisjoint(has)
        assert fetch.end <= NOW
    missing = [at for at in want if at not in has]
    assert sum(fetch.wanted for fetch in plan.fetches) + len(gaps) == len(missing)


@pytest.mark.parametrize("series", [BTC, EURUSD])
def test_plan__does_not_depend_on_the_order_of_series(series: Series) -> None:
    want = hours("2024-03-04T00:00:00Z", 3)
    one = plan_backfill({BTC: want, EURUSD: want}, {}, [EXCHANGE, BANK], NOW)
    two = plan_backfill({EURUSD: want, BTC: want}, {}, [EXCHANGE, BANK], NOW)
    assert one == two
    assert series in {fetch.series for fetch in one.fetches}
