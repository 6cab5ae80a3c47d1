"""The transfers in the console, asserted by what the engine was asked and what is shown."""

import asyncio
from collections.abc import Awaitable, Callable

from console.fake import FakeClient
from console.modals.ask import Question
from console.modals.pick import Pick
from console.modals.settle import SettleForm
from console.screens.nav import Nav
from console.screens.transfer_lines import Item, item_lines
from console.screens.transfers import Transfers
from engine.api import EngineError
from tests.console.deck_driver import Console, console

AFTER = "right_square_bracket"
RESIDUALS = ["j"] * 3 + ["space"] * 2  # the two small rests of ETH, marked


def scenario(run: Callable[[Console], Awaitable[None]], *keys: str, client: FakeClient | None = None) -> None:
    """Opens the transfers from the NAV screen, presses the keys, then runs."""

    async def whole() -> None:
        async with console(client, screen="nav", size=(160, 45)) as deck:
            await deck.press("t", *keys)
            await run(deck)

    asyncio.run(whole())


def rows(deck: Console) -> list[str]:
    """The states that are listed, in their order."""
    screen = deck.app.screen
    assert isinstance(screen, Transfers)
    return [item.state for item in screen._shown]


def loose(deck: Console, *places: int) -> list[str]:
    return [deck.client.transfers.loose[place]["id"] for place in places]


def test_list__what_waits_for_somebody_first__its_reason_and_candidates_beside_it() -> None:
    async def run(deck: Console) -> None:
        assert rows(deck) == ["unmatched"] * 6 + ["in_transit"] + ["matched"] * 3
        told = deck.text()
        assert "NO_HASH_NO_ID" in told
        assert "0.7495  cold  2026-03-02 11:07Z, 1.0 h later" in told
        assert "t Transfers" not in told
        await deck.press("end")
        assert "✓ matched" in deck.text()

    scenario(run)


def test_states__chosen_by_brackets__and_esc_leads_back_to_nav() -> None:
    async def run(deck: Console) -> None:
        assert rows(deck) == ["unmatched"] * 6
        await deck.press(AFTER, AFTER)
        assert rows(deck) == ["matched"] * 3
        await deck.press("left_square_bracket")
        assert rows(deck) == ["in_transit"]
        await deck.press("escape")
        assert isinstance(deck.app.screen, Nav)

    scenario(run, AFTER)


def test_filter__by_what_a_row_tells__esc_clears_it_first() -> None:
    async def run(deck: Console) -> None:
        await deck.paste("usdt")
        await deck.press("enter")
        assert rows(deck) == ["matched"]
        await deck.press("escape")
        assert len(rows(deck)) == 10

    scenario(run, "slash")


def test_match__candidate_chosen__looked_at__reason__then_done() -> None:
    async def run(deck: Console) -> None:
        pair = {"out": loose(deck, 0)[0], "in": loose(deck, 2)[0]}
        await deck.press("m")
        assert isinstance(deck.app.screen, Pick)
        await deck.press("j", "j", "enter")
        assert isinstance(deck.app.screen, Question)
        assert deck.sent(dry_run=True) == [("transfer_match", pair)]
        assert "moves  0.75 BTC" in deck.text()
        await deck.press("tab", "enter")
        assert deck.sent() == []
        await deck.press("m", "j", "j", "enter")
        await deck.type("same coins")
        await deck.press("enter", "right", "enter")
        assert deck.sent() == [("transfer_match", pair)]
        assert deck.client.commands[-1].reason == "same coins"
        assert rows(deck).count("unmatched") == 4
        assert "matched 0.75 BTC" in deck.text()

    scenario(run)


def test_match__from_an_in__the_one_candidate_is_looked_at_at_once() -> None:
    async def run(deck: Console) -> None:
        assert isinstance(deck.app.screen, Question)
        pair = {"out": loose(deck, 0)[0], "in": loose(deck, 1)[0]}
        assert deck.sent(dry_run=True) == [("transfer_match", pair)]

    scenario(run, "j", "m")


def test_match__nothing_near__says_where_else() -> None:
    async def run(deck: Console) -> None:
        assert any("navdeck transfers match" in toast for toast in deck.toasts())
        assert deck.client.commands == []

    scenario(run, *["j"] * 5, "m")


def test_settle__marked_rows_in_one_act__count_and_quantity_first__cancel_has_the_focus() -> None:
    async def run(deck: Console) -> None:
        assert "■ 2 marked" in deck.text()
        await deck.press("s")
        assert isinstance(deck.app.screen, Pick)
        assert "payment" not in deck.text()
        await deck.press("j", "enter")
        assert isinstance(deck.app.screen, SettleForm)
        assert "2 transfers settled as fee" in deck.text()
        assert "0.00061" in deck.text()
        await deck.press("tab")
        assert deck.focused == "Cancel"
        await deck.press("left")
        await deck.type("gas")
        await deck.press("enter")
        assert deck.focused == "Cancel"
        await deck.press("right", "enter")
        wanted = {"ids": loose(deck, 3, 4), "as": "fee", "value": None}
        assert deck.sent() == [("transfer_settle", wanted)]
        assert deck.client.commands[-1].reason == "gas"
        assert rows(deck).count("settled") == 2
        assert "marked" not in deck.text()

    scenario(run, *RESIDUALS)


def test_settle__payment__needs_its_value() -> None:
    async def run(deck: Console) -> None:
        await deck.press("s", "j", "j", "j", "j", "enter", "tab")
        await deck.type("invoice")
        await deck.press("tab", "tab")
        assert deck.focused == "value"
        await deck.type("2500")
        await deck.press("tab", "tab", "right", "enter")
        wanted = {"ids": loose(deck, 5), "as": "payment", "value": "2500"}
        assert deck.sent() == [("transfer_settle", wanted)]

    scenario(run, *["j"] * 5)


def test_settle__rows_of_both_sides__only_what_both_can_be() -> None:
    async def run(deck: Console) -> None:
        ways = deck.text()
        assert "gift: a lot; its basis is the value, if one is told; its lots leave" in ways
        assert "deposit" not in ways
        assert "fee" not in ways
        await deck.press("escape")
        assert isinstance(deck.app.screen, Transfers)
        assert deck.client.commands == []

    scenario(run, "space", "space", "s")


def test_matched_row__cannot_be_settled_or_marked__and_says_so() -> None:
    async def run(deck: Console) -> None:
        await deck.press("s", "m", "space")
        toasts = " ".join(deck.toasts())
        assert "settle: nothing of this transfer is left over" in toasts
        assert "match: nothing of this transfer is left over" in toasts
        assert "Only what is left over can be marked" in toasts
        assert deck.client.commands == []

    scenario(run, "end")


def settled_before() -> FakeClient:
    """An engine with one act that settled two transfers, after a release at the quarantine desk."""
    client = FakeClient()
    kinds = ("transfer_settle", "transfer_settle", "release")
    for number, kind in enumerate(kinds, 1):
        client.desk.decisions.append({
            "decision": number, "kind": kind, "subject": {"tx": f"018df903-{number}"},
            "detail": {"as": "fee", "value": None, "quantity": "0.01"}, "actor": "ada", "reason": "gas",
            "undone_by": None, "at": "2026-03-04T12:00:00Z",
        })  # fmt: skip
        client.desk._undo[number] = (client.desk.rows[0], {})
    return client


def test_undo__the_newest_act_on_transfers__all_of_it() -> None:
    async def run(deck: Console) -> None:
        told = deck.text()
        assert "0.01 as fee" in told
        assert "018df903-2" in told
        assert "one of 2 rows decided in one act" in told
        await deck.press("right", "enter")
        assert deck.sent() == [("undo", {"decision": 2, "whole": True})]
        assert "undid 2 decisions" in deck.text()

    scenario(run, "z", client=settled_before())


def test_engine_fails__told_where_the_list_would_be() -> None:
    client = FakeClient()

    async def run(deck: Console) -> None:
        client.failing = EngineError("The store is busy.")
        await deck.press("t", "t")
        assert "The store is busy." in deck.text()

    async def whole() -> None:
        async with console(client, screen="nav", size=(160, 45)) as deck:
            await run(deck)

    asyncio.run(whole())


def test_from_any_screen__by_key__and_help_tells_of_it() -> None:
    async def whole() -> None:
        async with console(screen="events", size=(160, 45)) as deck:
            await deck.press("t")
            assert isinstance(deck.app.screen, Transfers)
            await deck.press("question_mark")
            assert "On Transfers" in deck.text()
            await deck.press("escape", "escape")
            assert not isinstance(deck.app.screen, Transfers)

    asyncio.run(whole())


def test_row__that_nothing_comes_near__names_the_key_that_settles_it() -> None:
    row = {
        "id": "x", "side": "OUT", "account": "main", "asset_id": "XRP", "at": "2026-03-04T00:00:00Z",
        "age_s": 60, "quantity": "1", "whole": "1", "tx_hash": None, "external_id": None, "settled": None,
        "candidates": [],
        "why": {"code": "HASH_NOT_SEEN", "text": "no row of the other side has its tx_hash"},
    }  # fmt: skip
    told = " ".join("".join(text for text, _ in one) for one in item_lines(Item("unmatched", row), 66))
    assert "s says what it was" in told
    assert "m matches" not in told
