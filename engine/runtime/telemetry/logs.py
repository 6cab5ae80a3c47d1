"""Log lines as JSON: what happened as values, never as a format, and no secret in any of them.

It writes into the home's logs/ and nowhere else: a terminal may belong to a console.
"""

from collections.abc import Callable, MutableMapping
from typing import Any

import structlog

from engine.domain.instants import format_instant
from engine.runtime.telemetry.lines import LEVELS, Lines
from engine.runtime.telemetry.redact import Redactor

FACTS = ("file_done", "value_done", "acted", "backup_done", "state")  # events that are logged as values
_FIRST = ("ts", "level", "event", "trace_id")


class Log:
    """Writes lines. `now`: microseconds UTC, for a line that does not say when it was."""

    def __init__(self, lines: Lines, redactor: Redactor, now: Callable[[], int]) -> None:
        self.counts = dict.fromkeys(LEVELS.values(), 0)

        def stamped(_logger: Any, method: str, event: MutableMapping[str, Any]) -> dict[str, Any]:
            self.counts[method] += 1
            whole = {"ts": format_instant(now()), "level": method} | {
                name: value for name, value in event.items() if value is not None
            }
            return {name: whole[name] for name in _FIRST if name in whole} | whole

        def redacted(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> dict[str, Any]:
            told: dict[str, Any] = redactor.value(event)
            return told

        self._log = structlog.wrap_logger(
            _Into(lines),
            processors=[stamped, redacted, structlog.processors.JSONRenderer(ensure_ascii=True)],
            wrapper_class=structlog.BoundLogger,
        )

    def write(self, level: str, kind: str, /, **values: Any) -> None:
        """One line. `level`: info, warning or error."""
        getattr(self._log, level)(kind, **values)

    def event(self, kind: str, data: dict[str, Any], trace_id: str | None) -> None:
        """An engine's event, if it is one that is logged."""
        if kind == "log":
            about = {"ts": data["at"], "text": data["text"], "trace_id": trace_id}
            self.write(LEVELS[data["level"]], data["kind"], **about)
        elif kind in FACTS:
            self.write("info", kind, trace_id=trace_id, **_values(data))


def _values(data: dict[str, Any]) -> dict[str, Any]:
    """What of an event's data is short; names that a line has of its own are told apart."""
    short = {name: value for name, value in data.items() if isinstance(value, str | int | float)}
    short |= {name: data[name] for name in ("reasons", "causes") if data.get(name)}
    return {f"data_{name}" if name in (*_FIRST, "level") else name: value for name, value in short.items()}


class _Into:
    """Where structlog's finished lines go."""

    def __init__(self, lines: Lines) -> None:
        self.info = self.warning = self.error = lines.write
