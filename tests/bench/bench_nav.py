"""Exact NAV per account against dense numpy floats and DuckDB: 50 accounts x 200 assets x 30 d of 5m.

The inputs are in memory: movements and chosen prices. Held and valued counts and the sum tell that both did
the same. `SCALE_DOWN=10` cuts the days, for a quick look.
"""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pytest

from engine.domain.instants import DAY_US, MINUTE_US
from engine.domain.money import SCALE
from engine.valuation import price_engine
from engine.valuation.exact import DECIMAL, decimals
from engine.valuation.positions import positions
from engine.valuation.price_choice import PricePolicy
from engine.valuation.price_engine import Inputs
from engine.valuation.rates import NO_RATE, RateUse, RateVector
from tests.bench.rounds import ROOT, answer, table

MODULE = "tests.bench.bench_nav"
SEED = 20260301
ACCOUNTS, ASSETS, TRANSACTIONS, DAYS, ROUNDS = 50, 200, 100_000, 30, 5
DUCKDB_ROUNDS = 3
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


def _vector(at: np.ndarray, folder: Path) -> RateVector:
    rates = pl.read_parquet(folder / "rates.parquet")["rate_e6"].to_list()
    table = [RateUse(rate * SCALE // 10**6, "feed", int(ts)) for rate, ts in zip(rates, at, strict=False)]
    return RateVector(np.arange(len(at), dtype=np.int32), [*table, NO_RATE])


def _inputs(movements: pl.DataFrame, chosen: pl.DataFrame, at: np.ndarray, vector: RateVector) -> Inputs:
    held = positions(movements, at, POLICY.cash_assets, POLICY.cash_in_nav)
    return Inputs(at, held, chosen, {"EUR": vector}, {}, {}, POLICY)


def exact(name: str) -> dict[str, Any]:
    """Positions, values and sums by the engine."""
    folder = Path(name)
    movements = pl.read_parquet(folder / "movements.parquet")
    chosen = pl.read_parquet(folder / "prices.parquet")
    at = closes()
    vector = _vector(at, folder)
    begin = time.perf_counter()
    totals = _full(_inputs(movements, chosen, at, vector))
    nav = totals.priced()
    done = time.perf_counter()
    units = sum(nav.to_physical().to_list())
    return _result(done - begin, totals.holdings, totals.valued, units / SCALE)


def _full(inputs: Inputs) -> price_engine.NavTotals:
    totals = price_engine.NavTotals(inputs)
    for values in price_engine.run(inputs):
        totals.add(values)
    return totals


def duckdb_asof(name: str) -> dict[str, Any]:
    """Balances by an ASOF join over all closes, prices and rates by joins, in floats."""
    folder, at = Path(name), closes()
    moves = pl.read_parquet(folder / "movements.parquet").with_columns(
        pl.col("delta").cast(pl.Float64), b=pl.Series(np.searchsorted(at, pl.read_parquet(
            folder / "movements.parquet")["ts"].to_numpy())),
    )  # fmt: skip
    moves = moves.filter(pl.col("b") < len(at))
    steps = moves.group_by("account", "asset", "b").agg(pl.col("delta").sum()).sort("account", "asset", "b")
    steps = steps.with_columns(owned=pl.col("delta").cum_sum().over("account", "asset")).drop("delta")
    rates = pl.read_parquet(folder / "rates.parquet")["rate_e6"].to_numpy() / 1e6
    fx = pl.DataFrame({"b": np.arange(len(at)), "fx": rates[: len(at)]})
    with duckdb.connect() as connection:
        for table, frame in (
            ("s", steps), ("p", pl.read_parquet(folder / "prices_f64.parquet")), ("f", fx)
        ):  # fmt: skip
            connection.register("arrow", frame.to_arrow())
            connection.execute(f"CREATE TABLE {table} AS FROM arrow")
            connection.unregister("arrow")
        begin = time.perf_counter()
        found = connection.sql(ASOF.format(len(at))).to_arrow_table()
        done = time.perf_counter()
    held, valued, nav = (found.column(name).to_numpy() for name in ("held", "valued", "nav"))
    return _result(done - begin, held, valued, float(np.nansum(nav)))


ASOF = """
WITH starts AS (SELECT account, asset, min(b) AS first FROM s GROUP BY ALL),
grid AS (SELECT account, asset, range AS b FROM starts, range({}) WHERE range >= first),
owned AS (SELECT grid.account, grid.asset, grid.b, s.owned FROM grid
    ASOF JOIN s ON grid.account = s.account AND grid.asset = s.asset AND grid.b >= s.b)
SELECT owned.account, owned.b, sum(owned * price) * any_value(fx) AS nav, count(*) AS held,
    count(price) AS valued
FROM owned LEFT JOIN p ON owned.asset = p.asset AND owned.b = p.b JOIN f ON f.b = owned.b
WHERE owned > 1e-9 GROUP BY ALL
"""


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


CASES = {"floats": floats, "exact": exact, "duckdb_asof": duckdb_asof}


@pytest.mark.bench
def test_nav__exact_against_floats(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # In a process of its own: a child's peak memory starts from what its parent holds.
    subprocess.run([sys.executable, "-m", MODULE, "generate", str(tmp_path)], cwd=ROOT, check=True)
    title = f"NAV of {ACCOUNTS} accounts, {ASSETS} assets, {days()} days of 5m, seed {SEED}"
    told = [table(title, MODULE, ["floats", "exact"], [str(tmp_path)], ROUNDS)]
    told.append(table("DuckDB", MODULE, ["exact", "duckdb_asof"], [str(tmp_path)], DUCKDB_ROUNDS))
    with capsys.disabled():
        print(*told)


if __name__ == "__main__":
    answer({"generate": generate} | CASES)
