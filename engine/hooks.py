"""Commands of the operator's own, run when something has happened. One set of rules for all of them.

A command is an argument list without a shell. It gets one JSON document on its input, never a word of it in
its arguments, and sees none of our keys. It has so much time; what it started in its own group ends with it,
however it ends. Of what it says on stderr the beginning and the end are kept, as one printable line.
"""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SAID_BYTES = 1_000  # of the beginning, and again of the end: where people look
PIPE_BYTES = 65_536  # what a pipe holds


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended. `error`: None for exit code 0 in time, else why, in one line."""

    exit_code: int | None
    error: str | None


async def run_hook(command: Sequence[str], document: object, folder: Path, timeout_s: float) -> Ended:
    """Runs a command in a folder with a document on its input. Cancelled, it ends the command first."""
    with _hearing() as (said, saying):
        try:
            child = await _started(command, saying, folder)
        except OSError as error:
            return Ended(None, f"the command cannot be started: {error.strerror or error}")
        try:
            async with asyncio.timeout(timeout_s):
                await _spoken_with(child, json.dumps(document).encode() + b"\n")
        except TimeoutError:
            return Ended(None, f"the command did not end within {timeout_s:g} s")
        finally:
            await _end(child)
        said.listen()
    code = child.returncode
    return Ended(code, f"the command ended with {code}: {said.line()}".rstrip(": ") if code else None)


async def _started(command: Sequence[str], stderr: int, folder: Path) -> asyncio.subprocess.Process:
    """The child, in a group of its own. Cancelled while it starts: it ends, with all that it has started."""
    starting = asyncio.create_task(asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, stderr=stderr,
        cwd=folder, start_new_session=True, env=_without_keys(os.environ),
    ))  # fmt: skip
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        with contextlib.suppress(OSError):
            await _end(await starting)
        raise


async def _spoken_with(child: asyncio.subprocess.Process, data: bytes) -> None:
    """Gives the child its input, which it need not read, and waits for its end."""
    assert child.stdin is not None
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        child.stdin.write(data)
        await child.stdin.drain()
    child.stdin.close()
    await child.wait()


async def _end(child: asyncio.subprocess.Process) -> None:
    """Ends a command that is still at work, and what is left of all that it started in its group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    if child.returncode is None:
        await child.wait()


class _Said:
    """What comes out of a pipe: all of it is read, little is kept."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._first = self._last = self._gap = b""

    def listen(self) -> None:
        """Takes what is there now."""
        try:
            data = os.read(self._pipe, PIPE_BYTES)
        except BlockingIOError:
            return
        room = SAID_BYTES - len(self._first)
        self._first, last = self._first + data[:room], self._last + data[room:]
        self._last = last[-SAID_BYTES:]
        self._gap = " … ".encode() if len(last) > SAID_BYTES else self._gap

    def line(self) -> str:
        said = (self._first + self._gap + self._last).decode(errors="replace")
        return " ".join("".join(char if char.isprintable() else " " for char in said).split())


@contextlib.contextmanager
def _hearing() -> Iterator[tuple[_Said, int]]:
    """What is said, as it comes, and the end of the pipe for who says it.

    A pipe of our own: asyncio's would keep us waiting for whoever of the command's children still holds it.
    """
    hears, saying = os.pipe()
    os.set_blocking(hears, False)
    said, loop = _Said(hears), asyncio.get_running_loop()
    loop.add_reader(hears, said.listen)  # no end comes as long as we hold the other one
    try:
        yield said, saying
    finally:
        loop.remove_reader(hears)
        os.close(hears)
        os.close(saying)


def _without_keys(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without our keys: a command of the operator's needs none of them."""
    return {
        name: value
        for name, value in environment.items()
        if not (name.startswith("NAVDECK_") and name.removesuffix("_FILE").endswith("_KEY"))
    }
