"""A world for providers: a clock that tests move, a real HTTP server on the loopback, and ports to both."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2

from engine.domain.instants import SECOND_US, parse_instant
from engine.providers.transport import Fact, Ports
from engine.providers.wire import Bounds

BOUNDS = Bounds(connect_s=10.0, read_s=10.0, total_s=20.0, body_bytes=200_000)
BRIEF = replace(BOUNDS, read_s=0.2)  # for answers that never come to an end


def us(text: str) -> int:
    """The instant of a text."""
    instant = parse_instant(text)
    assert instant is not None, text
    return instant


@dataclass
class Clock:
    """Wall clock and ticks that only sleeping moves; `jump_us` moves the wall clock alone."""

    start: int
    passed: int = 0
    jump_us: int = 0
    slept: list[float] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def pass_by(self, moment_us: int) -> None:
        """Time goes by; from any thread."""
        with self._lock:
            self.passed += moment_us

    def now_us(self) -> int:
        return self.start + self.passed + self.jump_us

    def ticks_us(self) -> int:
        return self.passed

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.pass_by(round(seconds * SECOND_US))
        await asyncio.sleep(0)

    def to(self, instant: int) -> None:
        assert instant >= self.now_us()
        self.passed += instant - self.now_us()


@dataclass(frozen=True)
class Seen:
    """A request as the server saw it."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    at_us: int


@dataclass(frozen=True)
class Play:
    """What the server answers. `how`: whole, cut (the connection ends early), stall (nothing more comes)."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    how: str = "whole"


class Server:
    """Plays one provider: `play` says what to answer; `seen` is what was asked."""

    def __init__(self, clock: Clock, play: Callable[[Seen], Play]) -> None:
        self.clock, self.play = clock, play
        self.seen: list[Seen] = []
        self._came = threading.Condition()
        self.released = threading.Event()
        self._http = _Listener(("127.0.0.1", 0), _Handler)
        self._http.server = self
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def reached(self, count: int) -> None:
        """Returns when that many requests have come."""
        with self._came:
            assert self._came.wait_for(lambda: len(self.seen) >= count, 10)

    def see(self, seen: Seen) -> Play:
        with self._came:
            self.seen.append(seen)
            self._came.notify_all()
            return self.play(seen)

    def close(self) -> None:
        self.released.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(10)
        assert not self._thread.is_alive()


class _Listener(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True
    request_queue_size = 64
    server: Server

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 20
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Listener  # type: ignore[assignment]

    def do_GET(self) -> None:
        world = self.server.server
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        seen = Seen(parts.path, dict(parse_qsl(parts.query)), headers, world.clock.now_us())
        play = world.see(seen)
        self.send_response(play.status)
        missing = 10 if play.how in ("cut", "stall") else 0
        self.send_header("Content-Length", str(len(play.body) + missing))
        for name, value in play.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(play.body)
        self.wfile.flush()
        if play.how == "stall":
            world.released.wait(20)
        if missing:
            self.close_connection = True

    def date_time_string(self, timestamp: float | None = None) -> str:
        return formatdate(self.server.server.clock.now_us() // SECOND_US, usegmt=True)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@dataclass
class World:
    """A clock, a server and what was told."""

    clock: Clock
    server: Server
    facts: list[Fact] = field(default_factory=list)

    def codes(self) -> list[str]:
        return [fact.code for fact in self.facts]

    def ports(self, http: httpx2.AsyncBaseTransport, random: Callable[[], float] = lambda: 0.5) -> Ports:
        clock = self.clock
        return Ports(clock.now_us, clock.ticks_us, clock.sleep, random, http, self.facts.append)

    def run[T](self, act: Callable[[Ports], Awaitable[T]]) -> T:
        """Runs `act` with ports to the server, everything closed afterwards."""

        async def within() -> T:
            http = httpx2.AsyncHTTPTransport(verify=False)
            try:
                return await act(self.ports(http))
            finally:
                await http.aclose()

        return asyncio.run(asyncio.wait_for(within(), 60))


@contextmanager
def world(play: Callable[[Seen], Play], start: str = "2024-03-04T10:00:00Z") -> Iterator[World]:
    """A world whose server plays `play`."""
    clock = Clock(us(start))
    server = Server(clock, play)
    try:
        yield World(clock, server)
    finally:
        server.close()


def scripted(*plays: Play) -> Callable[[Seen], Play]:
    """Plays one after the other; the last for ever."""
    left = list(plays)

    def play(_: Seen) -> Play:
        return left.pop(0) if len(left) > 1 else left[0]

    return play


@contextmanager
def played(make: Callable[[World], Callable[[Seen], Play]], start: str) -> Iterator[World]:
    """A world whose player is made for it, and so knows its clock."""
    players: list[Callable[[Seen], Play]] = []
    with world(lambda seen: players[0](seen), start) as one:
        players.append(make(one))
        yield one
