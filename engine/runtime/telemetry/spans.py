"""Spans: which piece of work is under way here, what its steps are, and how long each takes.

A piece of work has one trace id, which its steps share across threads and worker processes and which stands
on what it stores and tells. A step that ends goes to `keep` of its piece, as plain values. Standard library
only; it writes nothing, and reads no clock but the steady one, which is the same in all processes.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol

from engine.errors import EngineError

STEPS = {
    "command": "an act of an operator, a verb or the schedule",
    "intake": "files of the inbox that were claimed together",
    "claim": "a file leaves the inbox",
    "file": "one source file, from its bytes to its verdict",
    "read": "its bytes are opened, hashed and parsed",
    "validate": "its rows are judged against the store",
    "commit": "rows, decisions or lake files become true",
    "valuation": "one resolution is valued",
    "lots": "lots and holdings are made from the ledger",
    "snapshots": "values are made and written, and read back",
    "seal": "the rows of a day that is over become lake files",
    "compact": "files of the lake are merged",
    "retention": "what is past its time is dropped",
    "integrity": "lake files are read and compared",
    "fetch": "a round of the providers",
    "provider_call": "one call of a provider, with its retries",
    "backup": "a backup is made",
    "backup_verify": "a backup is read back",
    "backup_restore": "a backup becomes a folder",
    "backup_promote": "a restored folder becomes the home",
    "drill": "a backup is restored and recomputed, to see that it can be",
}
OTHER = "OTHER"  # the code of a fault that is no EngineError
Ended = dict[str, Any]  # a step that is over, as `_ended` tells it
Keep = Callable[[Ended], None]


class Telemetry(Protocol):
    """What an engine's owner keeps of its work. `keep` is called from any thread."""

    def keep(self, ended: Ended) -> None: ...

    def strike(self, text: str) -> str:
        """The text without secrets."""

    def text(self, document: dict[str, Any]) -> str:
        """All that was counted, with the gauges of a document, as Prometheus text."""

    async def close(self) -> None: ...


class Silent:
    """Keeps nothing."""

    def keep(self, ended: Ended) -> None:
        """Nobody watches."""

    def strike(self, text: str) -> str:
        return text

    def text(self, document: dict[str, Any]) -> str:
        """Nothing was counted."""
        return ""

    async def close(self) -> None:
        """Nothing is open."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where we are: the piece of work, the step in it, and who keeps the steps that end."""

    trace_id: str
    span_id: str
    keep: Keep | None = None


@dataclass(slots=True)
class Span:
    """A step under way. `attributes` may be added to; `fail` marks it without an exception."""

    attributes: dict[str, Any]
    error: dict[str, str] | None = field(default=None)

    def fail(self, code: str, text: str) -> None:
        self.error = {"code": code, "text": text}


_here: ContextVar[Place | None] = ContextVar("navdeck_trace", default=None)


def trace_id() -> str | None:
    """The piece of work that is under way here; None if there is none."""
    here = _here.get()
    return None if here is None else here.trace_id


def passed() -> tuple[str, str] | None:
    """Where we are, as plain values for another process."""
    here = _here.get()
    return None if here is None else (here.trace_id, here.span_id)


@contextmanager
def within(at: tuple[str, str] | None, keep: Keep | None = None) -> Iterator[None]:
    """Goes on with what is under way elsewhere, as `passed` told it."""
    token = _here.set(None if at is None else Place(*at, keep))
    try:
        yield
    finally:
        _here.reset(token)


@contextmanager
def span(step: str, keep: Keep | None = None, /, **attributes: Any) -> Iterator[Span]:
    """One step; where no piece of work is under way it begins one. `keep`: who takes it and its steps."""
    assert step in STEPS, step
    above = _here.get()
    here = Place(
        _random(16) if above is None else above.trace_id,
        _random(8),
        above.keep if above is not None and above.keep is not None else keep,
    )
    told, begun = Span(attributes), time.monotonic_ns()
    token = _here.set(here)
    try:
        yield told
    except BaseException as error:
        told.fail(error.code if isinstance(error, EngineError) else OTHER, f"{type(error).__name__}: {error}")
        raise
    finally:
        _here.reset(token)
        if here.keep is not None:
            here.keep(_ended(step, here, above, told, begun))


def committing() -> AbstractContextManager[Span]:
    """The commit of a transaction, as a step."""
    return span("commit")


def _ended(step: str, here: Place, above: Place | None, told: Span, begun: int) -> Ended:
    return {
        "step": step,
        "trace_id": here.trace_id,
        "span_id": here.span_id,
        "parent_id": None if above is None else above.span_id,
        "begun_ns": begun,
        "ended_ns": time.monotonic_ns(),
        "attributes": told.attributes,
        "error": told.error,
    }


def _random(size: int) -> str:
    return os.urandom(size).hex()
