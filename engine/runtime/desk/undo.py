"""Undo: a decision is taken back by a further decision, the last one on its row or transfer first.

Nothing is forgotten: a ledger row that is taken back stays and is marked, an edit stays in the decisions.
What was decided in one act, so at one instant, can be taken back as a whole: all of it, or nothing.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from engine.errors import UsageError
from engine.ingestion.refit import edited
from engine.runtime.alerts.stored import ACK
from engine.runtime.books import ASSET_STATUS, FX_OVERRIDE
from engine.runtime.desk.fx import override_touches
from engine.runtime.desk.judge import with_reasons
from engine.runtime.desk.minutes import Minutes
from engine.runtime.desk.release import fees_of, mark, reach, recount, span_of
from engine.runtime.desk.rows import (
    NAMED_MAX,
    Held,
    by_file,
    decisions,
    find_tx,
    put_frame,
    read_rows,
    tx_ids,
    tx_rows,
    undone,
)
from engine.runtime.desk.transfers import undone_from
from engine.runtime.home import Home
from engine.runtime.standing import MATCH, SETTLE
from engine.runtime.telemetry.spans import committing
from engine.store.commit import Work, transaction
from engine.store.reader import Reader

UNDOABLE = ("fix", "release", "reject", MATCH, SETTLE, ASSET_STATUS, FX_OVERRIDE, ACK)
ONLY = "Only an operator's decisions can be undone."
Decision = dict[str, Any]
Touched = dict[str, Any]  # `touched_from` and the like, or nothing


def undo(
    home_path: str, now_us: int, arguments: dict[str, Any], actor: str, reason: str, dry_run: bool
) -> dict[str, Any]:
    """Takes back the `decision` named, or the newest that can be; `whole`: with all of its act that stand.

    The answer has `all` of them, newest first, `undone` the first of these, and `touched_from` only if a
    figure may change. UsageError if one cannot be taken back, with what to do instead; then none is.
    """
    home = Home(Path(home_path))
    with transaction(home.state, home.journal, now_us, "undo", around=committing) as work:
        chosen = _chosen(work.reader, arguments.get("decision"), bool(arguments.get("whole")))
        minutes = Minutes(work, actor, reason)
        numbers = {}
        for decision in chosen:
            subject = json.dumps({"decision": decision["decision"]})
            numbers[decision["decision"]] = minutes.note("undo", subject, {"kind": decision["kind"]})
        touched = _UNDO[chosen[0]["kind"]](_Act(home, work, chosen, numbers, now_us))
        minutes.put()
        if dry_run:
            work.cancel()
    told = [{name: decision[name] for name in ("decision", "kind", "subject")} for decision in chosen]
    return {"undone": told[0], "all": told, "decisions": minutes.numbers, **touched}


# -- which --------------------------------------------------------------------------------------------


def _chosen(reader: Reader, number: object, whole: bool) -> list[Decision]:
    """The decisions that are meant, newest first, all of one kind; each can be taken back."""
    decision = _newest(reader) if number is None else _named(reader, number)
    chosen = _act_of(reader, decision) if whole else [decision]
    obstacles = list(_obstacles(reader, chosen))
    if not obstacles:
        return chosen
    if len(chosen) == 1:
        raise obstacles[0]
    told = " ".join(f"{each.tried} {each.hint}" for each in obstacles[:NAMED_MAX])
    raise UsageError(
        f"{len(obstacles):,} of the {len(chosen):,} decisions of this act cannot be taken back: {told}",
        "See to these first, or undo the others one by one; nothing was done.",
    )


def _named(reader: Reader, number: object) -> Decision:
    if not isinstance(number, int) or isinstance(number, bool):
        raise UsageError(f"{number!r:.80} is no decision.", "Decisions have numbers.")
    found = decisions(reader, "decision = ?", (number,)) if abs(number) < 2**63 else []
    if not found:
        raise UsageError(f"There is no decision {number}.", "They are numbered from 1 on.")
    return found[0]


def _newest(reader: Reader) -> Decision:
    """The newest decision that can be taken back: the last on its row, and no price or rate that counts."""
    gone, seen = undone(reader), set()
    marks = ", ".join(f"'{kind}'" for kind in UNDOABLE)
    rows = reader.rows(
        "SELECT decision, subject, kind = 'release' AND json_extract(detail, '$.outcome') = 'accepted'"
        f" AND json_extract(detail, '$.tx') IS NULL FROM decisions WHERE kind IN ({marks}) ORDER BY 1 DESC"
    )
    for number, subject, stays in rows:
        if number in gone or subject in seen:
            continue
        seen.add(subject)
        if stays:
            continue
        found = decisions(reader, "decision = ?", (number,))
        if not any(_obstacles(reader, found)):
            return found[0]
    raise UsageError("There is nothing to undo.", ONLY)


def _act_of(reader: Reader, decision: Decision) -> list[Decision]:
    """What was decided with a decision and still stands, newest first: no two acts share an instant."""
    number, kind = decision["decision"], decision["kind"]
    if kind not in UNDOABLE:
        return [decision]
    at = "committed_at = (SELECT committed_at FROM decisions WHERE decision = ?)"
    made = decisions(reader, f"kind = ? AND {at} ORDER BY decision DESC", (kind, number))
    stand = [one for one in made if one["undone_by"] is None]
    if not stand:
        by = ", ".join(map(str, sorted({one["undone_by"] for one in made})[:NAMED_MAX]))
        told = f"The act of decision {number} was undone already, by {by}."
        raise UsageError(told, "Act again instead.")
    return stand


def _obstacles(reader: Reader, chosen: Sequence[Decision]) -> Iterator[UsageError]:
    """Why decisions of one kind cannot be taken back, all together."""
    waiting = _Later(reader, chosen)
    held = _held(reader, chosen) if chosen[0]["kind"] == "release" else {}
    superseded = _superseded(reader, held.values())
    for decision in chosen:
        number, kind = decision["decision"], decision["kind"]
        if kind == "undo":
            yield UsageError(f"Decision {number} is an undo.", "An undo is not undone: act again instead.")
        elif kind not in UNDOABLE:
            yield UsageError(f"Decision {number} is a {kind}.", ONLY)
        elif (by := decision["undone_by"]) is not None:
            yield UsageError(f"Decision {number} was undone already, by {by}.", "Act again instead.")
        elif (later := waiting.on(decision)) is not None:
            yield UsageError(f"Decision {number} is not the last on this row.", f"Undo {later} first.")
        elif kind == "release" and decision["detail"]["outcome"] == "accepted":
            yield from _release_obstacle(decision, held[number], superseded)


class _Later:
    """Decisions that stand on what others are about."""

    def __init__(self, reader: Reader, chosen: Sequence[Decision]) -> None:
        numbers = {one["decision"] for one in chosen}
        found = decisions(
            reader,
            "decision > ? AND subject IN (SELECT value FROM json_each(?)) ORDER BY decision",
            (min(numbers), json.dumps([json.dumps(one["subject"]) for one in chosen])),
        )
        self._last = {
            json.dumps(one["subject"]): one["decision"]
            for one in found
            if one["undone_by"] is None and one["decision"] not in numbers
        }

    def on(self, decision: Decision) -> int | None:
        """The last one, where it came after this decision."""
        last = self._last.get(json.dumps(decision["subject"]))
        return last if last is not None and last > decision["decision"] else None


def _superseded(reader: Reader, rows: Iterable[Held]) -> dict[int, str]:
    """Ledger row -> id of the one that supersedes it, of what these rows became."""
    became = _ledger_rows(reader, rows)
    by = {row: tx["superseded_by"] for row, tx in became.items() if (tx["superseded_by"] or 0) > 0}
    ids = tx_ids(reader, by.values())
    return {row: ids[other] for row, other in by.items()}


def _ledger_rows(reader: Reader, rows: Iterable[Held]) -> dict[int, dict[str, Any]]:
    """What these rows became, or repeat, by its number."""
    return {tx["row"]: tx for tx in tx_rows(reader, [row.row for row in rows if row.row is not None])}


def _release_obstacle(
    decision: Decision, row: Held, superseded: Mapping[int, str]
) -> Iterator[UsageError]:  # fmt: skip
    number = decision["decision"]
    if decision["detail"]["tx"] is None:
        yield UsageError(
            f"Decision {number}: a price or rate that counts cannot be taken back.",
            "Send a file with the right value: it is a correction, and the last one counts.",
        )
    elif row.row is not None and row.row in superseded:
        yield UsageError(
            f"Decision {number}: the row was superseded since, by {superseded[row.row]}.",
            "Undo the release of that one first.",
        )


def _held(reader: Reader, chosen: Sequence[Decision]) -> dict[int, Held]:
    """The quarantined rows that decisions are about, by the decision's number."""
    records: dict[str, list[int]] = {}
    for one in chosen:
        records.setdefault(one["subject"]["file"], []).append(one["subject"]["record"])
    where = "f.sha256 = ? AND q.record IN (SELECT value FROM json_each(?))"
    found = {
        row.subject: row
        for sha256, numbers in records.items()
        for row in read_rows(reader, where, (sha256, json.dumps(numbers)))
    }
    return {one["decision"]: found[json.dumps(one["subject"])] for one in chosen}


# -- how ----------------------------------------------------------------------------------------------


@dataclass
class _Act:
    """Decisions of one kind, newest first, and the `numbers` of those that take them back."""

    home: Home
    work: Work
    decisions: list[Decision]
    numbers: dict[int, int]
    now_us: int

    @cached_property
    def rows(self) -> dict[int, Held]:
        """The quarantined rows that they are about, by decision."""
        return _held(self.work.reader, self.decisions)

    def put(self, rows: Iterable[Held]) -> None:
        self.work.put("quarantine", put_frame(rows))


def _undo_fix(act: _Act) -> Touched:
    """The fields as the other fixes made them, judged again."""
    reader, rows = act.work.reader, sorted(act.rows.values(), key=_place)
    of_rows = "kind = 'fix' AND subject IN (SELECT value FROM json_each(?)) ORDER BY decision"
    kept: dict[str, list[Decision]] = {}
    for one in decisions(reader, of_rows, (json.dumps([row.subject for row in rows]),)):
        if one["undone_by"] is None and one["decision"] not in act.numbers:
            kept.setdefault(json.dumps(one["subject"]), []).append(one)
    before = [_refixed(row, kept.get(row.subject, [])) for row in rows]
    act.put(row for group in by_file(before) for row in with_reasons(act.home, reader, group, act.now_us))
    return {}


def _refixed(row: Held, fixes: Sequence[Decision]) -> Held:
    fields = row.fields
    for one in fixes:
        fields = edited(row.kind, fields, one["detail"]["after"])
    return replace(row, edited=fields if fixes else None)


def _place(row: Held) -> tuple[int, int]:
    return row.file, row.record


def _undo_reject(act: _Act) -> Touched:
    act.put(replace(row, status="open") for row in act.rows.values())
    return {}


def _undo_release(act: _Act) -> Touched:
    """Ledger rows stay, taken back; those that they superseded count again."""
    reader = act.work.reader
    stored = _ledger_rows(reader, act.rows.values())
    marks: dict[int, int | None] = {}
    became: dict[str, dict[str, Any]] = {}  # by subject; of those that repeat another row, nothing
    opened = []
    for decision in act.decisions:
        number, detail = decision["decision"], decision["detail"]
        row = act.rows[number]
        if detail["outcome"] != "accepted":
            opened.append(replace(row, status="open", row=_own(row, stored)))
            continue
        assert row.row is not None
        opened.append(replace(row, status="open"))
        became[row.subject] = stored[row.row]
        marks[row.row] = -act.numbers[number]
        if detail["superseded"] is not None:
            marks[find_tx(reader, detail["superseded"])] = None
    for group in by_file(sorted(opened, key=_place)):
        back = [became[row.subject] for row in group if row.subject in became]
        recount(act.work, group[0].file, len(group), len(back), fees_of(back), back=True)
    act.put(opened)
    touched = tx_rows(reader, marks)
    mark(act.work, marks)
    return span_of([reach(tx) for tx in touched])


def _undo_transfer(act: _Act) -> Touched:
    """Nothing is stored of it but the decision: what stands is read anew."""
    return undone_from(act.work.reader, (id_ for one in act.decisions for id_ in one["subject"].values()))


def _undo_status(act: _Act) -> Touched:
    since = min(one["detail"]["since"] for one in act.decisions)
    return {"touched_from": since, "touched_assets": sorted(one["subject"]["asset"] for one in act.decisions)}


def _undo_override(act: _Act) -> Touched:
    """One act grants one pair."""
    ((pair, detail),) = [(one["subject"]["pair"], one["detail"]) for one in act.decisions]
    span = detail["from"], detail["to"], detail["granted"]
    return override_touches(pair, *span, act.work.reader, act.home.config_by(act.work.reader))


def _undo_ack(_act: _Act) -> Touched:
    """The alerts ask for somebody again; no figure hangs on it."""
    return {}


def _own(row: Held, stored: Mapping[int, Mapping[str, Any]]) -> int | None:
    """The ledger row that a row became before, if any; not one that it merely repeated."""
    tx = stored.get(row.row or 0)
    return row.row if tx is not None and (tx["file"], tx["record"]) == (row.file, row.record) else None


_UNDO: dict[str, Callable[[_Act], Touched]] = {
    "fix": _undo_fix, "reject": _undo_reject, "release": _undo_release,
    MATCH: _undo_transfer, SETTLE: _undo_transfer,
    ASSET_STATUS: _undo_status, FX_OVERRIDE: _undo_override, ACK: _undo_ack,
}  # fmt: skip
