"""The operator's decisions on transfers that count now, and the ledger rows that they are about.

Decisions name transactions by id, so they say the same whatever the order in which files came. Owns which
of them stand: what was undone does not, the last on a row does, and a row that was superseded hands its
decision on to the one that took its place. Never: what a decision does to the books.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import batched
from typing import Any
from uuid import UUID

from engine.domain.money import to_scaled
from engine.portfolio.transfers import Settlement
from engine.store.reader import Reader

MATCH, SETTLE = "transfer_match", "transfer_settle"
IDS_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class Match:
    """A decision that an OUT and an IN belong together; rows are numbers in the store."""

    decision: int
    out: int
    into: int


@dataclass(frozen=True, slots=True)
class Settled:
    """A decision on what is left over of a row. `value`: USD as text, as it was said; `at`: us."""

    decision: int
    settlement: Settlement
    value: str | None
    at: int


class TransferDecisions:
    """What stands, in one snapshot of the store. Cheap where nothing was decided."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    @cached_property
    def matches(self) -> list[Match]:
        """In the order in which they were decided; those on rows that do not count are left out."""
        rows = self._rows
        pairs = [
            (number, rows.get(subject["out"]), rows.get(subject["in"]))
            for number, kind, subject, _, _ in self._decided
            if kind == MATCH
        ]
        return [
            Match(number, out, into) for number, out, into in pairs if out is not None and into is not None
        ]

    @cached_property
    def settled(self) -> dict[int, Settled]:
        """By row."""
        found: dict[int, Settled] = {}
        for number, kind, subject, detail, at in self._decided:
            row = self._rows.get(subject["tx"]) if kind == SETTLE else None
            if row is not None:
                found[row] = Settled(number, _settlement(detail), detail["value"], at)
        return found

    @cached_property
    def _decided(self) -> list[tuple[int, str, dict[str, str], dict[str, Any], int]]:
        rows = self._reader.rows(
            "SELECT decision, kind, subject, detail, committed_at FROM decisions WHERE kind IN (?, ?)"
            " AND decision NOT IN"
            " (SELECT json_extract(subject, '$.decision') FROM decisions WHERE kind = 'undo')"
            " ORDER BY decision",
            (MATCH, SETTLE),
        )
        return [
            (number, kind, json.loads(subject), json.loads(detail), at)
            for number, kind, subject, detail, at in rows
        ]

    @cached_property
    def _rows(self) -> dict[str, int]:
        """Id -> the row that counts for it: itself, or the last of those that superseded one another."""
        ids = {one for _, _, subject, _, _ in self._decided for one in subject.values()}
        return counting_rows(self._reader, ids)


def counting_rows(reader: Reader, ids: Iterable[str]) -> dict[str, int]:
    """Id -> the ledger row that counts for it now; ids of rows that were taken back are left out."""
    found: dict[str, int] = {}
    waiting: dict[int, list[str]] = {}
    for id_, row, by in stored_rows(reader, ids):
        _place(row, by, [id_], found, waiting)
    while waiting:
        numbers, later = json.dumps(list(waiting)), waiting
        waiting = {}
        sql = "SELECT row, superseded_by FROM tx WHERE row IN (SELECT value FROM json_each(?))"
        for row, by in reader.rows(sql, (numbers,)):
            _place(row, by, later[row], found, waiting)
    return found


def stored_rows(reader: Reader, ids: Iterable[str]) -> Iterator[tuple[str, int, int | None]]:
    """Id, row and `superseded_by` of the ledger rows of these ids."""
    raw = {UUID(one).bytes: one for one in ids}
    for some in batched(sorted(raw), IDS_AT_ONCE):
        marks = ", ".join("?" * len(some))
        for row, by, id_ in reader.rows(f"SELECT row, superseded_by, id FROM tx WHERE id IN ({marks})", some):
            yield raw[id_], row, by


def _place(
    row: int, by: int | None, ids: list[str], found: dict[str, int], later: dict[int, list[str]]
) -> None:
    """Under the row if it counts, else under the one that took its place; nowhere if it was taken back."""
    if by is None:
        found.update(dict.fromkeys(ids, row))
    elif by > 0:
        later.setdefault(by, []).extend(ids)


def _settlement(detail: dict[str, Any]) -> Settlement:
    value = None if detail["value"] is None else to_scaled(detail["value"])
    return Settlement(detail["as"], value, to_scaled(detail["quantity"]))
