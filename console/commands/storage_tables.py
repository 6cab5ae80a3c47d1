"""What the upkeep of the lake says for people: steps, files and bytes before and after."""

from typing import Any

from rich.console import RenderableType
from rich.text import Text

from console.commands.grid import BAD, GOOD, QUIET, WARN, Column, Grid, figure, hint, pairs, show, text
from console.text import bytes_text, count, plural

Document = dict[str, Any]
STEP_COLUMNS = (
    Column("step"), Column("files", right=True), Column("size", right=True),
    Column("memory", right=True, rank=1), Column("because", least=16, wraps=True),
)  # fmt: skip
OLD_COLUMNS = (
    Column("resolution"), Column("kept", right=True), Column("days to drop", right=True),
    Column("files", right=True), Column("size", right=True), Column("not now because", least=16, wraps=True),
)  # fmt: skip


def compacted(document: Document) -> None:
    """`compact`, and its plan."""
    steps = [
        [step["what"], figure(count(step["files"])), bytes_text(step["bytes"]),
         bytes_text(step["peak_bytes"]), step["why"]] for step in document["steps"]
    ]  # fmt: skip
    table: RenderableType = Grid(STEP_COLUMNS, steps) if steps else text("Nothing is to be compacted.")
    show(table, pairs([("profile", document["profile"]), *_sizes(document)]),
         *_end(document, "✓ compacted" if steps else "", "navdeck compact"))  # fmt: skip


def retained(document: Document) -> None:
    """`retention`, and its plan."""
    rows = [
        [one["resolution"], f"{one['keep_days']} d", figure(count(one["days"])), figure(count(one["files"])),
         bytes_text(one["bytes"]), text(one["kept_because"] or "", WARN)] for one in document["resolutions"]
    ]  # fmt: skip
    logs = document["logs"]
    facts = [("old logs", plural(logs["files"], "file")), *_sizes(document)]
    show(Grid(OLD_COLUMNS, rows), pairs(facts), *(text(f"✗ {one}", BAD) for one in document["problems"]),
         *_end(document, "✓ done", "navdeck retention"))  # fmt: skip


def _sizes(document: Document) -> list[tuple[str, str]]:
    return [(word, _size(document[word])) for word in ("before", "after")]


def _size(told: Document) -> str:
    size = f"{plural(told['files'], 'file')} · {bytes_text(told['bytes'])}"
    if "live_files" not in told or told["live_files"] == told["files"]:
        return size
    return f"{size}, in use {count(told['live_files'])} · {bytes_text(told['live_bytes'])}"


def _end(document: Document, done: str, verb: str) -> list[Text]:
    if document["dry_run"]:
        return [text("Nothing was changed.", QUIET), hint(verb)]
    if document["cancelled"]:
        return [text("= cancelled: what was done stays, and a later run goes on", QUIET)]
    return [text(done, GOOD)] if done else []
