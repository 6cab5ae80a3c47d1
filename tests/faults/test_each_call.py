"""Each call that changes the disk fails once: a file is done or untouched, and the next run ends well."""

import errno
import os
from collections.abc import Callable

import pytest

from engine.errors import EngineError, StoreFull
from tests.faults.books import check, check_whole, few, fill_inbox
from tests.faults.calls import CALLS, POWER, Faults, PowerCut
from tests.faults.conftest import Peace
from tests.runtime.deck import Deck

NewDeck = Callable[[str], Deck]
NEVER = 10**9
EVERY = 5  # of the calls fails in the default run, in one of three ways
SLICES = 5  # which together are all calls, under `slow`


def taken(deck: Deck, number: int, code: int, onward: bool) -> tuple[Faults, BaseException | None]:
    """Takes the inbox while the Nth call fails, `onward` all that follow; the error, if one was told."""
    faults = Faults(deck.path, number, code, onward)
    with pytest.MonkeyPatch.context() as patch:
        faults.install(patch)
        try:
            deck.ingest()
        except (EngineError, OSError, PowerCut) as error:
            return faults, error
        return faults, None


def each(new_deck: NewDeck, peace: Peace, code: int, onward: bool, first: int, step: int) -> None:
    sources = few()
    quiet = new_deck("quiet")
    fill_inbox(quiet, sources)
    calls = taken(quiet, NEVER, code, onward)[0].calls
    assert set(calls) >= set(CALLS) - {"ftruncate", "write"}
    for number in range(first, len(calls) + 1, step):
        deck = new_deck(f"call-{number}")
        fill_inbox(deck, sources)
        try:
            faults, error = taken(deck, number, code, onward)
            assert len(faults.calls) >= number, "nothing failed"
            assert isinstance(error, PowerCut) == (code == POWER)
            if code == errno.ENOSPC and error is not None:
                assert isinstance(error, StoreFull), error
            check_whole(deck)
            deck.ingest()
            assert os.listdir(deck.home.inbox) == []
            check(deck, peace(sources), sources)
        except BaseException as problem:
            problem.add_note(f"call {number} of {len(calls)}: {calls[number - 1]}")
            raise


@pytest.mark.parametrize(
    ("code", "onward", "first"),
    [(errno.EIO, False, 2), (errno.ENOSPC, True, 2 + EVERY), (POWER, True, 2 + 2 * EVERY)],
)
def test_a_call_fails__done_or_untouched_and_taken_up_again(
    new_deck: NewDeck, peace: Peace, code: int, onward: bool, first: int
) -> None:
    each(new_deck, peace, code, onward, first, 3 * EVERY)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "onward"),
    [(errno.EIO, False), (errno.EIO, True), (errno.ENOSPC, False), (errno.ENOSPC, True), (POWER, True)],
)
@pytest.mark.parametrize("first", range(1, 1 + SLICES))
def test_each_call_fails__done_or_untouched_and_taken_up_again(
    new_deck: NewDeck, peace: Peace, code: int, onward: bool, first: int
) -> None:
    each(new_deck, peace, code, onward, first, SLICES)
