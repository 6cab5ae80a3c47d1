"""The calls by which engine code changes a disk, put where a test can see them or make them fail.

Buffered files and sendfile are made to write through os.write, so that the functions of os are all there is;
what SQLite writes goes past them.
"""

import builtins
import io
import os
from typing import Any

import pytest

CALLS = ("open", "write", "pwrite", "ftruncate", "fsync", "fdatasync", "rename", "unlink", "mkdir", "rmdir")
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
    return io.BufferedWriter(_Raw(handle, "wb"))


def _sendfile(out: int, source: int, offset: int, count: int) -> int:
    return os.write(out, os.pread(source, count, offset))
