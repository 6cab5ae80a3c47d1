"""How far valuing is, told between two slices of it; and there it ends, if somebody asked for that."""

import time

from engine.errors import JobCancelled
from engine.runtime.executors import REPORT_EVERY_S, report
from engine.runtime.home import Home


class Far:
    """Tells how many days are valued, now and then; of short work nothing."""

    def __init__(self, home: Home, resolution: str, days: int) -> None:
        """JobCancelled if nobody wants the first of them either."""
        self._cancel = home.value_cancel
        self._about = {"resolution": resolution, "days": days}
        self._done = 0
        self._told_at = time.monotonic()
        self._require_wanted()

    def moved(self, days: int) -> None:
        """So many more are valued. JobCancelled if nobody wants the next ones."""
        self._done += days
        if time.monotonic() - self._told_at >= REPORT_EVERY_S:
            self._told_at = time.monotonic()
            report("value_progress", self._about | {"done": self._done})
        self._require_wanted()

    def _require_wanted(self) -> None:
        if self._cancel.exists():
            raise JobCancelled(
                f"Cancelled while values at {self._about['resolution']} were computed.",
                "Those at this resolution stay as they were; `navdeck value` computes them.",
            )
