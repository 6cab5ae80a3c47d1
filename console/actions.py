"""Every act of an operator once: key, label, where it works, what it does.

Bindings, the bottom line, the palette, the help page and the README's key table come from this list and from
nowhere else. How an act is carried out is its screen's or the app's business.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

from engine.api import Command

Need = Literal[
    "engine", "writing", "row", "rows", "order", "open", "mark", "files", "loose", "held", "job", "alert",
    "new", "story", "chart",
]  # fmt: skip
Danger = Literal["", "asks", "typed"]

OVERVIEW, INBOX, QUARANTINE, NAV, EVENTS = "overview", "inbox", "quarantine", "nav", "events"
FX = "fx"
STORAGE, BACKUPS = "storage", "backups"
ASSETS, TRANSFERS, LOTS = "assets", "transfers", "lots"
OVER = (ASSETS, TRANSFERS, LOTS)  # opened over another screen
# Screens by their digit. A screen that does not exist yet is not here, so it is shown nowhere.
SCREENS = {
    OVERVIEW: "1", INBOX: "2", QUARANTINE: "3", FX: "4", NAV: "5", STORAGE: "6", BACKUPS: "7", EVENTS: "8",
}  # fmt: skip
PANELS = (OVERVIEW, INBOX, QUARANTINE, FX, NAV, STORAGE, BACKUPS, TRANSFERS, LOTS)  # of more than one panel
LISTS = (INBOX, QUARANTINE, FX, ASSETS, BACKUPS, EVENTS, TRANSFERS, LOTS)
CHARTED = (OVERVIEW, INBOX, FX, NAV, STORAGE)
MARKABLE = (QUARANTINE, TRANSFERS, ASSETS)
BULK_ROWS = 1_000  # more rows than this at once need a typed word: nobody has looked at each
# Why an act cannot be carried out while this is not there.
WHY_NOT: dict[Need, str] = {
    "engine": "not connected to an engine", "writing": "this console is read-only", "row": "no row here",
    "rows": "nothing is listed here", "order": "the engine sends this list in pages, in its own order",
    "open": "this row is not open", "mark": "nothing is marked", "files": "no file waits in the inbox",
    "loose": "nothing of this transfer is left over",
    "held": "this pair was not held in 30 days; `navdeck fx use-eod-once --from --to` reaches further back",
    "job": "no job is at work", "alert": "no alert waits for somebody",
    "new": "this home has files of its own", "story": "no first steps are told here",
    "chart": "no chart over time is in sight; 5 has that of NAV",
}  # fmt: skip
AT_ENGINE: tuple[Need, ...] = ("engine",)
WRITING: tuple[Need, ...] = ("engine", "writing")
AT_DESK: tuple[Need, ...] = (*WRITING, "row", "open")
AT_LOOSE: tuple[Need, ...] = (*WRITING, "row", "loose")


@dataclass(frozen=True, slots=True)
class Action:
    """One act. `keys` as Textual names them, the first shown as `shown`; `screens`: where, none: everywhere.

    `foot`: its rank in the bottom line, 0: not there; 1 always, 2 where there is room. `danger`: whether it
    asks first, and by a typed word where it takes more than BULK_ROWS rows. `needs`: what must be there; the
    first that is missing is told when the key is pressed.
    """

    id: str
    keys: tuple[str, ...]
    shown: str
    label: str
    help: str
    screens: tuple[str, ...] = ()
    foot: int = 0
    danger: Danger = ""
    needs: tuple[Need, ...] = ()
    command: str = ""

    def works_on(self, screen: str) -> bool:
        return not self.screens or screen in self.screens


ACTIONS = (
    Action("overview", ("1",), "1", "Overview", "The state of everything on one page"),
    Action("inbox", ("2",), "2", "Inbox", "Files: waiting, being read, taken, refused"),
    Action("quarantine", ("3",), "3", "Quarantine", "Rows that were set aside, and why"),
    Action("fx", ("4",), "4", "FX", "Exchange rates: drift against the band, what is held, and why"),
    Action("nav", ("5",), "5", "NAV", "Net asset value, its return and drawdown, with gaps where not known"),
    Action("storage", ("6",), "6", "Storage", "Memory against its marks, what the lake holds, compaction"),
    Action("backups", ("7",), "7", "Backups", "Backups and drills: how old, verified when, how fast"),
    Action("events", ("8",), "8", "Events", "What happened, newest last"),
    Action("transfers", ("t",), "t", "Transfers",
           "What moved between accounts, and what lacks its other side"),
    Action("lots", ("l",), "l", "Lots", "Lots and gains, each down to the rows it came from", (NAV,), foot=2,
           needs=AT_ENGINE),
    Action("detail", ("enter",), "⏎", "open", "All about the row under the cursor", LISTS, foot=1),
    Action("go", ("enter",), "⏎", "open", "Go where the thing under the cursor, which waits, is settled",
           (OVERVIEW,), foot=1, needs=("row",)),
    Action("filter", ("slash",), "/", "filter",
           "Rows with a text; !text: without it; ~text: by expression; column:text: in one column",
           (INBOX, FX, ASSETS, BACKUPS, EVENTS, TRANSFERS), foot=2),
    Action("search", ("slash",), "/", "filter",
           "Rows with a text; !text: without it; reason: file: account: status: age:>2h; ~expression",
           (QUARANTINE,), foot=2),
    Action("find", ("slash",), "/", "filter",
           "Rows with a text; !text: without it; asset: account:; ~expression", (LOTS,), foot=1),
    Action("state", ("tab",), "tab", "switch", "Open lots, or realized pieces", (LOTS,), foot=1),
    Action("what_if", ("w",), "w", "what if", "A sale that is only imagined, under each lot method", (LOTS,),
           foot=2, needs=AT_ENGINE),
    Action("mark", ("space",), "space", "mark", "Mark the row, or take its mark away", MARKABLE, foot=2,
           needs=("row",)),
    Action("range", ("v",), "v", "range", "Begin a range here; v again marks every row of it", MARKABLE,
           foot=2, needs=("engine", "row")),
    Action("mark_all", ("asterisk",), "*", "all", "Mark every row that the filter lets through",
           MARKABLE, foot=2, needs=("engine", "row")),
    Action("unmark", ("u",), "u", "unmark", "Take all marks away", MARKABLE, foot=2, needs=("mark",)),
    Action("fix", ("e",), "e", "fix", "Correct the marked rows, else this one; checked before it is kept",
           (QUARANTINE,), foot=1, danger="asks", needs=AT_DESK, command="quarantine_fix"),
    Action("release", ("R",), "R", "release", "Put the marked rows, else this one, into the books",
           (QUARANTINE,), foot=1, danger="typed", needs=AT_DESK, command="quarantine_release"),
    Action("reject", ("x",), "x", "reject", "Leave the marked rows, else this one, out of the books",
           (QUARANTINE,), foot=2, danger="typed", needs=AT_DESK, command="quarantine_reject"),
    Action("undo", ("z",), "z", "undo", "Take the newest decision back", (*MARKABLE, FX, EVENTS),
           foot=2, danger="asks", needs=WRITING, command="undo"),
    Action("match", ("m",), "m", "match", "This row and one that comes near are one transfer", (TRANSFERS,),
           foot=1, danger="asks", needs=AT_LOOSE, command="transfer_match"),
    Action("settle", ("s",), "s", "settle", "Say what the marked rows, else this one, were", (TRANSFERS,),
           foot=1, danger="asks", needs=AT_LOOSE, command="transfer_settle"),
    Action("assets", ("a",), "a", "Assets", "Every asset, and what keeps NAV unknown"),
    Action("asset_status", ("s",), "s", "status", "Exclude the marked assets, else this: spam; or price it",
           (ASSETS,), foot=1, danger="asks", needs=(*WRITING, "row"), command="asset_set"),
    Action("hold", ("H",), "H", "hold", "Use the end-of-day rate once, of a pair held now or in 30 days",
           (FX,), foot=1, danger="asks", needs=(*WRITING, "row", "held"), command="fx_use_eod_once"),
    Action("provider", ("o",), "o", "providers", "Open or close a provider of prices and rates", (FX,),
           foot=2, danger="asks", needs=WRITING, command="provider_open"),
    Action("compact", ("C",), "C", "compact", "Rewrite what is cold or in pieces; the plan comes first",
           (STORAGE,), foot=1, danger="asks", needs=WRITING, command="compact"),
    Action("retention", ("o",), "o", "drop old", "Drop old snapshots that can be made again; plan first",
           (STORAGE,), foot=2, danger="asks", needs=WRITING, command="retention"),
    Action("cancel_upkeep", ("X",), "X", "cancel", "End the job at work before its next step",
           (STORAGE,), foot=2, needs=(*WRITING, "job"), command="lake_cancel"),
    Action("drill", ("D",), "D", "drill", "Restore the newest backup to a scratch folder, recompute, compare",
           (BACKUPS,), foot=1, danger="asks", needs=WRITING, command="backup_drill"),
    Action("backup", ("b",), "b", "back up", "Make a backup now", (BACKUPS,), foot=2, danger="asks",
           needs=WRITING, command="backup_create"),
    Action("verify_backup", ("v",), "v", "verify", "Read every byte of this backup again", (BACKUPS,), foot=2,
           danger="asks", needs=(*WRITING, "row"), command="backup_verify"),
    Action("cancel_job", ("X",), "X", "cancel", "End the job at work before its next step", (BACKUPS,),
           foot=2, needs=(*WRITING, "job"), command="backup_cancel"),
    Action("state_before", ("left_square_bracket",), "[", "state", "Only the state before", (TRANSFERS,)),
    Action("state_after", ("right_square_bracket",), "]", "state", "Only the next state", (TRANSFERS,),
           foot=2),
    Action("reason_before", ("left_square_bracket",), "[", "reason", "Only the reason before", (QUARANTINE,)),
    Action("reason_after", ("right_square_bracket",), "]", "reason", "Only the next reason", (QUARANTINE,),
           foot=2),
    Action("range_before", ("left_square_bracket",), "[", "shorter", "A shorter range", (NAV,), foot=1),
    Action("range_after", ("right_square_bracket",), "]", "longer", "A longer range", (NAV,), foot=1),
    Action("chart", ("v",), "v", "chart", "The next chart: NAV, TWR index, drawdown, allocation", (NAV,),
           foot=1),
    Action("level", ("l",), "l", "level", "All events, only warnings and worse, only what is bad", (EVENTS,),
           foot=1),
    Action("ack", ("A",), "A", "acknowledge", "Say that somebody knows of an alert, and why; until it clears",
           (OVERVIEW, EVENTS), foot=2, danger="asks", needs=(*WRITING, "alert"), command="alert_ack"),
    Action("ingest", ("i",), "i", "take inbox", "Take the files in the inbox now", (OVERVIEW, INBOX), foot=2,
           needs=WRITING, command="ingest"),
    Action("preview", ("d",), "d", "preview", "What the files in the inbox would bring; nothing is stored",
           (INBOX,), foot=2, needs=("engine", "files"), command="ingest"),
    Action("value", ("V",), "V", "value now", "Value every holding up to now", (OVERVIEW, NAV), foot=2,
           needs=WRITING, command="value"),
    Action("cancel_value", ("X",), "X", "cancel",
           "End the valuing at work before its next days; the next close goes on", (OVERVIEW, NAV),
           needs=(*WRITING, "job"), command="value_cancel"),
    Action("sort", ("S",), "S", "sort", "By any column, the same one again: turned round", LISTS, foot=2,
           needs=("order",)),
    Action("export", ("E",), "E", "export",
           "Write what is listed, all of it, into a new file: .csv, .json or .parquet", LISTS, foot=2,
           needs=("rows",)),
    Action("jump", ("f",), "f", "jump", "Letters before each row in sight; typing them goes there", LISTS,
           foot=2, needs=("rows",)),
    Action("zoom", ("plus",), "+", "zoom", "One panel as large as the screen, again: the next one, then all",
           PANELS, foot=2),
    Action("sample", ("y",), "y", "sample", "Put a small made-up sample into the inbox of a new home",
           (OVERVIEW, INBOX), needs=(*WRITING, "new"), command="sample"),
    Action("cross", ("x",), "x", "crosshair",
           "Look at a chart point by point: the exact figure, or why there is none", CHARTED, foot=2,
           needs=("chart",)),
    Action("table", ("w",), "w", "in words", "The chart as a table of the same figures, to read and to copy",
           CHARTED, foot=2, needs=("chart",)),
    Action("copy", ("c",), "c", "copy", "Copy what the cursor is on; works over SSH (OSC 52)", foot=2),
    Action("freeze", ("p",), "p", "freeze", "Hold the picture still; work goes on behind it", foot=2),
    Action("refresh", ("r",), "r", "refresh", "Ask the engine for everything again", needs=AT_ENGINE),
    Action("hints", ("h",), "h", "hints", "Hide the first steps of a new home or the demo, or show them",
           needs=("story",)),
    Action("back", ("escape",), "esc", "back", "Close, clear the filter, or go to the overview"),
    Action("help", ("question_mark",), "?", "help", "This page", foot=1),
    Action("palette", ("colon", "ctrl+p"), ":", "menu", "Find any act by typing", foot=1),
    Action("quit", ("q", "ctrl+q"), "q", "quit", "Leave; an engine hosted here finishes what it does first",
           foot=1),
)  # fmt: skip

# Moves of a list's cursor; Textual's own actions of the list widget.
MOVES = (
    ("up,k", "cursor(-1)", "up, k", "One row up"),
    ("down,j", "cursor(1)", "down, j", "One row down"),
    ("pageup", "page(-1)", "page up", "One page up"),
    ("pagedown", "page(1)", "page down", "One page down"),
    ("home,g", "edge(-1)", "home, g", "First row"),
    ("end,G", "edge(1)", "end, G", "Last row"),
)

# Moves of a chart's crosshair; the chart's own actions while it has the focus.
CROSS_MOVES = (
    ("left", "cross('column', -1)", "left", "The crosshair one column back"),
    ("right", "cross('column', 1)", "right", "The crosshair one column on"),
    ("up,k", "cross('point', -1)", "up, k", "One point back, also within a column"),
    ("down,j", "cross('point', 1)", "down, j", "One point on, also within a column"),
    ("pageup,shift+left", "cross('page', -1)", "page up", "A tenth of the chart back"),
    ("pagedown,shift+right", "cross('page', 1)", "page down", "A tenth of the chart on"),
    ("home,g", "cross('edge', -1)", "home, g", "The first point"),
    ("end,G", "cross('edge', 1)", "end, G", "The newest point"),
    ("enter", "open", "⏎", "All about the point, and why it has no figure"),
    ("escape,x", "leave", "esc, x", "Leave the chart"),
)

# The bottom line while a chart has its crosshair.
CROSS_FOOT = (
    ("←→", "column"), ("↑↓", "point"), ("page", "tenth"), ("home end", "ends"), ("⏎", "why"),
    ("esc", "leave"), ("c", "copy"),
)  # fmt: skip

BY_ID = {action.id: action for action in ACTIONS}


def for_screen(screen: str) -> list[Action]:
    """The acts that work on a screen, its own first."""
    there = [action for action in ACTIONS if action.works_on(screen)]
    return sorted(there, key=lambda action: not action.screens)


def why_not(action: Action, there: Collection[Need]) -> str:
    """Why the act cannot be carried out with what is there; empty if it can."""
    return next((WHY_NOT[need] for need in action.needs if need not in there), "")


def command(
    action: Action,
    actor: str,
    arguments: dict[str, Any] | None = None,
    reason: str = "",
    dry_run: bool = False,
) -> Command:
    """What the act asks of the engine; who, and why, always comes along."""
    asked = arguments if arguments is not None else {"paths": []} if action.command == "ingest" else {}
    told = reason or "asked for in the console"
    return Command(action.command, asked, actor=actor, reason=told, dry_run=dry_run)


def key_table() -> list[tuple[str, str, str]]:
    """Keys, where they work, and what they do: the rows of the README's table."""
    acts = [
        (" or ".join(dict.fromkeys((action.shown, *(key for key in action.keys if "+" in key)))),
         ", ".join(action.screens) or "everywhere", action.help)
        for action in ACTIONS
    ]  # fmt: skip
    moves = [(shown, "lists", help_text) for _, _, shown, help_text in MOVES]
    return acts + moves + [(shown, "charts", help_text) for _, _, shown, help_text in CROSS_MOVES]
