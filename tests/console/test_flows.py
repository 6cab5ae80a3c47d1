"""Each task of an operator from its beginning to its end, as they would tell it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from console.fake import FakeClient
from console.widgets.fields import Choice
from tests.console.deck_driver import Console, console

SPAM = "erc20:0x52903256dd18d85c2dc4a6c999907c9793ea61e3"
SIZES = [(80, 24), (160, 45)]


@pytest.fixture(params=SIZES, ids=["80x24", "160x45"])
def flow(request: pytest.FixtureRequest) -> Callable[[Callable[[Console], Awaitable[None]]], None]:
    """Plays a flow from the overview on."""

    def play(steps: Callable[[Console], Awaitable[None]]) -> None:
        async def whole() -> None:
            async with console(FakeClient(), size=request.param) as deck:
                await steps(deck)

        asyncio.run(whole())

    return play


Play = Callable[[Callable[[Console], Awaitable[None]]], None]


def kept(deck: Console) -> list[tuple[str, dict[str, Any], str]]:
    """What was carried out for good, and why."""
    return [(one.name, one.arguments, one.reason) for one in deck.client.commands if not one.dry_run]


def test_review_fix_release(flow: Play) -> None:
    async def steps(deck: Console) -> None:
        await deck.onto("rows set aside")
        await deck.do("go")
        await deck.filter("reason:QUANTITY_INVALID")
        row = deck.client.desk.answers["quarantine_page"](deck.client.queries[-1].arguments)["rows"][0]
        await deck.do("detail")
        assert "QUANTITY_INVALID" in deck.text()
        await deck.do("fix")
        await deck.into("f-quantity", "1250.50")
        await deck.press("enter")
        assert "1 would pass, 0 still fail" in deck.text()
        await deck.choose("Apply")
        await deck.do("release")
        await deck.into("reason", "a thousands separator")
        await deck.choose("Release 1 row")
        assert "released 1 row" in deck.text()
        fix, release = kept(deck)
        assert (fix[0], fix[1]["ids"], fix[1]["set"]) == (
            "quarantine_fix",
            [row["id"]],
            {"quantity": "1250.50"},
        )
        assert (release[0], release[1]["ids"], release[2]) == (
            "quarantine_release", [row["id"]], "a thousands separator",
        )  # fmt: skip
        await deck.press("escape")
        assert "quarantine 213 !" in deck.text()

    flow(steps)


def test_hold_override(flow: Play) -> None:
    async def steps(deck: Console) -> None:
        await deck.onto("EUR/USD is held")
        await deck.do("go")
        await deck.onto("EUR/USD")
        await deck.do("hold")
        await deck.into("reason", "the bank confirmed the fixing")
        await deck.choose("Use the end-of-day rate once")
        assert kept(deck) == [
            ("fx_use_eod_once", {"pair": "EUR/USD"}, "the bank confirmed the fixing"),
        ]
        assert "20 held closes of 5m will be valued by the fixing" in deck.text()

    flow(steps)


def test_transfer_match(flow: Play) -> None:
    async def steps(deck: Console) -> None:
        await deck.onto("transfers without their other side")
        await deck.do("go")
        await deck.onto("kraken")
        out = deck.client.transfers.loose[0]
        await deck.do("match")
        await deck.choose("binance")
        await deck.into("reason", "same amount, the exchange says so")
        (label,) = [one for one in choices(deck) if one != "Cancel"]
        await deck.choose(label)
        ((name, arguments, why),) = kept(deck)
        assert (name, arguments["out"], why) == (
            "transfer_match", out["id"], "same amount, the exchange says so",
        )  # fmt: skip

    flow(steps)


def test_exclude_spam(flow: Play) -> None:
    async def steps(deck: Console) -> None:
        await deck.do("assets")
        await deck.onto("erc20")
        await deck.do("asset_status")
        await deck.choose("excluded")
        await deck.into("reason", "nobody sent for it")
        (label,) = [one for one in choices(deck) if one != "Cancel"]
        await deck.choose(label)
        ((name, arguments, why),) = kept(deck)
        assert (name, arguments["assets"], arguments["status"], why) == (
            "asset_set", [SPAM], "excluded", "nobody sent for it",
        )  # fmt: skip

    flow(steps)


def test_drill(flow: Play) -> None:
    async def steps(deck: Console) -> None:
        await deck.do("backups")
        await deck.do("drill")
        await deck.choose("Run a drill")
        assert kept(deck)[0][:2] == ("backup_drill", {})
        assert "✓ drill passed" in deck.text()

    flow(steps)


def test_compact(flow: Play) -> None:
    async def steps(deck: Console) -> None:
        await deck.do("storage")
        await deck.do("compact")
        assert "re-encode   410 files" in deck.text()  # the plan comes first
        assert kept(deck) == []
        (label,) = [one for one in choices(deck) if one != "Cancel"]
        await deck.choose(label)
        assert [name for name, _, _ in kept(deck)] == ["compact"]

    flow(steps)


def test_find_a_lot__and_the_rows_it_came_from(flow: Play) -> None:
    async def steps(deck: Console) -> None:
        await deck.do("nav")
        await deck.do("lots")
        await deck.filter("asset:ETH")
        assert deck.client.queries[-1].arguments["asset"] == "ETH"
        await deck.do("detail")
        assert ".csv" in deck.text()
        assert kept(deck) == []

    flow(steps)


def choices(deck: Console) -> list[str]:
    """What the form on top offers."""
    return [one.label for one in deck.app.screen.query("Choice").results(Choice)]
