"""The console: screens as modes, keys from the registry, one session with an engine.

It knows the engine by `engine.api` only and starts it by a callable it is given, after its first frame.
Signals, the socket and the engine's end are the host's business.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from rich.style import Style
from rich.text import Text
from textual import work
from textual.app import App
from textual.binding import Binding, BindingType
from textual.driver import Driver as TextualDriver
from textual.drivers.linux_driver import LinuxDriver
from textual.events import Event, Key
from textual.screen import Screen

from console import actions, story
from console.acking import AckDesk
from console.acting import DECISIONS_READ
from console.actions import Action, Need
from console.client import Session
from console.dress import Dress
from console.driver import Driver
from console.mirror import EVERYTHING, Mirror, Topics
from console.modals.detail import Detail
from console.modals.failure import Failure
from console.modals.help import help_lines
from console.modals.palette import Acts, Palette
from console.modals.row import RowPage
from console.modals.twin import Twin
from console.screens.base import DeckScreen
from console.terminal import DARK, Terminal
from console.text import count, safe_text
from console.themes import FALLBACK
from console.widgets import canvas
from console.widgets.pieces import MARKS
from engine.api import EngineClient, EngineError, Query, actor, crash_text

PULSE_S = 0.5  # between two repaints of the same panel
TICK_S = 20.0  # ages are told in minutes and more
ORDINARY = Terminal(refusal="", theme=DARK, mouse=True, ascii=False)


def screen_class(name: str) -> type[DeckScreen]:
    """A screen's module is named like it, and imported when first wanted: so the first frame is sooner."""
    found: type[DeckScreen] = getattr(import_module(f"console.screens.{name}"), name.title())
    return found


def new_screen(name: str) -> DeckScreen:
    return screen_class(name)()


def import_all() -> None:
    """What is wanted a little later; meant for a thread beside the event loop."""
    for name in (*actions.SCREENS, *actions.OVER):
        screen_class(name)
    canvas.ready()


class NavdeckApp(App[None]):
    """The Textual app. `connect` gives a client of the engine; `on_exit` drains what the host runs."""

    CSS_PATH = "console.tcss"
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"mark--{mark}" for mark in (*MARKS, "cursor")}
    TITLE = "navdeck"
    COMMANDS: ClassVar[set[Any]] = {Acts}
    MODES: ClassVar[dict[str, Callable[[], Screen[Any]]]] = {  # type: ignore[assignment]
        name: partial(new_screen, name) for name in actions.SCREENS
    }
    DEFAULT_MODE = actions.OVERVIEW
    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = "ctrl+underscore"  # the registry's own keys open it
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(",".join(action.keys), f"act('{action.id}')", action.label, show=False, id=action.id)
        for action in actions.ACTIONS
        if not action.screens
    ]

    def __init__(
        self,
        connect: Callable[[], Awaitable[EngineClient]],
        on_exit: Callable[[], Awaitable[None]] | None = None,
        *,
        terminal: Terminal = ORDINARY,
        clock: Callable[[], float] = time.monotonic,
        themes_folder: Path | None = None,
        own_themes: Path | None = None,
    ) -> None:
        super().__init__(ansi_color=True if terminal.ansi else None)
        self.terminal = terminal
        self.set_class(terminal.ascii, "-ascii", update=False)
        self.frozen = False
        self.session = Session(connect, self._changed, clock)
        self.story = story.Story()
        self._alerts = AckDesk(self)
        self._clock = clock
        self._on_exit = on_exit
        self._dress = Dress(self, terminal, themes_folder, own_themes)
        self._mark_styles: dict[str, Style] = {}
        self._dirty: Topics = frozenset()
        self._pulsing = False
        self._pulsed_at_s = 0.0
        self.pressed_at = 0.0  # a key, by the clock

    @property
    def mirror(self) -> Mirror:
        return self.session.mirror

    @property
    def now(self) -> int:
        """The engine's time, in microseconds UTC."""
        return self.mirror.now(self._clock())

    @property
    def pen(self) -> canvas.Pen:
        """What charts are drawn with: the home's choice, as far as this terminal can."""
        return canvas.pen(self.mirror.doc["graphs"], self.terminal.ascii)

    @property
    def is_still(self) -> bool:
        """Whether everything that changed is painted, and nothing more is being fetched for it."""
        busy = {"nav", "page", "command", "leaving"}
        fetching = self.session.is_waiting or any(
            worker.group in busy and not worker.is_finished for worker in self.workers
        )
        return not self._pulsing and (self.frozen or not self._dirty) and not fetching

    # -- start and end --------------------------------------------------------------------------------

    def get_driver_class(self) -> type[TextualDriver]:
        found = super().get_driver_class()
        return Driver if found is LinuxDriver else found

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return FALLBACK

    def on_mount(self) -> None:
        self.animation_level = "none"
        self._dress.tell()
        self.set_interval(TICK_S, partial(self._changed, frozenset({"time"})))
        self.call_after_refresh(self._begin)

    def mark_style(self, mark: str) -> Style:
        """What text of this meaning wears, whatever it stands on."""
        if mark not in self._mark_styles:
            self._mark_styles[mark] = self.get_component_styles(f"mark--{mark}").partial_rich_style
        return self._mark_styles[mark]

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._mark_styles.clear()

    def _begin(self) -> None:
        self._start()
        if self._dress.is_watched:
            self._watch_dress()

    @work(group="themes")
    async def _watch_dress(self) -> None:
        await self._dress.watch()

    @work(group="session")
    async def _start(self) -> None:
        await asyncio.to_thread(import_all)
        await self.session.run()
        self.push_screen(Failure(*self.mirror.trouble))  # it ran to an end: trying again cannot help

    async def on_event(self, event: Event) -> None:
        if isinstance(event, Key):
            self.pressed_at = self._clock()
        await super().on_event(event)

    async def do_quit(self) -> None:
        """Leaves; asked a second time, at once."""
        if self.mirror.phase == "leaving":
            self.exit()
            return
        self.mirror.phase = "leaving"
        self._redraw(EVERYTHING)
        self.workers.cancel_group(self, "session")
        self._leave()

    def _fatal_error(self) -> None:
        """What nobody caught ends the console; Textual would print the values of locals, raw."""
        self.bell()
        error = self._exception or RuntimeError("an error that is not known any more")
        where = f"\nThe log is in {self.mirror.doc['home']}/logs." if self.mirror.doc["home"] else ""
        self.panic(Text(crash_text(error) + where))

    def panic(self, *renderables: Any) -> None:
        """Errors that could draw themselves are told as all others are."""
        super().panic(*(Text(crash_text(one)) if isinstance(one, Exception) else one for one in renderables))

    @work(group="leaving")
    async def _leave(self) -> None:
        try:
            await (self._on_exit() if self._on_exit else self.session.close())
        finally:
            self.exit()

    # -- the pulse: what changed is shown at most twice a second -----------------------------------------

    def _changed(self, topics: Topics) -> None:
        self._dirty |= topics
        if not self._pulsing and not self.frozen:
            self._pulsing = True
            wait_s = max(0.001, self._pulsed_at_s + PULSE_S - time.monotonic())
            self.set_timer(wait_s, self._pulse)

    def _pulse(self) -> None:
        self._pulsing = False
        self._pulsed_at_s = time.monotonic()
        topics, self._dirty = self._dirty, frozenset()
        self._redraw(topics)

    def _redraw(self, topics: Topics) -> None:
        self._dress.choose(self.mirror.doc["theme"])
        self._tell_story(topics)
        if self.frozen:
            self._dirty |= topics
            return
        self._redraw_screens(topics)

    def _redraw_screens(self, topics: Topics) -> None:
        """A screen that is still being made has no parts yet; it draws itself when it is there."""
        for screen in self.screen_stack:
            if isinstance(screen, DeckScreen) and screen.is_mounted:
                screen.redraw(topics)

    def _tell_story(self, topics: Topics) -> None:
        """Looks how far the first steps are; which decisions stand is asked after every act."""
        if self.mirror.phase != "live":
            return
        self.story.begin(self.mirror.doc)
        if self.story.is_on and "acts" in topics:
            self._decided()
        if last := self.story.end(self.mirror.doc):
            self.tell(f"{last}\n? shows every key", title="The first steps are done")

    @work(group="story", exclusive=True)
    async def _decided(self) -> None:
        try:
            found = await self.session.ask(Query("decisions", {"limit": DECISIONS_READ, "offset": 0}))
        except (EngineError, OSError):  # asked again after the next act
            return
        self.story.kinds = {each["kind"] for each in found["rows"] if not each["undone_by"]}
        self._changed(frozenset({"time"}))

    # -- acts ---------------------------------------------------------------------------------------------

    def there(self) -> set[Need]:
        """What there is now of what acts need."""
        there: set[Need] = {"engine"} if self.session.connected else set()
        if not self.mirror.doc["read_only"]:
            there.add("writing")
        if story.is_new(self.mirror.doc):
            there.add("new")
        if self.story.is_on:
            there.add("story")
        stack = [screen for screen in self.screen_stack if screen.is_mounted]
        shown = [screen for screen in stack if isinstance(screen, DeckScreen | RowPage)]
        return there.union(*(one.there() for one in shown[-1:]))

    async def action_act(self, action_id: str) -> None:
        await self.act(action_id)

    async def action_quit(self) -> None:
        await self.act("quit")

    async def act(self, action_id: str) -> None:
        """Carries out an act of the registry, or says why it cannot be."""
        action = actions.BY_ID[action_id]
        reason = actions.why_not(action, self.there())
        if reason == actions.WHY_NOT["engine"] and self.mirror.phase == "starting":
            reason = "the engine is still starting; press it again"  # an act is never kept for later
        if reason:
            self.tell(f"{action.label}: {reason}", "warning")
            return
        handler = getattr(self.screen, f"do_{action_id}", None) or getattr(self, f"do_{action_id}", None)
        if action_id in actions.SCREENS:
            await self._switch(action_id)
        elif handler:
            done = handler()
            if done is not None:
                await done
        elif action.command:
            self._command(action)

    async def _switch(self, name: str) -> None:
        """Shows a screen itself: lists that were opened over the one before are closed."""
        while isinstance(self.screen, DeckScreen) and self.screen.IS_OVER:
            self.screen.dismiss()  # not waited for: the key may come from that very list
        await self.switch_mode(name)

    @work(group="command")
    async def _command(self, action: Action) -> None:
        self.tell(f"{action.label}: asked for")
        try:
            result = await self.session.do(actions.command(action, actor()))
        except (EngineError, OSError) as error:
            self.tell_error(action.label, error)
        else:
            self.tell(f"{action.label}: {_outcome(result)}")

    async def asked(self, label: str, query: Query) -> dict[str, Any] | None:
        """The answer; None where it failed, which was told then."""
        try:
            return await self.session.ask(query)
        except (EngineError, OSError) as error:
            self.tell_error(label, error)
            return None

    async def done(
        self,
        action: Action,
        arguments: dict[str, Any] | None = None,
        reason: str = "",
        *,
        dry_run: bool = False,
    ) -> dict[str, Any] | None:
        """What the act did, or would do; None where it failed, which was told then."""
        try:
            return await self.session.do(actions.command(action, actor(), arguments, reason, dry_run))
        except (EngineError, OSError) as error:
            self.tell_error(action.label, error)
            return None

    def tell_error(self, label: str, error: EngineError | OSError) -> None:
        """A toast of what failed, and what can be done about it."""
        hint = f"\n{error.hint}" if isinstance(error, EngineError) and error.hint else ""
        self.tell(f"{label}: {error}{hint}", "error")

    def tell(self, text: str, severity: Any = "information", title: str = "") -> None:
        """A toast. Data in it is text, never markup."""
        self.notify(safe_text(text, keep_lines=True), severity=severity, title=title, markup=False)

    def do_ack(self) -> None:
        self._alerts.acknowledge()

    def do_undo(self) -> None:
        """On screens without acts of their own: of alerts."""
        self._alerts.undo()

    def do_hints(self) -> None:
        self.story.hidden = not self.story.hidden
        self._redraw_screens(EVERYTHING)

    def do_freeze(self) -> None:
        self.frozen = not self.frozen
        if self.frozen:
            self._redraw_screens(EVERYTHING)
        else:
            self._changed(EVERYTHING)

    def do_refresh(self) -> None:
        self.session.refresh()

    def do_copy(self) -> None:
        """Copies by OSC 52, which reaches the operator's own clipboard over SSH too."""
        screen = self.screen
        text = screen.copied() if isinstance(screen, DeckScreen | RowPage | Twin) else ""
        if text:
            self.copy_to_clipboard(text)
            self.tell(f"copied {count(len(text))} characters")
        else:
            self.tell("nothing to copy here", "warning")

    def do_help(self) -> None:
        self.push_screen(Detail("Keys and signs", partial(help_lines, self.shown)))

    @property
    def shown(self) -> str:
        """The screen that is shown, below what opened over it."""
        found = [screen.ID for screen in self.screen_stack if isinstance(screen, DeckScreen)]
        return found[-1] if found else self.current_mode

    def do_lots(self) -> None:
        self._open("lots")

    def do_assets(self) -> None:
        self._open("assets")

    def do_transfers(self) -> None:
        self._open("transfers")

    def _open(self, name: str) -> None:
        """Shows a list over the screen, unless it is shown."""
        wanted = screen_class(name)
        if not isinstance(self.screen, wanted):
            self.push_screen(wanted())

    def do_palette(self) -> None:
        self.action_command_palette()

    def action_command_palette(self) -> None:
        if not isinstance(self.screen, Palette):
            self.push_screen(Palette(id="--command-palette"))


def _outcome(value: dict[str, Any]) -> str:
    """What a command did, in a few words."""
    totals = value.get("totals")
    if totals:
        files = len(value.get("files", []))
        return (f"{count(files)} files, {count(totals.get('accepted', 0))} rows accepted,"
                f" {count(totals.get('quarantined', 0))} set aside")  # fmt: skip
    if "buckets" in value:
        return f"{count(value['buckets'])} buckets, {count(value['complete'])} complete"
    return "done"
