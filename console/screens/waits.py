"""What waits for a person, as one list: pure functions of the mirrored overview.

It owns what belongs into the list, in which order, and the act that opens each; it carries nothing out.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

from console import actions
from console.screens.panels import commonest
from console.text import count, plural, words
from console.widgets.figures import MINUTE_US, age, to_us
from console.widgets.pieces import Line, Piece, line, spread

Document = dict[str, Any]

BAD: Piece = ("✗", "bad")
HELD: Piece = ("‖", "held")
WARN: Piece = ("!", "warn")
KNOWN: Piece = ("·", "muted")  # somebody acknowledged it
RANKS = (BAD, HELD, WARN, KNOWN)  # worst first
AGE_CELLS = 7
PRICES_COME_US = 5 * MINUTE_US  # after their close, and are valued
BAD_ALERTS = frozenset(
    {"PIPELINE_FAILED", "DISK_LOW", "MEMORY_HIGH", "LAKE_FILE_BAD", "BACKUP_DAMAGED", "DRILL_FAILED"}
)
ROWS = frozenset({"QUARANTINE_OPEN", "QUARANTINE_OLD"})
MOVES = frozenset({"TRANSFERS_UNMATCHED"})
HOLDS = frozenset({"FX_HELD"})
UNPRICED = frozenset({"COVERAGE_LOW"})
TASKS = frozenset({"PIPELINE_FAILED"})
# Where an alert is settled; every other one is told in full by the events.
OPENS = {
    **dict.fromkeys(ROWS, actions.QUARANTINE),
    **dict.fromkeys(MOVES, actions.TRANSFERS),
    **dict.fromkeys(HOLDS, actions.FX),
    **dict.fromkeys(("COVERAGE_LOW", "PRICES_STALE", "PRICES_SUSPICIOUS"), actions.ASSETS),
    **dict.fromkeys(("INBOX_WAITING", "FILE_STUCK", "INBOX_NAME", "FILE_PARTIAL"), actions.INBOX),
    **dict.fromkeys(("VALUES_STALE", "VALUES_LATE"), actions.NAV),
    **dict.fromkeys(("DISK_LOW", "MEMORY_HIGH", "LAKE_FILE_BAD"), actions.STORAGE),
    **dict.fromkeys(("BACKUP_OLD", "BACKUP_DAMAGED", "DRILL_FAILED"), actions.BACKUPS),
}


@dataclass(frozen=True, slots=True)
class Wait:
    """One thing: which, what of it, more about it, since when, and the act that opens where it is settled.

    `about`: what the row there is about, if it is of one.
    """

    id: str
    sign: Piece
    text: str
    more: str
    since: str | None
    opens: str
    about: str = ""


def waits(doc: Document, now: int) -> list[Wait]:
    """All that waits for a person: the worst first, of equals the oldest; what is acknowledged comes last."""
    found = [*_causes(doc), *_holds(doc), *_rows(doc), *_moves(doc), *_unpriced(doc, now), *_alerts(doc, now)]
    return sorted(found, key=lambda one: (RANKS.index(one.sign), one.since is None, one.since))


def _acked(doc: Document, codes: Iterable[str]) -> Document | None:
    """Who knows of it, if nobody else need know: all its alerts are acknowledged."""
    mine = [alert["acked"] for alert in doc["alerts"] if alert["code"] in codes]
    return mine[0] if mine and all(mine) else None


def _unless_known(doc: Document, codes: Iterable[str], wait: Wait) -> Wait:
    """The same, told with who knows of it if somebody does."""
    ack = _acked(doc, codes)
    return replace(wait, sign=KNOWN, more=known(ack)) if ack else wait


def known(ack: Document) -> str:
    """Who knows of it, and why."""
    return f"{ack['actor']}: {ack['reason']}"


def _causes(doc: Document) -> Iterator[Wait]:
    since = next((alert.get("since") for alert in doc["alerts"] if alert["code"] in TASKS), None)
    for cause in doc["causes"]:
        text = f"{cause['task']}: {cause['cause']}"
        yield _unless_known(doc, TASKS, Wait(cause["task"], BAD, text, "", since, actions.EVENTS))


def _holds(doc: Document) -> Iterator[Wait]:
    """One for each pair, however often it was held: its closes stay without NAV until somebody decides."""
    for pair in dict.fromkeys(hold["pair"] for hold in doc["holds"]):
        mine = [hold for hold in doc["holds"] if hold["pair"] == pair]
        closes = plural(sum(hold["closes"] for hold in mine), "close")
        more = f"NAV withheld at {closes}, {mine[0]['reason']}"
        since = min(hold["from"] for hold in mine)
        yield _unless_known(doc, HOLDS, Wait(pair, HELD, f"{pair} is held", more, since, actions.FX, pair))


def _rows(doc: Document) -> Iterator[Wait]:
    found = doc["quarantine"]
    if found["open"]:
        text = f"{plural(found['open'], 'row')} set aside"
        more = ", ".join(f"{code} {count(number)}" for code, number in commonest(found["by_reason"]))
        rows = Wait("rows", WARN, text, more, found["oldest"], actions.QUARANTINE)
        yield _unless_known(doc, ROWS, rows)


def _moves(doc: Document) -> Iterator[Wait]:
    number, oldest = doc["transfers"]["unmatched"], doc["transfers"]["oldest"]
    if number:
        text = f"{plural(number, 'transfer')} without {'its' if number == 1 else 'their'} other side"
        moves = Wait("moves", WARN, text, "NAV is provisional", oldest, actions.TRANSFERS)
        yield _unless_known(doc, MOVES, moves)


def _unpriced(doc: Document, now: int) -> Iterator[Wait]:
    """Assets without a value at the newest close, each since the first close of this gap.

    A close is valued when it comes, and again with the prices that follow it: a new gap is nobody's work.
    """
    points = doc["nav"]["points"]
    for asset in points[-1]["missing"] if points else ():
        gap = _gap(points, asset)
        more = f"no NAV at {plural(len(gap), 'close')}: {_why(points[-1]['reasons'])}"
        since = gap[-1]["bucket_close"]
        unpriced = Wait(asset, WARN, f"{asset} has no value", more, since, actions.ASSETS, asset)
        if now - to_us(since) >= PRICES_COME_US:
            yield _unless_known(doc, UNPRICED, unpriced)


def _gap(points: Sequence[Document], asset: str) -> list[Document]:
    """The closes up to the newest at which the asset has no value, newest first."""
    return list(takewhile(lambda point: asset in point["missing"], reversed(points)))


def _why(reasons: Sequence[str]) -> str:
    code = next((reason for reason in reasons if reason not in HOLDS), "")
    return words(code).partition(";")[0] or code


def _alerts(doc: Document, now: int) -> Iterator[Wait]:
    """Alerts about what the others do not tell of already."""
    told = {
        *(TASKS if doc["causes"] else ()), *(HOLDS if doc["holds"] else ()),
        *(ROWS if doc["quarantine"]["open"] else ()), *(MOVES if doc["transfers"]["unmatched"] else ()),
        *(UNPRICED if any(_unpriced(doc, now)) else ()),
    }  # fmt: skip
    for alert in doc["alerts"]:
        code, ack = alert["code"], alert.get("acked")
        sign = KNOWN if ack else BAD if code in BAD_ALERTS else WARN
        if code not in told:
            more = known(ack) if ack else alert["hint"]
            opens = OPENS.get(code, actions.EVENTS)
            yield Wait(f"{code} {alert.get('about')}", sign, alert["text"], more, alert.get("since"), opens)


def wait_line(wait: Wait, now: int, width: int) -> Line:
    """One line: sign, what, more where there is room, its age, and the key that opens it."""
    mark = "muted" if wait.sign == KNOWN else "text"
    told = line((f"{wait.sign[0]} ", wait.sign[1]), (wait.text, mark), (f"  {wait.more}", "muted"))
    old = age(wait.since, now) if wait.since else ""
    end = line((f"  {old:>{AGE_CELLS}}  ", "muted"), (actions.BY_ID[wait.opens].shown, "mark"))
    return spread(told, end, width)
