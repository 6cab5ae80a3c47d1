"""Transfers: matched, in transit and unmatched, with the reason for each non-match and what comes near.

The list, its filter and its marks are this screen's; what may be matched or settled is the engine's to say.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

from textual.widget import Widget

from console import actions
from console.acting import Acting
from console.actions import Need
from console.mirror import NOTHING
from console.modals.ask import Answer, Option, Question
from console.modals.pick import Pick
from console.modals.settle import SettleForm
from console.screens import panels
from console.screens.acts import ActingScreen
from console.screens.base import as_json, bindings, split
from console.screens.lists import MarkedList
from console.screens.ordering import Value
from console.screens.transfer_lines import (
    COLUMNS,
    Item,
    candidate_line,
    cells,
    item_lines,
    items,
    match_lines,
    settle_lines,
    values,
)
from console.text import count, plural
from console.widgets.lines import Lines
from console.widgets.pieces import BLANK, Line, Piece, cut, line
from engine.api import Query

Document = dict[str, Any]

LEFT, CAME = "its lots leave, no gain", "a lot; its basis is the value, if one is told"
KINDS = {  # by side: what the books make of it
    "OUT": {
        "fee": "a disposal at the value, or at basis where none is told", "withdrawal": LEFT, "gift": LEFT,
        "payment": "a disposal at the value", "lost": f"{LEFT}; it lowers the return",
    },
    "IN": {"deposit": CAME, "gift": CAME, "opening": CAME},
}  # fmt: skip
SHOWN = ("all", "unmatched", "in_transit", "matched", "settled")
FETCHED = 1_000  # of each state; the head tells of more
UNDOABLE = ("transfer_match", "transfer_settle")
UNDO_TOLD: Piece = ("  z undoes it", "muted")


class Transfers(ActingScreen, MarkedList[Item]):
    """Opened over another screen; esc goes back to it."""

    ID = actions.TRANSFERS
    IS_OVER = True
    MOVED_BY = frozenset({"counts", "nav"})
    BINDINGS = bindings(actions.TRANSFERS)
    COLUMNS = COLUMNS
    ALSO = ("id",)

    def __init__(self) -> None:
        super().__init__()
        self._found: Document = {"counts": dict.fromkeys(SHOWN[1:], 0)}
        self._items: list[Item] = []
        self._state = 0
        self._desk = Acting(self, UNDOABLE)

    def body(self) -> Sequence[Widget]:
        return (
            Lines(self._head, NOTHING, id="head"),
            split("Transfer", self._row, self._side, NOTHING),
        )

    def there(self) -> Collection[Need]:
        item = self.chosen()
        found: set[Need] = {*super().there(), "row"} if item else set()
        if self._marks:
            found |= {"row", "mark", "loose"}
        return found | {"loose"} if item and item.is_loose else found

    # -- the list --

    def about(self, row: Item) -> str:
        return row.id

    async def fetch(self) -> None:
        self._found = await self.deck.session.ask(Query("transfers", {"limit": FETCHED}))
        self._items = items(self._found)
        here = {item.id for item in self._items if item.is_loose}
        self._marks.forget([id for id in self._marks.ids() if id not in here])

    def everything(self) -> Sequence[Item]:
        wanted = SHOWN[self._state]
        return [item for item in self._items if wanted in ("all", item.state)]

    def row_told(self, row: Item) -> list[Piece]:
        return cells(row, self.now)

    def subject(self, row: Item) -> Document | None:
        """What is left over, since that can be settled."""
        return row.doc if row.is_loose else None

    def values(self, row: Item) -> Sequence[Value]:
        return values(row)

    def also(self, row: Item) -> Mapping[str, str]:
        return {"id": row.id}

    def _head(self, width: int, _height: int) -> list[Line]:
        counts = self._found["counts"]
        about = f"{count(len(self._shown))} of {count(sum(counts.values()))}"
        first = self.first_line("Transfers", about, self.marks_told(), self.range_told())
        names = [(name.replace("_", " "), None if name == "all" else counts[name]) for name in SHOWN]
        return [cut(first, width), panels.chips(names, self._state, width), self.heads()]

    def _side(self, width: int, height: int) -> list[Line]:
        item = self.chosen()
        return item_lines(item, width)[:height] if item else [line(("no transfer here", "muted"))]

    def record(self, row: Item) -> Document:
        return {"state": row.state} | row.doc

    def detail(self) -> tuple[str, Callable[[int], list[Line]]] | None:
        item = self.chosen()
        return ("Transfer", partial(item_lines, item)) if item else None

    def copied(self) -> str:
        item = self.chosen()
        return as_json(item.doc if item else None)

    # -- states and marks --

    def do_state_before(self) -> None:
        self._choose(self._state - 1)

    def do_state_after(self) -> None:
        self._choose(self._state + 1)

    def _choose(self, place: int) -> None:
        self._state = place % len(SHOWN)
        self.refilter()

    def do_mark(self) -> None:
        item = self.chosen()
        if item and item.is_loose:
            self.mark(item.doc)
        elif item:
            self.deck.tell("Only what is left over can be marked: it can be settled.", "warning")
            self.rows.move(self.rows.cursor + 1)

    def do_mark_all(self) -> None:
        self._marks.add(item.doc for item in self._shown if item.state == "unmatched")
        self.repaint()

    # -- acts --

    def do_match(self) -> None:
        item = self.chosen()
        if item is None or not item.is_loose:
            self.deck.tell("match: the cursor is on no row with something left over", "warning")
        elif not item.doc["candidates"]:
            told = "match: nothing comes near; `navdeck transfers match` takes any two ids"
            self.deck.tell(told, "warning")
        else:
            self._desk.carry("match", self._match(item.doc))

    def do_settle(self) -> None:
        item = self.chosen()
        rows = self.subjects(item.doc if item and item.is_loose else None)
        if rows:
            self._desk.carry("settle", self._settle(rows))

    def renew(self, gone: Sequence[str], good: Sequence[str]) -> None:
        """The list is asked for again; rows dealt with lose their marks."""
        self._marks.forget(gone)
        super().renew(gone, good)

    async def _match(self, row: Document) -> None:
        candidates = row["candidates"]
        place: int | None = 0
        if len(candidates) > 1:
            ways = [candidate_line(one) for one in candidates]
            place = await self.deck.push_screen_wait(Pick("Match", partial(_of_row, row), ways))
        if place is None:
            return
        ids = [row["id"], candidates[place]["id"]]
        pair = dict(zip(("out", "in"), ids if row["side"] == "OUT" else ids[::-1], strict=True))
        plan = await self._desk.do("match", pair, "looked at", dry_run=True)
        if plan is None:
            return
        options = [Option("match", "Match the two")]
        question = Question("Match", partial(match_lines, plan), options, reason="must")
        answer: Answer | None = await self.deck.push_screen_wait(question)
        if answer is None:
            return
        moved = f"{plan['moved']} {plan['out']['asset_id']}"
        if await self._desk.carry_out("match", f"matching {moved}", pair, answer.reason):
            await self._desk.after(line(("✓ ", "ok"), f"matched {moved}", UNDO_TOLD), ids)

    async def _settle(self, rows: Sequence[Document]) -> None:
        sides = {row["side"] for row in rows}
        kinds = [kind for kind in KINDS[rows[0]["side"]] if all(kind in KINDS[side] for side in sides)]
        if len(rows) > 1:
            kinds = [kind for kind in kinds if kind != "payment"]  # each has a value of its own
        ways = [_way(kind, [KINDS[side][kind] for side in sorted(sides)]) for kind in kinds]
        build = partial(settle_lines, rows, "")
        place = await self.deck.push_screen_wait(Pick("Settle as", build, ways))
        if place is None:
            return
        answer = await self.deck.push_screen_wait(SettleForm(rows, kinds[place]))
        if answer is None:
            return
        wanted = {"ids": [row["id"] for row in rows], "as": kinds[place], "value": answer["value"]}
        words = f"settling {plural(len(rows), 'transfer')}"
        done = await self._desk.carry_out("settle", words, wanted, answer["reason"])
        if done is not None:
            told = f"settled {plural(done['settled'], 'transfer')} as {done['as']}"
            await self._desk.after(line(("✓ ", "ok"), told, UNDO_TOLD), wanted["ids"])


def _way(kind: str, told: Sequence[str]) -> Line:
    """A kind to settle as, and what the books make of it, whichever sides the rows have."""
    return line(f"{kind}: ", ("; ".join(dict.fromkeys(told)), "muted"))


def _of_row(row: Document, width: int) -> list[Line]:
    """The row for which another side is chosen."""
    told = line((row["quantity"], "strong"), f" {row['asset_id']}  {row['account']}  {row['at']}")
    return [cut(line((f"TRANSFER_{row['side']}  ", "muted"), *told), width), BLANK]
