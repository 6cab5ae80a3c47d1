"""A client in the engine's own process: the twin of a wire, with nothing in between."""

from collections.abc import Callable
from typing import Protocol

from engine.messages import Command, Event, Query, Result


class Server(Protocol):
    """What answers: an engine that only reads or acts when told, or a host that works by itself."""

    async def do(self, command: Command) -> Result: ...

    async def ask(self, query: Query) -> Result: ...

    def subscribe(self, listener: Callable[[Event], None]) -> None: ...

    async def close(self) -> None: ...


class InProcessClient:
    """Speaks to a server that this process hosts."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def do(self, command: Command) -> Result:
        return await self._server.do(command)

    async def ask(self, query: Query) -> Result:
        return await self._server.ask(query)

    def subscribe(self, listener: Callable[[Event], None]) -> None:
        self._server.subscribe(listener)

    async def close(self) -> None:
        await self._server.close()
