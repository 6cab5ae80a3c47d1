"""`navdeck --daemon` as a process: it works, drains on signals, and lets nobody else in."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.runtime.deck import ROOT, Deck, buy, to_csv

PATIENCE_S = 90.0
COMMAND = [sys.executable, "-m", "console.cli"]


@contextmanager
def daemon(deck: Deck, log: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """What it says is read by `said`, or goes to the file `log`: a pipe nobody reads would hold it up."""
    with ExitStack() as held:
        stderr = subprocess.PIPE if log is None else held.enter_context(log.open("wb"))
        process = subprocess.Popen(
            [*COMMAND, "--daemon", "--home", str(deck.home.path)], stderr=stderr, start_new_session=True
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if process.stderr is not None:
                process.stderr.close()


def said(process: subprocess.Popen[bytes], words: bytes) -> bytes:
    """Reads its log until a line has the words."""
    assert process.stderr is not None
    text = b""
    while words not in text:
        ready, _, _ = select.select([process.stderr], [], [], PATIENCE_S)
        assert ready, f"no {words!r} in {text!r}"
        chunk = os.read(process.stderr.fileno(), 65536)
        assert chunk, f"it ended after {text!r}"
        text += chunk
    return text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_daemon__a_signal__drains_and_ends_with_0(deck: Deck, number: signal.Signals) -> None:
    deck.drop("trades.csv", to_csv([buy()]))
    with daemon(deck) as process:
        said(process, b"trades.csv: 1 accepted")
        process.send_signal(number)
        assert process.wait(PATIENCE_S) == 0
    assert not list((deck.home.path / "run" / "claimed").iterdir())


RECOVERS_LONG = """
import asyncio, sys
from pathlib import Path
from engine.runtime import daemon
daemon.OPEN_S = 0.1
async def opened(_home):
    print("recovering", file=sys.stderr, flush=True)
    await asyncio.sleep(3600)
daemon.Host.open = opened
asyncio.run(daemon.run_daemon(Path("."), None))
"""


def test_daemon__a_signal_while_it_recovers__ends_with_0_and_leaves_the_rest_to_the_next() -> None:
    command = [sys.executable, "-c", RECOVERS_LONG]
    with subprocess.Popen(command, stderr=subprocess.PIPE, cwd=ROOT) as process:
        said(process, b"recovering")
        process.send_signal(signal.SIGTERM)
        said(process, b"the next start goes on")
        assert process.wait(PATIENCE_S) == 0


def test_daemon__a_second_one__is_refused_with_4_and_told_who(deck: Deck) -> None:
    with daemon(deck) as process:
        said(process, b"working on")
        second = subprocess.run(
            [*COMMAND, "--daemon", "--home", str(deck.home.path)], capture_output=True, timeout=PATIENCE_S
        )
        assert second.returncode == 4
        assert str(process.pid).encode() in second.stderr
        reading = subprocess.run(
            [*COMMAND, "status", "--home", str(deck.home.path), "--json"],
            capture_output=True,
            timeout=PATIENCE_S,
        )
        assert reading.returncode == 0


def test_daemon__killed__is_followed_by_one_that_takes_up_what_was_left(deck: Deck) -> None:
    for number in range(5):
        deck.drop(f"trades-{number}.csv", to_csv([buy(quantity=str(number + 1))]))
    with daemon(deck) as process:
        said(process, b"working on")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    with daemon(deck) as process:
        said(process, b"working on")
        deck.drop("z-last.csv", to_csv([buy(quantity="9")]))
        said(process, b"z-last.csv: 1 accepted")
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    assert sorted(row[0] for row in deck.sql("SELECT quantity FROM tx")) == ["1", "2", "3", "4", "5", "9"]
