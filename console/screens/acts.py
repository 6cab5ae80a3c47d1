"""What a screen with acts has: a line above the keys that tells what came of the last one, and undo."""

from collections.abc import Sequence

from textual.widget import Widget

from console.acting import Acting
from console.mirror import NOTHING
from console.screens.base import DeckScreen
from console.widgets.lines import Frame, Lines
from console.widgets.pieces import Line, cut


class ActingScreen(DeckScreen):
    """A screen with acts; `_desk` carries them out, one at a time."""

    _desk: Acting

    def above_keys(self) -> Sequence[Widget]:
        return (Frame(self._strip, NOTHING, id="strip"),)

    def _strip(self, width: int, _height: int) -> list[Line]:
        return [cut(self._desk.told, width)]

    def told(self) -> None:
        """The desk has something else to say."""
        self.set_class(bool(self._desk.told), "-told")
        self.query_one("#strip", Lines).repaint()

    def do_undo(self) -> None:
        self._desk.carry("undo", self._desk.undo())
