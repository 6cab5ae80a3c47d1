"""How a folder of backups lies: plain folders that list objects, and objects named by their SHA-256.

    backups/objects/aa/<sha256>               the bytes of files, each kept once
    backups/<UTC stamp>-<number>/             one backup: MANIFEST.json, FILES.sha256, RESTORE.txt, SHA256SUMS
    backups/verified.json                     what the last check of each backup found
    backups/drills/<UTC stamp>/               reports of drills

It owns names, the manifest and its reading, which refuses whatever could write outside a restored home.
"""

import fcntl
import hashlib
import json
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.domain.instants import format_instant, parse_instant
from engine.errors import BackupBusy, BackupDamaged, BackupError, JobCancelled
from engine.store.files import FILE_MODE, make_folder, publish

if TYPE_CHECKING:
    from engine.store.journal import Mark

MANIFEST, FILES, GUIDE, SUMS = "MANIFEST.json", "FILES.sha256", "RESTORE.txt", "SHA256SUMS"
PARTS = (FILES, MANIFEST, GUIDE)  # what SHA256SUMS lists besides objects
OBJECTS, DRILLS, LOCK, CANCEL, VERIFIED = "objects", "drills", ".lock", ".cancel", "verified.json"
REPORT = "drill_report.json"
STATE, CONFIG, JOURNAL = "state.db", "navdeck.toml", "journal"
VERSION = 1
MANIFEST_BYTES_MAX = 1 << 30  # ten million files; more is no manifest of ours
ID = re.compile(r"([0-9]{8}T[0-9]{6}Z)-([0-9]{6,9})")
Data = bytes  # within Manifest `bytes` is a number
_SHA = re.compile("[0-9a-f]{64}")
_SOURCE = re.compile(r"[0-9a-f]{64}\.(csv|parquet)")
_PART = re.compile(r"[A-Za-z0-9=_][A-Za-z0-9._:=-]{0,254}")


@dataclass(frozen=True, slots=True)
class File:
    """One file of a home. `path` is below the home."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds. `reached`: the newest commit instant in it (us); `shape`: of its settings."""

    id: str
    made_at: int
    reached: int
    schema: int
    mark: "Mark"
    home: dict[str, str]
    shape: str
    digest: dict[str, Any]
    files: tuple[File, ...]
    left_out: tuple[tuple[str, str], ...] = ()

    def file(self, path: str) -> File:
        """BackupDamaged where it is not listed."""
        for file in self.files:
            if file.path == path:
                return file
        raise BackupDamaged(f"Backup {self.id} lists no {path}.", "Use another backup.")

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)

    def to_json(self) -> Data:
        told = asdict(self) | {
            "version": VERSION,
            "made_at": format_instant(self.made_at),
            "reached": format_instant(self.reached),
            "files": [[file.path, file.bytes, file.sha256] for file in self.files],
            "left_out": [{"path": path, "why": why} for path, why in self.left_out],
        }
        return (json.dumps(told, indent=1, sort_keys=True) + "\n").encode()


def parsed(name: str, data: bytes) -> Manifest:
    """A manifest's own words, judged. BackupDamaged for what is none, or what no restore may follow."""
    from engine.store.journal import Mark  # who only counts backups need not know the journal

    try:
        told = json.loads(data)
        if told["version"] != VERSION:
            raise ValueError(f"version {told['version']!r} is not known")
        manifest = Manifest(
            told["id"], _instant(told["made_at"]), _instant(told["reached"]), int(told["schema"]),
            Mark(**told["mark"]), {str(key): str(value) for key, value in told["home"].items()},
            str(told["shape"]), dict(told["digest"]), tuple(File(*one) for one in told["files"]),
            tuple((str(one["path"]), str(one["why"])) for one in told["left_out"]),
        )  # fmt: skip
        if manifest.id != name:
            raise ValueError(f"it calls itself {manifest.id!r}")
        _judge(manifest.files)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BackupDamaged(
            f"The manifest of {name} cannot be followed: {error}.",
            "Nothing was restored. Use another backup.",
        ) from None
    return manifest


def _instant(text: Any) -> int:
    us = parse_instant(text)
    if us is None:
        raise ValueError(f"{text!r} is no instant")
    return us


def _judge(files: tuple[File, ...]) -> None:
    """ValueError for a path, a size or a sum that is none, for one told twice, for a file in a file."""
    seen: set[str] = set()
    for file in files:
        if not isinstance(file.path, str) or not _is_ours(file.path):
            raise ValueError(f"{file.path!r} is no path of a home")
        if not isinstance(file.bytes, int) or isinstance(file.bytes, bool) or file.bytes < 0:
            raise ValueError(f"{file.bytes!r} is no size")
        if not isinstance(file.sha256, str) or not _SHA.fullmatch(file.sha256):
            raise ValueError(f"{file.sha256!r} is no SHA-256")
        if file.path in seen:
            raise ValueError(f"{file.path} is listed twice")
        seen.add(file.path)
    folders = {path.rsplit("/", depth)[0] for path in seen for depth in range(1, path.count("/") + 1)}
    if both := sorted(folders & seen):
        raise ValueError(f"{both[0]} is a file and a folder")


def _is_ours(path: str) -> bool:
    """Whether it is a path below a home that a backup may hold: relative, plain, in one of its places."""
    first, *rest = path.split("/")
    if not all(_PART.fullmatch(part) for part in (first, *rest)):
        return False
    if first in (STATE, CONFIG):
        return not rest
    if first == JOURNAL:
        from engine.store.journal_format import OPEN, SEALED

        return len(rest) == 1 and (rest[0] in (OPEN, SUMS) or SEALED.fullmatch(rest[0]) is not None)
    if first == "archive":
        return len(rest) == 2 and _SOURCE.fullmatch(rest[1]) is not None and rest[1][:2] == rest[0]
    return first == "lake" and len(rest) > 1


class Shelf:
    """One folder of backups. Making one touches nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def folder(self, name: str) -> Path:
        return self.path / name

    def object(self, sha256: str) -> Path:
        return self.path / OBJECTS / sha256[:2] / sha256

    def ids(self) -> list[str]:
        """All whole backups, oldest first."""
        if not self.path.is_dir():
            return []
        names = [entry.name for entry in os.scandir(self.path) if entry.is_dir(follow_symlinks=False)]
        return sorted(filter(ID.fullmatch, names), key=number_of)

    def drills(self) -> list[dict[str, Any]]:
        """All kept reports of drills, newest first."""
        found = []
        for path in sorted((self.path / DRILLS).glob(f"*/{REPORT}"), reverse=True):
            try:
                found.append(json.loads(path.read_bytes()))
            except (OSError, ValueError):
                continue
        return found

    def manifest(self, name: str) -> Manifest:
        """BackupError if there is no such backup; BackupDamaged if it cannot be followed."""
        path = self.folder(name) / MANIFEST
        if not ID.fullmatch(name) or not self.folder(name).is_dir():
            raise BackupError(f"There is no backup {name!r}.", "`navdeck backup list` shows all.")
        if not is_plain(path, MANIFEST_BYTES_MAX):
            raise BackupDamaged(f"Backup {name} has no manifest.", "Use another backup.")
        return parsed(name, path.read_bytes())

    def manifests(self) -> Iterator[Manifest]:
        """Of all backups whose manifest can be followed, newest first."""
        for name in reversed(self.ids()):
            try:
                yield self.manifest(name)
            except BackupError:
                continue

    def holds(self, file: File) -> bool:
        """Whether the object is there, by its size."""
        try:
            found = os.lstat(self.object(file.sha256))
        except OSError:
            return False
        return stat.S_ISREG(found.st_mode) and found.st_size == file.bytes

    def verified(self) -> dict[str, dict[str, Any]]:
        """What checks found: id -> {"at", "ok", "problems", "damaged"}."""
        try:
            told = json.loads((self.path / VERIFIED).read_bytes())
        except (OSError, ValueError):
            return {}
        return told if isinstance(told, dict) else {}

    def note_verified(self, name: str, found: dict[str, Any]) -> None:
        known = {each: found for each, found in self.verified().items() if each in set(self.ids())}
        publish(self.path / VERIFIED, (json.dumps(known | {name: found}, indent=1) + "\n").encode())

    @contextmanager
    def held(self) -> Iterator[None]:
        """The right to work on it. BackupBusy if another job does; a read-only shelf needs none."""
        if not os.access(self.path if self.path.is_dir() else self.path.parent, os.W_OK):
            yield
            return
        make_folder(self.path)
        handle = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BackupBusy(
                    f"Another backup job works in {self.path}.", "Wait until it has finished; then try again."
                ) from None
            yield
        finally:
            os.close(handle)


@dataclass(frozen=True, slots=True)
class Ports:
    """What a job is given: clocks in us, who hears of steps, a state.db's digest under a navdeck.toml."""

    clock: Callable[[], int]
    steady: Callable[[], int]
    digest: Callable[[Path, Path], dict[str, Any]]
    report: Callable[[str, dict[str, Any]], None]
    cancelled: Callable[[], bool]
    free_bytes: Callable[[Path], int]

    def between(self, step: str) -> None:
        """Between two steps: tells the next one. JobCancelled if somebody asked for the end."""
        if self.cancelled():
            raise JobCancelled(f"Cancelled before: {step}.", "Nothing of it was kept.")
        self.report("backup_step", {"step": step})


def number_of(name: str) -> int:
    """The running number of a backup."""
    return int(name.rpartition("-")[2])


def stamp_of(name: str) -> int:
    """The instant in a backup's name, in us."""
    told = name.partition("-")[0]
    text = f"{told[:4]}-{told[4:6]}-{told[6:11]}:{told[11:13]}:{told[13:15]}Z"
    return _instant(text)


def stamp(us: int) -> str:
    """An instant as names carry it."""
    return re.sub("[:-]|[.][0-9]+", "", format_instant(us))


def is_plain(path: Path, most: int | None = None) -> bool:
    """Whether it is a regular file, no link, and not larger than that."""
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and (most is None or found.st_size <= most)


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
