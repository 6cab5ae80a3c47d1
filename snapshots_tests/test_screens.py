"""Every screen at both sizes, as pictures: what an operator sees may change on purpose only.

After a wanted change: `pytest snapshots_tests --snapshot-update`, and look at the pictures.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any
from unittest.mock import patch

import pytest
from textual.pilot import Pilot

from console.app import NavdeckApp
from console.fake import FakeClient, connecting, overview, still
from console.terminal import Terminal

Compare = Callable[..., bool]
SETTLED_S = 20.0
SMALL, LARGE = (80, 24), (160, 45)
SIZES = (pytest.param(SMALL, id="80x24"), pytest.param(LARGE, id="160x45"))
# What stands over a screen looks the same on a large one but for the room around it.
MODAL_SIZES = (pytest.param(SMALL, id="80x24"), pytest.param(LARGE, id="160x45", marks=pytest.mark.slow))
NEXT = "right_square_bracket"
# The desk's states, by the keys that lead there from the quarantine.
DESK = {
    "marks": (NEXT, "space", "space", "j", "v", "j", "j", "v", "j", "v", "j", "j"),
    "row_in_conflict": (NEXT, NEXT, "enter"),
    "fix": (NEXT, NEXT, NEXT, "e", "tab", "enter", "enter"),
    "bulk_preview": (NEXT, "asterisk", NEXT, "space", "space", "e", "5", "enter"),
    "release": (NEXT, NEXT, NEXT, "asterisk", "e", "tab", "enter", "right", "enter", NEXT, NEXT,
                "space", "space", "R"),
    "conflict": (NEXT, NEXT, "R"),
    "outcome": (NEXT, NEXT, NEXT, "e", "tab", "enter", "enter", "right", "enter"),
    "inbox_preview": ("2", "d"),
}  # fmt: skip
NAV_CHARTS = {"index": 1, "drawdown": 2, "allocation": 3}  # presses of v
LOTS = {
    "lots": ("5", "l"),
    "gains": ("5", "l", "tab", "j", "j"),
    "trace": ("5", "l", "tab", "enter", "j", "j", "j", "j"),
    "what_if": ("5", "l", "w", "9", "0", "0", "enter"),
}  # fmt: skip
MARKET = {
    "hold": ("4", "H"),
    "provider": ("4", "o", "j", "enter"),
    "assets": ("a", "space", "j"),
    "status": ("a", "s", "j", "j", "enter"),
    "drill": ("7", "D"),
    "compact": ("6", "C"),
}  # fmt: skip
TOOLS = {
    "sorted": ("a", "S", "down", "down", "down", "down", "enter", "S", "enter"),
    "sort": ("4", "S", "down", "down"),
    "jump": ("3", "f"),
    "range": ("t", "j", "v", "j", "j"),
    "zoom": ("1", "plus"),
    "export": ("3", "E"),
}  # fmt: skip
SCREENS = {
    "overview": "1", "inbox": "2", "quarantine": "3", "fx": "4", "nav": "5", "storage": "6", "backups": "7",
    "events": "8",
}  # fmt: skip


def opening(*keys: str) -> Callable[[Pilot[Any]], Coroutine[Any, Any, None]]:
    """Waits until the data is there, then presses the keys one by one."""

    async def run(pilot: Pilot[Any]) -> None:
        await settled(pilot)
        for key in keys:
            await pilot.press(key)
            await settled(pilot)

    return run


async def settled(pilot: Pilot[Any]) -> None:
    """Until the engine is there, nothing waits to be painted, and no cursor blinks."""
    app = pilot.app
    assert isinstance(app, NavdeckApp)
    async with asyncio.timeout(SETTLED_S):  # an app that failed never comes to rest
        while not (app.session.connected and app.is_still):
            await pilot.pause(0.01)
    await pilot.pause()


def console(
    client: FakeClient | None = None,
    theme: str = "navdeck-dark",
    ascii_only: bool = False,
    screen: str = NavdeckApp.DEFAULT_MODE,
) -> NavdeckApp:
    terminal = Terminal(refusal="", theme=theme, mouse=True, ascii=ascii_only)
    with patch.object(NavdeckApp, "DEFAULT_MODE", screen):
        return NavdeckApp(connecting(client or FakeClient()), terminal=terminal, clock=still)


def at_desk(**how: Any) -> NavdeckApp:
    return console(screen="quarantine", **how)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("screen", SCREENS)
def test_screen(snap_compare: Compare, screen: str, size: tuple[int, int]) -> None:
    assert snap_compare(console(), terminal_size=size, run_before=opening(SCREENS[screen]))


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("screen", SCREENS)
def test_screen__high_contrast(snap_compare: Compare, screen: str, size: tuple[int, int]) -> None:
    contrast = console(theme="navdeck-contrast")
    assert snap_compare(contrast, terminal_size=size, run_before=opening(SCREENS[screen]))


def test_overview__production(snap_compare: Compare) -> None:
    assert snap_compare(console(theme="navdeck-production"), terminal_size=LARGE, run_before=opening("1"))


@pytest.mark.parametrize("chart", NAV_CHARTS)
def test_nav_chart(snap_compare: Compare, chart: str) -> None:
    keys = ["5", *["v"] * NAV_CHARTS[chart]]
    assert snap_compare(console(), terminal_size=LARGE, run_before=opening(*keys))


def test_nav_chart__small__its_twin(snap_compare: Compare) -> None:
    assert snap_compare(console(), terminal_size=SMALL, run_before=opening("5", "v"))


@pytest.mark.parametrize("size", MODAL_SIZES)
def test_detail_of_a_quarantined_row(snap_compare: Compare, size: tuple[int, int]) -> None:
    assert snap_compare(console(), terminal_size=size, run_before=opening("3", "j", "enter"))


@pytest.mark.parametrize("size", SIZES)
def test_transfers(snap_compare: Compare, size: tuple[int, int]) -> None:
    assert snap_compare(console(), terminal_size=size, run_before=opening("8", "t", "j", "j", "j", "space"))


@pytest.mark.parametrize("size", MODAL_SIZES)
def test_settle(snap_compare: Compare, size: tuple[int, int]) -> None:
    """The one row that a value is asked for, before anything is typed."""
    keys = ("8", "t", "s", "j", "j", "j", "j", "enter")
    assert snap_compare(console(), terminal_size=size, run_before=opening(*keys))


@pytest.mark.parametrize("size", MODAL_SIZES)
@pytest.mark.parametrize("state", DESK)
def test_desk(snap_compare: Compare, state: str, size: tuple[int, int]) -> None:
    assert snap_compare(at_desk(), terminal_size=size, run_before=opening(*DESK[state]))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("state", LOTS)
def test_lots(snap_compare: Compare, state: str, size: tuple[int, int]) -> None:
    assert snap_compare(console(), terminal_size=size, run_before=opening(*LOTS[state]))


@pytest.mark.parametrize("size", MODAL_SIZES)
@pytest.mark.parametrize("state", MARKET)
def test_market(snap_compare: Compare, state: str, size: tuple[int, int]) -> None:
    assert snap_compare(console(), terminal_size=size, run_before=opening(*MARKET[state]))


@pytest.mark.parametrize("state", TOOLS)
def test_tool(snap_compare: Compare, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")  # a form tells where it writes
    assert snap_compare(console(), terminal_size=SMALL, run_before=opening(*TOOLS[state]))


def test_fix__ascii(snap_compare: Compare) -> None:
    assert snap_compare(at_desk(ascii_only=True), terminal_size=SMALL, run_before=opening(*DESK["fix"]))


def test_fix__terminal_s_own_colours(snap_compare: Compare) -> None:
    assert snap_compare(at_desk(theme="ansi-dark"), terminal_size=SMALL, run_before=opening(*DESK["fix"]))


def test_help(snap_compare: Compare) -> None:
    assert snap_compare(console(), terminal_size=SMALL, run_before=opening("3", "question_mark"))


def test_overview__light(snap_compare: Compare) -> None:
    assert snap_compare(console(theme="navdeck-light"), terminal_size=LARGE, run_before=opening("1"))


def test_overview__ascii(snap_compare: Compare) -> None:
    assert snap_compare(console(ascii_only=True), terminal_size=LARGE, run_before=opening("1"))


def test_overview__terminal_s_own_colours(snap_compare: Compare) -> None:
    assert snap_compare(console(theme="ansi-dark"), terminal_size=SMALL, run_before=opening("1"))


def test_overview__new_home(snap_compare: Compare) -> None:
    """Nothing was ever put in: the page says what to do, and nothing looks like an error."""
    told = ("seq", "now", "home", "pid", "started_at", "hosting", "base_currency", "memory")
    empty = {key: value for key, value in overview().items() if key in told}
    client = FakeClient(empty | {"state": "running"})
    assert snap_compare(console(client), terminal_size=LARGE, run_before=opening("1"))


def test_too_small(snap_compare: Compare) -> None:
    assert snap_compare(console(), terminal_size=(50, 12), run_before=opening())
