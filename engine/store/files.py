"""Files are published whole or not at all: temp in the same folder, fsync, rename, fsync of the folder."""

import contextlib
import fcntl
import os
from pathlib import Path

from engine.errors import HomeInUse
from engine.store.troubles import FULL, full

FOLDER_MODE, FILE_MODE = 0o700, 0o600


def publish(path: Path, data: bytes, mode: int = FILE_MODE) -> None:
    """Writes `data` to `path` durably; a reader sees all of it or nothing. OSError if the disk will not."""
    make_folder(path.parent)
    temporary = path.parent / f".{path.name[:40]}.tmp.{os.getpid()}.{os.urandom(4).hex()}"
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE), "wb") as file:
            file.write(data)
            file.flush()
            if mode != FILE_MODE:
                os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        temporary.rename(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        raise
    fsync_path(path.parent)


def make_folder(folder: Path) -> None:
    """Makes a folder, and what is missing above it, with names that survive a power cut."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True, mode=FOLDER_MODE)
    fsync_path(folder.parent)


def sweep(folder: Path) -> None:
    """Removes what a crash left half-published below a folder. Only for who holds the home's lock."""
    for left in folder.rglob(".*.tmp*"):
        left.unlink(missing_ok=True)


def fsync_path(path: Path) -> None:
    """Makes the bytes of a file, or the names in a folder, durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class HomeLock:
    """The right to write in a home: flock on run/navdeck.lock, held for life. HomeInUse if another has it."""

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        except OSError as error:
            if error.errno in FULL:
                raise full(error) from error
            raise
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._handle, 32).decode(errors="replace").strip() or "unknown"
            os.close(self._handle)
            raise HomeInUse(
                f"Another navdeck (process {holder}) is writing in this home.",
                "Wait until it has finished, or end that process; reading verbs work meanwhile.",
            ) from None
        with contextlib.suppress(OSError):  # who holds it is told to people, and decides nothing
            os.truncate(self._handle, 0)
            os.pwrite(self._handle, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        os.close(self._handle)
