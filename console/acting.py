"""What every screen with acts shares: dry run, question, command, outcome; one at a time, and undo.

It decides nothing: what can be done and what can be undone is the engine's answer.
"""

from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any, Protocol

from console import actions
from console.modals.ask import Option, Question
from console.modals.row import RowPage
from console.screens import rows
from console.text import count, plural
from console.widgets.pieces import BLANK, Line, line
from engine.api import Query

Document = dict[str, Any]

DECISIONS_READ = 200  # looked through for the newest that this screen's undo is about


class AtDesk(Protocol):
    """A screen with acts."""

    @property
    def deck(self) -> Any: ...

    def told(self) -> None:
        """There is something else to say."""

    def renew(self, gone: Sequence[str], good: Sequence[str]) -> None:
        """Shows all as it is now. `gone`: rows that were dealt with; `good`: rows to go on with."""


class Acting:
    """The acts of one screen. `told`: the last outcome, or what is under way.

    `undoable`: the kinds of decisions that its undo takes back.
    """

    def __init__(self, screen: AtDesk, undoable: Sequence[str]) -> None:
        self._at = screen
        self._undoable = undoable
        self._busy = ""
        self.told: Line = BLANK

    def carry(self, act: str, step: Coroutine[Any, Any, None]) -> None:
        """Begins an act of these steps, unless another one is under way."""
        if self._busy:
            step.close()
            label, busy = (actions.BY_ID[one].label for one in (act, self._busy))
            self._deck.tell(f"{label}: {busy} is still under way", "warning")
            return
        self._busy = act
        self._deck.run_worker(self._whole(step), group="desk")

    async def _whole(self, step: Coroutine[Any, Any, None]) -> None:
        try:
            await step
        finally:
            self._busy = ""

    @property
    def _deck(self) -> Any:
        return self._at.deck

    # -- with the engine --

    async def ask(self, label: str, query: Query) -> Document | None:
        """The answer; None where it failed, which was told then."""
        found: Document | None = await self._deck.asked(label, query)
        return found

    async def do(
        self, act: str, arguments: Document, reason: str = "", *, dry_run: bool = False
    ) -> Document | None:
        """The command's result; None where it failed, which was told then."""
        found: Document | None = await self._deck.done(actions.BY_ID[act], arguments, reason, dry_run=dry_run)
        return found

    async def carry_out(self, act: str, words: str, arguments: Document, reason: str = "") -> Document | None:
        """As `do`, for good: the strip tells that it runs."""
        self._say(line(("▸ ", "accent"), f"{words} …"))
        done = await self.do(act, arguments, reason)
        if done is None:
            self._say(line(("✗ ", "bad"), f"{words}: failed, nothing is half done"))
        return done

    def _say(self, told: Line) -> None:
        self.told = told
        self._at.told()
        page = self._deck.screen
        if isinstance(page, RowPage):
            page.renew()

    async def after(self, told: Line, gone: Sequence[str] = (), good: Sequence[str] = ()) -> None:
        """Shows the outcome, and all else as it is now. `gone`: dealt with; `good`: to go on with."""
        self._at.renew(gone, good)
        page = self._deck.screen
        if isinstance(page, RowPage):
            page.renew(await self.ask("open", Query("quarantine_show", {"id": page.row_id})))
        self._say(told)

    # -- undo --

    async def undo(self) -> None:
        found = await self.ask("undo", Query("decisions", {"limit": DECISIONS_READ, "offset": 0}))
        if found is None:
            return
        newest = newest_decision(found["rows"], self._undoable)
        if newest is None:
            self._deck.tell("undo: there is no decision that can be undone", "warning")
            return
        which = {"decision": newest["decision"]}
        whole = await self.do("undo", which | {"whole": True}, dry_run=True)
        if whole is None:
            return
        answer = await self._deck.push_screen_wait(_undo_question(newest, whole))
        if answer is not None:
            await self._take_back(which | {"whole": True} if answer.choice == "all" else which, answer.reason)

    async def _take_back(self, which: Document, reason: str) -> None:
        done = await self.carry_out("undo", "undoing", which, reason)
        if done is not None:
            await self.after(line(("✓ ", "ok"), f"undid {plural(len(done['all']), 'decision')}"))


def newest_decision(decisions: Sequence[Document], kinds: Sequence[str]) -> Document | None:
    """The newest one of these kinds that stands."""
    able = [each for each in decisions if each["kind"] in kinds and not each["undone_by"]]
    return max(able, key=lambda each: int(each["decision"]), default=None)


def _undo_question(newest: Document, whole: Document) -> Question:
    number, kind = len(whole["all"]), rows.kind_words(newest["kind"])
    options = [Option("one", f"Undo this {kind}")]
    if number > 1:
        options = [Option("all", f"Undo all {count(number)} of this act"), Option("one", f"Only this {kind}")]
    return Question("Undo", partial(_undo_lines, newest, number), options, reason="may")


def _undo_lines(newest: Document, number: int, width: int) -> list[Line]:
    subject = newest["subject"]
    about = {"row": f"{subject['file'][:12]}-{subject['record']}"} if "file" in subject else subject
    made = rows.decision_lines(newest, width)
    made += [line("  ", (f"{name} ", "muted"), str(value)) for name, value in about.items()]
    if number > 1:
        made.append(line("  ", (f"one of {count(number)} rows decided in one act", "muted")))
    return made
