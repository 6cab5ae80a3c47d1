"""A new home in dollars and UTC, with whoever writes in it and its alert book."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from engine.runtime.alerts.book import AlertBook
from engine.runtime.engine import make_home
from engine.runtime.home import Home
from engine.store.writer import Writer
from tests.runtime.deck import NOW, Deck


@dataclass
class Desk:
    """An alert book over a real store; `within` opens it, as a start of the engine does."""

    deck: Deck
    told: list[tuple[str, int]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def within[T](self, act: Callable[[AlertBook], Awaitable[T]]) -> T:
        async def run() -> T:
            writer = await Writer.open(self.deck.home.state, lambda: NOW)
            try:
                return await act(AlertBook(self.deck.home.state, writer, self._tell, self._log))
            finally:
                await writer.close()

        return asyncio.run(asyncio.wait_for(run(), 60))

    def _tell(self, kind: str, data: dict[str, Any]) -> None:
        self.told.append((kind, data["id"]))

    def _log(self, level: str, kind: str, text: str) -> None:
        self.lines.append(f"{level} {kind} {text}")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    home = tmp_path / "home"
    asyncio.run(make_home(Home(home), "USD", "UTC", "FIFO", lambda: NOW))
    return Desk(Deck(home))
