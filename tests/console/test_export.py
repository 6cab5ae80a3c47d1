"""Export in the console: what is listed goes whole into the file that was named, or there is no file."""

import asyncio
import csv
import json
from pathlib import Path
from typing import Any

import pytest

from console import actions
from console.fake import FakeClient, overview
from console.modals.export import ExportForm
from console.screens import lists
from console.screens.inbox import Inbox
from engine.api import EngineError, Query, Result
from tests.console.deck_driver import Console, scenario


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


async def export(deck: Console, name: str) -> None:
    await deck.press("E", "ctrl+u")
    await deck.paste(name)
    await deck.press("enter")
    await deck.until(lambda: not deck.app.screen.query("#export") or "✗" in deck.text() or "!" in deck.text())
    await deck.settle()


@pytest.mark.parametrize("screen", actions.LISTS)
def test_export__every_list__all_its_rows(screen: str, tmp_path: Path) -> None:
    async def run(deck: Console) -> None:
        total = deck.rows.total
        await deck.press("E")
        assert f"{screen}-2026-03-04.csv" in deck.text()
        await deck.press("escape")
        await export(deck, "rows.json")
        found = json.loads((tmp_path / "rows.json").read_text())
        assert len(found) == total > 0
        assert any(f"to {tmp_path / 'rows.json'}" in told for told in deck.toasts())
        await export(deck, "rows.csv")
        with (tmp_path / "rows.csv").open(newline="") as file:
            assert len(list(csv.DictReader(file))) == total

    scenario(screen, run)


def test_export__what_the_filter_lets_through__exact_and_whole(tmp_path: Path) -> None:
    async def run(deck: Console) -> None:
        await deck.press("slash")
        await deck.paste("erc20")
        await deck.press("enter")
        await export(deck, str(tmp_path / "assets.csv"))
        with (tmp_path / "assets.csv").open(newline="") as file:
            found = list(csv.DictReader(file))
        assert [row["asset_id"] for row in found] == [
            "erc20:0x52903256dd18d85c2dc4a6c999907c9793ea61e3",
            "erc20:0x519475b31653e46d20cd09f9fdcf3b12bdacb4f5",
        ]
        assert found[1]["quantity"] == "9.04131276"
        assert found[0]["blocking.closes"] == "122"

    scenario(actions.ASSETS, run)


def test_export__paged__every_page_under_the_filter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "EXPORT_ROWS", 25)

    async def run(deck: Console) -> None:
        await deck.press("slash")
        await deck.paste("account:cold")
        await deck.press("enter")
        wanted = [row["id"] for row in deck.client.desk.rows if row["row"]["account"] == "cold"]
        await export(deck, "rows.json")
        assert [row["id"] for row in json.loads((tmp_path / "rows.json").read_text())] == wanted

    scenario(actions.QUARANTINE, run)


class Moving(FakeClient):
    """An engine whose quarantine gets a row between two pages."""

    async def ask(self, query: Query) -> Result:
        found = await super().ask(query)
        if query.name == "quarantine_page" and query.arguments["limit"] == 25:
            self.desk.rows.insert(0, self.desk.rows[0] | {"id": "ffffffffffff-1"})
        return found


def test_export__list_changed_meanwhile__no_file_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "EXPORT_ROWS", 25)

    async def run(deck: Console) -> None:
        await export(deck, "rows.csv")
        assert "The list changed while it was read." in deck.text()
        assert "a narrower filter" in deck.text()

    scenario(actions.QUARANTINE, run, client=Moving())
    assert list(tmp_path.iterdir()) == []


def test_export__cancelled_while_it_reads__no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "EXPORT_ROWS", 25)

    class Slow(FakeClient):
        gate = asyncio.Event()
        held = 0

        async def ask(self, query: Query) -> Result:
            if query.name == "quarantine_page" and query.arguments["limit"] == 26:
                self.held += 1
                await self.gate.wait()
            return await super().ask(query)

    client = Slow()

    async def run(deck: Console) -> None:
        await deck._pilot.press("E", "enter")
        await deck.until(lambda: client.held == 1)
        assert "25 of 214 rows read" in deck.text()
        await deck._pilot.press("escape")
        assert "ending" in deck.text()
        client.gate.set()
        await deck.settle()
        assert not isinstance(deck.app.screen, ExportForm)
        assert client.held == 1

    scenario(actions.QUARANTINE, run, client=client)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "told"),
    [("there.csv", "is there already"), ("none/rows.csv", "There is no folder"), ("rows.ods", "ending")],
)
def test_export__bad_name__says_so__and_the_form_stays(tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / "there.csv").write_text("mine")

    async def run(deck: Console) -> None:
        await export(deck, name)
        assert told in deck.text()
        assert deck.focused == "path"

    scenario(actions.EVENTS, run)
    assert [found.read_text() for found in tmp_path.iterdir()] == ["mine"]


def test_export__read_only__works__without_rows_says_why(tmp_path: Path) -> None:
    client = FakeClient(overview() | {"read_only": True, "events": []})

    async def run(deck: Console) -> None:
        await deck.press("8", "E")
        assert any("export: nothing is listed here" in told for told in deck.toasts())
        await deck.press("2")
        await export(deck, "files.csv")
        assert (tmp_path / "files.csv").is_file()
        assert deck.sent() == []

    scenario(actions.EVENTS, run, client=client)


def test_export__engine_gone__no_file(tmp_path: Path) -> None:
    client = FakeClient()

    async def run(deck: Console) -> None:
        client.failing = EngineError("the engine is gone", "start it again")
        await export(deck, "rows.csv")
        assert "the engine is gone" in deck.text()

    scenario(actions.LOTS, run, client=client)
    assert list(tmp_path.iterdir()) == []


def test_instants__are_told_to_the_last_digit__and_as_text() -> None:
    row = {"name": "a.csv", "touched_from": 1_700_000_000_000_000, "touched_until": 1_700_000_000_000_001}
    screen: Any = None  # it tells a row as it is
    told = Inbox.record(screen, row | {"rows": 1})
    assert (told["touched_from"], told["touched_until"]) == (
        "2023-11-14T22:13:20Z", "2023-11-14T22:13:20.000001Z",
    )  # fmt: skip
    assert Inbox.record(screen, {"touched_from": None, "touched_until": None}) == {
        "touched_from": None, "touched_until": None,
    }  # fmt: skip
