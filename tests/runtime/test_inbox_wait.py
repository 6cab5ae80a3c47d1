"""Waiting for the inbox: until each file that lay there has its verdict, or is there no more."""

import asyncio
from typing import Any

import pytest

from engine.errors import DiskLow
from engine.runtime import inbox_wait
from engine.runtime.home import Home
from engine.runtime.inbox_wait import InboxWait
from engine.runtime.taken import COUNTS
from tests.runtime.deck import Deck, buy

GOOD = dict.fromkeys(COUNTS, 0) | {"status": "ingested", "accepted": 1}


class Engine:
    """As much of an engine as the wait looks at."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.short = ""

    def disk_short(self) -> str:
        return self.short


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_wait, "LOOK_EVERY_S", 0.01)


def waiting(deck: Deck) -> tuple[InboxWait, Engine]:
    engine = Engine(deck.home)
    return InboxWait(engine.home, engine.disk_short), engine


def run(wait: InboxWait) -> dict[str, Any]:
    return asyncio.run(asyncio.wait_for(wait.run(), 20))


def test_wait__empty_inbox__is_over_at_once(deck: Deck) -> None:
    assert run(waiting(deck)[0])["files"] == []


def test_wait__ends_with_the_last_verdict__of_files_in_the_inbox_and_of_those_being_taken(deck: Deck) -> None:
    deck.drop("one.csv", [buy()])
    (deck.home.claimed / "x").mkdir(parents=True)
    (deck.home.claimed / "x" / "two.csv").write_bytes(b"")
    (deck.home.inbox / "notes.tmp").write_bytes(b"")
    wait, _ = waiting(deck)
    for name in ("one.csv", "later.csv", "two.csv"):
        wait.hear(GOOD | {"name": name, "at": "2026-01-01T00:00:00Z"})
    told = run(wait)
    assert [file["name"] for file in told["files"]] == ["one.csv", "two.csv"]
    assert all("at" not in file for file in told["files"])
    assert (told["totals"]["files"], told["totals"]["accepted"]) == (2, 2)
    assert told["waiting"] == ["notes.tmp"]


def test_wait__a_file_taken_away_by_its_sender__is_waited_for_no_longer(deck: Deck) -> None:
    gone = deck.drop("gone.csv", [buy()])
    wait, _ = waiting(deck)
    gone.unlink()
    assert run(wait)["files"] == []


def test_wait__a_name_that_is_no_utf8__is_known_by_what_verdicts_call_it(deck: Deck) -> None:
    deck.drop("caf\udce9.csv", [buy()])
    wait, _ = waiting(deck)
    wait.hear(GOOD | {"name": "caf\\xe9.csv"})
    assert run(wait)["totals"]["files"] == 1


def test_wait__no_room_on_the_disk__is_told(deck: Deck) -> None:
    deck.drop("one.csv", [buy()])
    wait, engine = waiting(deck)
    engine.short = "10 bytes are free; intake needs 20."
    with pytest.raises(DiskLow, match="10 bytes are free"):
        run(wait)
