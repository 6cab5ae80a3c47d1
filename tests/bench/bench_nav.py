"""Exact NAV per account against dense numpy floats: 50 accounts x 200 assets x 30 days of 5m closes.

The inputs are in memory: movements and chosen prices. Held and valued counts and the sum tell that both did
the same. `SCALE_DOWN=10` cuts the days, for a quick look.
"""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from engine.domain.instants import DAY_US, MINUTE_US
from engine.domain.money import SCALE
from engine.valuation import price_engine
from engine.valuation.exact import DECIMAL, decimals
from engine.valuation.fx_handler import NO_RATE, RateUse, RateVector
from engine.valuation.positions import positions
from engine.valuation.price_choice import PricePolicy
from tests.bench.rounds import ROOT, answer, table

MODULE = "tests.bench.bench_nav"
SEED = 20260301
ACCOUNTS, ASSETS, TRANSACTIONS, DAYS, ROUNDS = 50, 200, 100_000, 30, 5
GAPS = 0.02
STEP_US = 5 * MINUTE_US
START_US = 1_735_689_600_000_000  # 2025-01-01
POLICY = PricePolicy("USD", {}, (), frozenset({"USD", "EUR"}), cash_in_nav=False)


def days() -> int:
    return max(DAYS // int(os.environ.get("SCALE_DOWN", "1")), 1)


def closes() -> np.ndarray:
    return START_US + STEP_US * np.arange(1, days() * DAY_US // STEP_US + 1)


def generate(name: str) -> dict[str, Any]:
    """Movements and prices, once exact and once as floats, and one rate of six decimals a close."""
    folder, rng = Path(name), np.random.default_rng(SEED)
    size = len(closes())
    _movements(rng, size).write_parquet(folder / "movements.parquet")
    first = 10 ** rng.uniform(-2, 4.5, (ASSETS, 1))
    walk = first * np.exp(np.cumsum(rng.normal(0, 0.001, (ASSETS, size)), axis=1))
    there = rng.random((ASSETS, size)) >= GAPS
    asset, b = np.nonzero(there)
    names = pl.Series([f"AST{i:03d}" for i in range(ASSETS)])
    prices = pl.DataFrame({
        "asset": names.gather(asset), "quote": pl.repeat("EUR", len(b), eager=True),
        "source": pl.repeat("venue", len(b), eager=True), "resolution": pl.repeat("5m", len(b), eager=True),
        "asof": closes()[b], "price": np.round(walk[there], 8), "b": b.astype(np.uint32),
    })  # fmt: skip
    prices.select("asset", "b", "price").write_parquet(folder / "prices_f64.parquet")
    decimal = pl.col("price").cast(pl.Decimal(38, 8)).cast(DECIMAL)
    prices.with_columns(decimal, places=pl.lit(8, pl.UInt8)).write_parquet(folder / "prices.parquet")
    rates = np.round(1.08 * np.exp(np.cumsum(rng.normal(0, 0.0002, size))) * 1e6).astype(np.int64)
    pl.DataFrame({"rate_e6": rates}).write_parquet(folder / "rates.parquet")
    return {"seconds": 0, "prices": len(b)}


def _movements(rng: np.random.Generator, size: int) -> pl.DataFrame:
    """Buys of 8 decimals; a third of the rows sells part or all of what is held. Pairs are Pareto-skewed."""
    weight = np.outer(rng.pareto(1.1, ACCOUNTS) + 0.5, rng.pareto(1.1, ASSETS) + 0.5).ravel()
    pairs = rng.choice(ACCOUNTS * ASSETS, TRANSACTIONS, p=weight / weight.sum())
    instants = START_US + np.sort(rng.integers(0, size * STEP_US, TRANSACTIONS))
    held: dict[int, int] = {}
    deltas = []
    for pair, amount, kind in zip(
        pairs.tolist(), rng.integers(1, 10**12, TRANSACTIONS).tolist(), rng.random(TRANSACTIONS), strict=True
    ):
        owned = held.get(pair, 0)
        delta = -owned if kind < 0.03 else -(owned // 3) if kind < 0.33 else amount
        delta = delta or amount
        held[pair] = owned + delta
        deltas.append(delta * 10**10)
    return pl.DataFrame({
        "account": pl.Series([f"account {i:02d}" for i in range(ACCOUNTS)]).gather(pairs // ASSETS),
        "asset": pl.Series([f"AST{i:03d}" for i in range(ASSETS)]).gather(pairs % ASSETS),
        "ts": instants, "delta": decimals(deltas), "series": pl.repeat("holding", TRANSACTIONS, eager=True),
    }).sort("account", "asset", "ts", "series", "delta")  # fmt: skip


def exact(name: str) -> dict[str, Any]:
    """Positions, values and sums by the engine."""
    folder = Path(name)
    movements = pl.read_parquet(folder / "movements.parquet")
    chosen = pl.read_parquet(folder / "prices.parquet")
    at, rates = closes(), pl.read_parquet(folder / "rates.parquet")["rate_e6"].to_list()
    table = [RateUse(rate * SCALE // 10**6, "feed", int(ts)) for rate, ts in zip(rates, at, strict=True)]
    vector = RateVector(np.arange(len(at), dtype=np.int32), [*table, NO_RATE])
    begin = time.perf_counter()
    held = positions(movements, at, POLICY.cash_assets, POLICY.cash_in_nav)
    inputs = price_engine.Inputs(at, held, chosen, {"EUR": vector}, {}, {}, POLICY)
    totals = price_engine.NavTotals(inputs)
    for values in price_engine.run(inputs):
        totals.add(values)
    nav = totals.priced()
    done = time.perf_counter()
    units = sum(nav.to_physical().to_list())
    return _result(done - begin, totals.holdings, totals.valued, units / SCALE)


def floats(name: str) -> dict[str, Any]:
    """The same in dense numpy floats, with nothing told about what is not exact or not there."""
    folder = Path(name)
    moves = pl.read_parquet(folder / "movements.parquet").with_columns(pl.col("delta").cast(pl.Float64))
    prices = pl.read_parquet(folder / "prices_f64.parquet")
    at, fx = closes(), pl.read_parquet(folder / "rates.parquet")["rate_e6"].to_numpy() / 1e6
    begin = time.perf_counter()
    accounts, assets = (moves[name].unique().sort() for name in ("account", "asset"))
    moves = moves.with_columns(
        b=pl.Series(np.searchsorted(at, moves["ts"].to_numpy())),
        account=pl.col("account").cast(pl.Enum(accounts)).to_physical(),
        asset=pl.col("asset").cast(pl.Enum(assets)).to_physical(),
    )
    prices = prices.filter(pl.col("asset").is_in(assets.implode()))
    price = np.full((len(assets), len(at)), np.nan)
    row = prices["asset"].cast(pl.Enum(assets)).to_physical().to_numpy()
    price[row, prices["b"].to_numpy()] = prices["price"]
    there = ~np.isnan(price)
    price[~there] = 0
    nav = np.zeros((len(accounts), len(at)))
    held, valued = np.zeros(nav.shape, np.int32), np.zeros(nav.shape, np.int32)
    for (asset,), part in moves.partition_by("asset", as_dict=True).items():
        account = part["account"].to_numpy()
        rows = np.unique(account)
        owned = np.zeros((len(rows), len(at)))
        np.add.at(owned, (np.searchsorted(rows, account), part["b"].to_numpy()), part["delta"].to_numpy())
        np.cumsum(owned, axis=1, out=owned)
        there_is = owned > 1e-9
        nav[rows] += owned * price[asset]
        held[rows] += there_is
        valued[rows] += there_is & there[asset]
    nav *= fx
    done = time.perf_counter()
    return _result(done - begin, held, valued, float(nav.sum()))


def _result(seconds: float, held: np.ndarray, valued: np.ndarray, total: float) -> dict[str, Any]:
    return {"seconds": seconds, "held": int(held.sum()), "valued": int(valued.sum()), "nav": f"{total:.9e}"}


CASES = {"floats": floats, "exact": exact}


@pytest.mark.bench
def test_nav__exact_against_floats(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # In a process of its own: a child's peak memory starts from what its parent holds.
    subprocess.run([sys.executable, "-m", MODULE, "generate", str(tmp_path)], cwd=ROOT, check=True)
    title = f"NAV of {ACCOUNTS} accounts, {ASSETS} assets, {days()} days of 5m, seed {SEED}"
    told = table(title, MODULE, list(CASES), [str(tmp_path)], ROUNDS)
    with capsys.disabled():
        print(told)


if __name__ == "__main__":
    answer({"generate": generate} | CASES)
