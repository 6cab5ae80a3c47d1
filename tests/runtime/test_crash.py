"""What nobody caught is told without secrets and without control characters, wherever it happens."""

import asyncio
import json
import logging
import sys
import threading
from pathlib import Path
from typing import Any, Never

import pytest
from textual.app import App
from textual.events import Key

from console import cli
from console.app import NavdeckApp
from console.fake import FakeClient, connecting
from engine.runtime.executors import AloneExecutor, WorkerExecutor
from engine.runtime.telemetry.crash import BAR, crash_text

CANARY = "canary-key-0123456789"
HOSTILE = f"no rate under {CANARY}\x1b]52;c;eA==\x07\x9b2J\u202e\nnavdeck: all is well"
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAVDECK_COINGECKO_KEY", CANARY)


def careless(*_: Any) -> Never:
    """Raises with whatever it has at hand, and has more in its locals."""
    local = CANARY.upper()  # a value that is never told
    try:
        raise KeyError(local[:0] + CANARY)
    except KeyError as error:
        raise ValueError(HOSTILE) from error


def caught() -> ValueError:
    with pytest.raises(ValueError, match="no rate") as found:
        careless()
    return found.value


def assert_told_as_data(text: str) -> None:
    assert "no rate under ***\\x1b]52;c;eA==\\x07\\x9b2J\\u{202e}" in text
    assert "canary-key" not in text.lower()
    assert [c for c in text if not c.isprintable() and c != "\n"] == []
    assert "\nnavdeck: all is well" not in text


def test_crash__told_with_its_cause__without_secrets_controls_and_locals() -> None:
    text = crash_text(caught())
    assert_told_as_data(text)
    assert "KeyError: '***'" in text
    assert "in careless" in text
    assert all(line.startswith(BAR) for line in text.split("\n"))


@pytest.mark.parametrize("words", [["status"], ["--daemon"], ["status", "--json"]])
def test_command_line_and_daemon__crash__is_data_with_a_hint_where_the_log_is(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path, words: list[str]
) -> None:
    def run(_arguments: object) -> int:
        careless()

    monkeypatch.setattr("console.commands.verbs.run", run)
    assert cli.main([*words, "--home", str(tmp_path)]) == 1
    told = capsys.readouterr()
    assert_told_as_data(told.err)
    assert f"{tmp_path}/logs" in told.err
    assert ("--json" in words) == bool(told.out)
    assert not told.out or json.loads(told.out)["error"]["code"] == "CRASHED"


def test_command_line__a_thread_ends_or_a_library_speaks__as_data_too(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path
) -> None:
    hooks = threading.excepthook, logging.lastResort

    def run(_arguments: object) -> int:
        thread = threading.Thread(target=careless)
        thread.start()
        thread.join()
        alone = logging.Logger("nobody listens")
        alone.error("key %s", CANARY)
        return 0

    monkeypatch.setattr("console.commands.verbs.run", run)
    assert cli.main(["status", "--home", str(tmp_path)]) == 0
    told = capsys.readouterr().err
    assert_told_as_data(told)
    assert "key ***" in told
    assert (threading.excepthook, logging.lastResort) == hooks


def test_error_with_a_hint__a_secret_in_it_is_struck(capsys: Capture, tmp_path: Path) -> None:
    assert cli.main(["status", "--home", str(tmp_path / CANARY)]) != 0
    assert "***" in capsys.readouterr().err


def in_a_thread() -> None:
    """In a worker: a thread ends there."""
    thread = threading.Thread(target=careless)
    thread.start()
    thread.join()
    sys.stderr.flush()


def to_the_end() -> None:
    """In a worker: what is no Exception ends the process."""
    raise SystemExit(HOSTILE)


def test_worker__what_ends_it_or_a_thread_of_it__is_told_as_data(capfd: Capture) -> None:
    async def work() -> None:
        worker = WorkerExecutor()
        try:
            await worker.run(in_a_thread)
        finally:
            worker.close()
        with pytest.raises(Exception, match="ended in the middle"):
            await AloneExecutor().run(to_the_end)

    asyncio.run(work())
    told = capfd.readouterr().err
    assert_told_as_data(told.replace("\nnavdeck: all is well", ""))
    assert told.count("no rate under ***") == 2


@pytest.mark.parametrize("draws_itself", [False, True])
def test_console__crash__ends_it_with_data_and_where_the_log_is(
    monkeypatch: pytest.MonkeyPatch, draws_itself: bool
) -> None:
    printed: list[str] = []

    def collect(app: App[None]) -> None:
        printed.extend("".join(part.text for part in each.segments) for each in app._exit_renderables)  # type: ignore[union-attr]

    class Drawn(ValueError):
        def __rich__(self) -> str:
            return str(self)

    def fail(_app: NavdeckApp, _event: Key) -> None:
        raise Drawn(HOSTILE) if draws_itself else ValueError(HOSTILE)

    monkeypatch.setattr(NavdeckApp, "_print_error_renderables", collect)
    monkeypatch.setattr(NavdeckApp, "on_key", fail, raising=False)

    async def run() -> None:
        app = NavdeckApp(connecting(FakeClient()))
        async with app.run_test() as pilot:
            await pilot.press("f7")

    with pytest.raises(ValueError, match="no rate"):
        asyncio.run(run())
    whole = "\n".join(line.rstrip() for line in "".join(printed).split("\n"))
    assert_told_as_data(whole)
    assert BAR + "ValueError" in whole or "Drawn" in whole
