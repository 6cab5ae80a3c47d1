"""Valuing tells how far it is, and ends between two slices where somebody asks for it."""

import asyncio
import time
from typing import Any

import pytest

from engine.errors import JobCancelled
from engine.messages import Command, Event, Result
from engine.runtime import executors
from engine.runtime.engine import Engine
from tests.compaction.lake import act, check_lake, correct, orphans
from tests.runtime.deck import Deck


@pytest.fixture
def in_pieces(lake: Deck, monkeypatch: pytest.MonkeyPatch) -> Deck:
    """A lake whose correction is valued a day at a time, each of them told."""
    monkeypatch.setattr("engine.runtime.far.REPORT_EVERY_S", 0)
    monkeypatch.setenv("NAVDECK_VALUE_CLOSES", "288")
    correct(lake)
    return lake


def test_valuing__tells_how_many_days_are_done__of_those_it_makes(in_pieces: Deck) -> None:
    in_pieces.events.clear()
    in_pieces.value(resolution="5m")
    far = [data for kind, data in in_pieces.events if kind == "value_progress"]
    assert far
    assert [one["done"] for one in far] == sorted(one["done"] for one in far)
    assert far[-1]["done"] == far[-1]["days"]


def test_valuing__cancelled_between_two_days__nothing_of_it_is_kept__and_a_later_run_does_it(
    in_pieces: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = in_pieces
    before, told = lake.ask("nav", resolution="5m"), []

    def told_and_waited(kind: str, data: dict[str, Any]) -> None:
        told.append(data["done"])
        executors.report(kind, data)
        while not lake.home.value_cancel.exists():  # or the test's own timeout
            time.sleep(0.001)

    async def run(engine: Engine) -> Result:
        def hear(event: Event) -> None:
            if event.kind == "value_progress":
                asyncio.get_running_loop().create_task(engine.do(Command("value_cancel")))

        engine.subscribe(hear)
        return await engine.do(Command("value", {"resolution": "5m"}))

    with monkeypatch.context() as patch:
        patch.setattr("engine.runtime.far.report", told_and_waited)
        with pytest.raises(JobCancelled, match="5m"):
            lake.with_engine(run, writing=True)
    assert len(told) == 1
    assert lake.events[-1][0] == "value_failed"
    assert lake.ask("nav", resolution="5m") == before
    lake.value(resolution="5m")
    assert lake.ask("nav", resolution="5m") != before
    act(lake, "compact")
    assert orphans(lake) == set()
    check_lake(lake)


def test_valuing__cancelled_while_none_is_at_work__the_next_one_is_not(lake: Deck) -> None:
    act(lake, "value_cancel")
    assert not lake.home.value_cancel.exists()
    lake.home.value_cancel.touch()  # left by an engine that was killed
    assert lake.value(resolution="5m")["buckets"] > 0
