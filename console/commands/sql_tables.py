"""What a query found, for people: as many rows as a page bears, and how to get the rest."""

import json
from typing import Any

from console.commands.grid import Column, Grid, hint, show, text
from console.text import UNKNOWN, plural

ROWS_SHOWN = 200
_NUMBERS = ("DECIMAL", "BIGINT", "INTEGER", "HUGEINT", "DOUBLE", "FLOAT", "SMALLINT", "TINYINT", "UBIGINT")
LEAST_CELLS = 12


def rows(document: dict[str, Any]) -> None:
    """A table of the rows, every figure with all of its places."""
    columns = [_column(one) for one in document["columns"]]
    lines = [[text(_told(value)) for value in row] for row in document["rows"]]
    count = plural(len(lines), "row")
    if not document["more"]:
        show(Grid(columns, lines), hint(count))
        return
    how = "--limit N shows others, --json or --parquet FILE gives all"
    show(Grid(columns, lines), hint(f"the first {count}; {how}"))


def _column(one: dict[str, str]) -> Column:
    is_number = one["type"].startswith(_NUMBERS) and not one["type"].endswith("]")
    return Column(one["name"], right=is_number, least=0 if is_number else LEAST_CELLS)


def _told(value: Any) -> str:
    if value is None:
        return UNKNOWN
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict | bool) else str(value)


def written(document: dict[str, Any]) -> None:
    """What went into a file."""
    show(text(f"{plural(document['rows'], 'row')} in {document['to']}"))
