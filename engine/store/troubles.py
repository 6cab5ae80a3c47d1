"""What SQLite and the disk say when they cannot go on, as errors with a hint."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from engine.errors import StoreError, StoreFull

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def store_error(error: sqlite3.Error, done: str) -> StoreError:
    """`done`: what could not be done to state.db, "read" or "written"."""
    name = getattr(error, "sqlite_errorname", "")
    # A full disk has no room for the WAL's index either, which even a reader needs.
    if name == "SQLITE_FULL" or name.startswith("SQLITE_IOERR_SHM"):
        return full(error)
    if done == "read":
        hint = "Change nothing in the home; check the disk, and keep a copy of the folder as it is."
    else:
        hint = "Nothing of this act was kept. Check the disk and its cables, then try again."
    return StoreError(f"state.db cannot be {done}: {error}.", hint)


def full(error: Exception) -> StoreFull:
    """There is no room."""
    return StoreFull(
        f"The disk is full ({error}).", "Nothing of this act was kept. Free some space; then it goes on."
    )


@contextmanager
def writable() -> Iterator[None]:
    """What a disk or SQLite says when it cannot go on, as errors with a hint."""
    try:
        yield
    except sqlite3.Error as error:
        raise store_error(error, "written") from error
    except OSError as error:
        if error.errno in FULL:
            raise full(error) from error
        raise
