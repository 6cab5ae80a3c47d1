"""Lots against a floor that parses, casts, sorts and walks the rows without matching any; peers; one change.

All start from the text of the file in memory, after a warm-up on its first rows. Ours reads a ledger frame,
links transfers and books every lot, conservation checked. The floor reads the same columns into the same
types, sorts, and walks them in one plain loop; the narrow floor leaves out the fees, external ids and the
reading of times, without which no lot can be booked. Peers get rows that all of them can book.
"""

import asyncio
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from engine.config import CASH_ASSETS
from engine.domain.transactions import ACTIONS, DECIMAL, HEADER, LEDGER_SCHEMA, Action, KeyKind
from engine.portfolio import lots_engine, transfers
from engine.portfolio.lots_replay import LotsBook
from engine.runtime import executors
from engine.runtime.books import Books
from engine.runtime.clock import system_clock
from engine.runtime.engine import make_home
from engine.runtime.home import Home
from engine.runtime.kept_books import KeptBooks, open_books
from engine.runtime.take import take_files
from engine.runtime.taken import Source
from engine.store.reader import Reader
from tests.bench.peers_lots import PEERS, write_plain
from tests.bench.rounds import answer, table
from tests.bench.trades import write_trades

FILE_ROWS, INSERT_ROWS = 50_000, 4_000
SIZES, ROUNDS, SEED = (100_000, 1_000_000), 5, 1
PEER_ROWS = 10_000
CASH = frozenset(CASH_ASSETS)
MODULE = "tests.bench.bench_lots"
Case = Callable[[bytes], dict[str, Any]]


@pytest.mark.bench
@pytest.mark.parametrize("rows", SIZES)
def test_lots__against_a_walk_without_matching(
    rows: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (file,) = write_trades(tmp_path / "trades", rows, SEED, damaged=0)
    told = table(f"lots of {rows:,} rows", MODULE, list(OURS), [str(file)], ROUNDS)
    with capsys.disabled():
        print(told)


@pytest.mark.bench
def test_lots__against_peers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (file,) = write_trades(tmp_path / "trades", PEER_ROWS, SEED, damaged=0)
    plain = tmp_path / "plain.csv"
    write_plain(file, plain)
    told = table(f"lots of {PEER_ROWS:,} rows", MODULE, ["ours, FIFO", *PEERS], [str(plain)], ROUNDS)
    with capsys.disabled():
        print(told)


@pytest.mark.bench
def test_one_back_dated_row__against_a_full_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (file,) = write_trades(tmp_path / "trades", SIZES[-1], SEED, damaged=0)
    told = table("one row back-dated in 1,000,000", MODULE, list(CHANGES), [str(file)], 3)
    with capsys.disabled():
        print(told)


@pytest.mark.bench
@pytest.mark.parametrize("rows", [300_000, SIZES[-1]])
def test_one_back_dated_row__in_the_books_that_a_worker_keeps(
    rows: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = Home(tmp_path / "home")
    asyncio.run(make_home(home, "USD", "UTC", "FIFO"))
    for file in write_trades(tmp_path / "trades", rows, SEED, rows // FILE_ROWS, damaged=0):
        take_files(str(home.path), [Source(str(file), file.name)], system_clock(), INSERT_ROWS, keep=True)
    told = table(f"books of {rows:,} stored rows", MODULE, list(KEPT), [str(home.path)], 3)
    with capsys.disabled():
        print(told)


COLUMNS = {
    "timestamp": "ts", "id": "id", "action": "action", "asset_id": "asset", "quantity": "quantity",
    "unit_price_usd": "price", "fee_asset": "fee_asset", "fee_amount": "fee_amount", "account": "account",
    "tx_hash": "tx_hash", "external_id": "external_id",
}  # fmt: skip
WALKED = [name for name in COLUMNS.values() if name != "id"]


def floor(data: bytes) -> dict[str, Any]:
    """Parse, cast, sort, walk: the columns that decide lots."""
    frame = _ledger(data).sort("ts", "id")
    decimals = [pl.col(name).to_physical() for name in ("quantity", "price", "fee_amount")]
    frame = frame.with_columns(decimals)
    total = 0
    for _, _, _, quantity, *_ in zip(*(frame[name].to_list() for name in WALKED), strict=True):
        total += quantity
    return {"rows": frame.height}


def narrow_floor(data: bytes) -> dict[str, Any]:
    """Parse, cast, sort, walk: the least columns, times as text."""
    names = ("timestamp", "id", "action", "asset_id", "account", "tx_hash", "quantity", "unit_price_usd")
    frame = pl.read_csv(data, infer_schema=False, columns=list(names)).sort("timestamp", "id")
    numbers = [pl.col(name).cast(DECIMAL).to_physical().fill_null(0) for name in names[-2:]]
    frame = frame.with_columns(numbers)
    total = 0
    for _, _, _, _, _, quantity, _ in zip(*(frame[name].to_list() for name in names[1:]), strict=True):
        total += quantity
    return {"rows": frame.height}


def ours(method: str, data: bytes) -> dict[str, Any]:
    """Read, link, book."""
    ledger = _ledger(data)
    outcome = lots_engine.run(ledger, transfers.link(ledger), method, CASH, {})
    return {"realized": len(outcome.realized), "open": len(outcome.open)}


def _ledger(data: bytes) -> pl.DataFrame:
    """The rows of a clean file as a ledger frame."""
    frame = pl.read_csv(data, infer_schema=False, columns=list(COLUMNS)).rename(COLUMNS).with_row_index("row")
    kind = (
        pl.when(pl.col("tx_hash").is_not_null()).then(KeyKind.TX_HASH)
        .when(pl.col("external_id").is_not_null()).then(KeyKind.EXTERNAL_ID)
        .otherwise(KeyKind.ID)
    )  # fmt: skip
    return frame.with_columns(
        ts=pl.col("ts").str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="us").cast(pl.Int64),
        action=pl.col("action").cast(pl.Enum(ACTIONS)).to_physical(),
        kind=kind,
        k=pl.lit(1),
    ).select(pl.col(name).cast(dtype) for name, dtype in LEDGER_SCHEMA.items())


def timed(case: Case, file: str) -> dict[str, Any]:
    """The seconds of one case, after a warm-up on the first rows."""
    data = Path(file).read_bytes()
    case(b"\n".join(data.split(b"\n", 501)[:501]))
    started = time.perf_counter()
    found = case(data)
    return {"seconds": time.perf_counter() - started} | found


def full_run(file: str) -> dict[str, Any]:
    """Link and book everything, from the ledger frame."""
    ledger = _ledger(Path(file).read_bytes())
    started = time.perf_counter()
    lots_engine.run(ledger, transfers.link(ledger), "FIFO", CASH, {})
    return {"seconds": time.perf_counter() - started}


def one_change(share: Decimal, file: str) -> dict[str, Any]:
    """The first purchase of an asset with about this share of the rows comes last of all; median of 5."""
    ledger = _ledger(Path(file).read_bytes())
    sizes = ledger["asset"].value_counts().with_columns(pl.col("count").cast(pl.Int64))
    wanted = int(share * ledger.height)
    asset, rows = sizes.sort((pl.col("count") - wanted).abs(), "asset").row(0)
    bought = ledger.filter((pl.col("asset") == asset) & (pl.col("action") == Action.BUY)).head(6)
    book = LotsBook(ledger.filter(~pl.col("row").is_in(bought["row"].to_list())), "FIFO", CASH, {})
    seconds = []
    for place in reversed(range(6)):
        started = time.perf_counter()
        book.change(bought[place : place + 1])
        seconds.append(time.perf_counter() - started)
    return {"seconds": sorted(seconds[1:])[2], "rows": rows}


def read_anew(home_path: str) -> dict[str, Any]:
    """Ledger, links, lots and movements from the store."""
    home = Home(Path(home_path))
    started = time.perf_counter()
    with Reader(home.state) as reader:
        moves = Books(reader, home.config()).movements()
    return {"seconds": time.perf_counter() - started, "movements": moves.height}


def kept(fee: str, home_path: str) -> dict[str, Any]:
    """The same after one back-dated purchase more, of an asset with few rows; median of 5, and of no news."""
    executors._is_lasting = True
    home, seconds, idle = Home(Path(home_path)), [], []
    _look(home)
    for _ in range(5):
        _take_one(home, fee)
        seconds.append(_look(home))
        idle.append(_look(home))
    return {"seconds": sorted(seconds)[2], "no news": round(sorted(idle)[2], 3)}


def _look(home: Home) -> float:
    started = time.perf_counter()
    with Reader(home.state) as reader:
        books = open_books(home, reader)
        assert isinstance(books, KeptBooks)
        books.movements()
    return time.perf_counter() - started


def _take_one(home: Home, fee: str) -> None:
    with Reader(home.state) as reader:
        number = reader.count("tx")
    at = f"2025-01-03T00:00:00.{number % 1_000_000:06d}Z"
    row = [at, "BUY", "COIN100", "1", "5", *fee.split(), "account-00"]
    file = home.path / "one.csv"
    file.write_text(f"{HEADER}\n,{','.join(row)},,,,,\n")
    source = Source(str(file), file.name)
    (taken,) = take_files(str(home.path), [source], system_clock(), INSERT_ROWS, keep=True)
    assert taken.accepted == 1


OURS: dict[str, Callable[..., dict[str, Any]]] = {
    "floor": partial(timed, floor),
    "narrow floor": partial(timed, narrow_floor),
    "ours, FIFO": partial(timed, partial(ours, "FIFO")),
    "ours, LIFO": partial(timed, partial(ours, "LIFO")),
    "ours, HIFO": partial(timed, partial(ours, "HIFO")),
}
CHANGES: dict[str, Callable[..., dict[str, Any]]] = {
    "full run": full_run,
    "change, 1/200 of rows": partial(one_change, Decimal("0.005")),
    "change, largest asset": partial(one_change, Decimal(1)),
}
KEPT: dict[str, Callable[..., dict[str, Any]]] = {
    "read anew": read_anew,
    "kept, one row more": partial(kept, "COIN100 0.01"),
    "kept, one with a cash fee": partial(kept, "USD 1"),
}
CASES: dict[str, Callable[..., dict[str, Any]]] = {**CHANGES, **KEPT, **OURS, **PEERS}

if __name__ == "__main__":
    sys.modules[MODULE] = sys.modules["__main__"]
    answer(CASES)
