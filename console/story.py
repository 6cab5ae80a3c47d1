"""The first steps of a newcomer, told one after the other: on a new home, and in the demo.

It owns which steps there are, what each says, and from what the engine tells whether it is done. It draws
nothing and asks nothing; whoever hides it, or does a step by another way, is right.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from console.mirror import waiting
from console.text import plural
from console.widgets.figures import to_us
from console.widgets.pieces import Line, line, spread, wrapped

Document = dict[str, Any]
Kinds = Collection[str]  # of decisions that stand

DEMO = "DEMO"  # the label of the demo's engine
SAMPLE = "sample-"  # what the names of the sample's files begin with


@dataclass(frozen=True, slots=True)
class Step:
    """One step: whether it is done, what to do next for it, what came of it.

    `lasts`: done once it stays done, whatever is computed again.
    """

    is_done: Callable[[Document, Kinds], bool]
    todo: Callable[[Document, Kinds], str]
    done: Callable[[Document], str]
    lasts: bool = False


# -- the steps ----------------------------------------------------------------------------------------


def _file_todo(doc: Document, _kinds: Kinds) -> str:
    if doc["counts"]["files_rejected"]:
        return "the file was refused: 2, then enter, says why"
    if doc["inbox"]["active"] or waiting(doc["inbox"]):
        return "files lie in the inbox and are taken once nobody writes to them; 2 shows them"
    return f"y puts a small sample into the inbox; files of your own go into {doc['home']}/inbox"


def _row_todo(doc: Document, kinds: Kinds) -> str:
    if "fix" in kinds:
        return "the row is corrected: 3, then R puts it into the books"
    if not doc["quarantine"]["open"]:
        return "rows that break a rule are set aside, and wait on 3"
    return f"{plural(doc['quarantine']['open'], 'row')} set aside: 3, then e corrects, then R releases"


def _row_done(doc: Document) -> str:
    left = doc["quarantine"]["open"]
    return f"a row was released; {plural(left, 'row')} still set aside" if left else "no row is set aside"


def _nav_todo(doc: Document, _kinds: Kinds) -> str:
    return "values are computed …" if doc["valuing"] else "soon values are computed, at every close"


def _nav_done(doc: Document) -> str:
    if not _has_prices(doc):
        return "no NAV yet: no price is known; prices are files too, and go into the inbox"
    if doc["nav"]["points"][-1]["nav"] is not None:
        return "NAV is known at the newest close: 5 shows its course"
    state = "withheld" if _held(doc) else "not known"
    return f"NAV is {state} at the newest close: 5 shows where, and why"


def _has_prices(doc: Document) -> bool:
    return any(doc["watermarks"]["prices_last"].values())


def _is_valued(doc: Document) -> bool:
    """Whether what was taken has its values, or can have none for want of prices."""
    taken, valued = doc["last_runs"]["ingest"], doc["last_runs"]["value"]
    is_behind = valued is None or taken is None or to_us(valued) < to_us(taken) or doc["valuing"]
    return not is_behind and (bool(doc["nav"]["points"]) or not _has_prices(doc))


def _held(doc: Document) -> list[str]:
    """The pairs that withhold the newest NAV."""
    points = doc["nav"]["points"]
    return list(points[-1]["held"]) if points else []


def _hold_todo(doc: Document, _kinds: Kinds) -> str:
    pairs = ", ".join(_held(doc))
    if not pairs:
        return "where no fresh rate is trusted, NAV is held"
    return f"{pairs} is held: 4 tells why, then H takes the fixing once"


def _drill_done(doc: Document) -> str:
    return f"a drill {doc['backup']['drill']['verdict']}"


FILE = Step(
    lambda doc, _: doc["counts"]["files"] > 0,
    _file_todo,
    lambda doc: f"{plural(doc['counts']['files'], 'file')} taken",
)
ROW = Step(
    lambda doc, kinds: FILE.is_done(doc, kinds) and ("release" in kinds or not doc["quarantine"]["open"]),
    _row_todo,
    _row_done,
)
NAV = Step(
    lambda doc, kinds: FILE.is_done(doc, kinds) and _is_valued(doc),
    _nav_todo,
    _nav_done,
    lasts=True,
)
HOLD = Step(
    lambda doc, kinds: bool(doc["nav"]["points"]) and ("fx_use_eod_once" in kinds or not _held(doc)),
    _hold_todo,
    lambda doc: "NAV is still held" if _held(doc) else "no NAV is held",
)
DRILL = Step(
    lambda doc, _: doc["backup"]["drill"] is not None,
    lambda _doc, _kinds: "7, then D restores a backup elsewhere and compares",
    _drill_done,
)
FIRST_STEPS = (FILE, ROW, NAV)
TOUR = (FILE, ROW, NAV, HOLD, DRILL)


# -- the story ----------------------------------------------------------------------------------------


class Story:
    """What is left of the steps. It begins with the first overview, and ends once all are done."""

    def __init__(self) -> None:
        self.kinds: Kinds = ()
        self.hidden = False
        self._state = "before"
        self._lasting: set[Step] = set()

    @property
    def is_on(self) -> bool:
        return self._state == "on"

    @property
    def is_shown(self) -> bool:
        return self.is_on and not self.hidden

    def begin(self, doc: Document) -> None:
        """Only a home that never took a file, and a demo in which nobody acted, have steps to tell of.

        Asked again and again: it looks how far they are.
        """
        if self._state == "before":
            wanted = is_new(doc) or (doc["label"] == DEMO and not doc["counts"]["decisions"])
            self._state = "on" if wanted and not doc["read_only"] else "over"
        self._lasting |= {step for step in steps(doc) if step.lasts and step.is_done(doc, self.kinds)}

    def end(self, doc: Document) -> str:
        """What came of the last step, if it was done just now; the story is over then."""
        if not self.is_on or self.left(doc):
            return ""
        self._state = "over"
        return steps(doc)[-1].done(doc)

    def left(self, doc: Document) -> list[Step]:
        return [
            step for step in steps(doc) if step not in self._lasting and not step.is_done(doc, self.kinds)
        ]

    def strip(self, doc: Document, width: int) -> Line:
        """The next step in one line."""
        told, left = steps(doc), self.left(doc)
        ticks = "".join("·" if step in left else "✓" for step in told)
        now = left[0].todo(doc, self.kinds) if left else ""
        return spread(line((f"{ticks} ", "ok"), ("▸ ", "mark"), now), line(("h hides", "muted")), width)

    def page(self, doc: Document, width: int) -> list[Line]:
        """All steps: what came of those that are done, what to do next, what comes after."""
        left = self.left(doc)
        made: list[Line] = []
        for step in steps(doc):
            if step not in left:
                made.append(line(("✓ ", "ok"), (step.done(doc), "muted")))
            elif step == left[0]:
                first, *more = wrapped(step.todo(doc, self.kinds), width - 2)
                made.append(line(("▸ ", "mark"), (first, "strong")))
                made += [line("  ", (part, "strong")) for part in more]
            else:
                made.append(line(("· ", "muted"), (step.todo(doc, self.kinds), "muted")))
        return made


def is_new(doc: Document) -> bool:
    """Whether no file was ever taken."""
    return not doc["counts"]["files"] and not doc["counts"]["transactions"]


def steps(doc: Document) -> tuple[Step, ...]:
    """With files of one's own up to the first NAV; the demo and the sample go on from there."""
    made_up = doc["label"] == DEMO or any(file["name"].startswith(SAMPLE) for file in doc["inbox"]["recent"])
    return TOUR if made_up else FIRST_STEPS
