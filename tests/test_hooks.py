"""Commands of the operator's own: what they get, what they never see, and how they end. Real processes."""

import asyncio
import json
import sys
import time
from pathlib import Path

import pytest

from engine.hooks import SAID_BYTES, Ended, run_hook

LEAVES_ONE_BEHIND = "sleep 60 & echo $! > child; "


def run(folder: Path, command: list[str], document: object = None, timeout_s: float = 20.0) -> Ended:
    return asyncio.run(run_hook(command, document, folder, timeout_s))


def python(folder: Path, program: str, document: object = None) -> Ended:
    return run(folder, [sys.executable, "-c", program], document)


def ended(process: int) -> bool:
    """Whether a process is over, once a signal had its moment; one that nobody has buried is."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            told = Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
        except FileNotFoundError:
            return True
        if told.rpartition(")")[2].split()[0] in ("Z", "X"):
            return True
        time.sleep(0.01)
    return False


def written(path: Path) -> None:
    """Waits until somebody has written a line into a file."""
    until = time.monotonic() + 10
    while not (path.exists() and path.read_text().endswith("\n")) and time.monotonic() < until:
        time.sleep(0.01)


def test_hook__data_is_on_its_input_alone__whatever_is_in_it(tmp_path: Path) -> None:
    said = {"text": "$(touch x); `rm`\x1b[0m --help\x00"}
    program = "import json, sys; json.dump([sys.argv, json.load(sys.stdin)], open('got', 'w'))"

    assert python(tmp_path, program, said) == Ended(0, None)

    assert json.loads((tmp_path / "got").read_text()) == [["-c"], said]
    assert [path.name for path in tmp_path.iterdir()] == ["got"]


@pytest.mark.parametrize("ending", ["wait", "exit 0", "exit 7"])
def test_hook__what_it_started_ends_with_it__however_it_ends(tmp_path: Path, ending: str) -> None:
    told = run(tmp_path, ["sh", "-c", LEAVES_ONE_BEHIND + ending], timeout_s=3.0)

    assert told.exit_code == {"wait": None, "exit 0": 0, "exit 7": 7}[ending]
    assert ended(int((tmp_path / "child").read_text()))


def test_hook__nobody_waits_for_it_any_more__ends(tmp_path: Path) -> None:
    async def given_up() -> None:
        running = asyncio.create_task(
            run_hook(["sh", "-c", LEAVES_ONE_BEHIND + "wait"], None, tmp_path, 20.0)
        )
        await asyncio.to_thread(written, tmp_path / "child")
        running.cancel()
        await asyncio.wait({running})

    asyncio.run(given_up())

    assert ended(int((tmp_path / "child").read_text()))


def held_up(seconds: float) -> None:
    """A loop that calls this comes to nothing else meanwhile."""
    time.sleep(seconds)


def test_hook__nobody_waits_for_it_any_more_at_any_moment_of_its_start__ends(tmp_path: Path) -> None:
    async def given_up(turns: int) -> None:
        running = asyncio.create_task(
            run_hook(["sh", "-c", LEAVES_ONE_BEHIND + "wait"], None, tmp_path / str(turns), 20.0)
        )
        for _ in range(turns):
            await asyncio.sleep(0)
        held_up(0.2)  # the command works, and our loop does not hear of it yet
        running.cancel()
        await asyncio.wait({running})
        assert running.cancelled()

    began = []
    for turns in range(8):
        (tmp_path / str(turns)).mkdir()
        asyncio.run(given_up(turns))
        child = tmp_path / str(turns) / "child"
        began += [turns] if child.exists() else []
        assert not child.exists() or ended(int(child.read_text()))
    assert began


def test_hook__floods_its_stderr__does_not_hang__beginning_and_end_are_kept(tmp_path: Path) -> None:
    words = r"'first\n' + 'y' * 3_000_000 + '\x1b[2Jlast'"
    program = f"import sys; sys.stderr.write({words}); sys.exit(3)"

    told = python(tmp_path, program)

    assert told.exit_code == 3
    assert told.error is not None
    assert told.error.startswith("the command ended with 3: first yyy")
    assert told.error.endswith("yyy [2Jlast")
    assert len(told.error) < 2 * SAID_BYTES + 50


def test_hook__child_out_of_its_group_holds_stderr__is_not_waited_for(tmp_path: Path) -> None:
    program = (
        "import os, subprocess, sys; child = subprocess.Popen(['sleep', '60'], start_new_session=True);"
        "open('child', 'w').write(str(child.pid)); os.write(2, b'no'); sys.stderr.flush(); os._exit(1)"
    )

    assert python(tmp_path, program) == Ended(1, "the command ended with 1: no")

    asyncio.run(run_hook(["kill", (tmp_path / "child").read_text()], None, tmp_path, 20.0))


def test_hook__sees_none_of_our_keys__all_else_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NAVDECK_ALERTS_KEY", "NAVDECK_COINGECKO_KEY", "NAVDECK_X_KEY_FILE"):
        monkeypatch.setenv(name, "canary-0123456789")
    monkeypatch.setenv("NAVDECK_HOME", "/books")
    monkeypatch.setenv("RESTIC_PASSWORD", "its own")

    python(tmp_path, "import json, os; json.dump(dict(os.environ), open('got', 'w'))")

    got = json.loads((tmp_path / "got").read_text())
    assert "canary" not in str(got)
    assert (got["NAVDECK_HOME"], got["RESTIC_PASSWORD"]) == ("/books", "its own")
