"""One of several ways to go on, each a line; the first is to do nothing."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from console.leaving import LeftOnce
from console.widgets.fields import Note
from console.widgets.lines import Rows
from console.widgets.pieces import Line, cut, line


class Pick(LeftOnce[int | None], ModalScreen[int | None]):
    """Answers with the place of the line that was taken, None for none. `build`: what stands above.

    `at`: the line that the cursor begins on; nothing is done where none is told.
    """

    AUTO_FOCUS = "Rows"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "cancel", show=False), Binding("enter", "take", "take", show=False),
    ]  # fmt: skip

    def __init__(
        self,
        title: str,
        build: Callable[[int], list[Line]],
        ways: Sequence[Line],
        at: int | None = None,
    ) -> None:
        super().__init__()
        self._at = 0 if at is None else at + 1
        self._title = title
        self._build = build
        self._ways = [line("Cancel"), *ways]

    def compose(self) -> ComposeResult:
        with Vertical(id="form"):
            yield Note(self._build)
            yield Rows(self._row, id="ways")

    def on_mount(self) -> None:
        if self.is_left:
            return
        box = self.query_one("#form")
        box.border_title = self._title
        box.border_subtitle = "up and down choose, enter takes, esc cancels"
        rows = self.query_one(Rows)
        rows.styles.height = min(12, len(self._ways))
        rows.fill(len(self._ways), self._at)

    def _row(self, index: int, width: int) -> Line:
        return cut(self._ways[index], width)

    def action_leave(self) -> None:
        self.dismiss(None)

    @on(Rows.Opened)
    def action_take(self) -> None:
        place = self.query_one(Rows).cursor
        self.dismiss(place - 1 if place else None)
