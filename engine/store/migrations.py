"""Numbered steps from an empty file to today's state.db; each is committed together with its record."""

from collections.abc import Callable

from sqlalchemy import Connection

from engine.errors import StoreTooNew
from engine.store.models import metadata


def _001_first_tables(connection: Connection) -> None:
    metadata.create_all(connection)


MIGRATIONS: tuple[Callable[[Connection], None], ...] = (_001_first_tables,)


def applied(connection: Connection) -> int:
    """How many steps this file has behind it (kept in SQLite's user_version)."""
    return int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())


def migrate(connection: Connection) -> None:
    """Brings the file up to date inside the caller's transaction. StoreTooNew if a later navdeck wrote it."""
    done = applied(connection)
    refuse_newer(done)
    for number, step in enumerate(MIGRATIONS[done:], start=done + 1):
        step(connection)
        connection.exec_driver_sql(f"PRAGMA user_version = {number}")


def refuse_newer(done: int) -> None:
    """StoreTooNew if a file has steps behind it that this navdeck does not know."""
    if done > len(MIGRATIONS):
        raise StoreTooNew(
            f"state.db is at schema {done}; this navdeck knows {len(MIGRATIONS)}.",
            "Use the navdeck version that wrote it, or a later one.",
        )
