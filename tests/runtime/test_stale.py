"""Values are told to be older than the books only where what they depend on changed and they can be made."""

import pytest

from tests.runtime.deck import PRICE_COLUMNS, Deck, bar, buy, to_csv
from tests.runtime.desk import act, fix, held, reject, release, take, undo


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


def test_trades_without_any_price__every_question_says_so__and_nothing_is_stale(deck: Deck) -> None:
    take(deck, buy(), buy(asset_id="ETH", account="cold"), buy(asset_id="EUR"))
    why = {"reason": "NO_PRICES", "never_priced": ["BTC", "ETH"]}
    valued = deck.value()
    assert (valued["buckets"], valued["unvalued"]) == (0, why)
    left = {"from": "2025-03-02T00:00:00Z", "to": None, "reason": "NO_PRICES"}
    assert valued["resolutions"]["1d"]["left_out"] == left
    assert (deck.ask("nav")["points"], deck.ask("nav")["unvalued"]) == ([], why)
    assert deck.ask("status")["unvalued"] == why
    assert not is_stale(deck)
    blocking = deck.ask("assets", blocking=True)["assets"]
    assert [(row["asset_id"], row["blocking"]["reasons"]) for row in blocking] == [
        ("BTC", ["NO_PRICE"]), ("ETH", ["NO_PRICE"]),
    ]  # fmt: skip
    assert blocking[0]["blocking"]["first"] == left["from"]


def test_first_price__makes_values_stale__and_leaves_the_others_named(deck: Deck) -> None:
    take(deck, buy(), buy(asset_id="ETH"))
    deck.ingest(deck.file("p.csv", to_csv([bar()], PRICE_COLUMNS)))
    assert is_stale(deck)
    assert deck.value()["unvalued"] == {"reason": None, "never_priced": ["ETH"]}
    assert deck.ask("nav")["unvalued"] is None
    assert not is_stale(deck)


def test_prices_from_before_the_first_row_alone__value_nothing_and_say_so(deck: Deck) -> None:
    take(deck, buy())
    old = bar(bucket_close="2025-02-01T00:00:00Z")
    deck.ingest(deck.file("p.csv", to_csv([old], PRICE_COLUMNS)))
    assert deck.value()["unvalued"] == {"reason": "NO_PRICES", "never_priced": []}
    assert not is_stale(deck)


def test_excluded_asset__waits_for_no_price(deck: Deck) -> None:
    take(deck, buy(), buy(asset_id="ETH"))
    act(deck, "asset_set", reason="spam", assets=["ETH"], status="excluded", since="start")
    assert deck.ask("status")["unvalued"]["never_priced"] == ["BTC"]
    undo(deck)
    assert deck.ask("status")["unvalued"]["never_priced"] == ["BTC", "ETH"]


def test_new_home__has_no_transactions_to_value(deck: Deck) -> None:
    assert deck.value()["unvalued"] == {"reason": "NO_TRANSACTIONS", "never_priced": []}
    assert not is_stale(deck)


def test_closes_valued_beyond_the_last_price__count_as_blocked(deck: Deck) -> None:
    """As a running engine leaves them: it values every close, priced or not."""
    take(deck, buy())
    deck.ingest(deck.file("p.csv", to_csv([bar()], PRICE_COLUMNS)))
    deck.value(until_now=True)
    (row,) = deck.ask("assets", blocking=True)["assets"]
    assert row["blocking"]["last"] == deck.ask("nav")["points"][-1]["bucket_close"] == "2026-01-01T00:00:00Z"
