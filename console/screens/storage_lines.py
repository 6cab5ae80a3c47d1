"""What is told of memory and of the lake, as lines. Pure."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from console.screens import panels
from console.text import UNKNOWN, bytes_text, count, plural
from console.widgets.chart import Course
from console.widgets.figures import ALERT_RATIO, CRITICAL_RATIO, from_us, memory_state, percent, share
from console.widgets.pieces import BLANK, Column, Line, Piece, as_fits, line, wrapped
from console.widgets.series import Sample

Document = dict[str, Any]

COLUMNS = (
    Column("dataset", 10), Column("of", 4), Column("files", 8, right=True), Column("size", 10, right=True),
    Column("rows", 11, right=True), Column("a file", 8, right=True), Column("replaced", 9, right=True),
    Column("from", 10, rank=1), Column("to", 10, rank=1), Column("kept", 8, right=True, rank=2),
)  # fmt: skip
MARKS = ((ALERT_RATIO * 100, "warn"), (CRITICAL_RATIO * 100, "bad"))
MEMORY_COLUMNS = (Column("since", 20), Column("used", 8, right=True), Column("state", 8))


def cells(row: Document, keep_days: Document) -> list[Piece]:
    """One dataset at one resolution."""
    a_file = bytes_text(row["bytes"] // row["files"]) if row["files"] else UNKNOWN
    days = keep_days.get(row["resolution"], 0)
    return [
        (row["dataset"], "text"), (row["resolution"], "text"), (count(row["files"]), "text"),
        (bytes_text(row["bytes"]), "text"), (count(row["rows"]), "text"), (a_file, "muted"),
        (count(row["dead_files"]), "muted"), (row["first"] or UNKNOWN, "muted"),
        (row["last"] or UNKNOWN, "muted"), (f"{days} d" if days else "for ever", "muted"),
    ]  # fmt: skip


def memory_course(doc: Document, now: int) -> Course:
    """The share of the memory limit that is used, with its marks; each value holds until the next one."""
    history = [*doc["memory"]["history"]]
    if history and history[-1][0] < now:
        history.append([now, history[-1][1]])
    samples = [Sample(at, ratio * 100) for at, ratio in history[:1]]
    for (_, before), (at, ratio) in pairwise(history):
        samples += [Sample(at - 1, before * 100), Sample(at, ratio * 100)]
    return Course(
        "Memory", samples, lambda value: f"{value:.0f} %", rules=MARKS, within=(0.0, 100.0),
        words=lambda width: memory_words(doc, width), stops=[at for at, _ in history],
        columns=MEMORY_COLUMNS, cells=lambda stop: _memory_cells(*history[stop]),
    )  # fmt: skip


def memory_words(doc: Document, width: int) -> Line:
    """What happens at the marks of memory; whose limit it is, where there is room."""
    memory = doc["memory"]
    level, whose = memory.get("level"), memory.get("whose")
    marks = f"at {share(ALERT_RATIO)} smaller batches and compaction; at {share(CRITICAL_RATIO)} intake stops"
    more = [line((f"level {level}, limit of the {whose}", "muted"))] if level and whose else []
    return as_fits([line((marks, "muted")), *more], width)


def _memory_cells(at: int, ratio: float) -> list[Piece]:
    return [(from_us(at).replace("T", " "), "text"), (percent(ratio), "strong"), memory_state(ratio)]


def upkeep_line(job: Document | None, now: int) -> Line:
    """Compaction or retention at work, how far it is, and how long it still takes; nothing if none is."""
    if job is None:
        return BLANK
    told = f"{count(job['done'])} of {count(job['of'])} {job['things']}"
    far = panels.work(job["done"], job["of"], job["started_at"], now)
    return line(("▸ ", "accent"), (job["job"], "strong"), f"  {told}", *far, ("  X cancels it", "muted"))


def lake_line(found: Document, width: int) -> Line:
    """What is not in files yet, and free disk against what intake needs; the profile where there is room."""
    disk, rows = found["disk"], found["open_rows"]
    short = disk["free_bytes"] < disk["least_bytes"]
    sign = ("✗ intake stopped: ", "bad") if short else ("✓ ", "ok")
    told = f"{bytes_text(disk['free_bytes'])} free of disk, intake needs {bytes_text(disk['least_bytes'])}"
    lake = panels.head("Lake", plural(rows, "open row")) if rows else line(("Lake", "strong"))
    parts = [lake, line(sign, told)]
    return as_fits([*parts, line((f"profile {found['profile']}", "muted"))], width)


def plan_lines(plan: Document, width: int) -> list[Line]:
    """What compaction would do."""
    steps = [
        (step["what"], line(f"{plural(step['files'], 'file')}, {bytes_text(step['bytes'])}: {step['why']}"))
        for step in plan["steps"]
    ]
    made = panels.details(steps, width) or [line(("✓ ", "ok"), "there is nothing to compact")]
    before, after = plan["before"], plan["after"]
    sizes = f"{bytes_text(before['bytes'])} on disk now, {bytes_text(after['bytes'])} or less"
    later = "the files before stay for readers for a while: compaction.grace_minutes of the settings"
    peak = f"up to {bytes_text(plan['peak_bytes'])} of memory, one partition at a time"
    less = [line((part, "muted")) for told in (later, peak) for part in wrapped(told, width)]
    return [*made, BLANK, line((f"{sizes} after a while", "text")), *less]


def retention_lines(plan: Document, width: int) -> list[Line]:
    """What retention would drop."""
    made: list[Line] = []
    for row in plan["resolutions"]:
        kept = row.get("kept_because")
        days = row["days"] if isinstance(row["days"], int) else len(row["days"])
        told = f"{plural(days, 'day')}, {plural(row['files'], 'file')}, {bytes_text(row['bytes'])}"
        made.append(line((f"{row['resolution']:<4}", "strong"), kept or told))
    text = "Only what can be made again goes; ledger, prices, rates, decisions and archive never do."
    return [*made, BLANK, *(line((part, "muted")) for part in wrapped(text, width))]


def outcome(job: str, done: Document) -> str:
    """What a job came to."""
    saved = done["before"]["bytes"] - done["after"]["bytes"]
    words = {"compact": "compacted", "retention": "dropped what is past its time"}[job]
    words += " until it was cancelled" if done["cancelled"] else ""
    told = f"{words}: {bytes_text(abs(saved))} {'less' if saved >= 0 else 'more'} on disk"
    waiting = done["after"]["bytes"] - done["after"].get("live_bytes", done["after"]["bytes"])
    return f"{told}; {bytes_text(waiting)} replaced, and gone after their grace" if waiting > 0 else told


def rows_of(found: Document) -> Sequence[Document]:
    """Datasets in order."""
    lake: Sequence[Document] = found["lake"]
    return lake
