"""The page that is left when there can be no engine: what failed, what can be done, and the way out."""

from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from console.widgets.fields import Note
from console.widgets.pieces import BLANK, Line, line, wrapped

if TYPE_CHECKING:
    from console.app import NavdeckApp


class Failure(ModalScreen[None]):
    """`text`: what failed; `hint`: what to do."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("q,escape,enter,ctrl+q", "leave", "leave", show=False)]

    def __init__(self, text: str, hint: str) -> None:
        super().__init__()
        self._text = text
        self._hint = hint

    def compose(self) -> ComposeResult:
        with Vertical(id="form"):
            yield Note(self._lines)

    def on_mount(self) -> None:
        box = self.query_one("#form")
        box.border_title = "No engine"
        box.border_subtitle = "q leaves"

    def _lines(self, width: int) -> list[Line]:
        failed = [line(("  " if number else "✗ ", "bad"), part)
                  for number, part in enumerate(_folded(self._text, width - 2))]  # fmt: skip
        hint = [line("  ", (part, "muted")) for part in _folded(self._hint, width - 2)]
        return [*failed, BLANK, *hint]

    async def action_leave(self) -> None:
        await cast("NavdeckApp", self.app).do_quit()


def _folded(text: str, width: int) -> list[str]:
    return wrapped(text, max(8, width)) if text else []
