"""The tools of every list: filters of one kind, sorting by any column, marks over a range."""

import time
from decimal import Decimal
from typing import Any

import pytest
from textual.widgets import Input

from console import actions
from console.fake import FakeClient
from console.modals.jump import labels
from console.screens import lists, pages
from console.screens.base import ListScreen
from console.screens.filtering import parse
from console.screens.lists import HeldList
from console.screens.lots import Lots
from console.screens.ordering import Order, Value
from console.widgets.lines import Rows
from console.widgets.pieces import Column, cells, fitted
from tests.console.deck_driver import Console, scenario
from tests.console.test_actions import OPENED, SCREENS

HELD = [id for id, kind in (SCREENS | OPENED).items() if issubclass(kind, HeldList)]
ROWS = [
    {"name": "kraken.csv", "state": "✓ taken\ningested", "result": ""},
    {"name": "coin base.csv", "state": "! waiting\nwaiting", "result": "12 set aside"},
    {"name": "Prices.parquet", "state": "✗ refused\nrejected", "result": "FILE_HEADER at 14:05"},
]
KRAKEN, COIN, PRICES = range(3)


async def typed(deck: Console, text: str) -> None:
    await deck.press("slash", "ctrl+u")
    await deck.paste(text)
    await deck.press("enter")


def shown(deck: Console) -> list[Any]:
    screen = deck.app.screen
    assert isinstance(screen, HeldList)
    return list(screen._shown)


# -- filters ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filter_text", "found"),
    [
        ("CSV", [KRAKEN, COIN]),
        ("!csv", [PRICES]),
        ("coin base", [COIN]),
        ("~^k.*csv$", [KRAKEN]),
        ("!~^k", [COIN, PRICES]),
        ("name:coin", [COIN]),
        ('name:"coin base"', [COIN]),
        ("NAME:csv state:WAIT", [COIN]),
        ("name:!csv", [PRICES]),
        ("!name:csv", [PRICES]),
        ("!name:!csv", [KRAKEN, COIN]),
        ("state:~^(ingested|rejected)$", [KRAKEN, PRICES]),
        ("state:!~ed$", [COIN]),
        ("result:csv", []),
        ("14:05", [PRICES]),
        ("state:refused header", [PRICES]),
        ("!header name:p", [COIN][:0]),
        ("(", []),
    ],
)
def test_filter__text_not_expression_field(filter_text: str, found: list[int]) -> None:
    wanted = parse(filter_text, ["name", "state", "result"])
    assert wanted.problem == ""
    assert [ROWS.index(row) for row in wanted.passing(ROWS, lambda row: row)] == found


@pytest.mark.parametrize(
    ("filter_text", "told"),
    [("~(", "unclosed group"), ("name:~[", "unclosed"), ("name:", "name: of what?"), ("state:!~", "of what?"),
     ("~(a{1000}){1000}", "too large"), (r"~(a)\1", "backreferences"), ("~a(?=b)", "look-around")],
)  # fmt: skip
def test_filter__not_understood__says_so_and_lets_all_through(filter_text: str, told: str) -> None:
    wanted = parse(filter_text, ["name", "state"])
    assert told in wanted.problem
    assert wanted.passing(ROWS, lambda row: row) == ROWS


@pytest.mark.parametrize("hostile", ["~(a+)+$", "~(a|a)*$", "~(.*a){20}$", "~a?" * 30 + "a" * 30])
def test_filter__hostile_expression__is_linear(hostile: str) -> None:
    row = {"name": "a" * 100_000 + "!"}
    begun = time.process_time()
    parse(hostile).passing([row], lambda row: row)
    assert time.process_time() - begun < 5  # with backtracking: longer than the world stands


@pytest.mark.parametrize("screen", HELD)
def test_filter__every_column_of_every_list__by_its_word(screen: str) -> None:
    async def run(deck: Console) -> None:
        view = deck.app.screen
        assert isinstance(view, HeldList)
        total = deck.rows.total
        words = [column.word for column in view.table if column.head]
        assert len(set(words)) == len(words)
        row = shown(deck)[0]
        await deck.press("slash")
        for word, text in view.texts(row).items():
            value = text.splitlines()[-1] if text else ""
            if not word or not value:
                continue
            for sign in ("", "!"):
                field = deck.app.screen.query_one("#filter", Input)
                field.value = f'{sign}{word}:"{value}"'
                await deck.settle()
                assert (row in shown(deck)) == (sign == "")
        await deck.press("escape")
        assert deck.rows.total == total

    scenario(screen, run)


def test_filter__words_are_told_where_it_is_typed() -> None:
    async def run(deck: Console) -> None:
        await deck.press("slash")
        told = deck.app.screen.query_one("#filter").placeholder  # type: ignore[attr-defined]
        assert told.startswith("text, !not, ~expression, pair: state: rate:")

    scenario(actions.FX, run)


# -- order --------------------------------------------------------------------------------------------

VALUES: list[Value] = [Decimal("10"), None, 9, Decimal("-0.5"), 9, ""]


def test_order__by_value_not_by_text__unknown_last_both_ways__stable() -> None:
    rows = list(enumerate(VALUES))

    def places(order: Order) -> list[int]:
        return [place for place, _ in order.ordered(rows, lambda row: [row[1]])]

    assert places(Order()) == [0, 1, 2, 3, 4, 5]
    assert places(Order(0)) == [3, 2, 4, 0, 1, 5]
    assert places(Order(0, down=True)) == [0, 2, 4, 3, 1, 5]


def test_order__same_column_again__turned__another__begins_anew() -> None:
    assert Order().by(2) == Order(2)
    assert Order(2).by(2) == Order(2, down=True)
    assert Order(2, down=True).by(2) == Order(2)
    assert Order(2, down=True).by(1) == Order(1)
    assert Order(2, down=True).by(None) == Order()


def test_heads__sorted_column_carries_the_sign__in_its_width() -> None:
    columns = (Column("asset", 8), Column("closes", 6, right=True), Column("age", 3, rank=1))
    layout = fitted(columns, 30)
    plain = layout.head()
    for place in range(3):
        head = layout.head(place, "▲")
        assert cells(head) == cells(plain)
        assert "".join(text for text, _ in head).count("▲") == 1
    assert fitted(columns, 16).head(2, "▲") == fitted(columns, 16).head()


@pytest.mark.parametrize("screen", HELD)
def test_sort__every_column_of_every_list__both_ways(screen: str) -> None:
    async def run(deck: Console) -> None:
        view = deck.app.screen
        assert isinstance(view, HeldList)
        own = shown(deck)
        for place in view.sortable():
            for sign in "▲▼":
                view.order = Order(place, sign == "▼")
                view.refilter()
                await deck.settle()
                values = [view.values(row)[place] for row in shown(deck)]
                known = [value for value in values if value not in (None, "")]
                assert values[: len(known)] == known
                assert sorted(map(str, shown(deck))) == sorted(map(str, own))
                keys = [(isinstance(v, str), v.casefold() if isinstance(v, str) else v) for v in known]
                assert keys == sorted(keys, reverse=sign == "▼")
                if place in fitted(view.table, view.rows.width - 2).widths:
                    assert sign in deck.text()
        await deck.press("S", "home", "down", "enter")  # back to its own order
        assert view.order == Order()
        assert shown(deck) == own

    scenario(screen, run)


def test_sort__number_columns__by_value() -> None:
    async def run(deck: Console) -> None:
        await deck.press("S", *["down"] * 4, "enter")
        quantities = [Decimal(row["quantity"]) for row in shown(deck)]
        assert quantities == sorted(quantities)
        assert "quantity▲" in deck.text()

    scenario(actions.ASSETS, run)


def test_sort__is_kept_when_the_list_comes_anew__and_goes_into_the_file() -> None:
    async def run(deck: Console) -> None:
        await deck.press("S", "down", "down", "enter", "S", "enter")
        first = [row["asset_id"] for row in shown(deck)]
        assert first == sorted(first, key=str.casefold, reverse=True)
        await deck.tell("counts", {})
        assert [row["asset_id"] for row in shown(deck)] == first
        await deck.press("E")
        assert "Assets: 6 rows, by asset ▼" in deck.text()

    scenario(actions.ASSETS, run)


def test_sort__events__following_is_told_only_in_their_own_order() -> None:
    async def run(deck: Console) -> None:
        assert "following" in deck.text()
        await deck.press("S", "down", "down", "down", "enter")
        assert "following" not in deck.text()
        assert deck.rows.cursor == 0
        event = {"at": "2026-03-04T14:08:00Z", "level": "bad", "kind": "x", "text": "newest"}
        await deck.tell("log", event)
        assert shown(deck)[-1]["text"] == "newest"
        assert deck.rows.cursor == 0

    scenario(actions.EVENTS, run)


def test_sort__paged_list__by_the_engine__marks_of_a_range_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "PAGES_KEPT", 2)
    for module in (pages, lists):
        monkeypatch.setattr(module, "PAGE_ROWS", 50)

    async def run(deck: Console) -> None:
        await deck.press("S", "end", "enter", "S", "enter")
        asked = [query.arguments for query in deck.client.queries if query.name == "quarantine_page"][-1]
        assert (asked["sort"], asked["descending"]) == ("line", True)
        assert "line▼" in deck.text()
        await deck.press("v", "end", "v")
        ids = [query.arguments for query in deck.client.queries if query.name == "quarantine_ids"]
        assert ids == [{"sort": "line", "descending": True}]
        assert "■ 214 marked" in deck.text()

    scenario(actions.QUARANTINE, run)


def test_sort__lots__each_state_has_its_columns() -> None:
    async def run(deck: Console) -> None:
        await deck.press("S", "down", "down", "down", "enter")
        assert "account▲" in deck.text()
        await deck.press("tab")
        assert "▲" not in "".join(deck.text().splitlines()[3:5])
        await deck.press("S")
        for word in ("disposed", "proceeds USD", "gain USD", "term"):
            assert word in deck.text()
        await deck.press("end", "up", "enter")
        asked = [query.arguments for query in deck.client.queries if query.name == "lots_page"][-1]
        assert (asked["state"], asked["sort"], asked["descending"]) == ("realized", "gain_usd", False)

    scenario(actions.LOTS, run)


class Unsorting(Lots):
    """A list of an engine that sorts by nothing."""

    def sorts(self) -> dict[int, str]:
        return {}


def test_sort__what_the_engine_cannot__the_key_says_why_not() -> None:
    async def run(deck: Console) -> None:
        deck.app.push_screen(Unsorting())
        await deck.settle()
        await deck.press("S")
        assert any("sort: the engine sends this list in pages" in told for told in deck.toasts())

    scenario(actions.EVENTS, run)


def test_sort__the_first_rows_are_in_sight() -> None:
    async def run(deck: Console) -> None:
        await deck.press("end", "S", "down", "down", "enter")
        assert deck.rows.cursor == deck.rows.scroll_offset.y == 0

    scenario(actions.QUARANTINE, run)


def test_sort__ascii__signs_of_its_own() -> None:
    from console.terminal import Terminal

    plain = Terminal(refusal="", theme="navdeck-dark", mouse=True, ascii=True)

    async def run(deck: Console) -> None:
        await deck.press("S", "down", "down", "enter")
        assert "pair^" in deck.text()
        await deck.press("S", "enter")
        assert "pairv" in deck.text()

    scenario(actions.FX, run, terminal=plain, client=FakeClient())


# -- zoom ---------------------------------------------------------------------------------------------


def filling(deck: Console) -> str:
    """The id of the panel that fills the screen; it does, or this fails."""
    panel = deck.app.screen.maximized
    if panel is None:
        return ""
    width, height = deck.app.size
    assert panel.region.width == width
    assert panel.region.height >= height - 6
    assert all(deck.app.screen.query_one(name).region.height == 1 for name in ("#top", "#keys"))
    return panel.id or ""


@pytest.mark.parametrize("size", [(80, 24), (160, 45)])
@pytest.mark.parametrize("screen", actions.PANELS)
def test_zoom__each_panel_fills_the_screen__then_all_are_there__esc_at_once(
    screen: str, size: tuple[int, int]
) -> None:
    async def run(deck: Console) -> None:
        before = deck.text()
        view = deck.app.screen
        panels = [panel.id for panel in view.query(view.ZOOMED)]  # type: ignore[attr-defined]
        assert len(panels) >= 2
        for panel in panels:
            await deck.press("plus")
            assert filling(deck) == panel
        await deck.press("plus")
        assert filling(deck) == ""
        await deck.until(lambda: deck.text() == before)  # charts come when their new size does
        await deck.press("plus", "escape")
        assert deck.app.screen is view
        assert filling(deck) == ""
        await deck.until(lambda: deck.text() == before)  # charts come when their new size does

    scenario(screen, run, size=size)


@pytest.mark.parametrize("screen", [actions.INBOX, actions.QUARANTINE, actions.LOTS])
def test_heads__stand_over_their_columns__whatever_room_the_list_has(screen: str) -> None:
    async def run(deck: Console) -> None:
        view = deck.app.screen
        assert isinstance(view, ListScreen)
        for beside in (False, True):
            view.query_one("#side").display = beside
            await deck.settle()
            await deck.until(lambda: "".join(text for text, _ in view.heads()) in deck.text())

    scenario(screen, run, size=(160, 45))


def test_zoom__the_cursor_goes_on__and_comes_back_with_the_list() -> None:
    async def run(deck: Console) -> None:
        await deck.press("plus")
        assert filling(deck) == "list"
        await deck.press("j", "plus", "j")
        assert filling(deck) == "side"
        assert deck.client.desk.rows[2]["id"] in deck.text()
        await typed(deck, "account:cold")
        assert filling(deck) == "side"
        await deck.press("f", "s")
        assert filling(deck) == ""
        assert deck.rows.cursor == 1
        assert deck.focused == "list"

    scenario(actions.QUARANTINE, run)


# -- jump ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 1, 26, 27, 51, 52, 400, 676])
def test_labels__as_many_as_rows__one_or_two_letters__none_begins_another(number: int) -> None:
    made = labels(number)
    assert len(made) == len(set(made)) == number
    assert all(len(label) <= 2 and label.isascii() and label.isalpha() for label in made)
    assert number > 26 or all(len(label) == 1 for label in made)
    assert not any(other != label and other.startswith(label) for label in made for other in made)


@pytest.mark.parametrize("screen", actions.LISTS)
def test_jump__letters_before_the_rows__typed__the_cursor_is_there(screen: str) -> None:
    async def run(deck: Console) -> None:
        await deck.press("f")
        lines = [rows.render_line(2).text for rows in deck.app.screen_stack[-2].query(Rows)]
        assert lines[0].startswith(" d ") or lines[0].startswith("d ")
        await deck.press("d")
        assert deck.rows.cursor == 2
        assert "type the letters" not in deck.text()

    scenario(screen, run)


def test_jump__more_rows_than_letters__two__from_where_the_list_stands() -> None:
    async def run(deck: Console) -> None:
        await deck.press("end", "f")
        top = deck.app.screen_stack[-2].query_one(Rows).scroll_offset.y
        assert top > 0
        await deck.press("m", "s")
        assert deck.rows.cursor == top + 26
        await deck.press("f", "m", "escape")
        assert deck.rows.cursor == top + 26
        await deck.press("f", "1")
        assert deck.rows.cursor == top + 26
        await deck.press("j")
        assert deck.rows.cursor == top + 27

    scenario(actions.QUARANTINE, run, size=(160, 45))


def test_jump__no_act_is_carried_out_by_a_letter() -> None:
    async def run(deck: Console) -> None:
        await deck.press("f", "x", "f", "R", "f", "q")
        assert deck.app.is_running
        assert deck.sent() == deck.sent(dry_run=True) == []
        assert len(deck.app.screen_stack) == 1

    scenario(actions.QUARANTINE, run)


# -- marks over a range ---------------------------------------------------------------------------------


@pytest.mark.parametrize("screen", [actions.TRANSFERS, actions.ASSETS])
def test_range__shown_before_it_is_marked__esc_leaves_it(screen: str) -> None:
    async def run(deck: Console) -> None:
        await deck.press("j", "v", "j", "j")
        assert "□ range of 3" in deck.text()
        assert sum(" □ " in line for line in deck.text().splitlines()[4:]) == 3
        await deck.press("v")
        assert "■ 3 marked" in deck.text()
        await deck.press("v", "k", "escape")
        assert "range of" not in deck.text()
        assert screen == deck.app.screen.ID  # type: ignore[attr-defined]
        assert "■ 3 marked" in deck.text()

    scenario(screen, run)


def test_range__only_what_can_be_marked() -> None:
    async def run(deck: Console) -> None:
        loose = sum(item.is_loose for item in shown(deck))
        assert loose < deck.rows.total
        await deck.press("v", "end", "v")
        assert f"■ {loose} marked" in deck.text()
        assert sum(" ■ " in line for line in deck.text().splitlines()[4:]) == loose

    scenario(actions.TRANSFERS, run)


def test_range__filter_or_order_changed__is_left() -> None:
    async def run(deck: Console) -> None:
        await deck.press("v", "j", "S", "down", "down", "enter")
        assert "range of" not in deck.text()
        await deck.press("v", "j")
        await typed(deck, "erc20")
        assert "range of" not in deck.text()
        await deck.press("v", "j", "v")
        assert "■ 2 marked" in deck.text()

    scenario(actions.ASSETS, run)
