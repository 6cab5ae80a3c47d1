"""Progress bars on stderr for what takes longer than a moment; silent where nobody looks."""

import sys
from types import TracebackType
from typing import Any, Self

from rich import progress
from rich.console import Console

from console.text import safe_text
from engine.api import EngineClient, Event


class Progress:
    """Shows the engine's events while it is open. One line a file or resolution, gone when done."""

    def __init__(self, client: EngineClient, verb: str, quiet: bool) -> None:
        self._console = Console(stderr=True)
        self._shown = not quiet and sys.stderr.isatty()
        self._bars = progress.Progress(
            progress.SpinnerColumn(),
            progress.TextColumn("{task.description}", markup=False),
            progress.BarColumn(bar_width=24),
            progress.TextColumn("{task.fields[said]}", markup=False),
            progress.TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=not self._shown,
        )
        self._verb = verb
        self._task: progress.TaskID | None = None
        client.subscribe(self._take)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def _take(self, event: Event) -> None:
        data = event.data
        if event.kind == "file_started":
            self._next(f"reading {safe_text(data['name'])}", None)
        elif event.kind == "file_progress":
            self._move(f"storing {safe_text(data['name'])}", data["done"], data["rows"])
        elif event.kind == "settling":
            self._next(f"waiting for {len(data['names'])} files to settle", None)
        elif event.kind == "value_started":
            self._next(f"valuing at {data['resolution']}", None)

    def _next(self, text: str, total: float | None) -> None:
        if self._task is not None:
            self._bars.remove_task(self._task)
        self._task = self._bars.add_task(text, total=total, said="")

    def _move(self, text: str, done: int, total: int) -> None:
        if self._task is not None:
            said: dict[str, Any] = {"said": f"{done:,} of {total:,} rows"}
            self._bars.update(self._task, description=text, completed=done, total=total, **said)
