"""What a valuation made, as it comes from a worker: records of files, rows of open days, what it restates."""

from dataclasses import dataclass, field
from typing import Any

from engine.domain.instants import format_instant
from engine.runtime.unpriced import NO_PRICES
from engine.snapshots.schemas import FileRecord

TOLD_MAX = 100  # restated closes that are told one by one


@dataclass(slots=True)
class Restated:
    """Closes whose NAV changed although they had been valued before; the first TOLD_MAX of them in full."""

    count: int = 0
    first: int | None = None
    last: int | None = None
    closes: list[tuple[int, str | None, str | None]] = field(default_factory=list)  # close, old, new NAV

    def add(self, close: int, old: str | None, new: str | None) -> None:
        self.count += 1
        self.first = close if self.first is None else min(self.first, close)
        self.last = close if self.last is None else max(self.last, close)
        if len(self.closes) < TOLD_MAX:
            self.closes.append((close, old, new))

    def told(self) -> dict[str, Any]:
        """As JSON."""
        first, last = (None if close is None else format_instant(close) for close in (self.first, self.last))
        closes = [
            {"bucket_close": format_instant(close), "old": old, "new": new} for close, old, new in self.closes
        ]
        return {"count": self.count, "first": first, "last": last, "closes": closes}


@dataclass(slots=True)
class Valued:
    """What was computed. `days`: (dt, first close, last close); `whole`: the series has no other days.

    `partial`: the days of which only some assets were valued, and which. `series_first`: the first close of
    the series, None if it has none. Of the days in `open_dates` the rows with the keys `closed` go and the
    rows `opened` come (OPEN_KEY and OPEN_COLUMNS of schemas.py); the others are `files`. `follows_from`: the
    mark of the inputs that all values follow from now; None where that cannot be said.
    """

    resolution: str
    whole: bool
    series_first: int | None = None
    buckets: int = 0
    snapshots: int = 0
    complete: int = 0
    days: list[tuple[str, int, int]] = field(default_factory=list)
    partial: dict[str, frozenset[str]] = field(default_factory=dict)
    files: list[FileRecord] = field(default_factory=list)
    open_dates: set[str] = field(default_factory=set)
    closed: list[tuple[Any, ...]] = field(default_factory=list)
    opened: list[tuple[Any, ...]] = field(default_factory=list)
    still_dropped: set[str] = field(default_factory=set)  # days dropped by retention that nothing changes
    follows_from: str | None = None
    left_out: tuple[int, int] | None = None  # closes from .. to, before the first price, that were not made
    unvalued: dict[str, Any] | None = None  # why there is nothing, what was never priced; None: not asked
    restated: Restated = field(default_factory=Restated)

    def left_out_told(self) -> dict[str, Any] | None:
        """As JSON: from where to where there are no buckets, and why; None if there are all.

        A series without a price has no end.
        """
        priceless = self.unvalued is not None and self.unvalued["reason"] == NO_PRICES
        if self.left_out is None and priceless and self.series_first is not None:
            return {"from": format_instant(self.series_first), "to": None, "reason": NO_PRICES}
        if self.left_out is None:
            return None
        first, last = (format_instant(close) for close in self.left_out)
        return {"from": first, "to": last, "reason": "BEFORE_FIRST_PRICE"}
