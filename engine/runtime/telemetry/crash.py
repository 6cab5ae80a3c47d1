"""What nobody caught, told as data: no secret in it, every control character visible, no value of a local.

Each line of it begins with a bar, so that no text in an error can pass for a line of ours.
"""

import io
import logging
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from engine.runtime.telemetry.redact import Redactor

BAR = "| "


def crash_text(error: BaseException) -> str:
    """The error with where it was raised, and what led to it, in lines."""
    told = "".join(traceback.TracebackException.from_exception(error).format()).rstrip("\n")
    return "\n".join(BAR + line for line in as_data(told).split("\n"))


def as_data(text: str) -> str:
    """A text without secrets, fit for a terminal; its lines stay lines."""
    return "".join(c if c.isprintable() or c == "\n" else _shown(c) for c in Redactor().text(text))


def _shown(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{{{code:x}}}"


@contextmanager
def threads_told() -> Iterator[None]:
    """Meanwhile what ends a thread, and what a library says where nobody listens, goes to stderr so."""
    thread_hook, last_resort = threading.excepthook, logging.lastResort
    threading.excepthook = _thread_ended
    logging.lastResort = logging.StreamHandler(_AsData(sys.stderr))
    logging.lastResort.setLevel(logging.WARNING)
    try:
        yield
    finally:
        threading.excepthook, logging.lastResort = thread_hook, last_resort


def _thread_ended(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is not None and ended.exc_type is not SystemExit:
        sys.stderr.write(crash_text(ended.exc_value) + "\n")


def stderr_as_data() -> None:
    """In a process that draws nothing: whatever ends it, or a library says there, goes to stderr so."""
    if sys.stderr is not None:
        sys.stderr = _AsData(sys.stderr)


class _AsData(io.TextIOBase):
    """A stream that hands on all that it is given, as data."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(as_data(text))
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def fileno(self) -> int:
        return self._stream.fileno()
