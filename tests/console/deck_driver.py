"""Drives the console in tests: opens it on a fake engine, presses keys, reads what is on the screen."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from textual.command import CommandList
from textual.events import Key, Paste
from textual.pilot import Pilot

from console import actions
from console import app as app_module
from console.app import NavdeckApp
from console.fake import FakeClient, connecting, still
from console.modals.pick import Pick
from console.terminal import Terminal
from console.widgets.chart import Chart
from console.widgets.fields import Choice, Field
from console.widgets.lines import Lines, Rows

PATIENCE_S = 30.0  # of a busy machine; nothing here waits for time to pass
ROWS_SOUGHT = 60  # looked through before the driver gives up
KEYS_TO = {actions.ASSETS: ["a"], actions.TRANSFERS: ["t"], actions.LOTS: ["5", "l"]}  # of no key alone
TERMINAL = Terminal(refusal="", theme="navdeck-dark", mouse=True, ascii=False)


class Console:
    """An open console. Keys are pressed one by one; each waits until all that follows is painted."""

    def __init__(self, app: NavdeckApp, client: FakeClient, pilot: Pilot[None]) -> None:
        self.app = app
        self.client = client
        self._pilot = pilot

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self._pilot.press(key)
            await self.settle()

    async def burst(self, *keys: str) -> None:
        """Keys that come all at once, as over a line that was held up."""
        for key in keys:
            self.app.post_message(Key(key, key if len(key) == 1 else None))
        await self.settle()

    async def do(self, act: str) -> None:
        """Presses the key that the registry gives an act, such as `quarantine` or `fix`."""
        await self.press(actions.BY_ID[act].keys[0])

    async def palette(self, typed: str) -> None:
        """Takes the first act that the palette finds for a text."""
        await self.press("colon")
        palette = self.app.screen
        await self.type(typed)
        acts = palette.query_one(CommandList)
        await self.until(lambda: typed in str(acts.options[0].prompt).lower() if acts.options else False)
        for _ in range(2):  # the first enter only lights it up where several were found
            if self.app.screen is palette:
                await self.press("enter")
        await self.until(lambda: self.app.screen is not palette)
        await self.settle()

    async def onto(self, words: str) -> None:
        """Moves the cursor of the list on top down to the row that says the words."""
        await self.press("g")
        for _ in range(ROWS_SOUGHT):
            if words in self.line_under_cursor():
                return
            await self.press("j")
        raise AssertionError(f"no row says {words!r}:\n{self.text()}")

    def line_under_cursor(self) -> str:
        return next((one for one in self.text().splitlines() if one.startswith("▸")), "")

    async def filter(self, typed: str) -> None:
        await self.press("slash")
        await self.type(typed)
        await self.press("enter")

    async def into(self, field: str, text: str) -> None:
        """Goes to a field of the form on top, by its id, and types a text in place of what is there."""
        await self.reach(field)
        await self.press("ctrl+u")
        await self.type(text)

    async def choose(self, label: str) -> None:
        """Takes a choice of the form on top, or a line of the list of ways, by what it says."""
        if isinstance(self.app.screen, Pick):
            await self.onto(label)
        else:
            await self.reach(label)
        await self.press("enter")

    async def reach(self, name: str) -> None:
        """Goes to a field by its id, or to a choice by its label."""
        for _ in range(ROWS_SOUGHT):
            if self.focused == name:
                return
            await self.press("tab")
        raise AssertionError(f"{name!r} is nowhere:\n{self.text()}")

    async def type(self, text: str) -> None:
        """Types a text into the field that has the focus."""
        await self._pilot.press(*text)
        await self.settle()

    async def paste(self, text: str) -> None:
        """Pastes a text into the field that has the focus."""
        focused = self.app.screen.focused
        assert focused is not None
        focused.post_message(Paste(text))
        await self.settle()

    async def settle(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await self._pilot.pause()
            while not self.app.is_still:
                await self._pilot.pause(0.01)
            await self._pilot.pause()

    async def tell(self, kind: str, data: dict[str, Any]) -> None:
        self.client.tell(kind, data)
        await self.settle()

    async def until(self, what: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not what():
                await self._pilot.pause(0.01)

    def text(self) -> str:
        """All lines of the screen on top; what stands in a field is a line of its own."""
        shown = []
        for part in self.app.screen.query("Lines, Field"):
            if isinstance(part, Field):
                shown.append(part.value)
            elif isinstance(part, Lines) and part.size:
                shown += [part.render_line(y).text for y in range(part.size.height)]
        return "\n".join(shown)

    @property
    def focused(self) -> str:
        """The id of what has the focus, or the label of the choice."""
        found = self.app.screen.focused
        return found.label if isinstance(found, Choice) else (found.id or "") if found else ""

    def sent(self, *, dry_run: bool = False) -> list[tuple[str, dict[str, Any]]]:
        """The commands that were sent for good, or only tried: names and arguments."""
        return [(each.name, each.arguments) for each in self.client.commands if each.dry_run == dry_run]

    @property
    def rows(self) -> Rows:
        return self.app.screen.query_one(Rows)

    def toasts(self) -> list[str]:
        return [note.message for note in self.app._notifications]


@asynccontextmanager
async def console(
    client: FakeClient | None = None,
    *,
    size: tuple[int, int] = (80, 24),
    on_exit: Callable[[], Awaitable[None]] | None = None,
    themes_folder: Path | None = None,
    own_themes: Path | None = None,
    terminal: Terminal = TERMINAL,
    screen: str = NavdeckApp.DEFAULT_MODE,
) -> AsyncIterator[Console]:
    """Opens a console on a screen and waits until it shows the engine's data. It repaints without a pause."""
    fake = client or FakeClient()
    with patch.object(NavdeckApp, "DEFAULT_MODE", screen):
        app = NavdeckApp(
            connecting(fake), on_exit, terminal=terminal, clock=still, themes_folder=themes_folder,
            own_themes=own_themes,
        )  # fmt: skip
    with patch.object(Chart, "least_s", 0.0), patch.object(app_module, "PULSE_S", 0.0):
        async with app.run_test(size=size, notifications=True) as pilot:
            opened = Console(app, fake, pilot)
            async with asyncio.timeout(PATIENCE_S):
                while app.mirror.phase == "starting":
                    await pilot.pause(0.01)
            await opened.settle()
            yield opened


def scenario(screen: str, run: Callable[[Console], Awaitable[None]], **how: Any) -> None:
    """Opens a console, goes to a screen by its keys and runs what is to happen there."""

    async def whole() -> None:
        async with console(**how) as deck:
            await deck.press(*KEYS_TO.get(screen) or actions.BY_ID[screen].keys)
            await run(deck)

    asyncio.run(whole())
