"""Sixteen kinds of damage in generated files: every damaged row is found and no other."""

import importlib.util
import random
from pathlib import Path
from types import ModuleType

import pytest

from engine.ingestion.csv_processor import Parsed, parse_csv
from engine.ingestion.keys import NOTHING_KNOWN, judge, prepare

from .helpers import NOW

GENERATOR = Path(__file__).resolve().parents[2] / ".." / "shared" / "bench" / "perf" / "gen_tx.py"


@pytest.fixture(scope="module")
def gen_tx() -> ModuleType:
    if not GENERATOR.exists():
        pytest.skip("the generator of shared test data is not here")
    spec = importlib.util.spec_from_file_location("gen_tx", GENERATOR)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_damage__is_found_whole_and_nothing_else(gen_tx: ModuleType) -> None:
    chance = random.Random(7)
    lines, damaged, before = [",".join(gen_tx.COLS)], set(), ""
    for record, row in enumerate(gen_tx.stream(4000, random.Random(1), 50, 200, 30, False), 1):
        given = row[0]
        if before and record % 10 == 0:
            gen_tx.damage(row, gen_tx.KINDS[record // 10 % len(gen_tx.KINDS)], chance, before)
            damaged.add(record)
        lines.append(",".join(row))
        before = given
    result = parse_csv("\n".join(lines).encode(), NOW)
    assert isinstance(result, Parsed)
    judged = judge(prepare(result.frame), NOTHING_KNOWN)
    found = {reject.record for reject in [*result.rejects, *judged.conflicts]}
    assert found == damaged - harmless(lines, result)
    assert judged.duplicates == []


def harmless(lines: list[str], result: Parsed) -> set[int]:
    """A FEE may be negative: a minus before its quantity is no damage."""
    fees = result.frame.filter(action=4)["record"]
    return {record for record in fees if lines[record].split(",")[4].startswith("-")}
