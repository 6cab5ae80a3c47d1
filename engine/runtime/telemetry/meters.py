"""What is measured, in Prometheus' text format: counters of this engine's own work, gauges of what is so.

METRICS is all there is. Labels come from closed sets (steps, codes, reasons, kinds, providers, resolutions)
or are cut at PAIRS_MAX, so that no data makes series without end. It asks nobody: facts are handed in.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from engine.domain.instants import SECOND_US, parse_instant
from engine.runtime.telemetry.spans import Ended

SECONDS = (0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0, 600.0)  # from a commit to a month valued at 5m
PAIRS_MAX = 50  # pairs that are told apart; more are not told
LEVELS = ("normal", "alert", "critical")
STATES = ("running", "degraded", "draining")

Sample = tuple[str, tuple[str, ...], float]


@dataclass(frozen=True, slots=True)
class Measure:
    """One metric as it is told: `kind` counter, gauge or histogram."""

    name: str
    kind: str
    help: str
    labels: tuple[str, ...] = ()


METRICS = (
    Measure("navdeck_step_seconds", "histogram", "How long steps took.", ("step",)),
    Measure("navdeck_step_errors_total", "counter", "Steps that failed, by error code.", ("step", "code")),
    Measure("navdeck_files_total", "counter", "Files that got a verdict.", ("status",)),
    Measure("navdeck_file_errors_total", "counter", "Files refused, by reason.", ("reason",)),
    Measure("navdeck_rows_total", "counter", "Rows that were judged.", ("kind", "outcome")),
    Measure("navdeck_row_errors_total", "counter", "Reasons for which rows were set aside.", ("reason",)),
    Measure("navdeck_provider_calls_total", "counter", "Calls of providers.", ("provider", "outcome")),
    Measure("navdeck_log_lines_total", "counter", "Lines of the log.", ("level",)),
    Measure("navdeck_lines_lost_total", "counter", "Lines that the disk did not take."),
    Measure("navdeck_events_total", "counter", "Events that were told."),
    Measure("navdeck_cpu_seconds_total", "counter", "Processor time used.", ("process",)),
    Measure("navdeck_state", "gauge", "1 for the state that the engine is in.", ("state",)),
    Measure("navdeck_loop_tasks", "gauge", "What this engine has under way or waits for, on its event loop."),
    Measure("navdeck_memory_rss_bytes", "gauge", "Memory of this engine and its workers."),
    Measure("navdeck_memory_used_ratio", "gauge", "Of the tightest limit."),
    Measure("navdeck_memory_limit_bytes", "gauge", "The tightest limit."),
    Measure("navdeck_memory_level", "gauge", "1 for the level that memory is at.", ("level",)),
    Measure("navdeck_disk_free_bytes", "gauge", "Free on the home's disk."),
    Measure("navdeck_disk_bytes", "gauge", "What the home's parts take.", ("part",)),
    Measure("navdeck_queue_items", "gauge", "What waits.", ("queue",)),
    Measure("navdeck_queue_oldest_seconds", "gauge", "Age of what waits longest; 0 if nothing.", ("queue",)),
    Measure("navdeck_quarantine_rows", "gauge", "Open rows of quarantine, by reason.", ("reason",)),
    Measure("navdeck_stored_items", "gauge", "What state.db holds.", ("what",)),
    Measure("navdeck_schema_compliance_ratio", "gauge", "Rows that kept all rules, of all.", ("kind",)),
    Measure("navdeck_provider_open", "gauge", "1 while its breaker lets no call go.", ("provider",)),
    Measure("navdeck_provider_calls_left", "gauge", "Weight left in its window.", ("provider",)),
    Measure("navdeck_fx_drift_bps", "gauge", "Fallback against the last primary.", ("pair",)),
    Measure("navdeck_fx_held", "gauge", "1 while the pair is held.", ("pair",)),
    Measure("navdeck_nav_complete", "gauge", "1 if the newest point is complete.", ("resolution",)),
    Measure("navdeck_nav_coverage_ratio", "gauge", "Holdings valued at the newest point.", ("resolution",)),
    Measure("navdeck_data_age_seconds", "gauge", "How far back the newest of it is.", ("data",)),
    Measure("navdeck_backup_age_seconds", "gauge", "Age of the newest backup."),
    Measure("navdeck_backup_verified", "gauge", "1 if the newest backup verified, 0 if not."),
    Measure("navdeck_drill_passed", "gauge", "1 if the last drill passed, 0 if not."),
    Measure("navdeck_alerts", "gauge", "Alerts that stand.", ("code",)),
)
BY_NAME = {one.name: one for one in METRICS}
_COUNTED = {  # kept here as it happens; the other counters are handed in as they stand
    "navdeck_step_errors_total", "navdeck_files_total", "navdeck_file_errors_total", "navdeck_rows_total",
    "navdeck_row_errors_total", "navdeck_provider_calls_total", "navdeck_events_total",
}  # fmt: skip


class Meters:
    """The counters of one engine. Taken from and added to in any thread."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        about = BY_NAME["navdeck_step_seconds"]
        self._seconds = Histogram(
            about.name, about.help, about.labels, buckets=SECONDS, registry=self._registry
        )
        self._counters = {
            name: Counter(name, BY_NAME[name].help, BY_NAME[name].labels, registry=self._registry)
            for name in sorted(_COUNTED)
        }

    def ended(self, step: Ended) -> None:
        """A step that is over."""
        self._seconds.labels(step["step"]).observe((step["ended_ns"] - step["begun_ns"]) / 1e9)
        code = None if step["error"] is None else step["error"]["code"]
        if code is not None:
            self._add("navdeck_step_errors_total", step["step"], code)
        if step["step"] == "provider_call":
            provider = step["attributes"]["provider"]
            self._add("navdeck_provider_calls_total", provider, "ok" if code is None else code)

    def heard(self, kind: str, data: dict[str, Any]) -> None:
        """An event."""
        self._counters["navdeck_events_total"].inc()
        if kind != "file_done":
            return
        self._add("navdeck_files_total", data["status"])
        if data["status"] == "rejected":
            self._add("navdeck_file_errors_total", data["reason"])
        elif data["status"] == "ingested":
            for outcome in ("accepted", "duplicates", "quarantined"):
                self._add("navdeck_rows_total", data["kind"], outcome, by=data[outcome])
            for reason, rows in data["reasons"].items():
                self._add("navdeck_row_errors_total", reason, by=rows)

    def _add(self, name: str, *labels: str, by: int = 1) -> None:
        self._counters[name].labels(*labels).inc(by)

    def text(self, document: dict[str, Any]) -> str:
        """Everything, with the gauges of a document (see facts.py)."""
        return generate_latest(self._registry).decode() + gauges(document)


def gauges(document: dict[str, Any]) -> str:
    """What a document says, as text; nothing of what it does not know."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Told(samples(document)))
    return generate_latest(registry).decode()


class _Told(Collector):
    def __init__(self, samples: Iterable[Sample]) -> None:
        self._samples = list(samples)

    def collect(self) -> Iterator[Family]:
        kinds = {"gauge": GaugeMetricFamily, "counter": CounterMetricFamily}
        for measure in METRICS:
            found = [(labels, value) for name, labels, value in self._samples if name == measure.name]
            if found:
                family = kinds[measure.kind](measure.name, measure.help, labels=measure.labels)
                for labels, value in found:
                    family.add_metric([_plain(label) for label in labels], value)
                yield family


def _plain(label: str) -> str:
    r"""A label that may be shown: what is not printable as `\xNN`. The library escapes the rest."""
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in label)


# -- from documents to samples ------------------------------------------------------------------------


def samples(document: dict[str, Any]) -> Iterator[Sample]:
    """Every gauge that a document of facts gives, and the counters that others keep."""
    now = document["now_us"]
    yield from _of_status(document["status"], now)
    yield from _of_facts(document["facts"], now)
    if document.get("live") is not None:
        yield from _of_live(document["live"])


def _of_status(status: dict[str, Any], now: int) -> Iterator[Sample]:
    for what, count in status.get("counts", {}).items():
        yield "navdeck_stored_items", (what,), count
    for reason, rows in status.get("quarantine_reasons", {}).items():
        yield "navdeck_quarantine_rows", (reason,), rows
    by_code: dict[str, int] = {}
    for alert in status.get("alerts", []):
        by_code[alert["code"]] = by_code.get(alert["code"], 0) + 1
    for code, count in sorted(by_code.items()):
        yield "navdeck_alerts", (code,), count
    yield from _ages(status.get("watermarks", {}), now)
    runs = status.get("last_runs", {})
    ingested, valued = _us(runs.get("ingest")), _us(runs.get("value"))
    behind = ingested is not None and (valued is None or valued < ingested)
    yield "navdeck_queue_items", ("valuation",), int(behind)
    yield "navdeck_queue_oldest_seconds", ("valuation",), _age(ingested if behind else None, now)
    backup = status.get("backup", {})
    if backup.get("age_s") is not None:
        yield "navdeck_backup_age_seconds", (), backup["age_s"]
        yield "navdeck_backup_verified", (), int(bool(backup["verified"]))
    if backup.get("drill") is not None:
        yield "navdeck_drill_passed", (), int(backup["drill"]["verdict"] == "passed")


def _ages(marks: dict[str, Any], now: int) -> Iterator[Sample]:
    told = {"ledger": marks.get("ledger_last"), "fx": marks.get("fx_last")}
    for group in ("prices", "valued"):
        told |= {f"{group}_{name}": at for name, at in marks.get(f"{group}_last", {}).items()}
    for data, at in told.items():
        if at is not None:
            yield "navdeck_data_age_seconds", (data,), _age(_us(at), now)


def _of_facts(facts: dict[str, Any], now: int) -> Iterator[Sample]:
    yield "navdeck_disk_free_bytes", (), facts["disk_free"]
    for part, size in facts["bytes"].items():
        yield "navdeck_disk_bytes", (part,), size
    for kind, sums in facts["rows"].items():
        if sums["rows"]:
            kept = (sums["rows"] - sums["quarantined"]) / sums["rows"]
            yield "navdeck_schema_compliance_ratio", (kind,), kept
    for queue, waits in facts["queues"].items():
        yield "navdeck_queue_items", (queue,), waits["items"]
        yield "navdeck_queue_oldest_seconds", (queue,), _age(waits["since"], now)
    for pair in sorted(facts["fx"], key=lambda one: (not one["held"], one["pair"]))[:PAIRS_MAX]:
        yield "navdeck_fx_held", (pair["pair"],), int(pair["held"])
        if pair["drift_bps"] is not None:
            yield "navdeck_fx_drift_bps", (pair["pair"],), pair["drift_bps"]
    for resolution, point in facts["nav"].items():
        yield "navdeck_nav_complete", (resolution,), int(point["nav"] is not None)
        yield "navdeck_nav_coverage_ratio", (resolution,), point["coverage"]


def _of_live(live: dict[str, Any]) -> Iterator[Sample]:
    for state in STATES:
        yield "navdeck_state", (state,), int(live["state"] == state)
    yield "navdeck_loop_tasks", (), live["tasks"]
    memory = live["memory"]
    yield "navdeck_memory_rss_bytes", (), memory["rss_bytes"]
    yield "navdeck_memory_used_ratio", (), memory["ratio"]
    yield "navdeck_memory_limit_bytes", (), memory["limit_bytes"]
    for level in LEVELS:
        yield "navdeck_memory_level", (level,), int(live["level"] == level)
    for process, seconds in live["cpu"].items():
        yield "navdeck_cpu_seconds_total", (process,), seconds
    for provider in live["providers"]:
        yield "navdeck_provider_open", (provider["name"],), int(provider["state"] != "closed")
        if provider["calls_left"] is not None:
            yield "navdeck_provider_calls_left", (provider["name"],), provider["calls_left"]
    for level, lines in live["log_lines"].items():
        yield "navdeck_log_lines_total", (level,), lines
    yield "navdeck_lines_lost_total", (), live["lost"]


def _us(told: str | None) -> int | None:
    return None if told is None else parse_instant(told)


def _age(since: int | None, now: int) -> float:
    return 0 if since is None else max(0, now - since) / SECOND_US
