"""Values are told to be older than the books only where something that they depend on changed."""

import pytest

from tests.runtime.deck import PRICE_COLUMNS, Deck, bar, buy, to_csv
from tests.runtime.desk import fix, held, reject, release, take, undo


@pytest.fixture
def valued(deck: Deck) -> Deck:
    """One purchase with a price, valued."""
    take(deck, buy())
    deck.ingest(deck.file("p.csv", to_csv([bar()], PRICE_COLUMNS)))
    deck.value()
    return deck


def is_stale(deck: Deck) -> bool:
    """As `nav`, `metrics` and `status` say it, which agree."""
    told = {deck.ask("nav")["stale"], deck.ask("metrics")["stale"]}
    told.add("VALUES_STALE" in {alert["code"] for alert in deck.ask("status")["alerts"]})
    (one,) = told
    return bool(one)


def test_acts_on_rows_that_stay_aside__and_their_undo__leave_values_as_fresh(valued: Deck) -> None:
    ids = held(valued, buy(action="buy", quantity="2"))
    assert not is_stale(valued), "nothing of the file came in"
    fix(valued, ids, action="BUY")
    assert not is_stale(valued)
    undo(valued)
    assert not is_stale(valued)
    reject(valued, ids)
    undo(valued)
    assert not is_stale(valued)


def test_released_row__and_its_undo__make_values_stale(valued: Deck) -> None:
    ids = held(valued, buy(action="buy", quantity="2"))
    fix(valued, ids, action="BUY")
    release(valued, ids)
    assert is_stale(valued)
    valued.value()
    assert not is_stale(valued)
    undo(valued)
    assert is_stale(valued)


def test_row_released_as_known_already__leaves_values_as_fresh(valued: Deck) -> None:
    ids = held(valued, buy(action="buy", external_id="T-1"))
    take(valued, buy(external_id="T-1"))
    fix(valued, ids, action="BUY")
    valued.value()
    assert release(valued, ids)["duplicates"] == 1
    assert not is_stale(valued)
    undo(valued)
    assert not is_stale(valued)


def test_files_that_brought_nothing__leave_values_as_fresh(valued: Deck) -> None:
    take(valued, buy(action="buy"))
    valued.ingest(valued.file("bad.csv", b"a,b\n1,2\n"))
    assert not is_stale(valued)
    take(valued, buy(quantity="3"))
    assert is_stale(valued)
