"""Power cuts in the middle of an act: done whole or not at all, and doing it again changes nothing more."""

import json
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.runtime.deck import NOW, ROOT, Deck, buy
from tests.runtime.desk import ACTOR, assert_sound, fix, held, ledger, release

NewDeck = Callable[[str], Deck]
KILLED = 9
PROGRAM = """
import json, os, sys
from engine.runtime.tasks import ACTS
from engine.store import commit, journal

home, now, arguments, at, actor, after = json.loads(sys.argv[1])
left = [at]

def cut(owner, name):
    real = getattr(owner, name)
    def step(*given, **named):
        if not after:
            count()
        told = real(*given, **named)
        if after:
            count()
        return told
    setattr(owner, name, step)

def count():
    left[0] -= 1
    if not left[0]:
        os._exit(9)

for owner, name in ((commit.Work, "put"), (journal.Journal, "append"), (commit, "_finish")):
    cut(owner, name)
ACTS["quarantine_release"](home, now, arguments, actor, "", False)
"""


def release_cut_short(deck: Deck, ids: list[str], at: int, after: bool) -> int:
    """Releases in a process of its own that ends at (or just after) its `at`-th step; its exit code."""
    told = json.dumps([str(deck.path), NOW, {"ids": ids}, at, ACTOR, after])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, told],
        cwd=ROOT, capture_output=True, text=True, timeout=60, env={**os.environ, "POLARS_MAX_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode in (0, KILLED), done.stderr[-2000:]
    return done.returncode


def ready(deck: Deck) -> list[str]:
    """Mended rows of two files, some of them equal fills and one a duplicate."""
    bad = [buy(account=""), buy(account=""), buy(account="", external_id="t")]
    ids = [*held(deck, buy(), *bad), *held(deck, *bad, buy(account="", quantity="2", tx_hash="h"))]
    fix(deck, ids, account="main")
    return ids


def drive(new_deck: NewDeck, steps: list[tuple[int, bool]]) -> None:
    """Cuts the same act short again and again, then does it: the truth is that of a home left in peace."""
    peace, ruin = new_deck("peace"), new_deck("ruin")
    release(peace, ready(peace))
    ids = ready(ruin)
    for at, after in steps:
        assert release_cut_short(ruin, ids, at, after) == KILLED
    release(ruin, ids)
    before = ruin.truth()
    assert release(ruin, ids)["already"]
    assert ruin.truth() == before
    assert ledger(ruin) == ledger(peace)
    mine, theirs = ruin.digest()["parts"], peace.digest()["parts"]
    assert [mine[name] for name in ("ledger", "open_lots", "quarantine")] == [
        theirs[name] for name in ("ledger", "open_lots", "quarantine")
    ]
    assert len(ruin.sql("SELECT 1 FROM decisions")) == len(peace.sql("SELECT 1 FROM decisions"))
    assert_sound(ruin)


PUTS = 11  # of two files: ledger rows, names, ids, quarantine, counts; and the decisions


def test_release__cut_off_in_the_middle_and_in_the_journal__done_once(new_deck: NewDeck) -> None:
    drive(new_deck, [(PUTS // 2, False), (PUTS + 1, True)])


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(1, PUTS + 3))
def test_release__cut_off_at_any_step(new_deck: NewDeck, at: int, after: bool) -> None:
    drive(new_deck, [(at, after)])
