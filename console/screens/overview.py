"""The overview: the state of everything on one page, and the one list of what waits for a person."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from textual import on
from textual.containers import Container
from textual.geometry import Size
from textual.widget import Widget

from console import actions
from console.acking import waiting
from console.actions import Need
from console.mirror import EVERYTHING, Topics
from console.screens import panels
from console.screens.base import DeckScreen, bindings
from console.screens.charted import Charted
from console.screens.nav_charts import drawdown_course, nav_course
from console.screens.waits import Wait, wait_line, waits
from console.text import UNKNOWN
from console.widgets.chart import Chart, Course
from console.widgets.lines import Lines, Rows
from console.widgets.pieces import Line, cut, line

NOTHING_WAITS = line("  ", ("✓ ", "ok"), ("nothing waits for you", "muted"))


class WaitRows(Rows):
    """The list of what waits, as high as it is long; one calm line where nothing does."""

    OF_DATA = True

    def get_content_height(self, _container: Size, _viewport: Size, _width: int) -> int:
        return max(1, self.total)

    def fill(self, total: int, cursor: int) -> None:
        if total != self.total:
            self.refresh(layout=True)
        super().fill(total, cursor)

    def _window(self, width: int, height: int) -> list[Line]:
        return super()._window(width, height) if self.total else [NOTHING_WAITS]


class Overview(Charted):
    """Screen 1."""

    ID = actions.OVERVIEW
    BINDINGS = bindings(actions.OVERVIEW)
    ZOOMED = ".framed"

    def __init__(self) -> None:
        super().__init__()
        self._waits: list[Wait] = []

    def there(self) -> Collection[Need]:
        found: set[Need] = {*super().there()}
        found |= {"row"} if self._waits else set()
        found |= {"job"} if self.doc["valuing"] else set()
        return found | {"alert"} if waiting(self.doc) else found

    def body(self) -> Sequence[Widget]:
        panel = Container(
            Lines(self._brief, EVERYTHING, id="brief"),
            titled(Chart(self._nav, frozenset({"nav", "time"}), id="nav"), "Net asset value"),
            titled(WaitRows(self._wait, EVERYTHING, id="waits"), "Waits for you"),
            titled(
                Chart(self._drawdown, frozenset({"nav"}), id="drawdown"),
                "Drawdown of NAV (flows not taken out)",
            ),
            titled(Lines(self._memory, EVERYTHING, id="memory"), "State"),
            titled(Lines(self._inbox, frozenset({"inbox"}), id="inbox"), "Inbox"),
            titled(Lines(self._quarantine, frozenset({"quarantine"}), id="reasons"), "Quarantine"),
            titled(Lines(self._events, frozenset({"events"}), id="tail"), "Events"),
            id="panels",
        )
        return (panel,)

    # -- what waits --

    @property
    def rows(self) -> Rows:
        return self.query_one(Rows)

    def redraw(self, topics: Topics) -> None:
        self._fill()
        super().redraw(topics)

    def _fill(self) -> None:
        """The cursor stays on its row, as long as that waits."""
        before, self._waits = self._waits[self.rows.cursor : self.rows.cursor + 1], waits(self.doc, self.now)
        ids = [one.id for one in before]
        same = [place for place, one in enumerate(self._waits) if one.id in ids]
        self.rows.fill(len(self._waits), same[0] if same else 0)

    def _wait(self, index: int, width: int) -> Line:
        return wait_line(self._waits[index], self.now, width)

    async def do_go(self) -> None:
        """Opens where it is settled, with the cursor on what it is about."""
        if self._waits:
            wait = self._waits[self.rows.cursor]
            await self.deck.act(wait.opens)
            if wait.about and isinstance(self.deck.screen, DeckScreen):
                self.deck.screen.seek(wait.about)

    @on(Rows.Opened)
    async def _opened(self) -> None:
        await self.do_go()

    # -- the panels --

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

    def _memory(self, width: int, height: int) -> list[Line]:
        return panels.memory(self.doc, self.now, width, height)

    def _inbox(self, width: int, height: int) -> list[Line]:
        return panels.inbox(self.doc, self.now, width, height)

    def _quarantine(self, width: int, height: int) -> list[Line]:
        return panels.reasons(self.doc["quarantine"]["by_reason"], width, height)

    def _events(self, width: int, height: int) -> list[Line]:
        return panels.newest_events(self.doc, self.now, width, height)

    def copied(self) -> str:
        return "".join(text for text, _ in panels.nav_line(self.doc, self.now)[:3]).strip()


def titled(panel: Lines, title: str) -> Lines:
    """The panel with a title in its frame; titles are ours, never data."""
    panel.border_title = title
    panel.add_class("framed")
    return panel
