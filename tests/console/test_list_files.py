"""A list as a file: safe CSV, whole JSON, typed Parquet; never over a file, never half of one."""

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from console.commands import list_files
from console.commands.list_files import ListFile, target
from engine.api import UsageError

Document = dict[str, Any]
ROWS: list[Document] = [
    {"id": "a-1", "amount": "0.000000000000000001", "count": 3, "ok": True, "flags": ["A", "B"],
     "blocking": None, "near": [], "ratio": 1},
    {"id": "a-2", "amount": "-12345678901234567890.5", "count": None, "ok": False, "flags": [],
     "blocking": {"first": "2026-01-01", "closes": 12}, "near": [{"id": "b", "far": 1.5}], "ratio": 0.25,
     "late": "=cmd|' /C calc'!A0"},
]  # fmt: skip


def written(path: Path, *pages: list[Document]) -> bytes:
    with ListFile(path) as made:
        for rows in pages:
            made.take(rows)
        assert made.write(lambda _done: True)
    return path.read_bytes()


def test_csv__exact_texts__nested_parts_as_columns__formulas_told_as_text(tmp_path: Path) -> None:
    lines = list(csv.DictReader(written(tmp_path / "a.csv", ROWS[:1], ROWS[1:]).decode().splitlines()))
    assert list(lines[0]) == [
        "id", "amount", "count", "ok", "flags", "near", "ratio", "blocking.first", "blocking.closes", "late",
    ]  # fmt: skip
    assert [line["amount"] for line in lines] == ["0.000000000000000001", "-12345678901234567890.5"]
    assert [line["flags"] for line in lines] == ["A B", ""]
    assert [line["ok"] for line in lines] == ["true", "false"]
    assert [line["blocking.closes"] for line in lines] == ["", "12"]
    assert [line["late"] for line in lines] == ["", "'=cmd|' /C calc'!A0"]
    assert json.loads(lines[1]["near"]) == ROWS[1]["near"]


def test_csv__what_cannot_be_printed__is_told(tmp_path: Path) -> None:
    data = written(tmp_path / "a.csv", [{"name": "a\x1b]52;c;x\x07\u202e", "notes": "-5", "n": -5}])
    assert data == b"name,notes,n\na\\x1b]52;c;x\\x07\\u{202e},-5,-5\n"


def test_json__rows_as_they_were_told(tmp_path: Path) -> None:
    assert json.loads(written(tmp_path / "a.json", ROWS[:1], ROWS[1:])) == ROWS
    assert json.loads(written(tmp_path / "b.json")) == []


def test_parquet__amounts_as_text__counts_and_flags_typed(tmp_path: Path) -> None:
    written(tmp_path / "a.parquet", ROWS)
    found = pq.read_table(tmp_path / "a.parquet")
    types = {field.name: str(field.type) for field in found.schema}
    assert types["amount"] == types["late"] == types["near"] == "string"
    assert (types["count"], types["ok"], types["blocking.closes"]) == ("int64", "bool", "int64")
    assert found["amount"].to_pylist() == [row["amount"] for row in ROWS]
    assert found["count"].to_pylist() == [3, None]


def test_number_beyond_64_bits__and_mixed_kinds__are_text(tmp_path: Path) -> None:
    written(tmp_path / "a.parquet", [{"n": 2**63, "m": 1}, {"n": 1, "m": "x"}])
    found = pq.read_table(tmp_path / "a.parquet")
    assert found.to_pydict() == {"n": ["9223372036854775808", "1"], "m": ["1", "x"]}


@pytest.mark.parametrize("ending", list_files.ENDINGS)
def test_many_batches__all_rows_in_their_order(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_files, "BATCH_ROWS", 7)
    rows = [{"n": n} for n in range(50)]
    data = written(tmp_path / f"a{ending}", rows[:20], rows[20:])
    if ending == ".csv":
        assert data.decode().split() == ["n", *map(str, range(50))]
    else:
        path = tmp_path / f"a{ending}"
        assert (json.loads(data) if ending == ".json" else pq.read_table(path).to_pylist()) == rows


def test_ended_between__nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_files, "BATCH_ROWS", 7)
    with ListFile(tmp_path / "a.csv") as made:
        made.take([{"n": n} for n in range(50)])
        assert not made.write(lambda done: done < 20)
    assert list(tmp_path.iterdir()) == []


def test_name_taken_meanwhile__the_other_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"

    def taken(_done: int) -> bool:
        path.write_text("mine")
        return True

    with ListFile(path) as made:
        made.take([{"n": 1}])
        with pytest.raises(UsageError, match="is there already"):
            made.write(taken)
    assert [(found.name, found.read_text()) for found in tmp_path.iterdir()] == [("a.csv", "mine")]


@pytest.mark.parametrize(
    ("name", "wrong"),
    [(" ", "no name"), ("list.xlsx", "ending"), ("list", "ending"), ("there.csv", "is there already"),
     ("none/list.csv", "no folder")],
)  # fmt: skip
def test_target__what_cannot_be__says_why_and_what_else(tmp_path: Path, name: str, wrong: str) -> None:
    (tmp_path / "there.csv").write_text("mine")
    with pytest.raises(UsageError, match=wrong) as told:
        target(str(tmp_path / name) if name.strip() else name)
    assert told.value.hint


def test_target__home_and_capitals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert target(" ~/List.CSV ") == tmp_path / "List.CSV"
    assert written(tmp_path / "List.CSV", [{"n": 1}]) == b"n\n1\n"
