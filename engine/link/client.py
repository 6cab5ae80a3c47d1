"""The console's end of the wire: the same client as in process, spoken to an engine in another process.

It knows no more than the frames. A lost connection is told to who listens as a `resync`: what they know is
no longer kept up, so they ask, and learn that the engine is gone.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Any

from engine.errors import EngineError, EngineGone, LinkError
from engine.link import protocol
from engine.link.protocol import Frame
from engine.messages import RESYNC, Command, Event, Query, Result

MAY_BE_DONE = "An act that was under way may be done or not: `navdeck decisions` and `navdeck status` tell."


class SocketClient:
    """One connection to the engine of a home."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, read_only: bool) -> None:
        self._reader = reader
        self._writer = writer
        self._read_only = read_only
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[Result]] = {}
        self._listeners: list[Callable[[Event], None]] = []
        self._heard = 0  # the number of the last event
        self._gone: EngineError | None = None
        self._hearing: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, run: Path, *, read_only: bool = False) -> "SocketClient":
        """Connects by a home's `run` folder. EngineGone if nobody answers there, VersionSkew, LinkError."""
        reader, writer = await asyncio.open_unix_connection(
            sock=_plugged(run), limit=protocol.ANSWER_BYTES_MAX
        )
        client = cls(reader, writer, read_only)
        try:
            theirs = await protocol.read_hello(reader)
            mine = protocol.my_hello(read_only=read_only)
            protocol.require_same(mine, theirs, engine=theirs)
            writer.write(protocol.hello_frame(mine))
        except BaseException:
            await client.close()
            raise
        client._hearing = asyncio.create_task(client._hear(), name="link")
        return client

    async def do(self, command: Command) -> Result:
        return await self._asked({"do": asdict(command)})

    async def ask(self, query: Query) -> Result:
        result = await self._asked({"ask": asdict(query)})
        if query.name == "overview":  # the engine knows itself as the host; from here it is elsewhere
            return Result(result.value | {"hosting": False, "read_only": self._read_only})
        return result

    def subscribe(self, listener: Callable[[Event], None]) -> None:
        if not self._listeners:
            self._send({"listen": True})
        self._listeners.append(listener)

    async def close(self) -> None:
        """Ends the connection. The engine goes on, and so does an act that it has taken on."""
        self._listeners.clear()
        if self._hearing is not None:
            self._hearing.cancel()
            await asyncio.gather(self._hearing, return_exceptions=True)
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def _asked(self, frame: Frame) -> Result:
        if self._gone is not None:
            raise self._gone
        number = next(self._numbers)
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            self._send({"id": number, **frame})
            return await answer
        except asyncio.CancelledError:
            self._send({"forget": number})
            raise
        finally:
            del self._waiting[number]

    def _send(self, frame: Frame) -> None:
        if not self._writer.is_closing():
            self._writer.write(protocol.encode(frame))

    async def _hear(self) -> None:
        """Takes frames until the connection ends; then whoever waits is told."""
        try:
            while True:
                self._take(await protocol.read_frame(self._reader))
        except LinkError as error:
            gone = isinstance(error, EngineGone)
            self._gone = EngineGone("The engine has gone.", MAY_BE_DONE) if gone else error
        finally:
            self._writer.close()
            self._gone = self._gone or EngineGone("The connection was closed.", MAY_BE_DONE)
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(self._gone)
        self._tell(Event(self._heard + 1, RESYNC))

    def _take(self, frame: Frame) -> None:
        if "event" in frame:
            event = Event(**frame["event"])
            self._heard = event.seq
            self._tell(event)
            return
        answer = self._waiting.get(frame.get("id", 0))
        if answer is None and "error" in frame and "id" not in frame:
            raise _as_link(protocol.to_error(frame["error"]))
        if answer is None or answer.done():
            return
        if "error" in frame:
            answer.set_exception(protocol.to_error(frame["error"]))
        else:
            answer.set_result(Result(frame["value"]))

    def _tell(self, event: Event) -> None:
        for listener in self._listeners:
            listener(event)


async def who_answers(run: Path) -> dict[str, Any] | None:
    """The process and version of the engine that serves a home's `run` folder; None if none answers."""
    try:
        reader, writer = await asyncio.open_unix_connection(sock=_plugged(run))
    except EngineGone:
        return None
    try:
        hello = await protocol.read_hello(reader)
    except LinkError:
        return None
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    return {"pid": hello.pid, "version": hello.version}


def _as_link(error: EngineError) -> LinkError:
    """What the engine said of the connection itself."""
    return error if isinstance(error, LinkError) else LinkError(error.tried, error.hint)


def _plugged(run: Path) -> socket.socket:
    """A connected socket. EngineGone if nobody listens."""
    plug = socket.socket(socket.AF_UNIX)
    try:
        folder = protocol.open_folder(run)
        try:
            plug.setblocking(False)  # on this machine a connection is there at once or not at all
            plug.connect(protocol.address(folder))
        finally:
            os.close(folder)
    except OSError:
        plug.close()
        raise EngineGone(
            "No engine answers here.", "Start one with `navdeck --daemon`, or host one with `navdeck`."
        ) from None
    return plug
