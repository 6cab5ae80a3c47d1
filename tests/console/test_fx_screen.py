"""FX and assets in the console: what is asked of the engine, what must be said first, what is told."""

import asyncio

import pytest

from console.fake import FakeClient
from console.screens.asset_lines import cells as asset_cells
from console.screens.fx_lines import bps, pair_lines, typed_word
from console.screens.fx_lines import cells as fx_cells
from engine.api import EngineError
from tests.console.deck_driver import console


def test_hold__a_reason_first__then_one_dry_run_and_one_decision() -> None:
    async def flow() -> None:
        async with console() as opened:
            await opened.press("4", "H")
            assert "41.2 bps" in opened.text()
            await opened.type("checked by phone")
            await opened.press("enter", "tab", "enter")
            told = [(one.name, one.dry_run, one.reason) for one in opened.client.commands]
            assert told == [
                ("fx_use_eod_once", True, "looked at"), ("fx_use_eod_once", False, "checked by phone"),
            ]  # fmt: skip
            assert "20 held closes" in opened.text()

    asyncio.run(flow())


@pytest.mark.parametrize(("size", "scrolls"), [((60, 16), True), ((80, 24), False), ((160, 45), False)])
def test_hold__at_80x24_already__all_of_it_and_its_choices_are_in_sight(
    size: tuple[int, int], scrolls: bool
) -> None:
    async def flow() -> None:
        async with console(size=size) as opened:
            await opened.press("4", "H")
            form = opened.app.screen
            assert (form.query_one("#parts").max_scroll_y > 0) is scrolls
            assert form.query_one("#choices").region in form.query_one("#form").content_region
            assert "1,284,118.42 USD then" in opened.text()

    asyncio.run(flow())


def test_hold__left_with_escape__nothing_is_decided() -> None:
    async def flow() -> None:
        async with console() as opened:
            await opened.press("4", "H", "escape")
            assert [one.dry_run for one in opened.client.commands] == [True]

    asyncio.run(flow())


def test_undo__of_an_override__names_it_and_its_pair_in_words() -> None:
    async def flow() -> None:
        client = FakeClient()
        client.desk.decisions.append({
            "decision": 7, "kind": "fx_use_eod_once", "subject": {"pair": "EUR/USD"}, "detail": {},
            "actor": "ada", "reason": "by phone", "undone_by": None, "at": "2026-03-04T12:00:00Z",
        })  # fmt: skip
        client.desk._undo[7] = (client.desk.rows[0], {})
        async with console(client) as opened:
            await opened.press("4", "z")
            assert "7 use of the end-of-day rate  ada" in opened.text()
            assert "pair EUR/USD" in opened.text()

    asyncio.run(flow())


def test_hold__on_a_pair_that_is_not_held__says_why_it_cannot_be() -> None:
    async def flow() -> None:
        async with console() as opened:
            await opened.press("4", "j", "H")
            assert opened.client.commands == []
            assert "this pair was not held in 30 days" in " ".join(opened.toasts())

    asyncio.run(flow())


def test_hold__that_is_over__is_chosen__its_own_evidence_then_one_decision_up_to_its_last_close() -> None:
    async def flow() -> None:
        async with console() as opened:
            await opened.press("4")
            await opened.onto("GBP/USD")
            await opened.press("H")
            assert "2026-03-01 22:05Z to 2026-03-02 06:00Z  96 closes of 5m" in opened.text()
            await opened.choose("2026-02-22 22:05Z")
            assert "GBP/USD was held" in str(opened.app.screen.query_one("#form").border_title)
            assert "41.2 bps" in opened.text()  # then; it is 6.4 now
            await opened.type("the feed was down on Sunday")
            await opened.press("enter", "tab", "enter")
            told = [(one.dry_run, one.arguments, one.reason) for one in opened.client.commands]
            wanted = {"pair": "GBP/USD", "to": "2026-02-23T06:00:00Z"}
            assert told == [(True, wanted, "looked at"), (False, wanted, "the feed was down on Sunday")]
            assert "96 held closes" in opened.text()

    asyncio.run(flow())


def test_hold__one_that_is_over__left_at_the_choice__nothing_is_asked() -> None:
    async def flow() -> None:
        async with console() as opened:
            await opened.press("4")
            await opened.onto("GBP/USD")
            await opened.press("H", "escape")
            assert opened.client.commands == []

    asyncio.run(flow())


def test_exclude__marked_assets_at_once__with_a_reason() -> None:
    async def flow() -> None:
        async with console() as opened:
            await opened.press("a", "space", "space", "s", "j", "enter")
            await opened.type("spam")
            await opened.press("enter", "tab", "enter")
            (command,) = opened.client.commands
            assert command.name == "asset_set"
            assert command.arguments["assets"] == [
                "erc20:0x52903256dd18d85c2dc4a6c999907c9793ea61e3",
                "erc20:0x519475b31653e46d20cd09f9fdcf3b12bdacb4f5",
            ]
            assert (command.arguments["status"], command.arguments["since"]) == ("excluded", "start")
            assert command.reason == "spam"

    asyncio.run(flow())


def test_manual__refused_by_the_engine__the_form_comes_back_with_what_was_typed() -> None:
    async def flow() -> None:
        async with console() as opened:
            await opened.press("a", "s")
            await opened.choose("manual: a price of your own, with evidence, until it expires")
            assert opened.focused == "price"
            form = opened.app.screen
            frame = str(form.query_one("#form").border_subtitle)
            assert "type the price and until when and why first" in frame
            for typed in ("3,600", "2027-01-31", "desk quote"):
                await opened.type(typed)
                await opened.press("enter")
            opened.client.failing = EngineError("The price '3,600' is no decimal.", "Write 3600.")
            await opened.press("tab", "enter")
            opened.client.failing = None
            assert opened.app.screen is not form
            assert opened.text().count("3,600") == 1
            assert "desk quote" in opened.text()
            await opened.into("price", "3600")
            await opened.choose("Set 1 asset manual")
            told = opened.client.commands[-1]
            assert (told.arguments["price"], told.arguments["expires"]) == ("3600", "2027-01-31")
            assert told.reason == "desk quote"

    asyncio.run(flow())


def test_provider__closed_with_a_reason() -> None:
    async def flow() -> None:
        async with console() as opened:
            await opened.press("4", "o", "j", "enter")
            await opened.type("maintenance")
            await opened.press("enter", "tab", "enter")
            (command,) = opened.client.commands
            told = (command.name, command.arguments, command.reason)
            assert told == ("provider_close", {"name": "binance"}, "maintenance")

    asyncio.run(flow())


@pytest.mark.parametrize(
    ("drift", "held", "word"),
    [("41.2", True, ""), ("100.1", True, "EUR/USD"), (None, True, "EUR/USD"), ("400", False, "")],
)
def test_drift_far_beyond_the_band__the_pair_must_be_typed(drift: str | None, held: bool, word: str) -> None:
    assert typed_word({"pair": "EUR/USD", "drift_bps": drift, "held": held}, 25.0) == word


def test_pair__without_a_rate__says_until_when_one_would_have_served() -> None:
    row = {"pair": "EUR/USD", "state": "none", "held": False, "rate": None, "override": None}
    told = " ".join("".join(text for text, _ in one) for one in pair_lines({"pairs": [row]}, 60, 0))
    assert "a fixing until 16:30 Frankfurt of the next TARGET day" in told


def test_row__of_a_held_pair__tells_age_and_source_of_the_rate_it_shows() -> None:
    evidence = {"fallback_age_s": 7_200, "fallback_source": "ecb"}
    row = {
        "pair": "EUR/USD", "state": "held", "held": True, "rate": None, "fallback_rate": "1.0835",
        "age_s": None, "source": None, "drift_bps": "54.8", "held_since": "2026-03-04T12:00:00Z",
        "override": None, "evidence": evidence,
    }  # fmt: skip
    told = [text for text, _ in fx_cells(row, 25.0, 0)]
    assert told[2:7:4] == ["1.0835", "ecb"]
    assert told[5] == "2 h"


def test_bps__one_place() -> None:
    assert (bps("3.14159"), bps(None)) == ("3.1", "–")


def test_asset__without_a_block__is_quiet() -> None:
    row = {
        "asset_id": "BTC", "status": "normal", "quantity": "1.5", "blocking": None, "last_price": None,
        "accounts": 1,
    }  # fmt: skip
    assert [text for text, _ in asset_cells(row, 0)] == ["BTC", "normal", "1.5", "", "", "", "–", "1"]
