"""What upkeep's tasks and the engine that asks for them say to each other, and what is told of it as JSON.

Plain values, and nothing that takes long to import: an engine's process has an event loop to look after.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

from engine.compaction.file_compactor import Plan, Rules
from engine.compaction.memory_manager import PROFILES, ROW_GROUP_BYTES
from engine.config import Config
from engine.domain.instants import DAY_US, MINUTE_US, format_instant
from engine.errors import UsageError
from engine.snapshots.schemas import FileRecord

# -- compaction --


def rules(config: Config, now: int, profile: str | None = None) -> Rules:
    """What the settings say of now."""
    chosen = profile or config["memory.profile"]
    if chosen not in PROFILES:
        raise UsageError(f"There is no profile {chosen!r}.", f"Choose one of {', '.join(PROFILES)}.")
    cold = max(0, now - config["compaction.cold_days"] * DAY_US)
    dead = now - config["compaction.grace_minutes"] * MINUTE_US
    return Rules(dead, format_instant(cold)[:10], chosen)


@dataclass(frozen=True, slots=True)
class Rewritten:
    """What became of one group. `record` None: it stays; `problem`: what is wrong with it, if anything."""

    sources: list[str]
    record: FileRecord | None = None
    problem: str = ""


def compact_told(
    made: Plan, before: dict[str, int], after: dict[str, int], dry_run: bool, cancelled: bool = False
) -> dict[str, Any]:
    """`compact --json`."""
    return {
        "dry_run": dry_run, "cancelled": cancelled, "profile": made.profile,
        "row_group_bytes": ROW_GROUP_BYTES[made.profile], "peak_bytes": made.peak_bytes,
        "steps": [step.told() for step in made.steps],
        "before": before, "after": after,
    }  # fmt: skip


# -- retention --


@dataclass(frozen=True, slots=True)
class Old:
    """Days of one resolution that are past their time. `kept_because`: why nothing is dropped now."""

    resolution: str
    keep_days: int
    days: tuple[str, ...]
    files: int
    bytes: int
    kept_because: str | None = None

    def told(self) -> dict[str, Any]:
        """As JSON: days by count."""
        return asdict(self) | {"days": len(self.days)}


def retention_told(
    found: list[Old], logs: dict[str, int], before: dict[str, int], after: dict[str, int],
    problems: list[str], dry_run: bool, cancelled: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """`retention --json`."""
    return {
        "dry_run": dry_run, "cancelled": cancelled, "resolutions": [one.told() for one in found],
        "logs": logs, "problems": problems, "before": before, "after": after,
    }  # fmt: skip


# -- integrity --


@dataclass(slots=True)
class Checked:
    """What a round found. `remade`: (old path, record of the file that is there now); `problems`: no hope."""

    sound: list[str] = field(default_factory=list)
    remade: list[tuple[str, FileRecord]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
