"""Checks a backup: every byte against its sum, the database, the lake files, the journal's chain, the digest.

It changes nothing. Each problem is told by the file that has it.
"""

import os
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from engine.backup.guide import files_text, sums_text
from engine.backup.layout import (
    CONFIG,
    FILES,
    GUIDE,
    JOURNAL,
    MANIFEST,
    PARTS,
    STATE,
    SUMS,
    File,
    Manifest,
    Ports,
    Shelf,
    is_plain,
    sha256_of,
)
from engine.backup.objects import TEMPORARY, remove
from engine.domain.instants import format_instant
from engine.errors import BackupDamaged, EngineError
from engine.store import journal_audit
from engine.store.files import make_folder

SCANNED_MAX = 2_000  # lake files read by DuckDB; of more, a sample of this many, and it says so
SCANNED_AT_ONCE = 200
PROBLEMS_TOLD = 20  # of each check
_SCAN = "SELECT filename, count(*), bit_xor(hash(t)) FROM read_parquet(?, filename=true) t GROUP BY filename"


@dataclass(slots=True)
class Findings:
    """Checks by name, each with what it looked at and what it found; objects that are not their sums."""

    checks: list[dict[str, Any]] = field(default_factory=list)
    damaged: set[str] = field(default_factory=set)

    def add(self, name: str, problems: list[str], looked_at: int) -> None:
        told = problems[:PROBLEMS_TOLD]
        self.checks.append({"check": name, "ok": not problems, "looked_at": looked_at, "problems": told})

    @property
    def ok(self) -> bool:
        return all(check["ok"] for check in self.checks)


def verify(shelf: Shelf, name: str, ports: Ports) -> dict[str, Any]:
    """`backup verify ID --json`. BackupError if there is no such backup."""
    started, found = ports.steady(), Findings()
    size = 0
    try:
        manifest = shelf.manifest(name)
    except BackupDamaged as error:
        found.add("the manifest can be followed", [error.tried], 1)
    else:
        size = manifest.bytes
        _checks(shelf, manifest, ports, found)
    return {
        "id": name, "ok": found.ok, "at": format_instant(ports.clock()), "bytes": size,
        "seconds": round((ports.steady() - started) / 1e6, 3), "checks": found.checks,
        "damaged": sorted(found.damaged),
    }  # fmt: skip


def _checks(shelf: Shelf, manifest: Manifest, ports: Ports, found: Findings) -> None:
    ports.between("read every byte")
    found.add("the backup's folder is as it was written", list(_folder(shelf, manifest)), len(PARTS) + 1)
    objects = {file.sha256: file for file in manifest.files}
    problems = []
    for file in objects.values():
        if problem := _byte_problem(shelf, file):
            problems.append(problem)
            found.damaged.add(file.sha256)
    found.add("every byte is what it was", problems, len(objects))
    sound = [file for file in manifest.files if file.sha256 not in found.damaged]
    ports.between("check the database")
    state = [file for file in sound if file.path == STATE]
    rows: dict[str, int] = {}
    if state:
        told, rows = _database(shelf.object(state[0].sha256))
        found.add("state.db is sound", told, 1)
    ports.between("scan lake files")
    lake = [file for file in sound if file.path.startswith("lake/")]
    chosen = sorted(lake, key=lambda file: file.path)
    if len(lake) > SCANNED_MAX:
        chosen = random.Random(manifest.id).sample(chosen, SCANNED_MAX)
    found.add(_scan_name(len(lake)), list(_scanned(shelf, chosen, rows)), len(chosen))
    ports.between("follow the journal")
    found.add("the journal's chain is whole", _journal(shelf, manifest), 1)
    if state and found.ok:
        ports.between("compute the digest")
        found.add("the digest is what it was", _digest(shelf, manifest, state[0], ports), 1)


def _scan_name(files: int) -> str:
    of = f"a sample of {SCANNED_MAX:,} of {files:,} lake files" if files > SCANNED_MAX else "every lake file"
    return f"{of} can be read"


def _folder(shelf: Shelf, manifest: Manifest) -> Iterator[str]:
    """The four files of the backup's own folder, and nothing besides."""
    folder = shelf.folder(manifest.id)
    for name in sorted(set(os.listdir(folder)) - {*PARTS, SUMS}):
        yield f"{name} does not belong to the backup"
    for name in (*PARTS, SUMS):
        if not is_plain(folder / name):
            yield f"{name} is not there as a plain file"
            return
    if (folder / FILES).read_bytes() != files_text(manifest.files):
        yield f"{FILES} does not list what the manifest lists"
    listed = [(name, sha256_of(folder / name)) for name in (FILES, MANIFEST, GUIDE)]
    if (folder / SUMS).read_bytes() != sums_text(listed, manifest.files):
        yield f"{SUMS} is not of what is here"


def _byte_problem(shelf: Shelf, file: File) -> str | None:
    path = shelf.object(file.sha256)
    if not is_plain(path):
        return f"{file.path} is missing, or is no plain file"
    size = path.stat().st_size
    if size != file.bytes:
        return f"{file.path} has {size:,} bytes, not {file.bytes:,}"
    return None if sha256_of(path) == file.sha256 else f"{file.path}: its bytes are not what they were"


def _database(path: Path) -> tuple[list[str], dict[str, int]]:
    """Problems, and the rows of each live lake file."""
    try:
        address = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        with closing(sqlite3.connect(address, uri=True)) as connection:
            told = [row[0] for row in connection.execute("PRAGMA integrity_check")]
            live = connection.execute("SELECT path, rows FROM lake_files WHERE dead_at IS NULL")
            return [line for line in told if line != "ok"], {f"lake/{path}": rows for path, rows in live}
    except sqlite3.Error as error:
        return [str(error)], {}


def _scanned(shelf: Shelf, files: list[File], rows: dict[str, int]) -> Iterator[str]:
    """Reads every value of each file, and counts its rows."""
    with closing(duckdb.connect(config={"threads": 1})) as connection:
        for start in range(0, len(files), SCANNED_AT_ONCE):
            some = files[start : start + SCANNED_AT_ONCE]
            by_path = {str(shelf.object(file.sha256)): file for file in some}
            try:
                counts = _counts(connection, list(by_path))
            except duckdb.Error:
                counts = {}
                for path, file in by_path.items():
                    try:
                        counts |= _counts(connection, [path])
                    except duckdb.Error as error:
                        yield f"{file.path} cannot be read: {str(error).splitlines()[0][:200]}"
            for path, counted in counts.items():
                file = by_path[path]
                if rows.get(file.path, counted) != counted:
                    yield f"{file.path} has {counted} rows, not {rows[file.path]}"


def _counts(connection: duckdb.DuckDBPyConnection, paths: list[str]) -> dict[str, int]:
    return {str(path): int(count) for path, count, _ in connection.execute(_SCAN, [paths]).fetchall()}


def _journal(shelf: Shelf, manifest: Manifest) -> list[str]:
    """The chain of the segments under their own names, up to the record where the database stands."""
    folder = shelf.path / f"{TEMPORARY}journal-{manifest.id}"
    with suppress(FileNotFoundError):
        remove(folder)
    make_folder(folder)
    try:
        for file in manifest.files:
            if file.path.startswith(f"{JOURNAL}/"):
                name = file.path.removeprefix(f"{JOURNAL}/")
                (folder / name).symlink_to(shelf.object(file.sha256).absolute())
        report = journal_audit.verify(folder)
    except (EngineError, OSError) as error:
        return [str(error)]
    finally:
        remove(folder)
    ends = (report.head.seq, report.head.chain) == (manifest.mark.seq, manifest.mark.chain)
    told = f"the journal ends at record {report.head.seq}; the database stands at {manifest.mark.seq}"
    return report.problems + ([] if ends else [told])


def _digest(shelf: Shelf, manifest: Manifest, state: File, ports: Ports) -> list[str]:
    settings = shelf.object(manifest.file(CONFIG).sha256)
    found = ports.digest(shelf.object(state.sha256), settings)["digest"]
    expected = manifest.digest["digest"]
    return [] if found == expected else [f"it is {found}, not {expected}"]
