"""The palette's entries: every act of the registry that can be carried out now, and the themes."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider

from console import actions

if TYPE_CHECKING:
    from console.app import NavdeckApp

Entry = tuple[str, str, Callable[[], object]]


def _name(action: actions.Action) -> str:
    return f"{'Go' if action.id in actions.SCREENS else 'Do'}: {action.label}  ({action.shown})"


class Acts(Provider):
    """Offers what works on the screen below the palette."""

    def _entries(self) -> list[Entry]:
        deck = cast("NavdeckApp", self.app)
        screen, there = deck.shown, deck.there()
        made: list[Entry] = [
            (_name(action), action.help, partial(deck.act, action.id))
            for action in actions.for_screen(screen)
            if action.id != "palette" and not actions.why_not(action, there)
        ]  # fmt: skip
        themes = [name for name in deck.available_themes if name.startswith(("navdeck-", "ansi-"))]
        return made + [
            (f"Theme: {name}", "Other colours", partial(setattr, deck, "theme", name)) for name in themes
        ]

    async def discover(self) -> Hits:
        """Everything, before anything is typed."""
        for text, about, run in self._entries():
            yield DiscoveryHit(text, run, help=about)

    async def search(self, query: str) -> Hits:
        """What matches what was typed."""
        matcher = self.matcher(query)
        for text, about, run in self._entries():
            score = matcher.match(text)
            if score > 0:
                yield Hit(score, matcher.highlight(text), run, help=about)
