"""The calls by which engine code changes a disk, put where a test can see them or make them fail.

Buffered files and sendfile are made to write through os.write, so that the functions of os are all there is;
what SQLite writes goes past them.
"""

import builtins
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CALLS = ("open", "write", "pwrite", "ftruncate", "fsync", "fdatasync", "rename", "unlink", "mkdir", "rmdir")
POWER = 0  # in place of an errno
_FREEING = ("unlink", "rmdir", "ftruncate")  # a full disk lets these pass
_WRITING = os.O_WRONLY | os.O_RDWR
_real_open = builtins.open


class _Raw(io.FileIO):
    def write(self, data: Any) -> int:
        return os.write(self.fileno(), data)


def write_through_os(patch: pytest.MonkeyPatch) -> None:
    """Files opened for writing bytes write by os.write from now on."""
    patch.setattr(builtins, "open", _open)
    patch.setattr(os, "sendfile", _sendfile)


def is_writing(flags: int) -> bool:
    """Whether an os.open with these flags could change the disk."""
    return bool(flags & (_WRITING | os.O_CREAT))


def _open(file: Any, mode: str = "r", *rest: Any, **options: Any) -> Any:
    if mode not in ("wb", "xb"):
        return _real_open(file, mode, *rest, **options)
    exclusive = os.O_EXCL if mode == "xb" else os.O_TRUNC
    flags = os.O_WRONLY | os.O_CREAT | exclusive | os.O_CLOEXEC
    handle = file if isinstance(file, int) else os.open(file, flags, 0o666)
    return io.BufferedWriter(_Raw(handle, "wb", closefd=options.get("closefd", True)))


def _sendfile(out: int, source: int, offset: int, count: int) -> int:
    return os.write(out, os.pread(source, count, offset))


class PowerCut(BaseException):
    """Ends everything at once."""


class Faults:
    """Makes the Nth changing call on files below `root` fail, and `onward` all after it; counts them.

    `code`: an errno; with POWER everything ends there, and nothing at all can be changed any more.
    """

    def __init__(self, root: Path, number: int, code: int, onward: bool = False) -> None:
        self.root, self.number, self.code = root, number, code
        self.onward = onward or code == POWER
        self.calls: list[str] = []

    def install(self, patch: pytest.MonkeyPatch) -> None:
        write_through_os(patch)
        for name in CALLS:
            patch.setattr(os, name, self._limited(name, getattr(os, name)))

    def _limited(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def act(first: Any, *rest: Any, **options: Any) -> Any:
            if self._counts(name, first, rest):
                self.calls.append(name)
                if self._fails(name, len(self.calls)):
                    if self.code == POWER:
                        raise PowerCut
                    where = () if isinstance(first, int) else (first,)
                    raise OSError(self.code, os.strerror(self.code), *where)
            return call(first, *rest, **options)

        return act

    def _fails(self, name: str, asked: int) -> bool:
        if asked == self.number:
            return True
        return self.onward and asked > self.number and (self.code == POWER or name not in _FREEING)

    def _counts(self, name: str, first: Any, rest: tuple[Any, ...]) -> bool:
        if name == "open" and not is_writing(rest[0]):
            return False
        path = Path(os.readlink(f"/proc/self/fd/{first}") if isinstance(first, int) else first)
        if self.code == POWER and path.name == "navdeck.lock":
            return False  # this process goes on, and would keep the lock that a dead one loses
        return path.is_relative_to(self.root)
