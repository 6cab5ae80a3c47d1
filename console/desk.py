"""The quarantine desk's acts: dry run, question, command, outcome. One at a time.

It decides nothing about a row: what passes, what is refused and what can be undone is the engine's answer.
"""

from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from console import actions
from console.modals.ask import Answer, Option, Question
from console.modals.bulk import BulkForm
from console.modals.fix import FixForm
from console.modals.pick import Pick
from console.modals.row import RowPage
from console.screens import panels, rows
from console.text import count, plural
from console.widgets.pieces import BLANK, Line, line, wrapped
from engine.api import EngineError, Query, actor

if TYPE_CHECKING:
    from console.screens.quarantine import Quarantine

Document = dict[str, Any]

CONFLICT = "IDEMPOTENCY_CONFLICT"
DECISIONS_READ = 200  # looked through for what can be undone; a larger act is undone by the command line
CONFLICTS_SHOWN = 4  # with all that is in them; each can be chosen
UNDOABLE = ("fix", "release", "reject")
REFUSED_BEFORE = "Nothing can be released as it is: fix the rows first (e), or open one (⏎)."


class Desk:
    """The acts of one quarantine screen. `told`: the last outcome, or what is under way."""

    def __init__(self, screen: "Quarantine") -> None:
        self._screen = screen
        self._busy = ""
        self.told: Line = BLANK

    def start(self, act: str, ids: Sequence[str] = ()) -> None:
        """Begins an act on these rows, unless another one is under way."""
        if self._busy:
            self._deck.tell(f"{actions.BY_ID[act].label}: {self._busy} is still under way", "warning")
            return
        steps: dict[str, Callable[[list[str]], Coroutine[Any, Any, None]]] = {
            "open": self._open, "fix": self._fix, "release": self._release, "reject": self._reject,
            "undo": self._undo,
        }  # fmt: skip
        self._busy = act
        self._deck.run_worker(self._whole(steps[act](list(ids))), group="desk")

    async def _whole(self, step: Coroutine[Any, Any, None]) -> None:
        try:
            await step
        finally:
            self._busy = ""

    @property
    def _deck(self) -> Any:
        return self._screen.deck

    # -- with the engine --

    async def _ask(self, label: str, query: Query) -> Document | None:
        """The answer; None where it failed, which was told then."""
        try:
            found: Document = await self._deck.session.ask(query)
        except (EngineError, OSError) as error:
            self._deck.tell_error(label, error)
            return None
        return found

    async def _do(
        self, act: str, arguments: Document, reason: str = "", *, dry_run: bool = False
    ) -> Document | None:
        """The command's result; None where it failed, which was told then."""
        action = actions.BY_ID[act]
        try:
            found: Document = await self._deck.session.do(
                actions.command(action, actor(), arguments, reason, dry_run)
            )
        except (EngineError, OSError) as error:
            self._deck.tell_error(action.label, error)
            return None
        return found

    async def _carry_out(
        self, act: str, words: str, arguments: Document, reason: str = ""
    ) -> Document | None:
        """As `_do`, for good: the strip tells that it runs."""
        self._say(line(("▸ ", "accent"), f"{words} …"))
        done = await self._do(act, arguments, reason)
        if done is None:
            self._say(line(("✗ ", "bad"), f"{words}: failed, nothing is half done"))
        return done

    def _say(self, told: Line) -> None:
        self.told = told
        self._screen.told()
        page = self._deck.screen
        if isinstance(page, RowPage):
            page.renew()

    async def _after(self, told: Line, gone: Sequence[str] = (), good: Sequence[str] = ()) -> None:
        """Shows the outcome, and all else as it is now. `gone`: dealt with; `good`: to go on with."""
        self._screen.renew(gone, good)
        page = self._deck.screen
        if isinstance(page, RowPage):
            page.renew(await self._ask("open", Query("quarantine_show", {"id": page.row_id})))
        self._say(told)

    # -- open --

    async def _open(self, ids: list[str]) -> None:
        shown = await self._ask("open", Query("quarantine_show", {"id": ids[0]}))
        if shown is not None:
            self.told = BLANK
            self._screen.told()
            self._deck.push_screen(RowPage(shown, self))

    # -- fix --

    async def _fix(self, ids: list[str]) -> None:
        check = partial(self._check, ids)
        if len(ids) == 1:
            shown = await self._ask("fix", Query("quarantine_show", {"id": ids[0]}))
            if shown is None:
                return
            form: FixForm | BulkForm = FixForm(shown, check)
        else:
            form = BulkForm(len(ids), *self._screen.columns(ids), check)
        wanted = await self._deck.push_screen_wait(form)
        if wanted is None:
            return
        done = await self._carry_out("fix", f"fixing {plural(len(ids), 'row')}", {"ids": ids, **wanted})
        if done is not None:
            good = [row["id"] for row in done["rows"] if row["passes"]]
            await self._after(rows.fix_outcome(done), good=good)

    async def _check(self, ids: list[str], wanted: Document) -> Document | None:
        return await self._do("fix", {"ids": ids, **wanted}, dry_run=True)

    # -- release --

    async def _release(self, ids: list[str]) -> None:
        arguments: Document = {"ids": ids, "as_leg": False, "supersede": None}
        plan = await self._do("release", arguments, dry_run=True)
        if plan is not None and len(ids) == 1 and CONFLICT in rows.by_code(plan["refused"]):
            arguments |= await self._settle(ids[0]) or {}
            settled = arguments["as_leg"] or arguments["supersede"]
            plan = await self._do("release", arguments, dry_run=True) if settled else None
        if plan is None:
            return
        answer = await self._deck.push_screen_wait(_release_question(plan, len(ids), arguments))
        if answer is None:
            return
        told = f"releasing {plural(plan['released'], 'row')}"
        done = await self._carry_out("release", told, arguments, answer.reason)
        if done is not None:
            refused = {row["id"] for row in done["refused"]}
            await self._after(rows.release_outcome(done), [id for id in ids if id not in refused])

    async def _settle(self, id: str) -> Document | None:
        """How a row that collides with stored ones is to be released, as arguments; None: not at all."""
        shown = await self._ask("release", Query("quarantine_show", {"id": id}))
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
        done = await self._carry_out("reject", f"rejecting {many}", {"ids": ids}, answer.reason)
        if done is not None:
            already = f", {plural(len(done['already']), 'row')} before" if done.get("already") else ""
            told = f"rejected {plural(done['rejected'], 'row')}{already}"
            await self._after(line(("✓ ", "ok"), told, ("  z undoes it", "muted")), ids)

    # -- undo --

    async def _undo(self, _ids: list[str]) -> None:
        found = await self._ask("undo", Query("decisions", {"limit": DECISIONS_READ, "offset": 0}))
        if found is None:
            return
        act = newest_act(found["rows"])
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
            if await self._carry_out("undo", words, {"decision": decision["decision"]}, reason) is None:
                break
            undone += 1
        sign = ("✓ ", "ok") if undone == len(wanted) else ("! ", "warn")
        told = f"undid {plural(undone, 'decision')}" if undone else "undid nothing"
        await self._after(line(sign, told))


def newest_act(decisions: Sequence[Document]) -> list[Document]:
    """The decisions of the newest act that can be undone, newest first: all of its instant."""
    able = [each for each in decisions if each["kind"] in UNDOABLE and not each["undone_by"]]
    ordered = sorted(able, key=lambda each: -int(each["decision"]))
    first = ordered[:1]
    return [each for each in ordered for newest in first
            if all(each[key] == newest[key] for key in ("at", "kind", "actor"))]  # fmt: skip


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


def _undo_question(act: Sequence[Document], is_longer: bool) -> Question:
    newest = act[0]
    options = [Option("one", f"Undo this {newest['kind']}")]
    if len(act) > 1:
        options.append(Option("all", f"Undo all {count(len(act))} of this act"))
    return Question("Undo", partial(_undo_lines, act, is_longer), options, reason="may")


def _undo_lines(act: Sequence[Document], is_longer: bool, width: int) -> list[Line]:
    subject = act[0]["subject"]
    row = f"{subject['file'][:12]}-{subject['record']}" if "file" in subject else ""
    made = [*rows.decision_lines(act[0], width), line("  ", ("row ", "muted"), row)]
    if len(act) > 1:
        more = " or more" if is_longer and len(act) >= DECISIONS_READ else ""
        made.append(line("  ", (f"one of {count(len(act))}{more} rows decided in one act", "muted")))
    return made
