"""Homes with a history of commits and backups, and what was true after each commit."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.backup.layout import Shelf
from engine.domain.instants import HOUR_US, format_instant
from engine.runtime import backups
from tests.runtime.deck import NOW, PRICE_COLUMNS, Deck, Row, bar, buy, to_csv

STEP_US = 7 * HOUR_US  # between commits: backups of several local dates, journal segments of several days


@dataclass
class Vault:
    """A deck whose clock stands where it is put. `truth`: (instant of a commit, digest from then on)."""

    deck: Deck
    now: int = NOW
    truth: list[tuple[int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.deck.clock = lambda: self.now
        self.truth.append((0, self.deck.fingerprint()))

    @property
    def shelf(self) -> Shelf:
        return Shelf(self.deck.home.backups)

    def take(self, name: str, rows: list[Row], columns: tuple[str, ...] | None = None) -> None:
        """Ingests one file at the next step of the clock, and remembers what is true since."""
        self.now += STEP_US
        data = to_csv(rows) if columns is None else to_csv(rows, columns)
        self.deck.ingest(self.deck.file(name, data))
        ((committed_at,),) = self.deck.sql("SELECT max(committed_at) FROM files")
        self.truth.append((committed_at, self.deck.fingerprint()))

    def value(self) -> None:
        self.now += STEP_US
        self.deck.value(resolution="1d")

    def create(self) -> dict[str, Any]:
        return self.act("create")

    def act(self, name: str, **arguments: Any) -> dict[str, Any]:
        """A backup job at the next second."""
        self.now += 1_000_000
        return backups.ACTS[f"backup_{name}"](str(self.deck.path), self.now, arguments)

    def restored(self, to: str = "restored", **arguments: Any) -> Deck:
        """A restore beside the home."""
        folder = self.deck.path.parent / to
        self.act("restore", to=str(folder), **arguments)
        return Deck(folder, lambda: self.now)

    def digest_at(self, instant: int) -> str:
        """What was true then."""
        return [digest for at, digest in self.truth if at <= instant][-1]


def history(deck: Deck, files: int = 6) -> Vault:
    """Files of every kind over some days, values in the midst of them, and two backups."""
    vault = Vault(deck)
    days = [bar(bucket_close=f"2025-03-{day:02d}T00:00:00Z", close=str(90 + day)) for day in range(2, 9)]
    vault.take("prices.csv", days, PRICE_COLUMNS)
    for number in range(files):
        out = {"action": "TRANSFER_OUT", "unit_price_usd": "", "tx_hash": f"0x{number}"}
        rows = [buy(external_id=f"t-{number}-{n}", quantity=f"{n + 1}.5") for n in range(4)]
        rows += [buy(timestamp="2025-03-04T00:00:00Z", quantity="0.5", **out), buy(account="")]
        vault.take(f"tx-{number}.csv", rows)
        if number in (1, 3):
            vault.value()
            vault.create()
    return vault


def tree(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below a folder."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(folder)), path.read_bytes()


def flip(path: Path, bit: int) -> None:
    """Changes one bit of a file in place."""
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    os.chmod(path, 0o600)
    path.write_bytes(bytes(data))


def told(us: int) -> str:
    return format_instant(us)
