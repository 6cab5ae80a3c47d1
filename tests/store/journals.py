"""Journals for tests: made, filled, looked at and hurt."""

import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from engine.domain.instants import DAY_US
from engine.store import journal
from engine.store.journal import START, Entry, Journal, Mark
from engine.store.journal_format import OPEN, encode

NOON = 20_000 * DAY_US + DAY_US // 2
Row = tuple[str, int, dict[str, object], bytes]


@contextmanager
def opened(folder: Path, mark: Mark = START) -> Iterator[Journal]:
    with closing(Journal.open(folder, mark)[0]) as book:
        yield book


def fill(folder: Path, count: int, mark: Mark = START, first_at: int = NOON) -> list[Mark]:
    """Appends `count` commits a microsecond apart, and gives the mark after each."""
    with opened(folder, mark) as book:
        return [
            book.append(first_at + n, {"what": "ingest", "n": n}, f"rows {n} ".encode() * 5)
            for n in range(count)
        ]


def pending(folder: Path, mark: Mark) -> list[Entry]:
    book, entries = Journal.open(folder, mark)
    book.close()
    return entries


def rows(entries: Iterator[Entry]) -> list[Row]:
    return [(entry.kind, entry.at, entry.about, entry.payload) for entry in entries]


def sealed(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.journal") if path.name != OPEN)


def check_sums(folder: Path) -> bool:
    """What `sha256sum -c` says, run as an operator would."""
    done = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=folder, capture_output=True, timeout=60)
    return done.returncode == 0


def flip(path: Path, bit: int) -> None:
    """As any later process finds it: files' times may be too coarse for the one that wrote a moment ago."""
    journal._LEFT.clear()
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


def forge(folder: Path, *told: tuple[str, dict[str, object]]) -> None:
    """An open segment of well chained records (kind, about), as no journal would write them."""
    folder.mkdir(exist_ok=True)
    seq, chain, data = 0, START.chain, b""
    for kind, about in told:
        head, record = encode(seq + 1, chain, NOON, kind, about, b"")
        seq, chain, data = head.seq, head.chain, data + record
    (folder / OPEN).write_bytes(data)
