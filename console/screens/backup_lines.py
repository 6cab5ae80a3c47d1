"""What is told of backups and drills, as lines: the list, all about one, the job at work. Pure."""

from dataclasses import dataclass
from typing import Any

from console.screens import panels
from console.screens.ordering import Value
from console.text import UNKNOWN, bytes_text, count, instant, plural
from console.widgets.figures import MINUTE_US, age, day_clock, span, to_us
from console.widgets.pieces import BLANK, Column, Line, Piece, line, wrapped

Document = dict[str, Any]

COLUMNS = (
    Column("what", 6), Column("state", 13), Column("at", 12, prose=True), Column("age", 7, right=True),
    Column("size", 9, right=True), Column("RTO", 7, right=True), Column("RPO", 7, right=True),
    Column("files", 7, right=True, rank=1), Column("reaches", 12, rank=2, prose=True),
    Column("id", 20, rank=3, grows=1),
)  # fmt: skip
NONE: Piece = ("", "muted")  # what a row of this kind does not have
VERDICTS: dict[str, Piece] = {
    "passed": ("✓ passed", "ok"), "failed": ("✗ failed", "bad"), "cancelled": ("= cancelled", "muted"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Item:
    """One row of the list: a backup or a drill. `drilled`: when a drill restored that backup and passed."""

    kind: str
    doc: Document
    drilled: str | None = None

    @property
    def at(self) -> str:
        return str(self.doc.get("made_at") or self.doc.get("at") or "")


def items(found: Document) -> list[Item]:
    """Backups and drills, the newest first."""
    passed = {each.get("backup"): each["at"] for each in found["drills"] if each["verdict"] == "passed"}
    both = [Item("backup", each, passed.get(each["id"])) for each in found["backups"]]
    both += [Item("drill", each) for each in found["drills"]]
    return sorted(both, key=lambda item: item.at, reverse=True)


def state_of(item: Item) -> Piece:
    """How it stands, in a word and a sign."""
    doc = item.doc
    if item.kind == "drill":
        return VERDICTS.get(doc["verdict"], (doc["verdict"], "text"))
    if doc.get("problem") or doc["verified"] is False:
        return "✗ damaged", "bad"
    if doc["verified"]:
        return "✓ verified", "ok"
    return ("✓ drilled", "ok") if item.drilled else ("· not checked", "muted")


def values(item: Item, now: int) -> list[Value]:
    """What the cells stand for: a drill has times, a backup has a size, files and a reach."""
    doc, (sign, _) = item.doc, state_of(item)
    told: list[Value] = [item.kind, sign, item.at, now - to_us(item.at) if item.at else None]
    if item.kind == "drill":
        return [*told, None, doc.get("rto_s"), doc.get("rpo_s"), None, None, doc.get("backup")]
    return [*told, doc.get("bytes"), None, None, doc.get("files", 0), doc.get("reached"), doc["id"]]


def cells(item: Item, now: int) -> list[Piece]:
    """One row's cells."""
    doc = item.doc
    told: list[Piece] = [
        (item.kind, "text"), state_of(item),
        (day_clock(item.at, now) if item.at else UNKNOWN, "text"), (age(item.at or None, now), "muted"),
    ]  # fmt: skip
    if item.kind == "drill":
        times: list[Piece] = [(_seconds(doc.get("rto_s")), "text"), (_seconds(doc.get("rpo_s")), "text")]
        return [*told, NONE, *times, NONE, NONE, (doc.get("backup") or "", "muted")]
    return [
        *told, (bytes_text(doc["bytes"]) if "bytes" in doc else UNKNOWN, "text"), NONE, NONE,
        (count(doc.get("files", 0)), "muted"),
        (day_clock(doc["reached"], now) if "reached" in doc else UNKNOWN, "muted"), (doc["id"], "muted"),
    ]  # fmt: skip


def _seconds(told: float | None) -> str:
    if told is None:
        return UNKNOWN
    return f"{told:.1f} s" if told < 60 else span(round(told * MINUTE_US / 60))


def item_lines(item: Item, width: int) -> list[Line]:
    """All about one."""
    return _drill_lines(item.doc, width) if item.kind == "drill" else _backup_lines(item, width)


def _backup_lines(item: Item, width: int) -> list[Line]:
    doc, (sign, mark) = item.doc, state_of(item)
    made = [line(("backup ", "muted"), (doc["id"], "strong")), line((sign, mark)), BLANK]
    if doc.get("problem"):
        return [*made, *(line((part, "bad")) for part in wrapped(doc["problem"], width))]
    verified = instant(doc["verified_at"]) if doc["verified_at"] else "not yet: v reads every byte again"
    drilled = f"restored and compared at {instant(item.drilled)}" if item.drilled else "no drill took it"
    pairs = [
        ("reaches", line(instant(doc["reached"]))),
        ("commits", line(count(doc["records"]))),
        ("files", line(f"{count(doc['files'])}, {bytes_text(doc['bytes'])}")),
        ("verified", line(verified)),
        ("drill", line(drilled)),
        ("digest", line(doc["digest"])),
    ]  # fmt: skip
    if doc["left_out"]:
        pairs.append(("left out", line((plural(len(doc["left_out"]), "file"), "warn"))))
    restore = f"navdeck backup restore {doc['id']} --to FOLDER"
    return [*made, *panels.details([*pairs, ("restore", line(restore))], width)]


def _drill_lines(doc: Document, width: int) -> list[Line]:
    sign, mark = VERDICTS.get(doc["verdict"], (doc["verdict"], "text"))
    made = [line((f"drill of {instant(doc['at'])}  ", "strong"), (sign, mark))]
    pairs = [
        ("backup", line(doc.get("backup") or UNKNOWN)),
        ("random instant", line(instant(doc["instant"]) if doc.get("instant") else UNKNOWN)),
        ("RTO", line(_seconds(doc.get("rto_s")), ("  from nothing to a home that opens", "muted"))),
        ("RPO", line(_seconds(doc.get("rpo_s")), ("  the oldest commit that no backup has", "muted"))),
    ]
    made += [BLANK, *panels.details(pairs, width), BLANK]
    for step in doc["steps"]:
        made += _step_lines(step, width)
    problem = doc.get("problem")
    return [*made, BLANK, *(line((part, "bad")) for part in wrapped(problem, width))] if problem else made


def _step_lines(step: Document, width: int) -> list[Line]:
    """A step with its time; below it, what came of it."""
    sign: Piece = ("✓ ", "ok") if step["ok"] else ("✗ ", "bad")
    first, *more = wrapped(f"{step['step']}  {_seconds(step['seconds'])}", width - 2)
    told = [part for part in wrapped(step["told"], width - 2) if part]
    return [
        line(sign, first), *(line("  ", part) for part in more),
        *(line("  ", (part, "muted" if step["ok"] else "bad")) for part in told),
    ]  # fmt: skip


def job_line(job: Document | None, now: int) -> Line:
    """The job at work with its step; nothing if there is none."""
    if job is None:
        return BLANK
    steps = job["steps"]
    done = f"{count(len(steps) - 1)} done, " if len(steps) > 1 else ""
    step = steps[-1] if steps else "begins"
    return line(
        ("▸ ", "accent"), (step, "strong"), (f"  {done}{age(job['started_at'], now)}  X cancels it", "muted")
    )


JOB_TOLD = {
    "drill": (
        "The newest backup, and an instant chosen at random, are restored into a scratch folder, opened,"
        " recomputed and compared by digest. The home is only read; the scratch is removed at the end."
    ),
    "backup": "Everything committed by now, into a folder of backups/. The engine goes on meanwhile.",
    "verify": "Every byte against its sum, the database, every lake file, the journal and the digest.",
}


def job_lines(job: str, found: Document, width: int) -> list[Line]:
    """What a job would do."""
    total = sum(each.get("bytes", 0) for each in found["backups"][:1])
    told = JOB_TOLD[job]
    if job == "drill" and not found["backups"]:
        told = f"There is no backup yet: one is made first. {told}"
    made = [line(part) for part in wrapped(told, width)]
    return [*made, BLANK, line(("the newest backup has ", "muted"), bytes_text(total))] if total else made
