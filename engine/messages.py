"""What the console and the engine say to each other: frozen values, JSON both ways, standard library only.

Down go commands (they may change something) and queries (they never do); up come results and events.
"""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Self

RESYNC = "resync"  # the kind of an event that says: what you know is no longer kept up, ask again


class _Message:
    """JSON both ways for the dataclasses below."""

    def to_json(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))  # type: ignore[call-overload]

    @classmethod
    def from_json(cls, text: str) -> Self:
        return cls(**json.loads(text))


@dataclass(frozen=True, slots=True)
class Command(_Message):
    """An act. `name` is its verb, `arguments` plain JSON; who does it, and why, always comes along."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)
    actor: str = ""
    reason: str = ""
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Query(_Message):
    """A question. Reads only, beside a running engine."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Event(_Message):
    """Something that happened or moved on, told after it was stored. `seq` has no gaps.

    `trace_id`: the piece of work that it is of, if it is of one.
    """

    seq: int
    kind: str
    data: dict[str, Any] = field(default_factory=dict)
    trace_id: str | None = None


@dataclass(frozen=True, slots=True)
class Result(_Message):
    """The answer to a command or a query: a JSON document."""

    value: dict[str, Any] = field(default_factory=dict)
