"""How much memory is in use, and of whose limit; what that means for batches; and giving memory back.

Limits are the machine's, those of the control groups this process is in, and `memory.limit` over its own
process tree. What to do about it is advice of engine.compaction.memory_manager; the service follows it.
"""

import gc
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.compaction.memory_manager import (
    ALERT_RATIO,
    NARROW,
    Advice,
    Level,
    State,
    Use,
    advice,
    advise,
    tightest,
)
from engine.config import Config
from engine.errors import WorkerOverLimit

RSS_STEP_BYTES = 16 << 20  # a smaller change of this process tree is not worth a line on a slow terminal
INSERT_ROWS_MIN, WINDOW_ROWS_MIN, CLOSES_MIN = 50, 1_000, 1  # smaller batches cost more than they save
NARROWEST = 64  # how many times smaller batches become for a worker that went over its limit
CGROUPS, OWN_CGROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
_NAMES = {2: ("memory.max", "memory.current", "inactive_file"),
          1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")}  # fmt: skip
_UNLIMITED = 1 << 60  # bytes; version 1 says so by a number


@dataclass(frozen=True, slots=True)
class Batches:
    """How much a stage has in memory at a time: rows a statement, rows of a large file, closes to value."""

    insert_rows: int
    window_rows: int
    closes: int

    @classmethod
    def of(cls, config: Config) -> "Batches":
        return cls(config["ingest.batch_rows"], config["ingest.window_rows"], config["value.closes"])

    def narrowed(self, times: int) -> "Batches":
        """So many times smaller, within reason; never larger than they are."""
        return Batches(
            min(self.insert_rows, max(INSERT_ROWS_MIN, self.insert_rows // times)),
            min(self.window_rows, max(WINDOW_ROWS_MIN, self.window_rows // times)),
            min(self.closes, max(CLOSES_MIN, self.closes // times)),
        )


class Watch:
    """What the advice is, look after look, and how large batches are by it."""

    def __init__(self, config: Config) -> None:
        self._profile: str = config["memory.profile"]
        self._batches, self._narrow = Batches.of(config), 1
        self._state = State()
        self.advice: Advice = advice(Level.NORMAL, self._profile)

    def look(self, told: dict[str, Any], now_us: int) -> bool:
        """Takes a `memory_now` in; whether the level is another than before."""
        before = self.advice.level
        use = Use(told["used_bytes"], told["limit_bytes"], told["whose"])
        self._state, self.advice = advise(self._state, use, self._profile, now_us)
        return self.advice.level != before

    @property
    def batches(self) -> Batches:
        """How much a stage has in memory at a time, as memory is now."""
        return self._batches.narrowed(self._narrow * self.advice.narrow)

    def reconfigure(self, config: Config) -> None:
        """Takes new batch sizes."""
        self._batches = Batches.of(config)

    def narrower(self, error: WorkerOverLimit) -> str:
        """Smaller batches from now on, for what was too large, in words; raises what cannot be smaller."""
        if self._narrow >= NARROWEST:
            raise error
        self._narrow *= NARROW
        return f"{error} It is tried again with smaller batches."


def moved(before: dict[str, Any] | None, now: dict[str, Any]) -> bool:
    """Whether a person would see a difference: a whole percent, or RSS_STEP_BYTES of our own."""
    if before is None:
        return True
    percent = round(before["ratio"] * 100) != round(now["ratio"] * 100)
    return percent or bool(abs(before["rss_bytes"] - now["rss_bytes"]) >= RSS_STEP_BYTES)


def memory_now(own_limit: int = 0) -> dict[str, Any]:
    """`used_bytes`, `limit_bytes` and `ratio` of the tightest limit; `whose`: machine, cgroup or setting.

    And `rss_bytes` of this process tree, which `own_limit` (bytes; 0 for none) is about.
    """
    rss = _own_rss()
    use = tightest([*_limits(), *([Use(rss, own_limit, "setting")] if own_limit else [])])
    return {
        "used_bytes": use.used, "limit_bytes": use.limit, "ratio": use.ratio, "whose": use.whose,
        "rss_bytes": rss,
    }  # fmt: skip


def _own_rss() -> int:
    import psutil

    own = psutil.Process()
    rss = 0
    for process in (own, *own.children(recursive=True)):
        try:
            rss += process.memory_info().rss
        except psutil.NoSuchProcess:  # it ended between the listing and the look
            continue
    return rss


def worker_limit(config: Config) -> int:
    """Bytes that a worker may have resident; the setting, or the part of the limit that work stays in."""
    given: int = config["memory.worker_bytes_max"]
    if given:
        return given
    limits = [use.limit for use in _limits()] + [config["memory.limit"] or _UNLIMITED]
    return int(min(limits) * ALERT_RATIO)


def _limits() -> Iterator[Use]:
    import psutil

    machine = psutil.virtual_memory()
    yield Use(machine.total - machine.available, machine.total, "machine")
    yield from cgroup_uses()


def cgroup_uses(root: Path = CGROUPS, own: Path = OWN_CGROUPS) -> Iterator[Use]:
    """Every limit of the control groups that this process is in, of both versions, and of those above them.

    What the kernel can drop at once (clean pages of files) does not count as used.
    """
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, kinds, path = line.split(":", 2)
        if kinds and "memory" not in kinds.split(","):
            continue
        version = 1 if kinds else 2
        for top in (root / "memory",) if kinds else (root, root / "unified"):
            inside = (top / path.lstrip("/")).resolve()
            for folder in (inside, *inside.parents):
                if not folder.is_relative_to(top):
                    break
                yield from _use_of(folder, *_NAMES[version])


def _use_of(folder: Path, limit_name: str, used_name: str, droppable: str) -> Iterator[Use]:
    try:
        limit, used = ((folder / name).read_text().strip() for name in (limit_name, used_name))
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except OSError:  # no such group is seen from here, or it has no limit
        return
    if limit.isdigit() and 0 < int(limit) < _UNLIMITED:
        yield Use(max(0, int(used) - int(stat.get(droppable, 0))), int(limit), "cgroup")


def give_back() -> None:
    """Frees what nothing uses, and kept books, and hands it to the system. It loads no library for that."""
    kept = sys.modules.get("engine.runtime.kept_books")
    if kept is not None:
        kept.drop()
    gc.collect()
    arrow = sys.modules.get("pyarrow")
    if arrow is not None:
        arrow.default_memory_pool().release_unused()
    import ctypes

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, others do by themselves
    if trim is not None:
        trim(0)
