"""What forms are made of: a field to type in, a note that is as high as its text, a choice to press.

A label, a hint or a value may come from data: all of it is text, never markup.
"""

from collections.abc import Callable
from typing import ClassVar

from rich.cells import cell_len
from textual import events
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.geometry import Size
from textual.message import Message
from textual.suggester import Suggester
from textual.widgets import Input

from console.mirror import NOTHING
from console.widgets.lines import Lines
from console.widgets.pieces import Line, line

# Typing or pasting never brings these in: controls, and characters that turn the writing round or hide.
# Nothing of Unicode's Cc Cf Cs Co Zl Zp, but the joiners, which notes may have.
_PRINTABLE = (
    "[^\x00-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b\u200e\u200f"
    "\u2028-\u202e\u2060-\u206f\ud800-\uf8ff\ufeff\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff\U000f0000-\U0010ffff]*"
)


class Field(Input):
    """One line to type in. Nothing blinks, so that a waiting form sends nothing."""

    def __init__(
        self,
        value: str = "",
        *,
        placeholder: str = "",
        suggester: Suggester | None = None,
        id: str | None = None,
    ) -> None:
        super().__init__(
            value, placeholder, compact=True, restrict=_PRINTABLE,
            suggester=suggester, id=id,
        )  # fmt: skip
        self.cursor_blink = False


class Note(Lines):
    """Lines of text in as much height as they need. `build` makes them for a width."""

    DEFAULT_CSS = "Note { height: auto; }"

    def __init__(self, build: Callable[[int], list[Line]], *, id: str | None = None) -> None:
        super().__init__(lambda width, _height: build(width), NOTHING, id=id)
        self._told = build

    def get_content_height(self, _container: Size, _viewport: Size, width: int) -> int:
        return len(self._told(width))

    def renew(self) -> None:
        """Its text changed."""
        self.refresh(layout=True)
        self.repaint()


class Choice(Lines, can_focus=True):
    """A button of one line: enter or space presses it, the arrows go to its neighbours."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,space", "press", "press", show=False),
        Binding("left,up", "app.focus_previous", "before", show=False),
        Binding("right,down", "app.focus_next", "next", show=False),
    ]
    DEFAULT_CSS = "Choice { height: 1; }"

    class Pressed(Message):
        """The choice was taken."""

        def __init__(self, choice: "Choice") -> None:
            super().__init__()
            self.choice = choice

        @property
        def control(self) -> "Choice":
            return self.choice

    def __init__(self, label: str, *, id: str | None = None, disabled: bool = False) -> None:
        super().__init__(self._drawn, NOTHING, id=id)
        self.label = label
        self.disabled = disabled
        self.styles.width = cell_len(label) + 4

    def rename(self, label: str) -> None:
        """Gives it another label."""
        self.label = label
        self.styles.width = cell_len(label) + 4
        self.repaint()

    def _drawn(self, _width: int, _height: int) -> list[Line]:
        """The one that has the focus stands out by its sign too."""
        if self.has_focus:
            return [line((f"▸ {self.label} ", "reverse"))]
        return [line((f"[ {self.label} ]", "muted" if self.disabled else "mark"))]

    def watch_disabled(self, disabled: bool) -> None:
        super().watch_disabled(disabled)
        self.repaint()

    def watch_has_focus(self, has_focus: bool) -> None:
        super().watch_has_focus(has_focus)
        self.repaint()

    def action_press(self) -> None:
        self.post_message(self.Pressed(self))

    def on_click(self, _event: events.Click) -> None:
        self.action_press()


class Body(VerticalScroll, can_focus=False):
    """The part of a form that scrolls; up and down go from field to field."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "app.focus_previous", "before", show=False),
        Binding("down", "app.focus_next", "next", show=False),
    ]
