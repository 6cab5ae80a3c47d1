"""Quarantine rows as CSV: the header of their kind, as many fields a row as it has, safe to open anywhere.

A file of these can be mended in a spreadsheet and ingested. A row whose fields are written as they are is
judged again as it was. Not written as they are: a field that begins like a formula gets an apostrophe before
it (a plain number such as -5 is none, and nothing gets a second one), and a character that cannot be printed
is told as `\\xNN`. The notes keep their line ends, tabs and joiners, as the ledger does.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from console.text import safe_text

HEADERS = {
    "transactions": (
        "id", "timestamp", "action", "asset_id", "quantity", "unit_price_usd", "fee_asset", "fee_amount",
        "account", "wallet", "venue", "tx_hash", "external_id", "notes",
    ),
    "prices": (
        "asset_id", "resolution", "bucket_close", "open", "high", "low", "close", "volume",
        "quote_currency", "price_source",
    ),
    "fx": ("base", "quote", "rate", "resolution", "asof", "fx_source"),
}  # fmt: skip
FORMULA = re.compile(r"[=+\-@\t\r]")
NUMBER = re.compile(r"-[0-9]{1,20}(\.[0-9]{1,18})?")
MUST_QUOTE = re.compile(r'[",\r\n]')
NOTES = "notes"
KEPT_IN_NOTES = frozenset("\t\n\r\u200c\u200d")


@dataclass(frozen=True, slots=True)
class Sheet:
    """A CSV text of one kind, and the ids of the rows of which a field is not written as it is."""

    kind: str
    text: str
    rows: int
    altered: list[str]


def kinds(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """How many rows there are of each kind."""
    counts: dict[str, int] = {}
    for row in rows:
        counts[kind_of(row)] = counts.get(kind_of(row), 0) + 1
    return counts


def kind_of(row: Mapping[str, Any]) -> str:
    """The kind of a row, by the column that every record of its kind has: the first."""
    return next((kind for kind, header in HEADERS.items() if header[0] in row["row"]), "transactions")


def sheet(rows: Sequence[Mapping[str, Any]], kind: str) -> Sheet:
    """The rows of one kind as a CSV text."""
    lines, altered = [",".join(HEADERS[kind])], []
    chosen = [row for row in rows if kind_of(row) == kind]
    for row in chosen:
        written = {name: written_field(name, value) for name, value in row["row"].items()}
        lines.append(_line([written[name] for name in sorted(written, key=_place(kind))]))
        if written != row["row"]:
            altered.append(row["id"])
    return Sheet(kind, "".join(f"{line}\n" for line in lines), len(chosen), altered)


def _place(kind: str) -> Callable[[str], int]:
    """Where a column stands in its record; what goes beyond the header is named by its place."""
    places = {name: place for place, name in enumerate(HEADERS[kind], 1)}
    return lambda name: places.get(name) or int(name.removeprefix("column_"))


def written_field(column: str, value: str) -> str:
    """A field as it is written, before quoting."""
    kept = KEPT_IN_NOTES if column == NOTES else frozenset()
    printable = "".join(mark if mark in kept else safe_text(mark) for mark in value)
    formula = FORMULA.match(printable) and not NUMBER.fullmatch(printable)
    return f"'{printable}" if formula else printable


def _line(fields: list[str]) -> str:
    """Fields in quotes where they need them; one alone always, since a blank line is no record."""
    return ",".join(
        '"' + field.replace('"', '""') + '"' if len(fields) == 1 or MUST_QUOTE.search(field) else field
        for field in fields
    )
