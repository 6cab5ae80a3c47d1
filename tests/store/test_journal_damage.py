"""The journal after crashes, on failing disks, with changed bytes: nothing acknowledged is lost unnoticed."""

import hashlib
import json
import os
import random
import re
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from engine.domain.instants import DAY_US
from engine.errors import JournalBroken, StoreError
from engine.store import journal
from engine.store.journal import START, Journal, Mark, read
from engine.store.journal_audit import verify
from engine.store.journal_format import OPEN
from tests.store.journals import NOON, Row, check_sums, fill, flip, forge, opened, pending, rows, sealed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of about three records."""
    monkeypatch.setattr(journal, "SEGMENT_BYTES_MAX", 900)


@pytest.fixture
def unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Faster, where no power is cut."""
    for name in ("fsync", "fdatasync"):
        monkeypatch.setattr(os, name, lambda _: None)


# Torn tails


def test_torn_write__cut_at_every_byte__cut_back_and_the_journal_goes_on(
    folder: Path, tmp_path: Path
) -> None:
    good, last = fill(folder, 3)[1:]
    whole = (folder / OPEN).read_bytes()
    for cut in range(good.offset, last.offset):
        (folder / OPEN).write_bytes(whole[:cut])
        assert len(list(read(folder))) == 2
        assert bool(verify(folder).problems) == (cut > good.offset)
        assert fill(folder, 1, good)[-1].seq == 3
        assert verify(folder).problems == []


@pytest.mark.parametrize(
    "tail",
    [
        b"\x00",
        b"\x00" * 5000,
        b"NDJ1",
        b"NDJ1" * 50,
        b"NDJ1\x00\x00\x00\x05[[[[[" + b"x" * 40,
        b"NDJ1" + (900_000).to_bytes(4) + b"[" * 900_000,
        b"NDJ1\xff\xff\xff\xff",
        bytes(random.Random(7).randrange(256) for _ in range(700)),
    ],
    ids=["nul", "zeros", "magic", "magics", "no object", "deep", "long", "noise"],
)
def test_garbage_after_the_last_record__cut(folder: Path, tail: bytes) -> None:
    mark = fill(folder, 2)[-1]
    with (folder / OPEN).open("ab") as file:
        file.write(tail)
    assert [problem.split(":")[0] for problem in verify(folder).problems] == [f"{OPEN} at {mark.offset}"]
    assert pending(folder, mark) == []
    assert (folder / OPEN).stat().st_size == mark.offset
    assert verify(folder).problems == []


def test_torn_first_record_of_a_segment__cut_to_nothing(folder: Path, small: None) -> None:
    marks = fill(folder, 4)
    assert marks[-1].offset < marks[-2].offset
    with (folder / OPEN).open("r+b") as file:
        file.truncate(marks[-1].offset - 1)
    assert fill(folder, 1, marks[-2])[-1].seq == 4
    assert verify(folder).problems == []


def test_last_record_lost_that_the_store_has__refused(folder: Path) -> None:
    mark = fill(folder, 2)[-1]
    with (folder / OPEN).open("r+b") as file:
        file.truncate(mark.offset - 1)
    with pytest.raises(JournalBroken, match=f"{OPEN} at {mark.offset}: record 2") as raised:
        Journal.open(folder, mark)
    assert "backup" in raised.value.hint


# Damage


def test_damage_before_a_good_record__refused_and_nothing_is_cut(folder: Path, unsynced: None) -> None:
    marks = fill(folder, 4)
    for place in range(marks[1].offset, marks[2].offset):
        flip(folder / OPEN, place * 8 + place % 8)
        before = (folder / OPEN).read_bytes()
        with pytest.raises(JournalBroken, match=f"{OPEN} at {marks[1].offset}: "):
            Journal.open(folder, marks[1])
        with pytest.raises(JournalBroken):
            list(read(folder))
        assert (folder / OPEN).read_bytes() == before
        flip(folder / OPEN, place * 8 + place % 8)
    assert len(pending(folder, marks[1])) == 2


def test_one_bit_anywhere__verify_names_the_place__and_sha256sum_agrees(folder: Path, small: None) -> None:
    fill(folder, 10)
    rng = random.Random(20260)
    for _ in range(60):
        path = rng.choice([*sealed(folder), folder / OPEN, folder / "SHA256SUMS"])
        bit = rng.randrange(path.stat().st_size * 8)
        flip(path, bit)
        problems = verify(folder).problems
        assert any(is_about(problem, path, bit // 8) for problem in problems), (path.name, bit, problems)
        if path.name != "SHA256SUMS":  # whose own form the tool takes less strictly
            assert check_sums(folder) == (path.name == OPEN)
        flip(path, bit)
    assert verify(folder).problems == []


@pytest.mark.slow
def test_every_bit__verify_notices(folder: Path, small: None) -> None:
    fill(folder, 5)
    for path in [*sealed(folder), folder / OPEN, folder / "SHA256SUMS"]:
        for bit in range(path.stat().st_size * 8):
            flip(path, bit)
            problems = verify(folder).problems
            assert any(is_about(problem, path, bit // 8) for problem in problems), (path.name, bit, problems)
            flip(path, bit)


def is_about(problem: str, path: Path, byte: int) -> bool:
    """Names a place of this file at or before this byte."""
    place = re.search(rf"{path.name} at ([0-9]+)", problem)
    return place is not None and int(place[1]) <= byte


def test_two_places_damaged__both_named__the_rest_counted(folder: Path) -> None:
    marks = fill(folder, 8)
    for mark in (marks[1], marks[4]):
        flip(folder / OPEN, (mark.offset + 90) * 8)
    report = verify(folder)
    places = [problem.split(":")[0] for problem in report.problems]
    assert places == [f"{OPEN} at {marks[1].offset}", f"{OPEN} at {marks[4].offset}"]
    assert (report.records, report.head) == (6, marks[-1])


def test_damage__and_a_segment_lost_later__both_named(folder: Path, small: None) -> None:
    fill(folder, 10)
    first, lost, _ = sealed(folder)
    flip(first, 8 * 90)
    lost.unlink()
    problems = verify(folder).problems
    assert any(problem.startswith(f"{first.name} at 0: ") for problem in problems)
    assert any(problem.endswith("record 7 does not continue record 3.") for problem in problems)


def test_end_of_a_sealed_segment_damaged__no_torn_tail__refused(folder: Path, small: None) -> None:
    marks = fill(folder, 4)
    (path,) = sealed(folder)
    flip(path, (marks[2].offset - 20) * 8)
    with pytest.raises(JournalBroken, match=f"{path.name} at {marks[1].offset}: "):
        Journal.open(folder, marks[1])
    with pytest.raises(JournalBroken):
        list(read(folder))


@pytest.mark.parametrize(
    "change",
    [{"kind": "other"}, {"seq": -1}, {"bytes": -1}, {"at": "now"}, {"kind": "abort"}, {"about": []}],
    ids=str,
)
def test_header_that_no_journal_writes__no_record(folder: Path, change: dict[str, object]) -> None:
    mark = fill(folder, 1)[-1]
    told = {"seq": 2, "at": NOON, "kind": "commit", "about": {}, "bytes": 0, "prev": mark.chain}
    header = json.dumps(told | {"sha256": hashlib.sha256(b"").hexdigest()} | change).encode()
    chain = hashlib.sha256(bytes.fromhex(mark.chain) + header).digest()
    frame = (b"NDJ1", len(header).to_bytes(4), header, chain, (len(header) + 48).to_bytes(8))
    with (folder / OPEN).open("ab") as file:
        file.write(b"".join(frame))
    (problem,) = verify(folder).problems
    assert problem.startswith(f"{OPEN} at {mark.offset}: ")
    assert "in no whole record" in problem


def test_first_header_of_the_open_segment_damaged__refused(folder: Path) -> None:
    mark = fill(folder, 3)[-1]
    flip(folder / OPEN, 8 * 20)
    with pytest.raises(JournalBroken, match=f"{OPEN} at 0: the first record is damaged"):
        Journal.open(folder, mark)


def test_segment_lost__named_and_not_read_over(folder: Path, small: None) -> None:
    marks = fill(folder, 10)
    lost = sealed(folder)[1]
    lost.unlink()
    problems = verify(folder).problems
    assert any(problem.endswith("record 7 does not continue record 3.") for problem in problems)
    assert any(problem.endswith(f": {lost.name} is not here.") for problem in problems)
    with pytest.raises(JournalBroken, match="record 7 does not continue record 3"):
        list(read(folder))
    with pytest.raises(JournalBroken):
        Journal.open(folder, marks[4])
    assert len(pending(folder, marks[6])) == 3


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("000000000001-000000000004-{head}.journal", "not those of its name"),
        ("000000000002-000000000003-{head}.journal", "not those of its name"),
        ("000000000001-000000000003-0123456789abcdef.journal", "not those of its name"),
        ("1-3-{head}.journal", "no name of a segment"),
    ],
)
def test_segment_renamed__named(folder: Path, small: None, name: str, says: str) -> None:
    mark = fill(folder, 4)[2]
    (path,) = sealed(folder)
    path.rename(folder / name.format(head=mark.chain[:16]))
    assert any(says in problem for problem in verify(folder).problems)


def test_sums__line_lost__named(folder: Path, small: None) -> None:
    fill(folder, 10)
    lines = (folder / "SHA256SUMS").read_text().splitlines(keepends=True)
    (folder / "SHA256SUMS").write_text(lines[0] + lines[2] + lines[2])
    first, second = verify(folder).problems
    assert first == f"SHA256SUMS at {len(lines[0] + lines[2])}: the line is damaged."
    assert second == f"{sealed(folder)[1].name} at 0: SHA256SUMS does not list it."


@pytest.mark.parametrize("target", [2, 3, 1, 7])
def test_verify__abort_of_what_does_not_count__named(folder: Path, target: int) -> None:
    forge(folder, ("commit", {}), ("abort", {"seq": 1}), ("abort", {"seq": target}))
    (problem,) = verify(folder).problems
    assert f"takes back {target}" in problem


def test_record_of_another_journal_behind_the_last__refused(folder: Path, tmp_path: Path) -> None:
    mark = fill(folder, 1)[-1]
    fill(tmp_path / "other", 2, first_at=NOON + 1)
    with (folder / OPEN).open("ab") as file:
        file.write((tmp_path / "other" / OPEN).read_bytes())
    with pytest.raises(JournalBroken, match="record 1 does not continue record 1"):
        Journal.open(folder, mark)
    assert any("does not continue" in problem for problem in verify(folder).problems)


def test_record_at_the_mark_changed__refused(folder: Path, unsynced: None) -> None:
    marks = fill(folder, 3)
    for place in range(marks[1].offset, marks[2].offset):
        flip(folder / OPEN, place * 8 + place % 8)
        with pytest.raises(JournalBroken):
            Journal.open(folder, marks[2])
        flip(folder / OPEN, place * 8 + place % 8)


# Failing disks and crashes

STEPS = ("rename", "fsync", "fdatasync", "pwrite", "ftruncate")


def watch(monkeypatch: pytest.MonkeyPatch, before: Callable[[str], None]) -> None:
    """Has `before` called ahead of every step that reaches the disk."""
    for name in STEPS:
        act = getattr(os, name)

        def step(*told: object, act: Callable[..., object] = act, name: str = name) -> object:
            before(name)
            return act(*told)

        monkeypatch.setattr(os, name, step)


def ready_to_seal(folder: Path) -> Mark:
    """A journal with one sealed segment and an open one that the next record seals."""
    return fill(folder, 1, fill(folder, 1)[-1], NOON + DAY_US)[-1]


def goes_on(folder: Path, mark: Mark, *, may_be_there: bytes) -> None:
    """Opens, gives at most the record that was under way, takes another, and is sound."""
    book, ahead = Journal.open(folder, mark)
    with closing(book):
        assert [entry.payload for entry in ahead] in ([], [may_be_there])
        last = book.append(NOON + 3 * DAY_US, {}, b"after")
    assert [entry.seq for entry in read(folder)] == list(range(1, last.seq + 1))
    assert last.seq == mark.seq + len(ahead) + 1
    assert verify(folder).problems == []
    assert check_sums(folder)
    assert list(folder.glob(".*")) == []


def test_power_off_at_every_step_of_sealing__opens_and_goes_on(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = ready_to_seal(folder)
    photos: list[Path] = []

    def photo(name: str) -> None:
        photos.append(tmp_path / f"{len(photos):02d} before {name}")
        shutil.copytree(folder, photos[-1])

    with monkeypatch.context() as patch, opened(folder, mark) as book:
        watch(patch, photo)
        book.append(NOON + 2 * DAY_US, {}, b"under way")
    steps = [path.name.split()[-1] for path in photos]
    assert steps == ["fsync", "rename", "fsync", "fsync", "rename", "fsync", "fsync", "pwrite", "fdatasync"]
    for path in photos:
        goes_on(path, mark, may_be_there=b"under way")


def test_disk_fails_at_every_step_of_sealing__told_nothing_added_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for fail_at in range(9):
        folder, count = tmp_path / str(fail_at), 0
        mark = ready_to_seal(folder)

        def fail(_: str, fail_at: int = fail_at) -> None:
            nonlocal count
            count += 1
            if count == fail_at + 1:
                raise OSError(5, "Input/output error")

        with opened(folder, mark) as book:
            with monkeypatch.context() as patch:
                watch(patch, fail)
                with pytest.raises(OSError, match="Input/output"):
                    book.append(NOON + 2 * DAY_US, {}, b"under way")
            with pytest.raises(StoreError, match="failed while it was written"):
                book.append(NOON + 2 * DAY_US, {}, b"more")
        assert pending(folder, mark) == []
        goes_on(folder, mark, may_be_there=b"")


def test_disk_full_in_the_middle_of_a_record__nothing_of_it_stays(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = fill(folder, 2)[-1]
    pwrite, calls = os.pwrite, 0

    def short(handle: int, data: bytes, offset: int) -> int:
        nonlocal calls
        calls += 1
        if calls > 2:
            raise OSError(28, "No space left on device")
        return pwrite(handle, bytes(data)[:100], offset)

    with opened(folder, mark) as book, monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", short)
        with pytest.raises(OSError, match="No space"):
            book.append(NOON, {}, b"x" * 300)
    assert (folder / OPEN).stat().st_size == mark.offset
    goes_on(folder, mark, may_be_there=b"")


def test_write_in_pieces__the_record_is_whole(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda handle, data, offset: pwrite(handle, bytes(data)[:64], offset))
    with opened(folder) as book:
        book.append(NOON, {}, b"0123456789" * 50)
    assert [entry.payload for entry in read(folder)] == [b"0123456789" * 50]


# Any life of a journal


class Life(RuleBasedStateMachine):
    """Appends, aborts, commits and crashes in any order, against a list of what must be there."""

    def __init__(self) -> None:
        super().__init__()
        self.home = TemporaryDirectory()
        self.folder = Path(self.home.name) / "journal"
        self.told: list[Row] = []
        self.done = 0  # records that the store has
        self.mark = START
        self.now = NOON
        self.book, _ = Journal.open(self.folder, START)

    def taken_back(self) -> set[object]:
        return {about["seq"] for kind, _, about, _ in self.told if kind == "abort"}

    def live(self) -> list[int]:
        """Commits behind the store's mark that still count."""
        later = enumerate(self.told[self.done :], self.done + 1)
        return [seq for seq, row in later if row[0] == "commit" and seq not in self.taken_back()]

    @rule(
        later=st.sampled_from([0, 1, DAY_US // 3]), payload=st.binary(max_size=200), note=st.text(max_size=5)
    )
    def append(self, later: int, payload: bytes, note: str) -> None:
        self.now += later
        self.book.append(self.now, {"note": note}, payload)
        self.told.append(("commit", self.now, {"note": note}, payload))

    @precondition(lambda self: self.live())
    @rule()
    def abort(self) -> None:
        seq = self.live()[-1]
        self.book.abort(seq, self.now)
        self.told.append(("abort", self.now, {"seq": seq}, b""))

    @rule()
    def commit(self) -> None:
        self.mark, self.done = self.book.mark, len(self.told)

    @rule(share=st.floats(0, 1), noise=st.binary(max_size=60), payload=st.binary(max_size=300))
    def crash_while_appending(self, share: float, noise: bytes, payload: bytes) -> None:
        """Some of the record's bytes reached the disk, then perhaps others."""
        before = self.book.mark
        after = self.book.append(self.now, {}, payload)
        self.book.close()
        start = before.offset if before.offset < after.offset and before.segment == OPEN else 0
        whole = (self.folder / OPEN).read_bytes()
        left = whole[: start + round((after.offset - start) * share)] + noise
        (self.folder / OPEN).write_bytes(left)
        if left.startswith(whole):
            self.told.append(("commit", self.now, {}, payload))
        self.recover()

    @rule()
    def reopen(self) -> None:
        self.book.close()
        self.recover()

    def recover(self) -> None:
        self.book, ahead = Journal.open(self.folder, self.mark)
        assert rows(iter(ahead)) == [self.told[seq - 1] for seq in self.live()]
        assert self.book.mark.seq == len(self.told)

    def teardown(self) -> None:
        self.book.close()
        assert rows(read(self.folder)) == self.told
        report = verify(self.folder)
        assert report.problems == []
        assert (report.records, report.aborted) == (len(self.told), len(self.taken_back()))
        self.home.cleanup()


@pytest.mark.parametrize("examples", [40, pytest.param(1500, marks=pytest.mark.slow)])
def test_any_life__what_was_acknowledged_is_there_once_and_in_order(
    small: None, unsynced: None, examples: int
) -> None:
    run_state_machine_as_test(
        Life, settings=settings(max_examples=examples, stateful_step_count=25, deadline=None)
    )
