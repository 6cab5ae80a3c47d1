"""Who takes down what an engine does: log lines, spans and counters, into the home's logs/ and for scrapers.

Only for who holds the home's lock. All writing is done on one thread of its own, so that a slow disk holds
nobody up; what was handed in before `close` is written before it returns.
"""

import asyncio
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil

from engine.config import Config
from engine.errors import UsageError
from engine.messages import Event
from engine.runtime.telemetry.lines import Lines
from engine.runtime.telemetry.redact import Redactor
from engine.runtime.telemetry.spans import Ended, Silent

Clock = Callable[[], int]


class Room:
    """Of an engine that works by itself: everything, as it happens."""

    def __init__(self, logs: Path, config: Config, now: Clock) -> None:
        """UsageError if a collector is set and cannot be spoken to."""
        _require_collector(config["telemetry.otlp"])
        self._redactor = Redactor()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="telemetry")
        # Its libraries take half a second to load: on its thread, before whatever it is handed.
        self._later(self._load, logs, config, now)
        self._libraries = _LibraryLog(lambda *what, **values: self._later(self._line, *what, **values))

    def _load(self, logs: Path, config: Config, now: Clock) -> None:
        from engine.runtime.telemetry.logs import Log
        from engine.runtime.telemetry.meters import Meters
        from engine.runtime.telemetry.traces import Traces

        days = config["retention.days_logs"]
        self._files = [Lines(logs, name, days, now) for name in ("engine", "spans")]
        self._log = Log(self._files[0], self._redactor, now)
        self._traces = Traces(self._files[1], self._redactor, now, config["telemetry.otlp"])
        self._meters = Meters()

    def begin(self) -> None:
        """The home's lock is held: from here on there is something to take down."""
        logging.getLogger().addHandler(self._libraries)
        self._later(self._line, "info", "engine_started", pid=os.getpid())

    def keep(self, ended: Ended) -> None:
        """A step that is over; from any thread."""
        self._later(self._ended, ended)

    def strike(self, text: str) -> str:
        """The text without secrets."""
        return self._redactor.text(text)

    def hear(self, event: Event) -> None:
        """An event of the engine."""
        self._later(self._heard, event)

    def text(self, document: dict[str, Any]) -> str:
        """All metrics, with the gauges of a document whose `live` part is begun. Not on the loop."""
        return self._thread.submit(self._text, document).result()

    async def close(self) -> None:
        await asyncio.to_thread(self._close)

    # -- on its own thread --

    def _text(self, document: dict[str, Any]) -> str:
        document["live"] |= {
            "cpu": cpu_seconds(),
            "log_lines": self._log.counts,
            "lost": sum(lines.lost for lines in self._files),
        }
        return self._meters.text(document)

    def _line(self, level: str, kind: str, /, **values: Any) -> None:
        self._log.write(level, kind, **values)

    def _heard(self, event: Event) -> None:
        self._meters.heard(event.kind, event.data)
        self._log.event(event.kind, event.data, event.trace_id)

    def _ended(self, ended: Ended) -> None:
        self._meters.ended(ended)
        self._traces.write(ended)
        if ended["error"] is not None:
            about = {name: ended[name] for name in ("trace_id", "step", "error")}
            self._log.write("error", "step_failed", **ended["attributes"] | about)

    def _later(self, task: Callable[..., None], /, *what: Any, **values: Any) -> None:
        with suppress(RuntimeError):  # it is closed: whoever still speaks has nothing to do with the engine
            self._thread.submit(task, *what, **values)

    def _close(self) -> None:
        if self._libraries in logging.getLogger().handlers:
            logging.getLogger().removeHandler(self._libraries)
            self._later(self._line, "info", "engine_ended", pid=os.getpid())
        self._later(self._end)
        self._thread.shutdown()

    def _end(self) -> None:
        self._traces.close()
        for lines in self._files:
            lines.close()


class _LibraryLog(logging.Handler):
    """What libraries say by the standard way, from warnings up, as lines of the same log."""

    def __init__(self, log: Callable[..., None]) -> None:
        super().__init__(logging.WARNING)
        self._write = log

    def emit(self, record: logging.LogRecord) -> None:
        level = "error" if record.levelno >= logging.ERROR else "warning"
        told: dict[str, Any] = {"source": record.name, "text": record.getMessage()}
        if record.exc_info is not None and record.exc_info[0] is not None:
            told["error"] = logging.Formatter().formatException(record.exc_info)
        self._write(level, "library", **told)


class OneAct(Silent):
    """Of an engine that is opened for one verb: its spans, written when it is done."""

    def __init__(self, logs: Path, config: Config, now: Clock) -> None:
        _require_collector(config["telemetry.otlp"])
        self._logs, self._config, self._now = logs, config, now
        self._steps: list[Ended] = []
        self._turn = threading.Lock()
        self._redactor = Redactor()

    def strike(self, text: str) -> str:
        return self._redactor.text(text)

    def keep(self, ended: Ended) -> None:
        with self._turn:
            self._steps.append(ended)

    async def close(self) -> None:
        if self._steps:
            await asyncio.to_thread(self._write)

    def _write(self) -> None:
        from engine.runtime.telemetry.traces import Traces

        lines = Lines(self._logs, "spans", self._config["retention.days_logs"], self._now)
        traces = Traces(lines, self._redactor, self._now, self._config["telemetry.otlp"])
        for ended in self._steps:
            traces.write(ended)
        traces.close()
        lines.close()


def _require_collector(address: str) -> None:
    try:
        there = not address or find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:
        there = False
    if not there:
        raise UsageError(
            "telemetry.otlp is set, and what speaks to a collector is not installed.",
            "Install navdeck with its extra `otlp`, or take the setting out.",
        )


def cpu_seconds() -> dict[str, float]:
    """Of this process, and of the workers that it has now."""
    me = psutil.Process()
    spent = {"engine": sum(me.cpu_times()[:2]), "workers": 0.0}
    for child in me.children(recursive=True):
        with suppress(psutil.Error):
            spent["workers"] += sum(child.cpu_times()[:2])
    return spent
