"""The demo's story without a console: each step is judged by the engine's answer, not by being asked for."""

import asyncio
from typing import Any

import pytest

from console.commands.demo_story import played
from engine.api import Command, Query, Result
from tests.console.test_cli import said
from tests.runtime.deck import Deck

BEFORE = {"bucket_close": "2026-03-01T01:00:00Z", "held": []}
HELD = [{"bucket_close": f"2026-03-01T0{hour}:00:00Z", "held": ["EUR/USD"]} for hour in (2, 3)]


class Scripted:
    """An engine of which only the answers are known."""

    def __init__(self, verdict: str = "passed", accepted: int = 2, heals: bool = True) -> None:
        self.commands: list[Command] = []
        self._answers = {"quarantine_release": {"accepted": accepted}, "backup_drill": {"verdict": verdict}}
        self._heals = heals

    async def do(self, command: Command) -> Result:
        self.commands.append(command)
        return Result(self._answers.get(command.name, {}))

    async def ask(self, query: Query) -> Result:
        if query.name == "quarantine_page":
            return Result({"rows": [{"id": "a-2"}, {"id": "a-3"}]})
        is_decided = any(command.name == "fx_use_eod_once" for command in self.commands)
        held = [point | {"held": []} for point in HELD] if is_decided and self._heals else HELD
        return Result({"points": [BEFORE, *held]})


def done(client: Any) -> dict[str, bool]:
    return {step["step"]: step["done"] for step in asyncio.run(played(client))}


def test_story__all_goes_well__every_step_is_done() -> None:
    client = Scripted()

    assert done(client) == {"row": True, "hold": True, "drill": True}
    sent = {command.name: command.arguments for command in client.commands}
    assert list(sent) == ["quarantine_fix", "quarantine_release", "fx_use_eod_once", "value", "backup_create",
                          "backup_drill"]  # fmt: skip
    assert sent["quarantine_release"] == {"ids": ["a-2", "a-3"]}
    assert sent["fx_use_eod_once"] == {
        "pair": "EUR/USD", "from": "2026-03-01T01:00:00Z", "to": "2026-03-01T03:00:00Z",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("client", "step"),
    [(Scripted(accepted=1), "row"), (Scripted(heals=False), "hold"), (Scripted(verdict="failed"), "drill")],
)
def test_story__a_step_that_came_to_nothing__is_not_done(client: Scripted, step: str) -> None:
    assert [name for name, is_done in done(client).items() if not is_done] == [step]


@pytest.mark.slow
def test_demo__headless__its_story_comes_true(deck: Deck, capsys: pytest.CaptureFixture[str]) -> None:
    deck.path = deck.path.with_name("demo")
    told = said(deck, capsys, "demo", "--headless")
    assert [step["step"] for step in told["story"]] == ["row", "hold", "drill"]
