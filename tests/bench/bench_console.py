"""The console's costs beside a minimal Textual app under the same pseudo-terminal: ratios, no asserts.

Run with `pytest tests/bench/bench_console.py -m bench -s`. First paint: the first 300 bytes of a screen; of
a console with made-up data, and of one that attaches to a daemon. HARLEQUIN names a program to compare with.
"""

import fcntl
import os
import pty
import select
import statistics
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from tests.runtime.deck import Deck
from tests.runtime.test_daemon import daemon, said

ROOT = Path(__file__).resolve().parents[2]
COLUMNS, LINES = 120, 40
FIRST_PAINT_BYTES = 300
IDLE_S = 5.0
SETTLE_S = 5.0  # for charts and what follows the first data
TICKS = 8
PLACES = 2  # in which the figure that changes is shown
ROUNDS = 5

MINIMAL = """
from textual.app import App
from textual.widgets import DataTable, RichLog
class Minimal(App):
    def compose(self):
        yield DataTable()
        yield RichLog()
    def on_mount(self):
        table = self.query_one(DataTable)
        table.add_columns(*"abcdefgh")
        for row in range(30):
            table.add_row(*[str(row)] * 8)
Minimal().run(mouse=False)
"""

CONSOLE = """
import asyncio, sys
from console.app import NavdeckApp
ticking = len(sys.argv) > 1
async def connect():
    from console.fake import FakeClient, overview
    idle = overview()
    idle["inbox"]["active"] = None  # its seconds left and rows a second would change too
    client = FakeClient(idle) if ticking else FakeClient()
    if ticking:
        asyncio.get_running_loop().call_later(7.0, tick, client, 0)
    return client
def tick(client, number):
    client.tell("quarantine", {"open": 215 + number % 9, "by_reason": {}})
    asyncio.get_running_loop().call_later(1.0, tick, client, number + 1)
NavdeckApp(connect).run(mouse=False)
"""


class Screen:
    """A program under a pseudo-terminal; what it writes is counted."""

    def __init__(self, *command: str) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        environ = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        self.started_s = time.monotonic()
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=slave, stdout=slave, stderr=slave,
            env=environ | {"TERM": "xterm-256color"}, start_new_session=True,
        )  # fmt: skip
        os.close(slave)

    def __enter__(self) -> "Screen":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()  # what it still has to say, nobody reads
        self._process.wait(10)
        os.close(self._master)

    def wrote(self, seconds: float, until_bytes: int | None = None) -> int:
        """Bytes written in the next seconds, or until there were so many."""
        end, total = time.monotonic() + seconds, 0
        while (left := end - time.monotonic()) > 0 and (until_bytes is None or total < until_bytes):
            if select.select([self._master], [], [], left)[0]:
                total += len(os.read(self._master, 65536))
        return total

    def cpu_s(self) -> float:
        """Processor seconds that the program has used so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def python(code: str, *arguments: str) -> Screen:
    return Screen(sys.executable, "-c", code, *arguments)


def first_paint_s(*command: str) -> float:
    with Screen(*command) as screen:
        screen.wrote(30.0, FIRST_PAINT_BYTES)
        return time.monotonic() - screen.started_s


@pytest.mark.bench
def test_first_paint() -> None:
    told = first_paints((sys.executable, "-c", CONSOLE), {"minimal": (sys.executable, "-c", MINIMAL)})
    print(f"\nfirst paint, n = {ROUNDS}: {told}")


def first_paints(ours: tuple[str, ...], others: dict[str, tuple[str, ...]]) -> str:
    """The console against others, one after the other in each round."""
    first_paint_s(*ours)  # so that what is read from the disk is in memory
    rounds = [[first_paint_s(*command) for command in (ours, *others.values())] for _ in range(ROUNDS)]
    told = [f"console {statistics.median(row[0] for row in rounds):.2f} s"]
    for place, name in enumerate(others, start=1):
        seconds, ratio = (
            statistics.median(of)
            for of in zip(*((row[place], row[0] / row[place]) for row in rounds), strict=True)
        )
        told.append(f"{name} {seconds:.2f} s (x {ratio:.2f})")
    return ", ".join(told)


@pytest.mark.bench
def test_first_paint__attached(deck: Deck) -> None:
    others = {"minimal": (sys.executable, "-c", MINIMAL)}
    if program := os.environ.get("HARLEQUIN"):
        others["harlequin"] = (program, str(deck.path.parent / "empty.duckdb"))
    command = (sys.executable, "-m", "console.cli", "--home", str(deck.path))
    with daemon(deck) as process:
        said(process, b"working on")
        print(f"\nfirst paint of an attached console, n = {ROUNDS}: {first_paints(command, others)}")


@pytest.mark.bench
def test_idle() -> None:
    with python(CONSOLE) as screen:
        screen.wrote(SETTLE_S)
        before = screen.cpu_s()
        wrote = screen.wrote(IDLE_S)
        share = (screen.cpu_s() - before) / IDLE_S
    print(f"\nidle {IDLE_S:.0f} s: {wrote} bytes, {share:.2%} of a processor")


@pytest.mark.bench
def test_changed_value() -> None:
    with python(CONSOLE, "ticking") as screen:
        screen.wrote(7.0 + SETTLE_S)
        before = screen.cpu_s()
        wrote = screen.wrote(float(TICKS))
        cpu_ms = (screen.cpu_s() - before) * 1000
    shown = TICKS * PLACES
    print(f"\nchanged figure, {shown} times: {wrote / shown:.0f} bytes and {cpu_ms / shown:.1f} ms each")
