"""What an engine writes down about itself: lines, spans and figures, and never a secret."""

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import copy_context
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from console.app import NavdeckApp
from console.cli import main
from engine.api import EngineClient
from engine.config import load
from engine.domain.instants import DAY_US
from engine.messages import Command, Event, Query
from engine.runtime import host as host_module
from engine.runtime.engine import Engine
from engine.runtime.executors import ThreadExecutor
from engine.runtime.host import Host
from engine.runtime.telemetry import lines as lines_module
from engine.runtime.telemetry.lines import Lines
from engine.runtime.telemetry.meters import METRICS, Meters, gauges
from engine.runtime.telemetry.redact import Redactor
from engine.runtime.telemetry.room import Room
from engine.runtime.telemetry.spans import STEPS
from tests.providers.world import Clock, Play, Server
from tests.runtime.deck import NOW, PRICE_COLUMNS, ROOT, Deck, bar, buy, to_csv

CANARY, TOKEN = "canary-key-0123456789", "canary token/of another"
HOSTILE = "trades\x1b]0;owned\x07\u202e\n{x}%s.csv"


def logged(deck: Deck, name: str) -> list[dict[str, Any]]:
    files = sorted((deck.path / "logs").glob(f"{name}-*.jsonl"))
    return [json.loads(line) for path in files for line in path.read_bytes().split(b"\n") if line]


def figures(text: str) -> dict[str, float]:
    """Every sample of a text, as Prometheus' own parser reads it."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


@asynccontextmanager
async def watched(deck: Deck) -> Any:
    """An engine in this process with a room of its own."""
    room = Room(deck.path / "logs", deck.home.config(), deck.clock)
    engine = await Engine.open(deck.home, ThreadExecutor(), deck.clock, writing=True, telemetry=room)
    engine.subscribe(room.hear)
    room.begin()
    try:
        yield engine, room
    finally:
        await engine.close()


def worked(deck: Deck, *commands: Command) -> None:
    async def run() -> None:
        async with watched(deck) as (engine, _):
            for command in commands:
                await engine.do(command)

    asyncio.run(run())


# -- log and spans ------------------------------------------------------------------------------------


def test_log__lines_are_json_with_their_time_level_event_and_trace(deck: Deck) -> None:
    worked(deck, Command("ingest", {"paths": [str(deck.file("a.csv", [buy(), buy(quantity="")]))]}))

    (trace,) = deck.sql("SELECT trace_id FROM files")[0]
    lines = logged(deck, "engine")
    assert [line["event"] for line in lines] == ["engine_started", "file_done", "engine_ended"]
    assert all({"ts", "level", "event"} <= line.keys() for line in lines)
    done = lines[1]
    assert (done["trace_id"], done["level"], done["ts"]) == (trace, "info", "2026-01-01T00:00:00Z")
    assert (done["accepted"], done["quarantined"], done["reasons"]) == (1, 1, {"QUANTITY_INVALID": 1})


def test_spans__of_a_file__are_in_the_file_under_its_trace(deck: Deck) -> None:
    worked(deck, Command("ingest", {"paths": [str(deck.file("a.csv", [buy()]))]}))

    (trace,) = deck.sql("SELECT trace_id FROM files")[0]
    spans = logged(deck, "spans")
    assert {span["context"]["trace_id"] for span in spans} == {f"0x{trace}"}
    assert {span["name"] for span in spans} == {"command", "file", "read", "validate", "commit"}
    ids = {span["context"]["span_id"] for span in spans} | {None}
    assert all(span["parent_id"] in ids and span["start_time"] <= span["end_time"] for span in spans)


def test_one_verb__leaves_its_spans(deck: Deck, capsys: pytest.CaptureFixture[str]) -> None:
    path = deck.file("a.csv", [buy()])
    assert main(["ingest", str(path), "--home", str(deck.path)]) == 0

    (trace,) = deck.sql("SELECT trace_id FROM files")[0]
    spans = logged(deck, "spans")
    assert {"command", "file", "commit"} <= {span["name"] for span in spans}
    assert {span["context"]["trace_id"] for span in spans} == {f"0x{trace}"}


def test_hostile_names__are_values__never_bytes_of_a_line(deck: Deck) -> None:
    worked(deck, Command("ingest", {"paths": [str(deck.file(HOSTILE, [buy()]))]}))

    (done,) = [line for line in logged(deck, "engine") if line["event"] == "file_done"]
    assert done["name"] == HOSTILE
    for path in (deck.path / "logs").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
        assert set(path.read_bytes()) <= {*range(0x20, 0x7F), 0x0A}


def test_step_that_fails__is_a_line_and_a_span_with_its_code(deck: Deck) -> None:
    async def run() -> None:
        async with watched(deck) as (engine, _):
            with pytest.raises(Exception, match="no file"):
                await engine.do(Command("ingest", {"paths": [str(deck.path / "nothing.csv")]}))

    asyncio.run(run())
    (failed,) = [line for line in logged(deck, "engine") if line["event"] == "step_failed"]
    assert (failed["level"], failed["step"], failed["error"]["code"]) == ("error", "command", "USAGE")
    (span,) = logged(deck, "spans")
    assert span["status"]["status_code"] == "ERROR"
    assert span["attributes"]["error.code"] == "USAGE"


def test_libraries__speak_into_the_log__not_to_a_terminal(
    deck: Deck, capsys: pytest.CaptureFixture[str]
) -> None:
    async def run() -> None:
        async with watched(deck):
            logging.getLogger("asyncio").error("Task exception was never retrieved")

    before = list(logging.getLogger().handlers)
    asyncio.run(run())
    assert logging.getLogger().handlers == before
    assert "Task exception" in str(logged(deck, "engine"))
    assert capsys.readouterr().err == ""


# -- files of lines -----------------------------------------------------------------------------------


class Today:
    def __init__(self) -> None:
        self.us = NOW

    def __call__(self) -> int:
        return self.us


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_lines__a_new_day_a_new_file__and_old_ones_go(tmp_path: Path) -> None:
    today = Today()
    (tmp_path / "of-another.jsonl").write_text("stays")
    lines = Lines(tmp_path, "engine", 7, today)
    for day in range(10):
        today.us = NOW + day * DAY_US
        lines.write("{}")
    lines.close()

    kept = [f"engine-2026-01-{day:02d}.jsonl" for day in range(3, 11)]
    assert names(tmp_path) == [*kept, "of-another.jsonl"]


def test_lines__full_file__goes_on_in_the_next__also_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines_module, "FILE_BYTES_MAX", 10)
    monkeypatch.setattr(lines_module, "FILES_MAX", 2)
    for _ in range(2):
        lines = Lines(tmp_path, "engine", 0, Today())
        for number in range(3):
            lines.write(f"line {number}")
        lines.close()

    assert names(tmp_path) == ["engine-2026-01-01-5.jsonl", "engine-2026-01-01-6.jsonl"]
    assert (tmp_path / "engine-2026-01-01-6.jsonl").read_bytes() == b"line 2\n"


def test_lines__a_disk_that_will_not__costs_the_line_alone(tmp_path: Path) -> None:
    lines = Lines(tmp_path / "gone", "engine", 7, Today())
    lines.write("lost")
    assert lines.lost == 1
    (tmp_path / "gone").mkdir()
    lines.write("kept")
    lines.close()
    assert (tmp_path / "gone" / "engine-2026-01-01.jsonl").read_bytes() == b"kept\n"


# -- secrets ------------------------------------------------------------------------------------------


def test_redactor__secrets_by_name_or_from_their_file__in_any_form(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    redactor = Redactor(
        {
            "NAVDECK_COINGECKO_KEY": CANARY,
            "HOOK_TOKEN_FILE": str(tmp_path / "token"),
            "OTHER_TOKEN_FILE": str(tmp_path / "nothing"),
            "SHELL_KEY": "short",
            "HOME": "/home/of/nobody",
        }
    )
    told = redactor.value({"a": [f"?key={CANARY}&b", {"b": "canary%20token%2Fof%20another"}], "n": 1})
    assert told == {"a": ["?key=***&b", {"b": "***"}], "n": 1}
    assert redactor.text("short stays, /home/of/nobody stays") == "short stays, /home/of/nobody stays"
    assert Redactor({}).text(CANARY) == CANARY


async def picture(host: Host) -> str:
    """The Events screen of a console at this host, as an SVG."""

    class Guest:
        do, ask = host.do, host.ask

        def subscribe(self, listener: Callable[[Event], None]) -> None:
            here = copy_context()  # the console's; the host was opened outside
            host.subscribe(lambda event: here.copy().run(listener, event))

        async def close(self) -> None:
            """The host goes on."""

    async def connect() -> EngineClient:
        return Guest()

    app = NavdeckApp(connect)
    async with app.run_test(size=(160, 45)) as pilot:
        async with asyncio.timeout(20):
            while not (app.session.connected and app.is_still):
                await pilot.pause(0.01)
            await pilot.press("8")
            await pilot.pause()
            while not app.is_still:
                await pilot.pause(0.01)
        await pilot.pause()
        return app.export_screenshot()


def test_canary__host__is_in_no_line_span_event_figure_or_answer(
    deck: Deck, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also: the host's metrics, live and as a file for a node_exporter; and a picture of the console."""
    monkeypatch.setenv("NAVDECK_COINGECKO_KEY", CANARY)
    monkeypatch.setattr(host_module, "FACTS_S", 0.0)
    server = Server(Clock(NOW), lambda seen: Play(json.dumps({"error": CANARY}).encode(), 401, {}))
    textfile = tmp_path / "navdeck.prom"
    with deck.home.config_path.open("a") as file:
        file.write(f"""
[telemetry]
textfile = "{textfile}"
[backup]
nightly = false
[providers]
order = ["coingecko"]
[providers.coingecko]
root = "{server.root}"
[providers.coingecko.ids]
BTC = "bitcoin/USD"
""")  # fmt: skip
    deck.drop("trades.csv", [buy(), buy(quantity="")])
    events: list[Event] = []
    pictures: list[str] = []

    async def run() -> list[str]:
        host = await Host.open(deck.home, clock=deck.clock)
        host.subscribe(events.append)
        try:
            await host.do(Command("ingest", {"wait": True}))
            told = await host.do(Command("backfill", {"resolution": "1d"}, "ada"))
            host.log("bad", "careless", f"somebody wrote {CANARY}")
            logging.getLogger("careless").error("key %s", CANARY)
            for _ in range(1200):
                if textfile.exists():
                    break
                await asyncio.sleep(0.05)
            pictures.append(await picture(host))
            shown = [(await host.ask(Query(name))).value for name in ("overview", "telemetry", "providers")]
            return [str(told.value), *map(str, shown), shown[1]["text"]]
        finally:
            await host.close()

    try:
        *answers, text = asyncio.run(run())
    finally:
        server.close()
    assert server.seen
    assert CANARY not in "".join(answers) + str(events)
    (svg,) = pictures
    assert "canary" not in svg
    assert "somebody&#160;wrote&#160;***" in svg
    places = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path for path in places if CANARY.encode() in path.read_bytes()] == []
    careless = [line["text"] for line in logged(deck, "engine") if "careless" in str(line)]
    assert careless == ["somebody wrote ***", "key ***"]
    assert {event.trace_id for event in events if event.kind == "file_done"} == {
        deck.sql("SELECT trace_id FROM files")[0][0]
    }
    _assert_figures(figures(text))
    assert textfile.stat().st_mode & 0o777 == 0o644
    assert "navdeck_state{state=running}" in figures(textfile.read_text())


def _assert_figures(told: dict[str, float]) -> None:
    assert told["navdeck_rows_total{kind=transactions,outcome=accepted}"] == 1
    assert told["navdeck_row_errors_total{reason=QUANTITY_INVALID}"] == 1
    assert told["navdeck_files_total{status=ingested}"] == 1
    assert told["navdeck_step_seconds_count{step=commit}"] >= 1
    assert told["navdeck_step_errors_total{code=ANSWER_REFUSED,step=provider_call}"] == 1
    assert told["navdeck_provider_calls_total{outcome=ANSWER_REFUSED,provider=coingecko}"] == 1
    assert told["navdeck_provider_open{provider=coingecko}"] == 1
    assert told["navdeck_schema_compliance_ratio{kind=transactions}"] == 0.5
    assert told["navdeck_quarantine_rows{reason=QUANTITY_INVALID}"] == 1
    assert told["navdeck_queue_items{queue=quarantine}"] == 1
    assert told["navdeck_state{state=running}"] == 1
    assert told["navdeck_memory_level{level=normal}"] + told["navdeck_memory_level{level=alert}"] == 1
    for name in ("memory_rss_bytes", "memory_limit_bytes", "disk_free_bytes", "lines_lost_total"):
        assert told[f"navdeck_{name}{{}}"] >= 0
    assert told["navdeck_cpu_seconds_total{process=engine}"] > 0


# -- metrics ------------------------------------------------------------------------------------------


def test_telemetry__without_an_engine__tells_what_the_home_knows(
    deck: Deck, capsys: pytest.CaptureFixture[str]
) -> None:
    deck.take(buy(), buy(quantity=""))
    deck.ingest(deck.file("bars.csv", to_csv([bar()], PRICE_COLUMNS)))
    deck.value(resolution="1d")
    capsys.readouterr()
    assert main(["telemetry", "--home", str(deck.path)]) == 0
    told = figures(capsys.readouterr().out)

    assert told["navdeck_nav_complete{resolution=1d}"] == 1
    assert told["navdeck_nav_coverage_ratio{resolution=1d}"] == 1
    assert told["navdeck_stored_items{what=transactions}"] == 1
    assert told["navdeck_alerts{code=QUARANTINE_OPEN}"] == 1
    assert told["navdeck_data_age_seconds{data=valued_1d}"] > 0
    assert told["navdeck_disk_bytes{part=state}"] > 0


def test_labels__from_data__are_escaped_and_cut_off() -> None:
    hostile = 'a"\\\n\x1b]0;x\x07'
    pairs = [{"pair": f"{hostile}{n:03d}", "held": n == 70, "drift_bps": 1.5} for n in range(80)]
    facts = {"disk_free": 1, "bytes": {}, "rows": {}, "queues": {}, "fx": pairs, "nav": {}}
    text = gauges({"now_us": NOW, "status": {}, "facts": facts})

    assert "\x1b" not in text
    held = {name: value for name, value in figures(text).items() if name.startswith("navdeck_fx_held")}
    assert len(held) == 50
    assert sum(held.values()) == 1
    assert all(hostile[:3] in name for name in held)


def test_metrics__names_and_kinds_are_all_told_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = [
        (one.name, one.kind, ", ".join(f"`{label}`" for label in one.labels) or "–", one.help)
        for one in METRICS
    ]
    told = [f"| `{name}` | {' | '.join(rest)} |" for name, *rest in rows]
    told += [f"| `{step}` | {what} |" for step, what in STEPS.items()]
    assert [row for row in told if row not in readme] == []


def test_counters__every_one_is_declared() -> None:
    told = {name.split("{")[0] for name in figures(Meters().text({
        "now_us": NOW, "status": {}, "live": None,
        "facts": {"disk_free": 1, "bytes": {}, "rows": {}, "queues": {}, "fx": [], "nav": {}},
    }))}  # fmt: skip
    assert told <= {one.name for one in METRICS}


# -- a collector --------------------------------------------------------------------------------------


@contextmanager
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """A collector on loopback: its address, and the bodies that came."""
    bodies: list[bytes] = []

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Not to a terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Taking)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/traces", bodies
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def test_otlp__spans_go_to_the_collector_that_is_set__without_secrets(
    deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAVDECK_COINGECKO_KEY", CANARY)
    with collector() as (address, bodies):
        monkeypatch.setenv("NAVDECK_TELEMETRY_OTLP", address)
        worked(deck, Command("ingest", {"paths": [str(deck.file(f"{CANARY}.csv", [buy()]))]}))

    sent = b"".join(bodies)
    (trace,) = deck.sql("SELECT trace_id FROM files")[0]
    assert bytes.fromhex(trace) in sent
    assert b"***.csv" in sent
    assert CANARY.encode() not in sent


def test_otlp__nothing_is_sent_unless_it_is_set(deck: Deck) -> None:
    assert load(deck.home.config_path)["telemetry.otlp"] == ""
