"""FX: each pair's rate in force, its drift against the band, what is held and why, and the one override.

Whether a pair is held is the engine's to say; this screen shows its evidence and carries the decision.
"""

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

from textual import work
from textual.widget import Widget

from console import actions
from console.acting import Acting
from console.actions import Need
from console.mirror import NOTHING
from console.modals.ask import Answer, Option, Question
from console.modals.detail import Detail
from console.modals.pick import Pick
from console.screens.acts import ActingScreen
from console.screens.base import as_json, bindings
from console.screens.charted import Charted, beside
from console.screens.fx_lines import (
    COLUMNS,
    cells,
    drift_course,
    ended_lines,
    hold_line,
    override_lines,
    pair_lines,
    provider_lines,
    turn_lines,
    typed_word,
    values,
)
from console.screens.lists import FetchedList
from console.screens.ordering import Value
from console.text import count, instant, plural
from console.widgets.chart import NO_COURSE, Chart, Course
from console.widgets.figures import DAY_US, from_us
from console.widgets.lines import Lines
from console.widgets.pieces import BLANK, Line, Piece, cut, line
from engine.api import Command, EngineError, Query, actor

Document = dict[str, Any]

DRIFT_DAYS = 30  # looked back
UNDOABLE = ("fx_use_eod_once",)


class Fx(Charted, ActingScreen, FetchedList[Document]):
    """Screen 4."""

    ID = actions.FX
    CHART_COMES = True
    BINDINGS = bindings(actions.FX)
    COLUMNS = COLUMNS
    MOVED_BY = frozenset({"counts", "nav", "time"})  # what may change a rate, or its age

    def __init__(self) -> None:
        super().__init__()
        self._found: Document = {"pairs": [], "drift_bps_max": "0"}
        self._providers: list[Document] = []
        self._about: Document | None = None  # the pair under the cursor, with its fixings
        self._desk = Acting(self, UNDOABLE)

    def body(self) -> Sequence[Widget]:
        return (
            Lines(self._head, NOTHING, id="head"),
            beside("Pair", self._row, self._side, Chart(self._drift, NOTHING, id="drift"), NOTHING),
            Lines(self._panel, NOTHING, id="providers"),
        )

    def there(self) -> Collection[Need]:
        row = self.chosen()
        found: set[Need] = set(super().there()) | ({"row"} if row else set())
        return found | {"held"} if row and (row["held"] or self._ended()) else found

    def _ended(self) -> list[Document]:
        """The holds of the pair under the cursor, newest first."""
        return self._about["holds"][::-1] if self._about else []

    # -- the list --

    def about(self, row: Document) -> str:
        return str(row["pair"])

    async def fetch(self) -> None:
        found = await self.deck.session.ask(Query("fx_status", {}))
        self._providers = (await self.deck.session.ask(Query("providers", {})))["providers"]
        row = self.chosen()
        self._sought = self._sought or (row["pair"] if row else "")
        self._found = found

    async def fetched(self) -> None:
        await self._look()

    async def _look(self) -> None:
        """All about the pair under the cursor."""
        row = self.chosen()
        if row is None:
            self._about = None
        elif not self.trouble:
            try:
                self._about = await self.deck.session.ask(Query("fx_status", self._wanted(row["pair"])))
            except (EngineError, OSError) as error:
                self.trouble = str(error)
        self.repaint()

    def _wanted(self, pair: str) -> Document:
        """One pair, with what is drawn of it."""
        return {"pair": pair, "from": from_us(max(0, self.now - DRIFT_DAYS * DAY_US)), "closes": "1h"}

    def refilter(self) -> None:
        super().refilter()
        self._look_soon()

    def everything(self) -> Sequence[Document]:
        """What is held comes first."""
        return sorted(self._found["pairs"], key=lambda row: (not row["held"], row["pair"]))

    def fill(self) -> None:
        """What an override changes, it moves in the list: the cursor stays on its pair."""
        self.query_one("#providers").styles.height = len(self._providers) + bool(self._providers)
        super().fill()

    def cells(self, row: Document) -> list[Piece]:
        return cells(row, self._band(), self.now)

    def values(self, row: Document) -> Sequence[Value]:
        return values(row)

    def _band(self) -> float:
        return float(self._found["drift_bps_max"])

    def moved(self) -> None:
        self._about = None
        self.repaint()
        self._look_soon()

    @work(exclusive=True, group="about")
    async def _look_soon(self) -> None:
        await self._look()

    # -- what is shown --

    def _head(self, width: int, _height: int) -> list[Line]:
        held = sum(row["held"] for row in self._found["pairs"])
        sign = (f"  ‖ {count(held)} held", "held") if held else ("  ✓ none held now", "ok")
        first = self.first_line("FX", plural(len(self._found["pairs"]), "pair"), sign)
        about = (
            f"a close without a market rate takes the fixing within {self._found['drift_bps_max']} bps of it"
        )
        heads = self.heads() if self.rows.display else BLANK
        return [cut(first, width), cut(line((about, "muted")), width), heads]

    def _side(self, width: int, height: int) -> list[Line]:
        if self._about is None:
            return [line(("no pair here" if not self._shown else "…", "muted"))]
        return pair_lines(self._about, width, self.now)[:height]

    def do_point(self, course: Course, place: int) -> None:
        self._look_at(course, place)

    @work(exclusive=True, group="about")
    async def _look_at(self, course: Course, place: int) -> None:
        """What the pair stood at then, with the evidence where it was held."""
        row = self.chosen()
        at = from_us(course.stops[place])
        wanted = {"pair": row["pair"], "at": at, "from": at} if row else {}
        found = await self.deck.asked("pair", Query("fx_status", wanted)) if row else None
        if found:
            self.deck.push_screen(Detail(f"Pair at {instant(at)}", partial(pair_lines, found, now=self.now)))

    def _drift(self) -> Course:
        return drift_course(self._about) if self._about else NO_COURSE

    def _panel(self, width: int, _height: int) -> list[Line]:
        return provider_lines(self._providers, width, self.now)

    def record(self, row: Document) -> Document:
        return row

    def detail(self) -> tuple[str, Callable[[int], list[Line]]] | None:
        about = self._about
        if about is None:
            return None
        return "Pair", partial(pair_lines, about, now=self.now)

    def copied(self) -> str:
        return as_json(self._about)

    # -- providers --

    def do_provider(self) -> None:
        callers = [row for row in self._providers if row["level"] is not None]
        if not callers:
            self.deck.tell("providers: none is configured that makes calls", "warning")
        else:
            self._desk.carry("provider", self._turn(callers))

    async def _turn(self, callers: Sequence[Document]) -> None:
        """Opens a provider that is stopped, closes one that goes; asked first, with a reason."""
        ways = [line(f"{'close' if row['state'] == 'closed' else 'open'} {row['name']}") for row in callers]
        build = partial(provider_lines, callers, now=self.now)
        place = await self.deck.push_screen_wait(Pick("Providers", build, ways))
        if place is None:
            return
        row = callers[place]
        act = "close" if row["state"] == "closed" else "open"
        label = f"{act.capitalize()} {row['name']}"
        question = Question(label, partial(turn_lines, row, act), [Option(act, label)], reason="must")
        answer: Answer | None = await self.deck.push_screen_wait(question)
        if answer is None:
            return
        command = Command(f"provider_{act}", {"name": row["name"]}, actor=actor(), reason=answer.reason)
        try:
            await self.deck.session.do(command)
        except (EngineError, OSError) as error:
            self.deck.tell_error("providers", error)
            return
        await self._desk.after(line(("✓ ", "ok"), f"{row['name']}: {act}"))

    # -- the override --

    def do_hold(self) -> None:
        row = self.chosen()
        if row and row["held"]:
            self._desk.carry("hold", self._override(row["pair"], None))
        elif row:
            self._desk.carry("hold", self._one_that_ended(row["pair"], self._ended()))

    async def _one_that_ended(self, pair: str, holds: Sequence[Document]) -> None:
        """Which of the holds that are over is to take the end-of-day rate; the newest at first."""
        build = partial(ended_lines, pair, DRIFT_DAYS)
        ways = [hold_line(hold) for hold in holds]
        place = await self.deck.push_screen_wait(Pick(f"{pair} was held", build, ways, at=0))
        if place is not None:
            await self._override(pair, holds[place]["to"])

    async def _override(self, pair: str, last: str | None) -> None:
        """A dry run, the question, the decision. `last`: of a hold that is over, its last close."""
        wanted = {"pair": pair} | ({"to": last} if last else {})
        plan = await self._desk.do("hold", wanted, "looked at", dry_run=True)
        seen = Query("fx_status", {"pair": pair} | ({"at": last} if last else {}))
        found = await self._desk.ask("hold", seen) if plan else None
        if plan is None or found is None:
            return
        question = Question(
            f"{pair} {'was' if last else 'is'} held", partial(override_lines, plan, found),
            [Option("once", "Use the end-of-day rate once")], reason="must",
            word=typed_word(found["pairs"][0], self._band()), because="The drift is far beyond the band",
        )  # fmt: skip
        answer: Answer | None = await self.deck.push_screen_wait(question)
        if answer is None:
            return
        done = await self._desk.carry_out("hold", f"overriding the hold of {pair}", wanted, answer.reason)
        if done is not None:
            told = f"{pair}: {plural(done['held_closes'], 'held close')} of 5m will be valued by the fixing"
            await self._desk.after(line(("✓ ", "ok"), told, ("  z undoes it", "muted")))
