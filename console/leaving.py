"""Screens that are left once, however often a key is pressed before they have gone.

Keys come faster than screens go: pasted, repeated, or held up by a slow line and then all at once. Textual
takes whatever screen is on top away; that would be the one underneath, or the last there is.
"""

from typing import TYPE_CHECKING

from textual.await_complete import AwaitComplete
from textual.screen import Screen

if TYPE_CHECKING:

    class _Beside[Answer](Screen[Answer]): ...
else:

    class _Beside[Answer]:
        """No screen itself: of several bases that are, Textual takes the styles of the first alone."""


class LeftOnce[Answer](_Beside[Answer]):
    """Beside a screen: goes away while it is on top, and takes nothing else with it.

    is_left: it has no parts any more, or soon none; what comes late for it comes to nothing.
    """

    is_left = False

    def dismiss(self, result: Answer | None = None) -> AwaitComplete:
        """Leaves with an answer; nothing where it has been left already."""
        if self.is_left or self.app.screen is not self:
            return AwaitComplete()
        self.is_left = True
        return super().dismiss(result)
