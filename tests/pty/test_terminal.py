"""The console on a real terminal: it draws, leaves the terminal as it was, and never outlives it."""

import asyncio
import os
import re
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from console import hosted
from console.fake import FakeClient, connecting
from tests.pty.seat import ALT_SCREEN_ON, END_WITHIN_S, Seat, sit
from tests.runtime.deck import Deck, buy, to_csv

ESC = b"\x1b"
WIDE_PALETTES = {38, 48}


@pytest.fixture
def home(deck: Deck) -> Path:
    """A home with a purchase of an hour ago in its inbox, so that there is little to value."""
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    deck.drop("trades.csv", to_csv([buy(timestamp=f"{an_hour_ago:%Y-%m-%dT%H:%M:%SZ}")]))
    return deck.path


def helpers_at_work(seat: Seat) -> list[psutil.Process]:
    """Waits until the file is taken and told on the screen; the processes that took it."""
    for words in (ALT_SCREEN_ON, b"trades.csv", b"1 accepted"):
        seat.until(words)
    helpers = seat.helpers()
    assert helpers
    return helpers


def ended_well(seat: Seat, helpers: list[psutil.Process], home: Path) -> bool:
    """Whether it ends in time with 0, and nothing is left: no process, no claimed file."""
    assert seat.ended(END_WITHIN_S) == 0
    return seat.all_end(helpers) and not list((home / "run" / "claimed").iterdir())


def test_console__second_on_a_home__attaches_to_the_first__which_goes_on_until_q(home: Path) -> None:
    with sit(home=home) as seat:
        helpers = helpers_at_work(seat)
        with sit("--read-only", home=home) as second:
            for words in (b"READ-ONLY", b"trades.csv"):
                second.until(words)
            assert not second.helpers()
            second.press(b"q")
            assert second.ended(END_WITHIN_S) == 0
            assert second.restored()
        assert seat.process.poll() is None
        seat.press(b"q")
        assert ended_well(seat, helpers, home)
        assert seat.restored()


def test_console__term__restores_the_terminal__16_colours_were_enough(home: Path) -> None:
    with sit(home=home, TERM="xterm") as seat:
        helpers = helpers_at_work(seat)
        seat.process.send_signal(signal.SIGTERM)
        assert ended_well(seat, helpers, home)
        assert seat.restored()
        assert seat.colours()
        assert not seat.colours() & WIDE_PALETTES


def test_console__int__restores_the_terminal__no_color_was_respected(home: Path) -> None:
    with sit(home=home, NO_COLOR="1") as seat:
        helpers = helpers_at_work(seat)
        seat.process.send_signal(signal.SIGINT)
        assert ended_well(seat, helpers, home)
        assert seat.restored()
        assert seat.colours() == set()


def test_console__terminal_goes_away__drains_and_leaves_no_process(home: Path) -> None:
    with sit(home=home) as seat:
        helpers = helpers_at_work(seat)
        seat.hang_up()
        assert ended_well(seat, helpers, home)


def test_navdeck__dumb_terminal__tells_its_status_without_escapes(home: Path) -> None:
    with sit(home=home, TERM="dumb") as seat:
        assert seat.ended() == 0
        assert str(home).encode() in re.sub(rb"\s", b"", seat.drawn)
        assert ESC not in seat.drawn


@pytest.mark.parametrize("answer", [b"n\n", b"\n", b"\x04"])
def test_navdeck__without_a_home__asks_and_makes_none_unless_told_to(tmp_path: Path, answer: bytes) -> None:
    with sit(home=tmp_path / "nowhere") as seat:
        seat.until(b"[y/N]")
        assert not (tmp_path / "nowhere").exists()
        seat.press(answer)
        assert seat.ended() == 0
        assert b"navdeck demo" in seat.drawn
        assert ESC not in seat.drawn
    assert not (tmp_path / "nowhere").exists()


def test_navdeck__without_a_home__makes_one_when_told_to_and_leads_on(tmp_path: Path) -> None:
    with sit(home=tmp_path / "mine") as seat:
        seat.until(b"[y/N]")
        seat.press(b"y\n")
        seat.until(b"sample into the inbox")
        seat.press(b"y")
        seat.until(b"sample-trades.csv")
        seat.press(b"q")
        assert seat.ended() == 0
        assert seat.restored()
    assert (tmp_path / "mine" / "state.db").is_file()


def test_console__term_before_its_first_frame__ends_without_complaint(home: Path) -> None:
    with sit(home=home) as seat:
        seat.until(ALT_SCREEN_ON)
        seat.process.send_signal(signal.SIGTERM)
        assert seat.ended(END_WITHIN_S) == 0
        assert seat.restored()
        assert b"Traceback" not in seat.drawn


def test_hang_up__engine_cannot_close__process_ends_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(FakeClient):
        async def close(self) -> None:
            raise OSError("no space left")

    async def hang_up() -> None:
        engine = hosted._Hosted(connecting(Broken()))
        await engine.connect()
        await engine.end_without_terminal()

    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)
    with pytest.raises(OSError, match="no space left"):
        asyncio.run(hang_up())
    assert codes == [1]
