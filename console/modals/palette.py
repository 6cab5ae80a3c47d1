"""The palette's entries: acts that can be carried out now, the way to those of other screens, the themes."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, ClassVar, cast

from textual.binding import Binding, BindingType
from textual.command import CommandList, CommandPalette, DiscoveryHit, Hit, Hits, Provider

from console import actions
from console.leaving import LeftOnce

if TYPE_CHECKING:
    from console.app import NavdeckApp

Entry = tuple[str, str, Callable[[], object]]


def _name(action: actions.Action) -> str:
    return f"{'Go' if action.id in actions.SCREENS else 'Do'}: {action.label}  ({action.shown})"


def _elsewhere(screen: str) -> list[actions.Action]:
    """Acts of other screens; list tools, which each list has, are not among them."""
    return [
        action for action in actions.ACTIONS
        if not action.works_on(screen) and (action.danger or action.needs == actions.AT_ENGINE)
    ]  # fmt: skip


def _way(action: actions.Action) -> str:
    place = actions.BY_ID[action.screens[0]]
    return f"Go: {place.label}, there {action.shown} is {action.label}"


class Palette(LeftOnce[None], CommandPalette):
    """Finds an act by what is typed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("pagedown", "page('page_down')", show=False),
        Binding("pageup", "page('page_up')", show=False),
    ]

    def action_page(self, way: str) -> None:
        """A page on or back, once there are lines: Textual looks for them before they are laid out."""
        found = self.query_one(CommandList)
        if found.size:
            getattr(found, f"action_{way}")()


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
        made += [
            (_way(action), action.help, partial(deck.act, action.screens[0])) for action in _elsewhere(screen)
        ]
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
