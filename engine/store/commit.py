"""One transaction of inputs: what is put is inserted, journalled and fsynced, then committed.

The only way in for files, ledger rows, observations and decisions. A *put* is whole rows of one table; a
row that is there under its primary key is replaced. The journal gets every put before COMMIT, so what was
acknowledged can be made again from it: `transaction` first redoes what the journal has and state.db lacks.
Inserting runs beside the caller, who goes on making frames. Never called while another writer has its turn.
"""

import io
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from functools import partial
from itertools import batched
from pathlib import Path
from typing import Any

import polars as pl

from engine.store.journal import START, Entry, Journal, Mark
from engine.store.pragmas import PRAGMAS
from engine.store.reader import Reader
from engine.store.troubles import writable

BATCH_ROWS = 4000  # rows made ready at a time
STATEMENT_ROWS = 50  # each statement opens every index anew, and lets other threads in
_INSERTER = ThreadPoolExecutor(1, thread_name_prefix="insert")  # one for all: a thread takes long to start
Told = Callable[[str, int], None]
Around = Callable[[], AbstractContextManager[object]]


class Work:
    """What a transaction's owner may do: read, and put."""

    def __init__(self, connection: sqlite3.Connection, now: int, told: Told, batch_rows: int) -> None:
        self.now = now
        self._connection = connection
        self._told = told
        self._batch_rows = batch_rows
        self._reader = Reader.over(connection)
        self._inserting: list[Future[None]] = []
        self.sections: list[tuple[str, int, bytes]] = []

    @property
    def reader(self) -> Reader:
        """Sees the store and all that was put."""
        self.wait()
        return self._reader

    def put(self, table: str, frame: pl.DataFrame) -> None:
        """Whole rows; columns that the frame lacks are NULL. It may return before they are inserted."""
        if frame.is_empty():
            return
        # A frame of its own: two threads in one frame wait for each other, one for it, one for the GIL.
        parts = frame.clone().iter_slices(self._batch_rows)
        insert = partial(_insert, self._connection, table, frame.columns, parts, self._told)
        self._inserting.append(_INSERTER.submit(insert))
        packed = io.BytesIO()
        frame.write_ipc_stream(packed, compression="zstd")
        self.sections.append((table, frame.height, packed.getvalue()))

    def cancel(self) -> None:
        """Nothing of this transaction will be kept: a dry run."""
        self.wait()
        self.sections.clear()

    def wait(self) -> None:
        """Until everything that was put is inserted; raises what went wrong there."""
        for future in self._inserting:
            future.result()
        self._inserting.clear()

    def close(self) -> None:
        """Once nothing of it is being inserted any more; what had not begun never is."""
        for future in self._inserting:
            future.cancel()
        wait(self._inserting)


@contextmanager
def transaction(
    state: Path, journal: Path, clock_us: int, what: str, told: Told = lambda table, rows: None,
    batch_rows: int = BATCH_ROWS, around: Around = nullcontext,
) -> Iterator[Work]:  # fmt: skip
    """BEGIN IMMEDIATE … COMMIT. Leaving with an error, or with nothing put, leaves nothing behind.

    `told(table, rows)` hears of inserted rows, from another thread; `around` is held while all that was put
    is journalled and committed. StoreFull if the disk is full;
    JournalBroken if journal and store do not belong together.
    """
    with writable(), closing(_connected(state)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        book, ahead = Journal.open(journal, _mark(connection))
        with closing(book):
            _redo(connection, ahead)
            now = max(clock_us, int(_meta(connection, "committed_at") or 0) + 1)
            with closing(Work(connection, now, told, batch_rows)) as work:
                try:
                    yield work
                except BaseException:
                    work.close()
                    connection.execute("ROLLBACK")
                    raise
                with around():
                    _commit(connection, book, work, what)


def recover(state: Path, journal: Path, clock_us: int) -> None:
    """Redoes what the journal has and the store lacks, after a crash."""
    with transaction(state, journal, clock_us, "recover"):
        pass


def decoded(entry: Entry) -> Iterator[tuple[str, pl.DataFrame]]:
    """The puts of a journal entry, in their order."""
    at = 0
    for table, _, size in entry.about["sections"]:
        yield table, pl.read_ipc_stream(io.BytesIO(entry.payload[at : at + size]))
        at += size


def _commit(connection: sqlite3.Connection, book: Journal, work: Work, what: str) -> None:
    if not work.sections:
        connection.execute("ROLLBACK")
        return
    about = {"what": what, "sections": [[table, rows, len(data)] for table, rows, data in work.sections]}
    mark: Mark | None = None
    try:
        mark = book.append(work.now, about, b"".join(data for _, _, data in work.sections))
        work.wait()
        _finish(connection, work.now, mark)
    except Exception:
        work.close()
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if mark is not None:
            book.abort(mark.seq, work.now)
        raise


def _finish(connection: sqlite3.Connection, now: int, mark: Mark) -> None:
    for key, value in (("committed_at", str(now)), ("journal", mark.to_json())):
        connection.execute(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT(key) DO UPDATE SET value = excluded.value",
            (key, value),
        )
    connection.execute("COMMIT")


def _redo(connection: sqlite3.Connection, ahead: list[Entry]) -> None:
    """Commits each entry again as it was, and leaves a transaction open as it was found."""
    for entry in ahead:
        for table, frame in decoded(entry):
            _insert(connection, table, frame.columns, frame.iter_slices(BATCH_ROWS), lambda *_: None)
        _finish(connection, entry.at, entry.mark)
        connection.execute("BEGIN IMMEDIATE")


def _insert(
    connection: sqlite3.Connection, table: str, columns: list[str], parts: Iterator[pl.DataFrame], told: Told
) -> None:
    for part in parts:
        width, full = part.width, part.height - part.height % STATEMENT_ROWS
        values: list[Any] = [None] * (part.height * width)  # row after row
        for at, column in enumerate(part):
            values[at::width] = column.to_list()
        if full:
            several = _upsert(connection, table, columns, STATEMENT_ROWS)
            connection.executemany(several, batched(values[: full * width], STATEMENT_ROWS * width))
        if part.height > full:
            rest = _upsert(connection, table, columns, part.height - full)
            connection.execute(rest, values[full * width :])
        told(table, part.height)


def _upsert(connection: sqlite3.Connection, table: str, columns: list[str], rows: int) -> str:
    """A statement of so many rows. Names come from the schema, never from data."""
    known = dict(connection.execute("SELECT name, pk FROM pragma_table_info(?) ORDER BY pk", (table,)))
    key = [name for name, place in known.items() if place]
    assert set(columns) <= known.keys(), (table, columns)
    rest = ", ".join(f"{name} = excluded.{name}" for name in columns if name not in key)
    marks = ", ".join([f"({', '.join('?' * len(columns))})"] * rows)
    return (
        f"INSERT INTO {table}({', '.join(columns)}) VALUES {marks}"
        f" ON CONFLICT({', '.join(key)}) DO UPDATE SET {rest}"
    )


def _connected(state: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{state.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, check_same_thread=False
    )
    try:
        for pragma in PRAGMAS:
            connection.execute(pragma)
    except BaseException:
        connection.close()
        raise
    return connection


def _meta(connection: sqlite3.Connection, key: str) -> str | None:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def _mark(connection: sqlite3.Connection) -> Mark:
    text = _meta(connection, "journal")
    return START if text is None else Mark.from_json(text)
