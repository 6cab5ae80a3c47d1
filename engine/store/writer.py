"""The turn to write state.db, and the writing of what is not an input: schema, settings, the catalogue.

One at a time: who has the turn commits and checkpoints, nobody else does; readers never write (see
reader.py). Inputs are written by commit.py in a worker, to which the turn is lent. A transaction is
`BEGIN IMMEDIATE … COMMIT` with synchronous=FULL: what was acknowledged survives a power cut.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy.dialects.sqlite.aiosqlite  # noqa: F401  else it is imported on the event loop
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import StaticPool

from engine.store.migrations import migrate
from engine.store.pragmas import PRAGMAS
from engine.store.troubles import store_error

DISK_FAULTS = ("SQLITE_FULL", "SQLITE_IOERR")


class Writer:
    """Owns the writing connection. Use as `async with writer.transaction() as (connection, now): …`."""

    def __init__(self, engine: AsyncEngine, clock: Callable[[], int]) -> None:
        self._engine = engine
        self._clock = clock
        self._turn = asyncio.Lock()

    @classmethod
    async def open(cls, path: Path, clock: Callable[[], int]) -> "Writer":
        """Opens or creates the file at `path` and brings its schema up to date."""
        engine = create_async_engine(
            f"sqlite+aiosqlite:///{path}", poolclass=StaticPool, connect_args={"isolation_level": None}
        )
        event.listen(engine.sync_engine, "connect", _configure)
        event.listen(engine.sync_engine, "begin", _begin)
        try:
            with _writable():
                async with engine.begin() as connection:
                    await connection.run_sync(migrate)
        except BaseException:
            await engine.dispose()
            raise
        return cls(engine, clock)

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[None]:
        """The turn, for a worker that writes inputs meanwhile."""
        async with self._turn:
            yield

    async def beat(self) -> None:
        """Returns once the connection has answered; at once while somebody else has the turn."""
        if not self._turn.locked():
            async with self._turn, self._engine.connect() as connection:
                await connection.exec_driver_sql("SELECT 1")

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[tuple[AsyncConnection, int]]:
        """One transaction at a time; gives the connection and its commit instant, which only ever grows."""
        async with self._turn:
            with _writable():
                async with self._engine.begin() as connection:
                    yield connection, await self._commit_instant(connection)

    @staticmethod
    async def to_its_end(work: Coroutine[Any, Any, None]) -> None:
        """Does what writes to its end, even if whoever asked for it is cancelled meanwhile.

        A connection that is left in the middle of a statement never answers again, not even to be closed.
        """
        task = asyncio.ensure_future(work)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait([task])
            raise

    async def _commit_instant(self, connection: AsyncConnection) -> int:
        last = (
            await connection.exec_driver_sql("SELECT value FROM meta WHERE key = 'committed_at'")
        ).scalar_one_or_none()
        now = max(self._clock(), int(last or 0) + 1)
        await connection.exec_driver_sql(
            "INSERT INTO meta VALUES ('committed_at', ?)"
            " ON CONFLICT(key) DO UPDATE SET value = excluded.value",
            (str(now),),
        )
        return now

    async def close(self) -> None:
        await self._engine.dispose()


@contextmanager
def _writable() -> Iterator[None]:
    """What the disk will not as StoreError or StoreFull; other faults of the database stay as they are."""
    try:
        yield
    except DBAPIError as error:
        fault = error.orig
        name = getattr(fault, "sqlite_errorname", "")
        if isinstance(fault, sqlite3.Error) and name.startswith(DISK_FAULTS):
            raise store_error(fault, "written") from error
        raise


def _configure(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in ("PRAGMA journal_mode=WAL", *PRAGMAS):
        cursor.execute(pragma)
    cursor.close()


def _begin(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
