"""Asset status changes figures from an instant on; the board says what keeps NAV from being known."""

from typing import Any

import pytest

from engine.errors import UsageError
from tests.runtime.deck import PRICE_COLUMNS, Deck, bar, buy, to_csv
from tests.runtime.desk import act, undo

DAYS = ["2025-03-02", "2025-03-03", "2025-03-04"]


@pytest.fixture
def deck(deck: Deck) -> Deck:
    """1.5 BTC with prices, 10 SCAM that never had one."""
    bars = [bar(bucket_close=f"{day}T00:00:00Z", close="100") for day in DAYS]
    scam = buy(action="AIRDROP", asset_id="SCAM", quantity="10", unit_price_usd="")
    deck.ingest(deck.file("tx.csv", [buy(), scam]), deck.file("bars.csv", to_csv(bars, PRICE_COLUMNS)))
    return deck


def navs(deck: Deck) -> list[str | None]:
    deck.value(resolution="1d")
    return [point["nav"] for point in deck.ask("nav")["points"]]


def give(deck: Deck, status: str, reason: str = "spam", **arguments: Any) -> dict[str, Any]:
    return act(deck, "asset_set", reason=reason, status=status, **({"assets": ["SCAM"]} | arguments))


def test_board__what_blocks_nav__comes_first_with_the_act_that_settles_it(deck: Deck) -> None:
    scam, btc = deck.ask("assets")["assets"]
    assert (scam["asset_id"], scam["quantity"], scam["accounts"], scam["last_price"]) == (
        "SCAM",
        "10",
        1,
        None,
    )
    assert scam["blocking"] == {
        "reasons": ["NO_PRICE"], "held": [], "closes": 3,
        "first": "2025-03-02T00:00:00Z", "last": "2025-03-04T00:00:00Z",
    }  # fmt: skip
    assert "excluded" in scam["act"]
    assert (btc["asset_id"], btc["blocking"], btc["act"]) == ("BTC", None, None)
    assert btc["last_price"]["asof"] == "2025-03-04T00:00:00Z"


def test_excluded__from_its_first_row__every_close_is_complete(deck: Deck) -> None:
    assert navs(deck) == [None, None, None]
    assert give(deck, "excluded", since="start")["touched_from"] == deck.sql("SELECT min(ts) FROM tx")[0][0]
    assert navs(deck) == ["150", "150", "150"]
    assert [point["excluded"] for point in deck.ask("nav")["points"]] == [1, 1, 1]
    assert deck.ask("assets", blocking=True)["assets"] == []


def test_excluded__from_an_instant__only_from_then(deck: Deck) -> None:
    give(deck, "excluded", since="2025-03-03")
    assert navs(deck) == [None, "150", "150"]


def test_manual__until_it_expires__then_the_reason_says_so(deck: Deck) -> None:
    give(deck, "manual", since="start", price="0.5", expires="2025-03-04", reason="broker's note")
    assert navs(deck) == ["155", "155", None]
    assert deck.ask("nav")["points"][-1]["reasons"] == ["MANUAL_EXPIRED"]
    assert deck.ask("assets", blocking=True)["assets"][0]["blocking"]["reasons"] == ["MANUAL_EXPIRED"]


def test_manual__once_expired__its_prices_are_missing_again(deck: Deck) -> None:
    give(deck, "manual", since="start", price="0.5", expires="2025-03-03", reason="broker's note")
    gaps = deck.ask("gaps", resolution="1d", series="SCAM", to="2025-03-05")["gaps"]
    assert [(gap["from"], gap["to"], gap["missing"]) for gap in gaps] == [
        ("2025-03-03T00:00:00Z", "2025-03-05T00:00:00Z", 3)
    ]


def test_manual__written_off__is_worth_nothing(deck: Deck) -> None:
    give(deck, "manual", since="start", price="0", expires="2030-01-01")
    assert navs(deck) == ["150", "150", "150"]


def test_undo__the_status_before_counts_again(deck: Deck) -> None:
    give(deck, "excluded", since="start")
    undo(deck)
    assert navs(deck) == [None, None, None]


def test_several_assets__one_decision_each(deck: Deck) -> None:
    told = give(deck, "excluded", assets=["SCAM", "BTC"])
    assert len(told["decisions"]) == 2
    assert {row["asset_id"] for row in told["assets"]} == {"SCAM", "BTC"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"reason": ""}, "needs a reason"),
        ({"status": "spam"}, "no status 'spam'"),
        ({"assets": []}, "No assets were named"),
        ({"assets": ["SCAM", "[red]\x1b"]}, "No transaction is about"),
        ({"status": "manual"}, "needs a price and an expiry"),
        ({"status": "manual", "price": "-1", "expires": "2030-01-01"}, "is no price"),
        ({"status": "manual", "price": "1e5", "expires": "2030-01-01"}, "is no price"),
        ({"status": "manual", "price": "1", "expires": "2020-01-01"}, "expires before it begins"),
        ({"price": "1"}, "belong to manual"),
        ({"since": "soon"}, "is no instant"),
    ],
)
def test_set__what_makes_no_sense__is_refused_and_nothing_stored(
    deck: Deck, arguments: Any, told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        give(deck, **({"status": "excluded"} | arguments))
    assert deck.sql("SELECT count(*) FROM decisions") == [(0,)]
