"""How a record of the journal lies in a file, and how records are told from bytes that are none.

Owns the framing and the chain; knows no folder, writes nothing. A segment is a row of records and nothing
besides. A record, numbers big-endian:

    4 bytes   "NDJ1"
    4 bytes   h, the length of the header
    h bytes   header, JSON: {"about", "at", "bytes", "kind", "prev", "seq", "sha256"}
    32 bytes  chain: SHA-256 over prev (as 32 bytes) and the header
    n bytes   payload: n is "bytes", its SHA-256 in hex is "sha256"
    8 bytes   h + n + 48, the length of the whole record, so that it can be found from its end

seq counts from 1 through all segments; at is in microseconds UTC; prev is the chain of the record before, in
hex (64 zeros before the first). kind is "commit", or "abort": then about is {"seq": the commit taken back}.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

HEADER_BYTES_MAX = 1_000_000  # a header is small JSON; whatever claims more is none
NO_CHAIN = "0" * 64
OPEN = "open.journal"
SEALED = re.compile(r"([0-9]{12})-([0-9]{12})-[0-9a-f]{16}\.journal")
_MAGIC, _CHAIN_BYTES, _LENGTH_BYTES, _FRAME_BYTES = b"NDJ1", 32, 8, 48


@dataclass(frozen=True, slots=True)
class Head:
    """A header, the chain after it, and the length of its whole record."""

    seq: int
    at: int
    kind: str
    about: dict[str, Any]
    payload_bytes: int
    sha256: str
    prev: str
    chain: str
    length: int

    def continues(self, seq: int, chain: str) -> bool:
        return (self.seq, self.prev) == (seq + 1, chain)


@dataclass(frozen=True, slots=True)
class Record:
    """A whole record, from `start` to `end` in its segment."""

    head: Head
    payload: bytes
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Bytes of a segment that are in no whole record."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Segment:
    """A file of records; open.journal is held open with its size, since it grows and will be renamed."""

    folder: Path
    name: str
    held: tuple[BinaryIO, int] | None = None

    @property
    def path(self) -> Path:
        return self.folder / self.name

    @contextmanager
    def reading(self) -> Iterator[tuple[BinaryIO, int]]:
        """The file, and where it ends."""
        if self.held is not None:
            yield self.held
        else:
            with self.path.open("rb") as file:
                yield file, os.fstat(file.fileno()).st_size

    def may_hold(self, seq: int) -> bool:
        match = SEALED.fullmatch(self.name)
        return match is None or int(match[1]) <= seq <= int(match[2])

    def is_torn_tail(self, gap: Gap, end: int) -> bool:
        return self.name == OPEN and gap.end == end

    def damage(self, gap: Gap, end: int) -> str:
        why = "a write cut short, or damage" if self.is_torn_tail(gap, end) else "damage"
        return f"{self.name} at {gap.start}: {gap.end - gap.start} bytes are in no whole record: {why}."

    def stray(self, record: Record, seq: int) -> str:
        return f"{self.name} at {record.start}: record {record.head.seq} does not continue record {seq}."


def sealed_name(first: int, last: int, chain: str) -> str:
    """Of the segment whose records are `first` to `last`, with the chain after them."""
    return f"{first:012d}-{last:012d}-{chain[:16]}.journal"


def encode(
    seq: int, prev: str, at: int, kind: str, about: dict[str, Any], payload: bytes
) -> tuple[Head, bytes]:
    """A record and its bytes. ValueError or TypeError if `about` is no small JSON object."""
    told = {
        "seq": seq, "at": at, "kind": kind, "about": about,
        "bytes": len(payload), "sha256": hashlib.sha256(payload).hexdigest(), "prev": prev,
    }  # fmt: skip
    header = json.dumps(told, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    if len(header) > HEADER_BYTES_MAX:
        raise ValueError(f"a header of {len(header)} bytes is more than {HEADER_BYTES_MAX}")
    head = _parsed(header)
    chain, length = bytes.fromhex(head.chain), head.length.to_bytes(_LENGTH_BYTES)
    return head, b"".join((_MAGIC, len(header).to_bytes(4), header, chain, payload, length))


def head_at(file: BinaryIO, start: int) -> Head | None:
    """The header at `start` if it is sound; the file is then at the payload."""
    file.seek(start)
    begin = file.read(len(_MAGIC) + 4)
    length = int.from_bytes(begin[len(_MAGIC) :])
    if not begin.startswith(_MAGIC) or length > HEADER_BYTES_MAX:
        return None
    header, chain = file.read(length), file.read(_CHAIN_BYTES)
    try:
        head = _parsed(header)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return head if head.chain == chain.hex() else None


def record_at(file: BinaryIO, start: int, end: int) -> Record | None:
    """The whole record that begins at `start`, if there is one before `end`."""
    head = head_at(file, start)
    if head is None or start + head.length > end:
        return None
    payload, length = file.read(head.payload_bytes), file.read(_LENGTH_BYTES)
    if int.from_bytes(length) != head.length or hashlib.sha256(payload).hexdigest() != head.sha256:
        return None
    return Record(head, payload, start, start + head.length)


def record_before(file: BinaryIO, end: int) -> Record | None:
    """The whole record that ends at `end`, if there is one."""
    if end < _FRAME_BYTES:
        return None
    file.seek(end - _LENGTH_BYTES)
    start = end - int.from_bytes(file.read(_LENGTH_BYTES))
    record = record_at(file, start, end) if start >= 0 else None
    return record if record is not None and record.end == end else None


def pieces(file: BinaryIO, start: int, end: int) -> Iterator[Record | Gap]:
    """What is there from `start` to `end`: whole records, and gaps up to the next whole record or the end."""
    while start < end:
        piece = record_at(file, start, end) or Gap(start, _next_record(file, start + 1, end))
        yield piece
        start = piece.end


def _next_record(file: BinaryIO, start: int, end: int) -> int:
    """Where the first whole record at or behind `start` begins; `end` if there is none."""
    file.seek(start)
    rest = file.read(end - start)
    found = rest.find(_MAGIC)
    while found >= 0 and record_at(file, start + found, end) is None:
        found = rest.find(_MAGIC, found + 1)
    return end if found < 0 else start + found


def _parsed(header: bytes) -> Head:
    """ValueError, KeyError or TypeError if these bytes are no header."""
    told = json.loads(header)
    chain = hashlib.sha256(bytes.fromhex(told["prev"]) + header).hexdigest()
    length = len(header) + told["bytes"] + _FRAME_BYTES
    head = Head(
        told["seq"], told["at"], told["kind"], told["about"],
        told["bytes"], told["sha256"], told["prev"], chain, length,
    )  # fmt: skip
    numbers = [head.seq, head.at, head.payload_bytes]
    if head.kind == "abort":
        numbers.append(head.about["seq"])
    sound = all(isinstance(number, int) and number >= 0 for number in numbers)
    if not sound or head.kind not in ("commit", "abort") or not isinstance(head.about, dict):
        raise ValueError("no header of a record")
    return head
