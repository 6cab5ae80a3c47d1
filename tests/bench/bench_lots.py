"""Lots of 100,000 rows against a floor that parses, sorts and walks the rows without matching any.

Both start from the text of the file in memory. Ours reads a ledger frame, links transfers and books every
lot, conservation checked; the floor casts the same columns, sorts and adds up in one plain loop.
"""

import sys
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from engine.config import CASH_ASSETS
from engine.domain.transactions import ACTIONS, DECIMAL, LEDGER_SCHEMA, KeyKind
from engine.portfolio import lots_engine, transfers
from tests.bench.rounds import answer, table
from tests.bench.trades import write_trades

ROWS, ROUNDS, SEED = 100_000, 5, 1


@pytest.mark.bench
def test_lots__against_a_walk_without_matching(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (file,) = write_trades(tmp_path / "trades", ROWS, SEED, damaged=0)
    told = table(f"lots of {ROWS:,} rows", "tests.bench.bench_lots", list(CASES), [str(file)], ROUNDS)
    with capsys.disabled():
        print(told)


def floor(file: str) -> dict[str, Any]:
    """Parse, cast, sort, walk."""
    data = Path(file).read_bytes()
    started = time.perf_counter()
    names = ("timestamp", "id", "action", "asset_id", "account", "tx_hash", "quantity", "unit_price_usd")
    frame = pl.read_csv(data, infer_schema=False, columns=list(names)).sort("timestamp", "id")
    numbers = [pl.col(name).cast(DECIMAL).to_physical().fill_null(0) for name in names[-2:]]
    frame = frame.with_columns(numbers)
    total = 0
    for _, _, _, _, _, quantity, _ in zip(*(frame[name].to_list() for name in names[1:]), strict=True):
        total += quantity
    return {"seconds": time.perf_counter() - started, "rows": frame.height}


def ours(method: str, file: str) -> dict[str, Any]:
    """Read, link, book."""
    data = Path(file).read_bytes()
    started = time.perf_counter()
    ledger = _ledger(data)
    links = transfers.link(ledger)
    outcome = lots_engine.run(ledger, links, method, frozenset(CASH_ASSETS), {})
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "realized": len(outcome.realized), "open": len(outcome.open)}


def _ledger(data: bytes) -> pl.DataFrame:
    """The rows of a clean file as a ledger frame."""
    renamed = {"asset_id": "asset", "unit_price_usd": "price"}
    frame = pl.read_csv(data, infer_schema=False).rename(renamed).with_row_index("row")
    kind = (
        pl.when(pl.col("tx_hash").is_not_null()).then(KeyKind.TX_HASH)
        .when(pl.col("external_id").is_not_null()).then(KeyKind.EXTERNAL_ID)
        .otherwise(KeyKind.ID)
    )  # fmt: skip
    return frame.with_columns(
        ts=pl.col("timestamp").str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="us").cast(pl.Int64),
        action=pl.col("action").cast(pl.Enum(ACTIONS)).to_physical(),
        kind=kind,
        k=pl.lit(1),
    ).select(pl.col(name).cast(dtype) for name, dtype in LEDGER_SCHEMA.items())


def fifo(file: str) -> dict[str, Any]:
    return ours("FIFO", file)


def lifo(file: str) -> dict[str, Any]:
    return ours("LIFO", file)


def hifo(file: str) -> dict[str, Any]:
    return ours("HIFO", file)


CASES = {"floor": floor, "ours, FIFO": fifo, "ours, LIFO": lifo, "ours, HIFO": hifo}

if __name__ == "__main__":
    sys.modules["tests.bench.bench_lots"] = sys.modules["__main__"]
    answer(CASES)
