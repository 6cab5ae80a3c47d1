"""Two ends of a real socket in one process: an engine that only remembers, and clients of every kind."""

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from engine.errors import UsageError
from engine.link import protocol
from engine.link.client import SocketClient
from engine.link.server import SocketServer
from engine.messages import Command, Event, Query, Result


class Books:
    """An engine that keeps what it was told. `slow` waits until `go`; `fail` raises what it was given."""

    def __init__(self) -> None:
        self.done: list[Command] = []
        self.cancelled: list[str] = []
        self.go = asyncio.Event()
        self.failure: Exception = UsageError("No.", "Never.")
        self.closed = False
        self.told = 0
        self._listeners: list[Callable[[Event], None]] = []

    async def do(self, command: Command) -> Result:
        await self._work(command.name)
        self.done.append(command)
        return Result({"done": command.name})

    async def ask(self, query: Query) -> Result:
        await self._work(query.name)
        if query.name == "overview":
            now = "2026-01-01T00:00:00Z"
            return Result({"seq": self.told, "hosting": True, "read_only": False, "now": now})
        return Result({"name": query.name, **query.arguments})

    async def _work(self, name: str) -> None:
        if name == "fail":
            raise self.failure
        if name == "slow":
            try:
                await self.go.wait()
            except asyncio.CancelledError:
                self.cancelled.append(name)
                raise

    def subscribe(self, listener: Callable[[Event], None]) -> None:
        self._listeners.append(listener)

    def tell(self, kind: str = "memory", **data: Any) -> None:
        self.told += 1
        for listener in self._listeners:
            listener(Event(self.told, kind, data))

    async def close(self) -> None:
        self.closed = True


@asynccontextmanager
async def served(run: Path, user: int | None = None) -> AsyncIterator[tuple[Books, SocketServer]]:
    """An engine with its socket in the folder `run`, which is made if need be."""
    os.makedirs(run, exist_ok=True)
    books = Books()
    server = await SocketServer.open(books, run, user)
    try:
        yield books, server
    finally:
        await server.close()


@asynccontextmanager
async def attached(run: Path, *, read_only: bool = False) -> AsyncIterator[SocketClient]:
    client = await SocketClient.open(run, read_only=read_only)
    try:
        yield client
    finally:
        await client.close()


class Raw:
    """A client that says what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def say(self, line: bytes) -> None:
        self.writer.write(line)
        await self.writer.drain()

    async def hears(self) -> dict[str, Any]:
        """The next frame."""
        return dict(json.loads(await asyncio.wait_for(self.reader.readline(), 10)))

    async def is_let_go(self) -> bool:
        """Whether the other end closes the connection, after whatever it still says."""
        with suppress(ConnectionError):
            while await asyncio.wait_for(self.reader.read(65536), 10):
                pass
        return True


@asynccontextmanager
async def raw(run: Path, *, greets: bool = True) -> AsyncIterator[Raw]:
    """A connection by hand; `greets`: the greetings are already exchanged."""
    folder = protocol.open_folder(run)
    try:
        reader, writer = await asyncio.open_unix_connection(protocol.address(folder))
    finally:
        os.close(folder)
    one = Raw(reader, writer)
    try:
        if greets:
            await one.hears()
            await one.say(protocol.hello_frame(protocol.my_hello()))
        yield one
    finally:
        writer.close()


def left_behind(run: Path) -> Path:
    """The socket of an engine that was killed."""
    run.mkdir(parents=True, exist_ok=True)
    path = run / protocol.SOCKET_NAME
    with socket.socket(socket.AF_UNIX) as plug:
        plug.bind(str(path))
    return path


async def until(true: Callable[[], bool]) -> None:
    """Waits until something has become true."""
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110  nothing else tells of it
            await asyncio.sleep(0.005)
