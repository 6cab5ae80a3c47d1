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
from pathlib import Path
from typing import Any

import psutil

from engine.config import Config
from engine.messages import Event
from engine.runtime.telemetry.lines import Lines
from engine.runtime.telemetry.redact import Redactor
from engine.runtime.telemetry.spans import Ended, Silent

Clock = Callable[[], int]


class Room:
    """Of an engine that works by itself: everything, as it happens."""

    def __init__(self, logs: Path, config: Config, now: Clock) -> None:
        """UsageError if a collector is set and cannot be spoken to. Loads libraries: never on the loop."""
        from engine.runtime.telemetry.logs import LibraryLog, Log
        from engine.runtime.telemetry.meters import Meters
        from engine.runtime.telemetry.traces import Traces

        redactor, days = Redactor(), config["retention.days_logs"]
        self._redactor = redactor
        self._files = [Lines(logs, name, days, now) for name in ("engine", "spans")]
        self._log = Log(self._files[0], redactor, now)
        self._traces = Traces(self._files[1], redactor, now, config["telemetry.otlp"])
        self._meters = Meters()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="telemetry")
        self._libraries = LibraryLog(lambda *what, **values: self._later(self._log.write, *what, **values))
        self._begun = False

    def begin(self) -> None:
        """The home's lock is held: from here on there is something to take down."""
        self._begun = True
        logging.getLogger().addHandler(self._libraries)
        self._later(self._log.write, "info", "engine_started", pid=os.getpid())

    def keep(self, ended: Ended) -> None:
        """A step that is over; from any thread."""
        self._later(self._ended, ended)

    def strike(self, text: str) -> str:
        """The text without secrets."""
        return self._redactor.text(text)

    def hear(self, event: Event) -> None:
        """An event of the engine."""
        self._meters.heard(event.kind, event.data)
        self._later(self._log.event, event.kind, event.data, event.trace_id)

    def text(self, document: dict[str, Any]) -> str:
        """All metrics, with the gauges of a document whose `live` part is begun."""
        document["live"] |= {
            "cpu": cpu_seconds(),
            "log_lines": self._log.counts,
            "lost": sum(lines.lost for lines in self._files),
        }
        return self._meters.text(document)

    async def close(self) -> None:
        await asyncio.to_thread(self._close)

    def _ended(self, ended: Ended) -> None:
        self._meters.ended(ended)
        self._traces.write(ended)
        if ended["error"] is not None:
            about = {name: ended[name] for name in ("trace_id", "step", "error")}
            self._log.write("error", "step_failed", **about, **ended["attributes"])

    def _later(self, task: Callable[..., None], *what: Any, **values: Any) -> None:
        with suppress(RuntimeError):  # it is closed: whoever still speaks has nothing to do with the engine
            self._thread.submit(task, *what, **values)

    def _close(self) -> None:
        logging.getLogger().removeHandler(self._libraries)
        if self._begun:
            self._later(self._log.write, "info", "engine_ended", pid=os.getpid())
        self._thread.shutdown()
        self._traces.close()
        for lines in self._files:
            lines.close()


class OneAct(Silent):
    """Of an engine that is opened for one verb: its spans, written when it is done."""

    def __init__(self, logs: Path, config: Config, now: Clock) -> None:
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


def cpu_seconds() -> dict[str, float]:
    """Of this process, and of the workers that it has now."""
    me = psutil.Process()
    spent = {"engine": sum(me.cpu_times()[:2]), "workers": 0.0}
    for child in me.children(recursive=True):
        with suppress(psutil.Error):
            spent["workers"] += sum(child.cpu_times()[:2])
    return spent
