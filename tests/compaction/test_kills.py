"""kill -9 at a step of writing, sealing, compacting and dropping: one digest, no orphan, no reader error."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.domain.instants import DAY_US
from engine.runtime.open_day import GRACE_US
from tests.compaction.ended import carry_out
from tests.compaction.lake import FIRST_US, check_lake, copied, fill_books, orphans, within
from tests.runtime.deck import NOW, ROOT, Deck

NOON = FIRST_US + 2 * DAY_US + DAY_US // 2  # of the third day
OVER = FIRST_US + 3 * DAY_US + GRACE_US
LATER = NOW + 100 * DAY_US
# What is done, when, and when all was valued before.
ACTS = {
    "write": ("value", NOON, None),
    "seal": ("seal", OVER, NOON),
    "compact": ("compact", NOW, NOW),
    "retain": ("retention", LATER, NOW),
}
SLICES = 4  # of the steps, under `slow`; together they are all
MODULE = "tests.compaction.ended"


@pytest.fixture(scope="module")
def prepared(blank_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Deck]:
    """A home with books, on the eve of each act; made once."""
    known: dict[str, Deck] = {}

    def of(name: str) -> Deck:
        if name not in known:
            path = tmp_path_factory.mktemp(name) / "home"
            shutil.copytree(blank_home, path)
            fill_books(Deck(path))
            valued_at = ACTS[name][2]
            if valued_at is not None:
                Deck(path, lambda: valued_at).value(resolution="5m")
            known[name] = Deck(path)
        return known[name]

    return of


def start(deck: Deck, name: str, step: int) -> subprocess.CompletedProcess[str]:
    verb, now, _ = ACTS[name]
    command = [sys.executable, "-m", MODULE, str(deck.path), verb, str(now), str(step)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def each_kill(base: Deck, name: str, first: int, every: int) -> None:
    verb, now, _ = ACTS[name]
    quiet = copied(base, f"quiet-{first}")
    whole = start(quiet, name, 0)
    assert whole.returncode == 0, whole.stderr
    steps = int(whole.stdout)
    assert steps > 10
    for step in range(first, steps + 1, every):
        deck = copied(base, f"killed-{first}-{step}")
        deck.clock = lambda: now
        assert start(deck, name, step).returncode == -signal.SIGKILL
        check_lake(deck)
        within(deck, lambda engine: engine.upkeep.sweep_orphans())
        assert orphans(deck) == set(), f"step {step} of {steps}"
        carry_out(deck, verb)
        assert deck.digest() == quiet.digest(), f"step {step} of {steps}"
        check_lake(deck)
        shutil.rmtree(deck.path)
    shutil.rmtree(quiet.path)


def test_killed_while_it_seals__one_digest_no_orphan_no_reader_error(
    prepared: Callable[[str], Deck],
) -> None:
    each_kill(prepared("seal"), "seal", 12, 10**6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ACTS)
@pytest.mark.parametrize("first", range(1, 1 + SLICES))
def test_killed_at_each_step__one_digest_no_orphan_no_reader_error(
    prepared: Callable[[str], Deck], name: str, first: int
) -> None:
    each_kill(prepared(name), name, first, SLICES)
