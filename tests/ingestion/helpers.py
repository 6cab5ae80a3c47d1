"""What the tests of ingestion share: rows by name, and a book that keeps what a store would."""

import csv
import io
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from engine.domain.instants import parse_instant
from engine.domain.transactions import COLUMNS, KeyKind
from engine.ingestion.csv_processor import Parsed, parse_csv
from engine.ingestion.keys import KNOWN_SCHEMA, Judged, Known, judge, prepare, wanted

NOW = parse_instant("2026-01-01T00:00:00Z") or 0
BUY = {
    "timestamp": "2025-03-01T10:00:00Z",
    "action": "BUY",
    "asset_id": "BTC",
    "quantity": "1.5",
    "unit_price_usd": "100",
    "account": "main",
}
ID_A = "01941f29-7c00-7f6a-b3ba-693f725a9a5b"
ID_B = "01941f29-e140-7236-8802-1d2597f2a702"
ID_C = "01941f2a-46a0-7c1e-9d55-08a1b2c3d4e5"


def tx(**fields: str) -> dict[str, str]:
    return BUY | fields


def to_csv(header: tuple[str, ...], rows: list[dict[str, str]]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
    writer.writerow(header)
    writer.writerows([row.get(name, "") for name in header] for row in rows)
    return out.getvalue().encode()


def parsed(rows: list[dict[str, str]], header: tuple[str, ...] = COLUMNS) -> Parsed:
    result = parse_csv(to_csv(header, rows), NOW)
    assert isinstance(result, Parsed), result
    return result


def codes(result: Parsed) -> list[list[tuple[str, str, str]]]:
    return [[(r.code, r.column, r.value) for r in reject.reasons] for reject in result.rejects]


@dataclass
class Book:
    """A store in memory: what was accepted, file by file, and the remembered ids of duplicates.

    `rows`: as KNOWN_SCHEMA, with `file` instead of `same_file`; row n is the n-th.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    aliases: dict[bytes, int] = field(default_factory=dict)
    files: int = 0

    def ingest(self, *rows: dict[str, str]) -> Judged:
        return self.ingest_bytes(to_csv(COLUMNS, list(rows)))

    def ingest_bytes(self, data: bytes) -> Judged:
        result = parse_csv(data, NOW)
        assert isinstance(result, Parsed), result
        return self.take(prepare(result.frame))

    def take(self, keyed: pl.DataFrame, file: int | None = None, **released: Any) -> Judged:
        """Judges rows of a new file, or of one that is there, and keeps what comes of it."""
        judged = judge(keyed, self.known(keyed, file, released.get("supersedes")), **released)
        assert keyed.height == judged.accepted.height + len(judged.duplicates) + len(judged.conflicts)
        assert set(judged.clashes) == {reject.record for reject in judged.conflicts}
        self.files += file is None
        self._keep(judged, file or self.files, released.get("supersedes") or {})
        return judged

    def release(self, file: int, *rows: dict[str, str], as_leg: bool = False, supersede: int = 0) -> Judged:
        """Rows of a file that is there, as the operator sends them on from quarantine."""
        keyed = prepare(parsed(list(rows)).frame)
        records = keyed["record"].to_list()
        supersedes = dict.fromkeys(records, supersede) if supersede else {}
        return self.take(keyed, file, as_leg=records if as_leg else [], supersedes=supersedes)

    def take_back(self, row: int) -> None:
        """Undoes the release that made this row; what it superseded counts again."""
        for other in self.rows:
            if other["superseded_by"] == row:
                other["superseded_by"] = None
        self.rows[row - 1]["superseded_by"] = -1

    def _keep(self, judged: Judged, file: int, supersedes: dict[int, int]) -> None:
        numbers = {}
        for row in judged.accepted.iter_rows(named=True):
            number = numbers[row["record"]] = len(self.rows) + 1
            given = {name: row[name] for name in KNOWN_SCHEMA if name in row}
            made = {"row": number, "id": row["uid"], "file": file, "superseded_by": None}
            self.rows.append(given | made)
            if row["record"] in supersedes:
                self._newest(supersedes[row["record"]])["superseded_by"] = number
        for duplicate in judged.duplicates:
            if duplicate.remembered is not None:
                target = duplicate.row or numbers[duplicate.accepted_record]
                self.aliases[duplicate.remembered] = target

    def _newest(self, number: int) -> dict[str, Any]:
        row = self.rows[number - 1]
        return self._newest(row["superseded_by"]) if (row["superseded_by"] or 0) > 0 else row

    def known(
        self, keyed: pl.DataFrame, file: int | None = None, supersedes: dict[int, int] | None = None
    ) -> Known:
        """The answer to `wanted`: every row under an id, an alias or a key of it, its versions, no other."""
        want = wanted(keyed, supersedes)
        ids = set(want.ids)
        aliases = {alias: row for alias, row in self.aliases.items() if alias in ids}
        numbers = {*want.rows, *aliases.values()}
        for row in self.rows:
            is_key = row["kind"] == KeyKind.EXTERNAL_ID and row["external_id"] in want.external_ids
            if row["id"] in ids or row["tx_hash"] in want.tx_hashes or is_key:
                numbers.add(row["row"])
        for number in sorted(numbers):
            while (self.rows[number - 1]["superseded_by"] or 0) > 0:
                number = self.rows[number - 1]["superseded_by"]
                numbers.add(number)
        return Known(self._frame(numbers, file), aliases)

    def everything(self, file: int | None = None) -> Known:
        return Known(self._frame({row["row"] for row in self.rows}, file), self.aliases)

    def _frame(self, numbers: set[int], file: int | None) -> pl.DataFrame:
        found = [row | {"same_file": row["file"] == file} for row in self.rows if row["row"] in numbers]
        return pl.DataFrame(found, schema=KNOWN_SCHEMA, orient="row")

    def facts(self) -> list[tuple[str, int]]:
        """Content and k of the rows that count."""
        return sorted((row["content"], row["k"]) for row in self.rows if row["superseded_by"] is None)
