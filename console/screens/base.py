"""What all screens share: top and bottom line, repainting, keys from the registry, lists with a filter."""

import asyncio
import json
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input

from console import actions
from console.actions import Need
from console.leaving import LeftOnce
from console.mirror import EVERYTHING, Topics
from console.modals.export import Exported, ExportForm
from console.modals.jump import Jump
from console.modals.pick import Pick
from console.screens import panels
from console.screens.filtering import Filter, ready
from console.screens.ordering import Order
from console.screens.sizes import HEIGHTS, WIDTHS
from console.terminal import too_small
from console.text import plural
from console.widgets.bars import KeyBar, header
from console.widgets.fields import Field
from console.widgets.figures import from_us
from console.widgets.guide import Guide
from console.widgets.lines import READING, Build, Frame, Lines, Rows
from console.widgets.pieces import BLANK, Column, Layout, Line, Piece, fitted, line, wrapped

if TYPE_CHECKING:
    from console.app import NavdeckApp

Document = dict[str, Any]

CLEARS: Piece = ("  esc clears it", "muted")


def bindings(screen: str) -> list[BindingType]:
    """The keys of a screen's own acts; those that work everywhere belong to the app."""
    return [
        Binding(",".join(action.keys), f"app.act('{action.id}')", action.label, show=False, id=action.id)
        for action in actions.ACTIONS
        if screen in action.screens
    ]


def split(title: str, row: Callable[[int, int], Line], side: Build, topics: Topics) -> Horizontal:
    """A list and, where there is room, beside it all about the row under the cursor."""
    beside = Lines(side, topics, id="side")
    beside.border_title = title
    return Horizontal(Rows(row, topics, id="list"), beside, id="split")


def as_json(found: Document | None) -> str:
    """What is copied of a row; nothing where there is none."""
    return json.dumps(found, ensure_ascii=False) if found else ""


class DeckScreen(LeftOnce[None], Screen[None]):
    """A screen: `body` makes its parts; acts of its own are methods `do_<id>`."""

    ID: ClassVar[str]
    IS_OVER: ClassVar[bool] = False  # opened over another one, to which esc goes back
    ZOOMED = "#side, #list"  # the panels that can fill the screen, one after the other
    ALLOW_IN_MAXIMIZED_VIEW = "#top, #head, #filter, #strip, #keys, #tiny"
    AUTO_FOCUS = "Rows"
    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS

    def __init__(self) -> None:
        super().__init__()
        self.answered = True  # whether what it shows was ever read; a screen that asks for it begins without
        self.trouble = ""  # why the newest of it could not be had
        # It is styled when it is mounted: Textual would read the whole style sheet anew, twice, before that.
        self._css_update_count = self.deck._css_update_count

    @property
    def deck(self) -> "NavdeckApp":
        return cast("NavdeckApp", self.app)

    @property
    def doc(self) -> Document:
        """The mirrored overview."""
        return self.deck.mirror.doc

    @property
    def now(self) -> int:
        return self.deck.now

    @property
    def unread(self) -> Line | None:
        """What every panel says until what the screen tells of was read; then None."""
        if self.answered and self.deck.mirror.is_known:
            return None
        return line((self.trouble, "bad")) if self.trouble and self.deck.mirror.is_known else READING

    def asking(self) -> None:
        """The newest is being asked for: what went wrong before is past."""
        if self.trouble:
            self.trouble = ""
            self.repaint()

    def there(self) -> Collection[Need]:
        """What this screen has of what its acts need."""
        return ()

    def compose(self) -> ComposeResult:
        yield Frame(self._top, id="top")
        yield from self.body()
        yield from self.above_keys()
        yield Guide(whole=self.ID == actions.OVERVIEW)
        yield KeyBar(self.ID, self.deck.there)
        yield Frame(self._tiny, id="tiny")

    def above_keys(self) -> Sequence[Widget]:
        return ()

    @abstractmethod
    def body(self) -> Sequence[Widget]:
        """What stands between the lines at the top and at the bottom."""

    def _top(self, width: int, _height: int) -> list[Line]:
        return [header(self.deck.mirror, self.now, self.deck.frozen, width)]

    def _tiny(self, width: int, _height: int) -> list[Line]:
        return [line((too_small(self.size.width, self.size.height)[:width], "warn"))]

    def on_resize(self, event: events.Resize) -> None:
        self.set_class(bool(too_small(event.size.width, event.size.height)), "-tiny")

    def on_screen_resume(self) -> None:
        self.deck.call_after_refresh(self._resumed)

    def _resumed(self) -> None:
        if self.app.screen is self:  # the next key may have left it meanwhile
            self.redraw(EVERYTHING)

    def redraw(self, topics: Topics) -> None:
        """Repaints the panels that tell of these topics."""
        for panel in self.query(Lines):
            if topics == EVERYTHING:
                panel.hurry()
            if panel.topics & topics and (panel.size or panel.id == "guide"):
                panel.repaint()

    def repaint(self) -> None:
        """Shows all as it is now."""
        for part in self.query(Lines):
            part.repaint()

    def do_zoom(self) -> None:
        """Lets the first panel fill the screen, then the next; after the last one all are there again."""
        panels = list(self.query(self.ZOOMED))
        place = panels.index(self.maximized) + 1 if self.maximized in panels else 0
        self.maximized = panels[place] if place < len(panels) else None

    def watch_maximized(self) -> None:
        """A list's cursor goes on moving, whichever panel is seen."""
        for rows in self.query(Rows):
            self.call_after_refresh(rows.focus)

    def seek(self, _about: str) -> None:
        """Puts the cursor on the row that is about this, where the screen has such rows."""

    @abstractmethod
    def copied(self) -> str:
        """What `copy` copies here."""

    def do_back(self) -> None:
        if self.IS_OVER:
            self.dismiss()
        elif self.ID != actions.OVERVIEW:
            self.deck.switch_mode(actions.OVERVIEW)


class ListScreen(DeckScreen):
    """A screen whose main part is a list that can be filtered and opened."""

    def __init__(self) -> None:
        super().__init__()
        self.filter = Filter()
        self.order = Order()
        self.wants: Sequence[int] = ()  # the cells that each column needs for the rows that are here

    @property
    def rows(self) -> Rows:
        return self.query_one(Rows)

    @property
    @abstractmethod
    def table(self) -> Sequence[Column]:
        """The columns that the list has now."""

    def sortable(self) -> Sequence[int]:
        """The places of the columns by which it can be sorted."""
        return ()

    @abstractmethod
    def filter_words(self) -> str:
        """What can be typed as a filter."""

    @abstractmethod
    def parsed(self, typed: str) -> Filter:
        """The filter that was typed."""

    @abstractmethod
    def refilter(self) -> None:
        """The filter or the order changed."""

    @abstractmethod
    def do_detail(self) -> None:
        """Opens all about the row under the cursor."""

    @abstractmethod
    def exported(self) -> AsyncIterator[Sequence[Document]]:
        """All that is listed now, in its order, some rows at a time; as the engine told them."""

    def there(self) -> Collection[Need]:
        found: set[Need] = {"rows"} if self.rows.total else set()
        return found | {"order"} if self.sortable() else found

    def do_jump(self) -> None:
        """Puts a label before each row in sight, to be typed."""
        if self.maximized is not self.rows:
            self.maximized = None
        self.call_after_refresh(self._jump)

    def _jump(self) -> None:
        if self.app.screen is self:
            self.deck.push_screen(Jump(self.rows))

    def do_sort(self) -> None:
        """Asks by which column, and puts the list into that order."""
        places = [None, *self.sortable()]
        ways = [self._way(place) for place in places]
        at = places.index(self.order.place) if self.order.place is not None else None

        def sort(chosen: int | None) -> None:
            if chosen is not None:
                self.order = self.order.by(places[chosen])
                self.refilter()

        self.deck.push_screen(Pick("Sort", _sort_told, ways, at), sort)

    def _way(self, place: int | None) -> Line:
        if place is None:
            return line("its own order")
        sign = f" {self.order.sign}" if place == self.order.place else ""
        return line(self.table[place].head, (sign, "mark"))

    def do_export(self) -> None:
        """Asks for a file's name and writes the list into it."""
        label = actions.BY_ID[self.ID].label
        under = f", filter {self.filter.typed}" if self.filter.typed else ""
        place = self.order.place
        order = f", by {self.table[place].head} {self.order.sign}" if place is not None else ""
        about = f"{label}: {plural(self.rows.total, 'row')}{under}{order}"
        guess = f"{self.ID}-{from_us(self.now)[:10]}.csv"
        self.deck.push_screen(ExportForm(about, self.rows.total, self.exported, guess), self._wrote)

    def _wrote(self, done: Exported | None) -> None:
        if done is not None:
            self.deck.tell(f"exported {plural(done.rows, 'row')} to {done.path}")

    @on(Rows.Opened)
    def _opened(self) -> None:
        self.do_detail()

    @on(Rows.Moved)
    def _moved(self) -> None:
        self.moved()

    def moved(self) -> None:
        """The cursor is on another row: what tells of it, and the keys that depend on it."""
        for part in self.query("#head, #side, #keys").results(Lines):
            part.repaint()

    def first_line(self, title: str, about: str, *more: Piece) -> Line:
        """The first line of the head: what is listed and by which filter, or why it cannot be had."""
        if self.trouble:
            return line((self.trouble, "bad"))
        if self.filter.problem:  # it takes the room: what is listed does not follow from the filter
            return line((title, "strong"), (f"  {self.filter.problem}", "warn"), CLEARS)
        return (*panels.head(title, about), *more, *self.filter_told())

    def laid(self, width: int) -> Layout:
        """How the columns lie, for all rows alike."""
        return fitted(self.table, width, self.wants)

    def heads(self) -> Line:
        """The heads of the columns, over a list whose rows begin with a sign of two cells."""
        layout = self.laid(self.rows.width - 2)
        return line("  ", *layout.head(self.order.place, self.order.sign))

    @on(Rows.Resized, "#list")
    def _columns_moved(self) -> None:
        for head in self.query("#head").results(Lines):
            head.repaint()

    async def do_filter(self) -> None:
        """Opens the line to type the filter in; it is made when it is first asked for."""
        self.add_class("-filtering")
        if not self.query("#filter"):
            await self.mount(Field(placeholder=self.filter_words(), id="filter"), before="#keys")
        self.query_one("#filter", Input).focus()

    def do_back(self) -> None:
        """Leaves the filter, then the screen."""
        if self.has_class("-filtering") or self.filter.typed:
            for field in self.query("#filter").results(Field):
                field.value = ""
            self._done()
        else:
            super().do_back()

    @on(Input.Changed, "#filter")
    async def _typed(self, event: Input.Changed) -> None:
        if "~" in event.value:
            await asyncio.to_thread(ready)
        if event.value != self.filter.typed:
            self.filter = self.parsed(event.value)
            self.refilter()

    @on(Input.Submitted, "#filter")
    def _done(self) -> None:
        self.remove_class("-filtering")
        self.rows.focus()
        self.redraw(EVERYTHING)

    def filter_told(self) -> Line:
        """What the filter is, for the head of the list."""
        if not self.filter.typed:
            return ()
        return line(("  filter ", "muted"), (self.filter.typed, "mark"), CLEARS)


def _sort_told(width: int) -> list[Line]:
    told = "By which column? The same one again turns it round; what is not known comes last."
    return [*(line((part, "muted")) for part in wrapped(told, width)), BLANK]
