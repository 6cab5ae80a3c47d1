"""What a console wears: the shipped and the user's themes, and the home's choice among them.

It owns when a theme is taken and put on; what a theme file says is `console.themes`' business.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from textual.app import App

from console import themes
from console.terminal import Terminal

THEMES_STEP_MS = 200  # between two looks at the user's own themes


class Dress:
    """The themes of one console. `own`: the folder of the user's, watched while the console runs."""

    def __init__(self, deck: Any, terminal: Terminal, shipped: Path | None, own: Path | None) -> None:
        self._deck = deck
        self._keeps_colours = terminal.ansi
        self._wanted = terminal.theme
        self._folders = [shipped or themes.folder(), *([own] if own else [])]
        self._own = own
        self._names: set[str] = set()
        self._problems: Sequence[themes.Problem] = self._take()
        self._wear_at_once()

    def _take(self) -> Sequence[themes.Problem]:
        """Takes the files as they are now."""
        problems = []
        for folder in self._folders:
            found, wrong = themes.load(folder)
            problems += wrong
            for theme in found:
                self._deck.register_theme(theme)
                self._names.add(theme.name)
        return problems

    def _wear_at_once(self) -> None:
        """Before anything is styled: a theme put on later has every style reckoned a second time."""
        if self._deck.get_theme(self._wanted):
            self._deck.set_reactive(App.theme, self._wanted)
            self._deck.stylesheet.set_variables(self._deck.get_css_variables())

    def tell(self) -> None:
        """What was wrong with the files that gave no theme."""
        if self._problems:
            told = "\n".join(str(problem) for problem in self._problems)
            self._deck.tell(told, "warning", "Themes not taken")

    def _renew(self) -> None:
        """The files changed: the theme that is worn is drawn anew."""
        self._problems = self._take()
        self.tell()
        self._wear()

    def _wear(self) -> None:
        """A terminal that is to keep its own colours keeps them."""
        if self._keeps_colours or self._wanted not in self._names:
            return
        before, self._deck.theme = self._deck.theme, self._wanted
        if before == self._wanted:
            self._deck.mutate_reactive(App.theme)

    def choose(self, wanted: str) -> None:
        """The home says which theme is its own; nothing, if it leaves that to the terminal."""
        if not wanted or wanted == self._wanted:
            return
        self._wanted = wanted
        self._wear()
        if wanted not in self._names:
            names = ", ".join(sorted(self._names))
            self._deck.tell(f"There is no theme {wanted}. There are {names}.", "warning")

    @property
    def is_watched(self) -> bool:
        """Whether there is a folder of the user's own."""
        return self._own is not None and self._own.is_dir()

    async def watch(self) -> None:
        """Takes the user's themes again whenever one changes; ends only by being cancelled."""
        from watchfiles import awatch  # after the first frame: it takes a while to import

        assert self._own is not None
        async for _ in awatch(self._own, step=THEMES_STEP_MS):
            self._renew()
