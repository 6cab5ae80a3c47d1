"""One source file, from its bytes to committed rows. Runs in a worker, which has the turn to write.

A file is opened once, without following links and without waiting for a writer, judged whole (a bad file
is refused before anything of it is stored), then row by row against the store. A CSV is one transaction:
its row in `files`, its rows, its quarantine and its names appear together or not at all. A Parquet file may
be far larger than memory: it is taken window by window, each one transaction, and `files.rows` says how far
it got, so that a crash costs one window at most.
"""

import hashlib
import os
import stat
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, replace
from io import BufferedReader
from pathlib import Path
from typing import Any

import polars as pl

from engine.config import WINDOW_ROWS
from engine.domain.transactions import Action
from engine.errors import StoreIntegrity
from engine.ingestion.csv_processor import BadFile, Parsed, parse_csv, parse_parquet
from engine.runtime.executors import REPORT_EVERY_S, report
from engine.runtime.home import Home
from engine.runtime.inbox import finish, put_back
from engine.runtime.puts import Puts, codes, observations, quarantined, transactions, with_keys
from engine.runtime.rejected import set_aside
from engine.runtime.spans import Span, joined_spans
from engine.runtime.taken import COUNTS, Source, Taken, when
from engine.runtime.telemetry.spans import committing, span, trace_id
from engine.runtime.touched import joined, touched_assets, touched_span
from engine.store.commit import transaction
from engine.store.files import FILE_MODE, fsync_path, make_folder, publish
from engine.store.reader import Reader
from engine.store.troubles import writable

CSV_BYTES_MAX = 10_000_000  # bytes; a CSV larger than this is to be split
PARQUET_BYTES_MAX = 1_000_000_000  # bytes
CHUNK_BYTES = 1 << 20  # bytes copied at a time


@dataclass(frozen=True, slots=True)
class _Task:
    """What is asked for. `keep`: store it, else only judge it."""

    home: Home
    now_us: int
    batch_rows: int
    keep: bool
    window_rows: int


@dataclass(frozen=True, slots=True)
class _Read:
    """A file that was read and not yet stored. `found`: None for one that is read in windows.

    `look`: inode, size and time when it was opened.
    """

    source: Source
    about: Taken
    found: Parsed | BadFile | Taken | None
    data: bytes = b""
    look: tuple[int, ...] = ()


def take_files(
    home_path: str, sources: list[Source], now_us: int, batch_rows: int, keep: bool, window_rows: int = 0
) -> list[Taken]:
    """Takes one file after another; the next is read and parsed while one is being stored.

    Unless it is a dry run, reports file_started, file_progress and file_done, with the seconds it took. A
    claimed file that is still being written goes back to the inbox and has no verdict. OSError or StoreError
    if the disk will not: files reported done are done, the others untouched. `window_rows`: of a large file,
    if not WINDOW_ROWS.
    """
    task = _Task(Home(Path(home_path)), now_us, batch_rows, keep, window_rows or WINDOW_ROWS)
    done: list[Taken] = []
    started_s = time.perf_counter()
    with writable(), ThreadPoolExecutor(1, thread_name_prefix="read") as reading:
        context = copy_context()  # the piece of work that this is part of

        def read_next(source: Source) -> Future[_Read]:
            return reading.submit(context.run, _read, source, task)

        coming = deque(read_next(source) for source in sources[:1])
        for at, source in enumerate(sources):
            begun_s = time.perf_counter()
            if keep:
                report("file_started", {"name": _told(source.name)})
            read = coming.popleft().result()
            coming.extend(read_next(following) for following in sources[at + 1 : at + 2])
            if source.claimed and _changed(read):
                put_back(Path(source.path), task.home.inbox)
                continue
            with span("file", name=read.about.name) as step:
                done.append(_store(read, task))
                step.attributes |= _facts(done[-1])
                if keep:
                    took = when(now_us, started_s, begun_s)
                    report("file_done", took | done[-1].answer())
    return done


def _facts(taken: Taken) -> dict[str, Any]:
    """What the step of a file says of it."""
    return {name: getattr(taken, name) for name in ("sha256", "status", "kind", "reason", *COUNTS)}


def _changed(read: _Read) -> bool:
    """Whether somebody still writes into a file that was taken for complete."""
    return bool(read.look) and read.look != _look(os.lstat(read.source.path))


def _look(about: os.stat_result) -> tuple[int, ...]:
    return about.st_ino, about.st_size, about.st_mtime_ns


def _read(source: Source, task: _Task) -> _Read:
    """Opens a file once, hashes it and, if it is a CSV, parses it. Stores nothing."""
    with span("read", name=_told(source.name)) as step:
        read = _opened_once(source, task)
        step.attributes["bytes"] = read.about.bytes
        return read


def _opened_once(source: Source, task: _Task) -> _Read:
    name = _told(source.name)
    shown = str(task.home.inbox / name) if source.claimed else _told(source.path)  # where it came from
    about = Taken(shown, name, None, 0, "ingested")
    mode = os.lstat(source.path).st_mode
    if not stat.S_ISREG(mode):  # nothing but a regular file is ever opened
        detail = "a symbolic link" if stat.S_ISLNK(mode) else "a folder, pipe, socket or device"
        return _Read(source, about, BadFile("FILE_NOT_REGULAR", detail))
    with _opened(source) as file:
        look = _look(os.fstat(file.fileno()))
        about = replace(about, bytes=look[1])
        parquet = name.lower().endswith(".parquet")
        limit = PARQUET_BYTES_MAX if parquet else CSV_BYTES_MAX
        if about.bytes > limit:
            about = replace(about, sha256=hashlib.file_digest(file, "sha256").hexdigest())
            bad = BadFile("FILE_TOO_LARGE", f"{about.bytes:,} bytes; at most {limit:,}")
            return _Read(source, about, _seen(about, task) or bad, look=look)
        if parquet:
            return _Read(source, about, None, look=look)
        data = file.read()  # once: what is hashed, judged and archived are the same bytes
    about = replace(about, sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))
    return _Read(source, about, _seen(about, task) or with_keys(parse_csv(data, task.now_us)), data, look)


def _opened(source: Source) -> BufferedReader:
    return open(os.open(source.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")


def _told(text: str) -> str:
    r"""A path or name as text that can be stored: bytes that are not UTF-8 as visible `\xNN`."""
    return os.fsencode(text).decode("utf-8", "backslashreplace")


def _store(read: _Read, task: _Task) -> Taken:
    if isinstance(read.found, Taken):
        taken = _seen(read.about, task) or read.found
    elif isinstance(read.found, BadFile):
        taken = _refuse(read.about, read.source, read.found, task)
    elif isinstance(read.found, Parsed):
        taken = _store_csv(read, read.found, task)
    else:
        taken = _parquet(read, task)
    if read.source.claimed:
        path = Path(read.source.path)
        if os.path.lexists(path) and _changed(read):
            put_back(path, task.home.inbox)
        else:
            finish(path)
    return taken


def _store_csv(read: _Read, parsed: Parsed, task: _Task) -> Taken:
    if (seen := _seen(read.about, task)) is not None:  # the file before it had the same bytes
        return seen
    target = task.home.archived(str(read.about.sha256), ".csv")
    if not task.keep or target.exists():
        return _taken(parsed, read.about, task)
    with ThreadPoolExecutor(1, thread_name_prefix="archive") as archiving:
        archived = archiving.submit(publish, target, read.data)
        return _taken(parsed, read.about, task, archived=archived.result)


def _parquet(read: _Read, task: _Task) -> Taken:
    with _opened(read.source) as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        about = replace(read.about, sha256=sha256, bytes=file.tell())
        if (seen := _seen(about, task)) is not None:
            return seen
        content = Path(f"/dev/fd/{file.fileno()}")  # what was hashed, whatever its name
        if (bad := _damage(content, task)) is not None:
            return _refuse(about, read.source, bad, task)
        if task.keep:
            _archive(file, task.home.archived(sha256, ".parquet"), sha256)
        return _windows(content, _begun(about, task), task)


def _windows(content: Path, about: Taken, task: _Task) -> Taken:
    """Takes what is left of a file, a window of rows at a time."""
    earlier: list[pl.DataFrame] = []  # of a dry run, which stores nothing that could be asked
    while True:
        parsed = parse_parquet(content, task.now_us, offset=about.rows, rows_max=task.window_rows)
        assert isinstance(parsed, Parsed), "its every window was read before"
        last = parsed.rows < task.window_rows
        about = _taken(parsed, replace(about, status="ingested" if last else "partial"), task, earlier)
        if last:
            return about


def _damage(content: Path, task: _Task) -> BadFile | None:
    """Why the file cannot be taken: all of it is read before anything of it is stored."""
    window = task.window_rows
    first = parse_parquet(content, task.now_us, rows_max=window)
    if isinstance(first, BadFile):
        return first
    offset = window
    rows = pl.scan_parquet(content, glob=False, hive_partitioning=False)
    try:
        while first.rows == window and rows.slice(offset, window).collect().height:
            offset += window
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        return BadFile("FILE_HEADER", f"not a readable Parquet file: {type(error).__name__}")
    return None


def _seen(about: Taken, task: _Task) -> Taken | None:
    with Reader(task.home.state) as reader:
        known = reader.file_by_digest(str(about.sha256))
    if known is None or known["status"] != "ingested":
        return None
    return replace(about, status="duplicate", kind=known["kind"])


def _begun(about: Taken, task: _Task) -> Taken:
    """With the counts of an earlier beginning that was cut short."""
    with Reader(task.home.state) as reader:
        known = reader.file_by_digest(str(about.sha256))
    if known is None or known["status"] != "partial" or not task.keep:
        return about
    return replace(about, **{name: known[name] for name in COUNTS})


def _refuse(about: Taken, source: Source, bad: BadFile, task: _Task) -> Taken:
    """The verdict on a bad file; the file itself goes into rejected/, beside its reason."""
    refused = replace(about, status="rejected", reason=bad.reason, detail=bad.detail)
    if task.keep:
        set_aside(task.home, refused.answer(), Path(source.path), source.claimed)
        if refused.sha256 is not None:
            place = task.home.state, task.home.journal, task.now_us, "refuse"
            with transaction(*place, around=committing) as work:
                work.put("files", _file_row(refused, _file_number(work.reader, refused), work.now))
    return refused


def _archive(file: BufferedReader, target: Path, sha256: str) -> None:
    """Copies an open file into the archive, durably; a copy that is there already stays."""
    if target.exists():
        return
    make_folder(target.parent)
    temporary = target.with_name(f".{target.name}.tmp")
    digest = hashlib.sha256()
    file.seek(0)
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE_MODE), "wb") as copy:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            copy.write(chunk)
        copy.flush()
        os.fsync(copy.fileno())
    if digest.hexdigest() != sha256:
        temporary.unlink()
        raise StoreIntegrity(
            f"{target.name} changed while it was read.", "Drop it again once it is complete."
        )
    temporary.rename(target)
    fsync_path(target.parent)


def _taken(
    parsed: Parsed, about: Taken, task: _Task, earlier: list[pl.DataFrame] | None = None,
    archived: Callable[[], None] = lambda: None,
) -> Taken:  # fmt: skip
    """Judges the rows against the store and, if they are to be kept, commits them once `archived` returns."""
    if not task.keep:
        with Reader(task.home.state) as reader:
            return _judged(parsed, reader, about, 0, earlier, task.home)[0]
    progress = _Progress(about, parsed.rows)
    with transaction(
        task.home.state, task.home.journal, task.now_us, "ingest", progress.inserted, task.batch_rows,
        committing,
    ) as work:  # fmt: skip
        file = _file_number(work.reader, about)
        taken, puts = _judged(parsed, work.reader, about, file, None, task.home)
        for table, frame in puts:
            work.put(table, frame)
        work.put("files", _file_row(taken, file, work.now))
        archived()
    return taken


class _Progress:
    """Tells how many rows of a file are stored, now and then."""

    def __init__(self, about: Taken, rows: int) -> None:
        self._about = about
        self._rows = rows
        self._done = 0
        self._told_at = 0.0

    def inserted(self, table: str, rows: int) -> None:
        if table not in ("tx", "prices", "fx_rates", "quarantine"):
            return
        self._done += rows
        if time.monotonic() - self._told_at >= REPORT_EVERY_S:
            self._told_at = time.monotonic()
            done = self._about.rows + self._done
            told = {"name": self._about.name, "done": done, "bytes": self._about.bytes}
            known = self._about.status == "ingested"  # the last window is under way
            report("file_progress", told | {"rows": self._about.rows + self._rows if known else 0})


def _file_number(reader: Reader, about: Taken) -> int:
    """The number of a file; one that was refused or begun before keeps its own."""
    known = reader.file_by_digest(str(about.sha256))
    return int(known["file"] if known else reader.value("SELECT coalesce(max(file), 0) + 1 FROM files"))


def _file_row(taken: Taken, file: int, now: int) -> pl.DataFrame:
    names = ("sha256", "name", "kind", "status", "bytes", *COUNTS, "reason", "detail")
    values = {name: getattr(taken, name) for name in names}
    return pl.DataFrame([{"file": file, **values, "committed_at": now, "trace_id": trace_id()}])


def _judged(
    parsed: Parsed, reader: Reader, about: Taken, file: int, earlier: list[pl.DataFrame] | None, home: Home
) -> tuple[Taken, Puts]:
    """Adds the verdict on these rows to what is known of their file; what is to be stored."""
    with span("validate", rows=parsed.rows):
        return _verdict(parsed, reader, about, file, earlier, home)


def _verdict(
    parsed: Parsed, reader: Reader, about: Taken, file: int, earlier: list[pl.DataFrame] | None, home: Home
) -> tuple[Taken, Puts]:
    if parsed.kind == "transactions":
        accepted, duplicates, rejects, puts = transactions(parsed, reader, file)
        charged = (pl.col("fee_amount") != "0") & (pl.col("action") != Action.FEE)
        fees = int(accepted.select(charged.sum()).item())
    else:
        accepted, duplicates, puts = observations(parsed, reader, file, earlier)
        rejects, fees = parsed.rejects, 0
    puts.append(("quarantine", quarantined(rejects, file)))
    span: Span = (about.touched_from, about.touched_until)
    touched: frozenset[str] = frozenset()
    if accepted.height:
        fresh, touched = touched_span(accepted, reader, home), touched_assets(accepted, reader, home)
        span = joined_spans(span, fresh) if about.accepted else fresh
    counts = dict(about.reasons)
    for reject in rejects:
        for code in codes(reject):
            counts[code] = counts.get(code, 0) + 1
    assert parsed.rows == accepted.height + duplicates + len(rejects), "no row is lost"
    taken = replace(
        about,
        touched_from=span[0],
        touched_until=span[1],
        touched_assets=joined(about.touched_assets if about.rows else (), touched),
        kind=parsed.kind,
        rows=about.rows + parsed.rows,
        accepted=about.accepted + accepted.height,
        duplicates=about.duplicates + duplicates,
        quarantined=about.quarantined + len(rejects),
        fees_created=about.fees_created + fees,
        reasons=dict(sorted(counts.items())),
    )
    return taken, puts


def partial_files(home_path: str) -> list[dict[str, Any]]:
    """Large files of which some windows are stored and others are not: sha256 and name."""
    with Reader(Home(Path(home_path)).state) as reader:
        return reader.records("SELECT sha256, name FROM files WHERE status = 'partial'")
