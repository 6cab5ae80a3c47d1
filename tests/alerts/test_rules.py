"""When an alert is raised and cleared, told as a trader would: a rule, then what was measured and what came.

Each line: time, value (`?`: not looked at, `-`: looked at and nothing there), then what stands, by number.
"""

import random
import re

import pytest

from engine.domain.instants import SECOND_US
from engine.runtime.alerts.rules import Alert, Reading, Rule, judge, shifted

SCENARIOS = {
    "a value over its mark for long enough is raised, once": """
        over 90, back under 85, for 60 s
        12:00:00   91   pending
        12:00:50   95   pending
        12:01:00   92   raised 1
        12:05:00   99   raised 1
    """,
    "a short peak is no alert": """
        over 90, back under 85, for 60 s
        12:00:00   91   pending
        12:00:59   89   nothing
        12:01:30   91   pending
    """,
    "a value that swings around its mark is one alert": """
        over 90, back under 85, for 0 s
        12:00:00   91   raised 1
        12:01:00   89   raised 1
        12:02:00   91   raised 1
        12:03:00   86   raised 1
        12:04:00   84   cleared 1
        12:05:00   90   raised 2
    """,
    "a value below its mark is bad where less is worse": """
        below 95, back over 96, for 0 s
        12:00:00   95   nothing
        12:01:00   94   raised 1
        12:02:00   95   raised 1
        12:03:00   96   cleared 1
    """,
    "it must be well for a while where the rule says so": """
        over 60, back under 60, for 0 s, well for 3600 s
        12:00:00   75   raised 1
        12:00:10    0   raised 1
        12:30:00   80   raised 1
        13:20:00    0   raised 1
        14:19:00    0   raised 1
        14:20:00    0   cleared 1
    """,
    "what is not looked at stays as it is": """
        over 1, back under 1, for 60 s
        12:00:00    1   pending
        12:05:00    ?   pending
        12:06:00    1   raised 1
        12:07:00    ?   raised 1
        12:08:00    -   cleared 1
    """,
    "what is gone when looked at is well": """
        over 1, back under 1, for 0 s
        12:00:00    3   raised 1
        12:01:00    -   cleared 1
        12:02:00    -   nothing
        12:03:00    2   raised 2
    """,
}


def rule_of(told: str) -> Rule:
    mark, back, *times = (float(text) for text in re.findall("[0-9]+", told))
    for_us, ease_us = (int(seconds) * SECOND_US for seconds in [*times, 0][:2])
    return Rule("X", mark, abs(mark - back), for_us, ease_us, falls=told.startswith("below"))


def at(told: str) -> int:
    hours, minutes, seconds = (int(part) for part in told.split(":"))
    return (hours * 3600 + minutes * 60 + seconds) * SECOND_US


@pytest.mark.parametrize("told", SCENARIOS.values(), ids=SCENARIOS.keys())
def test_alert__scenario__stands_as_told(told: str) -> None:
    head, *lines = told.strip().splitlines()
    rule = rule_of(head)
    standing: list[Alert] = []
    next_id = 1
    for line in lines:
        when, value, *expected = line.split()
        readings = [] if value in "?-" else [Reading(float(value))]
        after = judge(standing, {} if value == "?" else {"X": readings}, {"X": rule}, at(when), next_id)
        next_id = max([next_id, *(one.id + 1 for one in after if one.state != "pending")])
        seen = [one.state if one.state == "pending" else f"{one.state} {one.id}" for one in after]
        assert seen == ([] if expected == ["nothing"] else [" ".join(expected)]), line
        standing = [one for one in after if one.state != "cleared"]


def test_alerts__of_several_things__stand_each_for_itself() -> None:
    rule = {"FX_HELD": Rule("FX_HELD")}

    first = judge([], {"FX_HELD": [Reading(1, about="EUR/USD"), Reading(1, about="GBP/USD")]}, rule, 0, 1)
    then = judge(first, {"FX_HELD": [Reading(1, about="GBP/USD")]}, rule, SECOND_US, 3)

    assert [(one.id, one.about, one.state) for one in first] == [
        (1, "EUR/USD", "raised"), (2, "GBP/USD", "raised"),
    ]  # fmt: skip
    assert [(one.about, one.state) for one in then] == [("EUR/USD", "cleared"), ("GBP/USD", "raised")]


@pytest.mark.parametrize("jump_s", [7_200, -7_200])
def test_clock_that_was_set__durations_stay_true(jump_s: int) -> None:
    rule = {"X": Rule("X", for_us=60 * SECOND_US)}
    pending = judge([], {"X": [Reading(1)]}, rule, at("12:00:00"), 1)

    jump = jump_s * SECOND_US
    early = judge(shifted(pending, jump), {"X": [Reading(1)]}, rule, at("12:00:59") + jump, 2)
    due = judge(early, {"X": [Reading(1)]}, rule, at("12:01:00") + jump, 2)

    assert [one.state for one in early] == ["pending"]
    assert [one.state for one in due] == ["raised"]


def test_random_walk__each_alert_is_raised_once_and_cleared_once_in_turn() -> None:
    rng = random.Random(11)
    rule = {"X": Rule("X", 10, 3, 20 * SECOND_US, 10 * SECOND_US)}
    standing: list[Alert] = []
    told: list[tuple[int, str]] = []
    next_id = 1
    for step in range(3_000):
        looked = {"X": [Reading(rng.uniform(4, 20))]} if rng.random() < 0.9 else {}
        after = judge(standing, looked, rule, step * 5 * SECOND_US, next_id)
        was = {one.id: one.state for one in standing}
        told += [(one.id, one.state) for one in after if one.state not in ("pending", was.get(one.id))]
        next_id = max([next_id, *(one.id + 1 for one in after)])
        standing = [one for one in after if one.state != "cleared"]

    raised = [number for number, state in told if state == "raised"]
    assert len(raised) > 10
    assert len(set(told)) == len(told)
    in_turn = (["raised", "cleared"] * len(told))[: len(told)]
    assert [state for _, state in told] == in_turn
