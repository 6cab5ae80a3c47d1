"""An operator's act does not wait for heavy work."""

import asyncio
import threading
from typing import Any

import pytest

from engine.messages import Command, Query
from engine.runtime import value as module
from engine.runtime.engine import Engine
from engine.runtime.executors import ThreadExecutor
from tests.runtime.deck import NOW, Deck, buy


def test_act__while_values_are_computed__is_carried_out_at_once(
    deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    deck.take(buy(), buy(account=""))
    begun, go_on = threading.Event(), threading.Event()
    compute = module.value_resolution

    def slow(*arguments: Any) -> Any:
        begun.set()
        assert go_on.wait(60)
        return compute(*arguments)

    monkeypatch.setattr(module, "value_resolution", slow)

    async def run() -> tuple[int, bool]:
        engine = await Engine.open(
            deck.home, ThreadExecutor(), lambda: NOW, writing=True, acting=ThreadExecutor()
        )
        valuing = asyncio.create_task(engine.do(Command("value", {"resolution": "1d"})))
        await asyncio.to_thread(begun.wait, 60)
        (row,) = (await engine.ask(Query("quarantine_page"))).value["rows"]
        fix = Command("quarantine_fix", {"ids": [row["id"]], "set": {"account": "main"}}, actor="op")
        passes = (await engine.do(fix)).value["would_pass"]
        still_valuing = not valuing.done()
        go_on.set()
        await valuing
        await engine.close()
        return passes, still_valuing

    assert asyncio.run(run()) == (1, True)
