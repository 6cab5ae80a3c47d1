"""Labels on the rows in sight: typing one puts the cursor there; esc, or a letter that none has, leaves."""

from itertools import product
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from console.leaving import LeftOnce
from console.mirror import NOTHING
from console.widgets.lines import Lines, Rows
from console.widgets.pieces import Line, cut, line

LETTERS = "asdfghjklqwertyuiopzxcvbnm"  # the nearest to the fingers first


def labels(number: int) -> list[str]:
    """So many labels of one letter, or of two where these do not suffice; none begins another."""
    firsts = next(few for few in range(len(LETTERS) + 1) if _reach(few) >= number or few == len(LETTERS))
    single = LETTERS[: len(LETTERS) - firsts]
    return [*single, *("".join(pair) for pair in product(LETTERS[len(single) :], LETTERS))][:number]


def _reach(firsts: int) -> int:
    return len(LETTERS) - firsts + firsts * len(LETTERS)


class Jump(LeftOnce[None], ModalScreen[None]):
    """Over a list, which stays in sight."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss", "leave", show=False)]

    def __init__(self, rows: Rows) -> None:
        super().__init__()
        self._rows = rows
        places = range(rows.scroll_offset.y, min(rows.total, rows.scroll_offset.y + rows.size.height))
        self._labels = dict(zip(labels(len(places)), places, strict=False))
        self._typed = ""

    def compose(self) -> ComposeResult:
        yield Lines(self._told, NOTHING, id="keys")

    def _told(self, width: int, _height: int) -> list[Line]:
        told = line((" jump ", "strong"), "type the letters before a row", ("  esc leaves", "muted"))
        return [cut(told, width)]

    def on_mount(self) -> None:
        self._show()

    def on_unmount(self) -> None:
        self._rows.label({})

    def _show(self) -> None:
        left = {place: label for label, place in self._labels.items() if label.startswith(self._typed)}
        self._rows.label(left)

    def on_key(self, event: events.Key) -> None:
        if event.key == "escape":
            return
        event.stop()
        self._typed += event.character or "?"
        if self._typed in self._labels:
            self._rows.move(self._labels[self._typed])
            self.dismiss()
        elif any(label.startswith(self._typed) for label in self._labels):
            self._show()
        else:
            self.dismiss()
