"""In which order a list stands: its own, or by a column; what is not known comes last both ways. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

UP, DOWN = "▲", "▼"

type Value = str | int | float | Decimal | None  # of a cell: what it stands for, None where it is not known


@dataclass(frozen=True, slots=True)
class Order:
    """By the column at `place` among all, the largest first if `down`; `place` None: the list's own order."""

    place: int | None = None
    down: bool = False

    @property
    def sign(self) -> str:
        return DOWN if self.down else UP

    def by(self, place: int | None) -> "Order":
        """The order after a column was chosen: chosen again it is turned round."""
        return Order(place, not self.down if place is not None and place == self.place else False)

    def ordered[Row](self, rows: Sequence[Row], values: Callable[[Row], Sequence[Value]]) -> list[Row]:
        """The rows in this order; those that are equal stay as they were."""
        if self.place is None:
            return list(rows)
        found = [(values(row)[self.place], row) for row in rows]
        known = [(_key(value), row) for value, row in found if value is not None and value != ""]
        known.sort(key=lambda pair: pair[0], reverse=self.down)
        return [row for _, row in known] + [row for value, row in found if value is None or value == ""]


def _key(value: str | float | Decimal) -> tuple[bool, float | Decimal, str]:
    """Numbers by their value, before texts; these without regard to case."""
    return (True, 0, value.casefold()) if isinstance(value, str) else (False, value, "")
