"""A day of the whole engine under seeded faults ends with the books of a home that was left in peace."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from engine.runtime.engine import make_home
from engine.runtime.home import Home
from engine.store import journal_audit
from tests.looks import by_process
from tests.runtime.deck import ROOT, Deck
from tests.sim.plan import HOUR_S, Plan, plan
from tests.sim.quiet import backed_up, keep_quietly, nothing_is_invented, parts

NIGHT_SEED, NIGHT_S = 381, HOUR_S * 3 // 2  # in UTC, with every fault; its backup is made within it
NIGHT_SETTINGS = b'\n[backup]\nat = "00:45"\n'
STARTS_MAX = 20
STRETCH_S = 900.0  # of real time for one process; a machine may be busy
RSS_GROWTH_BYTES, FILES_GROWTH, TASKS_GROWTH = 64 << 20, 8, 12  # over a process's hours but its first


def test_night__with_every_fault__ends_with_the_books_of_a_quiet_one(tmp_path: Path) -> None:
    _lives_and_agrees(plan(NIGHT_SEED, NIGHT_S), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 51))
def test_day__with_every_fault__ends_with_the_books_of_a_quiet_one(seed: int, tmp_path: Path) -> None:
    _lives_and_agrees(plan(seed), tmp_path)


def _lives_and_agrees(day: Plan, tmp_path: Path) -> None:
    print(f"seed {day.seed}, {day.zone}")  # shown if it fails
    lived, quiet = _home(tmp_path / "lived", day), _home(tmp_path / "quiet", day)
    starts = _live(tmp_path / "lived", day)
    keep_quietly(quiet, day)
    assert starts > 1, "nothing was killed"
    assert parts(lived) == parts(quiet)
    assert lived.ask("verify")["ok"]
    assert journal_audit.verify(lived.home.journal).problems == []
    assert lived.rejected() == []
    nothing_is_invented(lived, day)
    _nothing_grows(tmp_path / "lived" / "looks")
    backed_up(lived)


def _home(folder: Path, day: Plan) -> Deck:
    folder.mkdir()
    home = Home(folder / "home")
    asyncio.run(make_home(home, "USD", day.zone, "FIFO", lambda: day.start))
    if day.seed == NIGHT_SEED:
        home.config_path.write_bytes(home.config_path.read_bytes() + NIGHT_SETTINGS)
    return Deck(home.path, clock=lambda: day.start + day.seconds * 10**6)


def _live(folder: Path, day: Plan) -> int:
    """Starts the engine again whenever it was killed; how often it was started."""
    words = [str(folder), str(day.seed), str(day.seconds)]
    for starts in range(1, STARTS_MAX):
        done = subprocess.run([sys.executable, "-m", "tests.sim.day", *words], cwd=ROOT, timeout=STRETCH_S,
                              capture_output=True, text=True)  # fmt: skip
        if done.returncode == 0:
            return starts
        assert done.returncode == -9, done.stderr[-4_000:]
    raise AssertionError("It never ends.")


def _nothing_grows(looks: Path) -> None:
    for told in by_process(looks).values():
        first, *rest = told
        for look in rest[1:]:
            assert look["rss"] - rest[0]["rss"] < RSS_GROWTH_BYTES, told
            assert look["files"] - first["files"] < FILES_GROWTH, told
            assert look["tasks"] - first["tasks"] < TASKS_GROWTH, told
