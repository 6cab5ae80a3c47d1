"""The decisions of one act, numbered in the order in which they are noted."""

import json
from typing import Any

import polars as pl

from engine.runtime.telemetry.spans import trace_id
from engine.store.commit import Work

_COLUMNS = {
    "decision": pl.Int64, "kind": pl.String, "subject": pl.String, "detail": pl.String, "actor": pl.String,
    "reason": pl.String, "committed_at": pl.Int64, "trace_id": pl.String,
}  # fmt: skip


class Minutes:
    """Takes decisions down; `put` stores them all."""

    def __init__(self, work: Work, actor: str, reason: str) -> None:
        self._work = work
        self._by = (actor, reason, work.now, trace_id())
        self._next = int(work.reader.value("SELECT coalesce(max(decision), 0) + 1 FROM decisions"))
        self._rows: list[tuple[Any, ...]] = []

    @property
    def numbers(self) -> list[int]:
        """The numbers of what was noted so far."""
        return [row[0] for row in self._rows]

    def note(self, kind: str, subject: str, detail: dict[str, Any]) -> int:
        """Takes one decision down; its number. `subject`: JSON as stored."""
        number = self._next + len(self._rows)
        self._rows.append((number, kind, subject, json.dumps(detail), *self._by))
        return number

    def put(self) -> None:
        self._work.put("decisions", pl.DataFrame(self._rows, schema=_COLUMNS, orient="row"))
