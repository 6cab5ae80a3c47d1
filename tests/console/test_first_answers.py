"""Until something was read the console says that it is being read: never a 0 or a sign that all is well."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from console import actions
from console import app as app_module
from console.app import NavdeckApp
from console.fake import FakeClient, connecting, overview, still
from engine.api import Query, Result
from tests.console.deck_driver import KEYS_TO, Console, console

CLAIMS = re.compile(r"✓|\b0\b|\bno\b|\bnone\b|\bnever\b|\byet\b|\bnothing\b")
SCREENS = [*actions.SCREENS, actions.ASSETS, actions.TRANSFERS, actions.LOTS]
ASKING = [name for name in SCREENS if name not in (actions.OVERVIEW, actions.INBOX, actions.EVENTS)]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_module, "PULSE_S", 0.0)


class Slow(FakeClient):
    """An engine that tells its overview at once, and answers nothing else before it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may = asyncio.Event()

    async def ask(self, query: Query) -> Result:
        if query.name != "overview":
            await self.may.wait()
        return await super().ask(query)


async def _until(pilot: Any, what: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not what():
            await pilot.pause(0.01)


Run = Callable[[Console, Any], Awaitable[None]]


async def _opened(app: NavdeckApp, client: FakeClient, run: Run) -> None:
    async with app.run_test(size=(160, 45)) as pilot:
        await pilot.pause()
        await run(Console(app, client, pilot), pilot)


async def _go(pilot: Any, screen: str) -> None:
    for key in KEYS_TO.get(screen) or actions.BY_ID[screen].keys[:1]:
        await pilot.press(key)
        await pilot.pause()


@pytest.mark.parametrize("screen", [name for name in SCREENS if name != actions.LOTS])
def test_before_the_first_overview__nothing_is_claimed(screen: str) -> None:
    async def run(deck: Console, pilot: Any) -> None:
        await _go(pilot, screen)
        told = deck.text()
        assert "reading…" in told
        assert CLAIMS.findall(told) == []

    async def whole() -> None:
        never: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        async def connect() -> Any:
            return await never

        await _opened(NavdeckApp(connect, clock=still), FakeClient(), run)

    asyncio.run(whole())


@pytest.mark.parametrize("screen", ASKING)
def test_before_the_first_answer__it_is_being_read__then_it_is_there(screen: str) -> None:
    async def whole() -> None:
        client = Slow()

        async def run(deck: Console, pilot: Any) -> None:
            await _until(pilot, lambda: deck.app.session.connected)
            await _go(pilot, screen)
            top, *body, _keys = deck.text().splitlines()
            assert "running" in top
            assert "reading…" in "\n".join(body)
            client.may.set()
            await deck.settle()
            assert "reading…" not in deck.text()

        await _opened(NavdeckApp(connecting(client), clock=still), client, run)

    asyncio.run(whole())


def test_nav__another_range__says_nothing_of_the_one_before() -> None:
    async def whole() -> None:
        client = Slow()
        client.may.set()

        async def run(deck: Console, pilot: Any) -> None:
            await deck.settle()
            await deck.press("5")
            client.may.clear()
            await pilot.press("right_square_bracket")
            await pilot.pause()
            assert "NAV is known" not in deck.text()
            assert "reading…" in deck.text()

        await _opened(NavdeckApp(connecting(client), clock=still), client, run)

    asyncio.run(whole())


def test_what_failed__is_told_until_it_is_asked_again() -> None:
    async def run() -> None:
        async with console(size=(120, 40)) as deck:
            deck.client.failing = ConnectionResetError("gone")
            await deck.press("5")
            assert "gone" in deck.text()
            deck.client.failing = None
            deck.app._changed(frozenset({"nav"}))
            await deck.settle()
            assert "gone" not in deck.text()

    asyncio.run(run())


def test_memory__before_the_engine_looked__is_not_known() -> None:
    async def run() -> None:
        async with console(FakeClient(overview() | {"memory": {}}), size=(160, 45)) as deck:
            assert "RAM –" in deck.text()
            assert "0 B" not in deck.text()

    asyncio.run(run())
