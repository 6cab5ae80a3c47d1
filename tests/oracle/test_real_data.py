"""The engine's daily NAV and holdings over real markets, against a second calculation that shares no code."""

import io
import json
import os
from collections import defaultdict
from contextlib import redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from console.cli import main
from tests.oracle.naive import Holding, Point, canonical, naive_books, naive_daily_nav, naive_holdings

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / ".." / "shared" / "data"
TX, PRICES, FX = DATA / "transactions", DATA / "prices", DATA / "fx"
RATES = [FX / "ecb_eod_2017-2026.csv", FX / "eurusd_1h_2024.csv"]
ETHER = [TX / "ethereum_wallet_0x003dc_real.csv"]
WALLET = [*ETHER, TX / "ethereum_wallet_0x003dc_erc20_real.csv"]
CONSTRUCTED = [TX / "constructed_3_accounts_2024.csv"]
ETHER_PRICES = [
    PRICES / "etherscan_eth_1d_sparse_2017-2023.csv",
    PRICES / "bitstamp_1d_2014-2020.csv",
    PRICES / "binance_1d_2020-2025.csv",
]
PRICES_2024 = [
    PRICES / "binance_5m_2024.parquet",
    PRICES / "binance_1h_2024.parquet",
    PRICES / "binance_1d_2024.csv",
    PRICES / "euri_5m_2024-08.csv",
]
CONFIG = """
[fx]
primary = ["histdata_h1"]
fallback = ["ecb_eurofxref"]

[fx.pegs]
USDT = "USD"
"""
LATER = datetime(2027, 1, 1, tzinfo=UTC)

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the shared data set is not beside the repository")


def run_navdeck(home: Path, *args: str | Path) -> Any:
    """One verb; its JSON document, None where it prints nothing."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("NAVDECK_")}
    said = io.StringIO()
    with patch.dict(os.environ, clean, clear=True), redirect_stdout(said):
        assert main([*map(str, args), "--home", str(home)]) == 0, args[0]
    return json.loads(said.getvalue()) if "--json" in args else None


@cache
def naive_points(transactions: tuple[Path, ...], prices: tuple[Path, ...]) -> list[Point]:
    """Every daily close, made once for all who look at it."""
    return naive_daily_nav(list(transactions), list(prices), RATES)


@dataclass
class Case:
    """One data set: its files, and the home that the engine made of them."""

    transactions: list[Path]
    prices: list[Path]
    home: Path
    span: tuple[str, str] | None = None  # only closes after the first and up to the second date are valued

    def build(self) -> "Case":
        run_navdeck(self.home, "init")
        with (self.home / "navdeck.toml").open("a", encoding="utf-8") as config:
            config.write(CONFIG)
        run_navdeck(self.home, "ingest", *self.transactions, *self.prices, *RATES, "--json")
        span = ("--from", self.span[0], "--to", self.span[1]) if self.span else ()
        run_navdeck(self.home, "value", "--resolution", "1d", *span, "--json")
        return self

    def nav(self) -> list[Point]:
        return list(run_navdeck(self.home, "nav", "--resolution", "1d", "--json")["points"])

    def naive(self) -> list[Point]:
        points = naive_points(tuple(self.transactions), tuple(self.prices))
        if self.span is None:
            return points
        first, last = (f"{date}T00:00:00Z" for date in self.span)
        return [point for point in points if first < point["bucket_close"] <= last]


@pytest.fixture(scope="module")
def in_euros(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The daily prices of 2024 with XRP quoted in euros, the figures left as they are."""
    lines = (PRICES / "binance_1d_2024.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    quoted = [line.replace(",USDT,", ",EUR,") if line.startswith("XRP,") else line for line in lines]
    path = tmp_path_factory.mktemp("prices") / "xrp_in_euros_1d.csv"
    path.write_text("".join(quoted), encoding="utf-8")
    return path


CASES = {
    "three accounts": (CONSTRUCTED, PRICES_2024[1:], None),
    "in euros, four months": (CONSTRUCTED, [], ("2024-01-01", "2024-05-01")),
    "in euros": (CONSTRUCTED, [], None),
    "ether around the hole of 2020": (ETHER, ETHER_PRICES, ("2019-12-01", "2020-11-01")),
    "ether": (ETHER, ETHER_PRICES, None),
    "the wallet's busy weeks": (WALLET, ETHER_PRICES, ("2022-08-01", "2022-10-15")),
    "three accounts, every bar": (CONSTRUCTED, PRICES_2024, None),
    "wallet": (WALLET, ETHER_PRICES, None),
}
# Not in the default run: whole years, the portfolio in dollars, half a million bars, 68 tokens on 2,904 days.
WHOLE = (
    "in euros", "ether", "three accounts", "the wallet's busy weeks", "three accounts, every bar", "wallet",
)  # fmt: skip


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=pytest.mark.slow if name in WHOLE else ()) for name in CASES],
)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, in_euros: Path) -> Case:
    folder = tmp_path_factory.mktemp("oracle")
    transactions, prices, span = CASES[request.param]
    return Case(transactions, prices or [in_euros], folder / "home", span).build()


def essence(points: list[Point]) -> list[Point]:
    """What both calculations tell of a point; coverage to ten places, for it is a float."""
    names = ("bucket_close", "nav", "priced_value")
    listed = ("missing", "held", "reasons")
    return [
        {name: point[name] for name in names}
        | {name: sorted(set(point[name])) for name in listed}
        | {"coverage": round(point["coverage"], 10)}
        for point in points
    ]


def summed(lots: list[dict[str, str]]) -> dict[Holding, str]:
    total: dict[Holding, Fraction] = defaultdict(Fraction)
    for lot in lots:
        total[lot["account"], lot["asset_id"]] += Fraction(lot["quantity"])
    return told(total)


def told(amounts: dict[Holding, Fraction]) -> dict[Holding, str]:
    return {holding: canonical(amount) for holding, amount in amounts.items() if amount}


def test_nav__every_daily_close__is_what_the_naive_calculation_says(case: Case) -> None:
    engine, naive = essence(case.nav()), essence(case.naive())
    assert [point["bucket_close"] for point in engine] == [point["bucket_close"] for point in naive]
    different = [(ours, theirs) for ours, theirs in zip(engine, naive, strict=True) if ours != theirs]
    assert different[:3] == []


def test_lots__at_the_end__hold_and_have_under_way_what_the_rows_say(case: Case) -> None:
    ledger, books = naive_books(case.transactions, LATER)
    lots = run_navdeck(case.home, "lots", "--json")
    assert summed(lots["open_lots"]) == told(books.lots)
    assert summed(lots["in_transit"]) == told(ledger.unmatched_out)


def test_naive__the_real_wallet_ends_where_the_chain_says() -> None:
    holdings = naive_holdings(WALLET, LATER)
    assert canonical(holdings["eth-0x003dc", "ETH"]) == "17.901287591473025178"


def test_naive__a_transfer_under_way_belongs_to_its_destination() -> None:
    left = datetime(2024, 1, 3, 6, 7, 42, tzinfo=UTC)  # 0.75 ETH, which arrive eight minutes later
    before = naive_holdings(CONSTRUCTED, left.replace(second=41))
    after = naive_holdings(CONSTRUCTED, left)
    assert after["kraken-eur", "ETH"] - before.get(("kraken-eur", "ETH"), 0) == Fraction("0.75")
    assert before["ledger-cold", "ETH"] - after["ledger-cold", "ETH"] == Fraction("0.7511")


def test_naive__the_hole_in_the_daily_prices_of_2020_stays_a_hole() -> None:
    hole = [
        point
        for point in naive_points(tuple(ETHER), tuple(ETHER_PRICES))
        if "2020-01-20" <= point["bucket_close"] < "2020-09-20" and point["nav"] is None
    ]
    assert len(hole) > 200
    assert all(point["missing"] == ["ETH"] and point["reasons"] == ["NO_PRICE"] for point in hole)


def test_naive__euro_prices__are_held_only_while_the_hourly_rate_is_silent(in_euros: Path) -> None:
    points = naive_points(tuple(CONSTRUCTED), (in_euros,))
    held = [datetime.fromisoformat(point["bucket_close"]) for point in points if point["held"]]
    assert held
    assert len(held) < len(points) // 4
    assert all(point["reasons"] == ["FX_HELD"] for point in points if point["held"])
