"""What every test starts from: an environment without settings of its own, and homes to work on."""

import asyncio
import gc
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.runtime.engine import make_home
from engine.runtime.home import Home
from tests.runtime.deck import START, Deck


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--every", type=int, default=1, help="run every Nth of the tests that were chosen")


# A file is one process's work: what takes a minute is begun first, so that no process is left alone with it.
LONGEST = ("tests/hostile/", "snapshots_tests/", "tests/oracle/", "tests/sim/", "tests/faults/", "tests/pty/")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The longest files first; and a bounded slice: after all other choices, every Nth test."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))
    every = config.getoption("--every")
    if every > 1:
        kept = items[::every]
        config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
        items[:] = kept


# What is imported and collected lives as long as the process; to look through it for cycles again and again
# is a third of what a console's test costs. New ones are found in larger lots.
NEW_OBJECTS = 20_000  # between two collections


def pytest_configure() -> None:
    gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS)
    gc.enable()


def pytest_unconfigure() -> None:
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No NAVDECK_ setting, no colour wish and no width of the terminal that runs the tests."""
    for name in [name for name in os.environ if name.startswith("NAVDECK_")]:
        monkeypatch.delenv(name)
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def blank_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new home, made once; tests work on copies of it."""
    path = tmp_path_factory.mktemp("blank") / "home"
    asyncio.run(make_home(Home(path), "USD", "UTC", "FIFO", lambda: START))
    return path


@pytest.fixture
def new_deck(blank_home: Path, tmp_path: Path) -> Callable[[str], Deck]:
    """Makes homes, each under a name of its own."""

    def make(name: str = "home") -> Deck:
        shutil.copytree(blank_home, tmp_path / name)
        return Deck(tmp_path / name)

    return make


@pytest.fixture
def deck(new_deck: Callable[[str], Deck]) -> Deck:
    """One home."""
    return new_deck("home")
