"""What screens with charts share: the key that leads to the crosshair, and the one to a chart in words."""

from collections.abc import Callable, Collection
from functools import partial

from textual import on
from textual.containers import Horizontal, Vertical
from textual.widget import Widget

from console.actions import Need
from console.mirror import Topics
from console.modals.detail import Detail
from console.modals.twin import Twin
from console.screens import panels
from console.screens.base import DeckScreen
from console.widgets.chart import Chart, Course
from console.widgets.lines import Build, Lines, Rows
from console.widgets.pieces import Line, line


class Charted(DeckScreen):
    """A screen with charts; keys are about the one with the crosshair, else the first in sight."""

    CHART_COMES = False  # whether `x` brings the chart into sight

    def chart(self) -> Chart | None:
        """The chart that keys are about."""
        found = [chart for chart in self.query(Chart) if self.CHART_COMES or _in_sight(chart)]
        return next((chart for chart in found if chart.has_focus), found[0] if found else None)

    def there(self) -> Collection[Need]:
        return {*super().there(), "chart"} if self.chart() else super().there()

    def do_cross(self) -> None:
        """Gives the chart the focus, and so its crosshair."""
        chart = self.chart()
        if chart is not None and self._known(chart):
            self.add_class("-crossing")
            self.call_after_refresh(chart.look)

    def do_table(self) -> None:
        chart = self.chart()
        if chart is not None and self._known(chart):
            self.deck.push_screen(Twin(chart.course()))

    @on(Chart.Opened)
    def _opened_point(self, event: Chart.Opened) -> None:
        self.do_point(event.chart.course(), event.place)

    def do_point(self, course: Course, place: int) -> None:
        """Opens all about a point."""
        names = [column.head for column in course.columns]
        pairs = [(name, line(told)) for name, told in zip(names, course.cells(place), strict=True) if told[0]]
        self.deck.push_screen(Detail(course.name, partial(panels.details, pairs)))

    def _known(self, chart: Chart) -> bool:
        """Whether there are points; where there are none, that is told."""
        known = bool(chart.course().stops)
        if not known:
            self.deck.tell("chart: there are no points over time here", "warning")
        return known


def beside(
    title: str, row: Callable[[int, int], Line], side: Build, chart: Chart, topics: Topics
) -> Horizontal:
    """A list, and beside it all about its row, and a chart; without room for them `x` shows the chart."""
    about = Vertical(Lines(side, topics, id="about"), chart, id="side", classes="charted")
    about.border_title = title
    return Horizontal(Rows(row, topics, id="list"), about, id="split")


def _in_sight(chart: Chart) -> bool:
    return all(part.display for part in chart.ancestors_with_self if isinstance(part, Widget))
