"""One ordered log of all that a process does to the files of a home: by os, and by SQLite through a VFS.

SQLite is a second library here (apsw), since only it lets Python see its writes; in this process no stdlib
connection ever opens the same file. A VFS in Python has no shared memory, so the locking is exclusive.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import apsw
import pytest

from tests.faults.calls import CALLS, write_through_os
from tests.faults.disk import Op, Tree

CHECKPOINT_PAGES = 24  # small, so that many checkpoints fall into a short run


class Log:
    """The log of one home's files; paths are told relative to its root."""

    def __init__(self, root: Path) -> None:
        self.ops: list[Op] = []
        self.root = root
        self.before = Tree.of(root)
        self._numbers = {os.stat(root / name).st_ino: n for name, n in self.before.numbers.items()}
        self._real = {name: getattr(os, name) for name in CALLS}

    def add(self, *op: object) -> None:
        self.ops.append(op)

    def inside(self, path: Any) -> str | None:
        """The path below the root, or None if it is elsewhere."""
        told = os.path.abspath(os.fspath(path))
        told = told.decode() if isinstance(told, bytes) else told
        return os.path.relpath(told, self.root) if Path(told).is_relative_to(self.root) else None

    def made(self, path: str, inode: int) -> None:
        number = len(self.ops) + 1_000_000  # inode numbers come again; this one does not
        self._numbers[inode] = number
        self.add("make", path, number)

    def number(self, inode: int) -> int:
        return self._numbers[inode]

    def patch_os(self, patch: pytest.MonkeyPatch) -> None:
        """Sees what os is asked to do from now on."""
        write_through_os(patch)
        for name in CALLS:
            patch.setattr(os, name, getattr(self, f"_{name}"))
        patch.setattr(os, "remove", self._unlink)

    # -- in place of the functions of os --

    def _open(self, path: Any, flags: int, mode: int = 0o777, **options: Any) -> int:
        told = self.inside(path)
        fresh = told is not None and not os.path.lexists(path)
        handle = int(self._real["open"](path, flags, mode, **options))
        if told is not None and fresh:
            self.made(told, os.fstat(handle).st_ino)
        elif told is not None and flags & os.O_TRUNC:
            self.add("size", self.number(os.fstat(handle).st_ino), 0)
        return handle

    def _file(self, handle: int) -> int | None:
        told = self.inside(os.readlink(f"/proc/self/fd/{handle}").removesuffix(" (deleted)"))
        return None if told is None else self.number(os.fstat(handle).st_ino)

    def _write(self, handle: int, data: Any) -> int:
        done = int(self._real["write"](handle, data))
        if handle > 2 and (number := self._file(handle)) is not None:
            at = os.lseek(handle, 0, os.SEEK_CUR) - done
            self.add("write", number, at, bytes(data)[:done])
        return done

    def _pwrite(self, handle: int, data: Any, at: int) -> int:
        done = int(self._real["pwrite"](handle, data, at))
        if (number := self._file(handle)) is not None:
            self.add("write", number, at, bytes(data)[:done])
        return done

    def _ftruncate(self, handle: int, size: int) -> None:
        self._real["ftruncate"](handle, size)
        if (number := self._file(handle)) is not None:
            self.add("size", number, size)

    def _fsync(self, handle: int) -> None:
        self._real["fsync"](handle)
        told = self.inside(os.readlink(f"/proc/self/fd/{handle}"))
        if told is not None and (self.root / told).is_dir():
            self.add("sync_folder", told)
        elif (number := self._file(handle)) is not None:
            self.add("sync", number)

    def _fdatasync(self, handle: int) -> None:
        self._real["fdatasync"](handle)
        if (number := self._file(handle)) is not None:
            self.add("sync", number)

    def _rename(self, path: Any, target: Any) -> None:
        self._real["rename"](path, target)
        names = self.inside(path), self.inside(target)
        assert (names[0] is None) == (names[1] is None), "nothing is moved into a home or out of it"
        if names[0] is not None:
            self.add("rename", *names)

    def _unlink(self, path: Any, **options: Any) -> None:
        self._real["unlink"](path, **options)
        self._removed(path)

    def _rmdir(self, path: Any, **options: Any) -> None:
        self._real["rmdir"](path, **options)
        self._removed(path)

    def _removed(self, path: Any) -> None:
        if (told := self.inside(path)) is not None:
            self.add("remove", told)

    def _mkdir(self, path: Any, *rest: Any, **options: Any) -> None:
        self._real["mkdir"](path, *rest, **options)
        if (told := self.inside(path)) is not None:
            self.add("folder", told)


class Vfs(apsw.VFS):
    """SQLite's own way to the disk, with each change told to a log."""

    def __init__(self, log: Log, name: str) -> None:
        super().__init__(name, "")
        self.log = log

    def xOpen(self, name: Any, flags: list[int]) -> "VfsFile":
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        return VfsFile(self.log, path, name, flags)

    def xDelete(self, name: str, sync_folder: bool) -> None:
        super().xDelete(name, sync_folder)
        self.log._removed(name)
        if sync_folder:
            self.log.add("sync_folder", os.path.dirname(self.log.inside(name) or "") or ".")


class VfsFile(apsw.VFSFile):
    """One file of SQLite's."""

    def __init__(self, log: Log, path: str, name: Any, flags: list[int]) -> None:
        fresh = not os.path.exists(path)
        super().__init__("", name, flags)
        told = log.inside(path)
        assert told is not None, path
        self._log, self._folder = log, os.path.dirname(told) or "."
        self._first_sync = fresh and bool(flags[0] & apsw.SQLITE_OPEN_WAL)
        if fresh:
            log.made(told, os.stat(path).st_ino)
        self._number = log.number(os.stat(path).st_ino)

    def xWrite(self, data: Any, offset: int) -> None:
        super().xWrite(data, offset)
        self._log.add("write", self._number, offset, bytes(data))

    def xTruncate(self, size: int) -> None:
        super().xTruncate(size)
        self._log.add("size", self._number, size)

    def xSync(self, flags: int) -> None:
        super().xSync(flags)
        self._log.add("sync", self._number)
        if self._first_sync:  # SQLite syncs the folder with a new WAL
            self._log.add("sync_folder", self._folder)
            self._first_sync = False


class Cursor:
    """The part of a sqlite3 cursor that the store uses."""

    def __init__(self, names: Sequence[str], rows: list[Any]) -> None:
        self.description = [(name,) for name in names]
        self._rows = iter(rows)

    def fetchone(self) -> Any:
        return next(self._rows, None)

    def fetchall(self) -> list[Any]:
        return list(self._rows)

    def __iter__(self) -> Iterator[Any]:
        return self._rows

    def close(self) -> None: ...


class Connection:
    """The part of a sqlite3 connection that the store uses, over one of apsw's."""

    def __init__(self, inner: apsw.Connection, keep: bool) -> None:
        self._inner = inner
        self._keep = keep

    @property
    def in_transaction(self) -> bool:
        return bool(self._inner.in_transaction)

    def execute(self, sql: str, values: Sequence[Any] = ()) -> Cursor:
        cursor = self._inner.cursor()
        cursor.execute(sql, tuple(values))
        try:
            names = [about[0] for about in cursor.get_description()]
        except apsw.ExecutionCompleteError:
            names = []
        return Cursor(names, cursor.fetchall())

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        self._inner.cursor().executemany(sql, rows)

    def close(self) -> None:
        if not self._keep:
            self._inner.close()
            return
        if self._inner.in_transaction:
            self.execute("ROLLBACK")
        self.execute("PRAGMA query_only=OFF")


def patch_sqlite(patch: pytest.MonkeyPatch, log: Log, name: str, keep: bool) -> Vfs:
    """The store's connections are apsw's from now on; `keep`: one stays open, as the engine's writer does."""
    vfs = Vfs(log, name)
    kept: list[apsw.Connection] = []

    def opened() -> apsw.Connection:
        flags = apsw.SQLITE_OPEN_READWRITE
        inner = apsw.Connection(str(log.root / "state.db"), flags, vfs=name)
        for pragma in ("locking_mode=EXCLUSIVE", f"wal_autocheckpoint={CHECKPOINT_PAGES}"):
            inner.cursor().execute(f"PRAGMA {pragma}").fetchall()
        return inner

    def connect(*_: Any, **__: Any) -> Connection:
        if keep and not kept:
            kept.append(opened())
        return Connection(kept[0] if keep else opened(), keep)

    patch.setattr(sqlite3, "connect", connect)
    return vfs
