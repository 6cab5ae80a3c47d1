"""The form that writes a list into a file: its name, then how far it is. Cancel ends it, leaving no file."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textual import on, work
from textual.widget import Widget

from console.commands.list_files import ENDINGS, ListFile, target
from console.modals.form import CANCEL, Form
from console.text import count, plural, safe_text
from console.widgets.fields import Choice, Field, Note
from console.widgets.figures import bar, share
from console.widgets.pieces import BLANK, Line, Piece, line, wrapped
from engine.api import EngineError

Document = dict[str, Any]
Pages = Callable[[], AsyncIterator[Sequence[Document]]]
BAR_CELLS = 24


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written."""

    path: Path
    rows: int


class ExportForm(Form[Exported]):
    """Answers with what was written. `about`: what is listed; `pages` gives its rows, `total` of them."""

    AUTO_FOCUS = "#path"

    def __init__(self, about: str, total: int, pages: Pages, guess: str) -> None:
        super().__init__("Export")
        self._about = about
        self._total = total
        self._pages = pages
        self._guess = guess
        self._told: Line = BLANK
        self._is_writing = False
        self._is_ending = False  # Cancel was chosen while it wrote

    def parts(self) -> Sequence[Widget]:
        return [Note(self._spoken), Field(self._guess, id="path", placeholder="list.csv")]

    def _spoken(self, width: int) -> list[Line]:
        where = f"Into which new file? It ends with {', '.join(ENDINGS)}; without a folder it is in"
        told = [*wrapped(where, width), *wrapped(safe_text(Path.cwd()), width)]
        first = [line((part, "strong")) for part in wrapped(self._about, width)]
        return [*first, BLANK, *(line((part, "muted")) for part in told)]

    def below(self) -> Sequence[Widget]:
        return [Note(self._verdict, id="verdict")]

    def _verdict(self, width: int) -> list[Line]:
        return [line((part, mark)) for text, mark in self._told for part in wrapped(text, width)]

    def choices(self) -> Sequence[Choice]:
        return [Choice("Export", id="export")]

    def _say(self, *told: Piece) -> None:
        self._told = told
        self.query_one("#verdict", Note).renew()

    def submitted(self, _field: Field) -> None:
        self._begin()

    @on(Choice.Pressed, "#export")
    def _begin(self) -> None:
        if self._is_writing:
            return
        try:
            path = target(self.query_one("#path", Field).value)
        except EngineError as error:
            self._say((f"! {error.tried}", "warn"), (f"  {error.hint}", "muted"))
        else:
            self._is_writing = True
            self.query_one(f"#{CANCEL}", Choice).focus()
            self._write(path)

    @on(Field.Changed)
    def _changed(self) -> None:
        self._say()

    def action_leave(self) -> None:
        self._leave()

    @on(Choice.Pressed, f"#{CANCEL}")
    def _leave(self) -> None:
        """Ends the writing where it is under way, else the form."""
        if self._is_writing:
            self._is_ending = True
            self._say(("ending …", "muted"))
        else:
            self.dismiss(None)

    def on_unmount(self) -> None:
        self._is_ending = True

    @work(exclusive=True, group="command")
    async def _write(self, path: Path) -> None:
        try:
            rows = await self._written(path)
        except (EngineError, OSError) as error:
            self._is_writing = False
            self._say(*_failed(error, path))
            self.query_one("#path", Field).focus()
        else:
            self.dismiss(None if rows is None else Exported(path, rows))

    async def _written(self, path: Path) -> int | None:
        """How many rows were written; None if it was ended before."""
        with ListFile(path) as made:
            async for rows in self._pages():
                await asyncio.to_thread(made.take, rows)
                if self._is_ending:
                    return None
                self._progress("read", made.rows)
            loop = asyncio.get_running_loop()

            def goes_on(done: int) -> bool:
                if not self._is_ending:
                    loop.call_soon_threadsafe(self._progress, "written", done)
                return not self._is_ending

            return made.rows if await asyncio.to_thread(made.write, goes_on) else None

    def _progress(self, word: str, done: int) -> None:
        if not self._is_ending:
            ratio = min(1.0, done / max(1, self._total))
            told = f" {share(ratio)}  {count(done)} of {plural(self._total, 'row')} {word}"
            self._say((bar(ratio, BAR_CELLS) + told, "accent"))


def _failed(error: EngineError | OSError, path: Path) -> Line:
    if isinstance(error, EngineError):
        return line((f"✗ {error.tried}", "bad"), (f"  {error.hint}", "muted"))
    told = f"{safe_text(path.parent)}: {error.strerror}" if error.strerror else safe_text(error)
    return line((f"✗ {told}", "bad"), ("  There is no file.", "muted"))
