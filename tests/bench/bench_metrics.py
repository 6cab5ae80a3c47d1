"""TWR and drawdown of 1,000,000 points with flows, against the plain numpy of it.

The floor knows no holes, no breaks and no flow timing: one division, cumprod, maximum.accumulate.
"""

import sys
import time
from typing import Any

import numpy as np
import pytest

from engine.portfolio import metrics, sub_periods
from tests.bench.rounds import answer, table

POINTS, ROUNDS, SEED, RUNS = 1_000_000, 5, 1, 5
FLOW_EVERY = 0.001  # of the points
STEP_US = 300_000_000
FIRST_US = 10**15


@pytest.mark.bench
def test_metrics__against_plain_numpy(capsys: pytest.CaptureFixture[str]) -> None:
    title = f"TWR and drawdown of {POINTS:,} points"
    told = table(title, "tests.bench.bench_metrics", list(CASES), [], ROUNDS)
    with capsys.disabled():
        print(told)


def made() -> tuple[np.ndarray, np.ndarray]:
    """NAV and the flow of each of its buckets."""
    rng = np.random.default_rng(SEED)
    nav = 1e6 * np.exp(np.cumsum(rng.normal(0, 1e-4, POINTS)))
    flow = np.where(rng.random(POINTS) < FLOW_EVERY, rng.normal(0, 1e4, POINTS), 0.0)
    return np.maximum(nav + np.cumsum(flow), 1e3), flow


def median_seconds(run: Any) -> float:
    run()
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return sorted(times)[RUNS // 2]


def plain() -> dict[str, Any]:
    """numpy alone; every flow at the start of its bucket."""
    nav, flow = made()

    def run() -> tuple[Any, Any]:
        index = np.cumprod(nav[1:] / (nav[:-1] + flow[1:]))
        return index[-1] - 1, (index / np.maximum.accumulate(index) - 1).min()

    twr, fall = run()
    return {"seconds": median_seconds(run), "twr": round(float(twr), 6), "drawdown": round(float(fall), 6)}


def series(timing: str) -> sub_periods.Series:
    nav, flow = made()
    ts = np.arange(POINTS, dtype=np.int64) * STEP_US + FIRST_US
    places = np.flatnonzero(flow)
    return sub_periods.Series(ts, nav, ts[places], flow[places], timing)


def ours() -> dict[str, Any]:
    """Linked, judged, indexed, the drawdown with its instants."""
    found = series(sub_periods.START)

    def run() -> tuple[float, metrics.Drawdown]:
        links = sub_periods.chain(found)
        index = metrics.index(links)
        return float(index[-1]) - 1, metrics.drawdown(links.at, index)

    twr, fall = run()
    return {"seconds": median_seconds(run), "twr": round(twr, 6), "drawdown": round(fall.depth, 6)}


def whole() -> dict[str, Any]:
    """All that `metrics` tells, XIRR and volatility too."""
    found = series(sub_periods.IN_BUCKET)
    return {"seconds": median_seconds(lambda: metrics.measure(found, 105_120, "5m").document())}


CASES = {"numpy": plain, "ours": ours, "ours, every figure": whole}

if __name__ == "__main__":
    sys.modules["tests.bench.bench_metrics"] = sys.modules["__main__"]
    answer(CASES)
