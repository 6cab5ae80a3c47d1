"""The clock goes back between files: commit instants still grow, and the truth is the same."""

import asyncio
from collections.abc import Callable
from itertools import pairwise

import pytest

from engine.domain.instants import DAY_US, SECOND_US
from engine.runtime.host import Host
from engine.store import journal
from tests.faults.books import check, few, files_of, fill_inbox
from tests.faults.conftest import Peace
from tests.runtime.deck import NOW, Deck
from tests.runtime.test_service import Heard

HOUR_US = 3600 * SECOND_US


def check_instants(deck: Deck, files: int) -> None:
    """Each commit is later than the one before, in the journal and in the store."""
    entries = list(journal.read(deck.home.journal))
    assert len(entries) >= files
    assert all(before.at < after.at for before, after in pairwise(entries))
    stored = [at for (at,) in deck.sql("SELECT committed_at FROM files ORDER BY file")]
    assert sorted(stored) == stored
    assert len(set(stored)) == files
    assert max(stored) <= int(deck.sql("SELECT value FROM meta WHERE key = 'committed_at'")[0][0])


@pytest.mark.parametrize("back_us", [HOUR_US, DAY_US, 40 * DAY_US], ids=["hour", "day", "forty days"])
def test_clock_goes_back_between_files__commit_instants_grow(deck: Deck, peace: Peace, back_us: int) -> None:
    sources = few()
    for number, path in enumerate(files_of(deck, sources)):
        deck.clock = lambda number=number: NOW - number * back_us  # type: ignore[misc]
        deck.ingest(path)
    check_instants(deck, len(sources))
    check(deck, peace(sources), sources)


def test_clock_jumps_under_a_hosted_engine__the_same_truth(deck: Deck, peace: Peace) -> None:
    """Back an hour, ahead a day, back two: at every look at the clock."""
    jumps = (0, -HOUR_US, DAY_US, -2 * DAY_US)
    looks = 0

    def clock() -> int:
        nonlocal looks
        looks += 1
        return NOW + jumps[looks % len(jumps)]

    sources = few()

    async def run() -> None:
        fill_inbox(deck, sources)
        host = await Host.open(deck.home, clock=clock)
        try:
            heard = Heard(host)
            for name in sources:
                await heard.of("file_done", _named(name))
        finally:
            await host.close()

    asyncio.run(run())
    check_instants(deck, len(sources))
    check(deck, peace(sources), sources)


def _named(name: str) -> Callable[[dict[str, object]], bool]:
    return lambda data: data["name"] == name
