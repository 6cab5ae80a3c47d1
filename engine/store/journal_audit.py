"""The journal read whole and judged: each damaged byte named by segment and offset. It changes nothing."""

import re
from dataclasses import dataclass
from pathlib import Path

from engine.store.journal import START, SUMS, Mark, sha256_of, standing
from engine.store.journal_format import OPEN, SEALED, Gap, Head, Record, Segment, pieces, sealed_name

_SUM = re.compile(rf"([0-9a-f]{{64}})  ({SEALED.pattern})\n")


@dataclass(frozen=True, slots=True)
class Report:
    """What `verify` found; sound if there are no problems. Instants in us, None without records."""

    segments: int
    records: int
    aborted: int
    bytes: int
    first_at: int | None
    last_at: int | None
    problems: list[str]
    head: Mark


def verify(folder: Path) -> Report:
    """Reads every byte and names each problem by segment and offset; changes nothing.

    Finds every changed byte, but not the loss of whole records at the end: compare `head` with the mark that
    state.db holds. HomeInUse if a writer holds the folder for too long.
    """
    audit = _Audit()
    with standing(folder) as (segments, sums):
        listed = audit.listed(sums)
        for segment in segments:
            audit.segment(segment, listed.pop(segment.name, None))
    names = (path.name for path in sorted(folder.glob("*.journal")))
    strange = [name for name in names if name != OPEN and not SEALED.fullmatch(name)]
    audit.problems += [f"{SUMS} at {at}: {name} is not here." for name, (at, _) in listed.items()]
    audit.problems += [f"{name} at 0: this is no name of a segment." for name in strange]
    return audit.report(len(segments))


class _Audit:
    """What `verify` has seen so far."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._mark = START
        self._lost = False  # behind damage, where the next record cannot continue what was before
        self._first = 0  # seq of the segment's first record
        self._records = self._bytes = 0
        self._instants: tuple[int, int] | tuple[None, None] = (None, None)
        self._aborts: set[int] = set()
        self._taken_back: set[int] = set()

    def report(self, segments: int) -> Report:
        first_at, last_at = self._instants
        counts = (segments, self._records, len(self._taken_back), self._bytes)
        return Report(*counts, first_at, last_at, self.problems, self._mark)

    def listed(self, sums: bytes) -> dict[str, tuple[int, str]]:
        """Offset and SHA-256 by segment, of the sound lines of SHA256SUMS."""
        found: dict[str, tuple[int, str]] = {}
        offset = 0
        for line in re.findall(rb"[^\n]*\n|[^\n]+", sums):
            match = _SUM.fullmatch(line.decode(errors="replace"))
            if match is None or match[2] in found:
                self.problems.append(f"{SUMS} at {offset}: the line is damaged.")
            else:
                found[match[2]] = offset, match[1]
            offset += len(line)
        return found

    def segment(self, segment: Segment, listed: tuple[int, str] | None) -> None:
        self._first = 0
        with segment.reading() as (file, end):
            self._bytes += end
            for piece in pieces(file, 0, end):
                if isinstance(piece, Gap):
                    self._lost = True
                    self.problems.append(segment.damage(piece, end))
                else:
                    self._record(segment, piece)
        if segment.name != OPEN:
            self._sealed(segment, listed)

    def _record(self, segment: Segment, record: Record) -> None:
        head = record.head
        if not self._lost and not head.continues(self._mark.seq, self._mark.chain):
            self.problems.append(segment.stray(record, self._mark.seq))
        self._lost = False
        if head.kind == "abort":
            self._abort(f"{segment.name} at {record.start}", head)
        self._mark = Mark(head.seq, head.chain, segment.name, record.end)
        self._first = self._first or head.seq
        self._records += 1
        self._instants = (head.at if self._instants[0] is None else self._instants[0], head.at)

    def _abort(self, place: str, head: Head) -> None:
        target = head.about["seq"]
        if not 0 < target < head.seq or target in self._aborts | self._taken_back:
            self.problems.append(f"{place}: takes back {target}, which is no commit that still counts.")
        self._aborts.add(head.seq)
        self._taken_back.add(target)

    def _sealed(self, segment: Segment, listed: tuple[int, str] | None) -> None:
        if segment.name != sealed_name(self._first, self._mark.seq, self._mark.chain):
            self.problems.append(f"{segment.name} at 0: the records in it are not those of its name.")
        if listed is None:
            self.problems.append(f"{segment.name} at 0: {SUMS} does not list it.")
        elif listed[1] != sha256_of(segment.path):
            self.problems.append(f"{segment.name} at 0: its SHA-256 is not that of {SUMS} at {listed[0]}.")
