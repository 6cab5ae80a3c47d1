"""The rule engine of alerts: what is bad, for how long, and when it is well again. Pure; time is given.

A *reading* is one measured value of one thing: `MEMORY_HIGH = 93 %`, or `PIPELINE_FAILED of inbox = 1`. A
*rule* says from which mark on a value is bad, how long it must be bad before an alert is raised (`for_us`),
how far back over the mark it must come to be well (`ease`), and how long it must stay well before the alert
is cleared (`ease_us`). So a value that swings around its mark raises one alert, not hundreds:

    memory, mark 90 %, ease 5, for 60 s     12:00:00  91 %   pending since 12:00:00
                                            12:01:00  92 %   raised
                                            12:02:00  88 %   stands: below 90, not yet below 85
                                            12:03:00  84 %   cleared

What was not measured this time stays as it is. What was measured and no longer has a reading is well.
It stores nothing, tells nobody and reads no clock.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

State = Literal["pending", "raised", "cleared"]
Looked = Mapping[str, Sequence["Reading"]]  # by code, also of what was looked at and has no reading


@dataclass(frozen=True, slots=True)
class Rule:
    """`mark` and `ease` in the unit of the value; with `falls` a value below the mark is bad."""

    code: str
    mark: float = 1.0
    ease: float = 0.0
    for_us: int = 0
    ease_us: int = 0
    falls: bool = False

    def is_bad(self, value: float) -> bool:
        return value < self.mark if self.falls else value >= self.mark

    def is_well(self, value: float) -> bool:
        if self.falls:
            return value >= self.mark + self.ease
        return value < self.mark - self.ease


@dataclass(frozen=True, slots=True)
class Reading:
    """A value now. `about`: which of several things; empty where there is one. `text`, `hint` for people."""

    value: float
    text: str = ""
    hint: str = ""
    about: str = ""


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert, from the first bad value on. `well_since`: well again from then on, and not yet cleared.

    `owed`: what is still to be delivered of it, as bits that belong to whoever delivers.
    """

    id: int
    code: str
    about: str
    state: State
    since: int
    text: str
    hint: str
    raised_at: int | None = None
    well_since: int | None = None
    cleared_at: int | None = None
    owed: int = 0

    @property
    def key(self) -> tuple[str, str]:
        return self.code, self.about


def judge(
    standing: Iterable[Alert], looked: Looked, rules: Mapping[str, Rule], now: int, next_id: int
) -> list[Alert]:
    """What stands after a look: pending and raised alerts, and those that this look cleared.

    A pending one whose value is no longer bad is gone without a word. New ones are numbered from `next_id`.
    """
    before = {alert.key: alert for alert in standing}
    readings = {(code, one.about): one for code, found in looked.items() for one in found}
    after = []
    for key in sorted(before.keys() | readings.keys()):
        alert = before.get(key)
        if alert is not None and key[0] not in looked:
            after.append(alert)
            continue
        rule = rules[key[0]]
        if alert is None and rule.is_bad(readings[key].value):
            alert = Alert(next_id, *key, "pending", now, readings[key].text, readings[key].hint)
            next_id += 1
        moved = None if alert is None else _moved(alert, readings.get(key), rule, now)
        after += [] if moved is None else [moved]
    return after


def _moved(alert: Alert, reading: Reading | None, rule: Rule, now: int) -> Alert | None:
    is_bad = reading is not None and rule.is_bad(reading.value)
    if reading is not None and reading.text and (is_bad or alert.state == "pending"):
        alert = replace(alert, text=reading.text, hint=reading.hint)
    if alert.state == "pending":
        if not is_bad:
            return None
        return replace(alert, state="raised", raised_at=now) if now - alert.since >= rule.for_us else alert
    if reading is not None and not rule.is_well(reading.value):
        return replace(alert, well_since=None)
    well_since = now if alert.well_since is None else alert.well_since
    if now - well_since >= rule.ease_us:
        return replace(alert, state="cleared", well_since=well_since, cleared_at=now)
    return replace(alert, well_since=well_since)


def shifted(standing: Iterable[Alert], jump_us: int) -> list[Alert]:
    """The same alerts after the clock was set by `jump_us`: how long each has lasted stays as it was."""
    return [
        replace(
            alert,
            since=alert.since + jump_us,
            well_since=None if alert.well_since is None else alert.well_since + jump_us,
        )
        for alert in standing
    ]
