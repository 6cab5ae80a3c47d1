"""The one writer and its readers: turns, instants, what a reader sees, and what is left at the end."""

import asyncio
import os
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError

from engine.errors import HomeMissing, StoreError, StoreOutdated, StoreTooNew
from engine.store import migrations
from engine.store.migrations import MIGRATIONS
from engine.store.models import metadata
from engine.store.reader import Reader
from engine.store.writer import Writer

NAME = "INSERT INTO names(n, name) VALUES (?, ?)"


def writing(
    state: Path, act: Callable[[Writer], Awaitable[None]], clock: Callable[[], int] = lambda: 1
) -> None:
    """Runs `act` with the writer of this file."""

    async def run() -> None:
        writer = await Writer.open(state, clock)
        try:
            await act(writer)
        finally:
            await writer.close()

    asyncio.run(run())


async def nothing(_: Writer) -> None:
    """Only opens and closes."""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    path = tmp_path / "state.db"
    writing(path, nothing)
    return path


@contextmanager
def plain(state: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(state, isolation_level=None)) as connection:
        yield connection


def test_writer__many_at_once__one_transaction_at_a_time(state: Path) -> None:
    inside: list[int] = []
    order: list[int] = []

    async def one(writer: Writer, number: int) -> None:
        async with writer.transaction() as (connection, _):
            assert inside == []
            inside.append(number)
            await connection.exec_driver_sql(NAME, (number, f"name {number}"))
            await asyncio.sleep(0)
            inside.remove(number)
            order.append(number)

    async def all_of_them(writer: Writer) -> None:
        await asyncio.gather(*(one(writer, number) for number in range(20)))

    writing(state, all_of_them)
    assert sorted(order) == list(range(20))
    with Reader(state) as reader:
        assert len(reader.names()) == 20


def test_writer__clock_goes_back__commit_instants_still_grow(state: Path) -> None:
    ticks = iter([100, 50, 50, 200, 7])
    instants: list[int] = []

    async def commit(writer: Writer) -> None:
        async with writer.transaction() as (_, now):
            instants.append(now)

    async def three(writer: Writer) -> None:
        for _ in range(3):
            await commit(writer)

    writing(state, three, lambda: next(ticks))
    for _ in range(2):  # and over restarts
        writing(state, commit, lambda: next(ticks))
    assert instants == [100, 101, 102, 200, 201]


def test_writer__act_fails__nothing_of_it_stays_and_the_next_goes_on(state: Path) -> None:
    async def fail(writer: Writer) -> None:
        async with writer.transaction() as (connection, _):
            await connection.exec_driver_sql(NAME, (1, "half"))
            raise ValueError("broken")

    async def act(writer: Writer) -> None:
        with pytest.raises(ValueError, match="broken"):
            await fail(writer)
        async with writer.transaction() as (connection, _):
            await connection.exec_driver_sql(NAME, (2, "whole"))

    writing(state, act)
    with Reader(state) as reader:
        assert reader.names() == {"whole": 2}


def test_reader__during_a_write__one_snapshot_before_and_after(state: Path) -> None:
    async def act(writer: Writer) -> None:
        with Reader(state) as early:
            assert early.names() == {}
            async with writer.transaction() as (connection, _):
                await connection.exec_driver_sql(NAME, (1, "new"))
                with Reader(state) as meanwhile:
                    assert meanwhile.names() == {}
            assert early.names() == {}
        with Reader(state) as late:
            assert late.names() == {"new": 1}

    writing(state, act)


@pytest.mark.parametrize(
    "sql", ["INSERT INTO names VALUES (1, 'x')", "DELETE FROM tx", "PRAGMA user_version = 5"]
)
def test_reader__cannot_write(state: Path, sql: str) -> None:
    with Reader(state) as reader, pytest.raises(StoreError, match="readonly"):
        reader.rows(sql)


def test_reader__no_file__home_missing_and_none_made(tmp_path: Path) -> None:
    with pytest.raises(HomeMissing):
        Reader(tmp_path / "state.db")
    assert list(tmp_path.iterdir()) == []


def open_files(folder: Path) -> list[str]:
    handles = Path("/proc/self/fd")
    if not handles.is_dir():
        pytest.skip("needs /proc to count open files")
    paths = []
    for handle in handles.iterdir():
        if handle.is_symlink():
            paths.append(os.readlink(handle))
    return [path for path in paths if path.startswith(str(folder))]


def threads_left(before: set[threading.Thread]) -> list[threading.Thread]:
    """Threads that do not end by themselves within a moment."""
    new = set(threading.enumerate()) - before
    for thread in new:
        thread.join(timeout=5)
    return [thread for thread in new if thread.is_alive()]


def test_closed__no_file_and_no_thread_left(state: Path) -> None:
    before = set(threading.enumerate())

    async def act(writer: Writer) -> None:
        async with writer.transaction() as (connection, _):
            await connection.exec_driver_sql(NAME, (1, "x"))
        with Reader(state) as reader:
            assert reader.names()
        assert open_files(state.parent)

    writing(state, act)
    assert open_files(state.parent) == []
    assert threads_left(before) == []


@pytest.mark.parametrize(
    ("pragma", "value"),
    [
        ("journal_mode", "wal"),
        ("synchronous", 2),
        ("foreign_keys", 1),
        ("busy_timeout", 5000),
        ("cell_size_check", 1),
        ("trusted_schema", 0),
        ("mmap_size", 0),
    ],
)
def test_pragmas__in_force_on_the_writing_connection(state: Path, pragma: str, value: object) -> None:
    async def act(writer: Writer) -> None:
        async with writer.transaction() as (connection, _):
            found = await connection.exec_driver_sql(f"PRAGMA {pragma}")
            assert found.scalar_one() == value

    writing(state, act)


def test_tables__all_strict(state: Path) -> None:
    with plain(state) as connection:
        found = connection.execute(
            "SELECT name, strict FROM pragma_table_list WHERE name NOT LIKE 'sqlite_%'"
        )
        assert dict(found.fetchall()) == dict.fromkeys(metadata.tables, 1)


def test_tables__a_text_where_a_number_belongs__refused(state: Path) -> None:
    with plain(state) as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute(NAME, ("one", "x"))


def test_files__counts_that_do_not_add_up__refused(state: Path) -> None:
    sql = (
        "INSERT INTO files(sha256, name, status, bytes, rows, accepted, duplicates, quarantined,"
        " fees_created, committed_at) VALUES ('x', 'x', 'ingested', 1, 3, 1, 1, 0, 0, 1)"
    )

    async def act(writer: Writer) -> None:
        with pytest.raises(IntegrityError, match="nothing_lost"):
            async with writer.transaction() as (connection, _):
                await connection.exec_driver_sql(sql)

    writing(state, act)


def version(state: Path) -> int:
    with plain(state) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def test_migrations__new_file__all_steps_once(state: Path) -> None:
    assert version(state) == len(MIGRATIONS)
    writing(state, nothing)
    assert version(state) == len(MIGRATIONS)


def test_migrations__later_navdeck_wrote_it__refused_by_writer_and_reader_unchanged(state: Path) -> None:
    with plain(state) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = set(threading.enumerate())
    with pytest.raises(StoreTooNew, match="schema 99"):
        writing(state, nothing)
    with pytest.raises(StoreTooNew, match="schema 99"):
        Reader(state)
    assert version(state) == 99
    assert threads_left(before) == []
    assert open_files(state.parent) == []


def test_migrations__earlier_navdeck_wrote_it__reader_says_what_to_do__meta_is_still_read(
    state: Path,
) -> None:
    with plain(state) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) - 1}")
    with pytest.raises(StoreOutdated, match=f"schema {len(MIGRATIONS) - 1}") as refused:
        Reader(state)
    assert "navdeck ingest" in str(refused.value.hint)
    with Reader(state, older=True) as reader:
        assert reader.meta() == {}  # readable; nothing was written here


def test_migrations__step_that_fails__leaves_the_file_as_it_was(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(connection: object) -> None:
        connection.exec_driver_sql("CREATE TABLE half(x)")  # type: ignore[attr-defined]
        raise RuntimeError("no second half")

    monkeypatch.setattr(migrations, "MIGRATIONS", (*MIGRATIONS, broken))
    with pytest.raises(RuntimeError, match="no second half"):
        writing(state, nothing)
    with plain(state) as connection:
        assert connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'half'").fetchall() == []
    assert version(state) == len(MIGRATIONS)


def test_state_that_is_no_database__told_as_such(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(b"this is no database, whatever its name says" * 100)
    with pytest.raises(StoreError, match="cannot be read"):
        Reader(path)
    assert open_files(tmp_path) == []


def test_cancelled_in_the_middle_of_a_transaction__it_is_committed_and_the_writer_closes(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        writer = await Writer.open(tmp_path / "state.db", lambda: 1)
        begun = asyncio.Event()

        async def write() -> None:
            async with writer.transaction() as (connection, _):
                begun.set()
                await connection.exec_driver_sql("INSERT INTO meta VALUES ('a', 'b')")

        task = asyncio.create_task(writer.to_its_end(write()))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(30):
            await writer.close()

    asyncio.run(scenario())
    with Reader(tmp_path / "state.db") as reader:
        assert reader.meta()["a"] == "b"
