"""The page of one row in quarantine: all that the engine knows of it; the acts on a row work here too."""

import json
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType

from console import actions
from console.actions import Need
from console.modals.detail import Detail
from console.screens.rows import row_lines
from console.widgets.pieces import BLANK, Line, cut

if TYPE_CHECKING:
    from console.desk import Desk

Document = dict[str, Any]
ACTS = ("fix", "release", "reject", "copy")


class RowPage(Detail):
    """`shown`: the row, as `quarantine_show` tells it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(",".join(actions.BY_ID[act].keys), f"app.act('{act}')", actions.BY_ID[act].label, show=False)
        for act in ACTS
    ]

    KEYS_TOLD = (
        "  ".join(f"{actions.BY_ID[act].shown} {actions.BY_ID[act].label}" for act in ACTS) + "  esc closes"
    )

    def __init__(self, shown: Document, desk: "Desk") -> None:
        super().__init__("Row in quarantine", self._made)
        self._shown = shown
        self._desk = desk

    def there(self) -> Collection[Need]:
        return {"row", "open"} if self._shown["status"] == "open" else {"row"}

    def _made(self, width: int) -> list[Line]:
        outcome = [cut(self._desk.told, width), BLANK] if self._desk.told else []
        return [*outcome, *row_lines(self._shown, width)]

    def renew(self, shown: Document | None = None) -> None:
        """Shows what is known now."""
        self._shown = shown or self._shown
        self._fill()

    @property
    def row_id(self) -> str:
        return str(self._shown["id"])

    def do_fix(self) -> None:
        self._desk.start("fix", [self.row_id])

    def do_release(self) -> None:
        self._desk.start("release", [self.row_id])

    def do_reject(self) -> None:
        self._desk.start("reject", [self.row_id])

    def copied(self) -> str:
        return json.dumps(self._shown, ensure_ascii=False)
