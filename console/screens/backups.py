"""Backups: what is kept and how old it is, what was verified, drills with their steps and times.

Jobs run in the engine; this screen asks for them and shows their steps. Restoring stays in the command line.
"""

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

from textual.widget import Widget

from console import actions
from console.acting import Acting
from console.actions import Need
from console.modals.ask import Option, Question
from console.screens.acts import ActingScreen
from console.screens.backup_lines import (
    COLUMNS,
    Item,
    cells,
    item_lines,
    items,
    job_line,
    job_lines,
    state_of,
    values,
)
from console.screens.base import as_json, bindings, split
from console.screens.lists import FetchedList
from console.screens.ordering import Value
from console.text import count
from console.widgets.lines import Lines
from console.widgets.pieces import Line, Piece, cut, line
from engine.api import Query

Document = dict[str, Any]


class Backups(ActingScreen, FetchedList[Item]):
    """Screen 7."""

    ID = actions.BACKUPS
    BINDINGS = bindings(actions.BACKUPS)
    COLUMNS = COLUMNS
    MOVED_BY = frozenset({"backups"})

    def __init__(self) -> None:
        super().__init__()
        self._found: Document = {"backups": [], "drills": []}
        self._desk = Acting(self, ())

    def body(self) -> Sequence[Widget]:
        return (
            Lines(self._head, frozenset({"backups", "time"}), id="head"),
            split("Backup", self._row, self._side, frozenset({"time"})),
        )

    def there(self) -> Collection[Need]:
        item = self.chosen()
        found: set[Need] = {*super().there()}
        if item and item.kind == "backup":
            found.add("row")
        return found | {"job"} if self.doc["job"] else found

    # -- the list --

    def about(self, row: Item) -> str:
        return f"{row.kind} {row.at}"

    async def fetch(self) -> None:
        self._found = await self.deck.session.ask(Query("backups", {}))

    def everything(self) -> Sequence[Item]:
        return items(self._found)

    def cells(self, row: Item) -> list[Piece]:
        return cells(row, self.now)

    def values(self, row: Item) -> Sequence[Value]:
        return values(row, self.now)

    # -- what is shown --

    def _head(self, width: int, _height: int) -> list[Line]:
        drills = [item for item in items(self._found) if item.kind == "drill"]
        last = ("  no drill yet", "warn")
        if drills:
            sign, mark = state_of(drills[0])
            last = (f"  last drill {sign}", mark)
        about = f"{count(len(self._found['backups']))} kept"
        first = self.first_line("Backups", about, last)
        return [cut(first, width), cut(job_line(self.doc["job"], self.now), width), self.heads()]

    def _side(self, width: int, height: int) -> list[Line]:
        item = self.chosen()
        return item_lines(item, width)[:height] if item else [line(("no backup yet: b makes one", "muted"))]

    def record(self, row: Item) -> Document:
        return {"kind": row.kind} | row.doc

    def detail(self) -> tuple[str, Callable[[int], list[Line]]] | None:
        item = self.chosen()
        return (item.kind.capitalize(), partial(item_lines, item)) if item else None

    def copied(self) -> str:
        item = self.chosen()
        return as_json(item.doc if item else None)

    # -- jobs --

    def do_drill(self) -> None:
        self._desk.carry("drill", self._job("drill", "Run a drill", {}))

    def do_backup(self) -> None:
        self._desk.carry("backup", self._job("backup", "Make a backup", {}))

    def do_verify_backup(self) -> None:
        item = self.chosen()
        if item and item.kind == "backup":
            self._desk.carry("verify_backup", self._job("verify", "Verify it", {"id": item.doc["id"]}))

    async def _job(self, job: str, label: str, arguments: Document) -> None:
        """Asked first; then the engine works, and its steps are shown as it tells them."""
        question = Question(label, partial(job_lines, job, self._found), [Option(job, label)])
        if await self.deck.push_screen_wait(question) is None:
            return
        if job == "drill" and not self._found["backups"]:
            if await self._desk.carry_out("backup", "making the first backup", {}) is None:
                return
            self.ask()
        done = await self._desk.carry_out(ACTS[job], f"{label.lower()}", arguments)
        if done is not None:
            await self._desk.after(_outcome(job, done))


ACTS = {"drill": "drill", "backup": "backup", "verify": "verify_backup"}


def _outcome(job: str, done: Document) -> Line:
    if job == "drill":
        passed = done["verdict"] == "passed"
        return line(("✓ ", "ok") if passed else ("✗ ", "bad"), f"drill {done['verdict']}")
    if job == "verify":
        return (
            line(("✓ ", "ok"), "verified")
            if done["ok"]
            else line(("✗ ", "bad"), "it is not what was written")
        )
    return line(("✓ ", "ok"), f"{done['id']} made")
