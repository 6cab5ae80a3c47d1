"""Bytes into the shelf of objects, each kept once under its SHA-256, and out of it when nothing needs them.

A file of the home that never changes is linked where the disk allows, so that it costs nothing; all else is
copied. What is new is hashed on its way in: an object never has another's name.
"""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from engine.backup.layout import OBJECTS, File, Shelf, is_plain, sha256_of
from engine.errors import BackupDamaged, BackupError
from engine.store.files import FILE_MODE, fsync_path, make_folder

CHUNK_BYTES = 1 << 20
TEMPORARY = ".tmp-"


class Keeper:
    """Puts files on a shelf. `damaged`: objects that are to be made anew. Not durable before `finish`."""

    def __init__(self, shelf: Shelf, damaged: frozenset[str] = frozenset()) -> None:
        self.shelf = shelf
        self.stored_bytes = self.stored_files = 0
        self._damaged = damaged
        self._folders: set[Path] = set()
        self._copies: list[Path] = []

    def keep(self, source: Path, path: str, sha256: str, link: bool = True) -> File:
        """A file whose sum is known. BackupDamaged if it is not there as it should be."""
        if not is_plain(source):
            raise BackupDamaged(f"{path} is not there.", "")
        file = File(path, source.stat().st_size, sha256)
        if sha256 not in self._damaged and self.shelf.holds(file):
            return file
        target = self._target(sha256)
        if not link or not self._linked(source, target, sha256, path):
            self._copied(source, path, sha256)
        return self._counted(file)

    def keep_copy(self, source: Path, path: str, size: int | None = None) -> File:
        """A file that goes on changing: its bytes as they are now, or the first `size` of them."""
        found, kept = _copy(source, self._temporary(), size)
        return self._placed(kept, found, path)

    def keep_bytes(self, data: bytes, path: str) -> File:
        """Bytes that lie nowhere yet."""
        temporary = self._temporary()
        temporary.write_bytes(data)
        return self.adopt(temporary, path)

    def adopt(self, temporary: Path, path: str) -> File:
        """A file on the shelf's own disk that becomes an object."""
        temporary.chmod(FILE_MODE)
        return self._placed(temporary, sha256_of(temporary), path)

    def finish(self) -> None:
        """Makes new objects durable: their names, and the bytes of those that were copied."""
        # Each by itself: a flush of all that is dirty on the disk would hold up the engine's commits.
        for path in (*self._copies, *sorted(self._folders)):
            fsync_path(path)

    def _placed(self, temporary: Path, sha256: str, path: str) -> File:
        file = File(path, temporary.stat().st_size, sha256)
        if sha256 not in self._damaged and self.shelf.holds(file):
            temporary.unlink()
            return file
        self._put(temporary, sha256)
        return self._counted(file)

    def _linked(self, source: Path, target: Path, sha256: str, path: str) -> bool:
        if sha256_of(source) != sha256:
            raise _differs(path)
        temporary = self._temporary()
        try:
            os.link(source, temporary, follow_symlinks=False)
        except OSError:  # another disk, or one without links
            return False
        temporary.replace(target)
        temporary.unlink(missing_ok=True)  # the same file under both names is left alone by a rename
        return True

    def _copied(self, source: Path, path: str, sha256: str) -> None:
        found, temporary = _copy(source, self._temporary(), None)
        if found != sha256:
            temporary.unlink()
            raise _differs(path)
        self._put(temporary, sha256)

    def _put(self, temporary: Path, sha256: str) -> None:
        """A copy under its name."""
        target = self._target(sha256)
        temporary.replace(target)
        self._copies.append(target)

    def _target(self, sha256: str) -> Path:
        target = self.shelf.object(sha256)
        make_folder(target.parent)
        self._folders.add(target.parent)
        return target

    def _temporary(self) -> Path:
        make_folder(self.shelf.path / OBJECTS)
        return self.shelf.path / OBJECTS / f"{TEMPORARY}{os.getpid()}-{os.urandom(4).hex()}"

    def _counted(self, file: File) -> File:
        self.stored_bytes += file.bytes
        self.stored_files += 1
        return file


def _copy(source: Path, target: Path, size: int | None) -> tuple[str, Path]:
    """Copies and hashes on the way; not yet durable. BackupDamaged where there are fewer bytes."""
    summed, left = hashlib.sha256(), size
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with source.open("rb") as file, open(os.open(target, flags, FILE_MODE), "wb") as to:
        while data := file.read(CHUNK_BYTES if left is None else min(CHUNK_BYTES, left)):
            summed.update(data)
            to.write(data)
            left = None if left is None else left - len(data)
    if left:
        target.unlink()
        raise BackupDamaged(f"{source.name} is {left:,} bytes shorter than it should be.", "Check the disk.")
    return summed.hexdigest(), target


def copy_to(source: Path, target: Path, sha256: str) -> None:
    """A checked copy under its final name, not yet durable. BackupDamaged if the bytes are others."""
    temporary = target.with_name(f"{TEMPORARY}{target.name[:60]}")
    temporary.unlink(missing_ok=True)
    found, _ = _copy(source, temporary, None)
    if found != sha256:
        temporary.unlink()
        raise BackupDamaged(
            f"The bytes of {target.name} are not what the manifest says.",
            "`navdeck backup verify --all` shows which backups are sound.",
        )
    temporary.replace(target)


def _differs(path: str) -> BackupDamaged:
    return BackupDamaged(f"{path} is not what was written: its SHA-256 differs.", "")


def clear_leftovers(shelf: Shelf) -> None:
    """Removes what an earlier job left when it was ended in the middle. Only for who holds the shelf."""
    if not shelf.path.is_dir():
        return
    for place in (shelf.path, shelf.path / OBJECTS):
        for entry in os.scandir(place) if place.is_dir() else ():
            if entry.name.startswith(TEMPORARY):
                remove(Path(entry.path))


def remove(path: Path) -> None:
    """Removes a file, or a folder with all that is in it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


def prune(shelf: Shelf, keep: Iterable[str]) -> dict[str, int]:
    """Removes all other backups, then every object that no backup left needs; how many of each.

    Nothing is swept while any backup's manifest cannot be read: nobody could say what it needs.
    """
    kept = set(keep)
    gone = [name for name in shelf.ids() if name not in kept]
    for name in gone:
        shelf.folder(name).rename(shelf.path / f"{TEMPORARY}{name}")  # at once no longer listed
        remove(shelf.path / f"{TEMPORARY}{name}")
    if gone:
        fsync_path(shelf.path)
    count, size = sweep(shelf)
    return {"backups_removed": len(gone), "objects_removed": count, "bytes_removed": size}


def sweep(shelf: Shelf) -> tuple[int, int]:
    """Removes objects that no backup needs: how many, and their bytes."""
    try:
        needed = {file.sha256 for name in shelf.ids() for file in shelf.manifest(name).files}
    except BackupError:
        return 0, 0
    count = size = 0
    folder = shelf.path / OBJECTS
    for aa in os.scandir(folder) if folder.is_dir() else ():
        for entry in os.scandir(aa.path) if aa.is_dir(follow_symlinks=False) else ():
            if entry.name not in needed:
                size += entry.stat(follow_symlinks=False).st_size
                count += 1
                remove(Path(entry.path))
    return count, size
