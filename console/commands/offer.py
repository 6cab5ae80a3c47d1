"""Over SSH the engine should outlive the connection: `navdeck` offers to start a daemon where none answers.

The daemon is a process of its own, out of reach of this terminal's hang-up; its log is in logs/daemon.log.
Declined, or where the answer cannot be read, the console hosts the engine as it does everywhere.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from console.text import safe_text
from engine import api
from engine.api import EngineError

READY_S = 60.0  # for a daemon to answer: it recovers first
LOOK_EVERY_S = 0.2
LOG = Path("logs", "daemon.log")
_left: list["subprocess.Popen[bytes]"] = []  # meant to outlive this process; forgotten, Python would complain


async def daemon_started(
    home: Path, environ: Mapping[str, str] = os.environ, ask: Callable[[str], str] = input
) -> bool:
    """Whether a daemon was wanted, and answers now. Asks nothing unless this is an SSH connection.

    EngineError, with its last words, if it ended instead.
    """
    if "SSH_CONNECTION" not in environ:
        return False
    print(f"No engine runs on {safe_text(str(home))}.")
    print("A daemon keeps it running when this connection ends; without one it ends with the console.")
    try:
        answer = ask("Start a daemon and attach to it? [y/N] ")
    except EOFError:
        return False
    if answer.strip().lower() not in ("y", "yes"):
        return False
    return await _started(home)


async def _started(home: Path) -> bool:
    process, log, begins = await asyncio.to_thread(_spawned, home)
    print(f"Starting process {process.pid} …", flush=True)
    for _ in range(round(READY_S / LOOK_EVERY_S)):
        if await api.running(home) is not None:
            _left.append(process)
            return True
        if process.poll() is not None:
            raise EngineError("The daemon ended before it answered.", _last_words(log, begins))
        await asyncio.sleep(LOOK_EVERY_S)
    raise EngineError(f"The daemon does not answer after {READY_S:g} s.", f"It goes on; its log is {LOG}.")


def _spawned(home: Path) -> tuple["subprocess.Popen[bytes]", Path, int]:
    """The process, its log, and where in that its own words begin."""
    log = home / LOG
    log.parent.mkdir(mode=0o700, exist_ok=True)
    with open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as out:
        begins = os.fstat(out.fileno()).st_size
        process = subprocess.Popen(
            [sys.executable, "-m", "console.cli", "--home", str(home), "--daemon"],
            stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip
    return process, log, begins


def _last_words(log: Path, begins: int) -> str:
    with log.open("rb") as file:
        file.seek(begins)
        return file.read(2_000).decode(errors="replace").strip() or f"It said nothing; see {LOG}."
