"""The language of the wire: one JSON object a line, a versioned greeting, errors that keep their kind.

    engine   {"hello": {"proto", "version", "pid", "home"}}
    client   {"hello": {"proto", "version", "read_only"}}     or it leaves: now it knows who is there
    client   {"listen": true}                                 from here on it is told events
    client   {"id": 7, "do": command}   {"id": 8, "ask": query}   {"forget": 8}
    engine   {"id": 7, "value": {…}}    {"id": 8, "error": {"code", "tried", "hint", "retryable"}}
    engine   {"event": {"seq", "kind", "data", "trace_id"}}

It opens no socket and understands no message.
"""

import asyncio
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.errors import EngineError, EngineGone, FrameRefused, VersionSkew
from engine.version import VERSION

Frame = dict[str, Any]

PROTO = 2  # raised when a frame changes its meaning
SOCKET_NAME = "engine.sock"
REQUEST_BYTES_MAX = 8 * 2**20  # ten thousand rows of an act, with a value each, are far below
ANSWER_BYTES_MAX = 64 * 2**20  # a console asks by pages; more is a mistake somewhere
HELLO_S = 5.0  # for a greeting; a process that is stopped or hangs does not give one


@dataclass(frozen=True, slots=True)
class Hello:
    """Who is at the other end: an engine (`pid`, `home`) or a client (`read_only`)."""

    proto: int
    version: str
    pid: int = 0
    home: str = ""
    read_only: bool = False


def my_hello(*, home: str = "", read_only: bool = False) -> Hello:
    """This process's greeting."""
    return Hello(PROTO, VERSION, os.getpid(), home, read_only)


def encode(frame: Frame) -> bytes:
    """A frame as its line."""
    return json.dumps(frame, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> Frame:
    """The frame of a line. FrameRefused for anything but a JSON object."""
    try:
        frame = json.loads(line)
    except (ValueError, RecursionError):
        raise FrameRefused(f"No message: {line[:40]!r}.") from None
    if not isinstance(frame, dict):
        raise FrameRefused(f"No message: {line[:40]!r}.")
    return frame


async def read_frame(reader: asyncio.StreamReader) -> Frame:
    """The next frame. EngineGone at the end of the stream, FrameRefused for garbage or a line too long."""
    try:
        return decode(await reader.readuntil(b"\n"))
    except asyncio.LimitOverrunError:
        raise FrameRefused("A message is longer than a message may be.") from None
    except (asyncio.IncompleteReadError, ConnectionError):
        raise EngineGone("The connection ended.") from None


async def read_hello(reader: asyncio.StreamReader) -> Hello:
    """The other end's greeting. EngineGone if none comes in time, FrameRefused if it is none."""
    try:
        frame = await asyncio.wait_for(read_frame(reader), HELLO_S)
    except TimeoutError:
        raise EngineGone("It takes the connection and says nothing.") from None
    if "error" in frame:
        raise to_error(frame["error"])
    try:
        return Hello(**frame["hello"])
    except (KeyError, TypeError):
        raise FrameRefused("This is no navdeck of a version that is known here.") from None


def require_same(mine: Hello, theirs: Hello, *, engine: Hello) -> None:
    """VersionSkew unless both ends are the same navdeck; `engine`: which of them is the engine."""
    if (mine.proto, mine.version) == (theirs.proto, theirs.version):
        return
    client = theirs if engine is mine else mine
    raise VersionSkew(
        f"The engine (process {engine.pid}) is navdeck {engine.version}, protocol {engine.proto};"
        f" this is navdeck {client.version}, protocol {client.proto}.",
        "Restart the engine, so that it runs the navdeck that is installed now; or use the engine's own.",
    )


def hello_frame(hello: Hello) -> bytes:
    return encode({"hello": asdict(hello)})


# -- errors -------------------------------------------------------------------------------------------


def from_error(error: BaseException) -> Frame:
    """An error as it travels. What the engine did not raise on purpose gets a code and words too."""
    if isinstance(error, OSError) and not isinstance(error, EngineError):
        where = f" ({error.filename})" if error.filename else ""
        return {"code": "OS_ERROR", "tried": f"{error.strerror or error}{where}.",
                "hint": "Check that the path is there and may be used.", "retryable": True}  # fmt: skip
    if not isinstance(error, EngineError):
        return {"code": "ENGINE_FAULT", "retryable": False,
                "tried": f"Something failed that should not: {type(error).__name__}: {error}",
                "hint": "Nothing is half stored. `navdeck verify` looks whether all is well."}  # fmt: skip
    return {**vars(error), "code": error.code, "retryable": error.retryable}


def to_error(frame: Frame) -> EngineError:
    """The error that travelled, of its own class where this navdeck knows the code."""
    code = str(frame.get("code"))
    kind = next((kind for kind in _kinds(EngineError) if kind.code == code), EngineError)
    error = kind.__new__(kind, str(frame.get("tried")))
    EngineError.__init__(error, str(frame.get("tried")), str(frame.get("hint", "")))
    vars(error).update({**frame, "code": code, "tried": error.tried, "hint": error.hint})
    return error


def _kinds(root: type[EngineError]) -> Iterator[type[EngineError]]:
    yield root
    for kind in root.__subclasses__():
        yield from _kinds(kind)


# -- the address --------------------------------------------------------------------------------------


def open_folder(run: Path) -> int:
    """A handle of the folder that holds the socket. OSError if it is not there."""
    return os.open(run, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def address(folder: int) -> str:
    """The socket's address by its folder's handle: it has 107 bytes at most, a home's path may have more."""
    return f"/proc/self/fd/{folder}/{SOCKET_NAME}"
