"""What a journal holds, by its headers alone: which commit ends where, so that it can be cut at any of them.

It never writes, and takes a journal that grows or is sealed while it looks.
"""

import contextlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.errors import JournalBroken
from engine.store.journal import Mark
from engine.store.journal_format import NO_CHAIN, OPEN, SEALED, Head, head_at

_LINE = re.compile(r"([0-9a-f]{64})  (\S+)")
_LOOKS = 5  # at a journal that is being sealed


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit that counts: `end` is the first byte behind it in its segment."""

    seq: int
    at: int
    chain: str
    segment: str
    end: int

    @property
    def mark(self) -> Mark:
        return Mark(self.seq, self.chain, self.segment, self.end)


@dataclass(frozen=True, slots=True)
class Part:
    """A segment under its own name, or (`whole` is false) the first `size` bytes of one as open.journal."""

    name: str
    path: Path
    size: int
    whole: bool


class JournalView:
    """Segments by name in their order, and the commits in them that count."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        """`files`: where each segment lies. JournalBroken where records do not follow each other."""
        names = sorted(filter(SEALED.fullmatch, files)) + ([OPEN] if OPEN in files else [])
        self._files = {name: files[name] for name in names}
        self._sizes: dict[str, int] = {}
        heads: list[tuple[str, int, Head]] = []
        for name in names:
            heads += self._heads(name, heads[-1][2] if heads else None)
        taken_back = {head.about["seq"] for _, _, head in heads if head.kind == "abort"}
        self.commits = [
            Commit(head.seq, head.at, head.chain, name, end)
            for name, end, head in heads
            if head.kind == "commit" and head.seq not in taken_back
        ]

    @classmethod
    def of(cls, folder: Path) -> "JournalView":
        """The journal in a folder; looks again if it was sealed in the meantime."""
        for _ in range(_LOOKS):
            names = _names(folder)
            with contextlib.suppress(FileNotFoundError, JournalBroken):
                view = cls({name: folder / name for name in names})
                if _names(folder) == names:
                    return view
        return cls({name: folder / name for name in _names(folder)})

    def _heads(self, name: str, before: Head | None) -> list[tuple[str, int, Head]]:
        found: list[tuple[str, int, Head]] = []
        with self._files[name].open("rb") as file:
            end, at = os.fstat(file.fileno()).st_size, 0
            while at < end:
                head = head_at(file, at)
                if head is None or at + head.length > end:
                    break
                if not head.continues(*((before.seq, before.chain) if before else (0, NO_CHAIN))):
                    raise _broken(f"{name} at {at}: record {head.seq} does not continue the one before.")
                before, at = head, at + head.length
                found.append((name, at, head))
        if at < end and name != OPEN:
            raise _broken(f"{name} at {at}: {end - at} bytes are in no whole record: damage.")
        self._sizes[name] = at
        return found

    def by(self, at: int | None, seq_last: int | None = None) -> Commit | None:
        """The last commit by an instant (None: of all) and a record number; None if there is none."""
        found = None
        for commit in self.commits:
            if (at is not None and commit.at > at) or (seq_last is not None and commit.seq > seq_last):
                break
            found = commit
        return found

    def has(self, mark: Mark) -> bool:
        """Whether a mark is one of this chain; the start always is."""
        return not mark.seq or any((one.seq, one.chain) == (mark.seq, mark.chain) for one in self.commits)

    def parts(self, last: Commit | None) -> list[Part]:
        """The segments up to and with a commit, the last one cut behind it."""
        found: list[Part] = []
        for name, path in self._files.items() if last is not None else ():
            assert last is not None
            if name != last.segment:
                found.append(Part(name, path, self._sizes[name], True))
                continue
            whole = name != OPEN and last.end == self._sizes[name]
            return [*found, Part(name if whole else OPEN, path, last.end, whole)]
        return found


def sums(data: bytes) -> dict[str, str]:
    """SHA-256 by segment, of the lines of a journal's SHA256SUMS."""
    lines = (_LINE.fullmatch(line) for line in data.decode(errors="replace").splitlines())
    return {match[2]: match[1] for match in lines if match is not None}


def sums_text(listed: Mapping[str, str]) -> bytes:
    """The SHA256SUMS of these segments."""
    return "".join(f"{sha256}  {name}\n" for name, sha256 in sorted(listed.items())).encode()


def _names(folder: Path) -> list[str]:
    names = os.listdir(folder) if folder.is_dir() else []
    return sorted(name for name in names if name == OPEN or SEALED.fullmatch(name))


def _broken(told: str) -> JournalBroken:
    return JournalBroken(told, "`navdeck journal verify` names each damaged place; a backup has its own.")
