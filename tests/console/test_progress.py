"""Progress of an ingest: rows, bytes and time left, in lines that fit, from whatever the engine tells."""

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from console.commands.progress import Progress
from engine.messages import Event
from tests.console.desk_documents import FakeDesk

LONG = "statement-of-everything-that-happened-in-2024\x1b[31m.csv"


class Teller(FakeDesk):
    """An engine that tells what a test says."""

    def subscribe(self, listener: Callable[[Event], None]) -> None:
        self.listener = listener


class Lines:
    """The lines of a progress, 80 cells wide, after each event."""

    def __init__(self, *paths: str) -> None:
        self.engine, self.now_s, self.seq = Teller(), 0.0, 0
        self.shown = Progress(self.engine, quiet=False, paths=paths)
        self.shown._bars.get_time = lambda: self.now_s
        for task in self.shown._bars.tasks:
            task._get_time = self.shown._bars.get_time

    def tell(self, kind: str, at: float, **data: Any) -> list[str]:
        self.now_s = at
        self.seq += 1
        self.engine.listener(Event(self.seq, kind, data))
        out = io.StringIO()
        Console(file=out, width=80, color_system=None).print(self.shown._bars.get_renderable())
        return [line.rstrip() for line in out.getvalue().splitlines()]


def test_rows_bytes_and_time_left() -> None:
    lines = Lines()
    lines.tell("file_started", 0, name="trades.csv")

    sizes: dict[str, Any] = {"name": "trades.csv", "rows": 100_000, "bytes": 10_000_000}
    lines.tell("file_progress", 1, done=10_000, bytes_done=1_000_000, **sizes)
    told = lines.tell("file_progress", 2, done=20_000, bytes_done=2_000_000, **sizes)

    assert "trades.csv" in told[1]
    assert "20,000/100,000 rows, 2.0/10.0 MB" in told[1]
    assert told[1].endswith("0:08 left")


def test_bytes_unknown__rows_still_move() -> None:
    lines = Lines()
    lines.tell("file_started", 0, name="trades.csv")

    lines.tell("file_progress", 1, name="trades.csv", done=25, rows=100)
    told = lines.tell("file_progress", 2, name="trades.csv", done=50, rows=100)

    assert "50/100 rows" in told[1]
    assert "B" not in told[1]
    assert told[1].endswith("0:02 left")


def test_named_files__their_bytes_move_the_whole(tmp_path: Path) -> None:
    paths = [str(tmp_path / name) for name in ("a.csv", "b.csv")]
    for path in paths:
        Path(path).write_bytes(b"x" * 2_000_000)
    lines = Lines(*paths)
    lines.tell("file_started", 0, name="a.csv")

    half: dict[str, Any] = {"done": 5, "rows": 10, "bytes_done": 1_000_000, "bytes": 2_000_000}
    told = lines.tell("file_progress", 1, name="a.csv", **half)
    assert "0 of 2 files" in told[0]
    assert "1.0/4.0 MB" in told[0]
    told = lines.tell("file_done", 2, name="a.csv")
    assert "1 of 2 files" in told[0]
    assert "2.0/4.0 MB" in told[0]
    lines.tell("file_started", 3, name="b.csv")
    told = lines.tell("file_done", 4, name="b.csv")
    assert "4.0/4.0 MB" in told[0]


def test_largest__still_one_line_each_and_safe() -> None:
    lines = Lines(*["x"] * 12_345)
    lines.tell("file_started", 0, name=LONG)
    sizes: dict[str, Any] = {"rows": 50_000_000, "bytes": 1_000_000_000}

    lines.tell("file_progress", 1, name=LONG, done=10, bytes_done=10, **sizes)
    told = lines.tell("file_progress", 3_600, name=LONG, done=12_345_678, bytes_done=512_000_000, **sizes)

    assert len(told) == 2
    assert max(map(len, told)) <= 80
    assert "12.3M/50.0M rows, 512.0/1,000.0 MB" in told[1]
    assert "\x1b" not in "".join(told)


def test_valuing__days_move_and_time_left_is_told() -> None:
    lines = Lines()
    lines.tell("value_started", 0, resolution="5m")
    lines.tell("value_progress", 1, resolution="5m", done=10, days=100)
    told = lines.tell("value_progress", 2, resolution="5m", done=20, days=100)
    assert "20 of 100 days" in told[1]
    assert told[1].endswith("0:08 left")


def test_other_events__pass() -> None:
    lines = Lines()
    lines.tell("log", 0, text="anything")
    assert "2 files" in lines.tell("settling", 0, names=["a", "b"])[1]
    lines.tell("value_started", 1, resolution="1d")
    assert "7 closes" in lines.tell("value_done", 2, resolution="1d", buckets=7, snapshots=9)[1]
    lines.tell("file_progress", 3, name="late.csv", done=1, rows=2, bytes_done=0, bytes=0)


def test_quiet_or_piped__not_a_byte(capsys: pytest.CaptureFixture[str]) -> None:
    for quiet in (True, False):
        engine = Teller()
        with Progress(engine, quiet):
            engine.listener(Event(1, "file_started", {"name": "a.csv"}))
    assert not sys.stderr.isatty()
    assert capsys.readouterr() == ("", "")
