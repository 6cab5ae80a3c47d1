"""Real sockets: requests in, events out, and what becomes of clients that are late, rude or strangers."""

import asyncio
import os
import socket
import stat
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from console import client as client_module
from console.client import Session
from engine.api import EngineClient
from engine.errors import EngineGone, FrameRefused, HomeInUse, LinkError, LookOnly, UsageError, VersionSkew
from engine.link import protocol, server
from engine.link.client import SocketClient, who_answers
from engine.link.protocol import SOCKET_NAME
from engine.link.server import Served, SocketServer
from engine.messages import RESYNC, Command, Event, Query
from tests.link.wire import Books, attached, left_behind, raw, served, until

CONSOLES = 20


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return tmp_path / "run"


def on_wire(run: Path, act: Callable[[Books], Awaitable[Any]]) -> Any:
    async def go() -> Any:
        async with served(run) as (books, _):
            return await act(books)

    return asyncio.run(go())


# -- speaking -------------------------------------------------------------------------------------------


def test_command__arrives_with_who_why_and_dry_run(run: Path) -> None:
    command = Command("fix", {"ids": ["a\u202e"], "n": [1, None]}, "ann", "why not", dry_run=True)

    async def act(books: Books) -> None:
        async with attached(run) as client:
            assert (await client.do(command)).value == {"done": "fix"}
        assert books.done == [command]

    on_wire(run, act)


def test_questions__are_answered_each_when_it_is_done(run: Path) -> None:
    async def act(books: Books) -> None:
        async with attached(run) as client:
            slow = asyncio.create_task(client.ask(Query("slow")))
            assert (await client.ask(Query("quick", {"n": 1}))).value == {"name": "quick", "n": 1}
            assert not slow.done()
            books.go.set()
            assert (await slow).value == {"name": "slow"}

    on_wire(run, act)


def test_refusal__is_raised_as_it_was(run: Path) -> None:
    async def act(_books: Books) -> None:
        async with attached(run) as client:
            with pytest.raises(UsageError, match=r"No\.") as refused:
                await client.do(Command("fail"))
            assert refused.value.hint == "Never."
            assert (await client.ask(Query("quick"))).value  # and the connection goes on

    on_wire(run, act)


def test_events__reach_every_listener_with_the_same_numbers(run: Path) -> None:
    async def act(books: Books) -> None:
        books.tell()
        heard: list[list[Event]] = [[], []]
        async with attached(run) as one, attached(run) as other, attached(run) as deaf:
            for client, told in zip((one, other), heard, strict=True):
                client.subscribe(told.append)
                await client.ask(Query("quick"))
            await deaf.ask(Query("quick"))
            for number in range(50):
                books.tell("memory", ratio=number)
            await until(lambda: all(len(told) == 50 for told in heard))
        assert heard[0] == heard[1] == [Event(n + 2, "memory", {"ratio": n}) for n in range(50)]

    on_wire(run, act)


def test_events_told_before_an_answer__are_heard_before_it(run: Path) -> None:
    order: list[object] = []

    async def act(books: Books) -> None:
        async with attached(run) as client:
            client.subscribe(lambda event: order.append(event.seq))
            await client.ask(Query("quick"))
            asked = asyncio.create_task(client.ask(Query("slow")))
            await asyncio.sleep(0.05)
            books.tell()
            books.tell()
            books.go.set()
            await asked
            order.append("answered")
            books.tell()
            await until(lambda: len(order) == 4)

    on_wire(run, act)
    assert order == [1, 2, "answered", 3]


def test_overview__says_that_the_engine_is_elsewhere_and_what_this_console_may(run: Path) -> None:
    async def act(_books: Books) -> None:
        for read_only in (False, True):
            async with attached(run, read_only=read_only) as client:
                told = (await client.ask(Query("overview"))).value
                assert (told["hosting"], told["read_only"]) == (False, read_only)

    on_wire(run, act)


def test_console_that_only_looks__may_ask_and_never_act(run: Path) -> None:
    async def act(books: Books) -> None:
        async with attached(run, read_only=True) as client:
            assert (await client.ask(Query("quick"))).value
            with pytest.raises(LookOnly):
                await client.do(Command("fix"))
        assert books.done == []

    on_wire(run, act)


# -- coming and going -----------------------------------------------------------------------------------


def test_nobody_there__is_told_as_such(run: Path) -> None:
    with pytest.raises(EngineGone, match="No engine answers"):
        asyncio.run(SocketClient.open(run))
    assert asyncio.run(who_answers(run)) is None


def test_who_answers__tells_process_and_version(run: Path) -> None:
    told = on_wire(run, lambda _: who_answers(run))
    assert told == {"pid": os.getpid(), "version": protocol.my_hello().version}


def test_client_that_leaves__its_questions_end__its_acts_go_on(run: Path) -> None:
    async def act(books: Books) -> None:
        async with attached(run) as client:
            waits = client.ask(Query("slow")), client.do(Command("slow"))
            tasks = [asyncio.create_task(wait) for wait in waits]
            await asyncio.sleep(0.05)
        told = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(error, EngineGone) for error in told)
        await until(lambda: books.cancelled == ["slow"])
        books.go.set()
        await until(lambda: [command.name for command in books.done] == ["slow"])

    on_wire(run, act)


def test_question_that_nobody_waits_for__is_ended(run: Path) -> None:
    async def act(books: Books) -> None:
        async with attached(run) as client:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.ask(Query("slow")), 0.05)
            await until(lambda: books.cancelled == ["slow"])
            assert (await client.ask(Query("quick"))).value

    on_wire(run, act)


def test_questions_forgotten_before_they_began__leave_room_for_others(run: Path) -> None:
    async def act(_books: Books) -> None:
        async with raw(run) as other:
            for number in range(1, 2 * server.REQUESTS_MAX):
                await other.say(b'{"id":%d,"ask":{"name":"slow"}}\n{"forget":%d}\n' % (number, number))
            await other.say(b'{"id":999,"ask":{"name":"quick"}}\n')
            assert (await other.hears())["id"] == 999

    on_wire(run, act)


def test_client_that_was_closed__answers_nothing_any_more(run: Path) -> None:
    async def act(_books: Books) -> None:
        async with attached(run) as client:
            assert (await client.ask(Query("quick"))).value
        with pytest.raises(EngineGone, match="closed"):
            await asyncio.wait_for(client.ask(Query("quick")), 10)

    on_wire(run, act)


def test_listener_that_fails__ends_its_connection__and_nobody_waits_for_ever(run: Path) -> None:
    def fails(_: Event) -> None:
        raise ValueError("a fault of the console")

    async def act(books: Books) -> None:
        async with attached(run) as client:
            client.subscribe(fails)
            await client.ask(Query("quick"))
            waits = asyncio.create_task(client.ask(Query("slow")))
            await asyncio.sleep(0)
            books.tell()
            for late in (waits, client.ask(Query("quick"))):
                with pytest.raises(EngineGone):
                    await asyncio.wait_for(late, 10)

    on_wire(run, act)


def test_engine_that_goes__who_waits_is_told__who_listens_asks_again(run: Path) -> None:
    heard: list[Event] = []
    run.mkdir()

    async def go() -> None:
        books = Books()
        wire = await SocketServer.open(books, run)
        async with attached(run) as client:
            client.subscribe(heard.append)
            await client.ask(Query("quick"))
            books.tell()
            asked = asyncio.create_task(client.do(Command("slow")))
            await until(lambda: bool(heard))
            await wire.close()
            with pytest.raises(EngineGone) as gone:
                await asked
            assert "may be done or not" in gone.value.hint
            with pytest.raises(EngineGone):
                await client.ask(Query("quick"))

    asyncio.run(go())
    assert [event.kind for event in heard] == ["memory", RESYNC]


def test_ending__is_off_the_wire_before_the_engine_ends(run: Path) -> None:
    run.mkdir()

    async def go() -> None:
        books = Books()
        both = Served(books, await SocketServer.open(books, run))
        seen: list[bool] = []

        async def close() -> None:
            seen.append((run / SOCKET_NAME).exists())
            with pytest.raises(EngineGone):
                await client.do(Command("fix"))
            books.tell("state", state="draining")
            await until(lambda: bool(heard))

        heard: list[Event] = []
        async with attached(run) as client:
            client.subscribe(heard.append)
            await client.ask(Query("quick"))
            books.close = close  # type: ignore[method-assign]
            await both.close()
        assert seen == [False]
        assert heard[0].data == {"state": "draining"}  # who was there sees it to the end
        assert books.done == []

    asyncio.run(go())


def test_session__loses_the_engine_and_finds_the_next_one(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "RETRY_S", (0.02,))
    phases: list[str] = []

    async def connect() -> EngineClient:
        return await SocketClient.open(run)

    async def go() -> None:
        session = Session(connect, lambda _: phases.append(session.mirror.phase), lambda: 0.0)
        following = asyncio.create_task(session.run())
        try:
            for told in (7, 3):  # the second engine begins to count anew
                async with served(run) as (books, _):
                    books.told = told
                    await until(lambda: session.mirror.phase == "live")
                    assert session.mirror.doc["seq"] == told
                    books.tell("alerts", alerts=["after"])
                    await until(lambda told=told: session.mirror.doc["seq"] == told + 1)  # type: ignore[misc]
                await until(lambda: session.mirror.phase == "lost")
                assert session.mirror.doc["alerts"] == ["after"]  # the screen keeps what was known
        finally:
            following.cancel()
            await session.close()

    asyncio.run(go())
    assert "failed" not in phases


# -- the address ----------------------------------------------------------------------------------------


def test_socket__is_its_owners_alone(run: Path) -> None:
    run.mkdir(mode=0o755)

    async def act(_books: Books) -> list[int]:
        return [stat.S_IMODE(os.stat(path).st_mode) for path in (run, run / SOCKET_NAME)]

    assert on_wire(run, act) == [0o700, 0o600]
    assert not (run / SOCKET_NAME).exists()


def test_socket__whoever_finds_it_may_knock__though_nobody_opens_yet(run: Path) -> None:
    run.mkdir()
    folder = protocol.open_folder(run)
    with server._bound(folder), socket.socket(socket.AF_UNIX) as early:
        early.connect(protocol.address(folder))
    os.close(folder)


def test_socket__below_a_long_path__works_all_the_same(tmp_path: Path) -> None:
    run = tmp_path / ("deep" * 30) / ("down" * 30) / "run"
    run.parent.mkdir(parents=True)

    async def act(_books: Books) -> None:
        async with attached(run) as client:
            assert (await client.ask(Query("quick"))).value

    on_wire(run, act)


def test_socket__left_by_a_killed_engine__is_replaced(run: Path) -> None:
    left_behind(run)
    with pytest.raises(EngineGone):
        asyncio.run(SocketClient.open(run))

    assert on_wire(run, lambda _: who_answers(run))


def test_socket__that_another_engine_answers__is_left_alone(run: Path) -> None:
    async def act(_books: Books) -> None:
        with pytest.raises(HomeInUse):
            await SocketServer.open(Books(), run)
        assert await who_answers(run)

    on_wire(run, act)


def test_file_in_the_sockets_place__is_left_alone(run: Path) -> None:
    run.mkdir()
    (run / SOCKET_NAME).write_text("mine")
    with pytest.raises(LinkError, match="no socket"):
        asyncio.run(SocketServer.open(Books(), run))
    assert (run / SOCKET_NAME).read_text() == "mine"


# -- strangers ------------------------------------------------------------------------------------------


def test_another_user__is_shown_the_door(run: Path) -> None:
    """The kernel tells the uid and a test cannot be somebody else: the engine is made another's instead."""

    async def go() -> None:
        async with served(run, user=os.geteuid() + 1) as (books, _):
            with pytest.raises(LinkError, match="another user"):
                await SocketClient.open(run)
            async with raw(run, greets=False) as other:
                await other.say(protocol.hello_frame(protocol.my_hello()) + b'{"id":1,"do":{"name":"fix"}}\n')
                assert (await other.hears())["error"]["code"] == "LINK_ERROR"
                assert await other.is_let_go()
            assert books.done == []

    asyncio.run(go())


def test_client_of_another_version__is_refused_with_the_fix(run: Path) -> None:
    async def act(books: Books) -> None:
        async with raw(run, greets=False) as other:
            assert (await other.hears())["hello"]["pid"] == os.getpid()
            await other.say(b'{"hello":{"proto":1,"version":"0.0.1"}}\n{"id":1,"do":{"name":"fix"}}\n')
            refused = (await other.hears())["error"]
            assert refused["code"] == "VERSION_SKEW"
            assert "0.0.1" in refused["tried"]
            assert await other.is_let_go()
        assert books.done == []

    on_wire(run, act)


def test_engine_of_another_version__is_not_spoken_to(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = protocol.my_hello()
    hellos = iter([protocol.Hello(1, "0.0.1", 5), mine])

    async def act(_books: Books) -> None:
        monkeypatch.setattr(protocol, "my_hello", lambda **_: next(hellos))
        with pytest.raises(VersionSkew, match=r"process 5\) is navdeck 0\.0\.1"):
            await SocketClient.open(run)

    on_wire(run, act)


def test_engine_that_hangs__is_as_good_as_gone(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HELLO_S", 0.05)
    path = left_behind(run)
    path.unlink()
    with socket.socket(socket.AF_UNIX) as hung:
        hung.bind(str(path))
        hung.listen()
        assert asyncio.run(who_answers(run)) is None
        with pytest.raises(EngineGone, match="says nothing"):
            asyncio.run(SocketClient.open(run))


GARBAGE = [
    b"GET / HTTP/1.1\r\n\r\n", b"[]\n", b'{"id":1}\n', b'{"id":"1","ask":{"name":"a"}}\n',
    b"[" * 10_000 + b"\n", b'{"id":1,"ask":{"name":"a","actor":"b"}}\n',
    b'{"id":1,"do":{"name":"a","arguments":[]}}\n', b'{"id":1,"do":{"name":7}}\n',
    b'{"id":1,"do":null}\n', b'\xff\xfe\x00\n',
]  # fmt: skip


@pytest.mark.parametrize("line", GARBAGE)
def test_garbage__ends_its_own_connection_and_no_other(run: Path, line: bytes) -> None:
    async def act(books: Books) -> None:
        async with attached(run) as client, raw(run) as rude:
            await rude.say(line)
            assert (await rude.hears())["error"]["code"] == "FRAME_REFUSED"
            assert await rude.is_let_go()
            assert (await client.ask(Query("quick"))).value
        assert books.done == []

    on_wire(run, act)


def test_request_that_is_too_long__ends_its_connection_and_no_other(run: Path) -> None:
    async def act(_books: Books) -> None:
        async with attached(run) as client, raw(run) as rude:
            rude.writer.write(b'{"id":1,"ask":{"name":"' + b"a" * (protocol.REQUEST_BYTES_MAX + 10))
            assert (await rude.hears())["error"]["code"] == "FRAME_REFUSED"
            rude.writer.transport.abort()
            assert (await client.ask(Query("quick"))).value

    on_wire(run, act)


def test_answer_that_is_too_long__is_an_error__and_the_connection_goes_on(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "ANSWER_BYTES_MAX", 1_000)

    async def act(_books: Books) -> None:
        async with attached(run) as client:
            with pytest.raises(FrameRefused, match="The answer has"):
                await client.ask(Query("quick", {"long": "a" * 1_000}))
            assert (await client.ask(Query("quick"))).value

    on_wire(run, act)


def test_too_many_connections__the_next_is_refused(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "CLIENTS_MAX", 1)

    async def act(_books: Books) -> None:
        async with attached(run) as client:
            assert (await client.ask(Query("quick"))).value
            with pytest.raises(LinkError, match="open already"):
                await SocketClient.open(run)

    on_wire(run, act)


def test_too_many_questions_at_once__wait_for_the_first(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "REQUESTS_MAX", 2)

    async def act(books: Books) -> None:
        async with attached(run) as client:
            asked = [asyncio.create_task(client.ask(Query("slow"))) for _ in range(2)]
            third = asyncio.create_task(client.ask(Query("quick")))
            _, waiting = await asyncio.wait({third}, timeout=0.1)
            assert waiting
            books.go.set()
            assert (await third).value
            await asyncio.gather(*asked)

    on_wire(run, act)


# -- many, and one that never reads -----------------------------------------------------------------------


def test_twenty_consoles__one_never_reads__it_is_let_go_and_the_others_miss_nothing(run: Path) -> None:
    event_bytes = 20_000
    events = 2 * server.QUEUE_BYTES_MAX // event_bytes

    async def act(books: Books) -> None:
        counts = [0] * (CONSOLES - 1)
        last = [0] * (CONSOLES - 1)

        def hearing(place: int) -> Callable[[Event], None]:
            def hear(event: Event) -> None:
                counts[place] += 1
                assert event.seq == last[place] + 1
                last[place] = event.seq

            return hear

        clients = [await SocketClient.open(run) for _ in counts]
        async with raw(run) as deaf:
            deaf.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await deaf.say(b'{"listen":true}\n')
            for place, client in enumerate(clients):
                client.subscribe(hearing(place))
                await client.ask(Query("quick"))
            for _ in range(events):
                books.tell("nav", padding="x" * event_bytes)
                await asyncio.sleep(0)
            await until(lambda: counts == [events] * len(counts))
            deaf.writer.transport.resume_reading()  # type: ignore[attr-defined]
            assert await deaf.is_let_go()
        for client in clients:
            await client.close()

    on_wire(run, act)


def test_event_longer_than_the_queue__reaches_who_reads(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "QUEUE_BYTES_MAX", 100_000)
    heard: list[Event] = []

    async def act(books: Books) -> None:
        async with attached(run) as client:
            client.subscribe(heard.append)
            await client.ask(Query("quick"))
            books.tell("inbox", padding="x" * 1_000_000)
            await until(lambda: bool(heard))

    on_wire(run, act)
    assert heard[0].kind == "inbox"


def test_long_answers__are_no_reason_to_let_a_console_go(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "QUEUE_BYTES_MAX", 100_000)
    heard: list[Event] = []

    async def act(books: Books) -> None:
        async with attached(run) as client:
            client.subscribe(heard.append)
            asked = asyncio.create_task(client.ask(Query("quick", {"long": "a" * 5_000_000})))
            while not asked.done():
                books.tell()
                await asyncio.sleep(0)
            assert len((await asked).value["long"]) == 5_000_000

    on_wire(run, act)
    assert RESYNC not in {event.kind for event in heard}


def test_answers_that_nobody_reads__do_not_pile_up(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "ANSWER_BYTES_MAX", 3_000_000)
    ask = b'{"id":%d,"ask":{"name":"quick","arguments":{"long":"' + b"a" * 1_000_000 + b'"}}}\n'

    async def act(_books: Books) -> None:
        async with attached(run) as client, raw(run) as deaf:
            deaf.writer.transport.pause_reading()  # type: ignore[attr-defined]
            with suppress(ConnectionError):
                for number in range(1, 7):
                    await deaf.say(ask % number)
                await until(deaf.writer.transport.is_closing)
            assert (await client.ask(Query("quick"))).value

    on_wire(run, act)


def test_rude_client_that_never_reads__is_kept_no_longer_than_a_moment(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "FAREWELL_S", 0.05)
    told = server.QUEUE_BYTES_MAX // 2

    async def go() -> None:
        async with served(run) as (books, wire), raw(run) as deaf:
            deaf.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await deaf.say(b'{"listen":true}\n')
            await until(lambda: any(client.listening for client in wire._clients))
            books.tell("nav", padding="x" * told)
            await deaf.say(b"[]\n")
            await until(lambda: not wire._clients)
            deaf.writer.transport.resume_reading()  # type: ignore[attr-defined]
            with suppress(ConnectionError):
                assert len(await asyncio.wait_for(deaf.reader.read(), 10)) < told

    asyncio.run(go())
