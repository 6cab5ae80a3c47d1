"""The fields of a quarantined row as an operator edits them, by column name.

Owns what columns a row has, also one with too many or too few fields, and what an edit makes of it. Never
decides whether a row is good: `csv_processor.parse_records` does, for edited rows as for those of a file.
"""

from collections.abc import Mapping, Sequence

from engine.domain.transactions import COLUMNS
from engine.errors import UsageError
from engine.ingestion.csv_processor import FX, PRICES, TRANSACTIONS
from engine.ingestion.market_rules import FX_COLUMNS, PRICE_COLUMNS

HEADERS: dict[str, tuple[str, ...]] = {
    TRANSACTIONS: COLUMNS, PRICES: PRICE_COLUMNS, FX: FX_COLUMNS,
}  # fmt: skip


def named(kind: str, fields: Sequence[str]) -> dict[str, str]:
    """A record's fields by column; what goes beyond the header is named by its place (`column_15`)."""
    columns = HEADERS[kind]
    extra = (f"column_{place}" for place in range(len(columns) + 1, len(fields) + 1))
    return dict(zip((*columns, *extra), fields, strict=False))


def edited(kind: str, fields: Sequence[str], changes: Mapping[str, str]) -> tuple[str, ...]:
    """The fields with some columns changed: all columns of the header, and what went beyond them.

    A field beyond the header goes away if it is set to "". UsageError for a column that is not there or a
    value that is no text.
    """
    columns = HEADERS[kind]
    row = dict.fromkeys(columns, "") | named(kind, fields)
    unknown = sorted(name for name in changes if name not in row)
    if unknown:
        raise UsageError(
            f"There is no column {', '.join(repr(name) for name in unknown[:5])}.",
            "Its columns are " + ", ".join(row) + ".",
        )
    for name, value in changes.items():
        _require_text(name, value)
    row |= changes
    dropped = {name for name, value in changes.items() if value == "" and name not in columns}
    return tuple(value for name, value in row.items() if name not in dropped)


def changed(kind: str, before: Sequence[str], after: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """The columns that differ, as they were and as they are; a field that is not there counts as empty."""
    old, new = named(kind, before), named(kind, after)
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return {name: old.get(name, "") for name in names}, {name: new.get(name, "") for name in names}


def _require_text(name: str, value: object) -> None:
    """A value that UTF-8 cannot hold (half of a surrogate pair) could not be stored."""
    if not isinstance(value, str):
        raise UsageError(f"The value of {name} is no text.", "Give every value as text.")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise UsageError(f"The value of {name} is no valid text.", "Type it again.")
