"""What a case of the hostile corpus is: something to be dropped, and the verdict that it must get.

Knows the contract's files and reasons, nothing of how they are found.
"""

import csv
import io
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine.domain.instants import HOUR_US, format_instant
from tests.runtime.deck import FX_COLUMNS, LONG_AGO_S, PRICE_COLUMNS, Row, bar, buy, rate, to_csv

COLUMNS = {"transactions": tuple(to_csv([]).decode().strip().split(",")), "prices": PRICE_COLUMNS,
           "fx": FX_COLUMNS}  # fmt: skip
NOW = time.time_ns() // 1000  # the processes under test have no other clock than the machine's
AN_HOUR_AGO = format_instant(NOW - HOUR_US)  # so that there is little to value
DUPLICATE = "duplicate"  # in a table of rows: known already, by an earlier row of the file
# A row of a table: what differs from a usual row, and its reasons as "CODE:column CODE:column"; "" is taken.
Told = tuple[Row, str]


@dataclass(frozen=True, slots=True)
class Verdict:
    """`reason`: why the file is refused; else counts of its rows, and the reasons of each bad record."""

    reason: str | None = None
    kind: str | None = "transactions"
    accepted: int = 0
    duplicates: int = 0
    bad: dict[int, frozenset[str]] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return self.accepted + self.duplicates + len(self.bad)


@dataclass(frozen=True, slots=True)
class Case:
    """`content`: bytes, or a maker of something else at a path. `file`: its name, else the case's own.

    `inbox`: "taken"; "waits" there, with a warning; or "unseen", as hidden files are.
    """

    name: str
    content: bytes | Callable[[Path], None]
    verdict: Verdict
    file: str = ""
    inbox: str = "taken"

    @property
    def file_name(self) -> str:
        return self.file or f"{self.name}.csv"

    @property
    def told_name(self) -> str:
        r"""Its name as navdeck tells it: bytes that are no UTF-8 as visible `\xNN`."""
        return os.fsencode(self.file_name).decode("utf-8", "backslashreplace")

    def lay(self, folder: Path) -> Path:
        """Puts it into a folder, settled for long; its path."""
        path = folder / self.file_name
        if isinstance(self.content, bytes):
            path.write_bytes(self.content)
        else:
            self.content(path)
        os.utime(path, (LONG_AGO_S, LONG_AGO_S), follow_symlinks=False)
        return path


def refused(reason: str) -> Verdict:
    """The whole file is refused."""
    return Verdict(reason, kind=None)


def taken(accepted: int = 1, kind: str = "transactions", **bad: str) -> Verdict:
    """The file is taken; `bad`: reasons by record, as `r2="CODE:column"`."""
    reasons = {int(record[1:]): frozenset(told.split()) for record, told in bad.items()}
    return Verdict(None, kind, accepted, 0, reasons)


def judged(kind: str, told: Sequence[str]) -> Verdict:
    """The verdict of a file whose records are told one by one."""
    bad = {record: frozenset(reasons.split()) for record, reasons in enumerate(told, 1)
           if reasons not in ("", DUPLICATE)}  # fmt: skip
    return Verdict(None, kind, told.count(""), told.count(DUPLICATE), bad)


def good(name: str, number: int = 1, **fields: str) -> Row:
    """A purchase that no other case has: its external_id names the case."""
    return buy(timestamp=AN_HOUR_AGO, external_id=f"{name}-{number}") | fields


def text_of(name: str, **fields: str) -> bytes:
    """The header and one good row of a case's own."""
    return to_csv([good(name) | fields])


def rows_case(name: str, *table: Told) -> Case:
    """A transactions file of a table of rows."""
    rows = [good(name, number) | fields for number, (fields, _) in enumerate(table, 1)]
    return Case(name, to_csv(rows), judged("transactions", [told for _, told in table]))


def market_case(name: str, kind: str, *table: Told) -> Case:
    """A price or FX file of a table of rows; its source names the case."""
    usual = bar(price_source=name) if kind == "prices" else rate(fx_source=name)
    rows = [usual | fields for fields, _ in table]
    return Case(name, to_csv(rows, COLUMNS[kind]), judged(kind, [told for _, told in table]))


def each(column: str, reasons: str, *values: str) -> list[Told]:
    """Rows that differ in one column and all have the same reasons."""
    return [({column: value}, reasons) for value in values]


def quoted_csv(rows: list[list[str]], line_end: str = "\n") -> bytes:
    """A file with a quote around every field, also around the header's."""
    out = io.StringIO()
    csv.writer(out, lineterminator=line_end, quoting=csv.QUOTE_ALL).writerows(rows)
    return out.getvalue().encode()
