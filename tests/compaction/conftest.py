"""A valued home, made once; tests work on copies of it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.compaction.lake import fill
from tests.runtime.deck import Deck


@pytest.fixture(scope="session")
def valued_home(blank_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("valued") / "home"
    shutil.copytree(blank_home, path)
    fill(Deck(path))
    return path


@pytest.fixture
def new_lake(valued_home: Path, tmp_path: Path) -> Callable[[str], Deck]:
    """Makes homes that hold the same valued days."""

    def make(name: str = "lake") -> Deck:
        shutil.copytree(valued_home, tmp_path / name)
        return Deck(tmp_path / name)

    return make


@pytest.fixture
def lake(new_lake: Callable[[str], Deck]) -> Deck:
    return new_lake("lake")
