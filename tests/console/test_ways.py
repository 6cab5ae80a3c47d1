"""Ways between screens: a digit leads to the screen itself, what waits leads to the row it is about."""

import asyncio

import pytest

from console import actions
from console.fake import FakeClient, overview
from console.fake_fx import ASSETS
from console.mirror import EVERYTHING
from console.screens.assets import Assets
from console.screens.fx import Fx
from console.screens.nav import Nav
from console.screens.overview import Overview
from tests.console.deck_driver import Console, console, scenario


@pytest.mark.parametrize("opened", [("1", "a"), ("1", "t"), ("5", "l"), ("1", "a", "t")])
def test_digit__of_the_screen_below__closes_the_lists_over_it(opened: tuple[str, ...]) -> None:
    async def run(deck: Console) -> None:
        await deck.press(*opened, opened[0])
        assert isinstance(deck.app.screen, Overview if opened[0] == "1" else Nav)

    scenario("overview", run)


def test_digit__of_another_screen__the_list_is_not_there_on_the_way_back() -> None:
    async def run(deck: Console) -> None:
        await deck.press("a", "5", "escape")
        assert isinstance(deck.app.screen, Overview)
        await deck.press("a", "5", "1")
        assert isinstance(deck.app.screen, Overview)

    scenario("overview", run)


def test_what_waits__an_asset__opens_assets_with_the_cursor_on_it() -> None:
    name = ASSETS[2]["asset_id"]
    doc = overview()
    doc["nav"]["points"][-1] |= {"nav": None, "missing": [name], "reasons": ["NO_PRICE"]}

    async def run(deck: Console) -> None:
        await deck.onto(f"{name} has no value")
        await deck.press("enter")
        assert isinstance(deck.app.screen, Assets)
        assert name in deck.line_under_cursor()
        await deck.press("g", "1", "enter")  # again, with the list new
        assert name in deck.line_under_cursor()

    scenario("overview", run, client=FakeClient(doc))


def test_what_waits__a_hold__opens_fx_with_the_cursor_on_its_pair() -> None:
    async def run(deck: Console) -> None:
        await deck.press("4", "j")
        elsewhere = deck.line_under_cursor()
        await deck.press("1", "g", "enter")
        assert isinstance(deck.app.screen, Fx)
        assert "EUR/USD" in deck.line_under_cursor() != elsewhere
        assert "EUR/USD drift" in deck.text()

    scenario("overview", run)


def test_fx__a_pair_that_moves_in_the_list__takes_the_cursor_along() -> None:
    async def run(deck: Console) -> None:
        view = deck.app.screen
        assert isinstance(view, Fx)
        assert "EUR/USD" in deck.line_under_cursor()
        view.everything = lambda: sorted(view._found["pairs"], key=lambda row: row["held"])  # type: ignore[method-assign]
        view.redraw(EVERYTHING)
        await deck.settle()
        assert deck.rows.cursor > 0
        assert "EUR/USD" in deck.line_under_cursor()
        assert "EUR/USD drift" in deck.text()
        await deck.press("g")
        assert "EUR/USD drift" not in deck.text()

    scenario("fx", run)


@pytest.mark.parametrize("screen", actions.SCREENS)
def test_smallest_terminal__keys_below__what_is_held_and_set_aside_above(screen: str) -> None:
    async def run() -> None:
        async with console(size=(60, 16), screen=screen) as deck:
            bottom = deck.app.screen.query_one("#keys")
            assert (bottom.region.y, bottom.region.height) == (15, 1)
            top = deck.text().splitlines()[0]
            assert "held 1 ‖" in top
            assert "quarantine 214 !" in top

    asyncio.run(run())


def test_state__on_a_large_terminal__tells_the_drill_and_how_far_prices_reach() -> None:
    async def run() -> None:
        async with console(size=(160, 45)) as deck:
            for words in ("drill ✓ 3 d ago", "prices to 03-04 14:05Z", "FX to 03-04 11:30Z"):
                assert words in deck.text()

    asyncio.run(run())


def test_nav__closes_of_another_year__are_told_with_it() -> None:
    async def run() -> None:
        doc = overview() | {"now": "2027-01-05T00:00:00Z"}
        async with console(FakeClient(doc), size=(160, 45)) as deck:
            assert "to 2026-03-04 13:58Z" in deck.text()
            await deck.press("5")
            assert "2026-02-24 21:00Z" in deck.text()

    asyncio.run(run())


def test_now__is_in_the_year_of_the_data__the_year_is_left_out() -> None:
    async def run(deck: Console) -> None:
        assert "02-24 21:00Z" in deck.text()
        assert "2026-02-24 21:00Z" not in deck.text()

    scenario("nav", run, size=(160, 45))
