"""The operator's acts on quarantine: fix, release, reject, undo (queries.py: what can be asked).

Each is a task for the worker, which has the turn to write: plain values in, plain values out, one
transaction that holds the rows, the counts of their files and one decision a row. A dry run does the same
and keeps nothing. Never asks the operator anything, never guesses: what is not said is refused.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.errors import UsageError
from engine.ingestion.refit import changed, edited, named
from engine.ingestion.suggestions import suggest
from engine.runtime.desk.judge import with_reasons
from engine.runtime.desk.minutes import Minutes
from engine.runtime.desk.rows import NAMED_MAX, Held, by_file, decimal_comma, find, hinted, put_frame
from engine.runtime.home import Home
from engine.runtime.telemetry.spans import committing
from engine.store.commit import transaction
from engine.store.reader import Reader

Changes = dict[str, Mapping[str, str]]  # by id of the row: column -> value


def fix(
    home_path: str, now_us: int, arguments: dict[str, Any], actor: str, reason: str, dry_run: bool
) -> dict[str, Any]:
    """Edits columns of rows and judges them again; they stay in quarantine until they are released.

    UsageError for rows that do not exist or are not open, and for columns that are not there.
    """
    home = Home(Path(home_path))
    with transaction(home.state, home.journal, now_us, "fix", around=committing) as work:
        rows = find(work.reader, _fix_ids(arguments))
        _require_open(rows)
        changes = _changes(work.reader, rows, arguments)
        after = [_edited(row, changes.get(row.id, {})) for row in rows]
        after = [row for group in by_file(after) for row in with_reasons(home, work.reader, group, now_us)]
        minutes = Minutes(work, actor, reason)
        told = [_fixed(*pair, minutes) for pair in zip(rows, after, strict=True)]
        kept = [new for old, new in zip(rows, after, strict=True) if new.now != old.now]
        work.put("quarantine", put_frame(kept))
        minutes.put()
        if dry_run:
            work.cancel()
    passing = sum(row["passes"] for row in told)
    return {
        "rows": told,
        "would_pass": passing,
        "still_fail": len(told) - passing,
        "decisions": minutes.numbers,
    }


def reject(
    home_path: str, now_us: int, arguments: dict[str, Any], actor: str, reason: str, dry_run: bool
) -> dict[str, Any]:
    """Sets rows aside for good; they stay on record. UsageError without a reason, or for released rows."""
    if not reason.strip():
        raise UsageError("A rejection needs a reason.", "Say why with --reason; nothing was done.")
    home = Home(Path(home_path))
    with transaction(home.state, home.journal, now_us, "reject", around=committing) as work:
        rows = find(work.reader, arguments.get("ids"))
        _require_open([row for row in rows if row.status != "rejected"])
        minutes = Minutes(work, actor, reason)
        waiting = [row for row in rows if row.status == "open"]
        for row in waiting:
            minutes.note("reject", row.subject, {})
        work.put("quarantine", put_frame(replace(row, status="rejected") for row in waiting))
        minutes.put()
        if dry_run:
            work.cancel()
    already = [row.id for row in rows if row.status == "rejected"]
    return {"rejected": len(waiting), "already": already, "decisions": minutes.numbers}


def _require_open(rows: list[Held]) -> None:
    closed = [row for row in rows if row.status != "open"]
    if closed:
        named_rows = ", ".join(f"{row.id} ({row.status})" for row in closed[:NAMED_MAX])
        raise UsageError(f"No longer open: {named_rows}.", "Undo that decision first; nothing was done.")


# -- fix ----------------------------------------------------------------------------------------------


def _fix_ids(arguments: Mapping[str, Any]) -> Any:
    ways = [name for name in ("set", "edits", "suggested") if arguments.get(name)]
    if len(ways) != 1:
        raise UsageError("A fix needs new values.", "Give columns and values, or ask for the suggestions.")
    edits = arguments.get("edits")
    return arguments.get("ids") if edits is None else list(edits)


def _changes(reader: Reader, rows: list[Held], arguments: Mapping[str, Any]) -> Changes:
    if arguments.get("suggested"):
        return _suggested(reader, rows)
    edits = arguments.get("edits") or dict.fromkeys((row.id for row in rows), arguments["set"])
    if not all(isinstance(one, dict) for one in edits.values()):
        raise UsageError("New values are given by column.", 'As in {"column": "value"}.')
    return dict(edits)


def _suggested(reader: Reader, rows: list[Held]) -> Changes:
    commas = {group[0].file: decimal_comma(reader, group[0]) for group in by_file(rows)}
    return {
        row.id: {
            one.column: one.value
            for one in suggest(
                named(row.kind, row.now), (reason["column"] for reason in row.reasons), commas[row.file]
            )
        }
        for row in rows
    }


def _edited(row: Held, changes: Mapping[str, str]) -> Held:
    if not changes:
        return row
    after = edited(row.kind, row.now, changes)
    return row if after == row.now else replace(row, edited=after)


def _fixed(old: Held, new: Held, minutes: Minutes) -> dict[str, Any]:
    """What became of one row; a row that did not change leaves no decision."""
    before, after = changed(old.kind, old.now, new.now)
    if new.now != old.now:
        minutes.note("fix", old.subject, {"before": before, "after": after})
    return {
        "id": old.id,
        "before": before,
        "after": after,
        "passes": not new.reasons,
        "reasons": [hinted(reason) for reason in new.reasons],
    }
