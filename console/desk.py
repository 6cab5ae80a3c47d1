"""The quarantine desk's acts: dry run, question, command, outcome. One at a time.

It decides nothing about a row: what passes, what is refused and what can be undone is the engine's answer.
"""

from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from console import actions
from console.acting import Acting
from console.modals.ask import Answer, Option, Question
from console.modals.bulk import BulkForm
from console.modals.fix import FixForm
from console.modals.pick import Pick
from console.modals.row import RowPage
from console.screens import panels, rows
from console.text import count, plural
from console.widgets.pieces import BLANK, Line, line, wrapped
from engine.api import Query

if TYPE_CHECKING:
    from console.screens.quarantine import Quarantine

Document = dict[str, Any]

CONFLICT = "IDEMPOTENCY_CONFLICT"
CONFLICTS_SHOWN = 4  # with all that is in them; each can be chosen
UNDOABLE = ("fix", "release", "reject")
REFUSED_BEFORE = "Nothing can be released as it is: fix the rows first (e), or open one (⏎)."


class Desk(Acting):
    """The acts of one quarantine screen."""

    def __init__(self, screen: "Quarantine") -> None:
        super().__init__(screen, UNDOABLE)
        self._screen = screen

    def start(self, act: str, ids: Sequence[str] = ()) -> None:
        """Begins an act on these rows, unless another one is under way."""
        steps: dict[str, Callable[[list[str]], Coroutine[Any, Any, None]]] = {
            "detail": self._open, "fix": self._fix, "release": self._release, "reject": self._reject,
            "undo": lambda _ids: self.undo(),
        }  # fmt: skip
        self.carry(act, steps[act](list(ids)))

    # -- open --

    async def _open(self, ids: list[str]) -> None:
        shown = await self.ask("open", Query("quarantine_show", {"id": ids[0]}))
        if shown is not None:
            self.told = BLANK
            self._screen.told()
            self._deck.push_screen(RowPage(shown, self))

    # -- fix --

    async def _fix(self, ids: list[str]) -> None:
        check = partial(self._check, ids)
        if len(ids) == 1:
            shown = await self.ask("fix", Query("quarantine_show", {"id": ids[0]}))
            if shown is None:
                return
            form: FixForm | BulkForm = FixForm(shown, check)
        else:
            form = BulkForm(len(ids), *self._screen.columns(ids), check)
        wanted = await self._deck.push_screen_wait(form)
        if wanted is None:
            return
        done = await self.carry_out("fix", f"fixing {plural(len(ids), 'row')}", {"ids": ids, **wanted})
        if done is not None:
            good = [row["id"] for row in done["rows"] if row["passes"]]
            await self.after(rows.fix_outcome(done), good=good)

    async def _check(self, ids: list[str], wanted: Document) -> Document | None:
        return await self.do("fix", {"ids": ids, **wanted}, dry_run=True)

    # -- release --

    async def _release(self, ids: list[str]) -> None:
        arguments: Document = {"ids": ids, "as_leg": False, "supersede": None}
        plan = await self.do("release", arguments, dry_run=True)
        if plan is not None and len(ids) == 1 and CONFLICT in rows.by_code(plan["refused"]):
            arguments |= await self._settle(ids[0]) or {}
            settled = arguments["as_leg"] or arguments["supersede"]
            plan = await self.do("release", arguments, dry_run=True) if settled else None
        if plan is None:
            return
        answer = await self._deck.push_screen_wait(_release_question(plan, len(ids), arguments))
        if answer is None:
            return
        told = f"releasing {plural(plan['released'], 'row')}"
        done = await self.carry_out("release", told, arguments, answer.reason)
        if done is not None:
            refused = {row["id"] for row in done["refused"]}
            await self.after(rows.release_outcome(done), [id for id in ids if id not in refused])

    async def _settle(self, id: str) -> Document | None:
        """How a row that collides with stored ones is to be released, as arguments; None: not at all."""
        shown = await self.ask("release", Query("quarantine_show", {"id": id}))
        if shown is None:
            return None
        ways: list[tuple[Line, Document]] = []
        if shown["row"].get("tx_hash"):
            ways.append((line("as a further leg of ", (shown["row"]["tx_hash"], "strong")), {"as_leg": True}))
        ways += [
            (line("as a correction of ", (rows.short(stored["tx"]), "strong")), {"supersede": stored["tx"]})
            for stored in shown["conflicts"]
        ]
        build = partial(_conflict_lines, shown)
        place = await self._deck.push_screen_wait(Pick("A conflict", build, [way for way, _ in ways]))
        return None if place is None else ways[place][1]

    # -- reject --

    async def _reject(self, ids: list[str]) -> None:
        many = plural(len(ids), "row")
        build = partial(_reject_lines, self._screen.known(ids), len(ids))
        options = [Option("reject", f"Reject {many}")]
        question = Question(f"Reject {many}", build, options, reason="must", word=_word("reject", len(ids)))
        answer: Answer | None = await self._deck.push_screen_wait(question)
        if answer is None:
            return
        done = await self.carry_out("reject", f"rejecting {many}", {"ids": ids}, answer.reason)
        if done is not None:
            already = f", {plural(len(done['already']), 'row')} before" if done.get("already") else ""
            told = f"rejected {plural(done['rejected'], 'row')}{already}"
            await self.after(line(("✓ ", "ok"), told, ("  z undoes it", "muted")), ids)


def _word(act: str, number: int) -> str:
    """The word that must be typed for so many rows; empty: none."""
    return act if number > actions.BULK_ROWS else ""


# -- what the questions say ---------------------------------------------------------------------------


def _release_question(plan: Document, asked: int, arguments: Document) -> Question:
    number = plan["released"]
    options = [Option("release", f"Release {plural(number, 'row')}")] if number else []
    return Question(
        f"Release {plural(asked, 'row')}", partial(_release_lines, plan, arguments), options,
        reason="may", word=_word("release", number),
    )  # fmt: skip


def _release_lines(plan: Document, arguments: Document, width: int) -> list[Line]:
    made = rows.release_lines(plan, width)
    if arguments["as_leg"]:
        made += [BLANK, line(("as a further leg of its transaction", "accent"))]
    if arguments["supersede"]:
        made += [BLANK, line(("in place of ", "accent"), (arguments["supersede"], "strong"))]
    if not plan["released"]:
        made += [BLANK, *(line((part, "muted")) for part in wrapped(REFUSED_BEFORE, width))]
    return made


def _conflict_lines(shown: Document, width: int) -> list[Line]:
    text = "A stored row has this key or id, with other content. Release this row all the same?"
    pairs = [("this row", line((rows.trade_text(shown["row"]), "strong")))]
    pairs += [
        (rows.short(stored["tx"]), line(rows.trade_text(stored)))
        for stored in shown["conflicts"][:CONFLICTS_SHOWN]
    ]
    return [*(line(part) for part in wrapped(text, width)), BLANK, *panels.details(pairs, width), BLANK]


def _reject_lines(known: Sequence[Document], number: int, width: int) -> list[Line]:
    found = [
        line((row["file"], "text"), (f" line {count(row['line'])}  ", "muted"),
             (", ".join(reason["code"] for reason in row["reasons"]), "warn"))
        for row in known[:5]
    ]  # fmt: skip
    more = [line((f"and {count(number - len(found))} more", "muted"))] if number > len(found) else []
    text = "Rejected rows stay known, so that their files add up, but never enter the books."
    return [*found, *more, BLANK, *(line((part, "muted")) for part in wrapped(text, width))]
