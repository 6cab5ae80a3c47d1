"""What a stretch of the journal brings: which source files it names, and from when on it changes figures."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import polars as pl

from engine.domain.transactions import Action
from engine.store.commit import decoded
from engine.store.journal import Entry

EVERYTHING = -1  # no instant is before it
_AT = {"tx": "ts", "prices": "asof", "fx_rates": "asof"}
_MOVES = [int(Action.TRANSFER_IN), int(Action.TRANSFER_OUT)]


@dataclass(slots=True)
class Tail:
    """`touched_from`: figures at or after this instant may differ; None if none does."""

    commits: int = 0
    touched_from: int | None = None
    sources: dict[str, tuple[str, int]] = field(default_factory=dict)  # SHA-256 -> status, bytes

    def add(self, entry: Entry) -> None:
        self.commits += 1
        for table, frame in decoded(entry):
            if table == "files":
                rows = frame.select("sha256", "status", "bytes").iter_rows()
                self.sources |= {sha256: (status, size) for sha256, status, size in rows}
            elif table == "decisions" or (table == "tx" and _moves(frame)):
                self._touch(EVERYTHING)  # one side of a transfer changes what the other was, whenever
            elif table in _AT and not frame.is_empty():
                self._touch(min(frame[_AT[table]].to_list()))

    def _touch(self, since: int) -> None:
        self.touched_from = since if self.touched_from is None else min(self.touched_from, since)


def _moves(frame: pl.DataFrame) -> bool:
    return "action" not in frame.columns or bool(frame["action"].is_in(_MOVES).any())


def of(entries: Iterable[Entry], first: int, last: int) -> Tail:
    """Of the commits with a number in (first, last] that were not taken back."""
    chosen = {entry.seq: entry for entry in entries if first < entry.seq <= last}
    for entry in list(chosen.values()):
        if entry.kind == "abort":
            chosen.pop(entry.about["seq"], None)
            chosen.pop(entry.seq)
    found = Tail()
    for entry in chosen.values():
        found.add(entry)
    return found
