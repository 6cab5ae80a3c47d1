"""Looks at a working engine again and again, and has the alert book judge by what it sees.

Facts of the store are renewed by the host when something was committed; what moves by itself (the inbox, the
disk, memory, ages) is looked at every time. It decides nothing: the rules do.
"""

import asyncio
import importlib
import random
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from engine.domain.instants import SECOND_US
from engine.runtime.alerts.courier import HOOK, WEBHOOK, Courier, Message, Send, World, owed_bits
from engine.runtime.alerts.hook import run_hook
from engine.runtime.alerts.readings import folder_facts, live_readings, readings, rules_of
from engine.runtime.alerts.stored import standing_told
from engine.runtime.clock import steady_us, system_clock
from engine.runtime.engine import Engine
from engine.runtime.overview import Overview

OWN_ALERTS = frozenset({"disk", "intake"})  # causes that DISK_LOW and MEMORY_HIGH tell of
JUMP_US = SECOND_US  # less is the clock being disciplined


class AlertWatch:
    """The alerts of one host. `causes`: the tasks that fail now, each with why."""

    def __init__(
        self, engine: Engine, overview: Overview, causes: Callable[[], Mapping[str, str]],
        wall_us: Callable[[], int] = system_clock, steady: Callable[[], int] = steady_us,
    ) -> None:  # fmt: skip
        self._engine, self._overview, self._causes = engine, overview, causes
        self._wall_us, self._steady = wall_us, steady
        self._offset: int | None = None
        self._one = asyncio.Lock()
        self._ways: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begins to deliver, what an earlier run left over first."""
        engine = self._engine
        world = World(engine.now, lambda: steady_us() / SECOND_US, asyncio.sleep, random.random)
        for name, bit, send in (("hook", HOOK, self._hook), ("webhook", WEBHOOK, self._webhook)):
            courier = Courier(name, bit, engine.alerts, str(engine.home.path), engine.log, world)
            self._ways.append(asyncio.create_task(courier.run(send), name=f"alerts by {name}"))

    async def close(self) -> None:
        """Ends deliveries; what is under way is tried again by the next run."""
        for task in self._ways:
            task.cancel()
        await asyncio.gather(*self._ways, return_exceptions=True)

    def _hook(self) -> Send | None:
        command = self._engine.config["alerts.hook"]
        if not command:
            return None

        async def send(message: Message) -> None:
            await run_hook(command, message, self._engine.home.path)

        return send

    def _webhook(self) -> Send | None:
        address = self._engine.config["alerts.webhook"]
        return partial(_posted, address) if address else None

    async def look(self) -> None:
        """Reads, judges, and tells consoles what stands if that is something else than before."""
        facts = self._overview.status.get("facts")
        if facts is None:
            return
        engine = self._engine
        async with self._one:
            folders = await asyncio.to_thread(folder_facts, engine.home)
            jump_us = self._jump()
            now, config, rules = engine.now(), engine.config, rules_of(engine.config)
            looked = readings(facts | folders, config, now, self._wall_us())
            looked |= live_readings(facts, self._live(jump_us))
            alerts = await engine.alerts.look(looked, rules, now, jump_us=jump_us, owed=owed_bits(config))
            shown = standing_told(alerts, facts["acks"], rules)
            if shown != self._overview.status.get("alerts"):
                self._overview.status["alerts"] = shown
                engine.tell("alerts", {"alerts": shown})

    def _jump(self) -> int:
        """By how much the wall clock was set since the last look, in microseconds."""
        offset = self._wall_us() - self._steady()
        before, self._offset = self._offset, offset
        moved = 0 if before is None else offset - before
        return moved if abs(moved) >= JUMP_US else 0

    def _live(self, jump_us: int) -> dict[str, Any]:
        points, ratio = self._overview.nav["points"], self._overview.memory.get("ratio")
        newest = points[-1] if points else {"coverage": None, "held": []}
        covered = newest["coverage"]
        return {
            "causes": {task: why for task, why in self._causes().items() if task not in OWN_ALERTS},
            "memory_percent": None if ratio is None else ratio * 100,
            "coverage_percent": None if covered is None else covered * 100,
            "held": sorted(newest["held"]),
            "clock_jump_s": jump_us / SECOND_US,
        }


async def _posted(address: str, message: Message) -> None:
    # What speaks HTTP takes half a second to import.
    webhook = await asyncio.to_thread(importlib.import_module, "engine.runtime.alerts.webhook")
    await webhook.post(address, webhook.webhook_key(), message)
