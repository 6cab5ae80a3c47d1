"""The line at the top, which tells the state of everything, and the one at the bottom, with the keys."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

from textual import events

from console import actions
from console.actions import CROSS_FOOT, Action, Need
from console.mirror import Mirror, waiting
from console.text import UNKNOWN, count
from console.widgets.figures import level, memory_state, share, span, to_us
from console.widgets.lines import Frame
from console.widgets.pieces import Line, as_fits, cells, joined, line

Document = dict[str, Any]

BETWEEN = " │ "
STATES = {"running": "ok", "starting": "muted", "degraded": "warn", "draining": "warn"}


def header(mirror: Mirror, now: int, frozen: bool, width: int) -> Line:
    """The state in one line, what matters most first; what does not fit is dropped from the right."""
    return as_fits([_name(mirror, frozen), *_segments(mirror, now)], width, BETWEEN)


def _name(mirror: Mirror, frozen: bool) -> Line:
    doc = mirror.doc
    words = {"lost": "DISCONNECTED", "failed": "NO ENGINE", "leaving": "LEAVING"}
    alarms = [
        words.get(mirror.phase, ""),
        "FROZEN" if frozen else "",
        "READ-ONLY" if doc["read_only"] else "",
    ]
    label = f" {doc['label']}" if doc["label"] else ""
    shouted: list[Line] = [line((f" {word} ", "reverse")) for word in alarms if word]
    return (*joined(shouted, " "), (" navdeck", "strong"), (label, "mark"))


def _segments(mirror: Mirror, now: int) -> list[Line]:
    doc = mirror.doc
    if mirror.phase == "starting":
        return [line(("starting engine…", "muted"))]
    if mirror.phase in ("lost", "failed"):
        again = ", trying again" if mirror.phase == "lost" else ""
        return [line((mirror.trouble[0].rstrip(".") + again, "bad"))]
    open_rows, files = doc["quarantine"]["open"], len(waiting(doc["inbox"]))
    holds = len({hold["pair"] for hold in doc["holds"]})
    return [
        line((doc["state"], STATES.get(doc["state"], "bad"))),
        line(("held ", "muted"), (f"{count(holds)} ‖", "held") if holds else ("0", "text")),
        line(("quarantine ", "muted"), (f"{count(open_rows)} !", "warn") if open_rows else ("0", "text")),
        _memory(doc["memory"]),
        line(("inbox ", "muted"), count(files)),
        line((_who(mirror, now), "muted")),
        line((doc["home"], "muted")),
    ]  # fmt: skip


def _memory(memory: Document) -> Line:
    if not memory["limit_bytes"]:  # the engine has not looked yet
        return line(("RAM ", "muted"), UNKNOWN)
    word, meaning = memory_state(memory["ratio"])
    alert = f" {word}" if word == "ok" else f" {word} !"
    return line(
        ("RAM ", "muted"), (level(memory["ratio"]), meaning), f" {share(memory['ratio'])}", (alert, meaning)
    )


def _who(mirror: Mirror, now: int) -> str:
    doc = mirror.doc
    what = "engine here" if doc["hosting"] else "daemon"
    up = f" up {span(now - to_us(doc['started_at']))}" if doc["started_at"] else ""
    return f"{what} pid {doc['pid']}{up}"


class KeyBar(Frame):
    """The keys that matter here, and the screens. A click on one is as good as the key."""

    def __init__(self, screen: str, there: Callable[[], Collection[Need]]) -> None:
        super().__init__(self._keys, id="keys")
        self._screen_id = screen
        self._there = there
        self._places: list[tuple[int, int, str]] = []

    def _keys(self, width: int, _height: int) -> list[Line]:
        if self.screen.has_class("-crossing"):
            self._places = []
            moves = [line((f" {key}", "mark"), (f" {told}", "muted")) for key, told in CROSS_FOOT]
            return [as_fits(moves, width)]
        there = self._there()
        entries = key_entries(self._screen_id, width, lambda action: bool(actions.why_not(action, there)))
        self._places = []
        made: Line = line(" ")
        for action_id, entry in entries:
            start = cells(made)
            made = (*made, *entry, ("  ", "text"))
            self._places.append((start, start + cells(entry), action_id))
        return [made]

    async def on_click(self, event: events.Click) -> None:
        for start, end, action_id in self._places:
            if start <= event.x < end:
                await self.run_action(f"app.act('{action_id}')")


def key_entries(screen: str, width: int, blocked: Callable[[Action], bool]) -> list[tuple[str, Line]]:
    """The bottom line: screens by name where there is room, else by digit; then keys as they fit."""
    acts = [action for action in actions.for_screen(screen) if action.foot]
    shown = [action for action in acts if action.foot == 1]
    ways = [_tabs(screen, named) for named in (tuple(actions.SCREENS), (screen,), ())]
    tabs = next((way for way in ways if _width(way, shown, blocked) <= width), ways[-1])
    for action in acts:
        if action.foot > 1 and _width(tabs, [*shown, action], blocked) <= width:
            shown.append(action)
    while shown and _width(tabs, shown, blocked) > width:
        shown.remove(next((action for action in shown if not action.screens), shown[-1]))
    ordered = [action for action in acts if action in shown]
    return [*tabs, *((action.id, _key(action, blocked(action))) for action in ordered)]


def _tabs(screen: str, named: Sequence[str]) -> list[tuple[str, Line]]:
    made = []
    for screen_id, digit in actions.SCREENS.items():
        here = screen_id == screen
        label = f" {actions.BY_ID[screen_id].label}" if screen_id in named else ""
        made.append(
            (screen_id, line((digit, "strong" if here else "mark"), (label, "strong" if here else "muted")))
        )
    return made


def _key(action: Action, blocked: bool) -> Line:
    return line((action.shown, "muted" if blocked else "mark"), (f" {action.label}", "muted"))


def _width(
    tabs: Sequence[tuple[str, Line]], acts: Sequence[Action], blocked: Callable[[Action], bool]
) -> int:
    entries = [entry for _, entry in tabs] + [_key(action, blocked(action)) for action in acts]
    return cells(joined(entries, "  ")) + 2
