"""Valued bit by bit, as files land, a home holds what one valuation of all gives; and says what changed."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from engine.domain.instants import DAY_US, HOUR_US, MINUTE_US, parse_instant
from engine.messages import Command
from engine.runtime import series
from engine.runtime import value as value_module
from engine.runtime.open_day import GRACE_US
from engine.runtime.service import Due
from tests.runtime.deck import FX_COLUMNS, PRICE_COLUMNS, Deck, bar, buy, rate, to_csv

NewDeck = Callable[[str], Deck]
EARLY, LATE = "2025-03-01T20:00:00Z", "2025-03-01T22:30:00Z"
PEGS = '\n[fx.pegs]\nUSDT = "USD"\n'


def us(text: str) -> int:
    return parse_instant(text) or 0


NOW = us("2025-03-02T00:00:00Z")


def quarters(asset: str, quote: str, first: int, price: float = 100, step: int = 5) -> bytes:
    """5m bars of 20:00 to 23:55, every `step` minutes from the minute `first` on."""
    return to_csv(
        [
            bar(
                asset_id=asset,
                resolution="5m",
                bucket_close=f"2025-03-01T{20 + minute // 60}:{minute % 60:02}:00Z",
                close=f"{price + minute / 8:.3f}",
                quote_currency=quote,
            )
            for minute in range(first, 240, step)
        ],
        PRICE_COLUMNS,
    )


FILES: list[tuple[str, Any]] = [
    ("btc", [buy(timestamp=EARLY, fee_asset="BNB", fee_amount="0.1"), buy(timestamp=EARLY, asset_id="BNB")]),
    ("out", [buy(timestamp=EARLY, asset_id="ETH", quantity="3"),
             buy(timestamp=LATE, action="TRANSFER_OUT", asset_id="ETH", quantity="2", tx_hash="h")]),
    ("in", [buy(timestamp=LATE, action="TRANSFER_IN", asset_id="ETH", quantity="2", tx_hash="h",
                account="cold")]),
    ("sol", [buy(timestamp="2025-03-01T21:00:00Z", asset_id="SOL", quantity="7")]),
    ("oversold", [buy(timestamp="2025-03-01T23:00:00Z", action="SELL", asset_id="SOL", quantity="8")]),
    ("late", [buy(timestamp="2025-03-01T19:59:59Z", quantity="0.25", account="cold")]),
    ("btc-bars", quarters("BTC", "USDT", 0)),
    ("eth-bars", quarters("ETH", "EUR", 5, 20, 10)),
    ("bnb-bars", quarters("BNB", "USD", 0, 3, 15)),
    ("btc-corrected", quarters("BTC", "USDT", 60, 90, 60)),
    ("peg", quarters("USDT", "USD", 90, -10.25, 240)),  # once, far off
    ("fx", to_csv([rate(rate="1.1", asof=f"2025-03-01T{hour}:00:00Z", resolution="1h", fx_source="feed")
                   for hour in (20, 21, 23)], FX_COLUMNS)),
]  # fmt: skip


def opened(new_deck: NewDeck, name: str) -> Deck:
    deck = new_deck(name)
    deck.clock = lambda: NOW
    with deck.home.path.joinpath("navdeck.toml").open("a") as config:
        config.write(PEGS)
    return deck


def value(deck: Deck, **arguments: Any) -> dict[str, Any]:
    command = Command("value", {"until_now": True, **arguments})
    return deck.with_engine(lambda engine: engine.do(command), writing=True)


def take(deck: Deck, name: str, rows: Any) -> Due:
    """Ingests a file; what is due for it, as the running engine would note it."""
    (entry,) = deck.ingest(deck.file(f"{name}.csv", rows))["files"]
    assert entry["accepted"] > 0, name
    due = Due()
    due.touch(entry["touched_from"], entry["touched_assets"], entry["touched_until"])
    return due


def value_due(deck: Deck, due: Due) -> dict[str, Any]:
    return value(deck, **due.arguments(deck.clock()))


def stands(deck: Deck) -> dict[str, Any]:
    points = {name: deck.ask("nav", resolution=name)["points"] for name in ("5m", "1h", "1d")}
    return {"snapshots": deck.digest()["parts"]["snapshots"], **points}


@pytest.mark.parametrize("seed", [1, *(pytest.param(n, marks=pytest.mark.slow) for n in range(2, 7))])
def test_files_one_by_one__valued_in_parts__what_one_valuation_of_all_gives(
    new_deck: NewDeck, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAVDECK_VALUE_CLOSES", "288")
    files = FILES.copy()
    random.Random(seed).shuffle(files)
    bit_by_bit, at_once = opened(new_deck, "bits"), opened(new_deck, "once")
    value(bit_by_bit)
    for name, rows in files:
        value_due(bit_by_bit, take(bit_by_bit, name, rows))
    for name, rows in files:  # in this order: of two prices of one close the last that came counts
        take(at_once, name, rows)
    value(at_once)
    assert stands(bit_by_bit) == stands(at_once)


@pytest.mark.parametrize("seed", [1, *(pytest.param(n, marks=pytest.mark.slow) for n in range(2, 7))])
def test_files_land_as_the_clock_goes_on__over_midnight_and_sealing__what_one_valuation_of_all_gives(
    new_deck: NewDeck, seed: int
) -> None:
    files, chance = FILES.copy(), random.Random(seed)
    chance.shuffle(files)
    bit_by_bit, at_once = opened(new_deck, "bits"), opened(new_deck, "once")
    value(bit_by_bit)
    now = NOW
    for name, rows in files:
        due, before = take(bit_by_bit, name, rows), now
        now += chance.randrange(0, 20 * MINUTE_US, MINUTE_US)
        bit_by_bit.clock = lambda now=now: now
        if before // (5 * MINUTE_US) < now // (5 * MINUTE_US):
            due.touch((before // (5 * MINUTE_US) + 1) * 5 * MINUTE_US)
        value_due(bit_by_bit, due)
    for name, rows in files:
        take(at_once, name, rows)
    at_once.clock = bit_by_bit.clock
    value(at_once)
    assert stands(bit_by_bit) == stands(at_once)


def test_a_close_of_an_open_day__is_valued_alone__and_what_came_late_from_its_own_close_on(
    deck: Deck,
) -> None:
    def buckets(due: Due, now: int) -> int:
        deck.clock = lambda: now
        return int(value_due(deck, due)["resolutions"]["5m"]["buckets"])

    deck.clock = lambda: NOW
    take(deck, "trades", [buy(timestamp=EARLY), buy(timestamp=EARLY, asset_id="ETH")])
    assert value(deck)["resolutions"]["5m"]["buckets"] == 49
    closed = Due(since=NOW + 5 * MINUTE_US)
    assert buckets(closed, NOW + 5 * MINUTE_US) == 1
    closed = Due(since=NOW + 10 * MINUTE_US)
    assert buckets(closed, NOW + 10 * MINUTE_US) == 1
    late = Due(assets={"ETH": (NOW - 5 * MINUTE_US, NOW - 5 * MINUTE_US)})
    assert buckets(late, NOW + 10 * MINUTE_US) == 2
    assert deck.sql("SELECT close_first, close_last FROM valued WHERE resolution = '5m' ORDER BY dt") == [
        (us(EARLY), NOW), (NOW + 5 * MINUTE_US, NOW + 10 * MINUTE_US),
    ]  # fmt: skip
    assert deck.sql("SELECT count(*) FROM open_snapshots WHERE bucket = '5m'") == [(2 * 51,)]


def test_more_rows_than_lie_open__a_day_of_which_only_the_end_was_due_goes_to_files_whole(
    deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    deck.clock = lambda: NOW - 2 * HOUR_US
    take(deck, "trades", [buy(timestamp=EARLY)])
    value(deck)
    monkeypatch.setattr(value_module, "ROWS_MAX", 60)
    deck.clock = lambda: NOW - HOUR_US
    late = "2025-03-01T22:00:01Z"
    due = take(deck, "more", [buy(timestamp=late, account=name, asset_id="ETH") for name in "abcdef"])
    value_due(deck, due)
    assert deck.sql("SELECT count(*) FROM open_snapshots WHERE bucket = '5m'") == [(0,)]
    assert deck.sql("SELECT sum(rows) FROM lake_files WHERE dead_at IS NULL AND resolution = '5m'") == [
        (37 + 6 * 12,)
    ]
    assert deck.ask("verify")["ok"]


def test_prices_of_one_asset__touch_its_files_alone__and_no_live_file_of_another_dies(deck: Deck) -> None:
    deck.clock = lambda: NOW + GRACE_US  # the day is sealed
    trades = [buy(timestamp=EARLY), buy(timestamp=EARLY, asset_id="ETH")]
    take(deck, "trades", trades)
    take(deck, "eth", quarters("ETH", "USD", 0))
    value(deck)
    before = dict(deck.sql("SELECT path, asset FROM lake_files WHERE dead_at IS NULL"))
    due = take(deck, "btc", quarters("BTC", "USD", 30))
    assert due.assets == {"BTC": (us("2025-03-01T20:30:00Z"), us("2025-03-01T23:55:00Z"))}
    value_due(deck, due)
    after = dict(deck.sql("SELECT path, asset FROM lake_files WHERE dead_at IS NULL"))
    assert {path for path, asset in before.items() if asset == "ETH"} <= after.keys()
    assert {asset for path, asset in after.items() if path not in before} == {"BTC"}
    assert deck.ask("verify")["ok"]


def test_correction_of_a_price__the_closes_whose_nav_changed_are_told(deck: Deck) -> None:
    deck.clock = lambda: NOW
    take(deck, "trades", [buy(timestamp=EARLY, quantity="2"), buy(timestamp=EARLY, asset_id="ETH")])
    take(deck, "btc", quarters("BTC", "USD", 0))
    take(deck, "eth", quarters("ETH", "USD", 0, 50))
    assert value(deck)["resolutions"]["5m"]["restated"]["count"] == 0  # nothing was valued before
    due = take(deck, "corrected", to_csv([
        bar(resolution="5m", bucket_close="2025-03-01T21:00:00Z", close="1000"),
        bar(resolution="5m", bucket_close="2025-03-01T21:05:00Z", close="108.125"),  # as before
    ], PRICE_COLUMNS))  # fmt: skip
    done = value_due(deck, due)
    told = {"bucket_close": "2025-03-01T21:00:00Z", "old": "301.25", "new": "2086.25"}
    expected = {"count": 1, "first": told["bucket_close"], "last": told["bucket_close"], "closes": [told]}
    assert done["resolutions"]["5m"]["restated"] == expected
    assert done["resolutions"]["1h"]["restated"] == expected
    assert done["resolutions"]["1d"]["restated"]["count"] == 0
    heard = [data for kind, data in deck.events if kind == "value_done" and data["resolution"] == "5m"]
    assert heard[-1]["restated"] == expected
    assert value(deck)["resolutions"]["5m"]["restated"]["count"] == 0


def test_new_prices__a_gap_that_closes_is_restated__one_that_stays_open_is_not(deck: Deck) -> None:
    deck.clock = lambda: NOW
    take(deck, "trades", [buy(timestamp=EARLY, quantity="2"), buy(timestamp=EARLY, asset_id="ETH")])
    take(deck, "eth", quarters("ETH", "USD", 60, 50, 240))
    value(deck)
    done = value_due(deck, take(deck, "btc", quarters("BTC", "USD", 60, step=5)))
    told = done["resolutions"]["5m"]["restated"]
    assert told["closes"] == [{"bucket_close": "2025-03-01T21:00:00Z", "old": None, "new": "301.25"}]
    assert told["count"] == 1


def test_first_row_superseded_by_a_later_one__the_days_before_have_no_values_any_more(deck: Deck) -> None:
    deck.clock = lambda: NOW
    row = buy(timestamp="2025-02-20T10:00:00Z", external_id="x")
    deck.take(row)
    take(deck, "btc", quarters("BTC", "USD", 0))
    take(deck, "old", to_csv([bar(bucket_close="2025-02-21T00:00:00Z")], PRICE_COLUMNS))
    value(deck)
    assert deck.ask("nav", resolution="1d")["points"][0]["bucket_close"] == "2025-02-21T00:00:00Z"
    deck.take(row | {"timestamp": EARLY})
    (waiting,) = deck.ask("quarantine_page")["rows"]
    stored = deck.sql("SELECT id FROM tx")[0][0].hex()
    uuid = "-".join((stored[:8], stored[8:12], stored[12:16], stored[16:20], stored[20:]))
    act = Command("quarantine_release", {"ids": [waiting["id"]], "supersede": uuid}, reason="typo")
    done = deck.with_engine(lambda engine: engine.do(act), writing=True)
    due = Due()
    due.touch(done["touched_from"], done.get("touched_assets"), done.get("touched_until"))
    value_due(deck, due)
    assert [point["bucket_close"] for point in deck.ask("nav", resolution="1d")["points"]] == [
        "2025-03-02T00:00:00Z"
    ]
    assert deck.ask("verify")["ok"]


def test_a_row_of_1970__without_any_price__costs_a_running_engine_a_day_of_5m(deck: Deck) -> None:
    deck.clock = lambda: NOW
    deck.take(buy(timestamp="2025-02-28T22:00:00Z", asset_id="SPAM"))
    deck.take(buy(timestamp="1970-01-01T00:00:00Z", asset_id="SPAM"))
    done = value(deck, resolution="5m")
    assert 288 <= done["buckets"] <= 2 * 288
    assert done["complete"] == 0


def spans(deck: Deck, resolution: str) -> list[tuple[str, str]]:
    sql = "SELECT min(dt), max(dt), count(*) FROM valued WHERE resolution = ? GROUP BY substr(dt, 1, 4)"
    return deck.sql(sql, resolution)


@pytest.mark.parametrize(("resolution", "days"), [("5m", 102), ("1h", 1_002)])
def test_a_row_of_1970__priced_today__what_is_before_the_first_price_is_told_not_made(
    deck: Deck, resolution: str, days: int
) -> None:
    deck.clock = lambda: NOW
    deck.take(buy(timestamp="1970-01-01T00:00:00Z"))
    take(deck, "btc", quarters("BTC", "USD", 0))
    told = deck.value(resolution=resolution)["resolutions"][resolution]
    assert told["buckets"] <= days * (288 if resolution == "5m" else 24)
    first, last = spans(deck, resolution)[0][0], spans(deck, resolution)[-1][1]
    assert last == "2025-03-01"
    assert told["left_out"] == {
        "from": "1970-01-01T00:00:00Z", "to": f"{first}T00:00:00Z", "reason": "BEFORE_FIRST_PRICE",
    }  # fmt: skip
    assert deck.ask("verify")["ok"]


def test_before_the_first_price__what_was_asked_for_is_made__and_kept_right_but_not_what_lies_between(
    deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    deck.clock = lambda: NOW
    monkeypatch.setitem(series.BEFORE_PRICES_US, "1h", 90 * DAY_US)
    deck.take(buy(timestamp="1970-01-01T00:00:00Z"))
    take(deck, "btc", quarters("BTC", "USD", 0))
    value(deck, resolution="1h")
    deck.value(resolution="1h", **{"from": "1970-01-01T00:00:00Z", "to": "1970-01-02T00:00:00Z"})
    assert ("1970-01-01", "1970-01-01", 1) in spans(deck, "1h")
    due = take(deck, "eth", [buy(timestamp="1970-01-01T12:00:00Z", asset_id="ETH")])
    value(deck, resolution="1h", **due.arguments(NOW))
    assert spans(deck, "1h")[0] == ("1970-01-01", "1970-01-01", 1)
    assert sum(days for *_, days in spans(deck, "1h")) < 100
    stood = stands(deck)["1h"]
    assert stood[-2]["missing"] == ["ETH"]
    deck.value(resolution="1h")
    assert stands(deck)["1h"] == stood[:-1]  # it ends at the last close that has a price
    assert [point["missing"] for point in stood[:24]] == [["BTC"]] * 11 + [["BTC", "ETH"]] * 13
    assert deck.ask("verify")["ok"]


def test_first_price_of_all__the_running_engine_values_the_days_that_it_left_out(
    deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    deck.clock = lambda: NOW
    take(deck, "trades", [buy(timestamp="2025-02-26T10:00:00Z")])
    assert value(deck, resolution="5m")["buckets"] < 600
    due = take(deck, "price", to_csv([bar(bucket_close="2025-02-27T00:00:00Z")], PRICE_COLUMNS))
    value_due(deck, due)
    assert deck.sql("SELECT min(dt) FROM valued WHERE resolution = '5m'") == [("2025-02-26",)]
    assert deck.ask("verify")["ok"]


def test_due__a_new_close_for_all_and_old_rows_and_bars_of_some__each_asset_has_its_own_span() -> None:
    due = Due()
    due.touch(us("2025-03-01T20:00:00Z"))
    due.touch(10, ["BTC"])
    due.touch(2000, ["ETH"], 3000)
    due.touch(20, ["BTC", "BNB"], 30)
    due.touch(1000, ["ETH"], 1100)
    everything = {"until_now": True, "from": "2025-03-01T19:59:59.999999Z"}
    spans = {"BNB": (20, 30), "BTC": (10, None), "ETH": (1000, 3000)}
    assert due.arguments(NOW) == everything | {"touched": spans}
    due.touch(None, ["ETH"], 50)
    assert due.arguments(NOW)["touched"]["ETH"] == (None, 3000)
    taken = due.take()
    assert taken is not None
    assert due.take() is None
    due.touch(us("2025-03-01T21:00:00Z"))
    due.give_back(taken)
    assert due.arguments(NOW) == taken.arguments(NOW)
    due.touch(None)
    assert due.arguments(NOW) == {"until_now": True}


def test_due__nothing_for_all_assets__no_close_before_now_is_valued_whole() -> None:
    due = Due()
    due.touch(10, ["BTC"], 20)
    assert due.arguments(NOW)["from"] == "2025-03-02T00:00:00Z"
