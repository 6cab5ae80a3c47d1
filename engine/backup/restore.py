"""Carries a restore out, by its plan and nothing else; and puts a restored home in the place of the old one.

Everything is written into a new folder and checked there. Until it is done the folder holds `restore.json`
and no state.db, so that nobody takes it for a home; the same plan goes on where it was interrupted. It
never writes over a home that is in use, nor over anything else.
"""

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from engine.backup.journal_view import sums_text
from engine.backup.layout import CONFIG, JOURNAL, STATE, SUMS, Ports, is_plain, sha256_of
from engine.backup.objects import copy_to, remove
from engine.backup.plan import MARKER, TEMPORARY, Plan
from engine.errors import BackupDamaged, RestoreRefused
from engine.store import journal, journal_audit
from engine.store.commit import recover
from engine.store.files import FILE_MODE, FOLDER_MODE, HomeLock, fsync_path, make_folder, publish
from engine.store.journal_format import OPEN
from engine.store.migrations import MIGRATIONS, migrate
from engine.store.troubles import writable

_LIVE = "SELECT path, resolution, dt FROM lake_files WHERE dead_at IS NULL"
FOLDERS = ("inbox", "archive", "rejected", JOURNAL, "lake", "backups", "run", "logs")


def restore(plan: Plan, ports: Ports) -> dict[str, Any]:
    """Makes the home of a plan. RestoreRefused where it says so, BackupDamaged where bytes differ."""
    if plan.refusals:
        hint = "Nothing was written. `--dry-run` shows the whole plan."
        raise RestoreRefused("\n".join(plan.refusals), hint)
    started = ports.steady()
    with writable():
        _begin(plan)
        ports.between("copy files")
        for copy in plan.copies:
            target = plan.to / (TEMPORARY if copy.path == STATE else copy.path)
            if not _is_done(target, copy.bytes, copy.sha256, redo=copy.path == STATE):
                make_folder(target.parent)
                copy_to(copy.source, target, copy.sha256)
        _bring_up(plan)
        ports.between("lay the journal")
        _lay_journal(plan)
        ports.between("redo commits")
        recover(plan.to / TEMPORARY, plan.to / JOURNAL, ports.clock())
        _leave_touched(plan)
        ports.between("check")
        _check(plan)
        digest = ports.digest(plan.to / TEMPORARY, plan.to / CONFIG)["digest"]
        if plan.digest not in (None, digest):
            raise BackupDamaged(
                f"The restored digest is {digest}, the backup's is {plan.digest}.", "Use another backup."
            )
        _finish(plan)
    return plan.told() | {"digest": digest, "seconds": round((ports.steady() - started) / 1e6, 3)}


def _begin(plan: Plan) -> None:
    """The folders, and the mark of an unfinished restore. RestoreRefused if another one was begun there."""
    marker = plan.to / MARKER
    told = json.dumps({"base": plan.told()["base"], "records": plan.mark.seq, "chain": plan.mark.chain})
    if marker.exists() and marker.read_text() != told:
        raise RestoreRefused(
            f"Another restore was begun in {plan.to}.", "Finish that one, or choose a new folder."
        )
    make_folder(plan.to)
    plan.to.chmod(FOLDER_MODE)
    if not marker.exists():
        publish(marker, told.encode())
    for name in FOLDERS:
        make_folder(plan.to / name)
    remove(plan.to / JOURNAL)  # it is laid anew from its first byte
    make_folder(plan.to / JOURNAL)
    for left in (TEMPORARY, f"{TEMPORARY}-journal", f"{TEMPORARY}-wal", f"{TEMPORARY}-shm"):
        remove(plan.to / left)


def _is_done(target: Path, size: int, sha256: str, redo: bool) -> bool:
    """Whether an interrupted restore wrote this file already."""
    return not redo and is_plain(target) and target.stat().st_size == size and sha256_of(target) == sha256


def _bring_up(plan: Plan) -> None:
    """The base's state.db at today's schema; without a base, one as `init` leaves it."""
    if plan.base is not None and plan.base.schema == len(MIGRATIONS):
        return
    # Half a second to import, for old backups only.
    from sqlalchemy import create_engine
    from sqlalchemy.exc import DBAPIError

    state = plan.to / TEMPORARY
    engine = create_engine(f"sqlite:///{state}")
    try:
        with engine.begin() as connection:
            migrate(connection)
            if plan.base is None:
                fixed = list(plan.home.items())
                connection.exec_driver_sql("INSERT INTO meta(key, value) VALUES (?, ?)", fixed)
    except DBAPIError as error:
        if isinstance(error.orig, sqlite3.Error):
            raise error.orig from error  # as everything else here says it
        raise
    finally:
        engine.dispose()
    state.chmod(FILE_MODE)


def _lay_journal(plan: Plan) -> None:
    listed = {}
    for part in plan.journal:
        target = plan.to / JOURNAL / part.name
        with part.path.open("rb") as source, target.open("xb") as to:
            left = part.size
            while left and (data := source.read(min(left, 1 << 20))):
                to.write(data)
                left -= len(data)
        target.chmod(FILE_MODE)
        if part.name != OPEN:
            listed[part.name] = sha256_of(target)
    if listed:
        publish(plan.to / JOURNAL / SUMS, sums_text(listed))
    fsync_path(plan.to / JOURNAL)


def _leave_touched(plan: Plan) -> None:
    """Takes days off the catalogue whose figures the redone commits may have changed, and files it lacks."""
    since = plan.tail.touched_from
    with closing(sqlite3.connect(plan.to / TEMPORARY, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        if since is not None:
            connection.execute(
                "DELETE FROM lake_files WHERE dead_at IS NULL AND (resolution, dt) IN"
                " (SELECT resolution, dt FROM valued WHERE close_last >= ?)", (since,),
            )  # fmt: skip
            connection.execute(
                "DELETE FROM open_snapshots WHERE (bucket, dt) IN"
                " (SELECT resolution, dt FROM valued WHERE close_last >= ?)", (since,),
            )  # fmt: skip
            connection.execute("DELETE FROM valued WHERE close_last >= ?", (since,))
        kept = connection.execute(_LIVE).fetchall()
        for path, resolution, dt in kept:
            if not (plan.to / "lake" / path).is_file():
                connection.execute("DELETE FROM lake_files WHERE path = ?", (path,))
                connection.execute("DELETE FROM valued WHERE resolution = ? AND dt = ?", (resolution, dt))
        connection.execute("COMMIT")
    listed = {f"lake/{path}" for path, *_ in kept}
    for copy in plan.copies:
        if copy.path.startswith("lake/") and copy.path not in listed:
            remove(plan.to / copy.path)


def _check(plan: Plan) -> None:
    """The database, the journal byte for byte, and that the one stands where the other ends."""
    with closing(sqlite3.connect(plan.to / TEMPORARY)) as connection:
        found = [row[0] for row in connection.execute("PRAGMA integrity_check")]
        text = connection.execute("SELECT value FROM meta WHERE key = 'journal'").fetchone()
    problems = [line for line in found if line != "ok"]
    report = journal_audit.verify(plan.to / JOURNAL)
    problems += report.problems
    mark = journal.START if text is None else journal.Mark.from_json(text[0])
    if (mark.seq, mark.chain) != (plan.mark.seq, plan.mark.chain):
        problems.append(f"state.db stands at record {mark.seq}, not at {plan.mark.seq} as planned")
    if problems:
        hint = "The unfinished restore may be removed. Use another backup."
        raise BackupDamaged("\n".join(problems[:20]), hint)


def _finish(plan: Plan) -> None:
    """From now on it is a home."""
    state = plan.to / TEMPORARY
    state.chmod(FILE_MODE)
    os.sync()  # one flush for thousands of files
    state.rename(plan.to / STATE)
    fsync_path(plan.to)
    (plan.to / MARKER).unlink()
    fsync_path(plan.to)


def promote(restored: Path, home: Path, kept: Path) -> dict[str, Any]:
    """Puts a restored home in the place of `home`, which stays as `kept`; backups go with the place.

    RestoreRefused if that is no finished restore, or not on the same disk; HomeInUse while an engine works
    on either. Ended in the middle, the same call finishes it.
    """
    if not (restored / STATE).is_file() or (restored / MARKER).exists():
        raise RestoreRefused(f"{restored} is no finished restore.", "Restore into it first.")
    if restored.resolve() == home.resolve() or home.resolve() in restored.resolve().parents:
        raise RestoreRefused(f"{restored} is the home itself, or lies in it.", "Name a folder beside it.")
    if restored.stat().st_dev != home.parent.stat().st_dev:
        hint = "Restore into a folder beside the home."
        raise RestoreRefused(f"{restored} is on another disk than {home}.", hint)
    locks = [HomeLock(path / "run" / "navdeck.lock") for path in (restored, home) if path.is_dir()]
    try:
        _swap(restored, home, kept)
    finally:
        for lock in locks:
            lock.release()
    return {"home": str(home), "kept": str(kept) if kept.exists() else None}


def _swap(restored: Path, home: Path, kept: Path) -> None:
    """Three renames, each of which may be the last that a crash lets through."""
    backups = restored / "backups"
    if (home / "backups").is_dir() and not (backups.is_dir() and os.listdir(backups)):
        backups.mkdir(exist_ok=True, mode=FOLDER_MODE)
        os.rename(home / "backups", backups)
    if home.is_dir():
        os.rename(home, kept)
    os.rename(restored, home)
    fsync_path(home.parent)
    fsync_path(restored.parent)
