"""The inbox: which files are ready, and claiming them. The scan decides; events only wake it.

A file is ready when two looks, at least SETTLE_US apart, see the same size, time and inode, and it ends
with a newline or has been quiet for QUIET_US. A ready file is claimed by a rename out of the inbox, so no
two engines and no second scan can take it. Claims that a crash left behind are found again by name.
"""

import os
import stat
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from engine.domain.instants import SECOND_US
from engine.runtime.home import Home
from engine.store.files import fsync_path, make_folder

SETTLE_US = 2 * SECOND_US  # between two looks at a file that may still be written
QUIET_US = 10 * SECOND_US  # without a final newline, a file is taken as complete after this
SUFFIXES = (".csv", ".parquet")


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a file saw; instants in microseconds UTC."""

    at: int
    size: int
    mtime: int
    inode: int
    regular: bool
    ends_line: bool


@dataclass(frozen=True, slots=True)
class Claim:
    """A claimed file: where it is now, and the name it was dropped under."""

    path: Path
    name: str


def takes(name: str) -> bool:
    """Whether the inbox takes a file of this name; others wait there."""
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")


def scan(inbox: Path, now: int) -> tuple[dict[str, Look], list[str]]:
    """One look at every file that the inbox takes, and the names of those that it does not or cannot."""
    looks, others = {}, []
    with os.scandir(inbox) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if not takes(entry.name):
                if not entry.name.startswith("."):
                    others.append(entry.name)
                continue
            try:
                looks[entry.name] = _look(Path(entry.path), now)
            except FileNotFoundError:  # gone between the listing and the look
                continue
            except PermissionError:  # not ours to read: it waits, and holds nobody up
                others.append(entry.name)
    return looks, others


def _look(path: Path, now: int) -> Look:
    about = path.lstat()
    regular = stat.S_ISREG(about.st_mode)
    return Look(
        at=now,
        size=about.st_size,
        mtime=about.st_mtime_ns // 1000,
        inode=about.st_ino,
        regular=regular,
        ends_line=regular and about.st_size > 0 and _last_byte(path) == b"\n",
    )


def _last_byte(path: Path) -> bytes:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.pread(handle, 1, max(0, os.fstat(handle).st_size - 1))
    finally:
        os.close(handle)


def ready(before: Look | None, now: Look) -> bool:
    """Whether a file seen like this is complete. What is not a regular file needs no waiting."""
    if not now.regular or now.at - now.mtime >= QUIET_US:
        return True
    if before is None or now.at - before.at < SETTLE_US:
        return False
    same = (before.size, before.mtime, before.inode) == (now.size, now.mtime, now.inode)
    return same and (now.ends_line or now.at - before.at >= QUIET_US)


def first_look(before: Look | None, now: Look) -> Look:
    """The older look if nothing changed since, so that the settle time adds up."""
    if before is not None and (before.size, before.mtime, before.inode) == (now.size, now.mtime, now.inode):
        return before
    return now


def claim(home: Home, name: str) -> Claim | None:
    """Takes a file out of the inbox; None if it vanished. Its name stays the last part of the new path."""
    import uuid6  # 40 ms, for who takes files in

    folder = home.claimed / str(uuid6.uuid7())
    make_folder(folder)
    target = folder / name
    try:
        os.rename(home.inbox / name, target)
    except FileNotFoundError:
        folder.rmdir()
        return None
    fsync_path(folder)
    fsync_path(home.inbox)
    return Claim(target, name)


def left_claims(home: Home) -> list[Claim]:
    """Files that were claimed and not finished when the engine last stopped, oldest first."""
    if not home.claimed.is_dir():
        return []
    folders = sorted(folder for folder in home.claimed.iterdir() if folder.is_dir())
    claims = [Claim(path, path.name) for folder in folders for path in sorted(folder.iterdir())]
    for folder in folders:
        if not any(folder.iterdir()):
            folder.rmdir()
    return claims


def finish(claimed: Path) -> None:
    """Removes a claimed file whose rows are committed and whose bytes are in the archive."""
    claimed.unlink(missing_ok=True)
    claimed.parent.rmdir()


def put_back(claimed: Path, inbox: Path) -> None:
    """Gives a file that is still being written back to the inbox, under its name or one like it."""
    names = chain([claimed.name], (f"{claimed.stem}-{number}{claimed.suffix}" for number in count(2)))
    target = next(inbox / name for name in names if not os.path.lexists(inbox / name))
    os.rename(claimed, target)
    claimed.parent.rmdir()
    fsync_path(inbox)
