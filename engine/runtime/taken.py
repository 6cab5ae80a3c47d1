"""What is said of files to be taken in, and of files that were."""

import time
from dataclasses import asdict, dataclass, field
from typing import Any

from engine.domain.instants import SECOND_US, format_instant

COUNTS = ("rows", "accepted", "duplicates", "quarantined", "fees_created")


@dataclass(frozen=True, slots=True)
class Source:
    """A file to be taken; `claimed`: it was taken out of the inbox, and is removed once it is done."""

    path: str
    name: str
    claimed: bool = False


@dataclass(frozen=True, slots=True)
class Taken:
    """A file's verdict; `file`: its number in the store, where it has one."""

    path: str
    name: str
    sha256: str | None
    bytes: int
    status: str  # ingested | duplicate | rejected; partial while a large file is being taken
    kind: str | None = None
    rows: int = 0
    accepted: int = 0
    duplicates: int = 0
    quarantined: int = 0
    fees_created: int = 0
    reason: str | None = None
    detail: str | None = None
    touched_from: int | None = None  # no figure before this instant changes; None: nobody can tell
    touched_until: int | None = None  # nor one after this instant; None: there is no such instant
    touched_assets: list[str] | None = None  # no figure of another asset changes; None: nobody can tell
    reasons: dict[str, int] = field(default_factory=dict)  # rows by quarantine reason

    def answer(self) -> dict[str, Any]:
        """The file's entry in `ingest --json`."""
        told = asdict(self)
        del told["bytes"]
        return told


def totals(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """The `totals` of `ingest --json`."""
    sums: dict[str, Any] = {name: sum(entry[name] for entry in entries) for name in COUNTS}
    by_status = [entry["status"] for entry in entries]
    sums["files"] = len(entries)
    return sums | {status: by_status.count(status) for status in ("ingested", "duplicate", "rejected")}


def when(now_us: int, started_s: float, begun_s: float) -> dict[str, Any]:
    """When a file was taken (`at`: as it is stored) and when it was done with, and how long that took."""
    here_s = time.perf_counter()
    done_us = now_us + int((here_s - started_s) * SECOND_US)
    return {
        "at": format_instant(now_us),
        "done_at": format_instant(done_us),
        "seconds": round(here_s - begun_s, 3),
    }
