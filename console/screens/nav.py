"""NAV: its course, its return, its drawdown, what it consists of; gaps where it is not known, and why."""

from collections.abc import Collection, Sequence
from functools import partial
from itertools import groupby
from typing import Any

from textual import work
from textual.containers import Vertical
from textual.widget import Widget

from console import actions
from console.actions import Need
from console.mirror import EVERYTHING, Topics
from console.modals.detail import Detail
from console.screens import nav_charts, panels
from console.screens.base import bindings
from console.screens.charted import Charted
from console.screens.nav_charts import CHARTS, DRAWDOWN, NAV
from console.text import UNKNOWN, count, words
from console.widgets.chart import Chart, Course
from console.widgets.figures import DAY_US, day_clock, from_us, to_us
from console.widgets.lines import Frame, Lines
from console.widgets.pieces import Column, Line, Piece, cells, cut, fitted, line, widest
from engine.api import EngineError, Query

Document = dict[str, Any]

# Name, resolution, length in days (0: all there is); by the default granularity of CONTRACT §8.
RANGES = (
    ("1 day", "5m", 1), ("7 days", "1h", 7), ("30 days", "1h", 30), ("90 days", "1h", 90),
    ("1 year", "1d", 365), ("all", "1d", 0),
)  # fmt: skip
FIRST_RANGE, DAILY_RANGE = 2, 4
COPIED_CELLS = 1_000  # of a chart in words
GAP_COLUMNS = (
    Column("from", 12, prose=True), Column("to", 12, prose=True), Column("closes", 6, right=True),
    Column("why", 18), Column("what", 12, grows=1), Column("that is", 40, rank=1, grows=3),
)  # fmt: skip


def gaps(points: Sequence[Document]) -> list[list[Document]]:
    """Runs of points without NAV that have one cause, newest first."""
    runs = groupby(
        points, lambda point: (point["nav"] is None, point["held"], point["missing"], point["reasons"])
    )
    return [list(run) for key, run in runs if key[0]][::-1]


def gap_row(run: Sequence[Document], now: int) -> list[Piece]:
    """One run of closes without NAV."""
    first, last = run[0], run[-1]
    held = bool(first["held"])
    codes = ", ".join(code.lower().replace("_", " ") for code in first["reasons"])
    return [
        (day_clock(first["bucket_close"], now), "text"),
        (day_clock(last["bucket_close"], now), "muted"),
        (count(len(run)), "text"),
        (f"{'‖' if held else '×'} {codes or 'not complete'}", "held" if held else "warn"),
        (", ".join([*first["held"], *first["missing"]]) or UNKNOWN, "text"),
        ("; ".join(words(code) for code in first["reasons"]), "muted"),
    ]


def gap_table(points: Sequence[Document], now: int, width: int, height: int) -> list[Line]:
    """The closes without NAV, and why; one calm line if there are none."""
    runs = gaps(points)
    if not runs:
        return (
            [line(("✓ ", "ok"), ("NAV is known at every close of this range", "muted"))][:height]
            if points
            else []
        )
    shown = runs if len(runs) < height else runs[: max(0, height - 2)]
    rows = [gap_row(run, now) for run in shown]
    layout = fitted(GAP_COLUMNS, width, widest(rows))
    made = [layout.head(), *map(layout.row, rows)]
    if len(shown) < len(runs):
        made.append(line((f"and {count(len(runs) - len(shown))} stretches more", "muted")))
    return made[:height]


class Nav(Charted):
    """Screen 5."""

    ID = actions.NAV
    BINDINGS = bindings(actions.NAV)
    ZOOMED = "#nav, #drawdown, #gaps"

    def __init__(self) -> None:
        super().__init__()
        self._range = FIRST_RANGE
        self._is_first = True
        self._chosen = NAV
        self._found: Document = nav_charts.NOTHING
        self._courses: dict[str, Course] = {}  # of what was found
        self.answered = False

    def there(self) -> Collection[Need]:
        return {*super().there(), "job"} if self.doc["valuing"] else super().there()

    def body(self) -> Sequence[Widget]:
        mine = frozenset({"nav"})
        return (
            Frame(self._head, mine | {"value"}, id="head"),
            Chart(lambda: self._course(self._chosen), mine, id="nav"),
            Chart(lambda: self._course(self._other), mine, id="drawdown"),
            Vertical(Lines(self._gaps, mine, id="gaps"), id="below"),
        )

    def redraw(self, topics: Topics) -> None:
        """Asks for the points again when NAV moved; they are drawn when they are there."""
        super().redraw(topics - {"nav"})
        if "nav" in topics:
            self._begin()
            self._ask(topics == EVERYTHING)

    def _begin(self) -> None:
        """Where prices come once a day, the first range is one of daily closes: no other has a NAV."""
        if self._is_first and self.doc["nav"]["points"]:
            self._is_first = False
            if self.doc["nav"]["resolution"] == "1d":
                self._range = DAILY_RANGE

    @work(exclusive=True, group="nav")
    async def _ask(self, at_once: bool) -> None:
        """Fetches the range and draws it, `at_once` without waiting for a chart's turn."""
        _, resolution, days = RANGES[self._range]
        last = self.doc["watermarks"]["valued_last"].get(resolution)
        after = from_us(max(0, to_us(last) - days * DAY_US)) if last and days else None
        self.asking()
        try:
            self._found = await self.deck.session.ask(
                Query("metrics", {"resolution": resolution, "from": after, "to": None, "points": True})
            )
            self._courses, self.answered = {}, True
        except (EngineError, OSError) as error:
            self.trouble = str(error)
        self._draw(at_once)

    def _draw(self, at_once: bool) -> None:
        for panel in self.query(Chart) if at_once else ():
            panel.hurry()
        super().redraw(frozenset({"nav"}))

    def do_range_before(self) -> None:
        self._choose(self._range - 1)

    def do_range_after(self) -> None:
        self._choose(self._range + 1)

    def do_chart(self) -> None:
        """The next of the charts."""
        self._chosen = CHARTS[(CHARTS.index(self._chosen) + 1) % len(CHARTS)]
        self._draw(at_once=True)

    def _choose(self, chosen: int) -> None:
        kept = max(0, min(len(RANGES) - 1, chosen))
        if kept != self._range:
            self._range, self.answered = kept, False
            self._draw(at_once=True)
            self.redraw(EVERYTHING)

    def _head(self, width: int, height: int) -> list[Line]:
        names = [panels.choice(name, place == self._range) for place, (name, _, _) in enumerate(RANGES)]
        about = f"  closes of {RANGES[self._range][1]}, UTC"
        second = line((self.trouble, "bad")) if self.trouble and self.answered else self._charts(width)
        return [cut(line(*names, (about, "muted")), width), cut(second, width)][:height]

    def _charts(self, width: int) -> Line:
        """Which there are; while valuing is at work, how far it is, and then perhaps the chosen one alone."""
        charts = line(*(panels.choice(name, name == self._chosen) for name in CHARTS))
        if not self.doc["valuing"]:
            return charts
        far = ("   ", "muted"), *panels.valuing(self.doc["valuing"], self.now)
        whole = (*charts, *far)
        return whole if cells(whole) <= width else (panels.choice(self._chosen, True), *far)

    def _course(self, which: str) -> Course:
        """One of the charts; made once for what was found."""
        if which not in self._courses:
            base = self.doc["base_currency"]
            self._courses[which] = nav_charts.course(self._found, which, base)
        return self._courses[which]

    @property
    def _other(self) -> str:
        """What stands below the chosen chart."""
        return NAV if self._chosen == DRAWDOWN else DRAWDOWN

    def _gaps(self, width: int, height: int) -> list[Line]:
        about = "‖ held  × something is missing"
        table = gap_table(self._found["points"], self.now, width, height - 1)
        return [panels.head("Not known", about), *table]

    def do_point(self, _course: Course, place: int) -> None:
        self._look(self._found["points"][place])

    @work(exclusive=True, group="page")
    async def _look(self, point: Document) -> None:
        """All about a close: what keeps its NAV unknown, with the evidence for what is held."""
        evidence = []
        for pair in [name for name in point["held"] if "/" in name]:
            wanted = {"pair": pair, "at": point["bucket_close"], "from": point["bucket_close"]}
            evidence.append(await self.deck.asked("close", Query("fx_status", wanted)))
        build = partial(nav_charts.close_lines, point, [found for found in evidence if found])
        self.deck.push_screen(Detail("Close", build))

    def copied(self) -> str:
        chart = self.chart()
        if chart is None or chart.place is None:
            return "".join(text for text, _ in self._course(self._chosen).words(COPIED_CELLS))
        return "  ".join(text for text, _ in chart.course().cells(chart.place) if text)
