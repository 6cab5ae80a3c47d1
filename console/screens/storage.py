"""Storage: memory against its marks, what the lake holds, and what can be compacted or dropped."""

from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

from textual import work
from textual.widget import Widget

from console import actions
from console.acting import Acting
from console.actions import Need
from console.mirror import NOTHING, Topics
from console.modals.ask import Option, Question
from console.screens import panels
from console.screens.acts import ActingScreen
from console.screens.base import as_json, bindings
from console.screens.charted import Charted
from console.screens.storage_lines import (
    COLUMNS,
    cells,
    lake_line,
    memory_course,
    outcome,
    plan_lines,
    retention_lines,
    rows_of,
    upkeep_line,
)
from console.widgets.chart import Chart
from console.widgets.lines import READING, Lines, Rows
from console.widgets.pieces import Line, Piece, cut, fitted, line
from engine.api import EngineError, Query

Document = dict[str, Any]


class Storage(Charted, ActingScreen):
    """Screen 6."""

    ID = actions.STORAGE
    BINDINGS = bindings(actions.STORAGE)
    ZOOMED = "#memory, #list"
    ALLOW_IN_MAXIMIZED_VIEW = "#top, #strip, #keys, #tiny"  # the head is the list's

    def __init__(self) -> None:
        super().__init__()
        self._found: Document | None = None
        self._desk = Acting(self, ())

    def body(self) -> Sequence[Widget]:
        return (
            Lines(self._memory, frozenset({"memory"}), id="gauge"),
            Chart(lambda: memory_course(self.doc, self.now), frozenset({"memory", "time"}), id="memory"),
            Lines(self._head, frozenset({"work", "time"}), id="head"),
            Rows(self._row, NOTHING, id="list"),
        )

    def there(self) -> Collection[Need]:
        return {*super().there(), "job"} if self.doc["upkeep"] else super().there()

    def redraw(self, topics: Topics) -> None:
        """Asks again when values, and so files, moved."""
        super().redraw(topics)
        if topics & {"value", "counts"} and self.is_current:
            self._ask()

    @work(exclusive=True, group="page")
    async def _ask(self) -> None:
        self.asking()
        try:
            self._found = await self.deck.session.ask(Query("storage", {}))
        except (EngineError, OSError) as error:
            self.trouble = str(error)
        rows = self.query_one(Rows)
        rows.fill(len(self._lake()), rows.cursor)
        self.repaint()

    def _lake(self) -> Sequence[Document]:
        return rows_of(self._found) if self._found else ()

    # -- what is shown --

    def _memory(self, width: int, height: int) -> list[Line]:
        return [cut(panels.memory_line(self.doc, width), width)][:height]

    def _head(self, width: int, _height: int) -> list[Line]:
        first: Line = (*panels.head("Lake"), *READING)
        if self._found is not None:
            first = lake_line(self._found, width)
        if self.trouble:
            first = line((self.trouble, "bad"))
        heads = fitted(COLUMNS, self.query_one(Rows).width - 2).head()
        return [cut(first, width), cut(upkeep_line(self.doc["upkeep"], self.now), width), line("  ", *heads)]

    def _row(self, index: int, width: int) -> Line:
        keep = self._found["keep_days"] if self._found else {}
        return fitted(COLUMNS, width).row(cells(self._lake()[index], keep))

    def copied(self) -> str:
        return as_json(self._found)

    # -- jobs --

    def do_compact(self) -> None:
        self._desk.carry("compact", self._job("compact", "Compact the lake"))

    def do_retention(self) -> None:
        self._desk.carry("retention", self._job("retention", "Drop old snapshots"))

    async def _job(self, job: str, label: str) -> None:
        """The plan first; then just that."""
        plan = await self._desk.do(job, {}, dry_run=True)
        if plan is None:
            return
        build = partial(plan_lines if job == "compact" else retention_lines, plan)
        if await self.deck.push_screen_wait(Question(label, build, [Option(job, label)])) is None:
            return
        done = await self._desk.carry_out(job, label.lower(), {})
        if done is not None:
            sign: Piece = ("= ", "muted") if done["cancelled"] else ("✓ ", "ok")
            await self._desk.after(line(sign, outcome(job, done)))

    def renew(self, _gone: Sequence[str], _good: Sequence[str]) -> None:
        """Everything is asked for again."""
        self._ask()
