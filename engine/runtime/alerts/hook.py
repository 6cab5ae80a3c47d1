"""The operator's own command for an alert: an argument list without a shell, one JSON document on its input.

It is waited for HOOK_S at most; then it is ended, with all that it started in its own group.
"""

import asyncio
import contextlib
import json
import os
import signal
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from engine.runtime.alerts.courier import Message, NotDelivered

HOOK_S = 30.0  # a command that takes longer is ended
SAID_BYTES = 300  # of what a failing command says, told


async def run_hook(command: Sequence[str], message: Message, folder: Path, timeout_s: float = HOOK_S) -> None:
    """Runs the command with the message on its input. NotDelivered unless it ends with 0 in time."""
    with tempfile.TemporaryFile() as complaint:
        try:
            child = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
                stderr=complaint, cwd=folder, start_new_session=True, env=_without_keys(os.environ),
            )  # fmt: skip
        except OSError as error:
            raise NotDelivered(f"the command cannot be started: {error.strerror or error}") from error
        try:
            async with asyncio.timeout(timeout_s):
                await _spoken_with(child, json.dumps(message).encode() + b"\n")
        except TimeoutError:
            raise NotDelivered(f"the command did not end within {timeout_s:g} s") from None
        finally:
            await _end(child)
        if child.returncode:
            complaint.seek(0)
            said = _one_line(complaint.read(SAID_BYTES))
            raise NotDelivered(f"the command ended with {child.returncode}: {said}".rstrip(": "))


async def _spoken_with(child: asyncio.subprocess.Process, data: bytes) -> None:
    """Gives the child its input, which it need not read, and waits for its end."""
    assert child.stdin is not None
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        child.stdin.write(data)
        await child.stdin.drain()
    child.stdin.close()
    await child.wait()


async def _end(child: asyncio.subprocess.Process) -> None:
    """Ends a command that is still at work, and all that it started in its own group."""
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        await child.wait()


def _one_line(said: bytes) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in said.decode(errors="replace")).split())


def _without_keys(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without our keys: a command of the operator's needs none of them."""
    return {
        name: value
        for name, value in environment.items()
        if not (name.startswith("NAVDECK_") and name.removesuffix("_FILE").endswith("_KEY"))
    }
