"""The engine's end of the wire: a unix socket in the home's `run/`, for the consoles and verbs of its user.

It passes requests on and events out and understands none of them. Who reads too slowly is let go: it comes
back and asks for everything again. An act that was taken on goes on even if whoever asked for it leaves.
"""

import asyncio
import contextlib
import os
import socket
import stat
import struct
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engine.errors import EngineGone, FrameRefused, HomeInUse, LinkError, LookOnly
from engine.link import protocol
from engine.link.inprocess import Server
from engine.link.protocol import Frame
from engine.messages import Command, Event, Query, Result

QUEUE_BYTES_MAX = 4 * 2**20  # of events that wait for one client; a live one is never that far behind
# What is told within that time is one piece for each client, for each piece costs a call of the system.
TOGETHER_S, TOGETHER_BYTES = 0.02, 2**16
REQUESTS_MAX = 32  # of one client at a time; it is not read from meanwhile
CLIENTS_MAX = 100
BACKLOG = 128
FOLDER_MODE, SOCKET_MODE = 0o700, 0o600
FAREWELL_S = 1.0  # for last answers to be read
PEER = struct.Struct("3i")  # pid, uid, gid


class SocketServer:
    """Serves one engine. Only for who holds the home's lock."""

    def __init__(self, engine: Server, folder: int, home: str, user: int) -> None:
        self._engine = engine
        self._folder = folder
        self._home = home
        self._user = user
        self._clients: set[_Client] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._acting: set[asyncio.Task[None]] = set()
        self._listening: asyncio.Server | None = None
        self._untold = bytearray()
        self._telling: asyncio.TimerHandle | None = None

    @classmethod
    async def open(cls, engine: Server, run: Path, user: int | None = None) -> "SocketServer":
        """Listens in a home's `run` folder. HomeInUse or LinkError if it must not, OSError if it cannot.

        `user`: the one uid that may connect; this process's own otherwise.
        """
        folder = _own(run)
        try:
            _clear(folder)
            server = cls(engine, folder, str(run.parent), os.geteuid() if user is None else user)
            server._listening = await asyncio.start_unix_server(
                server._accept, sock=_bound(folder), limit=protocol.REQUEST_BYTES_MAX, backlog=BACKLOG
            )
        except BaseException:
            os.close(folder)
            raise
        engine.subscribe(server._tell)
        return server

    def retire(self) -> None:
        """Lets nobody in and takes on nothing more; who is there still hears events."""
        if self._listening is not None:
            self._listening.close()
            self._listening = None
            with contextlib.suppress(FileNotFoundError):
                os.unlink(protocol.SOCKET_NAME, dir_fd=self._folder)

    async def close(self) -> None:
        """Ends all connections, once the last answers are out."""
        self.retire()
        if self._acting:
            await asyncio.wait(self._acting, timeout=FAREWELL_S)
        self._tell_all()
        for client in self._clients:
            client.leave()
        if self._serving:
            await asyncio.wait(self._serving, timeout=FAREWELL_S)
        for client in self._clients:
            client.drop()
        for task in self._acting | self._serving:
            task.cancel()
        await asyncio.gather(*self._acting, *self._serving, return_exceptions=True)
        os.close(self._folder)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        client = _Client(reader, writer)
        self._clients.add(client)
        try:
            await self._greet(client)
            await self._serve(client)
        except LinkError as error:
            if not isinstance(error, EngineGone):
                client.say({"error": protocol.from_error(error)})
        finally:
            await client.end()
            self._clients.discard(client)
            self._serving.discard(task)

    async def _greet(self, client: "_Client") -> None:
        if client.user != self._user:
            raise LinkError("This engine works for another user.", "Act as the user whose engine it is.")
        if len(self._clients) > CLIENTS_MAX:
            raise LinkError(f"{CLIENTS_MAX} connections are open already.", "Close a console.")
        mine = protocol.my_hello(home=self._home)
        client.write(protocol.hello_frame(mine))
        theirs = await protocol.read_hello(client.reader)
        protocol.require_same(mine, theirs, engine=mine)
        client.read_only = theirs.read_only

    async def _serve(self, client: "_Client") -> None:
        """Takes requests until the client leaves; each is answered when it is done, in whatever order."""
        while True:
            frame = await protocol.read_frame(client.reader)
            if "listen" in frame:
                self._tell_all()
                client.listening = True
            elif "forget" in frame:
                client.forget(frame["forget"])
            else:
                await client.slots.acquire()
                self._begin(client, *_request(frame))

    def _begin(self, client: "_Client", number: int, message: Command | Query) -> None:
        task = asyncio.create_task(self._answer(client, number, message))
        # Not within the task: one that is forgotten before its first step never runs a line of its own.
        task.add_done_callback(lambda _: client.slots.release())
        if isinstance(message, Query):
            client.asking[number] = task
            task.add_done_callback(lambda _: client.asking.pop(number, None))
        else:
            self._acting.add(task)
            task.add_done_callback(self._acting.discard)

    async def _work(self, client: "_Client", message: Command | Query) -> Result:
        if self._listening is None:
            raise EngineGone("The engine is ending.", "Try again when it is back.")
        if isinstance(message, Query):
            return await self._engine.ask(message)
        if client.read_only:
            raise LookOnly("This console only looks.", "Start it without --read-only to act.")
        return await self._engine.do(message)

    async def _answer(self, client: "_Client", number: int, message: Command | Query) -> None:
        line = await self._line(client, number, message)
        client.asking.pop(number, None)  # what is on its way can be forgotten no more
        self._tell_all()  # what was told before the answer is heard before it
        await client.answer(line)

    async def _line(self, client: "_Client", number: int, message: Command | Query) -> bytes:
        try:
            line = protocol.encode({"id": number, "value": (await self._work(client, message)).value})
            if len(line) > protocol.ANSWER_BYTES_MAX:
                raise FrameRefused(f"The answer has {len(line):,} bytes.", "Ask for less at a time.")
        except Exception as error:  # whatever the fault: whoever asked is told
            return protocol.encode({"id": number, "error": protocol.from_error(error)})
        return line

    def _tell(self, event: Event) -> None:
        if any(client.listening for client in self._clients):
            self._untold += protocol.encode({"event": asdict(event)})
            if self._telling is None:
                self._telling = asyncio.get_running_loop().call_later(TOGETHER_S, self._tell_all)
            if len(self._untold) >= TOGETHER_BYTES:
                self._tell_all()

    def _tell_all(self) -> None:
        """Sends what was told since the last time."""
        if self._telling is None:
            return
        self._telling.cancel()
        self._telling = None
        lines = bytes(self._untold)
        self._untold.clear()
        for client in [client for client in self._clients if client.listening]:
            client.tell(lines)


class _Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.read_only = False
        self.listening = False
        self.slots = asyncio.Semaphore(REQUESTS_MAX)
        self.asking: dict[int, asyncio.Task[None]] = {}
        self._writer = writer
        self._owed = 0  # bytes of answers that are on their way

    @property
    def user(self) -> int:
        """The uid of the process at the other end, as the kernel knows it."""
        plug: socket.socket = self._writer.get_extra_info("socket")
        uid: int = PEER.unpack(plug.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size))[1]
        return uid

    def write(self, line: bytes) -> None:
        if not self._writer.is_closing():
            self._writer.write(line)

    def say(self, frame: Frame) -> None:
        self.write(protocol.encode(frame))

    def tell(self, lines: bytes) -> None:
        """Events; whoever does not read is let go. What nothing waits before may be of any length."""
        waiting = self._writer.transport.get_write_buffer_size() - self._owed
        if waiting > 0 and waiting + len(lines) > QUEUE_BYTES_MAX:
            self.drop()
        else:
            self.write(lines)

    async def answer(self, line: bytes) -> None:
        """An answer; it waits until the client has read most of it. Who asks and never reads is let go."""
        if self._owed and self._owed + len(line) > protocol.ANSWER_BYTES_MAX:
            self.drop()
        self._owed += len(line)
        self.write(line)
        with contextlib.suppress(ConnectionError):
            await self._writer.drain()
        self._owed -= len(line)

    def forget(self, number: object) -> None:
        """The client waits no longer for an answer."""
        task = self.asking.get(number) if isinstance(number, int) else None
        if task is not None:
            task.cancel()

    def leave(self) -> None:
        """Ends the connection after what is still to be read."""
        self._writer.close()

    def drop(self) -> None:
        """Ends the connection now."""
        self.listening = False
        self._writer.transport.abort()

    async def end(self) -> None:
        """The client has gone: nobody waits for its answers. Its acts go on.

        What is still to be read it may read for a moment; then nothing of it is kept.
        """
        self.listening = False
        for task in list(self.asking.values()):
            task.cancel()
        self._writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            await asyncio.wait_for(self._writer.wait_closed(), FAREWELL_S)
        self._writer.transport.abort()


class Served:
    """An engine and the socket beside it, as one server: it is never seen on the wire once it ends."""

    def __init__(self, engine: Server, wire: SocketServer) -> None:
        self._engine = engine
        self._wire = wire
        self.do, self.ask, self.subscribe = engine.do, engine.ask, engine.subscribe

    async def close(self) -> None:
        """The socket goes first: who comes now must not take an engine that ends for one that works."""
        self._wire.retire()
        try:
            await self._engine.close()
        finally:
            await self._wire.close()


def _request(frame: Frame) -> tuple[int, Command | Query]:
    """The number and the message of a request. FrameRefused if it is none."""
    kinds: dict[str, Callable[..., Any]] = {"do": Command, "ask": Query}
    try:
        number = frame["id"]
        kind = "do" if "do" in frame else "ask"
        message = kinds[kind](**frame[kind])
    except (KeyError, TypeError):
        raise FrameRefused("This is no request.") from None
    if not isinstance(number, int) or not isinstance(message.name, str):
        raise FrameRefused("This is no request.")
    if not isinstance(message.arguments, dict):
        raise FrameRefused("This is no request.")
    return number, message


def _own(run: Path) -> int:
    """A handle of the folder, which is its owner's alone."""
    run.chmod(FOLDER_MODE)
    return protocol.open_folder(run)


def _clear(folder: int) -> None:
    """Removes a socket that nobody serves any more. HomeInUse if somebody does, LinkError if it is none."""
    try:
        mode = os.stat(protocol.SOCKET_NAME, dir_fd=folder, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise LinkError(f"run/{protocol.SOCKET_NAME} is no socket.", "Move it away.")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(protocol.address(folder))
        except ConnectionRefusedError:
            os.unlink(protocol.SOCKET_NAME, dir_fd=folder)
            return
    raise HomeInUse("Another engine answers in this home.", "End it; it has lost the home's lock.")


def _bound(folder: int) -> socket.socket:
    """A socket that is its owner's alone from the first moment, and where whoever finds it may knock."""
    plug = socket.socket(socket.AF_UNIX)
    try:
        os.fchmod(plug.fileno(), SOCKET_MODE)
        plug.bind(protocol.address(folder))
        plug.listen(BACKLOG)
    except BaseException:
        plug.close()
        raise
    return plug
