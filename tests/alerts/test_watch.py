"""A working engine watches: what it sees is raised, shown, handed to the command, and not repeated."""

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.domain.instants import SECOND_US
from engine.messages import Command, Event
from engine.runtime.alerts.watch import AlertWatch
from engine.runtime.engine import Engine
from engine.runtime.executors import ThreadExecutor
from engine.runtime.host import Host
from engine.runtime.overview import Overview
from tests.alerts.conftest import Desk
from tests.runtime.deck import NOW, buy

HOOK = "import sys; open('told', 'a').write(sys.stdin.read())"


async def until(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not what():  # noqa: ASYNC110 - other parties move it on
            await asyncio.sleep(0.02)


def acked(events: list[Event]) -> bool:
    """Whether consoles heard that somebody knows."""
    return any(alert["acked"] for one in events if one.kind == "alerts" for alert in one.data["alerts"])


def told_outside(home: Path) -> list[tuple[str, str]]:
    path = home / "told"
    lines = path.read_text().splitlines() if path.exists() else []
    return [(json.loads(line)["event"], json.loads(line)["code"]) for line in lines]


def test_host__alert__raised_shown_delivered_acknowledged__once_over_two_runs(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAVDECK_ALERTS_HOOK", json.dumps([sys.executable, "-c", HOOK]))
    monkeypatch.setenv("NAVDECK_ALERTS_QUARANTINE_HOURS", "0")
    desk.deck.take(buy(action="buy"))
    home = desk.deck.path

    async def run(first: bool) -> list[dict[str, Any]]:
        events: list[Event] = []
        host = await Host.open(desk.deck.home)
        host.subscribe(events.append)
        try:
            await until(lambda: ("raised", "QUARANTINE_OPEN") in told_outside(home))
            if first:
                command = Command("alert_ack", {"alerts": ["QUARANTINE_OPEN"]}, actor="ana", reason="known")
                await host.do(command)
                await until(lambda: acked(events))
            return list(host.document()["alerts"])
        finally:
            await host.close()

    (shown,) = asyncio.run(run(first=True))
    (again,) = asyncio.run(run(first=False))

    assert (shown["id"], shown["code"], shown["acked"]["reason"]) == (1, "QUARANTINE_OPEN", "known")
    assert again == shown
    assert told_outside(home) == [("raised", "QUARANTINE_OPEN")]


class Clocks:
    """A wall clock that can be set, and a steady one."""

    def __init__(self) -> None:
        self.wall = self.steady = NOW

    def tick(self, seconds: float, set_by_s: float = 0.0) -> None:
        self.steady += round(seconds * SECOND_US)
        self.wall += round((seconds + set_by_s) * SECOND_US)


def watched(desk: Desk, *steps: Callable[[Clocks, Overview, dict[str, str]], None]) -> list[list[str]]:
    """What stands after each step and a look."""

    facts = desk.deck.ask("status", facts=True)["facts"]

    async def run() -> list[list[str]]:
        clocks, overview = Clocks(), Overview()
        causes: dict[str, str] = {}
        engine = await Engine.open(desk.deck.home, ThreadExecutor(), lambda: clocks.wall, writing=True)
        overview.status = {"facts": facts, "alerts": []}
        watch = AlertWatch(engine, overview, lambda: causes, lambda: clocks.wall, lambda: clocks.steady)
        found = []
        try:
            for step in steps:
                step(clocks, overview, causes)
                await watch.look()
                found.append([one["code"] for one in overview.status["alerts"]])
        finally:
            await engine.close()
        return found

    return asyncio.run(run())


def test_clock__set_by_an_hour__is_told_and_durations_stay_true(desk: Desk) -> None:
    def fails(clocks: Clocks, _overview: Overview, causes: dict[str, str]) -> None:
        causes["valuation"] = "RuntimeError: no"

    found = watched(
        desk,
        fails,
        lambda clocks, *_: clocks.tick(30, set_by_s=3_600),
        lambda clocks, *_: clocks.tick(30),
        lambda clocks, *_: clocks.tick(0, set_by_s=0.4),
    )

    assert found == [[], ["CLOCK_JUMP"], ["PIPELINE_FAILED", "CLOCK_JUMP"], ["PIPELINE_FAILED", "CLOCK_JUMP"]]


def test_memory_coverage_and_hold__as_the_engine_sees_them(desk: Desk) -> None:
    def tight(clocks: Clocks, overview: Overview, _causes: dict[str, str]) -> None:
        overview.memory = {"ratio": 0.93}
        overview.nav = {"resolution": "1h", "points": [{"coverage": 0.5, "held": ["EUR/USD"]}]}

    def well(clocks: Clocks, overview: Overview, _causes: dict[str, str]) -> None:
        clocks.tick(10)
        overview.memory = {"ratio": 0.5}
        overview.nav = {"resolution": "1h", "points": [{"coverage": 1.0, "held": []}]}

    found = watched(
        desk, tight, lambda clocks, *_: clocks.tick(60), lambda clocks, *_: clocks.tick(3_600), well
    )

    assert found == [[], ["MEMORY_HIGH"], ["MEMORY_HIGH", "COVERAGE_LOW", "FX_HELD"], []]
