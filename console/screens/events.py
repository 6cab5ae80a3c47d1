"""Events: what happened, newest last; the list follows until the cursor is moved up."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from textual.widget import Widget

from console import actions
from console.acking import waiting
from console.actions import Need
from console.mirror import Topics
from console.screens import panels
from console.screens.base import bindings
from console.screens.lists import HeldList
from console.screens.ordering import Value
from console.text import count, instant
from console.widgets.figures import day
from console.widgets.lines import Lines, Rows
from console.widgets.pieces import Column, Line, Piece, cut, line

Document = dict[str, Any]

LEVELS = (
    ("all", frozenset({"info", "warn", "bad"})), ("warnings and worse", frozenset({"warn", "bad"})),
    ("only bad", frozenset({"bad"})),
)  # fmt: skip


COLUMNS = (Column("at", 14, prose=True), Column("level", 6), Column("text", 20, grows=1, prose=True))
WORSE = {"info": 0, "warn": 1, "bad": 2}


class Events(HeldList[Document]):
    """Screen 8."""

    ID = actions.EVENTS
    BINDINGS = bindings(actions.EVENTS)
    COLUMNS = COLUMNS
    ALSO = ("kind",)

    def __init__(self) -> None:
        super().__init__()
        self._level = 0

    def there(self) -> Collection[Need]:
        return {*super().there(), "alert"} if waiting(self.doc) else super().there()

    def body(self) -> Sequence[Widget]:
        mine = frozenset({"events"})
        return Lines(self._head, mine, id="head"), Rows(self._row, mine, id="list")

    def redraw(self, topics: Topics) -> None:
        if "events" in topics:
            self._fill()
        super().redraw(topics)

    def _fill(self) -> None:
        before, follows = self.chosen(), self._follows()
        self._shown = self.passing()
        self.widen()
        self.rows.fill(len(self._shown), len(self._shown) - 1 if follows else _place(self._shown, before))

    def _follows(self) -> bool:
        """Whether the cursor goes with the newest; in another order than its own none is the last."""
        return self.order.place is None and self.rows.cursor >= len(self._shown) - 1

    def everything(self) -> Sequence[Document]:
        return [event for event in self.doc["events"] if event["level"] in LEVELS[self._level][1]]

    def cells(self, row: Document) -> list[Piece]:
        sign = panels.LEVELS.get(row["level"], panels.LEVELS["info"])
        return [(f"{day(row['at'], self.now)} {row['at'][11:19]}", "muted"), sign, (row["text"], "text")]

    def values(self, row: Document) -> Sequence[Value]:
        return row["at"], WORSE.get(row["level"]), row["text"]

    def also(self, row: Document) -> Mapping[str, str]:
        return {"kind": row["kind"], "level": row["level"]}

    def refilter(self) -> None:
        self._shown = []
        self.redraw(frozenset({"events"}))

    def do_level(self) -> None:
        self._level = (self._level + 1) % len(LEVELS)
        self.refilter()

    def _head(self, width: int, _height: int) -> list[Line]:
        about = f"{count(len(self._shown))} shown, {LEVELS[self._level][0]}"
        if self.order.place is None:
            follows = "following" if self._follows() else "held; end follows again"
            about += f", newest last, {follows}"
        return [cut(self.first_line("Events", about), width), self.heads()]

    def record(self, row: Document) -> Document:
        return row

    def detail(self) -> tuple[str, Callable[[int], list[Line]]] | None:
        event = self.chosen()
        return ("Event", lambda width: event_detail(event, width)) if event else None

    def copied(self) -> str:
        event = self.chosen()
        return f"{event['at']} {event['level']} {event['text']}" if event else ""


def _place(found: Sequence[Document], before: Document | None) -> int:
    """Where the event that the cursor was on is now; the oldest if it is gone."""
    return next((place for place, event in enumerate(found) if before and event["seq"] == before["seq"]), 0)


def event_detail(event: Document, width: int) -> list[Line]:
    """All about one event."""
    level = panels.LEVELS.get(event["level"], panels.LEVELS["info"])
    pairs = [
        ("at", line(instant(event["at"]))),
        ("level", line((event["level"], level[1]))),
        ("kind", line(event["kind"])),
        ("text", line(event["text"])),
    ]
    if event["seq"] > 0:  # one from before the engine started has none
        pairs.insert(3, ("number", line(count(event["seq"]))))
    if event.get("trace_id"):  # the piece of work that it is of: the same in logs, files and decisions
        pairs.append(("trace", line(event["trace_id"])))
    return panels.details(pairs, width)
