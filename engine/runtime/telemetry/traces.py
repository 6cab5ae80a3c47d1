"""Steps that ended become OpenTelemetry spans: lines of a file, and to a collector if the settings name one.

Loaded only by who owns an engine, never to read or to attach.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags

from engine.runtime.telemetry.lines import Lines
from engine.runtime.telemetry.redact import Redactor
from engine.runtime.telemetry.spans import Ended
from engine.version import VERSION

COLLECTOR_WAIT_MS = 2_000  # for a collector to take the last spans; a drain has ten seconds in all


class Traces:
    """Takes steps that ended. `otlp`: the address of a collector, or nothing; it needs the extra.

    `now`: microseconds UTC, the clock that spans are told by.
    """

    def __init__(self, lines: Lines, redactor: Redactor, now: Callable[[], int], otlp: str = "") -> None:
        self._redactor, self._now = redactor, now
        about = {"service.name": "navdeck", "service.version": VERSION}
        self._resource = Resource(about)
        self._takers: list[SpanProcessor] = [SimpleSpanProcessor(_ToFile(lines))]
        if otlp:
            self._takers.append(_collector(otlp))

    def write(self, ended: Ended) -> None:
        span = self._span(ended)
        for taker in self._takers:
            taker.on_end(span)

    def close(self) -> None:
        for taker in self._takers:
            taker.force_flush(COLLECTOR_WAIT_MS)
            taker.shutdown()

    def _span(self, ended: Ended) -> ReadableSpan:
        steady = time.monotonic_ns()
        end = self._now() * 1000 - (steady - ended["ended_ns"])
        error = ended["error"]
        told: dict[str, Any] = {name: one for name, one in ended["attributes"].items() if one is not None}
        if error is not None:
            told["error.code"] = error["code"]
        failed = None if error is None else self._redactor.text(error["text"])
        return ReadableSpan(
            ended["step"],
            context=_context(ended["trace_id"], ended["span_id"]),
            parent=None if ended["parent_id"] is None else _context(ended["trace_id"], ended["parent_id"]),
            resource=self._resource,
            attributes=self._redactor.value(told),
            status=Status(StatusCode.OK) if failed is None else Status(StatusCode.ERROR, failed),
            start_time=end - (ended["ended_ns"] - ended["begun_ns"]),
            end_time=end,
        )


def _context(trace_id: str, span_id: str) -> SpanContext:
    return SpanContext(int(trace_id, 16), int(span_id, 16), False, TraceFlags(TraceFlags.SAMPLED))


class _ToFile(SpanExporter):
    def __init__(self, lines: Lines) -> None:
        self._lines = lines

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        for span in spans:
            self._lines.write(span.to_json(indent=None))
        return SpanExportResult.SUCCESS


def _collector(address: str) -> SpanProcessor:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # an extra

    return BatchSpanProcessor(OTLPSpanExporter(endpoint=address))
