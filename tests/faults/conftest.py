"""Homes left in peace, whose digests the disturbed ones must reach."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.books import Sources, files_of
from tests.faults.processes import end_all
from tests.runtime.deck import Deck

Peace = Callable[[Sources], dict[str, Any]]


@pytest.fixture(autouse=True)
def _no_process_stays() -> Iterator[None]:
    yield
    end_all()


@pytest.fixture(scope="session")
def peace(blank_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Peace:
    """The digest of a home that took these files undisturbed; each set is taken once."""
    known: dict[tuple[str, ...], dict[str, Any]] = {}

    def digest(sources: Sources) -> dict[str, Any]:
        key = tuple(f"{name} {hash(data)}" for name, data in sources.items())
        if key not in known:
            deck = Deck(tmp_path_factory.mktemp("peace") / "home")
            shutil.copytree(blank_home, deck.path)
            deck.ingest(*files_of(deck, sources))
            known[key] = deck.digest()
        return known[key]

    return digest
