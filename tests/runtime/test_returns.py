"""Returns of small homes: which rows are flows, at what they count, and for whom.

Every home holds BTC and ETH at daily closes of March 2025: `closes` names a price by the day of its close.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.config import ConfigInvalid
from engine.errors import UsageError
from engine.messages import Command
from engine.runtime.engine import make_home
from engine.runtime.home import Home
from tests.runtime.deck import FX_COLUMNS, PRICE_COLUMNS, START, Deck, Row, bar, buy, rate, to_csv

NewDeck = Callable[[str], Deck]
SELL, OUT, IN = {"action": "SELL"}, {"action": "TRANSFER_OUT"}, {"action": "TRANSFER_IN"}


def tx(day: int, hour: int = 10, **fields: str) -> Row:
    moved = {"unit_price_usd": ""} if fields.get("action", "").startswith("TRANSFER") else {}
    return buy(timestamp=f"2025-03-{day:02d}T{hour:02d}:00:00Z", **(moved | fields))


def closes(asset: str = "BTC", **prices: str) -> list[Row]:
    """`closes(d2="100")`: the close at midnight that begins 2 March."""
    return [
        bar(asset_id=asset, bucket_close=f"2025-03-{int(day[1:]):02d}T00:00:00Z", close=price)
        for day, price in prices.items()
    ]


def filled(deck: Deck, rows: list[Row], prices: list[Row], rates: list[Row] | None = None) -> Deck:
    files = [deck.file("tx.csv", rows), deck.file("prices.csv", to_csv(prices, PRICE_COLUMNS))]
    if rates:
        files.append(deck.file("fx.csv", to_csv(rates, FX_COLUMNS)))
    totals = deck.ingest(*files)["totals"]
    assert totals["quarantined"] == totals["rejected"] == 0
    deck.value(resolution="1d")
    return deck


def configured(deck: Deck, text: str) -> Deck:
    with (deck.path / "navdeck.toml").open("a", encoding="utf-8") as file:
        file.write(text)
    return deck


def decide(deck: Deck, name: str, **arguments: Any) -> None:
    command = Command(name, arguments, actor="alice", reason="because")
    deck.with_engine(lambda engine: engine.do(command), writing=True)
    deck.value(resolution="1d")


def metrics(deck: Deck, **arguments: Any) -> dict[str, Any]:
    return deck.ask("metrics", points=True, **arguments)


def flows(deck: Deck, **arguments: Any) -> list[str | None]:
    """What came and went by each close."""
    return [point["flow"] for point in metrics(deck, **arguments)["points"]]


STEADY = closes(d2="100", d3="110", d4="110", d5="121")


# -- buys and sells -----------------------------------------------------------------------------------


def test_buy_and_sell__are_flows_at_cost_with_cash_fees__while_cash_is_outside(deck: Deck) -> None:
    rows = [
        tx(1, quantity="1", unit_price_usd="90"),
        tx(2, quantity="1", unit_price_usd="104", fee_asset="USD", fee_amount="1"),
        tx(3, quantity="0.5", unit_price_usd="112", fee_asset="USD", fee_amount="2", **SELL),
    ]
    filled(deck, rows, STEADY)
    assert flows(deck) == ["0", "105", "-54", "0"]  # 104 + 1, -(56 - 2)
    found = metrics(deck)
    steps = 220 / (100 + 105), (165 + 54) / 220, 181.5 / 165
    assert found["twr"] == pytest.approx(steps[0] * steps[1] * steps[2] - 1)
    assert (found["coverage"], found["reason"], found["cash"]) == (1.0, None, "external")


def test_fee_in_kind__has_left_the_holdings__and_is_no_flow(deck: Deck) -> None:
    rows = [
        tx(1, quantity="1", unit_price_usd="90"),
        tx(2, quantity="1", unit_price_usd="100", fee_asset="BTC", fee_amount="0.1"),
    ]
    filled(deck, rows, STEADY)
    assert flows(deck)[1] == "100"
    assert metrics(deck, to="2025-03-03")["twr"] == pytest.approx(1.9 * 110 / 200 - 1)


def test_fee_in_another_currency__is_taken_at_the_rate_of_its_time(deck: Deck) -> None:
    configured(deck, '[fx]\nfallback = ["ecb"]\n')
    rows = [
        tx(1, quantity="1", unit_price_usd="90"),
        tx(4, quantity="1", unit_price_usd="100", fee_asset="EUR", fee_amount="10"),
    ]
    filled(deck, rows, STEADY, [rate(asof="2025-03-03T15:00:00Z", rate="1.05")])
    assert flows(deck)[3] == "110.5"


def test_reward__is_return__not_flow(deck: Deck) -> None:
    rows = [tx(1, quantity="1", unit_price_usd="90"), tx(2, quantity="0.1", action="STAKING_REWARD")]
    filled(deck, rows, STEADY)
    assert set(flows(deck)) == {"0"}
    assert metrics(deck, to="2025-03-03")["twr"] == pytest.approx(1.1 * 110 / 100 - 1)


def test_sold_out_and_bought_again__in_between_counts_as_1(deck: Deck) -> None:
    rows = [
        tx(1, quantity="1", unit_price_usd="90"),
        tx(2, quantity="1", unit_price_usd="105", **SELL),
        tx(4, quantity="1", unit_price_usd="110"),
    ]
    filled(deck, rows, STEADY)
    assert metrics(deck)["twr"] == pytest.approx(1.05 * 1.1 - 1)


def test_reward_into_an_empty_home__is_a_gain_without_capital(deck: Deck) -> None:
    rows = [
        tx(1, quantity="1", unit_price_usd="90"),
        tx(2, quantity="1", unit_price_usd="105", **SELL),
        tx(3, quantity="1", action="AIRDROP"),
    ]
    filled(deck, rows, STEADY)
    found = metrics(deck)
    assert (found["twr"], found["reason"]) == (None, "NO_CAPITAL")
    assert [one["at"] for one in found["breaks"]] == ["2025-03-04T00:00:00Z"]


def test_cash_in_accounts__only_deposits_and_withdrawals_are_flows(deck: Deck) -> None:
    configured(deck, 'cash = "account"\n')
    rows = [
        tx(1, 9, asset_id="USD", quantity="1000", **IN),
        tx(2, quantity="5", unit_price_usd="104", fee_asset="USD", fee_amount="1"),
        tx(3, asset_id="USD", quantity="79", **OUT),
    ]
    filled(deck, rows, STEADY)
    assert flows(deck) == ["0", "0", "-79", "0"]
    found = metrics(deck)
    navs = [point["nav"] for point in found["points"]]
    assert navs == ["1000", "1029", "950", "1005"]
    assert found["twr"] == pytest.approx(1029 / 1000 * (950 + 79) / 1029 * 1005 / 950 - 1)


# -- base currency ------------------------------------------------------------------------------------


def in_euro(folder: Path) -> Deck:
    asyncio.run(make_home(Home(folder / "euro"), "EUR", "UTC", "FIFO", lambda: START))
    return configured(Deck(folder / "euro"), '[fx]\neod_only = ["EUR/USD"]\nfallback = ["ecb"]\n')


def test_cost__becomes_base_currency_at_the_close_of_its_bucket(tmp_path: Path) -> None:
    deck = in_euro(tmp_path)
    rows = [tx(3, 1, quantity="1", unit_price_usd="90"), tx(4, quantity="1", unit_price_usd="126")]
    rates = [rate(asof="2025-03-03T15:00:00Z", rate="1.05"), rate(asof="2025-03-04T15:00:00Z", rate="1.2")]
    filled(deck, rows, closes(d4="105", d5="126"), rates)
    found = metrics(deck)
    nav_before, flow = [float(found["points"][place]["nav"]) for place in (0, 1)], flows(deck)[1]
    assert nav_before == pytest.approx([100, 210])
    assert float(flow or "nan") == pytest.approx(105)
    assert found["twr"] == pytest.approx(210 / (100 + 105) - 1)


def test_cost__without_a_rate_at_its_close__breaks_the_chain(tmp_path: Path) -> None:
    deck = in_euro(tmp_path)
    rows = [tx(3, 1, quantity="1", unit_price_usd="90"), tx(6, quantity="1", unit_price_usd="126")]
    euro = [row | {"quote_currency": "EUR"} for row in closes(d4="100", d5="100", d6="100", d7="100")]
    filled(deck, rows, euro, [rate(asof="2025-03-03T15:00:00Z", rate="1.05")])
    found = metrics(deck)
    assert [one["code"] for one in found["breaks"]] == ["FLOW_UNPRICED"]
    assert (found["twr"], flows(deck)[3]) == (None, None)


# -- transfers ----------------------------------------------------------------------------------------


def test_unmatched_transfers__are_flows_at_market_at_their_close(deck: Deck) -> None:
    rows = [
        tx(1, quantity="2", unit_price_usd="90"),
        tx(2, quantity="0.5", **OUT),
        tx(3, quantity="1", **IN),
    ]
    filled(deck, rows, STEADY)
    assert flows(deck) == ["0", "-55", "110", "0"]
    assert metrics(deck)["twr"] == pytest.approx(1.1 * 1.0 * 1.1 - 1)


def test_unmatched_transfer_without_a_price__breaks_the_chain_there(deck: Deck) -> None:
    rows = [tx(1, quantity="2", unit_price_usd="90"), tx(2, asset_id="XYZ", quantity="1", **IN),
            tx(2, 12, asset_id="XYZ", quantity="1", unit_price_usd="5", **SELL)]  # fmt: skip
    filled(deck, rows, STEADY)
    found = metrics(deck)
    assert (found["twr"], found["reason"]) == (None, "FLOW_UNPRICED")
    assert found["breaks"][0]["at"] == "2025-03-03T00:00:00Z"
    longest = found["longest_unbroken"]
    assert (longest["from"], longest["to"]) == ("2025-03-03T00:00:00Z", "2025-03-05T00:00:00Z")
    assert longest["twr"] == pytest.approx(0.1)


def moved(deck: Deck) -> Deck:
    """1 of main's 2 BTC goes to cold: it leaves on the 2nd and arrives on the 3rd."""
    rows = [
        tx(1, quantity="2", unit_price_usd="90"),
        tx(1, 11, quantity="1", unit_price_usd="90", account="cold"),
        tx(2, quantity="1", tx_hash="0xa", **OUT),
        tx(3, quantity="1", tx_hash="0xa", account="cold", **IN),
    ]
    return filled(deck, rows, STEADY)


def test_matched_transfer__is_no_flow_of_the_whole(deck: Deck) -> None:
    moved(deck)
    assert set(flows(deck)) == {"0"}
    assert metrics(deck)["twr"] == pytest.approx(0.21)


def test_matched_transfer__is_a_flow_of_each_account__at_the_out_s_time(deck: Deck) -> None:
    moved(deck)
    assert flows(deck, account="main") == ["0", "-110", "0", "0"]
    assert flows(deck, account="cold") == ["0", "110", "0", "0"]
    for account in ("main", "cold"):
        assert metrics(deck, account=account)["reason"] is None
    assert metrics(deck, account="main")["twr"] == pytest.approx((110 + 110) / 200 * 121 / 110 - 1)


def test_group__transfers_within_it_are_no_flows__its_nav_is_the_sum(deck: Deck) -> None:
    configured(moved(deck), '[groups]\nboth = ["main", "cold"]\none = ["cold"]\n')
    both, whole, one = (metrics(deck, **who) for who in ({"group": "both"}, {}, {"group": "one"}))
    assert [p["nav"] for p in both["points"]] == [p["nav"] for p in whole["points"]]
    assert (both["twr"], both["group"], both["account"]) == (whole["twr"], "both", None)
    assert one["twr"] == metrics(deck, account="cold")["twr"]


def test_group_of_an_account_with_a_hole__has_that_hole(deck: Deck) -> None:
    rows = [tx(1, quantity="1", unit_price_usd="90"),
            tx(1, asset_id="ETH", quantity="1", unit_price_usd="9", account="cold")]  # fmt: skip
    filled(configured(deck, '[groups]\nboth = ["main", "cold"]\n'), rows, STEADY + closes("ETH", d2="10"))
    points = metrics(deck, group="both")["points"]
    assert [point["nav"] for point in points] == ["110", None, None, None]
    assert points[1]["missing"] == ["ETH"]


GIVEN = "01957f4e-1234-7abc-8def-000000000001"


@pytest.mark.parametrize("kind", ["withdrawal", "gift", "fee", "lost"])
def test_settled_transfer__stays_a_flow__except_fee_and_lost(deck: Deck, kind: str) -> None:
    rows = [tx(1, quantity="2", unit_price_usd="90"), tx(2, quantity="1", id=GIVEN, **OUT)]
    filled(deck, rows, STEADY)
    decide(deck, "transfer_settle", **{"ids": [GIVEN], "as": kind})
    is_return = kind in ("fee", "lost")
    assert flows(deck) == ["0", "0" if is_return else "-110", "0", "0"]
    assert metrics(deck, to="2025-03-03")["twr"] == pytest.approx(110 / 200 - 1 if is_return else 0.1)


# -- excluded assets ----------------------------------------------------------------------------------


def with_ether(deck: Deck, prices: list[Row], *more: Row) -> Deck:
    """1 BTC, and 1 ETH that is excluded from the 3rd at noon on."""
    rows = [tx(1, quantity="1", unit_price_usd="90"), tx(1, asset_id="ETH", quantity="1", unit_price_usd="9")]
    filled(deck, [*rows, *more], STEADY + prices)
    decide(deck, "asset_set", assets=["ETH"], status="excluded", since="2025-03-03T12:00:00Z")
    return deck


def test_excluded__leaves_at_market_at_that_close__what_happens_later_is_outside(deck: Deck) -> None:
    ether = closes("ETH", d2="10", d3="10", d4="12", d5="20")
    more = [tx(3, 10, asset_id="ETH", quantity="1", unit_price_usd="11"),
            tx(4, 10, asset_id="ETH", quantity="5", unit_price_usd="15")]  # fmt: skip
    with_ether(deck, ether, *more)
    found = metrics(deck)
    assert [point["nav"] for point in found["points"]] == ["110", "120", "110", "121"]
    assert flows(deck) == ["0", "0", "-13", "0"]  # one more for 11, then two leave at 12
    assert found["twr"] == pytest.approx(120 / 110 * (110 + 24) / (120 + 11) * 1.1 - 1)


def test_excluded__comes_back_at_market(deck: Deck) -> None:
    with_ether(deck, closes("ETH", d2="10", d3="10", d4="12", d5="20"))
    decide(deck, "asset_set", assets=["ETH"], status="normal", since="2025-03-04T12:00:00Z")
    assert flows(deck) == ["0", "0", "-12", "20"]
    assert metrics(deck)["twr"] == pytest.approx(120 / 110 * (110 + 12) / 120 * 141 / (110 + 20) - 1)


def test_excluded__never_priced__leaves_for_nothing(deck: Deck) -> None:
    with_ether(deck, [])
    assert flows(deck) == ["0", "0", "0", "0"]


def test_excluded__priced_before_but_not_then__breaks_the_chain(deck: Deck) -> None:
    with_ether(deck, closes("ETH", d2="10", d3="10"))
    assert [one["code"] for one in metrics(deck)["breaks"]] == ["FLOW_UNPRICED"]


# -- gaps, ranges, what is asked ----------------------------------------------------------------------


def test_hole__has_no_value__its_flow_is_weighted_by_time(deck: Deck) -> None:
    rows = [tx(1, quantity="1", unit_price_usd="90"), tx(3, 12, quantity="1", unit_price_usd="108")]
    filled(deck, rows, closes(d2="100", d3="110", d5="121"))
    found = metrics(deck)
    assert [point["index"] is None for point in found["points"]] == [False, False, True, False]
    assert found["gaps"] == [{"from": "2025-03-03T00:00:00Z", "to": "2025-03-05T00:00:00Z"}]
    assert found["twr"] == pytest.approx(1.1 * (1 + (242 - 110 - 108) / (110 + 108 * 0.75)) - 1)
    assert found["coverage"] == pytest.approx(1 / 3)


def test_range__starts_from_the_close_before_it(deck: Deck) -> None:
    filled(deck, [tx(1, quantity="1", unit_price_usd="90")], STEADY)
    found = metrics(deck, **{"from": "2025-03-03", "to": "2025-03-05"})
    assert (found["from"], found["to"]) == ("2025-03-03T00:00:00Z", "2025-03-05T00:00:00Z")
    assert found["twr"] == pytest.approx(0.1)
    assert metrics(deck, **{"from": "2026-01-01"})["reason"] == "ONE_VALUATION"


def test_allocation__of_the_last_complete_close(deck: Deck) -> None:
    rows = [tx(1, quantity="1", unit_price_usd="90"),
            tx(1, asset_id="ETH", quantity="5", unit_price_usd="9", account="cold")]  # fmt: skip
    filled(deck, rows, STEADY + closes("ETH", d2="20", d3="18"))
    assert metrics(deck)["allocation"] == {
        "bucket_close": "2025-03-03T00:00:00Z", "nav": "200",
        "by_asset": [{"asset_id": "BTC", "value": "110", "share": 0.55},
                     {"asset_id": "ETH", "value": "90", "share": 0.45}],
        "by_account": [{"account": "main", "value": "110", "share": 0.55},
                       {"account": "cold", "value": "90", "share": 0.45}],
    }  # fmt: skip
    (only,) = metrics(deck, account="cold")["allocation"]["by_asset"]
    assert (only["asset_id"], only["share"]) == ("ETH", 1.0)


def test_nothing_valued__says_so(deck: Deck) -> None:
    found = deck.ask("metrics")
    assert (found["twr"], found["reason"], found["allocation"]) == (None, "NO_VALUATION", None)
    assert "points" not in found


def test_books_that_changed_since__are_told(deck: Deck) -> None:
    filled(deck, [tx(1, quantity="1", unit_price_usd="90")], STEADY)
    assert not metrics(deck)["stale"]
    deck.ingest(deck.file("more.csv", [tx(2, quantity="1", unit_price_usd="9")]))
    assert metrics(deck)["stale"]


def alerts(deck: Deck) -> set[str]:
    return {alert["code"] for alert in deck.ask("status")["alerts"]}


def test_books_that_changed_since__a_part_valued_anew__still_told(deck: Deck) -> None:
    filled(deck, [tx(1, quantity="1", unit_price_usd="90")], STEADY)
    deck.ingest(deck.file("more.csv", [tx(1, quantity="2", unit_price_usd="9")]))
    deck.value(**{"from": "2025-03-04T00:00:00Z"})
    assert metrics(deck)["stale"]
    assert "VALUES_STALE" in alerts(deck)
    deck.value()
    assert not metrics(deck)["stale"]
    assert "VALUES_STALE" not in alerts(deck)


def test_settings_that_changed_since__are_told(deck: Deck) -> None:
    filled(deck, [tx(1, quantity="1", unit_price_usd="90")], STEADY)
    with deck.home.path.joinpath("navdeck.toml").open("a") as config:
        config.write('\n[prices]\nsources = ["exchange"]\n')
    assert metrics(deck)["stale"]
    deck.value()
    assert not metrics(deck)["stale"]


@pytest.mark.parametrize("asked", [
    {"account": "nobody"}, {"group": "nobody"}, {"account": "main", "group": "both"}, {"resolution": "2d"},
    {"from": "yesterday"},
])  # fmt: skip
def test_what_is_not_there__is_refused_with_a_hint(deck: Deck, asked: dict[str, str]) -> None:
    configured(deck, '[groups]\nboth = ["main", "cold"]\n')
    filled(deck, [tx(1, quantity="1", unit_price_usd="90")], STEADY)
    with pytest.raises(UsageError) as caught:
        metrics(deck, **asked)
    assert caught.value.hint


def test_nav__of_an_account_that_is_not_there__is_refused_and_not_told_as_0(deck: Deck) -> None:
    filled(deck, [tx(1, quantity="1", unit_price_usd="90")], STEADY)
    with pytest.raises(UsageError) as caught:
        deck.ask("nav", account="mian")
    assert "main" in caught.value.hint
    assert deck.ask("nav", account="main")["points"] == deck.ask("nav")["points"]


def test_volatility__per_year_as_configured(deck: Deck) -> None:
    filled(deck, [tx(1, quantity="1", unit_price_usd="90")], STEADY)
    usual = metrics(deck)["volatility"]
    configured(deck, "[metrics.periods_per_year]\n1d = 252\n")
    found = metrics(deck)
    assert found["volatility"] == pytest.approx(usual * (252 / 365) ** 0.5)
    assert found["volatility_detail"]["periods_per_year"] == 252


@pytest.mark.parametrize("bad", [
    'groups = ["main"]\n', "[groups]\nboth = 3\n", '[groups]\nboth = ["a", "a"]\n',
    "[metrics.periods_per_year]\n2d = 1\n", "[metrics.periods_per_year]\n1d = 0\n",
])  # fmt: skip
def test_settings_that_make_no_sense__are_refused(deck: Deck, bad: str) -> None:
    configured(deck, bad)
    with pytest.raises(ConfigInvalid):
        deck.ask("metrics")


def test_hourly__a_flow_belongs_to_its_hour(deck: Deck) -> None:
    rows = [tx(1, quantity="1", unit_price_usd="90"), tx(1, 12, quantity="1", unit_price_usd="110"),
            tx(1, 12, quantity="0.5", unit_price_usd="121", **SELL)
            | {"timestamp": "2025-03-01T12:00:01Z"}]  # fmt: skip
    hours = [
        bar(resolution="1h", bucket_close=f"2025-03-01T{hour}:00:00Z", close=price)
        for hour, price in (("10", "100"), ("11", "110"), ("12", "110"), ("13", "121"))
    ]
    files = deck.file("tx.csv", rows), deck.file("prices.csv", to_csv(hours, PRICE_COLUMNS))
    deck.ingest(*files)
    deck.value(resolution="1h")
    assert flows(deck, resolution="1h") == ["0", "0", "110", "-60.5"]  # at 12:00:00 and just after it
    found = metrics(deck, resolution="1h")
    assert found["twr"] == pytest.approx(1.1 * 220 / 220 * (181.5 + 60.5) / 220 - 1)
    assert found["volatility_detail"]["periods_per_year"] == 8_760
    assert found["best"]["period"] == "1h"


def test_zone__days_are_cut_by_its_clock(tmp_path: Path) -> None:
    """30 March has 23 hours in Berlin; a purchase at 22:30 UTC is of the 31st there."""
    asyncio.run(make_home(Home(tmp_path / "berlin"), "USD", "Europe/Berlin", "FIFO", lambda: START))
    deck = Deck(tmp_path / "berlin")
    rows = [buy(timestamp="2025-03-29T10:00:00Z", quantity="1", unit_price_usd="90"),
            buy(timestamp="2025-03-30T22:30:00Z", quantity="1", unit_price_usd="105")]  # fmt: skip
    ends = ("2025-03-29T23:00:00Z", "100"), ("2025-03-30T22:00:00Z", "105"), ("2025-03-31T22:00:00Z", "110")
    filled(deck, rows, [bar(bucket_close=close, close=price) for close, price in ends])
    found = metrics(deck)
    assert flows(deck) == ["0", "0", "105"]
    assert (found["gaps"], found["coverage"]) == ([], 1.0)
    assert found["twr"] == pytest.approx(1.05 * 220 / 210 - 1)
