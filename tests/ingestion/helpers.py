"""What the tests of ingestion share: rows by name, and a book that keeps what a store would."""

import csv
import io
from dataclasses import dataclass, field

import polars as pl

from engine.domain.instants import parse_instant
from engine.domain.transactions import COLUMNS
from engine.ingestion.csv_processor import Parsed, parse_csv
from engine.ingestion.keys import Judged, Known, KnownRow, judge, prepare, wanted

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
    """A store in memory: what was accepted, and the remembered ids of duplicates."""

    rows: list[KnownRow] = field(default_factory=list)
    aliases: dict[bytes, int] = field(default_factory=dict)

    def ingest(self, *rows: dict[str, str]) -> Judged:
        return self.ingest_bytes(to_csv(COLUMNS, list(rows)))

    def ingest_bytes(self, data: bytes) -> Judged:
        result = parse_csv(data, NOW)
        assert isinstance(result, Parsed), result
        return self.take(prepare(result.frame))

    def take(self, keyed: pl.DataFrame, from_file: frozenset[int] = frozenset()) -> Judged:
        judged = judge(keyed, self.known(keyed, from_file))
        assert keyed.height == judged.accepted.height + len(judged.duplicates) + len(judged.conflicts)
        numbers = {}
        for row in judged.accepted.iter_rows(named=True):
            numbers[row["record"]] = len(self.rows) + 1
            self.rows.append(known_row(row, len(self.rows) + 1))
        for duplicate in judged.duplicates:
            if duplicate.remembered is not None:
                target = duplicate.row or numbers[duplicate.accepted_record]
                self.aliases[duplicate.remembered] = target
        return judged

    def known(self, keyed: pl.DataFrame, from_file: frozenset[int] = frozenset()) -> Known:
        """The answer to `wanted`: every row under an id, an alias or a key of it, and no other."""
        want = wanted(keyed)
        ids = set(want.ids)
        aliases = {alias: row for alias, row in self.aliases.items() if alias in ids}
        keys = set(want.tx_keys)
        external = set(want.external_keys)
        rows = [
            row
            for row in self.rows
            if row.id in ids
            or row.row in aliases.values()
            or (row.account, row.tx_hash) in keys
            or (row.account, row.external_id) in external
        ]
        marked = [known_row(as_row(row), row.row, same_file=row.row in from_file) for row in rows]
        return Known(marked, aliases)

    def facts(self) -> list[tuple[str, int]]:
        return sorted((row.content, row.k) for row in self.rows)


def as_row(row: KnownRow) -> dict[str, object]:
    names = ("id_given", "kind", "k", "content", "action", "asset", "account", "tx_hash", "external_id")
    return {"uid": row.id} | {name: getattr(row, name) for name in names}


def known_row(row: dict[str, object], number: int, same_file: bool = False) -> KnownRow:
    return KnownRow(
        number, row["uid"], row["id_given"], same_file, row["kind"], row["k"], row["content"],
        row["action"], row["asset"], row["account"], row["tx_hash"], row["external_id"],
    )  # fmt: skip
