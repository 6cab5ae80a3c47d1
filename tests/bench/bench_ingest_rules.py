"""Validation alone of 100,000 rows: `parse_csv` of both files against frictionless with a schema.

The schema says what a table schema can: types as patterns, the actions, what is required, unique ids. It
knows no rule across columns. `found` is the share of damaged rows that are named, `false` the sound rows
that are; a damaged row differs from that of the same files made without damage.
"""

import importlib.util
import os
import time
from pathlib import Path
from typing import Any

import pytest

from engine.domain.transactions import ACTIONS, COLUMNS
from engine.ingestion.csv_processor import Parsed, parse_csv
from engine.runtime.clock import system_clock
from tests.bench.homes import peak_mb
from tests.bench.rounds import answer, table
from tests.bench.trades import write_trades

ROWS, PARTS, ROUNDS, SEED = 100_000, 2, 5, 1
ERRORS_MAX = 1_000_000  # frictionless stops at 1,000 unless told
HAS_FRICTIONLESS = importlib.util.find_spec("frictionless") is not None
UUID7 = "[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
INSTANT = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z"
DECIMAL = r"[0-9]{1,20}(\.[0-9]{1,18})?"
ASSET = "[A-Za-z0-9][A-Za-z0-9._:-]{0,63}"


@pytest.mark.bench
def test_rules__against_a_schema(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POLARS_MAX_THREADS", "1")  # each has one core
    files = [str(path) for path in write_trades(tmp_path / "trades", ROWS, SEED, PARTS)]
    write_trades(tmp_path / "sound", ROWS, SEED, PARTS, damaged=0)
    cases = ["ours", "frictionless"] if HAS_FRICTIONLESS else ["ours"]
    told = table(f"rules over {ROWS:,} rows", "tests.bench.bench_ingest_rules", cases, files, ROUNDS)
    with capsys.disabled():
        print(told)
        if not HAS_FRICTIONLESS:
            print("frictionless: left out, it is not installed (group `peers`)")


def ours(*files: str) -> dict[str, Any]:
    """From bytes on disk to rows and rejects; a small file first, as the worker's polars is warm."""
    now = system_clock()
    parse_csv(b"\n".join(Path(files[0]).read_bytes().split(b"\n")[:200]), now)
    started = time.perf_counter()
    parsed = [parse_csv(Path(file).read_bytes(), now) for file in files]
    seconds = time.perf_counter() - started
    named: list[set[int]] = []
    for each in parsed:
        assert isinstance(each, Parsed)
        named.append({reject.record for reject in each.rejects})
    return {"seconds": seconds, **_judged(files, named)}


def frictionless(*files: str) -> dict[str, Any]:
    """From bytes on disk to a report that has every error."""
    from frictionless import Resource, Schema  # type: ignore[import-not-found,unused-ignore]

    schema = Schema.from_descriptor({"fields": [_field(name) for name in COLUMNS]})
    os.chdir(Path(files[0]).parent)  # it takes no absolute path
    started = time.perf_counter()
    reports = [
        Resource(path=Path(file).name, schema=schema).validate(limit_errors=ERRORS_MAX) for file in files
    ]
    seconds = time.perf_counter() - started
    # Its row numbers count the header.
    named = [{row - 1 for (row,) in report.flatten(["rowNumber"]) if row} for report in reports]
    return {"seconds": seconds, **_judged(files, named)}


def _field(name: str) -> dict[str, Any]:
    patterns = {"id": UUID7, "timestamp": INSTANT, "asset_id": ASSET, "quantity": DECIMAL}
    patterns |= {"unit_price_usd": DECIMAL, "fee_asset": ASSET, "fee_amount": DECIMAL, "account": r".*\S.*"}
    needed = ("timestamp", "action", "asset_id", "quantity", "account")
    constraints: dict[str, Any] = {"required": name in needed, "maxLength": 2000 if name == "notes" else 128}
    if name in patterns:
        constraints["pattern"] = patterns[name]
    if name == "action":
        constraints["enum"] = list(ACTIONS)
    if name == "id":
        constraints["unique"] = True
    return {"name": name, "type": "string", "constraints": constraints}


def _judged(files: tuple[str, ...], named: list[set[int]]) -> dict[str, Any]:
    damaged = found = false = 0
    for file, records in zip(files, named, strict=True):
        really = _damaged(Path(file))
        damaged, found = damaged + len(really), found + len(really & records)
        false += len(records - really)
    share = round(found / damaged, 4)
    return {"peak_mb": peak_mb(), "damaged": damaged, "found": share, "false": false}


def _damaged(file: Path) -> set[int]:
    """Records that differ from the sound file's; a FEE may be given with a minus, which is no damage."""
    sound = file.with_name(file.name.replace("trades", "sound"))
    pairs = zip(file.read_text().split("\n"), sound.read_text().split("\n"), strict=True)
    return {
        record
        for record, (here, there) in enumerate(pairs)
        if here != there and not (",FEE," in there and here.replace(",-", ",", 1) == there)
    }


CASES = {"ours": ours, "frictionless": frictionless}

if __name__ == "__main__":
    answer(CASES)
