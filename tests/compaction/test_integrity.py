"""Integrity: every flipped bit in the lake is found, set aside, and made anew with the same content."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.runtime import checking
from engine.runtime.executors import AloneExecutor
from tests.compaction.lake import ASSETS, DAYS, act, check_lake, correct, later, live, orphans, within
from tests.runtime.deck import Deck

NewLake = Callable[[str], Deck]
FILES = DAYS * len(ASSETS)
FLIPS, FLIPS_SLOW = 20, 200


def look(deck: Deck, files: int = FILES) -> dict[str, Any]:
    return dict(within(deck, lambda engine: engine.upkeep.check(files_max=files))["given"])


def flip(path: Path, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[bit // 8 % len(data)] ^= 1 << bit % 8
    path.write_bytes(data)


def found_and_made_anew(deck: Deck, flips: int, seed: int) -> None:
    """One flip after the other, each in a file and at a place of its own choice."""
    chance = random.Random(seed)
    digest, contents = deck.digest(), {content for _, content in live(deck)}
    for _ in range(flips):
        path, _ = chance.choice(live(deck))
        flip(deck.home.lake / path, chance.randrange(10**6))
        told = look(deck)
        assert (told["remade"], told["problems"]) == ([path], [])
    assert {content for _, content in live(deck)} == contents
    assert deck.digest() == digest
    assert orphans(deck) == set()
    check_lake(deck)


def test_random_flips__all_found_all_made_anew(lake: Deck) -> None:
    found_and_made_anew(lake, FLIPS, 7)


@pytest.mark.slow
def test_many_random_flips__all_found_all_made_anew(lake: Deck) -> None:
    found_and_made_anew(lake, FLIPS_SLOW, 8)


def test_a_rewritten_file__is_made_anew_as_it_was(lake: Deck) -> None:
    act(lake, "compact")
    before = live(lake)
    flip(lake.home.lake / before[0][0], 4_000)
    assert look(lake)["remade"] == [before[0][0]]
    assert live(lake) == before
    check_lake(lake)


def test_what_was_damaged__is_kept_aside__told_and_an_alert(lake: Deck) -> None:
    path = lake.home.lake / live(lake)[0][0]
    flip(path, 999)
    damaged = path.read_bytes()
    look(lake)
    (kept,) = (lake.home.lake / ".bad").iterdir()
    assert kept.read_bytes() == damaged
    assert [told["level"] for kind, told in lake.events if told.get("kind") == "lake_file_bad"] == ["bad"]
    assert "LAKE_FILE_BAD" in [alert["code"] for alert in lake.ask("status")["alerts"]]
    act(later(lake), "compact")
    assert kept.exists()


def test_a_missing_file__is_made_anew(lake: Deck) -> None:
    path = live(lake)[1][0]
    (lake.home.lake / path).unlink()
    assert not lake.ask("verify")["ok"]
    assert look(lake)["remade"] == [path]
    check_lake(lake)


def test_oldest_check_first__all_within_as_many_rounds_as_it_takes(lake: Deck) -> None:
    seen: list[str] = []
    for turn in range(FILES // 2):
        clock = lake.clock() + turn
        lake.clock = lambda clock=clock: clock  # type: ignore[misc]
        before = dict(lake.sql("SELECT path, checked_at FROM lake_files"))
        look(lake, files=2)
        after = dict(lake.sql("SELECT path, checked_at FROM lake_files"))
        seen += [path for path in after if after[path] != before[path]]
    assert sorted(seen) == sorted(path for path, _ in live(lake))


def test_the_inputs_changed_since__it_is_told_and_valuing_mends_it(lake: Deck) -> None:
    path = next(path for path, _ in live(lake) if "2025-03-02/asset_id=BTC" in path)
    flip(lake.home.lake / path, 77)
    correct(lake)
    told = look(lake)
    assert (told["remade"], len(told["problems"])) == ([], 1)
    lake.value(resolution="5m")
    assert look(lake)["problems"] == []
    check_lake(lake)


def test_a_round_by_itself__in_a_process_of_its_own_at_idle_priority(lake: Deck) -> None:
    path = live(lake)[0][0]
    flip(lake.home.lake / path, 5)
    told = within(lake, lambda engine: engine.upkeep.check(AloneExecutor()))["given"]
    assert told == {"checked": FILES, "remade": [path], "problems": []}
    with pytest.raises(RuntimeError):
        checking.check_idle(str(lake.path))
