"""What forms share whose answer the engine looks at before it may be applied."""

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from textual import on, work
from textual.widget import Widget

from console.modals.form import CANCEL, Form
from console.widgets.fields import Choice, Field, Note
from console.widgets.pieces import Line

Document = dict[str, Any]
Check = Callable[[Document], Awaitable[Document | None]]
Checked = tuple[Document, Document]  # what was asked, and what the engine said


class CheckedForm(Form[Document]):
    """Enter has what is typed checked by the engine; `apply` answers with what was checked."""

    def __init__(self, title: str, check: Check) -> None:
        super().__init__(title)
        self._check = check
        self._checked: Checked | None = None

    @abstractmethod
    def verdict(self, width: int) -> list[Line]:
        """What the engine said, or how to ask it."""

    def below(self) -> Sequence[Widget]:
        return [Note(self.verdict, id="verdict")]

    @work(exclusive=True, group="page")
    async def ask(self, asked: Document) -> None:
        """Has it checked; where that came about, what is next has the focus."""
        found = await self._check(asked)
        self.take(None if found is None else (asked, found))
        if found is not None:
            self.next_after(found).focus()

    def next_after(self, _found: Document) -> Widget:
        """What the one who asked wants next: Cancel, with Apply beside it."""
        return self.query_one(f"#{CANCEL}", Choice)

    def lacks(self) -> str:
        return "" if self._checked is not None else "enter checks first"

    def take(self, checked: Checked | None) -> None:
        """Shows what the engine said, or that nothing is checked any more."""
        self._checked = checked
        self.judge()
        self.query_one("#verdict", Note).renew()

    @on(Field.Changed)
    def _changed(self) -> None:
        """What was checked is not what is typed any more."""
        if self._checked is not None:
            self.take(None)

    @on(Choice.Pressed, "#apply")
    def _applied(self) -> None:
        if self._checked is not None:
            self.dismiss(self._checked[0])
