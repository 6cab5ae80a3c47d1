"""What to do about memory: the marks, how they are left again, and whose limit counts."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.compaction.memory_manager import (
    GIVE_BACK_EVERY_US,
    TIDY_EVERY_US,
    Advice,
    Level,
    State,
    Use,
    advise,
    tightest,
)

LIMIT = 1_000
STEP_US = 2_000_000


def course(*used: int, profile: str = "DEFAULT", step_us: int = STEP_US) -> list[Advice]:
    """The advice at each look, one after the other."""
    state, found = State(), []
    for look, each in enumerate(used):
        state, told = advise(state, Use(each, LIMIT, "machine"), profile, look * step_us)
        found.append(told)
    return found


def test_marks__reached_at_once__left_five_points_below() -> None:
    levels = [told.level for told in course(500, 650, 610, 600, 599, 900, 899, 850, 849, 600, 599)]
    normal, alert, critical = Level
    assert levels == [normal, alert, alert, alert, normal,
                      critical, critical, critical, alert, alert, normal]  # fmt: skip


def test_each_level__says_what_may_run() -> None:
    normal, alert, critical = course(100, 700, 950)
    assert (normal.profile, normal.narrow, normal.row_group_bytes) == ("DEFAULT", 1, 128 << 20)
    assert (alert.profile, alert.narrow, alert.row_group_bytes) == ("LOW_RAM", 4, 32 << 20)
    assert (normal.intake, normal.optional_work, normal.compaction) == (True, True, False)
    assert (alert.intake, alert.optional_work, alert.compaction) == (True, False, True)
    assert (critical.intake, critical.optional_work, critical.compaction) == (False, False, True)


def test_low_ram_by_the_settings__small_batches_whatever_the_ratio() -> None:
    (told,) = course(100, profile="LOW_RAM")
    assert (told.level, told.profile, told.narrow, told.intake) == (Level.NORMAL, "LOW_RAM", 4, True)


def test_memory_is_given_back__when_a_level_rises_and_then_at_its_pace() -> None:
    pace = GIVE_BACK_EVERY_US // STEP_US
    told = [each.give_back for each in course(500, *[950] * (2 * pace + 1))]
    assert [at for at, given_back in enumerate(told) if given_back] == [1, 1 + pace, 1 + 2 * pace]
    calm = [each.give_back for each in course(*[100] * 4, step_us=TIDY_EVERY_US)]
    assert calm == [False, True, True, True]


def test_a_clock_that_jumps_back__gives_back_once_and_goes_on() -> None:
    state, _ = advise(State(), Use(100, LIMIT, "machine"), "DEFAULT", 10 * TIDY_EVERY_US)
    state, told = advise(state, Use(100, LIMIT, "machine"), "DEFAULT", 0)
    assert told.give_back
    assert not advise(state, Use(100, LIMIT, "machine"), "DEFAULT", STEP_US)[1].give_back


def test_tightest__by_ratio_not_by_bytes() -> None:
    uses = [Use(900, 10_000, "machine"), Use(60, 100, "cgroup"), Use(50, 100, "setting")]
    assert tightest(uses).whose == "cgroup"


def test_a_limit_of_nothing__is_refused() -> None:
    with pytest.raises(ValueError, match="no ratio"):
        Use(1, 0, "setting")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 1_200), min_size=2, max_size=60))
def test_any_course__levels_agree_with_their_marks_and_never_flap_within_five_points(used: list[int]) -> None:
    told = [each.level for each in course(*used)]
    for level, each in zip(told, used, strict=True):
        assert level == Level.CRITICAL or each < 900
        assert level >= Level.ALERT or each < 650
        assert level < Level.CRITICAL or each >= 850
        assert level == Level.NORMAL or each >= 600
    for (before, was), (after, now) in pairwise(zip(told, used, strict=True)):
        if abs(was - now) < 50 and before > after:  # it fell, so it did not rise within so little
            assert now < {Level.CRITICAL: 850, Level.ALERT: 600}[before]
