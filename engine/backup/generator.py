"""Makes a backup: a consistent set of a home's files, while the home goes on working.

Everything in it follows from one read transaction of state.db: the copy of the database, the journal cut at
the record where that copy stands, the lake files and source files that the copy lists. It holds no lock of
the home and never writes in it. A backup is written into a temporary folder, made durable and renamed: what
is listed is whole. A home that did not change since the last backup costs the reading of three numbers.
"""

import os
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine.backup.guide import files_text, guide_text, sums_text
from engine.backup.journal_view import JournalView, Part, sums
from engine.backup.journal_view import sums_text as journal_sums
from engine.backup.layout import (
    CONFIG,
    FILES,
    GUIDE,
    JOURNAL,
    MANIFEST,
    STATE,
    SUMS,
    File,
    Manifest,
    Ports,
    Shelf,
    number_of,
    sha256_of,
    stamp,
)
from engine.backup.objects import TEMPORARY, Keeper, clear_leftovers
from engine.domain.instants import format_instant
from engine.errors import BackupDamaged, DiskLow, JobCancelled, JournalBroken
from engine.store.files import FOLDER_MODE, fsync_path, make_folder, publish
from engine.store.journal import START, Mark
from engine.store.troubles import writable

STEP_PAGES = 512  # copied between two looks at whether somebody wants the end
MARGIN_BYTES = 64_000_000  # free disk beside what is to be written, so that the home itself can go on
SUFFIXES = (".csv", ".parquet")


@dataclass(frozen=True, slots=True)
class Standing:
    """What a state.db says of itself: two that say the same hold the same."""

    reached: int
    mark: Mark
    schema: int
    home: dict[str, str]


def create(home: Path, shelf: Shelf, ports: Ports, shape: str) -> dict[str, Any]:
    """Makes a backup and tells what it is. The caller holds the shelf.

    `shape`: of the settings that a digest hangs on. StoreFull or DiskLow without room; JournalBroken if the
    journal does not hold the record where state.db stands; then nothing is listed.
    """
    started = ports.steady()
    with writable():
        clear_leftovers(shelf)
        make_folder(shelf.path)
        before = next(shelf.manifests(), None)
        keeper = Keeper(shelf, _damaged(shelf))
        try:
            made = _unchanged(home, shelf, before, keeper, shape)
            manifest = _named(made or _copied(home, shelf, keeper, ports, shape), shelf, ports)
            ports.between("write the manifest")
            keeper.finish()
            _publish(shelf, manifest)
        except BaseException:
            clear_leftovers(shelf)  # a full disk gets its room back at once
            raise
    return told(manifest) | {
        "new_files": keeper.stored_files, "new_bytes": keeper.stored_bytes,
        "seconds": round((ports.steady() - started) / 1e6, 3),
    }  # fmt: skip


def told(manifest: Manifest) -> dict[str, Any]:
    """A backup as `backup list --json` has it."""
    return {
        "id": manifest.id, "made_at": format_instant(manifest.made_at),
        "reached": format_instant(manifest.reached), "records": manifest.mark.seq,
        "files": len(manifest.files), "bytes": manifest.bytes, "digest": manifest.digest["digest"],
        "left_out": [{"path": path, "why": why} for path, why in manifest.left_out],
    }  # fmt: skip


def standing(state: Path) -> Standing:
    """What a state.db says of itself now; read without changing anything."""
    with closing(sqlite3.connect(_read_only(state), uri=True)) as connection:
        connection.execute("BEGIN")
        return _standing(connection)


def _standing(connection: sqlite3.Connection) -> Standing:
    meta = dict(connection.execute("SELECT key, value FROM meta"))
    mark = Mark.from_json(meta["journal"]) if "journal" in meta else START
    schema = int(connection.execute("PRAGMA user_version").fetchone()[0])
    reached = int(meta.get("committed_at") or meta["made_at"])
    passing = ("committed_at", "journal", "valued_")  # of this state, where a home is made from the journal
    home = {key: value for key, value in meta.items() if not key.startswith(passing)}
    return Standing(reached, mark, schema, home)


def _damaged(shelf: Shelf) -> frozenset[str]:
    """Objects that a check found damaged: they are made anew from the home."""
    return frozenset(sha256 for found in shelf.verified().values() for sha256 in found.get("damaged", ()))


def _unchanged(
    home: Path, shelf: Shelf, before: Manifest | None, keeper: Keeper, shape: str
) -> Manifest | None:
    """The last backup again, where state.db is still what it was, and every object of it is still there."""
    if before is None or before.left_out or before.shape != shape:
        return None
    now = standing(home / STATE)
    if (now.reached, now.mark, now.schema) != (before.reached, before.mark, before.schema):
        return None
    damaged = _damaged(shelf)
    if not all(file.sha256 not in damaged and shelf.holds(file) for file in before.files):
        return None
    rest = [file for file in before.files if file.path != CONFIG]
    return replace(before, files=tuple(sorted([*rest, *_settings(home, keeper)], key=_by_path)))


def _copied(home: Path, shelf: Shelf, keeper: Keeper, ports: Ports, shape: str) -> Manifest:
    """A new copy of everything that changed."""
    ports.between("copy state.db")
    _require_room(home, shelf, ports)
    copy = shelf.path / f"{TEMPORARY}{STATE}"
    copy_database(home / STATE, copy, ports.cancelled)
    now = standing(copy)
    ports.between("compute the digest")
    digest = ports.digest(copy, home / CONFIG)
    ports.between("keep the journal")
    files = _journal(home / JOURNAL, now.mark, keeper)
    ports.between("keep lake and source files")
    left_out: list[tuple[str, str]] = []
    with closing(sqlite3.connect(_read_only(copy), uri=True)) as connection:
        for path, sha256 in [*_lake(connection), *_sources(connection, home)]:
            try:
                files.append(keeper.keep(home / path, path, sha256))
            except BackupDamaged as error:
                left_out.append((path, error.tried))
    files += [*_settings(home, keeper), keeper.adopt(copy, STATE)]
    ordered = tuple(sorted(files, key=_by_path))
    return Manifest(
        "", 0, now.reached, now.schema, now.mark, now.home, shape, digest, ordered, tuple(sorted(left_out))
    )


def _by_path(file: File) -> str:
    return file.path


def _require_room(home: Path, shelf: Shelf, ports: Ports) -> None:
    needed = sum(
        path.stat().st_size for path in (home / STATE, home / f"{STATE}-wal") if path.exists()
    ) + MARGIN_BYTES  # fmt: skip
    free = ports.free_bytes(shelf.path)
    if free < needed:
        raise DiskLow(
            f"{free:,} bytes are free where backups are kept; this one needs {needed:,}.",
            "Free some space, or remove old backups; nothing was begun.",
        )


def _read_only(path: Path) -> str:
    return f"{path.absolute().as_uri()}?mode=ro"


def copy_database(source: Path, target: Path, cancelled: Callable[[], bool]) -> None:
    """One snapshot of a database that is in use, as a file that stands by itself.

    The read transaction stays open, so that commits in the meantime neither wait nor make it begin again.
    """
    target.unlink(missing_ok=True)
    # This file is closed last: whoever closes one takes all of a process's locks off it.
    with (
        open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as bytes_on_disk,
        closing(sqlite3.connect(_read_only(source), uri=True, isolation_level=None)) as live,
        closing(sqlite3.connect(target, isolation_level=None)) as copy,
    ):
        live.execute("PRAGMA busy_timeout=5000")
        live.execute("BEGIN")
        live.execute("SELECT count(*) FROM meta").fetchone()
        copy.execute("PRAGMA synchronous=OFF")  # it is synced before anyone lists it

        def look(_status: int, _left: int, _total: int) -> None:
            os.fdatasync(bytes_on_disk.fileno())  # bit by bit: all at once would hold up the engine's commits
            if cancelled():
                raise InterruptedError

        try:
            live.backup(copy, pages=STEP_PAGES, progress=look)
        except InterruptedError:
            target.unlink()
            raise JobCancelled("Cancelled while state.db was copied.", "Nothing of it was kept.") from None
        copy.execute("PRAGMA journal_mode=DELETE")


def _journal(folder: Path, mark: Mark, keeper: Keeper) -> list[File]:
    """The segments up to the record where the copied database stands."""
    view = JournalView.of(folder)
    last = view.by(None, mark.seq)
    if (last.seq, last.chain) != (mark.seq, mark.chain) if last else mark.seq:
        raise JournalBroken(
            f"The journal does not hold record {mark.seq}, where state.db stands.",
            "`navdeck journal verify` names each damaged place. Nothing was backed up.",
        )
    listed = sums((folder / SUMS).read_bytes()) if (folder / SUMS).exists() else {}
    kept = [_segment(part, listed, keeper) for part in view.parts(last)]
    sealed = {part.name: file.sha256 for part, file in zip(view.parts(last), kept, strict=True) if part.whole}
    return [*kept, keeper.keep_bytes(journal_sums(sealed), f"{JOURNAL}/{SUMS}")] if kept else []


def _segment(part: Part, listed: dict[str, str], keeper: Keeper) -> File:
    path = f"{JOURNAL}/{part.name}"
    if part.whole and part.name in listed:
        return keeper.keep(part.path, path, listed[part.name])
    return keeper.keep_copy(part.path, path, part.size)


def _lake(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """Live lake files, by path below the home, and their sums."""
    rows = connection.execute("SELECT path, sha256 FROM lake_files WHERE dead_at IS NULL ORDER BY path")
    return [(f"lake/{path}", sha256) for path, sha256 in rows]


def _sources(connection: sqlite3.Connection, home: Path) -> Iterable[tuple[str, str]]:
    """Source files in the archive, by path below the home, and their sums."""
    rows = connection.execute("SELECT sha256 FROM files WHERE status <> 'rejected' ORDER BY sha256")
    for (sha256,) in rows:
        paths = [f"archive/{sha256[:2]}/{sha256}{suffix}" for suffix in SUFFIXES]
        yield next((path for path in paths if (home / path).exists()), paths[0]), sha256


def _settings(home: Path, keeper: Keeper) -> list[File]:
    """navdeck.toml: secrets are never in it, they come from the environment or a file named there."""
    path = home / CONFIG
    return [keeper.keep_copy(path, CONFIG)] if path.is_file() else []


def _named(made: Manifest, shelf: Shelf, ports: Ports) -> Manifest:
    now = ports.clock()
    number = max((number_of(name) for name in shelf.ids()), default=0) + 1
    return replace(made, id=f"{stamp(now)}-{number:06d}", made_at=now)


def _publish(shelf: Shelf, manifest: Manifest) -> None:
    """The folder under its name, with everything in it durable."""
    folder = shelf.path / f"{TEMPORARY}{manifest.id}"
    folder.mkdir(mode=FOLDER_MODE)
    parts = {
        FILES: files_text(manifest.files), MANIFEST: manifest.to_json(), GUIDE: guide_text(manifest),
    }  # fmt: skip
    for name, data in parts.items():
        publish(folder / name, data)
    listed = [(name, sha256_of(folder / name)) for name in parts]
    publish(folder / SUMS, sums_text(listed, manifest.files))
    folder.rename(shelf.folder(manifest.id))
    fsync_path(shelf.path)
