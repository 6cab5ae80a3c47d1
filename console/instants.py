"""Instants that the engine counts in microseconds, as the text that everybody is told (CONTRACT §15).

It draws nothing and imports nothing that does: answers as JSON go through it.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

TOUCHED = ("touched_from", "touched_until")  # the first and the last instant whose figures may change
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def exact(us: int) -> str:
    """The instant, with its fraction if it has one."""
    text = (_EPOCH + timedelta(microseconds=us)).replace(tzinfo=None).isoformat()
    return (text.rstrip("0") if "." in text else text) + "Z"


def dated(row: dict[str, Any]) -> dict[str, Any]:
    """The same with the instants that it touches as text; one without a bound stays null."""
    return row | {name: exact(row[name]) for name in TOUCHED if row.get(name) is not None}
