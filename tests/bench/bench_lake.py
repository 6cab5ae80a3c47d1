"""The lake against pyarrow, polars, duckdb and (in the group `peers`) delta-rs, on the same rows.

Sealing a day of 600 partitions, one 5m bucket of 200 assets, compaction of 10,000 files into 500, a commit of
200 files for 200 over catalogues of 30,000 and a million, and bytes. navdeck syncs to the disk, nobody else.
`LAKE_SMALL=1` takes a tenth of everything. Times are of warm libraries in a fresh process.
"""

import hashlib
import io
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from sqlite3 import connect
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest

from engine.compaction.file_compactor import chunks
from engine.config import load
from engine.domain.instants import DAY_US
from engine.messages import Command
from engine.runtime.compacting import planned
from engine.runtime.engine import Engine
from engine.runtime.executors import ThreadExecutor
from engine.runtime.home import Home
from engine.runtime.open_day import seal
from engine.runtime.putting import commit_sealed, commit_values
from engine.runtime.valued import Valued
from engine.snapshots.open_rows import stored
from engine.snapshots.parquet_writer import COLD_ZSTD_LEVEL, content_digest, encode, path_of
from engine.snapshots.schemas import FileRecord
from tests.bench.lakes import (
    CLOSES,
    START_US,
    closes_of,
    copied,
    date_of,
    name,
    new_home,
    put_catalogue,
    put_open,
    snapshots,
    with_writer,
)
from tests.bench.peers_lake import COMPACTORS, WRITERS, fresh, parted, there
from tests.bench.rounds import ROOT, answer, table

MODULE = "tests.bench.bench_lake"
SMALL = 10 if os.environ.get("LAKE_SMALL") else 1
ASSETS, SEALED, ROUNDS = 200 // SMALL, 600 // SMALL, 3
PARTITIONS, PIECES, PIECE_ROWS = 500 // SMALL, 20, 14
CATALOGUES = {"30k": 30_000 // ASSETS // SMALL, "1M": 1_000_000 // ASSETS // SMALL}  # days of ASSETS files


def timed(act: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    act()
    return time.perf_counter() - begin


# -- seal -----------------------------------------------------------------------------------------------


def make_seal(folder: str) -> dict[str, Any]:
    frame = snapshots(SEALED, 0)
    put_open(new_home(Path(folder)), frame)
    frame.write_ipc(Path(folder) / "rows.ipc")
    return {"seconds": 0}


def seal_ours(folder: str) -> dict[str, Any]:
    home = copied(Home(Path(folder) / "home"), Path(folder) / "run")
    put_open(home, snapshots(2, 3))
    os.sync()

    async def sealed(writer: Any) -> float:
        await commit_sealed(writer, "5m", date_of(3), seal(str(home.path), "5m", date_of(3)))  # warm
        begin = time.perf_counter()
        files = seal(str(home.path), "5m", date_of(0))
        await commit_sealed(writer, "5m", date_of(0), files)
        assert len(files) == SEALED
        return time.perf_counter() - begin

    return {"seconds": with_writer(home, sealed)} | bytes_of(home.lake)


def seal_peer(peer: str, folder: str) -> dict[str, Any]:
    rows = parted(pl.read_ipc(Path(folder) / "rows.ipc"))
    WRITERS[peer](parted(snapshots(2, 3)), fresh(Path(folder) / "warm"))
    root = fresh(Path(folder) / "run")
    os.sync()
    return {"seconds": timed(lambda: WRITERS[peer](rows, root))} | bytes_of(root)


def bytes_of(root: Path) -> dict[str, Any]:
    files = [path.stat().st_size for path in root.rglob("*.parquet")]
    return {"files": len(files), "mb": round(sum(files) / 1e6, 2)}


# -- one bucket -----------------------------------------------------------------------------------------


def make_bucket(folder: str) -> dict[str, Any]:
    """The open day is all but over, and the catalogue has its history."""
    home = new_home(Path(folder))
    put_open(home, snapshots(ASSETS, 0, 0, CLOSES - 1))
    put_catalogue(home, CATALOGUES["30k"], ASSETS)
    return {"seconds": 0}


def bucket_ours(folder: str, full: str = "full") -> dict[str, Any]:
    home = copied(Home(Path(folder) / "home"), Path(folder) / "run")
    if full != "full":
        with closing(connect(home.state)) as connection, connection:
            connection.execute("DELETE FROM open_snapshots")
            connection.execute("DELETE FROM lake_files")
    os.sync()

    async def put(writer: Any) -> float:
        times = []
        for close in range(CLOSES - 1, CLOSES + 4):
            frame = snapshots(ASSETS, close // CLOSES, close % CLOSES, 1)
            begin = time.perf_counter()
            await commit_values(writer, bucket(frame))
            times.append(time.perf_counter() - begin)
        return sorted(times[1:])[len(times) // 2 - 1]

    return {"seconds": with_writer(home, put)}


def bucket(frame: pl.DataFrame) -> Valued:
    """What valuing one close gives."""
    (day,) = frame["dt"].unique()
    close = int(frame["bucket_close"].to_physical()[0])
    done = Valued("5m", False, None, series_first=START_US - 400 * DAY_US, open_dates={day})
    done.days.append((day, closes_of(0, 0, 1)[0], close))
    done.opened += stored(frame).rows()
    return done


def bucket_peer(peer: str, folder: str) -> dict[str, Any]:
    WRITERS[peer](parted(snapshots(2, 3)), fresh(Path(folder) / "warm"))
    root = fresh(Path(folder) / "run")
    WRITERS[peer](parted(snapshots(ASSETS, 0, 0, CLOSES - 1)), root)
    rows = parted(snapshots(ASSETS, 0, CLOSES - 1, 1))
    os.sync()
    return {"seconds": timed(lambda: WRITERS[peer](rows, root))}


# -- compaction -----------------------------------------------------------------------------------------


def make_pieces(folder: str) -> dict[str, Any]:
    """Partitions of many small files, listed, and the same files for the peers."""
    home, records = new_home(Path(folder)), []
    for piece in range(PIECES):
        frame = snapshots(PARTITIONS, 0, piece * PIECE_ROWS, PIECE_ROWS)
        for (asset,), part in frame.drop("dt").partition_by("asset_id", as_dict=True).items():
            record, data = recorded(part, asset)
            (home.lake / record.path).parent.mkdir(parents=True, exist_ok=True)
            (home.lake / record.path).write_bytes(data)
            records.append(record)
        for peer in there(COMPACTORS):
            if peer == "delta":
                WRITERS["delta"](parted(frame), Path(folder) / "delta")

    async def listed(writer: Any) -> None:
        await commit_values(writer, Valued("5m", False, None, files=records))

    with_writer(home, listed)
    return {"seconds": 0, "files": len(records)}


def recorded(part: pl.DataFrame, asset: str) -> tuple[FileRecord, bytes]:
    data = encode(part)
    sha256 = hashlib.sha256(data).hexdigest()
    closes = part["bucket_close"].to_physical()
    return FileRecord(
        path_of("5m", date_of(0), asset, sha256), "5m", date_of(0), asset, part.height, len(data),
        int(closes[0]), int(closes[-1]), sha256, content_digest(part),
    ), data  # fmt: skip


def compact_ours(folder: str) -> dict[str, Any]:
    """`compact` of LOW_RAM: the plan, and all its pieces; replaced files are swept after their grace."""
    home = copied(Home(Path(folder) / "home"), Path(folder) / "run")
    (home.path / "navdeck.toml").open("a").write("\n[compaction]\ncold_days = 100000\n")
    load(home.path / "navdeck.toml")
    os.sync()

    async def compacted() -> float:
        engine = await Engine.open(home, ThreadExecutor(), lambda: START_US + DAY_US, writing=True)
        begin = time.perf_counter()
        await engine.do(Command("compact", {"profile": "LOW_RAM"}))
        taken = time.perf_counter() - begin
        await engine.close()
        return taken

    import asyncio

    taken = asyncio.run(compacted())
    made, sizes = planned(str(home.path), START_US + DAY_US, "LOW_RAM")
    assert (list(chunks(made)), sizes["live_files"]) == ([], PARTITIONS)
    return {"seconds": taken}


def compact_peer(peer: str, folder: str) -> dict[str, Any]:
    source = "delta" if peer == "delta" else "home/lake/snapshots/resolution=5m"
    root = Path(folder) / "run"
    subprocess.run(["rm", "-rf", str(root)], check=True)
    subprocess.run(["cp", "-r", str(Path(folder) / source), str(root)], check=True)
    os.sync()
    return {"seconds": timed(lambda: COMPACTORS[peer](root))}


# -- commit ---------------------------------------------------------------------------------------------


def make_catalogue(folder: str, size: str) -> dict[str, Any]:
    put_catalogue(new_home(Path(folder) / size), CATALOGUES[size], ASSETS)
    return {"seconds": 0}


def commit_ours(folder: str, size: str) -> dict[str, Any]:
    """A day's files for its files, some times over."""
    home = Home(Path(folder) / size / "home")
    day = date_of(-3)
    os.sync()

    async def replaced(writer: Any) -> float:
        times = []
        for turn in range(9):
            files = [
                FileRecord(f"{day}/{name(asset)}/{time.time_ns()}", "5m", day, name(asset), CLOSES, 1,
                           closes_of(-3, 0, 1)[0], closes_of(-3, CLOSES - 1, 1)[0], "", str(turn))
                for asset in range(ASSETS)
            ]  # fmt: skip
            done = Valued("5m", False, None, series_first=START_US - 5_500 * DAY_US, files=files)
            done.days.append((day, closes_of(-3, 0, 1)[0], closes_of(-3, CLOSES - 1, 1)[0]))
            begin = time.perf_counter()
            await commit_values(writer, done)
            times.append(time.perf_counter() - begin)
        return sorted(times)[len(times) // 2]

    return {"seconds": with_writer(home, replaced)}


# -- tables ---------------------------------------------------------------------------------------------

CASES: dict[str, Callable[..., dict[str, Any]]] = {
    "make_seal": make_seal, "seal_navdeck": seal_ours, "make_bucket": make_bucket,
    "bucket_navdeck": bucket_ours, "bucket_navdeck_new": lambda folder: bucket_ours(folder, "new"),
    "make_pieces": make_pieces, "compact_navdeck": compact_ours, "make_catalogue": make_catalogue,
    **{f"commit_{size}": lambda folder, size=size: commit_ours(folder, size) for size in CATALOGUES},
    **{f"seal_{peer}": lambda folder, peer=peer: seal_peer(peer, folder) for peer in WRITERS},
    **{f"bucket_{peer}": lambda folder, peer=peer: bucket_peer(peer, folder) for peer in WRITERS},
    **{f"compact_{peer}": lambda folder, peer=peer: compact_peer(peer, folder) for peer in COMPACTORS},
}  # fmt: skip


def made(case: str, *arguments: object) -> None:
    subprocess.run([sys.executable, "-m", MODULE, case, *map(str, arguments)], cwd=ROOT, check=True)


def told(title: str, cases: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = table(title, MODULE, cases, [str(folder)], ROUNDS)
    with capsys.disabled():
        print(lines)


def peers(act: str, known: dict[str, Any]) -> list[str]:
    return [f"{act}_{peer}" for peer in there(known)]


@pytest.mark.bench
def test_seal__a_day_durably(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made("make_seal", tmp_path)
    told(f"{SEALED} partitions", ["seal_navdeck", *peers("seal", WRITERS)], tmp_path, capsys)


@pytest.mark.bench
def test_bucket__of_all_assets_durably(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made("make_bucket", tmp_path)
    ours = ["bucket_navdeck", "bucket_navdeck_new"]
    told(f"a 5m bucket of {ASSETS} assets", [*ours, *peers("bucket", WRITERS)], tmp_path, capsys)


@pytest.mark.bench
def test_compact__small_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made("make_pieces", tmp_path)
    title = f"{PARTITIONS * PIECES} files into {PARTITIONS}"
    told(title, ["compact_navdeck", *peers("compact", COMPACTORS)], tmp_path, capsys)


@pytest.mark.bench
def test_commit__flat_in_the_catalogue(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for size in CATALOGUES:
        made("make_catalogue", tmp_path, size)
    told(f"{ASSETS} files for {ASSETS}", [f"commit_{size}" for size in CATALOGUES], tmp_path, capsys)


@pytest.mark.bench
def test_bytes__against_zstd_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    sizes = {"defaults": 0, "sealed": 0, "cold": 0}
    for part in snapshots(ASSETS, 0).drop("dt").partition_by("asset_id"):
        out = io.BytesIO()
        pq.write_table(part.to_arrow(), out, compression="zstd", compression_level=3)
        sizes["defaults"] += out.tell()
        sizes["sealed"] += len(encode(part))
        sizes["cold"] += len(encode(part, COLD_ZSTD_LEVEL))
    with capsys.disabled():
        for what, size in sizes.items():
            print(f"{what:10} {size / 1e6:7.2f} MB  {size / sizes['defaults']:.2f} x defaults")


if __name__ == "__main__":
    answer(CASES)
