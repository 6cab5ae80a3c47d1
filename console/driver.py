"""What the terminal sends: a paste is told apart from keys before Textual reads any of it.

It owns the reading of the terminal; what a key means and what is drawn are Textual's. The Textual that is
pinned takes what follows an ESC inside a paste for keys, and ends on a byte that is no UTF-8 and on a
sequence that names no key. So its thread of input is replaced, and its parser never sees what was pasted.
"""

import codecs
import os
import select
from collections.abc import Iterator

from textual import events
from textual._xterm_parser import BRACKETED_PASTE_END, BRACKETED_PASTE_START, XTermParser
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

PAUSE_S = 0.05  # a terminal sends a paste in one go; nobody feels so short a wait after it
READ_BYTES = 65536
_DROPPED = str.maketrans("", "", "\x00\x1b")  # what no field of text can hold


class Sent:
    """Makes Textual's messages of the bytes that a terminal sends, in whatever pieces they come."""

    def __init__(self, debug: bool = False) -> None:
        self._debug = debug
        self._parser = XTermParser(debug)
        self._decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
        self._tail = ""  # the last of the keys: the mark of a paste may come in pieces
        self._pasted: list[str] | None = None  # what has come since the mark

    def feed(self, sent: bytes) -> Iterator[Message]:
        """Takes what came. A paste is told by the next pause only."""
        text = self._decode(sent)
        if self._pasted is None:
            yield from self._typed(text)
        else:
            self._pasted.append(text)

    def pause(self) -> Iterator[Message]:
        """Nothing more comes for now: an ESC that waited was a key, a paste that has ended is told.

        A paste goes on to the last end that came without a pause, so one that brings an end of its own
        presses no key either.
        """
        pasted, end, typed = "".join(self._pasted or ()).rpartition(BRACKETED_PASTE_END)
        if end:
            self._pasted = None
            yield events.Paste(_without_marks(pasted))
            yield from self._typed(typed)
        yield from self._parser.tick()

    def _typed(self, text: str) -> Iterator[Message]:
        """Keys up to the mark of a paste, if there is one. The parser sees the mark ended at once."""
        seen = self._tail + text
        keys, mark, pasted = seen.partition(BRACKETED_PASTE_START)
        if mark:
            self._pasted = [pasted]
            text = (keys + mark)[len(self._tail) :] + BRACKETED_PASTE_END
            seen = ""
        self._tail = seen[1 - len(BRACKETED_PASTE_START) :]
        if text:
            yield from self._keys(text)

    def _keys(self, text: str) -> Iterator[Message]:
        """What the parser makes of it; a sequence that it fails on names no key, and it is of no more use."""
        try:
            for message in self._parser.feed(text):
                if not isinstance(message, events.Paste):
                    yield message
        except (ValueError, OverflowError):
            self._parser = XTermParser(self._debug)


def _without_marks(pasted: str) -> str:
    for mark in (BRACKETED_PASTE_START, BRACKETED_PASTE_END):
        pasted = pasted.replace(mark, "")
    return pasted.translate(_DROPPED)


class Driver(LinuxDriver):
    """Textual's driver of a terminal, with an input that pastes and broken bytes cannot harm."""

    def run_input_thread(self) -> None:
        """Reads until the console ends or the terminal is gone."""
        sent = Sent(self._debug)
        while not self.exit_event.is_set():
            ready, _, _ = select.select([self.fileno], [], [], PAUSE_S)
            read = os.read(self.fileno, READ_BYTES) if ready else b""
            if ready and not read:
                return
            for message in sent.feed(read) if ready else sent.pause():
                self.process_message(message)
