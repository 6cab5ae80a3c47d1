"""Keys that come faster than screens go: what is left is left once, and nothing underneath goes with it."""

import asyncio
from pathlib import Path

import pytest

from console import actions
from tests.console.deck_driver import KEYS_TO, console


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of the questions is where a file is to be written: beside where the console was started."""
    monkeypatch.chdir(tmp_path)


QUESTIONS = [  # on which screen, opened by which key
    ("quarantine", "e"), ("quarantine", "x"), ("quarantine", "R"), ("storage", "C"), ("backups", "D"),
    ("fx", "o"), ("fx", "H"), ("transfers", "s"), ("assets", "s"),
]  # fmt: skip
OTHERS = [
    ("overview", "A"), ("overview", "colon"), ("quarantine", "enter"), ("quarantine", "f"),
    ("quarantine", "S"), ("quarantine", "question_mark"), ("events", "enter"), ("lots", "enter"),
    ("lots", "colon"), ("lots", "E"),
]  # fmt: skip


@pytest.mark.parametrize(("screen", "opening"), QUESTIONS)
def test_cancel__pressed_several_times_at_once__only_the_question_goes(screen: str, opening: str) -> None:
    async def flow() -> None:
        async with console() as opened:
            await opened.press(*KEYS_TO.get(screen) or actions.BY_ID[screen].keys)
            below = opened.app.screen
            await opened.press(opening)
            question = opened.app.screen
            assert question is not below
            if question.query("Choice"):
                await opened.reach("Cancel")
            await opened.burst(*["enter"] * 4)
            assert question not in opened.app.screen_stack
            assert below in opened.app.screen_stack
            assert not [one for one in opened.client.commands if not one.dry_run]

    asyncio.run(flow())


def test_row__opened_several_times_at_once__one_page_and_no_error() -> None:
    async def flow() -> None:
        async with console() as opened:
            await opened.press("3")
            base = opened.app.screen
            opened.app.run_worker(opened.app.act("detail"))
            opened.app.run_worker(opened.app.act("detail"))
            await opened.settle()
            assert opened.app.screen_stack[:-1] == [base]
            assert any("open: open is still under way" in toast for toast in opened.toasts())

    asyncio.run(flow())


def test_palette__entered_several_times_at_once__the_list_below_stays() -> None:
    async def flow() -> None:
        async with console() as opened:
            await opened.press("t", "colon")
            palette = opened.app.screen
            await opened.type("zoom")
            await opened.press("down")
            await opened.burst(*["enter"] * 4)
            assert palette not in opened.app.screen_stack
            assert opened.app.is_running
            assert len(opened.app.screen_stack) > 1

    asyncio.run(flow())


@pytest.mark.parametrize(("screen", "opening"), [*QUESTIONS, *OTHERS])
def test_esc__pressed_several_times_at_once__the_screen_itself_stays(screen: str, opening: str) -> None:
    async def flow() -> None:
        async with console() as opened:
            await opened.press(*KEYS_TO.get(screen) or actions.BY_ID[screen].keys)
            base = opened.app.screen_stack[0]
            await opened.press(opening)
            assert opened.app.screen is not base
            await opened.burst(*["escape"] * 4)
            assert opened.app.is_running
            assert len(opened.app.screen_stack) == 1

    asyncio.run(flow())
