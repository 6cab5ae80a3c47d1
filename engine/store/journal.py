"""The journal: every commit's outcome in hash-chained files, on disk before the commit itself.

Owns the files of one folder and their order (a record's bytes: journal_format.py). A payload is bytes to it;
it never opens state.db and never reads the clock. Journal first, COMMIT second: after a crash the journal
leads, and what it has more is redone. A commit that failed is taken back by a further record, never by a cut.

`open.journal` is the segment being written. A record that would follow SEGMENT_BYTES_MAX bytes, or a first
record of another UTC date, seals it first: it is renamed to `<first seq>-<last seq>-<chain>.journal` (seqs of
12 digits, the first 16 hex digits of the last chain), gets its line in SHA256SUMS, and never changes again.
Bytes at the end of open.journal that are no whole record are a write that a crash cut short: nobody was told
that it was done, and opening cuts it off. Anything else that is not whole is damage, and is never mended.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import dropwhile
from pathlib import Path
from typing import Any

from engine.domain.instants import DAY_US
from engine.errors import HomeInUse, JournalBroken, StoreError
from engine.store.files import FILE_MODE, FOLDER_MODE, fsync_path, publish, sweep
from engine.store.journal_format import (
    NO_CHAIN,
    OPEN,
    SEALED,
    Gap,
    Head,
    Segment,
    encode,
    head_at,
    pieces,
    record_before,
    sealed_name,
)

LOCK_WAIT_S = 15  # the longest commit takes a few seconds; more means that something hangs
LOCK_LOOK_S = 0.02  # between two looks at a lock that another process has
SEGMENT_BYTES_MAX = 64_000_000  # hashed or copied within a second; a busy day is a few of them

SUMS, LOCK = "SHA256SUMS", "journal.lock"


@dataclass(frozen=True, slots=True)
class Mark:
    """Where the journal stood after a record: its number, the chain (64 hex), the first byte behind it."""

    seq: int
    chain: str
    segment: str
    offset: int

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Mark":
        return cls(**json.loads(text))


START = Mark(0, NO_CHAIN, "", 0)


@dataclass(frozen=True, slots=True)
class Entry:
    """One record: `at` in us, `kind` commit or abort, and the mark after it."""

    seq: int
    at: int
    kind: str
    about: dict[str, Any]
    payload: bytes
    mark: Mark


@dataclass(frozen=True, slots=True)
class Left:
    """An open.journal as this process let go of it: what the system said, its end, its first record."""

    seen: tuple[int, ...]
    mark: Mark
    first: Head


_LEFT: dict[Path, Left] = {}  # by folder


def _seen(told: os.stat_result) -> tuple[int, ...]:
    return told.st_dev, told.st_ino, told.st_size, told.st_mtime_ns, told.st_ctime_ns


class Journal:
    """The right to append, held from `open` to `close`. After an OSError it takes no more: open it again."""

    def __init__(self, folder: Path, lock: int) -> None:
        self.mark = START
        self._folder = folder
        self._lock = lock
        self._file: int | None = None  # open.journal
        self._end = 0  # its whole records' bytes
        self._first: Head | None = None  # its first record
        self._live: set[int] = set()  # commits after the opening mark that are not taken back
        self._sound = True

    @classmethod
    def open(cls, folder: Path, mark: Mark) -> tuple["Journal", list[Entry]]:
        """Waits for the folder, mends what a crash left, and gives the commits after `mark`, to be redone.

        Reads the record at the mark and those after it, not what is before; and nothing where this process
        wrote the last one and nobody has touched the file since, by its size and times. JournalBroken if the
        files do not hold the mark, or what follows it is damaged; HomeInUse after LOCK_WAIT_S.
        """
        if not folder.is_dir():
            if mark.seq:
                told = f"The journal's folder is missing, and state.db stands at its record {mark.seq}."
                raise _broken(told)
            folder.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
        journal = cls(folder, _locked(folder / LOCK, os.O_RDWR | os.O_CREAT, fcntl.LOCK_EX))
        try:
            return journal, journal._recover(mark)
        except BaseException:
            journal.close()
            raise

    def append(self, at: int, about: dict[str, Any], payload: bytes) -> Mark:
        """Adds a commit of the instant `at` (us); on disk when this returns. OSError: nothing was added."""
        mark = self._add(at, "commit", about, payload)
        self._live.add(mark.seq)
        return mark

    def abort(self, seq: int, at: int) -> Mark:
        """Takes the commit `seq` back by a further record. ValueError if it is not one that may be."""
        if seq not in self._live:
            raise ValueError(f"record {seq} is no commit after the opening mark, or is taken back already")
        mark = self._add(at, "abort", {"seq": seq}, b"")
        self._live.remove(seq)
        return mark

    def close(self) -> None:
        """Lets the next one in."""
        if self._file is not None:
            if self._sound and self._first is not None:
                _LEFT[self._folder] = Left(_seen(os.fstat(self._file)), self.mark, self._first)
            os.close(self._file)
        os.close(self._lock)

    def _is_as_left(self, mark: Mark) -> bool:
        """Goes on where this process left off, if nobody has touched open.journal since: nothing to read."""
        left = _LEFT.get(self._folder)
        if left is None or left.mark != mark:
            return False
        with contextlib.suppress(FileNotFoundError):
            self._file = os.open(self._folder / OPEN, os.O_RDWR | os.O_CLOEXEC)
            if _seen(os.fstat(self._file)) == left.seen:
                self.mark, self._end, self._first = mark, mark.offset, left.first
                return True
            os.close(self._file)
            self._file = None
        return False

    def _recover(self, mark: Mark) -> list[Entry]:
        if self._is_as_left(mark):
            return []
        with contextlib.ExitStack() as stack:
            segments = _segments(self._folder, stack)
            if not segments:
                fsync_path(self._folder.parent)
            _finish_sealing(self._folder, segments)
            later, self.mark = _from_mark(segments, mark)
            entries = list(_follow(later, self.mark))
            if entries:
                self.mark = entries[-1].mark
            if later and later[-1].name == OPEN:
                self._resume(later[-1], bool(entries))
        taken_back = {entry.about["seq"] for entry in entries if entry.kind == "abort"}
        pending = [entry for entry in entries if entry.kind == "commit" and entry.seq not in taken_back]
        self._live = {entry.seq for entry in pending}
        return pending

    def _resume(self, segment: Segment, ahead: bool) -> None:
        """Goes on in open.journal: cuts a torn tail, and makes durable what is about to be redone."""
        self._end = self.mark.offset if self.mark.segment == OPEN else 0
        self._file = os.open(segment.path, os.O_RDWR | os.O_CLOEXEC)
        with segment.reading() as (file, end):
            if end > self._end:
                os.ftruncate(self._file, self._end)
            if ahead or end > self._end:
                os.fsync(self._file)
            self._first = head_at(file, 0) if self._end else None
        if self._end and self._first is None:
            raise _broken(f"{OPEN} at 0: the first record is damaged.")

    def _add(self, at: int, kind: str, about: dict[str, Any], payload: bytes) -> Mark:
        if not self._sound:
            raise StoreError("The journal failed while it was written.", "Open it again.")
        head, record = encode(self.mark.seq + 1, self.mark.chain, at, kind, about, payload)
        self._sound = False
        if self._first is not None and (
            self._end >= SEGMENT_BYTES_MAX or self._first.at // DAY_US != at // DAY_US
        ):
            self._seal(self._first)
        self._write(record)
        self._first = self._first or head
        self._end += len(record)
        self.mark = Mark(head.seq, head.chain, OPEN, self._end)
        self._sound = True
        return self.mark

    def _seal(self, first: Head) -> None:
        """Durable under the old name, then the new name, then the line in SHA256SUMS that vouches for it."""
        assert self._file is not None
        os.fsync(self._file)
        os.close(self._file)
        self._file, self._end, self._first = None, 0, None
        name = sealed_name(first.seq, self.mark.seq, self.mark.chain)
        os.rename(self._folder / OPEN, self._folder / name)
        fsync_path(self._folder)
        _vouch(self._folder / name)

    def _write(self, record: bytes) -> None:
        if self._file is None:
            self._file = os.open(self._folder / OPEN, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        if self._first is None:
            fsync_path(self._folder)  # the name is durable before what it names
        try:
            done = 0
            while done < len(record):
                done += os.pwrite(self._file, memoryview(record)[done:], self._end + done)
            os.fdatasync(self._file)
        except BaseException:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._end)
                os.fsync(self._file)
            raise


def read(folder: Path) -> Iterator[Entry]:
    """All whole records in order, aborts and what they take back too. JournalBroken at damage."""
    with standing(folder) as (segments, _):
        yield from _follow(segments, START)


def _segments(folder: Path, stack: contextlib.ExitStack) -> list[Segment]:
    """The segments in order; open.journal stays open as long as `stack`."""
    names = sorted(filter(SEALED.fullmatch, os.listdir(folder) if folder.is_dir() else ()))
    segments = [Segment(folder, name) for name in names]
    with contextlib.suppress(FileNotFoundError):
        file = stack.enter_context((folder / OPEN).open("rb"))
        segments.append(Segment(folder, OPEN, (file, os.fstat(file.fileno()).st_size)))
    return segments


@contextlib.contextmanager
def standing(folder: Path) -> Iterator[tuple[list[Segment], bytes]]:
    """Segments and SHA256SUMS as they are between two appends; writers wait only for this look."""
    with contextlib.ExitStack() as stack:
        with contextlib.ExitStack() as locked:
            with contextlib.suppress(FileNotFoundError):  # a copy without a lock file: nobody writes there
                locked.callback(os.close, _locked(folder / LOCK, os.O_RDONLY, fcntl.LOCK_SH))
            view = _segments(folder, stack), _sums(folder)
        yield view


def _from_mark(segments: list[Segment], mark: Mark) -> tuple[list[Segment], Mark]:
    """The segments from the mark's own on, and the mark with its present name. JournalBroken without one."""
    if not mark.seq:
        return segments, mark
    segments = list(dropwhile(lambda segment: not segment.may_hold(mark.seq), segments))
    if not segments:
        raise _broken(f"The journal ends before record {mark.seq}, where state.db stands.")
    own = segments[0]
    with own.reading() as (file, _):
        record = record_before(file, mark.offset)
    if record is None:
        raise _broken(
            f"{own.name} at {mark.offset}: record {mark.seq}, where state.db stands, does not end here."
        )
    if (record.head.seq, record.head.chain) != (mark.seq, mark.chain):
        raise _broken(f"{own.name} at {mark.offset}: state.db stands in another chain than the journal's.")
    return segments, replace(mark, segment=own.name)


def _follow(segments: list[Segment], mark: Mark) -> Iterator[Entry]:
    """The records after `mark`, up to a torn tail. JournalBroken where one is damaged or does not follow."""
    for segment in segments:
        with segment.reading() as (file, end):
            for piece in pieces(file, mark.offset if mark.segment == segment.name else 0, end):
                if isinstance(piece, Gap):
                    if segment.is_torn_tail(piece, end):
                        return
                    raise _broken(segment.damage(piece, end))
                head = piece.head
                if not head.continues(mark.seq, mark.chain):
                    raise _broken(segment.stray(piece, mark.seq))
                mark = Mark(head.seq, head.chain, segment.name, piece.end)
                yield Entry(head.seq, head.at, head.kind, head.about, piece.payload, mark)


def _finish_sealing(folder: Path, segments: list[Segment]) -> None:
    """Lists the newest sealed segment in SHA256SUMS, if a crash came before that."""
    sealed = [segment for segment in segments if segment.name != OPEN]
    if sealed and f"  {sealed[-1].name}\n".encode() not in _sums(folder):
        _vouch(sealed[-1].path)


def _vouch(path: Path) -> None:
    sweep(path.parent)  # a crash in the middle of this leaves a temporary file, and brings the next one here
    publish(path.parent / SUMS, _sums(path.parent) + f"{sha256_of(path)}  {path.name}\n".encode())


def sha256_of(path: Path) -> str:
    """Of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sums(folder: Path) -> bytes:
    try:
        return (folder / SUMS).read_bytes()
    except FileNotFoundError:
        return b""


def _locked(path: Path, flags: int, mode: int) -> int:
    """A handle that has the lock. HomeInUse if another process has it for more than LOCK_WAIT_S."""
    handle = os.open(path, flags | os.O_CLOEXEC, FILE_MODE)
    try:
        for _ in range(round(LOCK_WAIT_S / LOCK_LOOK_S)):
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(handle, mode | fcntl.LOCK_NB)
                return handle
            time.sleep(LOCK_LOOK_S)
        raise HomeInUse(
            f"Another process has held this home's journal for more than {LOCK_WAIT_S} s.",
            "Wait until it has finished, or end that process; then try again.",
        )
    except BaseException:
        os.close(handle)
        raise


def _broken(told: str) -> JournalBroken:
    return JournalBroken(
        told,
        "Change nothing in the home and keep a copy of it. `navdeck journal verify` names each damaged place;"
        " a backup that verifies brings back what was committed by then.",
    )
