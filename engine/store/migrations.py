"""Numbered steps from an empty file to today's state.db; each is committed together with its record."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from engine.errors import StoreOutdated, StoreTooNew

if TYPE_CHECKING:
    from sqlalchemy import Connection


def _first_tables(connection: "Connection") -> None:
    """Today's tables; a file that has some of them already goes through the later steps instead."""
    from engine.store.models import metadata  # half a second to import, for new files only

    metadata.create_all(connection)


def _quarantine_desk(connection: "Connection") -> None:
    for column in ("codes TEXT", "edited TEXT", "row INTEGER"):
        connection.exec_driver_sql(f"ALTER TABLE quarantine ADD COLUMN {column}")
    connection.exec_driver_sql(
        "UPDATE quarantine SET codes = (SELECT group_concat(code, ',') FROM (SELECT DISTINCT"
        " json_extract(value, '$.code') AS code FROM json_each(quarantine.reasons) ORDER BY 1))"
    )
    connection.exec_driver_sql("CREATE INDEX quarantine_by_codes ON quarantine(status, codes)")


def _lake_upkeep(connection: "Connection") -> None:
    for column in ("generation INTEGER NOT NULL DEFAULT 0", "checked_at INTEGER", "dropped_at INTEGER"):
        connection.exec_driver_sql(f"ALTER TABLE lake_files ADD COLUMN {column}")
    connection.exec_driver_sql("ALTER TABLE valued ADD COLUMN dropped_at INTEGER")
    connection.exec_driver_sql("CREATE INDEX lake_dead ON lake_files(dead_at) WHERE dead_at IS NOT NULL")


def _open_day(connection: "Connection") -> None:
    from engine.store.models import open_snapshots

    open_snapshots.create(connection)
    connection.exec_driver_sql(
        "CREATE INDEX lake_of_asset ON lake_files(dataset, resolution, asset, dt) WHERE dead_at IS NULL"
    )


def _traces(connection: "Connection") -> None:
    for table in ("files", "decisions", "lake_files"):
        connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN trace_id TEXT")


def _alerts(connection: "Connection") -> None:
    from engine.store.models import alerts

    alerts.create(connection)


# After step n a file is as metadata says at schema n; a new file is made at the last one at once.
MIGRATIONS: tuple["Callable[[Connection], None]", ...] = (
    _first_tables,
    _quarantine_desk,
    _lake_upkeep,
    _open_day,
    _traces,
    _alerts,
)


def applied(connection: "Connection") -> int:
    """How many steps this file has behind it (kept in SQLite's user_version)."""
    return int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())


def migrate(connection: "Connection") -> None:
    """Brings the file up to date inside the caller's transaction. StoreTooNew if a later navdeck wrote it."""
    done = applied(connection)
    refuse_newer(done)
    for step in MIGRATIONS[done:] if done else MIGRATIONS[:1]:
        step(connection)
    connection.exec_driver_sql(f"PRAGMA user_version = {len(MIGRATIONS)}")


def refuse_older(done: int) -> None:
    """StoreOutdated if a file lacks steps that this navdeck counts on; who only reads takes none."""
    if done < len(MIGRATIONS):
        raise StoreOutdated(
            f"state.db is at schema {done}; this navdeck reads {len(MIGRATIONS)}.",
            "`navdeck ingest` brings it up to date, with an empty inbox too; nothing else changes.",
        )


def refuse_newer(done: int) -> None:
    """StoreTooNew if a file has steps behind it that this navdeck does not know."""
    if done > len(MIGRATIONS):
        raise StoreTooNew(
            f"state.db is at schema {done}; this navdeck knows {len(MIGRATIONS)}.",
            "Use the navdeck version that wrote it, or a later one.",
        )
