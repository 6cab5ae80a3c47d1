"""Full disks: nothing is half-written, what happened is said, and with room again the same act goes on."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from engine.errors import DiskLow, StoreFull
from tests.faults.books import Sources, check, check_whole, contents, few, files_of, fill_inbox
from tests.faults.conftest import Peace
from tests.faults.processes import ended, start
from tests.runtime.deck import Deck
from tests.runtime.test_service import hosting

GB = 10**9
DISK_KB = 48 * 1024
ROOM = "NAVDECK_DISK_FREE_BYTES_MIN"
# Room for nothing, to open state.db, to claim, for the archive, for the journal, for the WAL, for some files.
LEFTOVERS_KB = (0, 4, 8, 16, 24, 32, 36, 40, 48, 56, 64, 80, 96, 128, 160, 192, 256, 320, 384, 512, 640, 768)


class Room:
    """What the disk is said to have free."""

    def __init__(self, patch: pytest.MonkeyPatch, free: int) -> None:
        self.free = free
        patch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=self.free))


# -- too little room to begin --


def test_under_two_gigabytes__intake_stops_says_why_and_goes_on_by_itself(
    deck: Deck, peace: Peace, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = few()
    room = Room(monkeypatch, 1 * GB)

    async def run() -> None:
        fill_inbox(deck, sources)
        async with hosting(deck) as (host, heard):
            low = await heard.of("state", lambda data: data["state"] == "degraded")
            assert low["causes"] == [
                {"task": "disk", "cause": "1,000,000,000 bytes are free; intake needs 2,000,000,000."}
            ]
            assert (await heard.of("log", lambda data: data["kind"] == "disk_low"))["level"] == "bad"
            assert sorted(os.listdir(deck.home.inbox)) == sorted(sources)
            assert not any(event.kind == "file_started" for event in heard.events)
            room.free = 3 * GB
            host._service.wake()
            for name in sources:
                await heard.of("file_done", lambda data, name=name: data["name"] == name)
            assert (await heard.of("log", lambda data: data["kind"] == "task_recovered"))["text"]

    asyncio.run(run())
    check(deck, peace(sources), sources)


def test_under_two_gigabytes__ingest_takes_nothing_and_the_inbox_keeps_its_files(
    deck: Deck, peace: Peace, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = few()
    fill_inbox(deck, sources)
    room = Room(monkeypatch, 1 * GB)
    with pytest.raises(DiskLow) as raised:
        deck.ingest()
    assert "space" in raised.value.hint
    assert deck.counts()["files"] == 0
    room.free = 3 * GB
    deck.ingest()
    check(deck, peace(sources), sources)


def test_under_two_gigabytes__the_command_line_says_disk_low_and_ends_with_1(deck: Deck) -> None:
    named = files_of(deck, few())
    code, document, said = ended(start(deck, "ingest", *named, "--json", settings={ROOM: str(10**15)}))
    assert code == 1
    assert document["error"]["code"] == "DISK_LOW"
    assert document["error"]["hint"]
    assert "hint:" in said


# -- no room at all --


class Disk:
    """A small disk of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"

    def fill(self, left_kb: int) -> None:
        """Leaves so much room, as the file system counts it."""
        with self._filler.open("wb") as file:
            free = os.statvfs(self.path)
            size = free.f_bavail * free.f_bsize - left_kb * 1024
            os.posix_fallocate(file.fileno(), 0, max(size, 1))

    def free(self) -> None:
        self._filler.unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A file system of 48 MB in memory."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_KB}k", "tmpfs", str(place)]
    try:
        mounted = os.geteuid() == 0 and subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("a small disk can be mounted by root only")
    try:
        yield Disk(place)
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.fixture
def small_deck(disk: Disk, blank_home: Path, monkeypatch: pytest.MonkeyPatch) -> Deck:
    """A home on the small disk that takes files in to the last byte; files to be named lie elsewhere."""
    monkeypatch.setenv(ROOM, "0")
    shutil.copytree(blank_home, disk.path / "home")
    return Deck(disk.path / "home")


def named(tmp_path: Path, sources: Sources) -> list[Path]:
    for name, data in sources.items():
        (tmp_path / name).write_bytes(data)
    return [tmp_path / name for name in sources]


@pytest.mark.parametrize("left_kb", [0, pytest.param(128, marks=pytest.mark.slow)])
def test_full_disk__the_command_line_says_so_and_the_same_command_goes_on(
    disk: Disk, small_deck: Deck, tmp_path: Path, peace: Peace, left_kb: int
) -> None:
    sources = contents()
    paths = named(tmp_path, sources)
    disk.fill(left_kb)
    code, document, said = ended(start(small_deck, "ingest", *paths, "--json", settings={ROOM: "0"}))
    assert (code, document["error"]["code"]) == (1, "STORE_FULL"), said
    assert "space" in document["error"]["hint"]
    disk.free()
    check_whole(small_deck)
    code, document, _ = ended(start(small_deck, "ingest", *paths, "--json", settings={ROOM: "0"}))
    assert code == 3, "one of the files is refused"
    check(small_deck, peace(sources), sources)


def go_on(disk: Disk, deck: Deck, paths: list[Path], peace: Peace, sources: Sources, left_kb: int) -> None:
    """Takes files, or the inbox, until the disk is full; then with room again."""
    disk.fill(left_kb)
    with pytest.raises(StoreFull) as raised:
        deck.ingest(*paths)
    assert "space" in raised.value.hint
    disk.free()
    check_whole(deck)
    deck.ingest(*paths)
    assert os.listdir(deck.home.inbox) == []
    check(deck, peace(sources), sources)


@pytest.mark.parametrize("left_kb", [32, 128, 320])
def test_full_disk__whatever_was_left__nothing_is_half_there(
    disk: Disk, small_deck: Deck, peace: Peace, left_kb: int
) -> None:
    fill_inbox(small_deck, contents())
    go_on(disk, small_deck, [], peace, contents(), left_kb)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["named", "inbox"])
@pytest.mark.parametrize("left_kb", LEFTOVERS_KB)
def test_full_disk__any_leftover__nothing_is_half_there(
    disk: Disk, small_deck: Deck, tmp_path: Path, peace: Peace, left_kb: int, way: str
) -> None:
    paths = named(tmp_path, contents()) if way == "named" else []
    if not paths:
        fill_inbox(small_deck, contents())
    go_on(disk, small_deck, paths, peace, contents(), left_kb)
