"""What an operator does at the quarantine desk, asserted by what the engine was asked and what is shown."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from console import actions
from console.fake import FakeClient, overview
from console.modals.ask import Question
from console.modals.bulk import BulkForm
from console.modals.pick import Pick
from console.modals.row import RowPage
from console.screens import lists, pages
from console.screens.quarantine import Quarantine
from engine.api import Command, EngineError, Result, UsageError
from tests.console.deck_driver import Console, console

HOSTILE = "\x1b]52;c;ZXZpbA==\x07[/nope][red]boo[/red]\x9b31m\u202e"
NEXT, BEFORE, ALL = "right_square_bracket", "left_square_bracket", "asterisk"
PRICES, CONFLICTS, QUANTITIES = [NEXT], [NEXT] * 2, [NEXT] * 3  # from "all" to the chip of the reason
SUGGESTED = ["e", "tab", "enter"]  # of one row: the suggestion taken over
MARKED = ["space"] * 3  # the first three rows


def scenario(run: Callable[[Console], Awaitable[None]], *keys: str, **how: Any) -> None:
    """Opens the quarantine, presses the keys, then runs."""

    async def whole() -> None:
        async with console(screen=actions.QUARANTINE, **how) as deck:
            await deck.press(*keys)
            await run(deck)

    asyncio.run(whole())


def mended() -> FakeClient:
    """An engine whose first three rows were corrected before, in one act, and would pass now."""
    client = FakeClient()
    rows = client.desk.rows
    rows.sort(key=lambda row: row["reasons"][0]["code"] != "QUANTITY_INVALID")
    wanted = {"ids": [row["id"] for row in rows[:3]], "suggested": True}
    client.desk.acts["quarantine_fix"](Command("quarantine_fix", wanted, actor="ada", reason="commas"))
    return client


def head(deck: Console) -> str:
    return deck.text().splitlines()[1]


def asked(deck: Console, name: str) -> list[dict[str, Any]]:
    return [query.arguments for query in deck.client.queries if query.name == name]


def ids(deck: Console, *places: int) -> list[str]:
    return [deck.client.desk.rows[place]["id"] for place in places]


# -- marks and filters --------------------------------------------------------------------------------


def test_space__marks_the_row_and_goes_on__again_takes_it_away() -> None:
    async def run(deck: Console) -> None:
        assert "■ 2 marked" in head(deck)
        assert deck.rows.cursor == 2
        await deck.press("k", "space")
        assert "■ 1 marked" in head(deck)

    scenario(run, "space", "space")


def test_range__every_row_between__shown_before_it_is_marked() -> None:
    async def run(deck: Console) -> None:
        assert "□ range of 3" in head(deck)
        await deck.press("v")
        assert "■ 3 marked" in head(deck)
        await deck.press("v", "j", "escape")
        assert "range" not in head(deck)
        assert isinstance(deck.app.screen, Quarantine)

    scenario(run, "j", "j", "j", "v", "k", "k")


def test_range__over_rows_not_here__asks_for_their_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "PAGES_KEPT", 2)
    for module in (pages, lists):
        monkeypatch.setattr(module, "PAGE_ROWS", 50)

    async def run(deck: Console) -> None:
        assert "■ 213 marked" in head(deck)
        assert asked(deck, "quarantine_ids") == [{}]

    scenario(run, "j", "v", "G", "v")


def test_marks__survive_filter_chip_and_paging__cleared_by_u() -> None:
    async def run(deck: Console) -> None:
        await deck.press(NEXT, "slash")
        await deck.paste("sell")
        await deck.press("enter", "G", "escape", BEFORE)
        assert "214 of 214 rows  ■ 1 marked" in head(deck)
        await deck.press("u")
        assert "marked" not in head(deck)
        await deck.press("u")
        assert any("nothing is marked" in toast for toast in deck.toasts())

    scenario(run, "space")


def test_mark_all__only_what_the_filter_lets_through() -> None:
    async def run(deck: Console) -> None:
        await deck.press("slash")
        await deck.paste("account:cold")
        await deck.press("enter", ALL)
        assert asked(deck, "quarantine_ids") == [{"reason": "PRICE_MISSING", "account": "cold"}]
        rows = [row for row in deck.client.desk.rows if row["row"]["account"] == "cold"]
        wanted = [row for row in rows if row["reasons"][0]["code"] == "PRICE_MISSING"]
        assert f"■ {len(wanted)} marked" in head(deck)

    scenario(run, *PRICES)


def test_mark_all__filter_that_is_not_understood__marks_nothing() -> None:
    async def run(deck: Console) -> None:
        await deck.press("slash")
        await deck.paste("~[x")
        assert "no regular expression" in head(deck)
        await deck.press("enter", ALL)
        assert asked(deck, "quarantine_ids") == []
        assert any("not understood" in toast for toast in deck.toasts())

    scenario(run)


def test_filter__fields_go_to_the_engine() -> None:
    async def run(deck: Console) -> None:
        await deck.press("slash")
        await deck.paste("reason:price_missing file:coin age:>2h !usd")
        wanted = {"reason": "PRICE_MISSING", "file": "coin", "older_than_s": 7200, "not_text": "usd"}
        assert deck.client.queries[-1].arguments == {"offset": 0, "limit": 200, **wanted}
        await deck.press("enter", NEXT)
        assert any("names a reason" in toast for toast in deck.toasts())

    scenario(run)


def test_filter__expression__only_rows_that_match__a_wrong_one_is_told() -> None:
    async def run(deck: Console) -> None:
        await deck.press("slash")
        await deck.paste("~^(eth|btc)$ reason:price_missing")
        rows = [row for row in deck.client.desk.rows if row["reasons"][0]["code"] == "PRICE_MISSING"]
        meant = [row for row in rows if row["row"].get("asset_id") in ("ETH", "BTC")]
        assert 0 < deck.rows.total == len(meant) < len(rows)
        await deck.press("ctrl+u")
        await deck.paste("~(btc")
        assert "no regular expression: unclosed" in head(deck)

    scenario(run)


def test_status__released_rows_are_shown__acts_say_why_not() -> None:
    async def run(deck: Console) -> None:
        await deck.press("slash")
        await deck.paste("status:released")
        await deck.press("enter")
        assert "Quarantine  1 row, released" in head(deck)
        await deck.press("R")
        assert any("release: this row is not open" in toast for toast in deck.toasts())
        assert deck.sent() == []

    client = FakeClient()
    client.desk.rows[3]["status"] = "released"
    scenario(run, client=client)


# -- fix ----------------------------------------------------------------------------------------------


def test_fix_one__suggestion_taken__checked__applied__then_marked() -> None:
    async def run(deck: Console) -> None:
        (row,) = [row for row in deck.client.desk.rows if row["line"] == 6]
        assert "QUANTITY_INVALID: Not a plain decimal" in deck.text()
        assert deck.focused == "f-quantity"
        await deck.press("enter")
        wanted = {"ids": [row["id"]], "set": {"quantity": "1250.50"}}
        assert deck.sent(dry_run=True) == [("quarantine_fix", wanted)]
        assert "✓ 1 would pass" in deck.text()
        assert deck.focused == "Cancel"
        await deck.press("tab", "enter")
        assert deck.sent() == [("quarantine_fix", wanted)]
        assert "✓ fixed 1 row: 1 passes now; marked, R releases" in deck.text()
        assert "21 of 214 rows  ■ 1 marked" in head(deck)

    scenario(run, *QUANTITIES, *SUGGESTED)


def test_fix_one__enter_after_the_check__is_cancel() -> None:
    async def run(deck: Console) -> None:
        assert isinstance(deck.app.screen, Quarantine)
        assert deck.sent() == []
        assert len(deck.sent(dry_run=True)) == 1

    scenario(run, *QUANTITIES, *SUGGESTED, "enter", "enter")


def test_fix_one__typed_after_the_check__must_be_checked_again() -> None:
    async def run(deck: Console) -> None:
        await deck.press("enter")
        deck.app.screen.query_one("#f-quantity").focus()
        await deck.paste("x")
        assert "would pass" not in deck.text()
        await deck.press("enter")
        assert deck.client.commands[-1].arguments["set"] == {"quantity": "x"}  # typing replaces what is there
        assert "! 1 still fails" in deck.text()
        assert deck.focused == "f-quantity"  # what is still wrong
        await deck.choose("Apply")
        assert "fixed 1 row: 0 pass now, ! 1 still fails" in deck.text()
        assert "marked" not in deck.text()

    scenario(run, *QUANTITIES, *SUGGESTED)


def test_fix_one__nothing_changed__is_not_asked() -> None:
    async def run(deck: Console) -> None:
        assert any("Nothing is changed" in toast for toast in deck.toasts())
        assert deck.client.commands == []
        await deck.press("escape")
        assert isinstance(deck.app.screen, Quarantine)

    scenario(run, "e", "enter")


def test_fix_one__what_is_typed_goes_as_it_is() -> None:
    typed = "[red]'; DROP TABLE tx;-- {0} "

    async def run(deck: Console) -> None:
        await deck.paste(typed)
        await deck.press("enter")
        assert deck.client.commands[-1].arguments["set"] == {"unit_price_usd": typed}

    scenario(run, "e")


def test_fix_one__row_with_too_few_columns__those_it_lacks_are_all_sent() -> None:
    client = FakeClient()
    row = client.desk.rows[0]
    kept = dict(list(row["row"].items())[:12])
    reason = {"code": "COLUMN_COUNT", "column": "", "value": "12", "hint": "Too few columns."}
    row |= {"row": kept, "reasons": [reason]}
    client.desk.acts["quarantine_fix"] = lambda command: {
        "rows": [{"id": row["id"], "before": {}, "after": {}, "passes": True, "reasons": []}],
        "would_pass": 1, "still_fail": 0, "decisions": [],
    }  # fmt: skip

    async def run(deck: Console) -> None:
        assert "COLUMN_COUNT: Too few columns." in deck.text()
        await deck.press("enter")
        assert deck.client.commands[-1].arguments["set"] == {"external_id": "", "notes": ""}

    scenario(run, "e", client=client)


def test_fix_many__column_set_in_all__preview_says_who_still_fails() -> None:
    async def run(deck: Console) -> None:
        assert "Fix 120 rows" in deck.app.screen.query_one("#form").border_title
        assert deck.text().splitlines()[1] == "unit_price_usd"
        await deck.paste("2500")
        await deck.press("enter")
        text = deck.text()
        assert "118 would pass, ! 2 still fail" in text
        shown = [told for told in text.splitlines() if "PRICE_MISSING" in told or "✓ passes" in told]
        assert len(shown) == 3
        assert sum("! IDEMPOTENCY" in told for told in text.splitlines()) == 2
        assert "and 115 more" in text
        assert deck.focused == "Cancel"
        await deck.press("right", "enter")
        ((name, arguments),) = deck.sent()
        assert (name, arguments["set"], len(arguments["ids"])) == (
            "quarantine_fix", {"unit_price_usd": "2500"}, 120,
        )  # fmt: skip
        assert "fixed 120 rows: 118 pass now, ! 2 still fail" in deck.text()

    scenario(run, *PRICES, ALL, NEXT, "space", "space", "e")


def test_fix_many__suggestions__are_the_engine_s_for_each_row() -> None:
    async def run(deck: Console) -> None:
        ((name, arguments),) = deck.sent()
        assert (name, arguments.get("suggested"), "set" in arguments) == ("quarantine_fix", True, False)
        assert len(arguments["ids"]) == 22
        assert "[QUANTITY_INVALID 0]" in deck.text()
        assert "0 of 214 rows  ■ 22 marked" in head(deck)

    scenario(run, *QUANTITIES, ALL, "e", "tab", "enter", "right", "enter")


def test_fix_many__unknown_column__is_told_and_the_form_stays() -> None:
    async def run(deck: Console) -> None:
        deck.app.screen.query_one("#column").value = "colour"  # type: ignore[attr-defined]
        await deck.press("enter")
        assert any("no column 'colour'" in toast and "Columns: " in toast for toast in deck.toasts())
        assert isinstance(deck.app.screen, BulkForm)
        assert deck.app.screen.query_one("#apply").disabled

    scenario(run, "space", "space", "e")


# -- release ------------------------------------------------------------------------------------------


def test_release__tried_first__question_names_what_goes_where__cancel_is_first() -> None:
    async def run(deck: Console) -> None:
        assert [name for name, _ in deck.sent(dry_run=True)][-1] == "quarantine_release"
        text = deck.text()
        for words in ("3 rows new in the books, 0 there already", "coinbase_2026-02.csv", "cold, main",
                      "2026-03-03 22:05Z to 2026-03-04 11:39Z"):  # fmt: skip
            assert words in text
        assert deck.focused == "Cancel"
        await deck.press("enter")
        assert deck.sent() == []

    scenario(run, *MARKED, "R", client=mended())


def test_release__some_refused__they_keep_their_marks__why_goes_with_it() -> None:
    async def run(deck: Console) -> None:
        assert "! 2 rows refused, to stay here" in deck.text()
        assert "2 QUANTITY_INVALID: Not a plain decimal" in deck.text()
        deck.app.screen.query_one("#reason").focus()
        await deck.paste("checked by hand")
        await deck.press("enter", "right", "enter")
        command = deck.client.commands[-1]
        assert (command.name, command.dry_run, command.reason) == (
            "quarantine_release",
            False,
            "checked by hand",
        )
        assert len(command.arguments["ids"]) == 5
        assert command.actor
        assert "released 3 rows: 3 new, 0 there already  ! 2 refused: QUANTITY_INVALID" in deck.text()
        assert "quarantine 211 !" in deck.text().splitlines()[0]
        assert "■ 2 marked" in head(deck)

    scenario(run, *MARKED, "space", "space", "R", client=mended())


def test_release__nothing_would_pass__only_cancel_is_offered() -> None:
    async def run(deck: Console) -> None:
        assert "Nothing can be released as it is" in deck.text()
        assert [choice.label for choice in deck.app.screen.query("Choice").results()] == ["Cancel"]  # type: ignore[attr-defined]

    scenario(run, "R")


@pytest.mark.parametrize(
    ("moves", "wanted", "told"),
    [
        (["j"], {"as_leg": True, "supersede": None}, "as a further leg"),
        (["j", "j"], {"as_leg": False, "supersede": "019c2f3a-5b07-7d41-9c3e-0242ac120002"}, "in place of"),
    ],
    ids=["as_leg", "supersede"],
)
def test_release__conflict__as_chosen(moves: list[str], wanted: dict[str, Any], told: str) -> None:
    async def run(deck: Console) -> None:
        assert "this row" in deck.text()
        assert "BUY 2.5 SOL at 2411.75, main" in deck.text()
        await deck.press(*moves, "enter")
        assert told in deck.text()
        assert deck.focused == "Cancel"
        await deck.press("right", "enter")
        assert deck.sent() == [("quarantine_release", {"ids": ids(deck, 6), **wanted})]
        tried = [arguments for _, arguments in deck.sent(dry_run=True)]
        assert tried[-1] == {"ids": ids(deck, 6), **wanted}

    scenario(run, *CONFLICTS, "R")


def test_release__conflict__first_way_is_cancel() -> None:
    async def run(deck: Console) -> None:
        assert isinstance(deck.app.screen, Quarantine)
        assert deck.sent() == []

    scenario(run, *CONFLICTS, "R", "enter")


def test_release__row_without_tx_hash__is_never_offered_as_a_leg() -> None:
    client = FakeClient()
    client.desk.rows[6]["row"]["tx_hash"] = ""

    async def run(deck: Console) -> None:
        assert isinstance(deck.app.screen, Pick)
        assert "further leg" not in deck.text()

    scenario(run, *CONFLICTS, "R", client=client)


def test_release__many_rows__a_word_must_be_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "BULK_ROWS", 2)

    async def run(deck: Console) -> None:
        assert deck.app.screen.query_one("#release").disabled
        deck.app.screen.query_one("#word").focus()
        await deck.paste("releas")
        assert deck.app.screen.query_one("#release").disabled
        await deck.paste("e")
        assert not deck.app.screen.query_one("#release").disabled
        await deck.press("enter", "right", "enter")
        assert [name for name, _ in deck.sent()] == ["quarantine_release"]

    scenario(run, *MARKED, "R", client=mended())


# -- reject and undo ----------------------------------------------------------------------------------


def test_reject__needs_a_reason() -> None:
    async def run(deck: Console) -> None:
        assert deck.focused == "reason"
        await deck.paste("  ")
        assert deck.app.screen.query_one("#reject").disabled
        await deck.press("enter", "enter")
        assert deck.sent() == []
        await deck.press("x")
        await deck.paste("test data")
        await deck.press("enter", "right", "enter")
        command = deck.client.commands[-1]
        assert (command.name, command.arguments, command.reason) == (
            "quarantine_reject", {"ids": ids(deck, 0, 1)}, "test data",
        )  # fmt: skip
        assert "rejected 2 rows" in deck.text()
        assert "212 of 212 rows" in head(deck)
        assert "marked" not in head(deck)

    scenario(run, "space", "space", "x")


def test_undo__shows_the_newest_decision__takes_back_that_one() -> None:
    async def run(deck: Console) -> None:
        assert asked(deck, "decisions") == [{"limit": 200, "offset": 0}]
        assert "quantity 1,250.50 → 1250.50" in deck.text()
        assert "one of 3 rows decided in one act" in deck.text()
        assert deck.focused == "Cancel"
        await deck.press("right", "right", "enter")
        assert deck.sent() == [("undo", {"decision": 3})]
        assert "undid 1 decision" in deck.text()
        assert "QUANTITY_INVALID 20" in deck.text()

    scenario(run, "z", client=mended())


def test_undo__nothing_decided__says_so() -> None:
    async def run(deck: Console) -> None:
        assert any("no decision that can be undone" in toast for toast in deck.toasts())
        assert isinstance(deck.app.screen, Quarantine)

    scenario(run, "z")


def test_undo__act_of_many_rows__says_how_many_then_takes_all_back_as_one() -> None:
    async def run(deck: Console) -> None:
        assert "Undo all 3 of this act" in deck.text()
        await deck.press("right", "enter")
        assert deck.sent() == [("undo", {"decision": 3, "whole": True})]
        assert "undid 3 decisions" in deck.text()

    scenario(run, "z", client=mended())


def test_undo__one_of_the_act_cannot_go__says_why_and_asks_nothing() -> None:
    client = mended()

    def none(_command: Any) -> Any:
        raise UsageError("1 of the 3 decisions of this act cannot be taken back.", "It is valued already.")

    client.desk.acts["undo"] = none

    async def run(deck: Console) -> None:
        assert any("cannot be taken back" in toast and "valued already" in toast for toast in deck.toasts())
        assert isinstance(deck.app.screen, Quarantine)
        assert deck.sent() == []

    scenario(run, "z", client=client)


# -- the row's page -----------------------------------------------------------------------------------


def test_row__opened__tells_all_that_is_known() -> None:
    async def run(deck: Console) -> None:
        text = deck.text()
        collides = ("Stored rows it collides with", "kraken_2026-03-01.csv line 47")
        came = ("The row as it came", "Its line in the file", ",2026-03-04T10:25:00Z,BUY,SOL,")
        assert [words for words in ("! IDEMPOTENCY_CONFLICT", *collides, *came) if words not in text] == []
        await deck.press("c")
        assert '"conflicts"' in deck.app.clipboard

    scenario(run, *CONFLICTS, "enter", size=(160, 45))


def test_row__acts_work_from_its_page__which_then_shows_what_is_true_now() -> None:
    async def run(deck: Console) -> None:
        await deck.press("enter", *SUGGESTED, "enter", "tab", "enter")
        assert isinstance(deck.app.screen, RowPage)
        for words in ("✓ no rule is broken now", "1250.50  was 1,250.50", "Decisions, newest first", "1 fix"):
            assert words in deck.text()
        await deck.press("R", "right", "enter")
        assert "✓ released  fixed" in deck.text()
        await deck.press("x")
        assert any("reject: this row is not open" in toast for toast in deck.toasts())
        assert [name for name, _ in deck.sent()] == ["quarantine_fix", "quarantine_release"]

    scenario(run, *QUANTITIES, size=(100, 60))


# -- what cannot be done says why ---------------------------------------------------------------------


def test_read_only__writing_keys_say_why() -> None:
    async def run(deck: Console) -> None:
        assert [toast for toast in deck.toasts() if "read-only" in toast] == deck.toasts()
        assert len(deck.toasts()) == 4
        assert deck.client.commands == []
        assert isinstance(deck.app.screen, Quarantine)

    scenario(run, "e", "R", "x", "z", client=FakeClient(overview() | {"read_only": True}))


def test_empty_quarantine__keys_say_why() -> None:
    async def run(deck: Console) -> None:
        assert len([toast for toast in deck.toasts() if "no row here" in toast]) == 6
        assert deck.client.commands == []

    client = FakeClient()
    client.desk.rows.clear()
    scenario(run, "e", "R", "x", "space", "v", ALL, client=client)


def test_error_of_a_command__is_told_with_its_hint__the_screen_stays() -> None:
    client = FakeClient()

    def stale(_command: Any) -> Any:
        raise UsageError("Row 5f3a91c07e42-1 is released already.", "r shows the newest.")

    client.desk.acts["quarantine_release"] = stale

    async def run(deck: Console) -> None:
        assert any("released already.\nr shows the newest." in toast for toast in deck.toasts())
        assert isinstance(deck.app.screen, Quarantine)
        await deck.press("R")
        assert len(deck.toasts()) == 2

    scenario(run, "R", client=client)


def test_fault_in_the_engine__is_told__the_console_lives() -> None:
    client = FakeClient()

    def broken(_arguments: Any) -> Any:
        raise KeyError("row")

    client.desk.answers["quarantine_show"] = broken

    async def run(deck: Console) -> None:
        assert any("Something failed that should not: KeyError: 'row'" in toast for toast in deck.toasts())
        assert isinstance(deck.app.screen, Quarantine)

    scenario(run, "enter", client=client)


def test_act_under_way__another_one_is_not_begun() -> None:
    client = mended()
    do = client.do
    release: list[asyncio.Future[None]] = []

    async def slow(command: Any) -> Result:
        if not command.dry_run:
            release.append(asyncio.get_running_loop().create_future())
            await release[0]
        return await do(command)

    async def run(deck: Console) -> None:
        client.do = slow  # type: ignore[method-assign]
        await deck._pilot.press("right", "enter")
        await deck.until(lambda: bool(release))
        await deck._pilot.pause()
        assert "▸ releasing 3 rows …" in deck.text()
        await deck._pilot.press("z")
        await deck._pilot.pause()
        assert any("release is still under way" in toast for toast in deck.toasts())
        release[0].set_result(None)
        await deck.settle()
        assert "released 3 rows" in deck.text()

    scenario(run, *MARKED, "R", client=client)


def test_hostile_data__is_only_text_in_every_form() -> None:
    client = FakeClient()
    row = client.desk.rows[0]
    reason = {"code": "ACCOUNT_MISSING", "column": "account", "value": HOSTILE, "hint": HOSTILE}
    row |= {"file": HOSTILE, "reasons": [reason], "row": row["row"] | {"account": HOSTILE, "notes": HOSTILE}}
    show = client.desk.answers["quarantine_show"]
    more = {"suggestions": [{"column": "account", "value": HOSTILE, "why": HOSTILE}], "raw": HOSTILE}
    client.desk.answers["quarantine_show"] = lambda wanted: show(wanted) | more

    async def run(deck: Console) -> None:
        for keys in (["enter"], ["escape", "e"], ["escape", "R"], ["escape", "x"]):
            await deck.press(*keys)
            assert "[/nope]" in deck.text()
            assert not any(sign in deck.text() for sign in "\x1b\x07\x9b\u202e")

    scenario(run, client=client)


# -- the preview of the inbox -------------------------------------------------------------------------


def test_preview__tries_the_inbox__tells_new_seen_conflicting_bad() -> None:
    async def run(deck: Console) -> None:
        await deck.press("2", "d")
        assert deck.sent() == []
        assert deck.sent(dry_run=True) == [("ingest", {"paths": []})]
        (told,) = [line.split() for line in deck.text().splitlines() if "bitst" in line]
        assert told[-4:] == ["1,204", "731", "4", "21"]
        for words in (
            "PRICE_MISSING 15, QUANTITY_INVALID 6",
            "refused: FILE_HEADER",
            "Nothing of this is stored",
        ):
            assert words in deck.text()

    scenario(run)


def test_preview__in_a_read_only_console__is_allowed__with_an_empty_inbox_not() -> None:
    async def run(deck: Console) -> None:
        await deck.press("2", "d", "escape")
        assert len(deck.client.commands) == 1
        await deck.tell("inbox", {"waiting": [], "others": []})
        await deck.press("d")
        assert any("no file waits" in toast for toast in deck.toasts())
        assert len(deck.client.commands) == 1

    scenario(run, client=FakeClient(overview() | {"read_only": True}))


def test_preview__failure__is_told_and_the_page_goes() -> None:
    async def run(deck: Console) -> None:
        await deck.press("2")
        deck.client.failing = EngineError("The disk is full.", "Make room.")
        await deck.press("d")
        assert any("The disk is full.\nMake room." in toast for toast in deck.toasts())
        assert deck.app.screen.query("#list")

    scenario(run)


def test_palette__offers_the_desk_s_acts_only_where_they_work() -> None:
    async def run(deck: Console) -> None:
        await deck.palette("reject")
        assert isinstance(deck.app.screen, Question)

    scenario(run)


def test_filter__that_is_not_understood__is_told_whole_at_80_columns() -> None:
    async def run(deck: Console) -> None:
        for typed, told in (
            ("reason:_", "type more of it  esc clears it"), ("reason:i file:!x", "takes no ! and no ~ here"),
            ("age:soon", "age: takes >30m, >2h or >3d  esc clears it"),
        ):  # fmt: skip
            await deck.filter(typed)
            head = next(one for one in deck.text().splitlines() if one.startswith("Quarantine"))
            assert told in head
            await deck.press("escape")

    scenario(run)


def test_quarantine__empty__says_that_nothing_is_set_aside() -> None:
    async def run(deck: Console) -> None:
        await deck.tell("quarantine", {"open": 0, "by_reason": {}, "oldest": None})
        assert "Quarantine  ✓ nothing is set aside" in deck.text()

    scenario(run)
