"""One home with a history, made once; tests work on copies of it."""

import shutil
from pathlib import Path

import pytest

from tests.backup.vault import Vault, history
from tests.faults.test_disk_full import disk as disk
from tests.runtime.deck import Deck


@pytest.fixture(scope="session")
def past(blank_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Vault:
    """The original: nobody changes it."""
    path = tmp_path_factory.mktemp("past") / "home"
    shutil.copytree(blank_home, path)
    return history(Deck(path))


@pytest.fixture
def vault(past: Vault, tmp_path: Path) -> Vault:
    """A copy of one's own."""
    shutil.copytree(past.deck.path, tmp_path / "home")
    made = Vault(Deck(tmp_path / "home"), past.now)
    made.truth = list(past.truth)
    return made
