"""The console before a hostile home, on a real terminal: what it draws is text, colours and cursor moves."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.runtime.inbox import takes
from tests.hostile.cases import Case, good
from tests.hostile.corpus import corpus
from tests.hostile.row_cases import CONTROLS
from tests.hostile.stream import kinds
from tests.pty.seat import ALT_SCREEN_ON, Seat, sit
from tests.runtime.deck import Deck, to_csv

PATIENCE_S = 90.0
QUIET_S = 0.4  # without a byte for so long, a key has been answered; longer than a lone ESC waits for more
ENTER, ESC = b"\r", b"\x1b"
PASTE = b"\x1b[200~%s\x1b[201~"
SCREENS = (b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"8")
LISTS = (b"2", b"3", b"8")
SHOWN_AS = b"\\x1b"  # how an escape that came from a file is shown
# Cases that make work and no picture, or that would be valued for decades.
LEFT_OUT = (
    "format-",
    "size-",
    "lines-",
    "instant-",
    "number-",
    "prices-",
    "fx-",
    "parquet-",
    "encoding-",
    "quoting-1",
)
LAST = "漢字-last.csv"  # after all others by name


def quiet(seat: Seat) -> None:
    """Reads until nothing more is drawn."""
    ends_at = time.monotonic() + PATIENCE_S
    while seat._read(QUIET_S):
        assert time.monotonic() < ends_at, "it draws for ever"


def after(seat: Seat, *keys: bytes) -> bytes:
    """What is drawn after some keys, each answered before the next."""
    start = len(seat.drawn)
    for key in keys:
        seat.press(key)
        quiet(seat)
        assert seat.process.poll() is None, seat.drawn[-3000:]
    return seat.drawn[start:]


def taken_in(seat: Seat, deck: Deck) -> None:
    """Waits until the inbox holds nothing that is taken."""
    ends_at = time.monotonic() + PATIENCE_S
    while any(takes(name) for name in os.listdir(deck.home.inbox)) or os.listdir(deck.home.claimed):
        assert time.monotonic() < ends_at, os.listdir(deck.home.inbox)
        seat._read(QUIET_S)


def tour(deck: Deck, typed: bytes) -> tuple[bytes, dict[bytes, bytes]]:
    """Opens a home, visits every screen, opens rows, filters, leaves: the whole stream, and by screen."""
    shown = {}
    with sit(home=deck.path) as seat:
        seat.until(ALT_SCREEN_ON)
        taken_in(seat, deck)
        quiet(seat)
        for screen in SCREENS:
            shown[screen] = after(seat, screen)
        for screen in LISTS:
            opened = after(seat, screen + ENTER, ESC, b"jj" + ENTER, ESC)
            filtered = after(seat, b"/", PASTE % typed + ENTER, ESC, b"/", typed + ENTER, ESC)
            shown[screen] += opened + filtered
        after(seat, b"3]", b"?", ESC, b":[/nope", ESC, b"1")
        seat.press(b"q")
        assert seat.ended() == 0
        assert seat.restored()
        assert b"Traceback" not in seat.drawn
        return seat.drawn, shown


def clean_home(deck: Deck) -> None:
    """What a hostile home has too, each once and harmless."""
    deck.ingest(deck.file("first.csv", [good("first"), good("first", 2, quantity="-1")]))
    deck.drop("second.csv", [good("second"), good("second", 2, quantity="-1")])
    deck.drop("third.csv", b"no header\n")
    deck.drop("fourth.txt", b"")


def hostile_home(deck: Deck, cases: list[Case]) -> None:
    """Hostile rows in the ledger and in quarantine; in the inbox hostile files, and more rows at last."""
    folder = deck.path.parent / "files"
    folder.mkdir()
    dropped = ("name-", "object-")
    deck.ingest(*(case.lay(folder) for case in cases if not case.name.startswith((*dropped, *LEFT_OUT))))
    for case in cases:
        if case.name.startswith(dropped):
            case.lay(deck.home.inbox)
    rows = [good("last", n, account=value, notes=value) for n, value in enumerate(CONTROLS.values())]
    deck.drop(LAST, to_csv(rows))


@pytest.fixture
def cases(tmp_path: Path) -> list[Case]:
    return corpus(tmp_path)


def test_console__hostile_home__draws_no_kind_of_sequence_that_a_clean_home_does_not(
    new_deck: Callable[[str], Deck], cases: list[Case]
) -> None:
    clean, hostile = new_deck("clean"), new_deck("hostile")
    clean_home(clean)
    hostile_home(hostile, cases)
    with ThreadPoolExecutor() as both:  # side by side, for most of a tour is waiting
        tours = both.map(tour, (clean, hostile), (b"plain words", b"[/nope][red]%s{0}"))
        (usual, _), (drawn, shown) = tours
    assert kinds(drawn) - kinds(usual) == set()
    assert b"\x1b]52" not in drawn
    raw = [value.encode() for value in CONTROLS.values()]
    raw += [os.fsencode(case.file_name) for case in cases if not case.file_name.isprintable()]
    assert [value for value in raw if value in drawn] == []
    for screen in LISTS:
        assert SHOWN_AS in shown[screen], f"nothing hostile was shown on {screen!r}"
