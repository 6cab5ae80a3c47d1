"""Inputs are journalled before they are committed, and what the journal has is never lost or doubled."""

import asyncio
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest

from engine.errors import StoreError, StoreFull
from engine.store import commit, journal, journal_audit
from engine.store.commit import recover, transaction
from engine.store.reader import Reader
from engine.store.writer import Writer

AT = 1_700_000_000_000_000
Place = tuple[Path, Path]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An empty state.db and the folder of its journal."""

    async def make() -> None:
        await (await Writer.open(tmp_path / "state.db", lambda: AT)).close()

    asyncio.run(make())
    return tmp_path / "state.db", tmp_path / "journal"


def names(**numbers: int) -> pl.DataFrame:
    return pl.DataFrame({"n": list(numbers.values()), "name": list(numbers)})


def stored(place: Place) -> dict[str, int]:
    with Reader(place[0]) as reader:
        return reader.names()


def put(place: Place, frame: pl.DataFrame, at: int = AT) -> int:
    with transaction(*place, at, "test") as work:
        work.put("names", frame)
        return work.now


def cut_before_commit(place: Place, frame: pl.DataFrame, patch: pytest.MonkeyPatch) -> None:
    """The power goes after the journal has the record and before state.db has it."""

    class PowerCut(BaseException):
        pass

    def cut(*_: object) -> None:
        raise PowerCut

    with patch.context() as inner:
        inner.setattr(commit, "_finish", cut)
        with pytest.raises(PowerCut):
            put(place, frame)


def test_what_was_put_is_in_the_store_and_in_the_journal(place: Place) -> None:
    now = put(place, names(BTC=1, ETH=2))
    (entry,) = journal.read(place[1])
    assert stored(place) == {"BTC": 1, "ETH": 2}
    assert entry.at == now == AT
    ((table, frame),) = commit.decoded(entry)
    assert (table, frame.rows()) == ("names", [(1, "BTC"), (2, "ETH")])


def test_put_again__replaces_the_whole_row(place: Place) -> None:
    put(place, names(BTC=1))
    put(place, names(XBT=1))
    assert stored(place) == {"XBT": 1}


def test_put_under_anothers_unique_name__refused_and_nothing_kept(place: Place) -> None:
    put(place, names(BTC=1))
    with pytest.raises(StoreError, match="UNIQUE"):
        put(place, names(ETH=2, BTC=3))
    assert stored(place) == {"BTC": 1}
    assert [entry.kind for entry in journal.read(place[1])] == ["commit", "commit", "abort"]
    recover(*place, AT)
    assert stored(place) == {"BTC": 1}
    put(place, names(ETH=2))
    assert stored(place) == {"BTC": 1, "ETH": 2}


def test_commit_instants_grow_even_if_the_clock_goes_back(place: Place) -> None:
    assert put(place, names(A=1)) == AT
    assert put(place, names(B=2), at=AT - 10**9) == AT + 1
    assert put(place, names(C=3), at=AT) == AT + 2


def test_cut_between_journal_and_commit__redone_once(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(place, names(BTC=1))
    cut_before_commit(place, names(ETH=2), monkeypatch)
    assert stored(place) == {"BTC": 1}
    recover(*place, AT)
    assert stored(place) == {"BTC": 1, "ETH": 2}
    with Reader(place[0]) as reader:
        assert reader.meta()["committed_at"] == str(AT + 1)
    recover(*place, AT)
    assert len(list(journal.read(place[1]))) == 2


def test_cut__the_next_transaction_redoes_before_it_reads(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_before_commit(place, names(BTC=1), monkeypatch)
    with transaction(*place, AT, "test") as work:
        assert work.reader.names() == {"BTC": 1}
        assert work.now == AT + 1
        work.put("names", names(ETH=2))
    assert stored(place) == {"BTC": 1, "ETH": 2}


def test_an_error_of_the_owner__nothing_kept_nothing_journalled(place: Place) -> None:
    def fail() -> None:
        with transaction(*place, AT, "test") as work:
            work.put("names", names(BTC=1))
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert stored(place) == {}
    assert list(journal.read(place[1])) == []


def test_cancelled__read_back_but_not_kept(place: Place) -> None:
    with transaction(*place, AT, "test") as work:
        work.put("names", names(BTC=1))
        assert work.reader.names() == {"BTC": 1}
        work.cancel()
    assert stored(place) == {}
    assert list(journal.read(place[1])) == []


def test_journal_cannot_be_written__nothing_committed_and_the_hint_says_space(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", full)
        with pytest.raises(StoreFull) as raised:
            put(place, names(BTC=1))
    assert "space" in raised.value.hint
    put(place, names(ETH=2))
    assert "ETH" in stored(place)
    assert journal_audit.verify(place[1]).problems == []


def test_state_db_full__aborted_and_goes_on_when_there_is_room(place: Place) -> None:
    put(place, names(BTC=1))
    with closing(sqlite3.connect(place[0])) as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
    big = pl.DataFrame({"n": range(2, 2000), "name": [f"{n:0500d}" for n in range(2, 2000)]})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(commit, "PRAGMAS", (*commit.PRAGMAS, f"PRAGMA max_page_count={pages + 4}"))
        with pytest.raises(StoreFull):
            put(place, big)
    assert stored(place) == {"BTC": 1}
    put(place, big)
    assert len(stored(place)) == 1999


def test_an_older_file_is_brought_up_to_date(tmp_path: Path) -> None:
    """Quarantine rows of a store made before the desk get their codes, lake files their upkeep;
    what was stored before there were traces has none.
    """
    path = tmp_path / "state.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;"
            "CREATE TABLE quarantine (file INTEGER NOT NULL, record INTEGER NOT NULL, line INTEGER NOT NULL,"
            " status TEXT NOT NULL, fields TEXT NOT NULL, reasons TEXT NOT NULL, PRIMARY KEY (file, record))"
            " STRICT, WITHOUT ROWID;"
            "CREATE TABLE lake_files (path TEXT PRIMARY KEY, dataset TEXT, resolution TEXT, asset TEXT,"
            " dt TEXT, dead_at INTEGER) STRICT;"
            "CREATE TABLE valued (resolution TEXT NOT NULL, dt TEXT NOT NULL, PRIMARY KEY (resolution, dt))"
            " STRICT, WITHOUT ROWID;"
            "INSERT INTO lake_files(path) VALUES ('a.parquet');"
            "CREATE TABLE files (file INTEGER PRIMARY KEY) STRICT;"
            "CREATE TABLE decisions (decision INTEGER PRIMARY KEY) STRICT;"
            "INSERT INTO files VALUES (1); INSERT INTO decisions VALUES (1);"
            """INSERT INTO quarantine VALUES (1, 2, 3, 'open', '[]', '[{"code":"PRICE_MISSING"},"""
            """{"code":"ACCOUNT_MISSING"},{"code":"PRICE_MISSING"}]');"""
            "PRAGMA user_version = 1;"
        )

    async def migrate() -> None:
        await (await Writer.open(path, lambda: AT)).close()

    asyncio.run(migrate())
    with Reader(path) as reader:
        assert reader.rows("SELECT codes, edited, row FROM quarantine") == [
            ("ACCOUNT_MISSING,PRICE_MISSING", None, None)
        ]
        assert reader.rows("SELECT generation, checked_at, dropped_at FROM lake_files") == [(0, None, None)]
        for table in ("files", "decisions", "lake_files"):
            assert reader.rows(f"SELECT trace_id FROM {table}") == [(None,)]
