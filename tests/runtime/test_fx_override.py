"""Use EOD once: a held pair is valued by its fallback where an operator says so, and says that it is."""

from collections.abc import Callable
from typing import Any

import pytest

from engine.domain.instants import parse_instant
from engine.errors import UsageError
from tests.runtime.deck import FX_COLUMNS, PRICE_COLUMNS, Deck, bar, buy, rate, to_csv
from tests.runtime.desk import act, undo

# Wednesday 5 March 2025. The hourly feed stops at 15:00; the fixing of 13:15 is 90 bps off it.
FEED = [f"2025-03-05T{hour:02}:00:00Z" for hour in range(8, 16)]
HELD_FROM = "2025-03-05T16:00:00Z"  # an hour after the last market rate


@pytest.fixture
def deck(deck: Deck) -> Deck:
    """One BTC priced in EUR every hour of the day, told in USD."""
    rates = [rate(rate="1.10", asof=asof, resolution="1h", fx_source="feed") for asof in FEED]
    rates.append(rate(rate="1.09", asof="2025-03-05T13:15:00Z"))
    bars = [
        bar(resolution="1h", bucket_close=f"2025-03-05T{hour:02}:00:00Z", close="100", quote_currency="EUR")
        for hour in range(8, 21)
    ]
    deck.clock = at("18:00")
    deck.ingest(
        deck.file("tx.csv", [buy(timestamp="2025-03-05T07:30:00Z", quantity="2", unit_price_usd="90")]),
        deck.file("fx.csv", to_csv(rates, FX_COLUMNS)),
        deck.file("bars.csv", to_csv(bars, PRICE_COLUMNS)),
    )
    deck.clock = at("18:20")
    deck.value(resolution="1h")
    return deck


def at(clock: str) -> Callable[[], int]:
    """A clock that stands at a time of the day."""
    return lambda: parse_instant(f"2025-03-05T{clock}:00Z") or 0


def navs(deck: Deck) -> dict[str, tuple[str | None, list[str]]]:
    """By close of the day: NAV and flags."""
    points = deck.ask("nav", resolution="1h")["points"]
    return {point["bucket_close"][11:16]: (point["nav"], point["flags"]) for point in points}


def grant(deck: Deck, reason: str = "feed is down", **arguments: Any) -> dict[str, Any]:
    return act(deck, "fx_use_eod_once", reason=reason, pair="EUR/USD", **arguments)


def test_hold__without_a_decision__no_nav_and_why(deck: Deck) -> None:
    told = navs(deck)
    assert told["15:00"] == ("220", [])
    assert told["16:00"] == (None, ["DELAYED_FX"])
    (row,) = deck.ask("fx_status", pair="EUR/USD")["pairs"]
    assert (row["held"], row["held_since"], row["evidence"]["cause"]) == (True, HELD_FROM, "DRIFT")
    assert row["evidence"]["drift_bps"].startswith("90.9")
    assert row["evidence"]["primary_age_s"] == 200 * 60


def test_use_eod_once__the_current_hold_and_half_an_hour__nothing_else(deck: Deck) -> None:
    told = grant(deck)
    assert (told["from"], told["to"]) == ("2025-03-05T15:59:59.999999Z", told["granted"])
    assert told["held_closes"] == 29  # 16:00 to 18:20, every five minutes
    deck.value(resolution="1h")
    found = navs(deck)
    assert found["15:00"] == ("220", [])
    assert found["16:00"] == ("218", ["EOD_OVERRIDE"])
    assert found["18:00"] == ("218", ["EOD_OVERRIDE"])
    assert found["19:00"] == (None, ["DELAYED_FX"])


def test_use_eod_once__closes_in_the_next_half_hour__pass_when_they_turn_out_held(deck: Deck) -> None:
    deck.clock = at("18:45")
    grant(deck)
    deck.value(resolution="1h")
    found = navs(deck)
    assert found["19:00"] == ("218", ["EOD_OVERRIDE"])
    assert found["20:00"] == (None, ["DELAYED_FX"])


def test_override__a_primary_arrives_late__the_market_rate_counts(deck: Deck) -> None:
    grant(deck)
    late = [rate(rate="1.12", asof="2025-03-05T16:00:00Z", resolution="1h", fx_source="feed")]
    deck.ingest(deck.file("late.csv", to_csv(late, FX_COLUMNS)))
    deck.value(resolution="1h")
    assert navs(deck)["16:00"] == ("224", [])


def test_override__named_span__those_closes_alone(deck: Deck) -> None:
    grant(deck, **{"from": "2025-03-05T16:30:00Z", "to": "2025-03-05T17:00:00Z"})
    deck.value(resolution="1h")
    found = navs(deck)
    assert [found[at][0] for at in ("16:00", "17:00", "18:00")] == [None, "218", None]


def test_override__of_a_span_to_come__touches_the_half_hour_before_it_too(deck: Deck) -> None:
    deck.clock = at("18:45")
    told = grant(deck, **{"from": "2025-03-05T19:30:00Z", "to": "2025-03-05T20:00:00Z"})
    deck.value(resolution="1h")
    assert [navs(deck)[close][0] for close in ("18:00", "19:00", "20:00")] == [None, "218", "218"]
    assert at("18:45")() < told["touched_from"] <= at("19:00")()
    assert told["touched_until"] == at("20:00")()
    assert undo(deck)["touched_from"] == told["touched_from"]


def test_override__undone__held_again(deck: Deck) -> None:
    granted = grant(deck)
    assert undo(deck)["touched_from"] == granted["touched_from"]
    deck.value(resolution="1h")
    assert navs(deck)["16:00"] == (None, ["DELAYED_FX"])
    assert deck.ask("fx_status", pair="EUR/USD")["pairs"][0]["override"] is None


def test_status__of_an_override__says_who_why_and_how_long(deck: Deck) -> None:
    grant(deck, reason="checked by phone")
    deck.clock = at("18:30")
    (row,) = deck.ask("fx_status", pair="EUR/USD")["pairs"]
    assert row["state"] == "overridden"
    assert (row["override"]["actor"], row["override"]["reason"]) == ("ada", "checked by phone")
    assert 1190 <= row["override"]["left_s"] <= 1200


def test_status__of_a_hold__what_it_touches_and_the_nav_under_the_fallback(deck: Deck) -> None:
    told = deck.ask("fx_status", pair="USD/EUR", at="2025-03-05T18:00:00Z")["touched"]
    assert told == {
        "resolution": "1h", "close": "2025-03-05T18:00:00Z", "accounts": ["main"], "assets": ["BTC"],
        "base_currency": "USD", "value_under_fallback": "218", "nav_under_fallback": "218",
    }  # fmt: skip


def test_fixings__fallback_against_the_market_then(deck: Deck) -> None:
    (fixing,) = deck.ask("fx_status", pair="EUR/USD")["fixings"]
    assert fixing["primary_asof"] == "2025-03-05T13:00:00Z"
    assert (fixing["fallback"], fixing["primary"], fixing["primary_age_s"]) == ("1.09", "1.1", 900)
    assert fixing["feed_bps"] == "90.909090909090909091"
    assert deck.ask("fx_status")["fixings"] == [fixing]  # of every pair, those of the last days
    assert deck.ask("fx_status", at="2025-05-05T13:00:00Z")["fixings"] == []


def test_without_market__runs_of_closes_and_what_each_came_to__up_to_now(deck: Deck) -> None:
    deck.clock = at("20:00")
    grant(deck, **{"from": "2025-03-05T16:30:00Z", "to": "2025-03-05T18:00:00Z"})
    before, *found = deck.ask("fx_status", pair="EUR/USD", closes="1h")["without_market"]
    assert (before["to"], before["state"], before["drift_bps"]) == ("2025-03-05T07:00:00Z", "none", None)
    told = [(run["from"][11:16], run["to"][11:16], run["closes"], run["state"]) for run in found]
    assert told == [("16:00", "16:00", 1, "held"), ("17:00", "18:00", 2, "overridden"),
                    ("19:00", "20:00", 2, "held")]  # fmt: skip
    assert {run["fallback"] for run in found} == {"1.09"}
    assert found[0]["drift_bps"].startswith("90.9")


def test_holds__closes_one_after_the_other__in_their_bounds(deck: Deck) -> None:
    assert deck.ask("fx_status", pair="EUR/USD")["holds"] == [
        {"from": HELD_FROM, "to": "2025-03-05T18:20:00Z", "closes": 29}
    ]
    bounds = {"from": HELD_FROM, "to": "2025-03-05T17:00:00Z"}
    (part,) = deck.ask("fx_status", pair="EUR/USD", **bounds)["holds"]
    assert part == {"from": "2025-03-05T16:05:00Z", "to": "2025-03-05T17:00:00Z", "closes": 12}
    assert deck.ask("fx_status", pair="EUR/USD", at="2025-03-05T15:55:00Z")["holds"] == []
    assert "holds" not in deck.ask("fx_status")


def test_a_hold_that_is_over__named_by_its_last_close_alone__is_valued_whole(deck: Deck) -> None:
    deck.clock = at("19:40")
    late = [rate(rate="1.10", asof="2025-03-05T19:00:00Z", resolution="1h", fx_source="feed")]
    deck.ingest(deck.file("late.csv", to_csv(late, FX_COLUMNS)))
    answer = deck.ask("fx_status", pair="EUR/USD")
    assert not answer["pairs"][0]["held"]
    (hold,) = answer["holds"]
    assert (hold["from"], hold["to"]) == (HELD_FROM, "2025-03-05T18:55:00Z")
    done = grant(deck, to=hold["to"])
    assert done["held_closes"] == hold["closes"] == 36
    assert deck.ask("fx_status", pair="EUR/USD")["holds"] == []
    deck.value(resolution="1h")
    told = navs(deck)
    assert [told[clock][0] for clock in ("15:00", "16:00", "18:00", "19:00")] == ["220", "218", "218", "220"]


def test_without_market__only_in_its_bounds__and_only_where_asked_for(deck: Deck) -> None:
    bounds = {"from": "2025-03-05T16:00:00Z", "to": "2025-03-05T17:00:00Z"}
    (run,) = deck.ask("fx_status", pair="EUR/USD", closes="1h", **bounds)["without_market"]
    assert (run["from"], run["to"]) == ("2025-03-05T17:00:00Z", "2025-03-05T17:00:00Z")
    served = {"from": "2025-03-05T07:00:00Z", "to": "2025-03-05T15:00:00Z"}
    assert deck.ask("fx_status", pair="EUR/USD", closes="1h", **served)["without_market"] == []
    assert "without_market" not in deck.ask("fx_status", pair="EUR/USD")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"reason": " "}, "needs a reason"),
        ({"pair": "EUR/CHF"}, "no rates of a pair"),
        ({"from": "2025-03-05T17:00:00Z", "to": "2025-03-05T16:00:00Z"}, "span is empty"),
        ({"to": "2025-03-05T14:00:00Z"}, "is not held at the last close by 2025-03-05T14:00:00Z"),
        ({"from": "yesterday"}, "is no instant"),
    ],
)
def test_use_eod_once__what_makes_no_sense__is_refused(deck: Deck, arguments: Any, told: str) -> None:
    given = {"pair": "EUR/USD", "reason": "why"} | arguments
    reason = given.pop("reason")
    with pytest.raises(UsageError, match=told):
        act(deck, "fx_use_eod_once", reason=reason, **given)
    assert deck.sql("SELECT count(*) FROM decisions") == [(0,)]


def test_dry_run__says_what_and_stores_nothing(deck: Deck) -> None:
    assert act(deck, "fx_use_eod_once", reason="why", dry_run=True, pair="EUR/USD")["held_closes"] == 29
    assert deck.sql("SELECT count(*) FROM decisions") == [(0,)]
