"""navdeck as a process of its own, and sudden ends of it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.store.reader import Reader
from tests.runtime.deck import ROOT, Deck

TIMEOUT_S = 120
Process = subprocess.Popen[str]
_started: list[Process] = []  # by the test that runs


def start(
    deck: Deck, *arguments: object, when: str = "never", commit: int = 0, under: Sequence[str] = (),
    settings: Mapping[str, str] | None = None,
) -> Process:  # fmt: skip
    """The command line at work on the home (see wrapped.py), in a process group of its own.

    `under`: another program's command that runs it; `settings`: environment variables.
    """
    clean = {name: value for name, value in os.environ.items() if not name.startswith("NAVDECK_")}
    command = [*under, sys.executable, "-m", "tests.faults.wrapped", when, str(commit)]
    process = subprocess.Popen(
        [*command, *map(str, arguments), "--home", str(deck.path)],
        cwd=ROOT, env=clean | dict(settings or {}), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    _started.append(process)
    return process


def end_all() -> None:
    """Ends what a failed test left at work."""
    for process in _started:
        if process.poll() is None:
            kill(process)
    _started.clear()


def ended(process: Process) -> tuple[int, Any, str]:
    """Waits for the verb to end by itself: exit code, its JSON document, and what it said beside."""
    try:
        out, err = process.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        kill(process)
        raise
    assert "Traceback" not in err, err
    return process.returncode, json.loads(out) if out else None, err


def kill(process: Process, group: bool = True) -> tuple[bool, list[str]]:
    """Kills it (`group`: and its workers): whether it was still at work, and what it had told as done."""
    alive = process.poll() is None
    if alive and group:
        os.killpg(process.pid, signal.SIGKILL)
    elif alive:
        process.kill()
    return alive, told(process.communicate(timeout=TIMEOUT_S)[1])


def told(err: str) -> list[str]:
    """The acknowledged files among what a process said beside its document, each as `STATUS NAME`."""
    return [line.removeprefix("ack ") for line in err.splitlines() if line.startswith("ack ")]


def check_acks(deck: Deck, acks: list[str]) -> None:
    """What was said to be done is stored."""
    with Reader(deck.home.state) as reader:
        stored = {f"{status} {name}" for status, name in reader.rows("SELECT status, name FROM files")}
    assert {ack.replace("duplicate ", "ingested ") for ack in acks} <= stored


def marks(deck: Deck) -> tuple[list[Path], list[Path]]:
    """What shows from outside that files are being taken: claims and the archive."""
    return sorted(deck.home.claimed.glob("*")), sorted((deck.path / "archive").rglob("*.csv"))


def wait_for_work(deck: Deck, process: Process, times: int = 1) -> None:
    """Until it was so many times seen to have claimed, archived or finished a file, or has ended."""
    until = time.monotonic() + TIMEOUT_S
    for _ in range(times):
        before = marks(deck)
        while process.poll() is None and time.monotonic() < until and marks(deck) == before:
            time.sleep(0.002)
