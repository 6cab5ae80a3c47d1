"""TWR of a year of trading over real prices, against a second calculation straight from the files.

The NAV itself is checked elsewhere (test_real_data.py); here flows and linking are made anew with fractions.
"""

import asyncio
import csv
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from engine.runtime.engine import make_home
from engine.runtime.home import Home
from tests.runtime.deck import DATA, START, Deck

TRADES = DATA / "transactions" / "constructed_3_accounts_2024.csv"
BARS = DATA / "prices" / "binance_1d_2024.csv"
RATES = DATA / "fx" / "ecb_eod_2017-2026.csv"
ACCOUNTS = ("binance-main", "kraken-eur", "ledger-cold")
WHOLE = "all"
CONFIG = '[fx]\nfallback = ["ecb_eurofxref"]\n\n[fx.pegs]\nUSDT = "USD"\n'

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the shared data set is not beside the repository")

Row = dict[str, str]
Flow = tuple[str, str, Fraction]  # when, account, amount


@pytest.fixture(scope="module")
def deck(tmp_path_factory: pytest.TempPathFactory) -> Deck:
    home = tmp_path_factory.mktemp("returns") / "home"
    asyncio.run(make_home(Home(home), "USD", "UTC", "FIFO", lambda: START))
    with (home / "navdeck.toml").open("a", encoding="utf-8") as config:
        config.write(CONFIG)
    made = Deck(home)
    made.ingest(TRADES, BARS, RATES)
    made.value(resolution="1d")
    return made


@cache
def read(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def close_of(timestamp: str, closes: list[str]) -> str:
    """The first close at or after an instant."""
    return closes[bisect_left(closes, timestamp)]


def trades(rows: list[Row], rates: list[Row]) -> Iterator[Flow]:
    for row in rows:
        if row["action"] in ("BUY", "SELL"):
            value = Fraction(row["quantity"]) * Fraction(row["unit_price_usd"])
            signed = value if row["action"] == "BUY" else -value
            yield row["timestamp"], row["account"], signed + cash_fee(row, rates)


def cash_fee(row: Row, rates: list[Row]) -> Fraction:
    """In USD; a fee in kind is none."""
    if row["fee_asset"] not in ("USD", "EUR"):
        return Fraction(0)
    told = [rate for rate in rates if rate["asof"] <= row["timestamp"]]
    latest = Fraction(max(told, key=lambda rate: rate["asof"])["rate"])
    return Fraction(row["fee_amount"]) * (latest if row["fee_asset"] == "EUR" else 1)


def transfers(rows: list[Row], closes: list[str]) -> Iterator[Flow]:
    """Both sides at the OUT's time; what has no hash is an opening balance, at its own."""
    prices = {(bar["asset_id"], bar["bucket_close"]): bar["close"] for bar in read(BARS)}
    moves = [row for row in rows if row["action"].startswith("TRANSFER")]
    left = {(row["asset_id"], row["tx_hash"]): row for row in moves if row["action"] == "TRANSFER_OUT"}
    for row in moves:
        source = left[row["asset_id"], row["tx_hash"]] if row["tx_hash"] else row
        assert source["quantity"] == row["quantity"], "the data has whole transfers only"
        price = Fraction(prices[row["asset_id"], close_of(source["timestamp"], closes)])
        sign = -1 if row["action"] == "TRANSFER_OUT" else 1
        yield source["timestamp"], row["account"], sign * Fraction(row["quantity"]) * price


def naive_twr(points: list[dict[str, Any]], flows: list[Flow]) -> Fraction:
    closes = [point["bucket_close"] for point in points]
    within: dict[str, list[Fraction]] = defaultdict(list)
    for when, _, amount in flows:
        within[close_of(when, closes)].append(amount)
    linked = Fraction(1)
    for before, after in pairwise(points):
        moved = within[after["bucket_close"]]
        start = Fraction(before["nav"]) + sum(amount for amount in moved if amount > 0)
        end = Fraction(after["nav"]) - sum(amount for amount in moved if amount < 0)
        linked *= end / start
    return linked - 1


@pytest.mark.parametrize("account", [WHOLE, *ACCOUNTS])
def test_twr__is_what_the_files_say(deck: Deck, account: str) -> None:
    who = {} if account == WHOLE else {"account": account}
    found = deck.ask("metrics", points=True, **who)
    points = found["points"]
    closes = [point["bucket_close"] for point in points]
    rows = read(TRADES)
    rates = [rate for rate in read(RATES) if rate["quote"] == "USD" and rate["asof"] > "2023-12"]
    flows = list(trades(rows, rates))
    if account != WHOLE:
        flows = [flow for flow in [*flows, *transfers(rows, closes)] if flow[1] == account]
    assert found["twr"] == pytest.approx(float(naive_twr(points, flows)), rel=1e-9)
    assert (found["coverage"], found["breaks"], found["gaps"]) == (1.0, [], [])
    assert found["periods"] == len(points) - 1
