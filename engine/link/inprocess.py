"""A client in the engine's own process: the twin of a wire, with nothing in between."""

from collections.abc import Callable

from engine.messages import Command, Event, Query, Result
from engine.runtime.engine import Engine


class InProcessClient:
    """Speaks to an engine that this process hosts."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def do(self, command: Command) -> Result:
        return await self._engine.do(command)

    async def ask(self, query: Query) -> Result:
        return await self._engine.ask(query)

    def subscribe(self, listener: Callable[[Event], None]) -> None:
        self._engine.subscribe(listener)

    async def close(self) -> None:
        await self._engine.close()
