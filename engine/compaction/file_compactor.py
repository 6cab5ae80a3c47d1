"""What is to be done to the lake's files, planned from the catalogue and shown before it is done.

The problem. Values are made again and again: each time files are replaced, and those that were replaced stay
on the disk, since somebody may be reading them. A crash leaves files that nobody ever listed. And a file is
written fast when its day is new, and read for years after.

A worked example, grace 60 minutes, a day cold after 7, now 2025-03-20T12:00:

    file                                      state                  step
    5m/dt=2025-03-10/asset_id=BTC/aa….parquet  live, as it was sealed  re-encode: the day is cold
    5m/dt=2025-03-10/asset_id=BTC/bb….parquet  live, the same day      merge with the one above
    5m/dt=2025-03-19/asset_id=BTC/cc….parquet  live                    nothing: the day is not cold
    5m/dt=2025-03-18/asset_id=BTC/dd….parquet  dead since 10:30        sweep dead: nobody reads it any more
    5m/dt=2025-03-18/asset_id=BTC/ee….parquet  dead since 11:30        nothing: within its grace
    5m/dt=2025-03-18/asset_id=BTC/ff….parquet  in no catalogue         sweep orphans: nobody ever listed it

The rules. A partition of several live files becomes one. A cold partition is rewritten once, however it turns
out; one of few rows is mostly its footer, and is let be. What is rewritten holds the same rows: its content
digest is made anew from the bytes that will be written, and must be the digest of its sources. Only what
was planned is done, and of that only what still stands when its turn comes.

Refused: a source that is not what the catalogue says. It is left as it is, and told.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import batched
from typing import Any, Protocol

ROWS_MIN = 32  # below this a file is mostly its footer
FILES_AT_ONCE = {"DEFAULT": 512, "LOW_RAM": 128}  # rewritten between two commits: what a kill can cost
SWEPT_AT_ONCE = 5_000
ROWS_AT_ONCE = 16_000  # decoded together, some 30 MB; a partition that has more is alone
ROW_BYTES = 320  # of one decoded row: 5 decimals, 3 instants, 10 short texts
COPIES = 6  # of a partition's rows at worst: read, joined, as text twice, to be encoded, read back
MERGE, REENCODE, DEAD, ORPHANS = "merge", "re-encode", "sweep dead", "sweep orphans"


@dataclass(frozen=True, slots=True)
class Listed:
    """A file of the catalogue. `dead_at`: in microseconds, or None while it is live."""

    path: str
    resolution: str
    dt: str
    asset: str
    rows: int
    bytes: int
    generation: int
    dead_at: int | None


@dataclass(frozen=True, slots=True)
class Rules:
    """`dead_before`: files that were dead by then (us) are swept; `cold_before`: days before it are cold."""

    dead_before: int
    cold_before: str
    profile: str


@dataclass(frozen=True, slots=True)
class Step:
    """One kind of work. `groups`: the paths of each file that is to be made, or of each that is to go."""

    what: str
    why: str
    groups: tuple[tuple[str, ...], ...]
    files: int
    bytes: int
    peak_bytes: int = 0

    def told(self) -> dict[str, Any]:
        """As JSON, without the paths."""
        return {
            "what": self.what, "why": self.why, "files": self.files, "bytes": self.bytes,
            "peak_bytes": self.peak_bytes,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps that have work, in the order in which they are done."""

    profile: str
    steps: tuple[Step, ...]

    @property
    def peak_bytes(self) -> int:
        """What the largest piece takes beside a worker that does nothing: an estimate from above."""
        return max((step.peak_bytes for step in self.steps), default=0)

    def step(self, what: str) -> tuple[tuple[str, ...], ...]:
        """The groups of one kind of work."""
        return next((step.groups for step in self.steps if step.what == what), ())


def plan(listed: Iterable[Listed], orphans: Iterable[tuple[str, int]], rules: Rules) -> Plan:
    """What there is to do. `orphans`: (path, bytes) of files that the catalogue does not know."""
    live: dict[tuple[str, str, str], list[Listed]] = defaultdict(list)
    dead: list[Listed] = []
    for file in listed:
        if file.dead_at is None:
            live[file.resolution, file.dt, file.asset].append(file)
        elif file.dead_at <= rules.dead_before:
            dead.append(file)
    several = [files for files in live.values() if len(files) > 1]
    cold = [files for files in live.values() if len(files) == 1 and _is_cold(files[0], rules)]
    steps = (
        _rewriting(MERGE, "a partition has several files", several),
        _rewriting(REENCODE, f"days before {rules.cold_before} are cold", cold),
        _going(DEAD, "replaced, and nobody reads them any more", [(file.path, file.bytes) for file in dead]),
        _going(ORPHANS, "a crash left them; no catalogue lists them", orphans),
    )
    return Plan(rules.profile, tuple(step for step in steps if step.files))


def _is_cold(file: Listed, rules: Rules) -> bool:
    return file.generation == 0 and file.rows >= ROWS_MIN and file.dt < rules.cold_before


def _rewriting(what: str, why: str, groups: list[list[Listed]]) -> Step:
    """In the order of their days, so that what is read together is rewritten together."""
    ordered = sorted((sorted(group, key=lambda file: file.path) for group in groups), key=_place)
    peak = max((sum(map(peak_bytes, batch)) for batch in batches(ordered)), default=0)
    files = [file for group in ordered for file in group]
    paths = tuple(tuple(file.path for file in group) for group in ordered)
    return Step(what, why, paths, len(files), sum(file.bytes for file in files), peak)


def _place(group: Sequence[Listed]) -> tuple[str, str, str]:
    return group[0].resolution, group[0].dt, group[0].asset


def _going(what: str, why: str, files: Iterable[tuple[str, int]]) -> Step:
    found = sorted(files)
    return Step(what, why, tuple((path,) for path, _ in found), len(found), sum(size for _, size in found))


def peak_bytes(group: Iterable[Listed]) -> int:
    """What rewriting a partition takes, from above."""
    return sum(file.rows * ROW_BYTES * COPIES + 2 * file.bytes for file in group)


class Counted(Protocol):
    """A file whose rows were counted."""

    @property
    def rows(self) -> int: ...


def batches[File: Counted](groups: Iterable[Sequence[File]]) -> Iterator[list[Sequence[File]]]:
    """The groups to read at once: of so many rows together, or one."""
    batch: list[Sequence[File]] = []
    rows = 0
    for group in groups:
        size = sum(file.rows for file in group)
        if batch and rows + size > ROWS_AT_ONCE:
            yield batch
            batch, rows = [], 0
        batch.append(group)
        rows += size
    if batch:
        yield batch


def chunks(plan: Plan) -> Iterator[list[list[str]]]:
    """The groups to rewrite, as many at a time as one commit may hold."""
    groups = [*plan.step(MERGE), *plan.step(REENCODE)]
    for some in batched(groups, FILES_AT_ONCE[plan.profile]):
        yield [list(group) for group in some]


@dataclass(frozen=True, slots=True)
class Source:
    """A file's bytes, and what the catalogue says of its rows."""

    data: bytes
    rows: int
    content: str


@dataclass(frozen=True, slots=True)
class Codec:
    """How rows are read from bytes, joined, told apart by content, and written for cold days.

    `read` takes many files at once, with their rows: one by one, opening each takes longer than its rows.
    """

    read: Callable[[Sequence[bytes], Sequence[int]], list[tuple[Any, str]]]
    join: Callable[[Sequence[Any]], Any]
    content: Callable[[Any], str]
    encode: Callable[[Any], bytes]


@dataclass(frozen=True, slots=True)
class Remade:
    """The bytes of one partition as they are to be written, and the digest of its rows."""

    data: bytes
    content: str
    rows: int


def remake(groups: Sequence[Sequence[Source]], codec: Codec) -> list[Remade | None]:
    """One file of each group's sources; None where one of them is not what was written.

    The digests are of the bytes that will be written, read back. AssertionError if they hold other rows.
    """
    sources = [source for group in groups for source in group]
    read = iter(codec.read([source.data for source in sources], [source.rows for source in sources]))
    wholes: list[tuple[Any, str] | None] = []
    for group in groups:
        found = [next(read) for _ in group]
        sound = [content for _, content in found] == [source.content for source in group]
        wholes.append(_joined(found, codec) if sound else None)
    kept = [whole for whole in wholes if whole is not None]
    written = [codec.encode(rows) for rows, _ in kept]
    back = codec.read(written, [len(rows) for rows, _ in kept])
    assert [content for _, content in back] == [content for _, content in kept], "what is written is the rows"
    made = (Remade(data, content, len(rows)) for data, (rows, content) in zip(written, kept, strict=True))
    return [None if whole is None else next(made) for whole in wholes]


def _joined(found: list[tuple[Any, str]], codec: Codec) -> tuple[Any, str]:
    if len(found) == 1:
        return found[0]
    rows = codec.join([rows for rows, _ in found])
    return rows, codec.content(rows)
