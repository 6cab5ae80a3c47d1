"""Keys at random, in bursts, with an engine that answers late or fails: the console never ends by itself."""

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from console import actions
from console.fake import FakeClient
from engine.api import EngineError
from engine.messages import Command, Query, Result
from tests.console.deck_driver import Console, console

COMMON = ("enter", "escape", "tab", "space", "down")
KEYS = sorted(
    {key for act in actions.ACTIONS for key in act.keys if act.id != "quit"}
    | {*COMMON, *"abcxyz12", "up", "left", "right", "pagedown", "pageup", "home", "end", "backspace"}
)
NEWS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("value_started", {"resolution": "5m"}), ("value_failed", {"resolution": "5m"}),
    ("lake_progress", {"job": "compact", "things": "files", "done": 1, "of": 9}),
    ("lake_done", {"job": "compact"}), ("acted", {"name": "undo"}), ("inbox", {"waiting": [], "others": []}),
)  # fmt: skip
BURSTS = 40


class Lame(FakeClient):
    """Answers after a while, and sometimes not; what the console begins with it answers at once."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self._chance = chance

    async def _limp(self) -> None:
        await asyncio.sleep(self._chance.choice((0, 0.001, 0.02)))
        if self._chance.random() < 0.05:
            raise EngineError("It did not work.", "Try again.")

    async def do(self, command: Command) -> Result:
        await self._limp()
        return await super().do(command)

    async def ask(self, query: Query) -> Result:
        if query.name != "overview":
            await self._limp()
        return await super().ask(query)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of the acts writes files, where the console was started."""
    monkeypatch.chdir(tmp_path)


def burst(chance: random.Random) -> list[str]:
    of = [COMMON if chance.random() < 0.4 else KEYS for _ in range(chance.choice((1, 1, 2, 3, 6)))]
    return [chance.choice(keys) for keys in of]


async def play(chance: random.Random, opened: Console) -> None:
    pressed: list[list[str]] = []
    for _ in range(BURSTS):
        pressed.append(burst(chance))
        if chance.random() < 0.2:
            opened.client.tell(*chance.choice(NEWS))
        await opened.burst(*pressed[-1])
        assert opened.app.is_running or opened.app.mirror.phase == "leaving", pressed  # by the palette
        if not opened.app.is_running:
            return


def run(seed: int) -> None:
    async def whole() -> None:
        chance = random.Random(seed)
        async with console(Lame(chance), size=(160, 45) if seed % 2 else (80, 24)) as opened:
            await play(chance, opened)

    asyncio.run(whole())


@pytest.mark.parametrize("seed", range(2))
def test_keys_at_random(seed: int) -> None:
    run(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 42))
def test_keys_at_random__more(seed: int) -> None:
    run(seed)


def test_palette__a_page_on_before_anything_is_listed() -> None:
    async def flow() -> None:
        async with console() as opened:
            await opened.burst("ctrl+p", "pagedown", "pageup", "escape")
            assert opened.app.is_running
            await opened.press("colon")
            await opened.type("no act has this name")
            await opened.burst("pagedown", "pageup", "escape")
            assert opened.app.is_running

    asyncio.run(flow())
