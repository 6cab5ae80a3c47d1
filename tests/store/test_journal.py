"""The journal: what was appended is there for ever, in order, and one writer at a time adds to it."""

import hashlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import pytest

from engine.domain.instants import DAY_US
from engine.errors import HomeInUse, JournalBroken
from engine.store import journal
from engine.store.journal import START, Entry, Journal, Mark, read
from engine.store.journal_audit import verify
from engine.store.journal_format import OPEN
from tests.runtime.deck import ROOT
from tests.store.journals import NOON, check_sums, fill, flip, opened, pending, rows, sealed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of about three records."""
    monkeypatch.setattr(journal, "SEGMENT_BYTES_MAX", 900)


# Writing and reading back


def test_append__read_back_as_it_was_with_its_mark(folder: Path) -> None:
    with opened(folder) as book:
        one = book.append(NOON, {"what": "ingest", "rows": {"tx": 2}}, b"\x00\xff payload")
        two = book.append(NOON + 1, {}, b"")
    first, second = read(folder)
    assert first == Entry(1, NOON, "commit", {"what": "ingest", "rows": {"tx": 2}}, b"\x00\xff payload", one)
    assert second == Entry(2, NOON + 1, "commit", {}, b"", two)
    assert two.offset == (folder / OPEN).stat().st_size
    assert Mark.from_json(two.to_json()) == two


def test_files__closed_to_others(folder: Path, small: None) -> None:
    fill(folder, 7)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_append__on_disk_before_it_returns__and_the_name_before_the_record(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def watch(name: str) -> None:
        act = getattr(os, name)

        def step(*told: object) -> object:
            done.append(name)
            return act(*told)

        monkeypatch.setattr(os, name, step)

    with opened(folder) as book:
        for name in ("fsync", "fdatasync", "pwrite"):
            watch(name)
        book.append(NOON, {}, b"first")
        book.append(NOON, {}, b"second")
    assert done == ["fsync", "pwrite", "fdatasync", "pwrite", "fdatasync"]


def test_new_journal__its_folder_is_durable_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.fstat(handle).st_ino))
    fill(folder, 1)
    assert synced == [folder.parent.stat().st_ino, folder.stat().st_ino]


def test_append__about_is_no_small_json__refused_and_the_journal_goes_on(folder: Path) -> None:
    with opened(folder) as book:
        for about in ({"x": float("nan")}, {"x": "y" * 1_000_001}, {"x": b""}):
            with pytest.raises((ValueError, TypeError)):
                book.append(NOON, about, b"")
        book.append(NOON, {"x": "\ud800 é"}, b"")
    assert [entry.about for entry in read(folder)] == [{"x": "\ud800 é"}]


def test_another_reader__made_from_the_description_alone__reads_the_same(folder: Path, small: None) -> None:
    fill(folder, 8)
    chain, found = "0" * 64, []
    for path in [*sealed(folder), folder / OPEN]:
        file = BytesIO(path.read_bytes())
        while (magic := file.read(4)) == b"NDJ1":
            header = file.read(int.from_bytes(file.read(4), "big"))
            told = json.loads(header)
            assert told["prev"] == chain
            chain = hashlib.sha256(bytes.fromhex(chain) + header).hexdigest()
            assert file.read(32).hex() == chain
            payload = file.read(told["bytes"])
            assert hashlib.sha256(payload).hexdigest() == told["sha256"]
            assert int.from_bytes(file.read(8), "big") == len(header) + len(payload) + 48
            found.append((told["kind"], told["at"], told["about"], payload))
        assert magic == b""
    assert found == rows(read(folder))


# Segments


def test_segment__full__sealed_listed_and_the_chain_goes_on(folder: Path, small: None) -> None:
    marks = fill(folder, 10)
    names = [path.name for path in sealed(folder)]
    assert len(names) == 3
    spans = [name.split("-")[:2] for name in names]
    assert [(int(first), int(last)) for first, last in spans] == [(1, 3), (4, 6), (7, 9)]
    assert [name[26:42] for name in names] == [marks[last - 1].chain[:16] for last in (3, 6, 9)]
    assert [entry.seq for entry in read(folder)] == list(range(1, 11))
    assert check_sums(folder)
    assert verify(folder).problems == []


def test_segment__sealed_and_not_yet_listed__opening_lists_it_and_sweeps(folder: Path, small: None) -> None:
    fill(folder, 9)
    sums, left = folder / "SHA256SUMS", folder / ".SHA256SUMS.tmp.1.ab"
    whole = sums.read_bytes()
    sums.write_bytes(b"".join(whole.splitlines(keepends=True)[:-1]))
    left.write_bytes(whole[:10])
    fill(folder, 1, first_at=NOON + 100)
    assert sums.read_bytes().startswith(whole)
    assert not left.exists()
    assert check_sums(folder)


def test_segment__new_utc_date__sealed_before_the_record_of_the_new_day(folder: Path) -> None:
    with opened(folder) as book:
        for at in (NOON, NOON + DAY_US // 2 - 1, NOON + DAY_US // 2, NOON + DAY_US // 2 + 1):
            mark = book.append(at, {}, b"")
    assert [path.name[:25] for path in sealed(folder)] == ["000000000001-000000000002"]
    assert (
        fill(folder, 1, mark, NOON + 3 * DAY_US)[0].seq == 5
    )  # the first record's date is known after opening too
    assert [path.name[:25] for path in sealed(folder)][1:] == ["000000000003-000000000004"]


def test_verify__tells_what_is_there(folder: Path, small: None) -> None:
    with opened(folder) as book:
        for n in range(5):
            book.append(NOON + n, {}, b"x" * 200)
        book.abort(4, NOON + 5)
        head = book.mark
    report = verify(folder)
    assert (report.segments, report.records, report.aborted) == (3, 6, 1)
    assert report.bytes == sum(path.stat().st_size for path in folder.glob("*.journal"))
    assert (report.first_at, report.last_at, report.problems, report.head) == (NOON, NOON + 5, [], head)


def test_verify__nothing_there__nothing_wrong(folder: Path) -> None:
    report = verify(folder)
    assert (report.records, report.first_at, report.problems, report.head) == (0, None, [], START)
    assert not folder.exists()


def test_copy_without_lock_file__read_and_verified_without_a_trace(folder: Path, small: None) -> None:
    fill(folder, 5)
    (folder / "journal.lock").unlink()
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert len(list(read(folder))) == 5
    assert verify(folder).problems == []
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_read__segment_sealed_meanwhile__still_the_journal_as_it_was(folder: Path, small: None) -> None:
    mark = fill(folder, 2)[-1]
    entries = read(folder)
    assert next(entries).seq == 1
    fill(folder, 6, mark)
    assert [entry.seq for entry in entries] == [2]


# Redo and abort


def test_open__gives_what_came_after_the_mark(folder: Path, small: None) -> None:
    marks = [START, *fill(folder, 10)]
    for done, mark in enumerate(marks):  # most of these named open.journal, which was sealed since
        assert [entry.seq for entry in pending(folder, mark)] == list(range(done + 1, 11))
    for entry in read(folder):  # these name the sealed segments
        assert len(pending(folder, entry.mark)) == 10 - entry.seq


def test_open__what_will_be_redone_is_made_durable_first(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = fill(folder, 1)[-1]
    fill(folder, 1, mark)
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.fstat(handle).st_ino))
    assert len(pending(folder, mark)) == 1
    assert (folder / OPEN).stat().st_ino in synced


def test_abort__takes_a_commit_back__for_good(folder: Path) -> None:
    with opened(folder) as book:
        done = book.append(NOON, {}, b"done")
        failed = book.append(NOON + 1, {}, b"failed")
        book.abort(failed.seq, NOON + 2)
        book.append(NOON + 3, {}, b"again")
    assert [entry.payload for entry in pending(folder, done)] == [b"again"]
    assert [entry.kind for entry in read(folder)] == ["commit", "commit", "abort", "commit"]


def test_abort__of_what_was_found_pending(folder: Path) -> None:
    fill(folder, 2)
    with opened(folder) as book:
        book.abort(2, NOON)
    assert [entry.seq for entry in pending(folder, START)] == [1]


def test_abort__of_what_is_none_of_its_commits__refused(folder: Path) -> None:
    mark = fill(folder, 2)[-1]
    with opened(folder, mark) as book:
        live = book.append(NOON, {}, b"").seq
        gone = book.abort(live, NOON).seq
        for seq in (0, mark.seq, live, gone, gone + 1):
            with pytest.raises(ValueError, match=f"record {seq} is no commit"):
                book.abort(seq, NOON)


# Marks


def test_mark_of_another_journal__refused(folder: Path, tmp_path: Path) -> None:
    fill(folder, 3)
    for mark in fill(tmp_path / "other", 3, first_at=NOON + 1):
        with pytest.raises(JournalBroken, match="another chain"):
            Journal.open(folder, mark)


def test_mark_beyond_the_journal__refused(folder: Path, small: None) -> None:
    marks = fill(folder, 3)
    shutil.copytree(folder, folder.with_name("older"))
    later = fill(folder, 5, marks[-1])
    for mark in later:
        with pytest.raises(JournalBroken):
            Journal.open(folder.with_name("older"), mark)
    (folder.with_name("older") / OPEN).unlink()
    with pytest.raises(JournalBroken, match="ends before record 8"):
        Journal.open(folder.with_name("older"), later[-1])


def test_mark__folder_missing__refused_and_not_made(folder: Path) -> None:
    with pytest.raises(JournalBroken, match="missing"):
        Journal.open(folder, Mark(3, "a" * 64, OPEN, 100))
    assert not folder.exists()


def test_mark__behind_bytes_that_only_look_like_an_end__refused(folder: Path) -> None:
    mark = fill(folder, 1)[-1]
    with (folder / OPEN).open("ab") as file:
        file.write((mark.offset + 8).to_bytes(8))
    with pytest.raises(JournalBroken, match="does not end here"):
        Journal.open(folder, Mark(1, mark.chain, OPEN, mark.offset + 8))


@pytest.mark.parametrize("offset", [-10, 0, 5, 47, 10**9])
def test_mark__offset_that_ends_no_record__refused(folder: Path, offset: int) -> None:
    mark = fill(folder, 2)[-1]
    with pytest.raises(JournalBroken, match="record 2"):
        Journal.open(folder, Mark(mark.seq, mark.chain, mark.segment, offset))


def test_open__reads_nothing_before_the_mark(folder: Path, small: None) -> None:
    marks = fill(folder, 9)
    for path, place in ((sealed(folder)[0], 60), (folder / OPEN, marks[6].offset - 20)):
        flip(path, place * 8)
    assert len(pending(folder, marks[7])) == 1
    assert {problem.split()[0] for problem in verify(folder).problems} == {sealed(folder)[0].name, OPEN}


def test_open__where_this_process_left_off__reads_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = fill(folder, 3)[-1]
    with monkeypatch.context() as patch:
        patch.setattr(journal, "_segments", lambda *_: pytest.fail("it looked"))
        later = fill(folder, 2, mark)
    assert [entry.seq for entry in pending(folder, mark)] == [4, 5]
    assert pending(folder, later[-1]) == []
    assert verify(folder).problems == []


def test_open__somebody_touched_it_since__is_read_again(folder: Path) -> None:
    mark = fill(folder, 3)[-1]
    path = folder / OPEN
    data = bytearray(path.read_bytes())
    data[mark.offset - 20] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(0, 0))
    with pytest.raises(JournalBroken, match="does not end here"):
        Journal.open(folder, mark)


HOLD = (
    "import sys; from pathlib import Path; from engine.store.journal import *\n"
    "held, _ = Journal.open(Path(sys.argv[1]), START)\n"
    "print('held', flush=True); sys.stdin.read(); held.close()"
)


# One at a time


@contextmanager
def holder(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has the journal open, until its input ends."""
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, start_new_session=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"held\n"
            yield process
        finally:
            process.kill()


def test_second_opener__waits_for_the_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with holder(folder) as first:
        waits: list[float] = []

        def wait(seconds: float) -> None:
            waits.append(seconds)
            assert first.stdin is not None
            first.stdin.close()
            assert first.wait(60) == 0

        monkeypatch.setattr(journal, "time", SimpleNamespace(sleep=wait))
        fill(folder, 1)
        assert len(waits) == 1


def test_second_opener__first_goes_on__told_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "time", SimpleNamespace(sleep=lambda _: None))
    with holder(folder):
        for act in (lambda: pending(folder, START), lambda: verify(folder), lambda: list(read(folder))):
            with pytest.raises(HomeInUse, match="15 s"):
                act()


def test_first_killed__free_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with holder(folder) as first:
        first.send_signal(signal.SIGKILL)
        first.wait(60)
        monkeypatch.setattr(journal, "time", SimpleNamespace(sleep=lambda _: pytest.fail("still locked")))
        fill(folder, 1)


def test_refused_opening__gives_the_lock_back(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = fill(folder, 1)[-1]
    monkeypatch.setattr(journal, "time", SimpleNamespace(sleep=lambda _: pytest.fail("still locked")))
    with pytest.raises(JournalBroken):
        Journal.open(folder, Mark(1, "a" * 64, OPEN, mark.offset))
    assert pending(folder, mark) == []
