"""An engine that works by itself: what lands is taken and valued, faults are named, closing drains."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace
from typing import Any

import pytest

from engine.errors import HomeInUse, JobCancelled, UsageError, WorkerLost
from engine.messages import Command, Event, Query, Result
from engine.runtime import host as host_module
from engine.runtime import service
from engine.runtime.engine import Engine
from engine.runtime.host import Host
from tests.runtime.deck import NOW, PRICE_COLUMNS, Deck, bar, buy, to_csv

RELOADED = b"\n[ingest]\nbatch_rows = 70\n\n[compaction]\ngrace_minutes = 5\n"
PATIENCE_S = 60.0  # a busy machine; nothing here waits for time to pass


class Heard:
    """Events as they come, to be waited for."""

    def __init__(self, host: Host) -> None:
        self.events: list[Event] = []
        self._news = asyncio.Event()
        host.subscribe(self._take)

    def _take(self, event: Event) -> None:
        self.events.append(event)
        self._news.set()

    async def of(
        self, kind: str, fits: Callable[[dict[str, Any]], bool] = lambda data: True
    ) -> dict[str, Any]:
        """The first event of a kind that fits, now or later."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                for event in self.events:
                    if event.kind == kind and fits(event.data):
                        return event.data
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def hosting(deck: Deck) -> Any:
    host = await Host.open(deck.home, clock=lambda: NOW)
    try:
        yield host, Heard(host)
    finally:
        await host.close()


def test_host__value_asked_for__what_it_added_without_prices_stays(deck: Deck) -> None:
    deck.ingest(
        deck.file("trades.csv", to_csv([buy(timestamp="2025-12-30T10:00:00Z")])),
        deck.file("prices.csv", to_csv([bar(bucket_close="2025-12-31T00:00:00Z")], PRICE_COLUMNS)),
    )

    async def run() -> None:
        async with hosting(deck) as (host, heard):
            for resolution in ("1d", "1h", "5m"):
                await heard.of("value_done", lambda data, wanted=resolution: data["resolution"] == wanted)
            before = (await host.ask(Query("nav", {"resolution": "1d"}))).value["points"]
            assert [point["reasons"] for point in before] == [[], ["NO_PRICE"]]
            await host.do(Command("value", {}, "ada"))
            assert (await host.ask(Query("nav", {"resolution": "1d"}))).value["points"] == before

    asyncio.run(run())


def test_host__a_file_in_the_inbox__is_taken_valued_and_shown(deck: Deck) -> None:
    async def run() -> None:
        deck.drop("trades.csv", to_csv([buy(), buy(quantity="-1")]))
        deck.drop(
            "prices.csv", to_csv([bar(bucket_close="2025-03-02T00:00:00Z", close="110")], PRICE_COLUMNS)
        )
        async with hosting(deck) as (host, heard):
            await heard.of("file_done", lambda data: data["name"] == "trades.csv")
            await heard.of("file_done", lambda data: data["name"] == "prices.csv")
            await heard.of("nav", lambda data: any(point["nav"] == "165" for point in data["points"]))
            shown = (await host.ask(Query("overview"))).value
            assert shown["state"] == "running"
            assert shown["counts"]["transactions"] == 1
            quarantine = shown["quarantine"]
            assert (quarantine["open"], quarantine["by_reason"]) == (1, {"QUANTITY_SIGN": 1})
            assert quarantine["oldest"] is not None
            assert {entry["name"] for entry in shown["inbox"]["recent"]} == {"trades.csv", "prices.csv"}
            page = (await host.ask(Query("quarantine_page", {"reason": "QUANTITY_SIGN"}))).value
            assert page["total"] == 1
            assert page["rows"][0]["reasons"][0]["hint"]
            assert (await host.ask(Query("quarantine_page", {"reason": "PRICE_MISSING"}))).value["total"] == 0

    asyncio.run(run())


def test_host__a_series_that_is_new__tells_its_end_only(deck: Deck, monkeypatch: pytest.MonkeyPatch) -> None:
    """A month of five minutes would hold every console up for as long as it takes to read."""
    monkeypatch.setattr(host_module, "POINTS_MAX", 7)

    async def run() -> None:
        deck.drop("trades.csv", to_csv([buy(timestamp="2025-12-31T10:00:00Z")]))
        five = bar(bucket_close="2025-12-31T12:00:00Z", resolution="5m")
        deck.drop("prices.csv", to_csv([five], PRICE_COLUMNS))
        async with hosting(deck) as (host, heard):
            told = await heard.of("nav", lambda data: data["resolution"] == "5m")
            shown = (await host.ask(Query("overview"))).value["nav"]
        assert len(told["points"]) == 7
        assert shown["points"] == told["points"]

    asyncio.run(run())


def test_host__events_are_numbered_without_gaps__and_the_overview_says_how_far(deck: Deck) -> None:
    async def run() -> None:
        deck.drop("trades.csv", to_csv([buy()]))
        async with hosting(deck) as (host, heard):
            await heard.of("file_done")
            shown = (await host.ask(Query("overview"))).value
            numbers = [event.seq for event in heard.events]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
            assert shown["seq"] == numbers[-1]

    asyncio.run(run())


def test_host__a_close_passes_without_prices__and_is_still_a_bucket(deck: Deck) -> None:
    async def run() -> None:
        deck.drop("trades.csv", to_csv([buy(timestamp="2025-12-30T10:00:00Z")]))
        async with hosting(deck) as (_, heard):
            done = await heard.of(
                "value_done", lambda data: data["resolution"] == "1d" and data["buckets"] > 0
            )
            assert {name: done[name] for name in ("buckets", "snapshots", "complete")} == {
                "buckets": 2, "snapshots": 2, "complete": 0
            }  # fmt: skip
            assert done["restated"]["count"] == 0

    asyncio.run(run())


def test_service__its_valuing_is_cancelled__what_is_due_waits_for_news(
    deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, asked = Engine._values, list[str]()

    async def values(self: Engine, *wanted: Any) -> Any:
        asked.append(wanted[0])
        if len(asked) == 1:
            raise JobCancelled("Cancelled.")
        return await real(self, *wanted)

    monkeypatch.setattr(Engine, "_values", values)
    monkeypatch.setattr(service, "DUE_EVERY_S", 0.001)
    deck.ingest(deck.file("trades.csv", to_csv([buy(timestamp="2025-12-30T10:00:00Z")])))

    async def run() -> None:
        async with hosting(deck) as (host, heard):
            await heard.of("log", lambda data: data["kind"] == "value_cancelled")
            assert (await host.ask(Query("overview"))).value["valuing"] is None
            await asyncio.sleep(0.05)
            assert asked == ["1d"], "what was cancelled does not begin again by itself"
            deck.drop("more.csv", to_csv([buy(timestamp="2025-12-30T11:00:00Z", external_id="more")]))
            done = await heard.of("value_done", lambda data: data["resolution"] == "1d")
            assert done["buckets"] == 2, "all that was due, not only what the news touch"
            assert (await host.ask(Query("overview"))).value["state"] == "running"

    asyncio.run(run())


def test_service__a_loop_that_fails__is_named_and_starts_again(
    deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_scan, failures = service.scan, [OSError("the disk is tired")]

    def scan(*arguments: Any) -> Any:
        if failures:
            raise failures.pop()
        return real_scan(*arguments)

    monkeypatch.setattr(service, "scan", scan)

    async def run() -> None:
        deck.drop("trades.csv", to_csv([buy()]))
        async with hosting(deck) as (_, heard):
            degraded = await heard.of("state", lambda data: data["state"] == "degraded")
            assert degraded["causes"] == [{"task": "inbox", "cause": "OSError: the disk is tired"}]
            await heard.of("file_done")
            await heard.of("log", lambda data: data["kind"] == "task_recovered")

    asyncio.run(run())


def test_service__a_loop_that_was_well_again__is_not_kept_waiting_for_old_faults(
    deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_scan, real_pause = service.scan, service.Service._pause
    looks, pauses = iter("--+-"), list[float]()

    def scan(*arguments: Any) -> Any:
        if next(looks, "+") == "-":
            raise OSError("the disk is tired")
        return real_scan(*arguments)

    async def pause(self: service.Service, seconds: float) -> bool:
        if seconds < 0.1:
            pauses.append(seconds)
        return await real_pause(self, seconds)

    monkeypatch.setattr(service, "scan", scan)
    monkeypatch.setattr(service, "BACKOFF_FIRST_S", 0.01)
    monkeypatch.setattr(service.Service, "_pause", pause)

    async def run() -> None:
        async with hosting(deck) as (host, heard):
            await heard.of("log", lambda data: data["kind"] == "task_recovered")
            heard.events.clear()
            host._service.wake()
            await heard.of("log", lambda data: data["kind"] == "task_recovered")

    asyncio.run(run())
    assert pauses == [0.01, 0.02, 0.01]


def test_service__the_inbox_cannot_be_read__buckets_close_all_the_same(
    deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scan(*_: Any) -> Any:
        raise OSError("the disk is tired")

    monkeypatch.setattr(service, "scan", scan)

    async def run() -> None:
        async with hosting(deck) as (_, heard):
            await heard.of("state", lambda data: data["state"] == "degraded")
            await heard.of("value_done")

    deck.ingest(deck.file("trades.csv", to_csv([buy()])))
    asyncio.run(run())


def test_host__a_backup_is_made__the_loop_never_waits_for_its_process_to_end(
    deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, waited = ProcessPoolExecutor.shutdown, list[threading.Thread]()

    def shutdown(self: ProcessPoolExecutor, *arguments: Any, **options: Any) -> None:
        waited.append(threading.current_thread())
        real(self, *arguments, **options)

    async def run() -> None:
        async with hosting(deck) as (host, _):
            with monkeypatch.context() as patch:
                patch.setattr(ProcessPoolExecutor, "shutdown", shutdown)
                await host.do(Command("backup_create"))

    asyncio.run(run())
    assert len(waited) == 1
    assert waited[0] is not threading.main_thread()


def test_host__much_has_changed_at_once__its_overview_is_read_once(
    deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, reads = Host._refresh_status, list[int]()

    async def refresh(self: Host) -> None:
        reads.append(self._engine.told)
        await real(self)

    async def run() -> None:
        async with hosting(deck) as (host, _):
            while host._refreshing:
                await asyncio.gather(*host._refreshing.values())
            monkeypatch.setattr(Host, "_refresh_status", refresh)
            for _ in range(2):
                for _ in range(20):
                    host._engine.tell("backup_done", {"name": "backup_create"})
                await asyncio.sleep(0)
            last = host._engine.told
            while host._refreshing:
                await asyncio.gather(*host._refreshing.values())
            assert len(reads) == 2  # the second for all that was told while the first was under way
            assert reads[-1] >= last

    asyncio.run(run())


def test_host__closed_while_a_question_is_being_answered__waits_for_no_answer(deck: Deck) -> None:
    async def run() -> None:
        async with hosting(deck) as (host, _):
            await host._asking.run(time.sleep, 0.0)
            question = asyncio.create_task(host._asking.run(time.sleep, 2 * PATIENCE_S))
            await asyncio.sleep(0)
        with pytest.raises(WorkerLost):
            await question

    asyncio.run(run())


def test_host__a_second_one_on_the_home__is_refused(deck: Deck) -> None:
    async def run() -> None:
        async with hosting(deck):
            with pytest.raises(HomeInUse):
                await Host.open(deck.home)

    asyncio.run(run())


def test_host__closed__leaves_the_home_to_others(deck: Deck) -> None:
    async def run() -> None:
        async with hosting(deck) as (host, _):
            await host.do(Command("ingest", {"paths": []}))
        async with hosting(deck):
            pass

    asyncio.run(run())


def test_host__its_first_look_fails__the_home_is_free_again(
    deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(_: Host) -> None:
        raise OSError("the disk is tired")

    async def run() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Host, "_refresh_status", fails)
            with pytest.raises(OSError, match="the disk is tired"):
                await Host.open(deck.home, clock=lambda: NOW)
        async with hosting(deck) as (host, _):
            assert host.document()["state"] == "running"

    asyncio.run(run())


def test_settings_read_again__batches_and_upkeep_go_by_them(deck: Deck) -> None:
    async def run() -> None:
        async with hosting(deck) as (host, heard):
            deck.home.config_path.write_bytes(deck.home.config_path.read_bytes() + RELOADED)
            await host.reload()
            told = await heard.of("log", lambda data: data["kind"] == "config_read")
            assert "compaction.grace_minutes, ingest.batch_rows" in told["text"]
            assert host._engine.memory.batches.insert_rows == 70
            assert host._engine.upkeep._config["compaction.grace_minutes"] == 5

    asyncio.run(run())


def test_refused_act__is_told_as_failed__with_its_why__and_one_that_was_done_as_done() -> None:
    """Without an engine: what is told of a command that it refuses."""
    lines: list[tuple[str, str, str]] = []

    class Refusing:
        def log(self, *line: str) -> None:
            lines.append(line)  # type: ignore[arg-type]

        async def do(self, command: Command) -> Result:
            if command.arguments["price"] == "3,600":
                raise UsageError("'3,600' is no price.")
            return Result({})

    host: Any = SimpleNamespace(_engine=Refusing())
    for price in ("3,600", "3600"):
        with suppress(UsageError):
            asyncio.run(Host._do(host, Command("asset_set", {"price": price}, "root", "desk quote")))
    assert lines == [
        ("warn", "command_failed", "root: asset set, desk quote failed: '3,600' is no price."),
        ("info", "command", "root: asset set, desk quote"),
    ]
