"""What every question shares: a frame, a part that scrolls, choices below with Cancel first, esc cancels."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widget import Widget

from console.leaving import LeftOnce
from console.screens.sizes import HEIGHTS, WIDTHS
from console.widgets.fields import Body, Choice, Field

if TYPE_CHECKING:
    from console.app import NavdeckApp

CANCEL = "cancel"
KEYS = "tab goes on, enter takes, esc cancels"


class Form[Answer](LeftOnce[Answer | None], ModalScreen[Answer | None]):
    """A modal form; its answer is None when it is left without one. Its title is ours, never data."""

    AUTO_FOCUS = f"#{CANCEL}"
    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "cancel", show=False)]

    def __init__(self, title: str) -> None:
        super().__init__()
        self.form_title = title

    @property
    def deck(self) -> "NavdeckApp":
        return cast("NavdeckApp", self.app)

    @abstractmethod
    def parts(self) -> Sequence[Widget]:
        """What stands above the choices."""

    def below(self) -> Sequence[Widget]:
        """What stays in sight under the part that scrolls."""
        return ()

    @abstractmethod
    def choices(self) -> Sequence[Choice]:
        """What can be chosen besides Cancel."""

    def lacks(self) -> str:
        """What must be done before anything but Cancel can be chosen; empty if nothing."""
        return ""

    def judge(self) -> None:
        """Lets choose what can be chosen now; else the frame says why nothing can be."""
        lacks = self.lacks()
        for choice in self.query("#choices Choice").results(Choice):
            choice.disabled = bool(lacks) and choice.id != CANCEL
        self.query_one("#form").border_subtitle = f"{lacks}; esc cancels" if lacks else KEYS

    def compose(self) -> ComposeResult:
        with Vertical(id="form"):
            yield Body(*self.parts(), id="parts")
            yield from self.below()
            yield Horizontal(Choice("Cancel", id=CANCEL), *self.choices(), id="choices")

    def on_mount(self) -> None:
        if not self.is_left:
            self.query_one("#form").border_title = self.form_title
            self.judge()
            self.begin()

    def begin(self) -> None:
        """All parts are there."""

    def action_leave(self) -> None:
        self.dismiss(None)

    @on(Choice.Pressed, f"#{CANCEL}")
    def _cancelled(self) -> None:
        self.dismiss(None)

    @on(Field.Submitted)
    def _next(self, event: Field.Submitted) -> None:
        """Enter in a field goes on to what comes after it."""
        self.submitted(cast(Field, event.input))

    def submitted(self, _field: Field) -> None:
        self.focus_next()


def typed_first(lacking: Sequence[str]) -> str:
    """What is still to be typed, in words; empty if nothing."""
    return f"type {' and '.join(lacking)} first" if lacking else ""
