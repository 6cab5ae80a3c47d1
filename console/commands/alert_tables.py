"""What the verbs of alerts say for people."""

from typing import Any

from rich.console import RenderableType

from console.commands.grid import GOOD, QUIET, WARN, Column, Grid, hint, section, show, text
from console.text import instant, plural

Document = dict[str, Any]
COLUMNS = (
    Column("no.", right=True), Column("alert"), Column("since", rank=1), Column("what", least=20, wraps=True),
    Column("acknowledged", least=12, wraps=True, rank=2), Column("do", least=12, rank=3),
)  # fmt: skip
PAST = (
    Column("no.", right=True), Column("alert"), Column("raised"), Column("cleared"),
    Column("what", least=20, wraps=True), Column("acknowledged", least=12, wraps=True, rank=2),
)  # fmt: skip


def alerts(document: Document) -> None:
    """`alerts list`."""
    parts: list[RenderableType] = [text("✓ nothing waits for you", GOOD)]
    if document["alerts"]:
        parts = [Grid(COLUMNS, (_standing(one) for one in document["alerts"]))]
        if any(one["acked"] is None for one in document["alerts"]):
            parts.append(hint("navdeck alerts ack ALERT --reason '…'"))
    if document.get("cleared"):
        parts += [text(""), section("Cleared", Grid(PAST, (_past(one) for one in document["cleared"])))]
    show(*parts)


def _standing(one: Document) -> list[Any]:
    since = instant(one["raised_at"]) if one["id"] is not None else "now"
    code = text(one["code"], QUIET if one["acked"] else WARN)
    return [str(one["id"] or ""), code, since, one["text"], ack_words(one), one["hint"]]


def _past(one: Document) -> list[Any]:
    times = (instant(one["raised_at"]), instant(one["cleared_at"]))
    return [str(one["id"]), one["code"], *times, one["text"], ack_words(one)]


def ack_words(one: Document) -> str:
    """Who knows of an alert, and why; empty if nobody does."""
    ack = one.get("acked")
    return f"{ack['actor']}: {ack['reason']}" if ack else ""


def acknowledged(document: Document) -> None:
    """`alerts ack`."""
    told = document["acknowledged"]
    words = plural(len(told), "alert")
    verb = "would be acknowledged" if document["dry_run"] else "acknowledged"
    which = (text(f"{one['id']} {one['code']}: {one['text']}") for one in told)
    undo = [] if document["dry_run"] else [hint("navdeck undo takes it back")]
    show(text(f"✓ {words} {verb}", GOOD), *which, *undo)
