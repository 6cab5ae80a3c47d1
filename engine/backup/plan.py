"""Plans a restore: what would be written where, what it reaches, why it is refused. Writes nothing.

The problem: a backup is a point, and an operator wants an instant. The state at an instant is the newest
backup whose newest commit is not after it, with the commits that the journal holds from there to the instant
done again; with no such backup, an empty state.db and the whole journal. The journal is the home's own where
it can be read (it knows what came after the last backup), else the newest backup's.

Example: backups reach 10:00 and 12:00, the journal has commits at 11:10 and 11:40. `--at 11:30` takes the
backup of 10:00 and the commit of 11:10. `--at 11:40` takes both commits, one microsecond less only the first.

Lake files are the base's. Where the commits after it change figures of a day, that day's are left behind: the
restored home lists nothing that may be wrong, and `navdeck value` makes it anew.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.backup.generator import SUFFIXES, standing
from engine.backup.journal_view import Commit, JournalView, Part
from engine.backup.layout import CONFIG, JOURNAL, STATE, File, Manifest, Ports, Shelf, is_plain, sha256_of
from engine.backup.tail import Tail
from engine.backup.tail import of as tail_of
from engine.domain.instants import format_instant
from engine.errors import BackupError, EngineError, StoreError
from engine.store.journal import START, Entry, Mark
from engine.store.journal_format import Record, pieces

MARGIN_BYTES = 64_000_000  # left free beside a restored home
MARKER = "restore.json"  # in a folder that a restore has begun and not finished
TEMPORARY = "state.db.part"


@dataclass(frozen=True, slots=True)
class Copy:
    """One file to write: `path` below the new home, from a file of these bytes."""

    path: str
    source: Path
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a restore will do, and all that it needs to know. `reached`: the last commit's instant, in us."""

    to: Path
    base: Manifest | None
    at: int | None
    last: Commit | None
    mark: Mark
    reached: int | None
    home: dict[str, str]
    copies: tuple[Copy, ...]
    journal: tuple[Part, ...]
    tail: Tail
    free_bytes: int
    refusals: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def bytes(self) -> int:
        return sum(copy.bytes for copy in self.copies) + sum(part.size for part in self.journal)

    @property
    def digest(self) -> str | None:
        """What the restored home's must be, where that is known before."""
        return self.base.digest["digest"] if self.base is not None and not self.tail.commits else None

    def told(self) -> dict[str, Any]:
        """As `backup restore --dry-run --json`."""
        return {
            "to": str(self.to), "base": None if self.base is None else self.base.id,
            "at": None if self.at is None else format_instant(self.at),
            "reached": None if self.reached is None else format_instant(self.reached),
            "records": self.mark.seq, "commits_redone": self.tail.commits,
            "files": len(self.copies) + len(self.journal), "bytes": self.bytes, "free_bytes": self.free_bytes,
            "digest": self.digest, "missing": list(self.missing), "refusals": list(self.refusals),
        }  # fmt: skip


@dataclass(slots=True)
class Sources:
    """Where a restore may take from: the shelf, and the home if it is there. `journal`: what was chosen."""

    shelf: Shelf
    home: Path | None
    apart: Sequence[Path]
    journal: dict[str, Path] = field(default_factory=dict)
    view: JournalView = field(default_factory=lambda: JournalView({}))


def plan_backup(
    shelf: Shelf, name: str, to: Path, home: Path | None, ports: Ports, apart: Sequence[Path] = ()
) -> Plan:
    """To bring back one backup. BackupError if there is none of this name, or it is no good.

    `apart`: folders that the new one must neither be in nor hold.
    """
    base = shelf.manifest(name)
    sources = Sources(shelf, home, apart)
    _choose_journal(sources, base)
    return _planned(sources, base, None, sources.view.by(None, base.mark.seq), to, ports)


def plan_instant(
    shelf: Shelf, at: int, to: Path, home: Path | None, ports: Ports, apart: Sequence[Path] = (),
    alone: bool = False,
) -> Plan:  # fmt: skip
    """To bring back what was committed by an instant. `alone`: from the journal, without a base."""
    sources = Sources(shelf, home, apart)
    newest = next(shelf.manifests(), None)
    seq_last = _choose_newest(sources, newest, at)
    last = sources.view.by(at, seq_last)
    base = None if alone else next(
        (each for each in shelf.manifests() if each.reached <= at and sources.view.has(each.mark)), None
    )  # fmt: skip
    return _planned(sources, base, at, last, to, ports)


def _choose_journal(sources: Sources, backup: Manifest) -> None:
    folder = f"{JOURNAL}/"
    sources.journal = {
        file.path.removeprefix(folder): sources.shelf.object(file.sha256)
        for file in backup.files
        if file.path.startswith(folder)
    }
    try:
        sources.view = JournalView(sources.journal)
    except OSError as error:
        raise BackupError(
            f"Backup {backup.id} lacks a part of its journal: {error.strerror}.", "Use another backup."
        ) from None


def _choose_newest(sources: Sources, newest: Manifest | None, at: int) -> int | None:
    """The home's own journal, up to where its state.db stands, or that of the newest backup.

    The backup's where the home's cannot be read, and for what the backup reaches by itself.
    """
    live: EngineError | None = None
    if sources.home is not None and (sources.home / JOURNAL).is_dir():
        try:
            sources.view = JournalView.of(sources.home / JOURNAL)
            return _live_mark(sources.home)
        except StoreError as error:
            live = error
    if newest is None or (live is not None and newest.reached < at):
        nothing = BackupError("There is nothing to restore from.", "`navdeck backup create` makes one.")
        raise live or nothing
    _choose_journal(sources, newest)
    return newest.mark.seq


def _live_mark(home: Path) -> int | None:
    """What state.db has is what was committed; where it is lost, all that the journal has."""
    try:
        return standing(home / STATE).mark.seq
    except Exception:  # whatever became of the database, the journal is there for just this
        return None


def _planned(
    sources: Sources, base: Manifest | None, at: int | None, last: Commit | None, to: Path, ports: Ports
) -> Plan:
    first = base.mark.seq if base is not None else 0
    tail = tail_of(_entries(sources.view, last, first), first, last.seq if last else 0)
    copies, missing = _copies(sources, base, tail)
    reached = last.at if last is not None and last.seq > first else base.reached if base is not None else None
    plan = Plan(
        to, base, at, last, last.mark if last else START, reached, _fixed(sources, base), tuple(copies),
        tuple(sources.view.parts(last)), tail, ports.free_bytes(_existing(to)), (), tuple(missing),
    )  # fmt: skip
    refusals = tuple(_refusals(plan, sources))
    return Plan(**{name: getattr(plan, name) for name in Plan.__slots__} | {"refusals": refusals})


def _entries(view: JournalView, last: Commit | None, first: int) -> Iterator[Entry]:
    """The records behind a number, up to a commit. A damaged one is missing here, and found while redoing."""
    for part in view.parts(last) if last is not None and last.seq > first else ():
        if part.whole and int(part.name.split("-")[1].removesuffix(".journal")) <= first:
            continue
        with part.path.open("rb") as file:
            for piece in pieces(file, 0, part.size):
                if isinstance(piece, Record) and piece.head.seq > first:
                    head = piece.head
                    mark = Mark(head.seq, head.chain, part.name, piece.end)
                    yield Entry(head.seq, head.at, head.kind, head.about, piece.payload, mark)


def _copies(sources: Sources, base: Manifest | None, tail: Tail) -> tuple[list[Copy], list[str]]:
    """Files to copy, state.db among them; and source files that are nowhere any more."""
    shelf, home = sources.shelf, sources.home
    listed = [file for file in base.files if not file.path.startswith(f"{JOURNAL}/")] if base else []
    copies = [_copy(shelf, file) for file in listed]
    known = {file.sha256 for file in listed}
    missing = [path for path, _ in base.left_out if path.startswith("archive/")] if base else []
    for sha256, (status, size) in sorted(tail.sources.items()):
        if status != "rejected" and sha256 not in known:
            found = _source_file(shelf, home, sha256, size)
            copies += [found] if found else []
            missing += [] if found else [f"archive/{sha256[:2]}/{sha256}"]
    if CONFIG not in {copy.path for copy in copies} and (found := _settings(sources)):
        copies.append(found)
    return copies, missing


def _copy(shelf: Shelf, file: File) -> Copy:
    return Copy(file.path, shelf.object(file.sha256), file.bytes, file.sha256)


def _source_file(shelf: Shelf, home: Path | None, sha256: str, size: int) -> Copy | None:
    """A source file that came after the base: from a later backup, else from the home's archive."""
    for suffix in SUFFIXES:
        path = f"archive/{sha256[:2]}/{sha256}{suffix}"
        if home is not None and is_plain(home / path):
            return Copy(path, home / path, (home / path).stat().st_size, sha256)
    for manifest in shelf.manifests():
        for file in manifest.files:
            if file.sha256 == sha256 and shelf.holds(file):
                return _copy(shelf, file)
    return None


def _settings(sources: Sources) -> Copy | None:
    """navdeck.toml for a home that is made from the journal alone."""
    newest = next(sources.shelf.manifests(), None)
    for file in newest.files if newest is not None else ():
        if file.path == CONFIG:
            return _copy(sources.shelf, file)
    path = sources.home / CONFIG if sources.home is not None else None
    if path is None or not path.is_file():
        return None
    return Copy(CONFIG, path, path.stat().st_size, sha256_of(path))


def _fixed(sources: Sources, base: Manifest | None) -> dict[str, str]:
    """What was fixed when the home was made."""
    if base is not None:
        return base.home
    newest = next(sources.shelf.manifests(), None)
    if newest is not None:
        return newest.home
    assert sources.home is not None
    return standing(sources.home / STATE).home


def _existing(path: Path) -> Path:
    """The nearest folder above that is there."""
    while not path.exists():
        path = path.parent
    return path


def _refusals(plan: Plan, sources: Sources) -> Iterator[str]:
    """Every reason not to do it."""
    to = plan.to
    if to.is_symlink() or (to.exists() and not to.is_dir()):
        yield f"{to} is not a folder."
    elif to.is_dir() and os.listdir(to) and not (to / MARKER).is_file():
        yield f"{to} is not empty. A restore goes into a new folder, never over anything."
    for other in sources.apart:
        if _nested(to.resolve(), other.resolve()):
            yield f"{to} is in {other}, or holds it. Choose a folder beside."
            break
    if plan.free_bytes < plan.bytes + MARGIN_BYTES:
        yield f"{plan.free_bytes:,} bytes are free; {plan.bytes + MARGIN_BYTES:,} are needed."
    if plan.base is not None and plan.mark.seq < plan.base.mark.seq:
        yield f"The journal does not reach record {plan.base.mark.seq}, where backup {plan.base.id} stands."
    for copy in plan.copies:
        if not is_plain(copy.source) or copy.source.stat().st_size != copy.bytes:
            yield f"{copy.path}: its bytes are not there, or are not {copy.bytes:,}."


def _nested(one: Path, other: Path) -> bool:
    return one == other or one in other.parents or other in one.parents
