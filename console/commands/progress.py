"""Progress on stderr for what takes longer than a moment; silent where nobody looks.

It shows what the engine tells and decides nothing. Its lines are gone when the work is done.
"""

import os
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from rich import progress
from rich.console import Console
from rich.text import Text

from console.text import bytes_text, count, safe_text, shorten
from engine.api import EngineClient, Event

NAME_WIDTH = 16  # cells of a file name beside its bar
BAR_WIDTH = 8  # cells; with the rest of a line this stays under 80
MILLION = 1_000_000


class TimeColumn(progress.ProgressColumn):
    """The time left, where it can be told; before that, the time gone."""

    def render(self, task: progress.Task) -> Text:
        left = task.time_remaining
        if task.finished or left is None:
            return Text(_clock(task.elapsed or 0))
        return Text(f"{_clock(left)} left")


class Progress:
    """Shows the engine's events while it is open: one line for the whole, one for what is worked on."""

    def __init__(self, client: EngineClient, quiet: bool, paths: Sequence[str] = ()) -> None:
        console = Console(stderr=True)
        shown = not quiet and sys.stderr.isatty() and not console.is_dumb_terminal
        self._bars = progress.Progress(
            progress.SpinnerColumn(finished_text="✓"),
            progress.TextColumn("{task.description}", markup=False),
            progress.BarColumn(bar_width=BAR_WIDTH),
            progress.TextColumn("{task.fields[said]}", markup=False),
            TimeColumn(),
            console=console,
            transient=True,
            disable=not shown,
        )
        self._sizes = [_size(path) for path in paths]
        self._files = 0  # done
        self._whole = self._line("waking the engine")
        self._part: progress.TaskID | None = None
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
        match event.kind:
            case "file_started":
                self._started(f"reading {_short(data['name'])}")
            case "file_progress":
                self._file_moved(data)
            case "file_done":
                self._file_done()
            case "settling":
                self._started(f"waiting for {len(data['names'])} files to be complete")
            case "value_started":
                self._bars.update(self._whole, description="valuing", total=None)
                self._started(f"every holding at {data['resolution']} closes")
            case "value_progress":
                done, days = data["done"], data["days"]
                told = f"every holding at {data['resolution']} closes"
                self._moved(told, done, days, f"{count(done)} of {count(days)} days")
            case "value_done":
                said = f"{count(data['buckets'])} closes, {count(data['snapshots'])} snapshots"
                self._moved(f"{data['resolution']} closes", 1, 1, said)
                self._part = None  # its line stays while the others are valued

    def _line(self, told: str) -> progress.TaskID:
        return self._bars.add_task(told, total=None, said="")

    def _started(self, told: str) -> None:
        """A new line for what is worked on now; the whole starts with the first."""
        if self._part is not None:
            self._bars.remove_task(self._part)
        self._part = self._line(told)
        if self._sizes and not self._files:
            self._tell_whole()

    def _moved(self, told: str, done: int, total: int, said: str) -> None:
        if self._part is not None:
            fields: dict[str, Any] = {"said": said}
            self._bars.update(self._part, description=told, completed=done, total=total, **fields)

    def _file_moved(self, data: dict[str, Any]) -> None:
        """Rows, and bytes where the engine tells them; these also move the whole."""
        done, rows = data["done"], data["rows"]
        read, size = data.get("bytes_done"), data.get("bytes")
        said = f"{_many(done)}/{_many(rows)} rows"
        if read is None or not size:
            self._moved(_short(data["name"]), done, rows, said)
            return
        self._moved(_short(data["name"]), read, size, f"{said}, {_of_bytes(read, size)}")
        self._tell_whole(read)

    def _file_done(self) -> None:
        self._files += 1
        if self._part is not None:
            self._bars.remove_task(self._part)
            self._part = None
        self._tell_whole()

    def _tell_whole(self, read: int = 0) -> None:
        """Files and bytes so far, `read` of the one under way; of how many, where the files were named."""
        if not self._sizes:
            self._bars.update(self._whole, description=f"{count(self._files)} files taken in")
            return
        done, total = sum(self._sizes[: self._files]) + read, sum(self._sizes)
        fields: dict[str, Any] = {"said": _of_bytes(done, total)}
        told = f"{count(self._files)} of {count(len(self._sizes))} files"
        self._bars.update(self._whole, description=told, completed=done, total=max(1, total), **fields)


def _short(name: str) -> str:
    return shorten(safe_text(name), NAME_WIDTH)


def _many(number: int) -> str:
    """A count, in millions where its digits would not fit."""
    return count(number) if number < MILLION else f"{number / MILLION:,.1f}M"


def _of_bytes(done: int, total: int) -> str:
    """`3.1/10.0 MB`, with both units where they differ."""
    told, whole = bytes_text(done), bytes_text(total)
    return f"{told.removesuffix(whole[whole.rindex(' ') :])}/{whole}"


def _clock(seconds: float) -> str:
    """`0:07`, `12:30`, `1:02:03`."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def _size(path: str) -> int:
    """Bytes of a file; 0 for one that cannot be seen (the engine will say why)."""
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
