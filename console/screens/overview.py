"""The overview: the state of everything on one page, in lines where room is short, else in panels."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from textual.containers import Grid
from textual.widget import Widget

from console import actions
from console.acking import waiting
from console.actions import Need
from console.client import EVERYTHING
from console.screens import panels
from console.screens.base import bindings
from console.screens.charted import Charted
from console.screens.nav_charts import drawdown_course, nav_course
from console.text import UNKNOWN
from console.widgets.chart import Chart, Course
from console.widgets.lines import Lines
from console.widgets.pieces import BLANK, Line, cut


class Overview(Charted):
    """Screen 1."""

    ID = actions.OVERVIEW
    BINDINGS = bindings(actions.OVERVIEW)
    ZOOMED = ".framed"

    def there(self) -> Collection[Need]:
        return {*super().there(), "alert"} if waiting(self.doc) else super().there()

    def body(self) -> Sequence[Widget]:
        grid = Grid(
            titled(Chart(self._nav, frozenset({"nav", "time"}), id="nav"), "Net asset value"),
            titled(
                Lines(self._attention, frozenset({"alerts", "state", "nav", "time"}), id="attention"),
                "Needs attention",
            ),
            titled(
                Chart(self._drawdown, frozenset({"nav"}), id="drawdown"),
                "Drawdown of NAV (flows not taken out)",
            ),
            titled(Lines(self._memory, frozenset({"memory", "time"}), id="memory"), "Memory"),
            titled(Lines(self._inbox, frozenset({"inbox"}), id="inbox"), "Inbox"),
            titled(Lines(self._quarantine, frozenset({"quarantine"}), id="reasons"), "Quarantine"),
            titled(Lines(self._events, frozenset({"events"}), id="tail"), "Events"),
            id="panels",
        )
        return Lines(self._brief, EVERYTHING, id="brief"), grid

    def _brief(self, width: int, height: int) -> list[Line]:
        return panels.brief(self.doc, self.now, width, height)

    def _nav(self) -> Course:
        found = self.doc["nav"]
        course = nav_course(found["points"], found["resolution"])
        picture = None if course.stops else lambda _width, height: self._empty()[:height]
        return replace(course, words=self._nav_words, unit=self.doc["base_currency"], picture=picture)

    def _nav_words(self, width: int) -> Line:
        return cut(panels.nav_line(self.doc, self.now), width)

    def _empty(self) -> list[Line]:
        if self.doc["nav"]["points"]:
            return []
        home = self.doc["home"] or UNKNOWN
        return [((f"Put CSV files of transactions, prices and rates into {home}/inbox.", "muted"),)]

    def _drawdown(self) -> Course:
        found = self.doc["nav"]
        course = drawdown_course(found["points"], found["resolution"])
        return replace(course, words=self._drawdown_words, unit=self.doc["base_currency"])

    def _drawdown_words(self, width: int) -> Line:
        return cut(panels.drawdown_line(self.doc), width)

    def _attention(self, width: int, height: int) -> list[Line]:
        coming = [
            BLANK,
            panels.values_line(self.doc, self.now, width),
            panels.data_line(self.doc, width),
        ]
        found = [part for needed in panels.attention(self.doc) for part in panels.folded(needed, width)]
        return [*found[: max(1, height - len(coming))], *coming][:height]

    def _memory(self, width: int, height: int) -> list[Line]:
        return panels.memory(self.doc, self.now, width, height)

    def _inbox(self, width: int, height: int) -> list[Line]:
        return panels.inbox(self.doc, self.now, width, height)

    def _quarantine(self, width: int, height: int) -> list[Line]:
        return panels.reasons(self.doc["quarantine"]["by_reason"], width, height)

    def _events(self, width: int, height: int) -> list[Line]:
        return panels.newest_events(self.doc, width, height)

    def copied(self) -> str:
        return "".join(text for text, _ in panels.nav_line(self.doc, self.now)[:3]).strip()


def titled(panel: Lines, title: str) -> Lines:
    """The panel with a title in its frame; titles are ours, never data."""
    panel.border_title = title
    panel.add_class("framed")
    return panel
