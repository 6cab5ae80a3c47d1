"""NAV: its course and its drawdown, with gaps where it is not known, and what withholds it."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import groupby
from typing import Any

from textual import work
from textual.containers import Vertical
from textual.widget import Widget

from console import actions
from console.client import EVERYTHING, Topics
from console.screens import panels
from console.screens.base import DeckScreen, bindings
from console.text import UNKNOWN, count, money, words
from console.widgets.chart import Chart, chart
from console.widgets.figures import DAY_US, day_clock, from_us, percent, spark, to_us
from console.widgets.lines import Lines
from console.widgets.pieces import Column, Line, Piece, as_fits, cut, fitted, line
from console.widgets.series import drawdown, samples
from engine.api import EngineError, Query

Document = dict[str, Any]

# Name, resolution, length in days (0: all there is); by the default granularity of CONTRACT §8.
RANGES = (
    ("1 day", "5m", 1), ("7 days", "1h", 7), ("30 days", "1h", 30), ("90 days", "1h", 90),
    ("1 year", "1d", 365), ("all", "1d", 0),
)  # fmt: skip
FIRST_RANGE = 2
LEVELS_CELLS = 24
GAP_COLUMNS = (
    Column("from", 12), Column("to", 12), Column("closes", 6, right=True), Column("why", 18),
    Column("what", 12, grows=1), Column("that is", 40, rank=1, grows=3),
)  # fmt: skip


def nav_chart(
    points: Sequence[Document], resolution: str, width: int, height: int, ascii_only: bool
) -> list[Line]:
    """The course of NAV."""
    return chart(samples(points, resolution), width, height, _amount, "accent", ascii_only)


def drawdown_chart(
    points: Sequence[Document], resolution: str, width: int, height: int, ascii_only: bool
) -> list[Line]:
    """How far NAV was below its highest complete point."""
    return chart(drawdown(samples(points, resolution)), width, height, _share, "bad", ascii_only)


def _amount(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.2f}"


def _share(ratio: float) -> str:
    return f"{ratio * 100:.1f}%".replace("-0.0%", "0.0%").replace("-", "−")


def nav_twin(points: Sequence[Document], currency: str, width: int) -> Line:
    """The chart in words: last, change, unknown closes, most, least; as much as fits."""
    known = [Decimal(point["nav"]) for point in points if point["nav"] is not None]
    if not known:
        return line(("no close with a known NAV in this range", "muted"))
    last = points[-1]
    told: Line = (
        line((f"{money(last['nav'])} {currency}", "strong")) if last["nav"] else line(panels.gap_piece(last))
    )
    change = known[-1] - known[0]
    ratio = percent(float(change / known[0]), signed=True) if known[0] else UNKNOWN
    sign = "+" if change > 0 else ""
    unknown = len(points) - len(known)
    parts = (
        (f"change {sign}{money(str(change))} ({ratio}), flows included".replace("-", "−"), "text"),
        (f"{count(unknown)} of {count(len(points))} closes not known", "warn" if unknown else "muted"),
        (f"most {money(str(max(known)))}", "muted"),
        (f"least {money(str(min(known)))}", "muted"),
    )
    return as_fits([told, *(line(part) for part in parts)], width)


def drawdown_twin(points: Sequence[Document], resolution: str, width: int, with_levels: bool) -> Line:
    """The drawdown in words and, where there is no chart of it, a line of levels."""
    found = drawdown(samples(points, resolution))
    known = [(sample.value, sample.ts) for sample in found if sample.value is not None]
    if not known:
        return line(("Drawdown ", "muted"), UNKNOWN)
    worst, ts = min(known)
    levels = spark([sample.value for sample in found], LEVELS_CELLS) if with_levels else ""
    return as_fits([
        line(("Drawdown of NAV ", "muted"), (percent(known[-1][0]), "strong")),
        line((f"worst {percent(worst)} at {day_clock(from_us(ts))}Z", "muted")),
        line((levels or "flows not taken out", "bad" if levels else "muted")),
    ], width)  # fmt: skip


def gaps(points: Sequence[Document]) -> list[list[Document]]:
    """Runs of points without NAV that have one cause, newest first."""
    runs = groupby(
        points, lambda point: (point["nav"] is None, point["held"], point["missing"], point["reasons"])
    )
    return [list(run) for key, run in runs if key[0]][::-1]


def gap_row(run: Sequence[Document]) -> list[Piece]:
    """One run of closes without NAV."""
    first, last = run[0], run[-1]
    held = bool(first["held"])
    codes = ", ".join(code.lower().replace("_", " ") for code in first["reasons"])
    return [
        (day_clock(first["bucket_close"]) + "Z", "text"),
        (day_clock(last["bucket_close"]) + "Z", "muted"),
        (count(len(run)), "text"),
        (f"{'‖' if held else '×'} {codes or 'not complete'}", "held" if held else "warn"),
        (", ".join([*first["held"], *first["missing"]]) or UNKNOWN, "text"),
        ("; ".join(words(code) for code in first["reasons"]), "muted"),
    ]


def gap_table(points: Sequence[Document], width: int, height: int) -> list[Line]:
    """The closes without NAV, and why; one calm line if there are none."""
    runs = gaps(points)
    if not runs:
        return (
            [line(("✓ ", "ok"), ("NAV is known at every close of this range", "muted"))][:height]
            if points
            else []
        )
    layout = fitted(GAP_COLUMNS, width)
    shown = runs if len(runs) < height else runs[: max(0, height - 2)]
    made = [layout.head(), *(layout.row(gap_row(run)) for run in shown)]
    if len(shown) < len(runs):
        made.append(line((f"and {count(len(runs) - len(shown))} stretches more", "muted")))
    return made[:height]


class Nav(DeckScreen):
    """Screen 5."""

    ID = actions.NAV
    BINDINGS = bindings(actions.NAV)

    def __init__(self) -> None:
        super().__init__()
        self._range = FIRST_RANGE
        self._points: list[Document] = []
        self._trouble = ""

    def body(self) -> Sequence[Widget]:
        mine = frozenset({"nav"})
        return (
            Lines(self._head, mine, id="head"),
            Chart(self._chart, mine, id="nav"),
            Lines(self._drawdown_told, mine, id="twin"),
            Chart(self._drawdown, mine, id="drawdown"),
            Vertical(Lines(self._gaps, mine, id="gaps"), id="below"),
        )

    def redraw(self, topics: Topics) -> None:
        """Asks for the points again when NAV moved; they are drawn when they are there."""
        super().redraw(topics - {"nav"})
        if "nav" in topics:
            self._ask(topics == EVERYTHING)

    @work(exclusive=True, group="nav")
    async def _ask(self, at_once: bool) -> None:
        """Fetches the points of the range and draws them, `at_once` without waiting for a chart's turn."""
        _, resolution, days = RANGES[self._range]
        last = self.doc["watermarks"]["valued_last"].get(resolution)
        after = from_us(max(0, to_us(last) - days * DAY_US)) if last and days else None
        self._trouble = ""
        try:
            found = await self.deck.session.ask(
                Query("nav", {"resolution": resolution, "from": after, "to": None})
            )
            self._points = found["points"]
        except (EngineError, OSError) as error:
            self._trouble = str(error)
        for panel in self.query(Chart) if at_once else ():
            panel.hurry()
        super().redraw(frozenset({"nav"}))

    def do_range_before(self) -> None:
        self._choose(self._range - 1)

    def do_range_after(self) -> None:
        self._choose(self._range + 1)

    def _choose(self, chosen: int) -> None:
        kept = max(0, min(len(RANGES) - 1, chosen))
        if kept != self._range:
            self._range = kept
            self.redraw(EVERYTHING)

    def _head(self, width: int, height: int) -> list[Line]:
        names = [panels.choice(name, place == self._range) for place, (name, _, _) in enumerate(RANGES)]
        about = f"  closes of {RANGES[self._range][1]}, UTC"
        first = line(("NAV  ", "strong"), *names, (about, "muted"))
        if self._trouble:
            return [cut(first, width), line((self._trouble, "bad"))][:height]
        return [cut(first, width), nav_twin(self._points, self.doc["base_currency"], width)][:height]

    def _resolution(self) -> str:
        return RANGES[self._range][1]

    def _chart(self, width: int, height: int) -> list[Line]:
        return nav_chart(self._points, self._resolution(), width, height, self.deck.terminal.ascii)

    def _drawdown_told(self, width: int, _height: int) -> list[Line]:
        drawn = self.query_one("#drawdown").display
        return [drawdown_twin(self._points, self._resolution(), width, with_levels=not drawn)]

    def _drawdown(self, width: int, height: int) -> list[Line]:
        return drawdown_chart(self._points, self._resolution(), width, height, self.deck.terminal.ascii)

    def _gaps(self, width: int, height: int) -> list[Line]:
        about = "‖ held  × something is missing"
        return [panels.head("Not known", about), *gap_table(self._points, width, height - 1)]

    def copied(self) -> str:
        return "".join(text for text, _ in nav_twin(self._points, self.doc["base_currency"], 1000))
