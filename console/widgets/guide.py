"""Where the first steps are told: all of them on the overview, the next one in a line elsewhere."""

from typing import TYPE_CHECKING, cast

from console.widgets.lines import Frame
from console.widgets.pieces import Line, cut

if TYPE_CHECKING:
    from console.app import NavdeckApp


class Guide(Frame):
    """There while a story is told, else without room. `whole`: all of its steps."""

    def __init__(self, whole: bool) -> None:
        super().__init__(self._told, id="guide", classes="whole" if whole else "")
        self._whole = whole
        self.border_title = "First steps  (h hides them)"
        self.display = False

    @property
    def _deck(self) -> "NavdeckApp":
        return cast("NavdeckApp", self.app)

    def repaint(self) -> None:
        self.display = self._deck.story.is_shown
        if self.display and self._whole:
            self.styles.height = len(self._told(self.screen.size.width - 2, 99)) + 1
        super().repaint()

    def _told(self, width: int, height: int) -> list[Line]:
        story, doc = self._deck.story, self._deck.mirror.doc
        told = story.page(doc, width) if self._whole else [story.strip(doc, width)]
        return [cut(each, width) for each in told[:height]]
