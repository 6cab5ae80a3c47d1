"""What to do about memory: advice from how much is used. It measures nothing and frees nothing.

The problem. Work in batches is fastest when batches are large, and a machine that runs out of memory kills
whoever asked last. So batches must shrink, and at last intake must stop, before that; and at one ratio that
wavers around a mark the engine must not change its mind every two seconds.

A worked example, limit 1,000 MB, profile DEFAULT:

    used    ratio  level      because
    500 MB  0.50   normal
    660 MB  0.66   alert      0.65 is reached: LOW_RAM, a quarter of the batch, compaction is asked for
    610 MB  0.61   alert      not yet below 0.60
    590 MB  0.59   normal     below 0.60
    910 MB  0.91   critical   0.90 is reached: intake stops, memory is given back
    870 MB  0.87   critical   not yet below 0.85
    840 MB  0.84   alert      below 0.85: what waits in the inbox is taken again, in small batches

The rules. The ratio is used / limit of whichever is tighter: the machine, the control group, the limit of the
settings over this engine's own processes. A mark is reached from below at once and left 0.05 below it. Memory
is given back whenever the level rises, every GIVE_BACK_EVERY_US while it is critical, and every
TIDY_EVERY_US in any case, since allocators keep what long runs let go.

Refused: a limit of zero or less (no ratio), and a clock as its own source: the instant is an argument.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from engine.domain.instants import MINUTE_US, SECOND_US

ALERT_RATIO, CRITICAL_RATIO = 0.65, 0.90  # at which a level begins
NORMAL_RATIO, CALM_RATIO = 0.60, 0.85  # below which alert and critical end
GIVE_BACK_EVERY_US = 30 * SECOND_US  # a look at everything that can be freed costs some 50 ms
TIDY_EVERY_US = 10 * MINUTE_US
NARROW = 4  # how many times smaller batches are under LOW_RAM
ROW_GROUP_BYTES = {"DEFAULT": 128 << 20, "LOW_RAM": 32 << 20}
PROFILES = tuple(ROW_GROUP_BYTES)


class Level(IntEnum):
    """How tight memory is."""

    NORMAL = 0
    ALERT = 1
    CRITICAL = 2


@dataclass(frozen=True, slots=True)
class Use:
    """Bytes used of a limit, and whose limit that is: machine, cgroup or setting."""

    used: int
    limit: int
    whose: str

    def __post_init__(self) -> None:
        if self.limit <= 0:
            raise ValueError("a limit of no bytes has no ratio")

    @property
    def ratio(self) -> float:
        """Used of the limit; above 1 where more is used than is allowed."""
        return self.used / self.limit


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do now. `narrow`: batches are divided by this; the flags say what may run, and what should."""

    level: Level
    profile: str
    narrow: int
    row_group_bytes: int
    intake: bool
    optional_work: bool
    compaction: bool
    give_back: bool


@dataclass(frozen=True, slots=True)
class State:
    """What the next advice depends on; `given_back_at` in microseconds."""

    level: Level = Level.NORMAL
    given_back_at: int | None = None


def tightest(uses: Iterable[Use]) -> Use:
    """The one that is nearest to its limit, or furthest over it; the first of several. Not for none."""
    return max(uses, key=lambda use: use.ratio)


def advise(state: State, use: Use, profile: str, now_us: int) -> tuple[State, Advice]:
    """What to do under a profile of the settings, and what to remember for the next time."""
    level = _level(state.level, use.ratio)
    every = GIVE_BACK_EVERY_US if level == Level.CRITICAL else TIDY_EVERY_US
    since = state.given_back_at
    due = since is not None and not 0 <= now_us - since < every  # a clock that jumped back starts anew
    give_back = level > state.level or due
    known = now_us if give_back or since is None else since
    return State(level, known), advice(level, profile, give_back)


def advice(level: Level, profile: str, give_back: bool = False) -> Advice:
    """What a level means under a profile of the settings."""
    tight = level > Level.NORMAL
    chosen = "LOW_RAM" if tight else profile
    return Advice(
        level=level, profile=chosen, narrow=NARROW if chosen == "LOW_RAM" else 1,
        row_group_bytes=ROW_GROUP_BYTES[chosen], intake=level < Level.CRITICAL, optional_work=not tight,
        compaction=tight, give_back=give_back,
    )  # fmt: skip


def _level(before: Level, ratio: float) -> Level:
    if ratio >= CRITICAL_RATIO or (before == Level.CRITICAL and ratio >= CALM_RATIO):
        return Level.CRITICAL
    if ratio >= ALERT_RATIO or (before > Level.NORMAL and ratio >= NORMAL_RATIO):
        return Level.ALERT
    return Level.NORMAL
