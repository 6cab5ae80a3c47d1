"""The terminal goes away at any point of a console's life: nothing is left, the home is free."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from engine.runtime.clock import system_clock
from engine.store.files import HomeLock
from tests.pty.seat import END_WITHIN_S, sit
from tests.runtime.deck import Deck, buy, to_csv

FIRST_FRAMES_S = 6.0  # start, first frame, file taken and valued all lie within this


def points(number: int, seed: int) -> list[float]:
    rng = random.Random(seed)
    return [rng.uniform(0.05, FIRST_FRAMES_S) for _ in range(number)]


@pytest.mark.parametrize(
    "after_s",
    [*points(2, seed=5), *(pytest.param(one, marks=pytest.mark.slow) for one in points(18, seed=6))],
    ids=lambda after_s: f"{after_s:.2f}s",
)
def test_hang_up__at_any_point__nothing_is_left_the_file_is_taken_once(deck: Deck, after_s: float) -> None:
    deck.clock = system_clock  # whoever takes the file, console or test, it is of an hour ago
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    deck.drop("trades.csv", to_csv([buy(timestamp=f"{an_hour_ago:%Y-%m-%dT%H:%M:%SZ}")]))
    with sit(home=deck.path) as seat:
        seat.watch(after_s)
        helpers = seat.helpers()
        seat.hang_up()
        seat.ended(END_WITHIN_S)  # before its handlers are in place the signal itself ends it
        assert seat.all_end(helpers)

    HomeLock(deck.home.lock).release()
    deck.ingest()
    assert deck.counts()["transactions"] == 1
    assert not list(deck.home.inbox.iterdir())
    assert deck.ask("verify")["checks"][1]["ok"]
