"""A page over the screen: all about one row, or the help. Scrolls, and goes away with esc, enter or q."""

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from console.leaving import LeftOnce
from console.widgets.lines import Rows
from console.widgets.pieces import BLANK, Line


class Page(Rows):
    """Lines that scroll; the cursor is not drawn."""

    def _lead(self, _index: int) -> tuple[str, str]:
        return "", "text"

    def _is_cursor(self, _y: int) -> bool:
        return False

    def action_cursor(self, by: int) -> None:
        self.scroll_relative(y=by, animate=False)

    def action_page(self, by: int) -> None:
        self.scroll_relative(y=by * max(1, self.size.height - 1), animate=False)

    def action_edge(self, end: int) -> None:
        self.scroll_to(y=self.total if end > 0 else 0, animate=False)


class Detail(LeftOnce[None], ModalScreen[None]):
    """`build` makes the lines for a width."""

    AUTO_FOCUS = "Page"
    KEYS_TOLD: ClassVar[str] = "esc closes"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q,question_mark", "dismiss", "close", show=False)
    ]

    def __init__(self, title: str, build: Callable[[int], list[Line]]) -> None:
        super().__init__()
        self._title = title
        self._build = build
        self._lines: list[Line] = []

    def compose(self) -> ComposeResult:
        with Vertical(id="page"):
            yield Page(self._row, id="lines")

    def on_mount(self) -> None:
        if self.is_left:
            return
        box = self.query_one("#page")
        box.border_title = self._title
        box.border_subtitle = self.KEYS_TOLD

    def on_resize(self) -> None:
        self.call_after_refresh(self._fill)

    def _fill(self) -> None:
        for page in self.query(Page):  # none is left once it was closed
            self._lines = self._build(page.width)
            page.fill(len(self._lines), 0)

    def _row(self, index: int, _width: int) -> Line:
        return self._lines[index] if index < len(self._lines) else BLANK
