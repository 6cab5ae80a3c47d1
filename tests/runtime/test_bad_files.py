"""Files that are refused whole: each reason, where the file goes, and that nothing of it is stored."""

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runtime.deck import LONG_AGO_S, Deck, buy, to_csv

HEADER = to_csv([])
BYTES_MAX = 10_000_000
GOOD = to_csv([buy()])

CONTENTS = {
    "FILE_TOO_LARGE": GOOD.ljust(BYTES_MAX + 1, b"\n"),
    "FILE_EMPTY": b"",
    "FILE_BINARY": GOOD + b"\0",
    "FILE_ENCODING": GOOD + b"\xff\n",
    "FILE_QUOTING": GOOD + b'"never closed\n',
    "FILE_HEADER": GOOD.replace(b"asset_id", b"asset"),
    "FILE_TOO_MANY_ROWS": HEADER + b"x\n" * 100_001,
}


def link(path: Path) -> None:
    target = path.with_suffix(".target")
    target.write_bytes(GOOD)
    path.symlink_to(target)


def bound(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        here = os.getcwd()
        os.chdir(path.parent)  # a socket's path is short
        try:
            server.bind(path.name)
        finally:
            os.chdir(here)


def folder(path: Path) -> None:
    path.mkdir()
    (path / "inner.csv").write_bytes(GOOD)


ODD: dict[str, Callable[[Path], None]] = {
    "symlink": link,
    "dangling": lambda path: path.symlink_to("nowhere"),
    "fifo": os.mkfifo,
    "folder": folder,
    "socket": bound,
}


def stored(deck: Deck) -> tuple[object, ...]:
    tables = ("tx", "prices", "fx_rates", "quarantine", "names", "id_aliases")
    return tuple(deck.sql(f"SELECT count(*) FROM {table}")[0][0] for table in tables)


@pytest.mark.parametrize("dropped", [True, False], ids=["inbox", "named"])
@pytest.mark.parametrize("reason", CONTENTS)
def test_bad_file__set_aside_beside_its_reason__nothing_stored(
    deck: Deck, reason: str, dropped: bool
) -> None:
    data = CONTENTS[reason]
    path = deck.drop("bad.csv", data) if dropped else deck.file("bad.csv", data)
    entry = (deck.ingest() if dropped else deck.ingest(path))["files"][0]
    assert (entry["status"], entry["reason"], entry["rows"], entry["path"]) == (
        "rejected",
        reason,
        0,
        str(path),
    )
    kept, told = deck.rejected()
    assert (deck.home.rejected / kept).read_bytes() == data
    assert kept == f"{entry['sha256'][:12]}-bad.csv"
    assert told == kept + ".reason.json"
    record = json.loads((deck.home.rejected / told).read_text())
    assert (record["name"], record["sha256"], record["reason"]) == ("bad.csv", entry["sha256"], reason)
    assert path.exists() is not dropped
    assert stored(deck) == (0, 0, 0, 0, 0, 0)
    assert deck.archive() == {}


@pytest.mark.parametrize("dropped", [True, False], ids=["inbox", "named"])
@pytest.mark.parametrize("kind", ODD)
def test_not_a_regular_file__refused_without_being_opened(deck: Deck, kind: str, dropped: bool) -> None:
    place = deck.home.inbox if dropped else deck.file("beside.txt", b"").parent
    path = place / "odd.csv"
    ODD[kind](path)
    entry = (deck.ingest() if dropped else deck.ingest(path))["files"][0]
    assert (entry["status"], entry["reason"], entry["sha256"]) == ("rejected", "FILE_NOT_REGULAR", None)
    assert os.path.lexists(path) is not dropped
    assert any(name.endswith(".reason.json") for name in deck.rejected())
    assert os.path.lexists(deck.home.rejected / "no-content-1-odd.csv") is dropped
    assert stored(deck) == (0, 0, 0, 0, 0, 0)


def test_folders_of_one_name__each_kept(deck: Deck) -> None:
    for _ in range(2):
        folder(deck.home.inbox / "odd.csv")
        deck.ingest()
    assert sorted(path.name for path in deck.home.rejected.glob("*/inner.csv")) == ["inner.csv"] * 2
    assert os.listdir(deck.home.claimed) == []


def test_exactly_ten_million_bytes__taken(deck: Deck) -> None:
    entry = deck.ingest(deck.file("full.csv", GOOD.ljust(BYTES_MAX, b"\n")))["files"][0]
    assert (entry["status"], entry["rows"]) == ("ingested", 1)


def test_bad_parquet__refused(deck: Deck) -> None:
    entry = deck.ingest(deck.file("prices.parquet", b"PAR1 or so it says"))["files"][0]
    assert (entry["status"], entry["reason"]) == ("rejected", "FILE_HEADER")


def test_bad_file_twice__one_verdict(deck: Deck) -> None:
    for name in ("a.csv", "b.csv"):
        entry = deck.ingest(deck.file(name, CONTENTS["FILE_HEADER"]))["files"][0]
        assert entry["status"] == "rejected"
    assert deck.sql("SELECT status, name FROM files") == [("rejected", "b.csv")]
    assert deck.counts()["files_rejected"] == 1


def test_large_parquet_again_under_a_csv_name__known_by_its_bytes(
    deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = deck.file("first.csv", GOOD)
    deck.ingest(path)
    monkeypatch.setattr("engine.runtime.take.CSV_BYTES_MAX", 1)
    entry = deck.ingest(deck.file("again.csv", GOOD))["files"][0]
    assert entry["status"] == "duplicate"


def test_bad_files_among_good_ones__the_good_ones_are_taken(deck: Deck) -> None:
    deck.drop("1.csv", CONTENTS["FILE_BINARY"])
    deck.drop("2.csv", GOOD)
    link(deck.home.inbox / "3.csv")
    deck.drop("4.csv", [buy(quantity="3")])
    answer = deck.ingest()
    assert [entry["status"] for entry in answer["files"]] == ["rejected", "ingested", "rejected", "ingested"]
    assert answer["totals"]["accepted"] == 2


def test_name_that_is_no_utf_8__taken_under_a_name_that_can_be_told(deck: Deck) -> None:
    for name, data in ((b"\xff good.csv", GOOD), (b"\xfe bad.csv", b"no header\n")):
        raw = os.fsencode(deck.home.inbox) + b"/" + name
        Path(os.fsdecode(raw)).write_bytes(data)
        os.utime(raw, (LONG_AGO_S, LONG_AGO_S))
    answer = deck.ingest()
    assert [entry["status"] for entry in answer["files"]] == ["rejected", "ingested"]
    assert answer["files"][1]["path"].endswith("/\\xff good.csv")
    assert sorted(deck.sql("SELECT name FROM files")) == [("\\xfe bad.csv",), ("\\xff good.csv",)]


def test_crash_before_the_verdict_is_stored__judged_again(
    deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    deck.drop("bad.csv", CONTENTS["FILE_HEADER"])

    def fail(*_: object) -> None:
        raise OSError("the disk is gone")

    with monkeypatch.context() as patched:
        patched.setattr("engine.runtime.take._file_row", fail)
        with pytest.raises(OSError, match="the disk is gone"):
            deck.ingest()
    assert deck.counts()["files_rejected"] == 0
    assert deck.ingest()["files"][0]["reason"] == "FILE_HEADER"
    assert deck.counts()["files_rejected"] == 1
    assert len(deck.rejected()) == 2
    assert os.listdir(deck.home.claimed) == []
