"""Real exchange outages: exactly the missing hours have no NAV, no more and no less."""

import csv
from pathlib import Path

import pytest

from engine.domain.instants import HOUR_US, format_instant, parse_instant
from tests.runtime.deck import DATA, Deck, buy

BARS = DATA / "prices" / "binance_1h_outages_2021.csv"
ASSETS = ("BTC", "ETH")
HOURS_MISSING = 13  # of each asset, in six outages

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the shared data set is not beside the repository")


def missing_hours(path: Path) -> dict[str, set[str]]:
    """By asset: the hours between its first and last bar that have none."""
    found: dict[str, set[str]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        there = [(row["asset_id"], parse_instant(row["bucket_close"]) or 0) for row in csv.DictReader(file)]
    for asset in ASSETS:
        closes = {close for name, close in there if name == asset}
        every = range(min(closes), max(closes) + 1, HOUR_US)
        found[asset] = {format_instant(close) for close in every if close not in closes}
    return found


def test_outages__exactly_the_missing_hours_have_no_nav_and_say_which_asset(deck: Deck) -> None:
    held = [buy(asset_id=asset, timestamp="2021-01-31T12:00:00Z") for asset in ASSETS]
    with deck.home.config_path.open("a") as config:
        config.write('[fx.pegs]\nUSDT = "USD"\n')
    deck.ingest(deck.file("tx.csv", held), BARS)
    deck.value(resolution="1h", **{"from": "2021-02-01T00:00:00Z"})
    points = deck.ask("nav", resolution="1h", **{"from": "2021-02-01T00:00:00Z"})["points"]
    missing = missing_hours(BARS)
    assert {len(hours) for hours in missing.values()} == {HOURS_MISSING}
    expected = {
        hour: sorted(asset for asset in ASSETS if hour in missing[asset])
        for hour in set().union(*missing.values())
    }
    told = {point["bucket_close"]: point["missing"] for point in points if point["nav"] is None}
    assert told == expected
    assert len(points) == 12_264 // 2 + len(expected) - 1  # the first close is at the start, not after it
