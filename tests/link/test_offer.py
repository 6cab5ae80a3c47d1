"""Over SSH a daemon is offered: asked only there, started only on a yes, attached to once it answers."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from console.commands.offer import daemon_started
from engine import api
from engine.api import EngineError
from engine.runtime.engine import make_home
from engine.runtime.home import Home

SSH = {"SSH_CONNECTION": "10.0.0.1 5000 10.0.0.2 22"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    asyncio.run(make_home(Home(tmp_path / "home"), "USD", "UTC", "FIFO"))
    return tmp_path / "home"


def saying(*answers: str) -> Callable[[str], str]:
    left = list(answers)
    return lambda _question: left.pop(0)


def test_offer__not_over_ssh__nobody_is_asked(home: Path) -> None:
    assert not asyncio.run(daemon_started(home, {}, saying()))


@pytest.mark.parametrize("answer", ["", "n", "what?"])
def test_offer__anything_but_yes__starts_nothing(home: Path, answer: str) -> None:
    assert not asyncio.run(daemon_started(home, SSH, saying(answer)))
    assert not (home / "logs" / "daemon.log").exists()


def test_offer__yes__a_daemon_answers_in_a_session_of_its_own(home: Path) -> None:
    assert asyncio.run(daemon_started(home, SSH, saying("y")))

    found = asyncio.run(api.running(home))
    assert found is not None
    daemon = psutil.Process(found["pid"])
    try:
        assert os.getsid(daemon.pid) == daemon.pid  # a hang-up of this terminal does not reach it
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(30)
    log = home / "logs" / "daemon.log"
    assert "working on" in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600


def test_offer__daemon_cannot_start__says_why(home: Path) -> None:
    (home / "navdeck.toml").write_text("no_such = 1\n")

    with pytest.raises(EngineError, match="ended before it answered") as refused:
        asyncio.run(daemon_started(home, SSH, saying("yes")))

    assert "no_such" in refused.value.hint
