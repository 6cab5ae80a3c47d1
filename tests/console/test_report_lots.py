"""What an operator finds in the lots: from a figure to its source row, by keys; and a sale imagined."""

import asyncio
import re
from collections.abc import Awaitable, Callable

import pytest

from console import actions
from console.fake import FakeClient
from console.modals.lots import TracePage, WhatIf
from console.screens.filtering import LOTS, asked
from console.screens.lot_lines import gain_piece, imagined_lines, trace_entries
from console.screens.lots import Lots
from engine.api import EngineError
from tests.console.deck_driver import Console, console


def scenario(run: Callable[[Console], Awaitable[None]], *keys: str, client: FakeClient | None = None) -> None:
    """Opens the lots over NAV, presses the keys, then runs."""

    async def whole() -> None:
        async with console(client, screen=actions.NAV) as deck:
            await deck.press("l", *keys)
            await run(deck)

    asyncio.run(whole())


def test_find_a_lot__from_the_gain_to_its_source_row__and_back() -> None:
    async def run(deck: Console) -> None:
        assert "640 open lots, FIFO" in deck.text()
        await deck.press("tab")
        assert "2,350 realized pieces" in deck.text()
        assert re.search(r"▸ +20\d\d-\d\d-\d\d \d\d:\d\dZ ", deck.text())
        await deck.press("slash")
        await deck.paste("asset:ETH !fee")
        await deck.press("enter")
        wanted = [query.arguments for query in deck.client.queries if query.name == "lots_page"][-1]
        assert wanted == {"state": "realized", "offset": 0, "limit": 200, "asset": "ETH", "not_text": "fee"}
        assert "BTC" not in "\n".join(deck.text().splitlines()[4:-2])
        await deck.press("enter")
        assert isinstance(deck.app.screen, TracePage)
        assert "coinbase_2026-03.csv line 218" in deck.text()
        assert "kraken_2025-11.csv line 41" in deck.text()
        await deck.press(*["down"] * 8, "enter")
        assert "Its line in the file" in deck.text()
        await deck.press("escape")
        assert isinstance(deck.app.screen, TracePage)
        await deck.press("escape")
        assert isinstance(deck.app.screen, Lots)
        await deck.press("escape")
        assert "2,350 realized pieces" in deck.text()
        await deck.press("escape")
        assert not isinstance(deck.app.screen, Lots)

    scenario(run)


def test_scroll__a_page_at_a_time__never_all_of_them() -> None:
    async def run(deck: Console) -> None:
        await deck.press("tab", "G")
        pages = [query.arguments for query in deck.client.queries if query.name == "lots_page"]
        assert {page["limit"] for page in pages} == {200}
        assert pages[-1]["offset"] == 2_200
        assert deck.rows.cursor == 2_349

    scenario(run)


def test_what_if__three_methods_side_by_side__nothing_is_commanded() -> None:
    async def run(deck: Console) -> None:
        assert isinstance(deck.app.screen, WhatIf)
        await deck.type("900")
        await deck.press("enter")
        assert all(word in deck.text() for word in ("FIFO", "LIFO", "HIFO", "short term", "taken, left"))
        wanted = [query.arguments for query in deck.client.queries if query.name == "what_if"]
        assert [(one["price"], one["at"]) for one in wanted] == [("900", None)]
        await deck.type("1")
        assert "HIFO" not in deck.text()
        await deck.press("escape")
        assert isinstance(deck.app.screen, Lots)
        assert deck.client.commands == []

    scenario(run, "w")


def test_what_if__more_than_is_held__is_said_above_the_figures() -> None:
    column = {
        **{f"{name}_usd": "1" for name in ("proceeds", "cost_basis", "gain", "gain_short", "gain_long")},
        "gain_unknown_usd": "1", "insufficient": "4997.5", "lots": [],
        "left": {"lots": 0, "quantity": "0", "cost_basis_usd": "0"},
    }  # fmt: skip
    sale = {"asset_id": "ETH", "methods": [column | {"method": name} for name in ("FIFO", "LIFO", "HIFO")]}
    first, heads, *_ = ("".join(text for text, _ in told) for told in imagined_lines(sale, 76))
    assert first == "! 4,997.5 ETH more than is held: that part has no basis"
    assert "FIFO" in heads


def test_lot_of_unknown_origin__says_so__opens_nothing() -> None:
    client = FakeClient()

    async def run(deck: Console) -> None:
        lots = deck.app.screen
        assert isinstance(lots, Lots)
        row = lots._pages.row(0)
        assert row is not None
        row["acquisition_tx"] = None
        await deck.press("enter")
        assert any("nothing is known" in toast for toast in deck.toasts())

    scenario(run, client=client)


def test_engine_that_fails__is_told_on_the_screen() -> None:
    client = FakeClient()

    async def run(deck: Console) -> None:
        client.failing = EngineError("The disk is gone.")
        await deck.press("tab")
        assert "The disk is gone." in deck.text()

    scenario(run, client=client)


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("", {}),
        ("2024-05 eth", {"text": "2024-05 eth"}),
        ("!~^fee asset:ETH", {"not_matching": "^fee", "asset": "ETH"}),
        ("!fee asset:ETH account:main", {"not_text": "fee", "asset": "ETH", "account": "main"}),
    ],
)
def test_filter__what_was_typed_becomes_the_question(typed: str, wanted: dict[str, str]) -> None:
    found = asked(typed, LOTS)
    assert (found.asked, found.problem) == (wanted, "")


@pytest.mark.parametrize("typed", ["~[x", "asset:", "!asset:ETH", "asset:~E"])
def test_filter__what_the_engine_cannot_do__is_told(typed: str) -> None:
    found = asked(typed, LOTS)
    assert found.problem
    assert found.asked == {}


def test_gain__its_sign_is_seen_without_colour__unknown_is_not_zero() -> None:
    assert gain_piece("-0.001") == (">−0.01", "bad")
    assert gain_piece("12.5") == ("12.50", "ok")
    assert gain_piece(None) == ("–", "muted")


def test_trace__every_source_row_can_be_opened__carried_by_is_told() -> None:
    source = {
        "tx": "t1", "action": "BUY", "timestamp": "2025-01-01T00:00:00Z", "account": "a", "asset_id": "X",
        "quantity": "1", "unit_price_usd": "", "fee_asset": "", "fee_amount": "", "file": "f.csv", "line": 2,
    }  # fmt: skip
    part = {
        "status": "in_transit", "asset_id": "X", "quantity": "1", "cost_basis_usd": "2", "flags": [],
        "by": None, "via": [{"out": source | {"tx": "t2"}, "in": source | {"tx": "t3"}}],
    }  # fmt: skip
    made = {"whole_quantity": "1", "whole_basis_usd": "2", "fee_in_basis_usd": "0"}
    trace = {"tx": source, "taken": [], "made": made, "parts": [part], "transfers": []}
    entries = trace_entries(trace, 100)
    assert {entry.tx for entry in entries} == {None, "t1", "t2", "t3"}
    text = "\n".join("".join(piece for piece, _ in entry.line) for entry in entries)
    assert "by BUY" in text
    assert "in transit" in text
