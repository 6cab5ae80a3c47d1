"""A daemon as a process, and verbs and consoles beside it: it acts for them and outlives them."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from console import cli
from console import client as client_module
from console.cli import main
from console.client import Session
from console.terminal import Terminal
from engine import api
from engine.link import protocol
from engine.link.client import SocketClient
from engine.link.server import SocketServer
from engine.store.files import HomeLock
from engine.version import VERSION
from tests.link.wire import Books
from tests.pty.seat import sit
from tests.runtime.deck import Deck, buy, to_csv
from tests.runtime.test_daemon import COMMAND, PATIENCE_S, daemon, said


def answers(home: Path) -> dict[str, Any] | None:
    return asyncio.run(api.running(home))


def has_socket(home: Path) -> bool:
    return (home / "run" / "engine.sock").exists()


async def true_in_time(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not true():  # noqa: ASYNC110  another process makes it true
            await asyncio.sleep(0.05)


@pytest.fixture
def verb(deck: Deck, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a verb on the home: its exit code and its document."""

    def run(*words: str) -> tuple[int, Any]:
        code = main([*words, "--home", str(deck.path), "--json"])
        return code, json.loads(capsys.readouterr().out)

    return run


def test_verbs_that_write__are_carried_out_by_the_daemon(deck: Deck, verb: Any) -> None:
    assert verb("status")[1]["engine"] is None
    with daemon(deck) as process:
        said(process, b"working on")
        asyncio.run(true_in_time(lambda: has_socket(deck.path)))
        assert verb("status")[1]["engine"]["pid"] == process.pid

        bad = deck.file("trades.csv", to_csv([buy(), buy(action="BYU", quantity="2")]))
        code, taken = verb("ingest", str(bad))
        assert (code, taken["totals"]["accepted"], taken["totals"]["quarantined"]) == (3, 1, 1)

        deck.drop("more.csv", to_csv([buy(asset_id="ETH"), buy(asset_id="SCAM", quantity="7")]))
        code, taken = verb("ingest")
        assert (code, [(file["name"], file["accepted"]) for file in taken["files"]]) == (0, [("more.csv", 2)])
        code, nothing = verb("ingest")
        assert (code, nothing["files"], nothing["totals"]["files"]) == (0, [], 0)

        assert verb("quarantine", "fix", "--all", "action=BUY")[1]["would_pass"] == 1
        assert verb("quarantine", "release", "--all")[0] == 0
        assert verb("assets", "set", "SCAM", "excluded", "--reason", "worthless")[0] == 0
        assert verb("status")[1]["counts"]["transactions"] == 4
        code, refused = verb("assets", "set", "NOPE", "excluded", "--reason", "x")
        assert (code, refused["error"]["text"]) == (2, "No transaction is about 'NOPE'.")
        assert process.poll() is None
    decisions = verb("decisions")[1]["rows"]
    assert {decision["actor"] for decision in decisions} == {api.actor()}


def test_home_in_use__and_nobody_answers__is_exit_4(deck: Deck, verb: Any) -> None:
    lock = HomeLock(deck.home.lock)
    try:
        code, told = verb("ingest")
        assert (code, told["error"]["code"]) == (4, "HOME_IN_USE")
        assert verb("status")[0] == 0
    finally:
        lock.release()


@contextmanager
def engine_of_another_version(deck: Deck, monkeypatch: pytest.MonkeyPatch) -> Iterator[Books]:
    """An engine of navdeck 0.0.1 that answers on the home, on a thread of its own."""
    real = protocol.my_hello

    def my_hello(**told: Any) -> protocol.Hello:
        return replace(real(**told), version="0.0.1") if "home" in told else real(**told)

    monkeypatch.setattr(protocol, "my_hello", my_hello)
    books, ready, loop = Books(), threading.Event(), asyncio.new_event_loop()

    async def serve() -> None:
        server = await SocketServer.open(books, deck.path / "run")
        ready.set()
        await books.go.wait()
        await server.close()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        assert ready.wait(PATIENCE_S)
        yield books
    finally:
        loop.call_soon_threadsafe(books.go.set)
        thread.join()
        loop.close()


def test_engine_of_another_version__verbs_and_consoles_are_refused_with_the_fix__looking_goes_on(
    deck: Deck, verb: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with engine_of_another_version(deck, monkeypatch) as books:
        code, told = verb("ingest")
        assert (code, told["error"]["code"]) == (1, "VERSION_SKEW")
        assert "0.0.1" in told["error"]["text"]
        assert "Restart the engine" in told["error"]["hint"]
        monkeypatch.setattr(cli, "terminal", lambda: Terminal("", "", False, False))
        assert main(["--home", str(deck.path)]) == 1
        assert "is navdeck 0.0.1" in capsys.readouterr().err  # told in words, on no screen
        code, told = verb("status")
        assert (code, told["engine"]["version"]) == (0, "0.0.1")
        assert books.done == []


def test_read_only__is_for_the_console(deck: Deck, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--read-only", "--home", str(deck.path), "ingest"]) == 2
    assert "for the console" in capsys.readouterr().err


@pytest.mark.slow
def test_daemon__killed_under_a_console__is_found_again_when_it_is_back(
    deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "RETRY_S", (0.1,))

    async def go() -> None:
        session = Session(lambda: api.attach(deck.path), lambda _: None, time.monotonic)
        following = asyncio.create_task(session.run())
        try:
            for _ in range(2):
                with daemon(deck) as process:
                    await true_in_time(lambda: session.mirror.phase == "live")
                    assert session.mirror.doc["pid"] == process.pid
                    assert not session.mirror.doc["hosting"]
                    os.killpg(process.pid, signal.SIGKILL)
                    await true_in_time(lambda: session.mirror.phase == "lost")
                    assert session.mirror.doc["home"] == str(deck.path)  # the screen is still there
                assert has_socket(deck.path)  # and so is its socket, which answers nobody
        finally:
            following.cancel()
            await session.close()

    asyncio.run(go())


@pytest.mark.slow
def test_two_daemons_racing__one_works__the_other_ends_with_4(deck: Deck) -> None:
    with daemon(deck) as one, daemon(deck) as other:
        asyncio.run(true_in_time(lambda: one.poll() is not None or other.poll() is not None))
        loser, winner = (one, other) if one.poll() is not None else (other, one)
        assert loser.returncode == 4
        said(winner, b"working on")
        asyncio.run(true_in_time(lambda: has_socket(deck.path)))
        told = answers(deck.path)
        assert told is not None
        assert told["pid"] == winner.pid


def test_supervised_daemon__tells_ready_alive_stopping__reloads_on_hup(deck: Deck, tmp_path: Path) -> None:
    with supervised_daemon(deck, tmp_path / "notify") as (process, told):
        assert told(b"READY=1")
        assert answers(deck.path)
        assert told(b"WATCHDOG=1")
        settings = deck.home.config_path.read_text()
        more = "\n[ingest]\nbatch_rows = 99\n\n[backup]\nnightly = false\n"
        deck.home.config_path.write_text(settings + more)
        process.send_signal(signal.SIGHUP)
        read = said(process, b"config_read")
        assert b"read again: ingest.batch_rows; at the next start: backup.nightly" in read
        deck.home.config_path.write_text("this is no setting")
        process.send_signal(signal.SIGHUP)
        said(process, b"config_refused")
        assert answers(deck.path)
        process.send_signal(signal.SIGTERM)
        assert told(b"STOPPING=1")
        assert process.wait(PATIENCE_S) == 0
    assert not has_socket(deck.path)


@contextmanager
def supervised_daemon(deck: Deck, address: Path) -> Iterator[tuple[subprocess.Popen[bytes], Any]]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(address))
        supervisor.settimeout(PATIENCE_S)
        environ = os.environ | {"NOTIFY_SOCKET": str(address), "WATCHDOG_USEC": "200000"}
        process = subprocess.Popen(
            [*COMMAND, "--daemon", "--home", str(deck.path)], stderr=subprocess.PIPE, env=environ,
            start_new_session=True,
        )  # fmt: skip

        def told(word: bytes) -> bool:
            while word not in supervisor.recv(1000):
                pass
            return True

        try:
            yield process, told
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            assert process.stderr is not None
            process.stderr.close()


def test_console_on_a_terminal__outlives_the_daemon__leaves_the_next_one_alone(deck: Deck) -> None:
    with daemon(deck) as first:
        asyncio.run(true_in_time(lambda: has_socket(deck.path)))
        with sit(home=deck.path) as seat:
            seat.until(f"daemon pid {first.pid}".encode())
            os.killpg(first.pid, signal.SIGKILL)
            seat.until(b"DISCONNECTED")
            with daemon(deck) as second:
                seat.until(f"{second.pid}".encode())
                seat.process.send_signal(signal.SIGINT)  # as ctrl+c
                assert seat.ended() == 0
                assert seat.restored()
                assert answers(deck.path) == {"pid": second.pid, "version": VERSION}
                second.send_signal(signal.SIGTERM)
                assert second.wait(PATIENCE_S) == 0


def test_attached_console__loads_none_of_the_engines_libraries() -> None:
    program = (
        "import sys\nimport console.hosted, engine.link.client\n"
        "print(sorted({'polars','duckdb','pyarrow','sqlalchemy','numpy'} & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=60)
    assert told.stdout.strip() == b"[]"


def test_console_that_only_looks__needs_an_engine_to_look_at(deck: Deck) -> None:
    with pytest.raises(api.EngineGone) as gone:
        asyncio.run(SocketClient.open(deck.path / "run", read_only=True))
    assert "--daemon" in gone.value.hint
