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

DECISIONS_READ = 200  # looked through for what can be undone; a larger act is undone by the command line


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
            self._deck.tell(f"{actions.BY_ID[act].label}: {self._busy} is still under way", "warning")
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
        act = newest_act(found["rows"], self._undoable)
        if not act:
            self._deck.tell("undo: there is no decision that can be undone", "warning")
            return
        answer = await self._deck.push_screen_wait(_undo_question(act, found["total"] > len(found["rows"])))
        if answer is None:
            return
        wanted = act if answer.choice == "all" else act[:1]
        await self._take_back(wanted, answer.reason)

    async def _take_back(self, wanted: Sequence[Document], reason: str) -> None:
        """Undoes decisions, newest first; ends at the first that cannot be."""
        undone = 0
        for decision in wanted:
            words = f"undoing {count(undone + 1)} of {count(len(wanted))}"
            if await self.carry_out("undo", words, {"decision": decision["decision"]}, reason) is None:
                break
            undone += 1
        sign = ("✓ ", "ok") if undone == len(wanted) else ("! ", "warn")
        told = f"undid {plural(undone, 'decision')}" if undone else "undid nothing"
        await self.after(line(sign, told))


def newest_act(decisions: Sequence[Document], kinds: Sequence[str]) -> list[Document]:
    """The decisions of the newest act that can be undone, newest first: all of its instant."""
    able = [each for each in decisions if each["kind"] in kinds and not each["undone_by"]]
    ordered = sorted(able, key=lambda each: -int(each["decision"]))
    first = ordered[:1]
    return [each for each in ordered for newest in first
            if all(each[key] == newest[key] for key in ("at", "kind", "actor"))]  # fmt: skip


def _undo_question(act: Sequence[Document], is_longer: bool) -> Question:
    newest = act[0]
    options = [Option("one", f"Undo this {newest['kind'].replace('_', ' ')}")]
    if len(act) > 1:
        options.append(Option("all", f"Undo all {count(len(act))} of this act"))
    return Question("Undo", partial(_undo_lines, act, is_longer), options, reason="may")


def _undo_lines(act: Sequence[Document], is_longer: bool, width: int) -> list[Line]:
    subject = act[0]["subject"]
    row = f"{subject['file'][:12]}-{subject['record']}" if "file" in subject else ", ".join(subject.values())
    made = [*rows.decision_lines(act[0], width), line("  ", ("row ", "muted"), row)]
    if len(act) > 1:
        more = " or more" if is_longer and len(act) >= DECISIONS_READ else ""
        made.append(line("  ", (f"one of {count(len(act))}{more} rows decided in one act", "muted")))
    return made
