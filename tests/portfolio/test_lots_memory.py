"""A run that is over is gone: the collector is paused while lots are booked, and is never told of them."""

import gc
from collections.abc import Callable, Iterator

import pytest

from engine.portfolio.lot_paths import follow
from engine.portfolio.lots_engine import Book, run
from engine.portfolio.lots_replay import LotsBook
from engine.portfolio.transfers import link
from tests.portfolio.ledgers import CASH, frame, trades

ROWS = """
    09:00 a BUY 2 X @10
    09:30 a BUY 1 Y @5
    10:00 a TRANSFER_OUT 1 X #h1
    11:00 b TRANSFER_IN 1 X #h1
    12:00 b SELL 1 X @20
    13:00 a SELL 3 X @20
"""


def books_alive() -> int:
    return sum(issubclass(type(one), Book) for one in gc.get_objects())


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def replayed() -> None:
    book = LotsBook(frame(trades(ROWS)[:3]), "FIFO", CASH, {})
    book.change(frame(trades(ROWS)[3:]))
    book.outcome()


def run_in_full() -> None:
    ledger = frame(trades(ROWS))
    run(ledger, link(ledger), "FIFO", CASH, {})


def followed() -> None:
    ledger = frame(trades(ROWS))
    follow(ledger, link(ledger), "HIFO", CASH, {})


@pytest.mark.parametrize("way", [run_in_full, replayed, followed])
@pytest.mark.usefixtures("no_collector")
def test_lots__a_run_is_over__nothing_of_it_waits_for_a_collector(way: Callable[[], None]) -> None:
    before = books_alive()
    way()
    assert books_alive() == before
