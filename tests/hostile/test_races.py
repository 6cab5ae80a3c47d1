"""Files that change under the engine's hands: each content is taken once, whole, and nothing is lost."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from engine.errors import WorkerLost
from engine.runtime import host, inbox, intake, service, take
from engine.runtime.executors import ThreadExecutor
from engine.runtime.host import Host
from tests.runtime.deck import Deck, Row, buy, to_csv
from tests.runtime.test_service import Heard, hosting

OWN_TURN_S = 0.05  # between two looks
SETTLE_US = 40_000  # less than that: a file that changed from one look to the next must not count as settled
Act = Callable[[Path], object]


class Threads(ThreadExecutor):
    """The engine's workers as threads: no process to start, and the same races over files."""

    def __init__(self, _limit_bytes: int = 0) -> None:
        """This process has no limit of its own."""

    def kill(self) -> None:
        """Nothing to end."""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "WorkerExecutor", Threads)
    monkeypatch.setattr(inbox, "SETTLE_US", SETTLE_US)
    monkeypatch.setattr(service, "LOOK_AGAIN_S", OWN_TURN_S)
    monkeypatch.setattr(service, "SCAN_EVERY_S", OWN_TURN_S)
    monkeypatch.setattr(inbox, "count", few, raising=False)


def few(start: int) -> Iterator[int]:
    """As many names as a file that goes back may have to try; whoever asks for more asks without end."""
    yield from range(start, start + 20)
    raise AssertionError("names were asked for without end")


def trade(number: int) -> Row:
    """One purchase shortly before the test's now, so that there is little to value."""
    return buy(timestamp="2025-12-31T23:00:00Z", external_id=f"t-{number}")


def lines(*numbers: int) -> list[bytes]:
    """The header and a line for each trade."""
    return to_csv([trade(number) for number in numbers]).splitlines(keepends=True)


def content(*numbers: int) -> bytes:
    return b"".join(lines(*numbers))


def trades(deck: Deck) -> list[str]:
    """The trades in the ledger, each as often as it is there."""
    return sorted(row[0] for row in deck.sql("SELECT external_id FROM tx"))


def named(*numbers: int) -> list[str]:
    return sorted(f"t-{number}" for number in numbers)


def drop(deck: Deck, name: str, *numbers: int, settled: bool = True) -> Path:
    return deck.drop(name, content(*numbers), settled)


def run(deck: Deck, act: Callable[[Host, Heard], Awaitable[None]]) -> list[dict[str, Any]]:
    """Hosts the home while `act` runs; what was told of each file. Nothing may have failed meanwhile."""

    async def inner() -> list[dict[str, Any]]:
        async with hosting(deck) as (hosted, heard):
            await act(hosted, heard)
        states = [event.data for event in heard.events if event.kind == "state"]
        assert [state["causes"] for state in states if state["state"] == "degraded"] == []
        return [event.data for event in heard.events if event.kind == "file_done"]

    told = asyncio.run(inner())
    assert os.listdir(deck.home.claimed) == []
    return told


def _is_of(name: str, data: dict[str, Any]) -> bool:
    return bool(data["name"] == name)


def until_done(*names: str) -> Callable[[Host, Heard], Awaitable[None]]:
    """Waits until each of these files was taken."""

    async def act(_: Host, heard: Heard) -> None:
        for name in names:
            await heard.of("file_done", partial(_is_of, name))

    return act


def until_there(deck: Deck, *numbers: int) -> Callable[[Host, Heard], Awaitable[None]]:
    """Waits until these trades are in the ledger, however many files that takes."""

    async def act(_: Host, heard: Heard) -> None:
        await heard.of("file_done", lambda _: set(named(*numbers)) <= set(trades(deck)))

    return act


def before_each_look(monkeypatch: pytest.MonkeyPatch, steps: list[Callable[[], object]]) -> None:
    """One step of a slow sender before each look at the inbox, until it has no more."""
    real = inbox.scan

    def scan(folder: Path, now: int) -> Any:
        if steps:
            steps.pop(0)()
        return real(folder, now)

    monkeypatch.setattr(service, "scan", scan)


def before_the_claim(monkeypatch: pytest.MonkeyPatch, name: str, act: Act) -> None:
    """Something happens to a file after it was seen to be ready and before it is claimed, once."""
    real, todo = inbox.claim, [act]

    def claim(home: Any, wanted: str) -> Any:
        if wanted == name and todo:
            todo.pop()(home.inbox / name)
        return real(home, wanted)

    monkeypatch.setattr(intake, "claim", claim)


def once(
    monkeypatch: pytest.MonkeyPatch, step: str, act: Callable[[], object], *, after: bool = False
) -> None:
    """Something happens before (or after) a step of taking a file, the first time that it is done."""
    real, todo = getattr(take, step), [act]

    def stepped(*arguments: Any) -> Any:
        if after:
            done = real(*arguments)
        if todo:
            todo.pop()()
        return done if after else real(*arguments)

    monkeypatch.setattr(take, step, stepped)


# -- slow senders -------------------------------------------------------------------------------------


def test_written_in_place_with_pauses__taken_once_and_whole(
    deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = lines(1, 2, 3, 4)
    with (deck.home.inbox / "slow.csv").open("wb", buffering=0) as file:
        half = len(whole[2]) // 2
        pieces = [*whole[:2], whole[2][:half], whole[2][half:], *whole[3:]]
        before_each_look(monkeypatch, [partial(file.write, piece) for piece in pieces])
        (told,) = run(deck, until_done("slow.csv"))
    assert (told["rows"], told["accepted"]) == (4, 4)
    assert list(deck.archive().values()) == [b"".join(whole)]


def test_truncated_and_written_anew__only_the_last_content(
    deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = deck.home.inbox / "anew.csv"
    steps = [content(1, 2, 3), b"", content(4)[:40], content(4, 5)]
    before_each_look(monkeypatch, [partial(path.write_bytes, data) for data in steps])
    run(deck, until_done("anew.csv"))
    assert trades(deck) == named(4, 5)


def test_uploaded_under_another_name_and_renamed__taken_once(
    deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    part, path = deck.home.inbox / "up.csv.part", deck.home.inbox / "up.csv"
    steps = [lambda: part.write_bytes(content(1)[:60]), lambda: part.write_bytes(content(1, 2)),
             lambda: part.rename(path)]  # fmt: skip
    before_each_look(monkeypatch, steps)
    assert [told["name"] for told in run(deck, until_done("up.csv"))] == ["up.csv"]
    assert trades(deck) == named(1, 2)


def test_grows_after_the_claim__before_it_is_read__taken_whole(
    deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    with drop(deck, "grows.csv", 1).open("ab", buffering=0) as file:
        once(monkeypatch, "_opened", partial(file.write, lines(2)[1]))
        run(deck, until_done("grows.csv"))
    assert trades(deck) == named(1, 2)


@pytest.mark.parametrize(
    ("step", "after", "kept"),
    [("parse_csv", False, [(1, 2)]), ("_store_csv", True, [(1,), (1, 2)])],
    ids=["after-it-was-read", "after-it-was-stored"],
)
def test_grows_before_it_is_put_away__nothing_lost_nothing_twice(
    deck: Deck, monkeypatch: pytest.MonkeyPatch, step: str, after: bool, kept: list[tuple[int, ...]]
) -> None:
    with drop(deck, "grows.csv", 1).open("ab", buffering=0) as file:
        once(monkeypatch, step, partial(file.write, lines(2)[1]), after=after)
        run(deck, until_there(deck, 1, 2))
    assert trades(deck) == named(1, 2)
    assert sorted(deck.archive().values()) == sorted(content(*numbers) for numbers in kept)


def test_goes_back_to_the_inbox__beside_one_of_its_name(deck: Deck, monkeypatch: pytest.MonkeyPatch) -> None:
    def grow_and_come_again() -> None:
        file.write(lines(2)[1])
        drop(deck, "grows.csv", 3)

    with drop(deck, "grows.csv", 1).open("ab", buffering=0) as file:
        once(monkeypatch, "parse_csv", grow_and_come_again)
        run(deck, until_there(deck, 1, 2, 3))
    assert trades(deck) == named(1, 2, 3)


# -- between the look and the claim ---------------------------------------------------------------------


def test_vanishes_before_the_claim__no_fault__the_next_is_taken(
    deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(deck, "a-gone.csv", 1)
    drop(deck, "b-stays.csv", 2)
    before_the_claim(monkeypatch, "a-gone.csv", Path.unlink)
    assert [told["name"] for told in run(deck, until_done("b-stays.csv"))] == ["b-stays.csv"]
    assert trades(deck) == named(2)


def test_vanishes_before_the_look__no_fault(deck: Deck, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = drop(deck, "a-gone.csv", 1)
    drop(deck, "b-stays.csv", 2)
    real = inbox._last_byte

    def last_byte(path: Path) -> bytes:
        gone.unlink(missing_ok=True)
        return real(path)

    monkeypatch.setattr(inbox, "_last_byte", last_byte)
    run(deck, until_done("b-stays.csv"))
    assert trades(deck) == named(2)


def test_replaced_by_rename_before_the_claim__the_new_content_once(
    deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(deck, "a.csv", 1)
    new = deck.file("new.csv", content(2, 3))
    before_the_claim(monkeypatch, "a.csv", new.replace)
    run(deck, until_done("a.csv"))
    assert trades(deck) == named(2, 3)
    assert list(deck.archive().values()) == [content(2, 3)]


def test_replaced_by_a_link_before_the_claim__refused_unread(
    deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(deck, "a.csv", 1)
    link = deck.path / "link"
    link.symlink_to(deck.file("secret.csv", content(9)))
    before_the_claim(monkeypatch, "a.csv", link.replace)
    (told,) = run(deck, until_done("a.csv"))
    assert told["reason"] == "FILE_NOT_REGULAR"
    assert trades(deck) == []


def test_renamed_before_the_claim__taken_once_under_its_new_name(
    deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(deck, "a.csv", 1)
    before_the_claim(monkeypatch, "a.csv", lambda path: path.rename(path.with_name("z.csv")))
    assert [told["name"] for told in run(deck, until_done("z.csv"))] == ["z.csv"]
    assert trades(deck) == named(1)


def test_replaced_after_the_claim__both_contents_once(deck: Deck, monkeypatch: pytest.MonkeyPatch) -> None:
    path = drop(deck, "a.csv", 1)
    new = deck.file("new.csv", content(2))
    once(monkeypatch, "_opened", partial(new.replace, path))
    run(deck, until_there(deck, 1, 2))
    assert trades(deck) == named(1, 2)


# -- many, and unheard ------------------------------------------------------------------------------------


def send_burst(folder: Path, files: int) -> None:
    """Sends files in place and by rename, every tenth content twice under two names."""
    for number in range(files):
        data = content(number - number % 10 if number % 10 == 9 else number)
        if number % 2:
            (folder / f"burst-{number:04d}.csv").write_bytes(data)
        else:
            (folder / "next.part").write_bytes(data)
            (folder / "next.part").rename(folder / f"burst-{number:04d}.csv")


@pytest.mark.parametrize(
    "files", [60, *(pytest.param(many, marks=pytest.mark.slow) for many in (200, 2_000))]
)
def test_burst_of_small_files__each_content_once(deck: Deck, files: int) -> None:
    async def act(_: Host, heard: Heard) -> None:
        sender = threading.Thread(target=send_burst, args=(deck.home.inbox, files))
        sender.start()
        await until_done(*(f"burst-{number:04d}.csv" for number in range(files)))(_, heard)
        sender.join()

    told = run(deck, act)
    assert len(told) == files
    statuses = [entry["status"] for entry in told]
    assert (statuses.count("ingested"), statuses.count("duplicate")) == (files * 9 // 10, files // 10)
    assert trades(deck) == named(*(number for number in range(files) if number % 10 != 9))


def test_watcher_hears_nothing__the_scan_finds_them(deck: Deck, monkeypatch: pytest.MonkeyPatch) -> None:
    async def deaf(*_: object, stop_event: asyncio.Event, **__: object) -> AsyncIterator[None]:
        await stop_event.wait()
        return
        yield

    monkeypatch.setattr(service, "awatch", deaf)

    async def act(hosted: Host, heard: Heard) -> None:
        drop(deck, "first.csv", 1)
        await until_done("first.csv")(hosted, heard)
        drop(deck, "second.csv", 2, settled=False)
        await until_done("second.csv")(hosted, heard)

    run(deck, act)
    assert trades(deck) == named(1, 2)


def test_name_that_is_no_utf_8__the_watcher_goes_on(deck: Deck) -> None:
    async def act(hosted: Host, heard: Heard) -> None:
        await heard.of("state", lambda data: data["state"] == "running")
        drop(deck, "name\udcff.csv", 1, settled=False)
        await heard.of("file_done")
        drop(deck, "other.csv", 2, settled=False)
        await until_done("other.csv")(hosted, heard)

    run(deck, act)
    assert trades(deck) == named(1, 2)


def test_file_that_cannot_be_opened__the_others_are_taken(
    deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where its owner is another user; root may read all, so the refusal is played."""
    drop(deck, "a-secret.csv", 1)
    drop(deck, "b-open.csv", 2)
    real = inbox._last_byte

    def last_byte(path: Path) -> bytes:
        if path.name == "a-secret.csv":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(inbox, "_last_byte", last_byte)
    monkeypatch.setattr("tests.runtime.test_service.PATIENCE_S", 2.0)
    run(deck, until_done("b-open.csv"))


def test_file_that_ends_its_worker__the_others_are_taken(deck: Deck, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when a library crashes over a file, or the machine runs out of memory."""
    drop(deck, "a-poison.csv", 1)
    drop(deck, "b-good.csv", 2)
    real = take.__dict__["parse_csv"]

    def parse_csv(data: bytes, *rest: Any) -> Any:
        if data == content(1):
            raise WorkerLost("The worker process ended in the middle of its work.")
        return real(data, *rest)

    monkeypatch.setattr(take, "parse_csv", parse_csv)
    monkeypatch.setattr("tests.runtime.test_service.PATIENCE_S", 3.0)

    async def inner() -> None:
        async with hosting(deck) as (_, heard):
            await until_done("b-good.csv")(_, heard)

    asyncio.run(inner())
