"""The console's end of the line: keeps the mirror in step with an engine, asks and acts.

An overview is asked for again where an event is missing, and at once after a connection was lost.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from console.mirror import EVERYTHING, Mirror, Topics, clean
from engine.api import Command, EngineClient, EngineError, Event, Query, Result, strike

Document = dict[str, Any]

SILENCE_S = 15.0  # without an event; then the engine is asked, to learn whether it is still there
ANSWER_S = 60.0  # for an overview; a busy engine may take a while
RETRY_S = (1.0, 2.0, 4.0, 10.0)  # between tries to connect; the last one again and again


class Session:
    """Keeps a mirror in step with an engine; tells `changed` which topics moved. All on the event loop."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[EngineClient]],
        changed: Callable[[Topics], None],
        clock: Callable[[], float],
    ) -> None:
        self.mirror = Mirror()
        self._connect = connect
        self._changed = changed
        self._clock = clock
        self._client: EngineClient | None = None
        self._ahead: list[Event] = []
        self._asking = False
        self._heard = False
        self._again = asyncio.Event()
        self._unanswered = 0

    @property
    def connected(self) -> bool:
        return self.mirror.phase == "live"

    @property
    def is_waiting(self) -> bool:
        """Whether a question or a command is still without its answer."""
        return self._unanswered > 0

    async def run(self) -> None:
        """Connects, follows, and connects again after a loss; returns only where trying again cannot help."""
        tries = 0
        while True:
            try:
                client = await self._connect()
                tries = 0
                await self._follow(client)
            except (OSError, EngineError) as error:
                if not self._lost(error):
                    return
            except Exception as error:  # whatever the fault: it is shown, and the terminal stays whole
                self._lost(_fault(error))
                return
            await asyncio.sleep(RETRY_S[min(tries, len(RETRY_S) - 1)])
            tries += 1

    async def _follow(self, client: EngineClient) -> None:
        """Listens first and asks then, so that nothing told in between is lost."""
        self._client = client
        client.subscribe(lambda event: self._take(client, event))
        while True:
            await self._read(client)
            await self._until_needed()

    async def _read(self, client: EngineClient) -> None:
        self._asking = True
        self._again.clear()
        try:
            overview = await asyncio.wait_for(client.ask(Query("overview")), ANSWER_S)
        finally:
            self._asking = False
        self.mirror.reset(overview.value, self._clock())
        self.mirror.phase = "live"
        ahead, self._ahead = self._ahead, []
        for event in ahead:
            self._apply(event)
        self._changed(EVERYTHING)

    async def _until_needed(self) -> None:
        """Returns when an event is missing, a refresh was asked for, or nothing was heard for long."""
        while True:
            self._heard = False
            try:
                await asyncio.wait_for(self._again.wait(), SILENCE_S)
            except TimeoutError:
                if self._heard and not self.mirror.overdue(self._clock()):
                    continue
            return

    def _take(self, client: EngineClient, event: Event) -> None:
        if client is not self._client:
            return
        self._heard = True
        if self._asking:
            self._ahead.append(event)
        else:
            self._apply(event)

    def _apply(self, event: Event) -> None:
        topics = self.mirror.take(event, self._clock())
        if topics is None:
            self._again.set()
        elif topics:
            self._changed(topics)

    def _lost(self, error: OSError | EngineError) -> bool:
        """Notes the loss; whether trying again makes sense."""
        self._client = None
        self._ahead.clear()
        hopeful = not isinstance(error, EngineError) or error.retryable
        text, hint = (error.tried, error.hint) if isinstance(error, EngineError) else (str(error), "")
        self.mirror.phase = "lost" if hopeful else "failed"
        self.mirror.trouble = (clean(text) or type(error).__name__, clean(hint))
        self._changed(EVERYTHING)
        return hopeful

    def refresh(self) -> None:
        """Asks for everything again, soon."""
        self._again.set()

    async def ask(self, query: Query) -> Document:
        """The cleaned answer. EngineError or OSError as the client raises them, or without a connection."""
        return await self._answer(self._there().ask(query))

    async def do(self, command: Command) -> Document:
        """Has a command carried out: its cleaned result. EngineError or OSError as above."""
        return await self._answer(self._there().do(command))

    async def _answer(self, asked: Awaitable[Result]) -> Document:
        self._unanswered += 1
        try:
            found: Document = clean((await asked).value)
        except (OSError, EngineError):
            raise
        except Exception as error:  # a fault in the engine is told like any error; the console goes on
            raise _fault(error) from error
        finally:
            self._unanswered -= 1
        return found

    def _there(self) -> EngineClient:
        if self._client is None:
            raise ConnectionError("not connected to an engine")
        return self._client

    async def close(self) -> None:
        """Ends the connection, if there is one."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()


def _fault(error: Exception) -> EngineError:
    """An error that nobody foresaw, as one that can be shown."""
    return EngineError(
        strike(f"Something failed that should not: {type(error).__name__}: {error}"),
        "Nothing is half stored. Start again; `navdeck status` and `navdeck verify` need no console.",
    )
