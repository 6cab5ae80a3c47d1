"""What is typed or pasted is data too: it is shown as text, moves nothing, and never ends the console."""

import asyncio
import time
import unicodedata
from pathlib import Path

import pytest
from textual import events
from textual.widgets import Input

from console.app import NavdeckApp
from console.fake import FakeClient, connecting
from tests.hostile.stream import UNPRINTABLE
from tests.hostile.test_console import PASTE, PATIENCE_S, QUIET_S, quiet
from tests.pty.seat import ALT_SCREEN_ON, Seat, sit

FAKE = """
from console.app import NavdeckApp
from console.fake import FakeClient, connecting
NavdeckApp(connecting(FakeClient())).run()
"""
WITHOUT_ENGINE = ("-c", FAKE)  # it starts in no time
EVENTS_SHOWN = b"newest last"


def typed(before: Seat, keys: bytes) -> bytes:
    """What is drawn after these keys and one more, which opens the events."""
    before.until(ALT_SCREEN_ON)
    before.until(b"quarantine")
    quiet(before)
    start, ends_at = len(before.drawn), time.monotonic() + PATIENCE_S
    before.press(keys)
    quiet(before)
    before.press(b"8")
    while EVENTS_SHOWN not in before.drawn[start:]:
        assert before.process.poll() is None, before.drawn[-3000:]
        assert time.monotonic() < ends_at, before.drawn[-3000:]
        before._read(QUIET_S)
    quiet(before)
    return before.drawn[start:]


@pytest.mark.parametrize("pasted", [b"\x1bq", b"\x1b[201~q"], ids=["escape", "end of a paste"])
def test_paste_with_an_escape_in_it__presses_no_key(tmp_path: Path, pasted: bytes) -> None:
    with sit(home=tmp_path, program=WITHOUT_ENGINE) as before:
        assert b"LEAVING" not in typed(before, PASTE % pasted)


@pytest.mark.parametrize("keys", [b"\xff", b"\x1b[1:1u"], ids=["no UTF-8", "no key"])
def test_bytes_that_mean_nothing__typed__the_console_lives(tmp_path: Path, keys: bytes) -> None:
    with sit(home=tmp_path, program=WITHOUT_ENGINE) as before:
        assert b"Traceback" not in typed(before, keys)


@pytest.mark.parametrize(
    "text",
    [
        "\u202egpj.exe", "\u2066x", "\x9b31mred", "\x1b]52;c;eA==", "\u200bx", "\ufeffx",
        "\u061cx", "\xadx", "\U000e0041", "\ue000",
    ],
    ids=ascii,
)  # fmt: skip
def test_filter__pasted__nothing_unprintable_is_drawn(text: str) -> None:
    async def run() -> str:
        app = NavdeckApp(connecting(FakeClient()))
        async with app.run_test(size=(100, 30)) as pilot:
            await pilot.press("2", "slash")
            field = app.screen.query_one("#filter", Input)
            for pasted in ("[/nope]", text, "漢字"):
                field.post_message(events.Paste(pasted))
                await pilot.pause()
            return "".join(segment.text for segment in field.render_line(0))

    drawn = asyncio.run(run())
    assert "[/nope]" in drawn
    assert "漢字" in drawn
    assert {repr(one) for one in drawn if unicodedata.category(one) in UNPRINTABLE} == set()
