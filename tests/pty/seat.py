"""A seat at a real terminal: starts navdeck on a pseudo-terminal of its own, types, reads what was drawn.

It ends only what it started. It never answers for the terminal: what navdeck asks of it stays unanswered.
"""

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

PATIENCE_S = 60.0
END_WITHIN_S = 10.0  # from the wish to end to the end
ALT_SCREEN_ON, ALT_SCREEN_OFF = b"\x1b[?1049h", b"\x1b[?1049l"
CURSOR_SHOWN, CURSOR_HIDDEN = b"\x1b[?25h", b"\x1b[?25l"
MOUSE_ON, MOUSE_OFF = b"\x1b[?1000h", b"\x1b[?1000l"
DEFAULTS = {39, 49}  # the terminal's own two colours
# A session leader takes the terminal for its own, as a shell's terminal is, so that a hang-up reaches it.
SIT_DOWN = (
    "import fcntl, os, sys, termios; "
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)
NAVDECK = ("-m", "console.cli")
UNWANTED = ("NAVDECK_", "TEXTUAL", "NO_COLOR", "FORCE_COLOR", "COLORTERM", "COLUMNS", "LINES", "SSH_")


class Seat:
    """One process of navdeck and the terminal before it."""

    def __init__(self, process: subprocess.Popen[bytes], terminal: int, own_end: int) -> None:
        self.process = process
        self.drawn = b""
        self.manners = termios.tcgetattr(own_end)  # as they were before navdeck came
        self._terminal: int | None = terminal
        self._own_end: int | None = own_end

    def until(self, words: bytes) -> None:
        """Reads until the words have been drawn."""
        ends_at = time.monotonic() + PATIENCE_S
        while words not in self.drawn:
            assert time.monotonic() < ends_at, f"no {words!r} in {self.drawn[-3000:]!r}"
            read = self._read(0.2)
            assert read or self.process.poll() is None or words in self.drawn, (
                f"it ended without {words!r} after {self.drawn[-3000:]!r}"
            )

    def watch(self, seconds: float) -> None:
        """Reads for so long, whatever comes."""
        ends_at = time.monotonic() + seconds
        while time.monotonic() < ends_at and self.process.poll() is None:
            self._read(0.05)

    def press(self, key: bytes) -> None:
        assert self._terminal is not None
        os.write(self._terminal, key)

    def ended(self, within_s: float = PATIENCE_S) -> int:
        """Waits for its end, reading all the while; the exit code."""
        ends_at = time.monotonic() + within_s
        while self.process.poll() is None:
            assert time.monotonic() < ends_at, f"still there after {within_s} s: {self.drawn[-3000:]!r}"
            self._read(0.05)
        while self._read(0):
            pass
        return self.process.returncode

    def hang_up(self) -> None:
        """The terminal goes away, as when a window is closed or a connection lost."""
        for end in (self._terminal, self._own_end):
            if end is not None:
                os.close(end)
        self._terminal = self._own_end = None

    def helpers(self) -> list[psutil.Process]:
        """The processes that navdeck has started."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def all_end(self, helpers: list[psutil.Process]) -> bool:
        """Whether the helpers end in time; one that only waits to be buried has ended."""
        ends_at = time.monotonic() + END_WITHIN_S
        while any(_is_alive(helper) for helper in helpers):
            if time.monotonic() > ends_at:
                return False
            self._read(0.05)
        return True

    def restored(self) -> bool:
        """Whether the terminal is as it was: screen, cursor, mouse, and the manners of its line."""
        assert self._own_end is not None
        switched = [(ALT_SCREEN_ON, ALT_SCREEN_OFF), (CURSOR_HIDDEN, CURSOR_SHOWN), (MOUSE_ON, MOUSE_OFF)]
        back = all(self.drawn.rfind(off) >= self.drawn.rfind(on) for on, off in switched)
        return back and termios.tcgetattr(self._own_end) == self.manners

    def colours(self) -> set[int]:
        """The numbers of all colours that were asked for (SGR), the terminal's own two left out."""
        asked = re.findall(rb"\x1b\[([0-9;]*)m", self.drawn)
        return {number for numbers in asked for number in _colours(numbers)} - DEFAULTS

    def _read(self, wait_s: float) -> bytes:
        """What came within the time; nothing also if the terminal is gone."""
        if self._terminal is None:
            time.sleep(wait_s)
            return b""
        ready, _, _ = select.select([self._terminal], [], [], wait_s)
        got = os.read(self._terminal, 65536) if ready else b""
        self.drawn += got
        return got


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _colours(numbers: bytes) -> Iterator[int]:
    """The colour codes of one SGR sequence; the figures that belong to a 38 or 48 are no codes."""
    left = iter([int(number or 0) for number in numbers.split(b";")])
    for number in left:
        if number in (38, 48):
            for _ in range(1 if next(left, 0) == 5 else 3):
                next(left, 0)
        if 30 <= number <= 49 or 90 <= number <= 107:
            yield number


@contextmanager
def sit(*words: str, home: Path, program: Sequence[str] = NAVDECK, **environ: str) -> Iterator[Seat]:
    """Starts `navdeck --home HOME WORDS` on a terminal of 100x30; ends it by force if the test did not."""
    terminal, own_end = os.openpty()
    fcntl.ioctl(own_end, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(UNWANTED)}
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", SIT_DOWN, sys.executable, *program, "--home", str(home), *words],
        stdin=own_end, stdout=own_end, stderr=own_end,
        env=kept | {"TERM": "xterm-256color"} | environ,
        start_new_session=True,
    )  # fmt: skip
    seat = Seat(process, terminal, own_end)
    try:
        yield seat
    finally:
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        seat.hang_up()
