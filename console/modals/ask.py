"""A question before an act: what it would do, in lines; then Cancel, which has the focus, and the act.

A reason can be asked for, and a word to be typed where the act is too large to be looked at row by row.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from textual import on
from textual.widget import Widget

from console.modals.form import Form, typed_first
from console.widgets.fields import Choice, Field, Note
from console.widgets.pieces import Line, line, wrapped


@dataclass(frozen=True, slots=True)
class Answer:
    """What was chosen, by its id, and why."""

    choice: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Option:
    """One thing that can be chosen."""

    id: str
    label: str


class Question(Form[Answer]):
    """`reason`: "" asks for none, "may" and "must" for one. `word`: must be typed first, if not empty.

    `because`: why it must.
    """

    def __init__(
        self,
        title: str,
        build: Callable[[int], list[Line]],
        options: Sequence[Option],
        *,
        reason: str = "",
        word: str = "",
        because: str = "So many rows at once",
    ) -> None:
        super().__init__(title)
        self._build = build
        self._options = options
        self._reason = reason
        self._word = word
        self._because = because

    def begin(self) -> None:
        if self._reason == "must":
            self.query_one("#reason", Field).focus()  # nothing can be chosen before

    def parts(self) -> Sequence[Widget]:
        made: list[Widget] = [Note(self._build)]
        if self._reason and self._options:
            made += [Note(self._told_reason), Field(id="reason", placeholder="why")]
        if self._word and self._options:
            made += [Note(self._told_word), Field(id="word", placeholder=self._word)]
        return made

    def _told_reason(self, width: int) -> list[Line]:
        text = "Why? It is kept with the decision." + (" It may stay empty." if self._reason == "may" else "")
        return _spoken(text, width)

    def _told_word(self, width: int) -> list[Line]:
        return _spoken(f"{self._because}: type {self._word} to go on.", width)

    def choices(self) -> Sequence[Choice]:
        return [Choice(option.label, id=option.id) for option in self._options]

    def lacks(self) -> str:
        lacking = ["why"] if self._reason == "must" and not self._typed("reason").strip() else []
        return typed_first(lacking + [self._word] * (self._typed("word") != self._word))

    def _typed(self, id: str) -> str:
        found = self.query(f"#{id}").results(Field)
        return next((field.value for field in found), "")

    @on(Field.Changed)
    def _changed(self) -> None:
        self.judge()

    @on(Choice.Pressed)
    def _pressed(self, event: Choice.Pressed) -> None:
        if event.choice.id in {option.id for option in self._options}:
            self.dismiss(Answer(str(event.choice.id), self._typed("reason").strip()))


def _spoken(text: str, width: int) -> list[Line]:
    return [(), *(line((part, "muted")) for part in wrapped(text, width))]
