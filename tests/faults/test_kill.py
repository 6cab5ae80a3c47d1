"""Sudden ends: the engine is killed at random moments, or at a chosen one, and started again until done."""

import os
import random
import time

import pytest

from tests.faults.books import ahead, check, check_whole, contents, few, files_of, fill_inbox
from tests.faults.conftest import Peace
from tests.faults.processes import TIMEOUT_S, check_acks, ended, kill, start, told, wait_for_work
from tests.runtime.deck import Deck

WORK_S = 0.1  # about what a file takes
# Kills of each way under `slow`; named files are soon done. "engine only": its worker goes on for a moment.
WAYS = {"named": 3, "inbox": 8, "daemon": 8, "engine only": 3}
SEEDS = 25  # of each way: about 500 kills that hit work in all


def ruin(deck: Deck, way: str, rng: random.Random, kills: int) -> tuple[int, int]:
    """Kills it again and again while it works: how many kills hit it, and how many commits await redoing."""
    named = files_of(deck, contents()) if way in ("named", "engine only") else []
    arguments = ["--daemon"] if way == "daemon" else ["ingest", *named, "--json"]
    hits = redos = 0
    for _ in range(kills):
        if not named:
            fill_inbox(deck, contents())  # what is known already is dropped again
        process = start(deck, *arguments)
        wait_for_work(deck, process, 1 if way == "daemon" else rng.randint(1, 4))
        time.sleep(rng.uniform(0, WORK_S))
        hit, acks = kill(process, group=way != "engine only")
        check_acks(deck, acks)
        hits += hit
        redos += way != "engine only" and ahead(deck)
    if named:
        assert ended(start(deck, *arguments))[0] == 3
    deck.ingest()
    return hits, redos


def drive(deck: Deck, peace: Peace, way: str, seed: int, kills: int) -> None:
    hits, redos = ruin(deck, way, random.Random(seed), kills)
    check(deck, peace(contents()), contents())
    assert os.listdir(deck.home.inbox) == []
    assert deck.ingest()["files"] == []
    assert hits, "every kill came too late: the test proved nothing"
    print(f"{way} {seed}: {hits} kills, {redos} redos")


@pytest.mark.parametrize("way", WAYS)
def test_killed_while_it_works__nothing_lost_or_doubled(deck: Deck, peace: Peace, way: str) -> None:
    drive(deck, peace, way, seed=1, kills=2)


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("seed", range(11, 11 + SEEDS))
def test_killed_again_and_again__nothing_lost_or_doubled(
    deck: Deck, peace: Peace, seed: int, way: str
) -> None:
    drive(deck, peace, way, seed, WAYS[way])


@pytest.mark.parametrize(("when", "number", "redone"), [("before", 2, 1), ("after", 2, 0)])
def test_killed_at_a_commit__what_the_journal_has_is_redone_once(
    deck: Deck, peace: Peace, when: str, number: int, redone: int
) -> None:
    killed_at(deck, peace, when, number, redone)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(1, 5))
@pytest.mark.parametrize(("when", "redone"), [("before", 1), ("after", 0)])
def test_killed_at_each_commit__what_the_journal_has_is_redone_once(
    deck: Deck, peace: Peace, when: str, number: int, redone: int
) -> None:
    killed_at(deck, peace, when, number, redone)


def killed_at(deck: Deck, peace: Peace, when: str, number: int, redone: int) -> None:
    sources = few()
    named = files_of(deck, sources)
    process = start(deck, "ingest", *named, "--json", when=when, commit=number)
    acks = told(process.communicate(timeout=TIMEOUT_S)[1])
    assert process.returncode < 0, "it was to be killed"
    assert len(acks) == number - 1
    check_acks(deck, acks)
    assert ahead(deck) == redone
    check_whole(deck)
    again = deck.ingest(*named)
    kept, fresh = ["duplicate"] * (number - 1), ["ingested"] * (len(sources) - number)
    assert [entry["status"] for entry in again["files"]] == ["rejected", *kept, *fresh]
    check(deck, peace(sources), sources)
