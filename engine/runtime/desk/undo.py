"""Undo: a decision on a row or a transfer is taken back by a further decision, the last one first.

Nothing is forgotten: a ledger row that is taken back stays and is marked, an edit stays in the decisions.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from engine.errors import UsageError
from engine.ingestion.refit import edited
from engine.runtime.alerts.book import ACK
from engine.runtime.books import ASSET_STATUS, FX_OVERRIDE
from engine.runtime.desk.fx import override_touches
from engine.runtime.desk.judge import with_reasons
from engine.runtime.desk.minutes import Minutes
from engine.runtime.desk.release import fees_of, mark, reach, recount, span_of
from engine.runtime.desk.rows import (
    Held,
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
    """Takes back the decision named, or the newest that can be; `touched_from` only if a figure may change.

    UsageError if it cannot be taken back, with what to do instead.
    """
    home = Home(Path(home_path))
    with transaction(home.state, home.journal, now_us, "undo", around=committing) as work:
        decision = _chosen(work.reader, arguments.get("decision"))
        minutes = Minutes(work, actor, reason)
        subject = json.dumps({"decision": decision["decision"]})
        number = minutes.note("undo", subject, {"kind": decision["kind"]})
        touched = _UNDO[decision["kind"]](_Case(home, work, decision, number, now_us))
        minutes.put()
        if dry_run:
            work.cancel()
    told = {name: decision[name] for name in ("decision", "kind", "subject")}
    return {"undone": told, "decisions": [number], **touched}


# -- which --------------------------------------------------------------------------------------------


def _chosen(reader: Reader, number: object) -> Decision:
    if number is None:
        return _newest(reader)
    if not isinstance(number, int) or isinstance(number, bool):
        raise UsageError(f"{number!r:.80} is no decision.", "Decisions have numbers.")
    found = decisions(reader, "decision = ?", (number,)) if abs(number) < 2**63 else []
    if not found:
        raise UsageError(f"There is no decision {number}.", "They are numbered from 1 on.")
    if (obstacle := _obstacle(reader, found[0])) is not None:
        raise obstacle
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
        (found,) = decisions(reader, "decision = ?", (number,)) if not stays else (None,)
        if found is not None and _obstacle(reader, found) is None:
            return found
    raise UsageError("There is nothing to undo.", ONLY)


def _obstacle(reader: Reader, decision: Decision) -> UsageError | None:
    """Why a decision cannot be taken back."""
    number, kind = decision["decision"], decision["kind"]
    if kind == "undo":
        return UsageError(f"Decision {number} is an undo.", "An undo is not undone: act again instead.")
    if kind not in UNDOABLE:
        return UsageError(f"Decision {number} is a {kind}.", ONLY)
    if decision["undone_by"] is not None:
        return UsageError(
            f"Decision {number} was undone already, by {decision['undone_by']}.", "Act again instead."
        )
    later = decisions(
        reader, "subject = ? AND decision > ? ORDER BY decision", (json.dumps(decision["subject"]), number)
    )
    standing = [one["decision"] for one in later if one["undone_by"] is None]
    if standing:
        return UsageError(f"Decision {number} is not the last on this row.", f"Undo {standing[-1]} first.")
    return _release_obstacle(reader, decision) if kind == "release" else None


def _release_obstacle(reader: Reader, decision: Decision) -> UsageError | None:
    detail = decision["detail"]
    if detail["outcome"] != "accepted":
        return None
    if detail["tx"] is None:
        return UsageError(
            "A price or rate that counts cannot be taken back.",
            "Send a file with the right value: it is a correction, and the last one counts.",
        )
    (tx,) = tx_rows(reader, [_row_of(reader, decision).row or 0])
    if tx["superseded_by"] is not None:
        by = tx_ids(reader, [tx["superseded_by"]])[tx["superseded_by"]]
        return UsageError(f"The row was superseded since, by {by}.", "Undo the release of that one first.")
    return None


def _row_of(reader: Reader, decision: Decision) -> Held:
    subject = decision["subject"]
    (row,) = read_rows(reader, "f.sha256 = ? AND q.record = ?", (subject["file"], subject["record"]))
    return row


# -- how ----------------------------------------------------------------------------------------------


@dataclass
class _Case:
    """A decision, and the decision `number` that takes it back."""

    home: Home
    work: Work
    decision: Decision
    number: int
    now_us: int

    @cached_property
    def row(self) -> Held:
        """The quarantined row that it is about."""
        return _row_of(self.work.reader, self.decision)


def _undo_fix(case: _Case) -> Touched:
    """The fields as the other fixes made them, judged again."""
    own = decisions(case.work.reader, "subject = ? AND kind = 'fix' ORDER BY decision", (case.row.subject,))
    kept = [one for one in own if one["undone_by"] is None and one["decision"] != case.decision["decision"]]
    fields = case.row.fields
    for one in kept:
        fields = edited(case.row.kind, fields, one["detail"]["after"])
    row = replace(case.row, edited=fields if kept else None)
    case.work.put("quarantine", put_frame(with_reasons(case.home, case.work.reader, [row], case.now_us)))
    return {}


def _undo_reject(case: _Case) -> Touched:
    case.work.put("quarantine", put_frame([replace(case.row, status="open")]))
    return {}


def _undo_release(case: _Case) -> Touched:
    """The ledger row stays, taken back; the one that it superseded counts again."""
    work, row, detail = case.work, case.row, case.decision["detail"]
    if detail["outcome"] != "accepted":
        recount(work, row.file, 1, 0, back=True)
        work.put("quarantine", put_frame([replace(row, status="open", row=_own(work.reader, row))]))
        return {}
    assert row.row is not None
    touched = tx_rows(work.reader, [row.row])
    recount(work, row.file, 1, 1, fees_of(touched), back=True)
    work.put("quarantine", put_frame([replace(row, status="open")]))
    mark(work, row.row, -case.number)
    if detail["superseded"] is not None:
        old = find_tx(work.reader, detail["superseded"])
        touched += tx_rows(work.reader, [old])
        mark(work, old, None)
    return span_of([reach(tx) for tx in touched])


def _undo_transfer(case: _Case) -> Touched:
    """Nothing is stored of it but the decision: what stands is read anew."""
    return undone_from(case.work.reader, case.decision["subject"])


def _undo_status(case: _Case) -> Touched:
    asset, since = case.decision["subject"]["asset"], case.decision["detail"]["since"]
    return {"touched_from": since, "touched_assets": [asset]}


def _undo_override(case: _Case) -> Touched:
    pair, detail = case.decision["subject"]["pair"], case.decision["detail"]
    span = detail["from"], detail["to"], detail["granted"]
    return override_touches(pair, *span, case.work.reader, case.home.config_by(case.work.reader))


def _undo_ack(_case: _Case) -> Touched:
    """The alert asks for somebody again; no figure hangs on it."""
    return {}


def _own(reader: Reader, row: Held) -> int | None:
    """The ledger row that a row became before, if any; not one that it merely repeated."""
    found = tx_rows(reader, [row.row or 0])
    return row.row if any((tx["file"], tx["record"]) == (row.file, row.record) for tx in found) else None


_UNDO: dict[str, Callable[[_Case], Touched]] = {
    "fix": _undo_fix, "reject": _undo_reject, "release": _undo_release,
    MATCH: _undo_transfer, SETTLE: _undo_transfer,
    ASSET_STATUS: _undo_status, FX_OVERRIDE: _undo_override, ACK: _undo_ack,
}  # fmt: skip
