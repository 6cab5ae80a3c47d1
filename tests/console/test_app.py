"""What an operator does with the console, asserted by what is on the screen and what the engine was asked."""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from console import client as client_module
from console.app import NavdeckApp
from console.fake import FakeClient, overview
from console.mirror import EVERYTHING
from console.modals.failure import Failure
from console.screens.base import DeckScreen
from console.screens.events import Events
from console.screens.inbox import Inbox
from console.screens.quarantine import Quarantine
from console.terminal import PLAIN, Terminal
from console.themes import MEANINGS
from engine.api import EngineError, HomeMissing
from tests.console.deck_driver import Console, console

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = "\x1b]52;c;ZXZpbA==\x07[/nope][red]boo[/red]\x9b31m\u202e"


def scenario(run: Callable[[Console], Awaitable[None]], **how: Any) -> None:
    async def whole() -> None:
        async with console(**how) as opened:
            await run(opened)

    asyncio.run(whole())


def test_start__no_heavy_import_before_the_first_frame() -> None:
    code = "import console.app, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    heavy = {"polars", "duckdb", "pyarrow", "sqlalchemy", "pandas", "numpy", "plotext"}
    assert heavy & {name.split(".")[0] for name in done.stdout.split()} == set()


def test_start__before_the_engine_is_there__says_so() -> None:
    async def run() -> None:
        never: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        async def connect() -> Any:
            return await never

        app = NavdeckApp(connect)
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            assert "starting engine" in Console(app, FakeClient(), pilot).text()

    asyncio.run(run())


def test_start__keys_that_only_go_somewhere_are_obeyed__an_act_is_refused_and_never_kept() -> None:
    async def run() -> None:
        client, there = FakeClient(), asyncio.Event()

        async def connect() -> FakeClient:
            await there.wait()
            return client

        app = NavdeckApp(connect)
        async with app.run_test(size=(80, 24), notifications=True) as pilot:
            deck = Console(app, client, pilot)
            await pilot.press("2", "i", "t")
            (toast,) = deck.toasts()
            assert "take inbox: the engine is still starting" in toast
            there.set()
            await deck.until(lambda: app.mirror.phase == "live")
            await deck.settle()
            assert "! unmatched" in deck.text()
            assert client.commands == []

    asyncio.run(run())


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (HomeMissing("There is no home at /srv/[x].", "navdeck init makes one."),
         ["✗ There is no home at /srv/[x].", "navdeck init makes one."]),
        (ZeroDivisionError("boo"), ["ZeroDivisionError: boo", "navdeck verify"]),
    ],
)  # fmt: skip
def test_start__no_engine_to_be_had__a_page_says_why__q_leaves(error: Exception, words: list[str]) -> None:
    async def run() -> None:
        async def connect() -> Any:
            raise error

        app = NavdeckApp(connect)
        async with app.run_test(size=(80, 24)) as pilot:
            opened = Console(app, FakeClient(), pilot)
            await opened.until(lambda: isinstance(app.screen, Failure))
            await pilot.pause()
            assert [word for word in words if word not in " ".join(opened.text().split())] == []
            await pilot.press("q")
            await opened.until(lambda: app._exit)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("key", "words"),
    [("1", "EUR/USD is held"), ("2", "okx_2026-03-04.csv"), ("3", "PRICE_MISSING"),
     ("5", "Drawdown of the TWR"), ("8", "engine started")],
)  # fmt: skip
def test_digits__open_screens(key: str, words: str) -> None:
    async def run(deck: Console) -> None:
        await deck.press("1" if key != "1" else "2", key)
        assert words in deck.text()

    scenario(run)


def test_header__tells_the_counts_that_matter() -> None:
    async def run(deck: Console) -> None:
        top = deck.text().splitlines()[0]
        for words in ("navdeck DEMO", "running", "61% ok", "inbox 2", "quarantine 214 !", "held 1 ‖"):
            assert words in top

    scenario(run)


def test_file__its_progress_and_its_end_are_seen_at_once() -> None:
    async def run(deck: Console) -> None:
        await deck.press("2")
        await deck.tell("file_progress", {"name": "okx_2026-03-04.csv", "done": 90_000, "rows": 100_000})
        assert "90%" in deck.text()
        refused = {"name": "okx_2026-03-04.csv", "kind": "", "status": "rejected", "reason": "FILE_QUOTING"}
        counts = {"rows": 0, "accepted": 0, "duplicates": 0, "quarantined": 0}
        await deck.tell("file_done", refused | counts | {"detail": "", "at": "2026-03-04T14:07:01Z"})
        assert "✗ refused" in deck.text()
        assert "FILE_QUOTING" in deck.text()
        assert "nothing is being read" in deck.text()

    scenario(run)


def test_cursor__stays_on_its_file_when_others_come() -> None:
    async def run(deck: Console) -> None:
        await deck.press("2", "j", "j", "j", "j")
        assert deck.app.screen.copied() == "kraken_2026-03-04.csv"  # type: ignore[attr-defined]
        await deck.tell("inbox", {"waiting": [{"name": f"{n}.csv", "bytes": 1, "age_s": 1} for n in range(9)],
                                  "others": []})  # fmt: skip
        assert deck.app.screen.copied() == "kraken_2026-03-04.csv"  # type: ignore[attr-defined]

    scenario(run)


def test_quarantine__reason_chip__asks_the_engine_for_that_reason() -> None:
    async def run(deck: Console) -> None:
        await deck.press("3", "right_square_bracket")
        assert deck.client.queries[-1].arguments["reason"] == "PRICE_MISSING"
        assert "118 of 214 rows" in deck.text()
        await deck.press("left_square_bracket")
        assert "214 of 214 rows" in deck.text()

    scenario(run)


def test_quarantine__filter__typed_cleared() -> None:
    async def run(deck: Console) -> None:
        await deck.press("3", "slash")
        await deck.type("sell")
        assert deck.client.queries[-1].arguments["text"] == "sell"
        assert "filter sell" in deck.text()
        await deck.press("enter", "escape")
        assert "214 of 214 rows" in deck.text()

    scenario(run)


def test_quarantine__last_row__fetches_its_page_only_once_seen() -> None:
    async def run(deck: Console) -> None:
        await deck.press("3")
        pages = [
            query.arguments["offset"] for query in deck.client.queries if query.name == "quarantine_page"
        ]
        assert set(pages) == {0}
        await deck.press("G")
        assert deck.client.queries[-1].arguments["offset"] == 200
        await deck.press("enter")
        assert "215, record 214" in deck.text()

    scenario(run)


def test_quarantine__detail__says_what_is_wrong_and_marks_the_field() -> None:
    async def run(deck: Console) -> None:
        await deck.press("3", "enter")
        text = deck.text()
        assert "! PRICE_MISSING" in text
        assert "! unit_price_usd" in text
        assert "A price is needed here." in text
        await deck.press("escape")
        assert isinstance(deck.app.screen, DeckScreen)

    scenario(run)


def test_inbox__filter__inverse_and_regular_expression() -> None:
    async def run(deck: Console) -> None:
        await deck.press("2", "slash")
        await deck.type("~kraken|coinb")
        assert deck.rows.total == 2
        await deck.press("escape", "slash")
        await deck.type("!prices")
        assert "prices_5m" not in "\n".join(deck.text().splitlines()[4:])
        await deck.press("escape", "slash")
        await deck.type("~(")
        assert "no regular expression" in deck.text()

    scenario(run)


def test_nav__ranges__ask_for_their_resolution() -> None:
    async def run(deck: Console) -> None:
        await deck.press("5", "left_square_bracket", "left_square_bracket")
        asked = deck.client.queries[-1].arguments
        assert (asked["resolution"], asked["from"]) == ("5m", "2026-03-03T14:05:00Z")
        await deck.press(*["right_square_bracket"] * 9)
        whole = {"resolution": "1d", "from": None, "to": None, "points": True}
        assert deck.client.queries[-1].arguments == whole

    scenario(run)


def test_nav__prices_of_once_a_day__begins_with_daily_closes() -> None:
    document = overview()
    document["nav"] = {"resolution": "1d", "points": document["nav"]["points"][-3:]}

    async def run(deck: Console) -> None:
        await deck.press("5")
        assert deck.client.queries[-1].arguments["resolution"] == "1d"
        await deck.press("left_square_bracket", "1", "5")
        assert deck.client.queries[-1].arguments["resolution"] == "1h"  # what was chosen stays

    scenario(run, client=FakeClient(document))


def test_nav__gaps_are_named() -> None:
    async def run(deck: Console) -> None:
        await deck.press("5")
        assert "‖ fx held" in deck.text()
        assert "× no price" in deck.text()
        assert "42 of 720 closes not known" in deck.text()

    scenario(run, size=(160, 45))


def test_take_inbox__sends_a_command_with_actor_and_reason() -> None:
    async def run(deck: Console) -> None:
        await deck.press("i")
        (command,) = deck.client.commands
        assert (command.name, command.arguments) == ("ingest", {"paths": []})
        assert command.actor
        assert command.reason

    scenario(run)


def test_value_now__a_failure_is_told_with_its_hint() -> None:
    async def run(deck: Console) -> None:
        deck.client.failing = EngineError("Another run is under way.", "Wait for it.")
        await deck.press("V")
        assert any("Another run is under way.\nWait for it." in toast for toast in deck.toasts())

    scenario(run)


def test_read_only__writing_keys_say_why_and_send_nothing() -> None:
    async def run(deck: Console) -> None:
        assert "READ-ONLY" in deck.text()
        await deck.press("i")
        assert deck.client.commands == []
        assert any("read-only" in toast for toast in deck.toasts())

    scenario(run, client=FakeClient(overview() | {"read_only": True}))


def test_freeze__holds_the_picture__and_shows_what_came_when_it_ends() -> None:
    async def run(deck: Console) -> None:
        await deck.press("p")
        assert "FROZEN" in deck.text()
        deck.client.tell("quarantine", {"open": 999, "by_reason": {"PRICE_MISSING": 999}})
        assert "999" not in deck.text()
        await deck.press("p")
        assert "quarantine 999 !" in deck.text()
        assert "FROZEN" not in deck.text()

    scenario(run)


def test_event__while_a_screen_is_being_made__waits_for_it() -> None:
    async def run(deck: Console) -> None:
        for screen in (Inbox(), Quarantine(), Events()):
            made = deck.app.push_screen(screen)
            deck.app._redraw(EVERYTHING)
            await made
            await deck.settle()
        assert "Events" in deck.text()

    scenario(run)


def test_loss__is_shown__and_mended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "RETRY_S", (0.05,))

    async def run(deck: Console) -> None:
        deck.client.failing = ConnectionResetError("gone")
        await deck.press("r")
        await deck.until(lambda: not deck.app.session.connected)
        await deck.settle()
        assert "DISCONNECTED" in deck.text()
        deck.client.failing = None
        await deck.until(lambda: deck.app.session.connected)
        await deck.settle()
        assert "DISCONNECTED" not in deck.text()

    scenario(run)


def test_hostile_data__is_shown_as_text_on_every_screen() -> None:
    document = overview()
    document["label"] = document["home"] = HOSTILE
    document["inbox"]["recent"][0] |= {
        "name": HOSTILE,
        "status": "rejected",
        "reason": HOSTILE,
        "detail": HOSTILE,
    }
    document["inbox"]["others"] = document["inbox"]["waiting"] = []
    document["inbox"]["active"] = None
    document["events"][-1]["text"] = HOSTILE
    document["alerts"][0]["text"] = HOSTILE
    client = FakeClient(document)
    reason = {"code": HOSTILE, "column": "id", "value": HOSTILE, "hint": HOSTILE}
    client.desk.rows[0] |= {"file": HOSTILE, "reasons": [reason]}

    async def run(deck: Console) -> None:
        for key in "12358":
            await deck.press(key, *(["enter"] if key in "238" else []))
            text = deck.text()
            assert not any(sign in text for sign in "\x1b\x07\x9b\u202e")
            await deck.press(*(["escape"] if key in "238" else []))
        await deck.press("8", "c")
        assert not any("\x1b" in toast for toast in deck.toasts())

    scenario(run, client=client, size=(160, 45))


def test_help__lists_the_keys_of_the_screen_below() -> None:
    async def run(deck: Console) -> None:
        await deck.press("8", "question_mark")
        assert "On Events" in deck.text()
        await deck.press("question_mark")
        assert isinstance(deck.app.screen, DeckScreen)

    scenario(run, size=(100, 60))


def test_palette__carries_out_what_is_chosen() -> None:
    async def run(deck: Console) -> None:
        await deck.palette("quarantine")
        assert deck.app.current_mode == "quarantine"

    scenario(run)


def test_palette__an_act_of_another_screen__leads_there() -> None:
    async def run(deck: Console) -> None:
        await deck.palette("drill")
        assert deck.app.current_mode == "backups"
        assert deck.client.commands == []

    scenario(run)


def test_copy__sends_the_row() -> None:
    async def run(deck: Console) -> None:
        await deck.press("3", "c")
        assert deck.app.clipboard.startswith('{"id":')
        assert any("copied" in toast for toast in deck.toasts())

    scenario(run)


def test_quit__drains_first__then_leaves() -> None:
    drained: list[bool] = []

    async def drain() -> None:
        drained.append(True)

    async def run(deck: Console) -> None:
        await deck._pilot.press("q")
        await deck._pilot.pause(0.1)
        assert drained == [True]
        assert not deck.app.is_running or deck.app._exit

    scenario(run, on_exit=drain)


def test_quit__twice__does_not_wait_for_the_drain() -> None:
    async def never() -> None:
        await asyncio.get_running_loop().create_future()

    async def run(deck: Console) -> None:
        await deck._pilot.press("q")
        await deck._pilot.pause()
        assert not deck.app._exit
        await deck._pilot.press("q")
        await deck._pilot.pause()
        assert deck.app._exit

    scenario(run, on_exit=never)


def test_theme_file_that_fails__is_one_toast(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("name = 1")
    (tmp_path / "b.toml").write_text("[")

    async def run(deck: Console) -> None:
        (toast,) = deck.toasts()
        assert "a.toml: name: " in toast
        assert "b.toml: " in toast

    scenario(run, themes_folder=tmp_path)


def test_home_with_a_theme__is_shown_in_it() -> None:
    async def run(deck: Console) -> None:
        assert deck.app.theme == "navdeck-production"

    scenario(run, client=FakeClient(overview() | {"theme": "navdeck-production"}))


def test_home_with_a_theme__but_a_terminal_of_few_colours__keeps_them() -> None:
    async def run(deck: Console) -> None:
        assert deck.app.theme == PLAIN

    plain = Terminal(refusal="", theme=PLAIN, mouse=True, ascii=False)
    scenario(run, client=FakeClient(overview() | {"theme": "navdeck-production"}), terminal=plain)


def test_home_with_a_theme_that_is_not_there__is_told_which_are() -> None:
    async def run(deck: Console) -> None:
        (toast,) = deck.toasts()
        assert toast.startswith("There is no theme mine. There are navdeck-contrast, navdeck-dark")

    scenario(run, client=FakeClient(overview() | {"theme": "mine"}))


def test_own_theme__is_drawn_anew_as_its_file_changes(tmp_path: Path) -> None:
    def write(warn: str) -> None:
        rest = "".join(f'{one} = "#102030"\n' for one in MEANINGS if one != "warn")
        head = f'name = "mine"\ndark = true\n[colours]\nwarn = "{warn}"\n'
        (tmp_path / "mine.toml").write_text(head + rest)

    async def run(deck: Console) -> None:
        assert deck.app.theme == "mine"
        write("#ff0001")
        await deck.until(lambda: deck.app.get_css_variables()["warn"] == "#ff0001")
        await deck.until(lambda: "#ff0001" in deck.app.export_screenshot())
        (tmp_path / "mine.toml").write_text("[")
        await deck.until(lambda: any("mine.toml: " in toast for toast in deck.toasts()))
        assert deck.app.get_css_variables()["warn"] == "#ff0001"

    write("#ffff00")
    scenario(run, client=FakeClient(overview() | {"theme": "mine"}), own_themes=tmp_path)


def test_small_terminal__one_line_says_what_is_needed() -> None:
    async def run(deck: Console) -> None:
        assert deck.text().strip() == "navdeck needs 60x16, this is 50x12"

    scenario(run, size=(50, 12))


def test_ascii_terminal__nothing_but_ascii_on_any_screen() -> None:
    async def run(deck: Console) -> None:
        for key in "12358":
            await deck.press(key)
            assert deck.text().isascii(), [c for c in deck.text() if not c.isascii()]

    scenario(
        run, size=(160, 45), terminal=Terminal(refusal="", theme="navdeck-dark", mouse=False, ascii=True)
    )
