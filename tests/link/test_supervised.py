"""What a supervisor hears: ready, alive as long as the writer is, stopping; and the unit that runs it."""

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.cli import main
from console.commands.service_unit import unit
from engine.runtime import supervised


@pytest.fixture(params=["a path", "abstract"])
def supervisor(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[socket.socket]:
    address = str(tmp_path / "notify") if request.param == "a path" else f"@navdeck-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(address.replace("@", "\0"))
        listening.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        yield listening


def heard(supervisor: socket.socket) -> list[bytes]:
    told = []
    while True:
        try:
            told.append(supervisor.recv(1000))
        except BlockingIOError:
            return told


def test_notify__is_heard(supervisor: socket.socket) -> None:
    supervised.notify("READY=1\nSTATUS=working")
    assert heard(supervisor) == [b"READY=1\nSTATUS=working"]


def test_notify__nobody_listens__is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    supervised.notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nowhere"))
    supervised.notify("READY=1")


@pytest.mark.parametrize(
    ("asked", "of", "every_s"),
    [("30000000", None, 15.0), ("30000000", "me", 15.0), ("30000000", "1", None), ("0", None, None),
     ("soon", None, None), (None, None, None)],
)  # fmt: skip
def test_watchdog__half_the_time_asked_for__of_this_process_only(
    asked: str | None, of: str | None, every_s: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("WATCHDOG_USEC", asked), ("WATCHDOG_PID", of)):
        if value is not None:
            monkeypatch.setenv(name, str(os.getpid()) if value == "me" else value)
    assert supervised.watchdog_s() == every_s


def test_signs_of_life__stop_when_the_writer_does(
    supervisor: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "2000")
    beats = iter([None, OSError("disk"), None])
    hangs = asyncio.Event

    async def heartbeat() -> None:
        beat = next(beats, "hangs")
        if beat == "hangs":
            await hangs().wait()
        if isinstance(beat, OSError):
            raise beat

    async def go() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(supervised.keep_alive(heartbeat), 0.3)

    asyncio.run(go())
    assert heard(supervisor) == [b"WATCHDOG=1"] * 2


def test_signs_of_life__none_asked_for__none_given() -> None:
    asyncio.run(supervised.keep_alive(lambda: pytest.fail("asked for")))


def test_unit__a_home_with_blanks_and_signs__stays_one_word() -> None:
    text = unit(Path('/srv/my "books" 100%/$HOME'), "ann", "/usr/bin/navdeck")
    assert 'ExecStart=/usr/bin/navdeck --daemon --home "/srv/my \\"books\\" 100%%/$$HOME"' in text
    assert "User=ann\n" in text


def test_service__prints_the_unit_of_this_home(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["service", "--home", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert f"--daemon --home {tmp_path}\n" in text
    for line in ("Type=notify", "KillMode=mixed", "ProtectSystem=strict", "NoNewPrivileges=yes"):
        assert f"{line}\n" in text


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
def test_unit__systemd_finds_nothing_wrong_with_it(tmp_path: Path) -> None:
    path = tmp_path / "navdeck.service"
    path.write_text(unit(tmp_path, "root", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(path)], capture_output=True, text=True, timeout=60
    )
    assert "navdeck.service" not in done.stderr
