"""What an engine says: numbered events to all listeners, lines for people, and the steps of its work.

It keeps nothing of what was told, and knows nothing of who listens.
"""

from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from engine.domain.instants import format_instant
from engine.messages import Event
from engine.runtime.executors import SPAN
from engine.runtime.telemetry.spans import Span, Telemetry, span, trace_id

Listener = Callable[[Event], None]


class Telling:
    """Who tells, by one clock; facts are told after they are stored."""

    def __init__(self, clock: Callable[[], int], telemetry: Telemetry) -> None:
        self.telemetry = telemetry
        self._clock = clock
        self._listeners: list[Listener] = []
        self._told = 0
        self._untold: deque[Event] = deque()
        self._telling = False

    @property
    def told(self) -> int:
        """The number of the last event."""
        return self._told

    def now(self) -> int:
        """The engine's clock, in microseconds UTC."""
        return self._clock()

    def subscribe(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def tell(self, kind: str, data: dict[str, Any]) -> None:
        """Tells all listeners.

        What a listener tells in turn waits, so that everyone hears events in the order of their numbers.
        """
        self._told += 1
        self._untold.append(Event(self._told, kind, data, trace_id()))
        if self._telling:
            return
        self._telling = True
        try:
            while self._untold:
                event = self._untold.popleft()
                for listener in self._listeners:
                    listener(event)
        finally:
            self._telling = False

    def log(self, level: str, kind: str, text: str) -> None:
        """Tells a line for people: level info, warn or bad."""
        text = self.telemetry.strike(text)
        self.tell("log", {"at": format_instant(self._clock()), "level": level, "kind": kind, "text": text})

    def reported(self, kind: str, told: dict[str, Any]) -> None:
        """What a task said: a step that is over, or an event."""
        if kind == SPAN:
            self.telemetry.keep(told)
        else:
            self.tell(kind, told)

    def step(self, name: str, /, **attributes: Any) -> AbstractContextManager[Span]:
        """A step of what is under way here, else the first of a new piece of work."""
        return span(name, self.telemetry.keep, **attributes)
