"""The mirror: an overview, then events by number; a missing number asks for everything again."""

import asyncio
import copy
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from console import client as client_module
from console.client import Session
from console.fake import FakeClient, connecting, overview, still
from console.mirror import EVENTS_MAX, POINTS_MAX, Mirror, clean, waiting
from console.screens.events import event_detail
from engine.api import Command, EngineClient, EngineError, Event, HomeInUse, HomeMissing


def mirrored(**changes: Any) -> Mirror:
    mirror = Mirror()
    mirror.reset(overview() | changes, 0.0)
    return mirror


def test_clean__control_codes_in_any_place__become_visible_text() -> None:
    told = clean({"name\x1b": ["\x1b]52;c;evil\x07", {"text": "a\u202eb", "n": 1}]})
    assert told == {"name\\x1b": ["\\x1b]52;c;evil\\x07", {"text": "a\\u{202e}b", "n": 1}]}


@pytest.mark.parametrize("pace", [1, 20])
def test_now__goes_on_as_fast_as_the_engine_s_clock(pace: int) -> None:
    mirror = mirrored(now="2025-03-01T10:00:00Z", pace=pace)
    assert mirror.now(30.0) - mirror.now(0.0) == 30 * pace * 1_000_000


def test_take__event_already_in_the_overview__changes_nothing() -> None:
    mirror = mirrored()
    before = copy.deepcopy(mirror.doc)
    assert mirror.take(Event(60, "inbox", {"waiting": [], "others": []}), 0.0) == frozenset()
    assert mirror.doc == before


def test_take__number_missing__says_so_and_changes_nothing() -> None:
    mirror = mirrored()
    before = copy.deepcopy(mirror.doc)
    assert mirror.take(Event(62, "inbox", {"waiting": [], "others": []}), 0.0) is None
    assert mirror.doc == before


def test_take__unknown_kind__only_counts() -> None:
    mirror = mirrored()
    assert mirror.take(Event(61, "something_new", {}), 0.0) == frozenset()
    assert mirror.take(Event(62, "alerts", {"alerts": []}), 0.0) == frozenset({"alerts"})


def test_file__from_start_to_end() -> None:
    mirror = mirrored()
    mirror.take(Event(61, "file_started", {"name": "a.csv"}), 13.0)
    assert mirror.doc["inbox"]["active"]["stage"] == "reading"
    assert mirror.doc["inbox"]["active"]["started_at"] == "2026-03-04T14:07:13Z"
    mirror.take(Event(62, "file_progress", {"name": "a.csv", "done": 5, "rows": 10}), 14.0)
    assert mirror.doc["inbox"]["active"] | {"done": 5, "rows": 10} == mirror.doc["inbox"]["active"]
    entry = {"name": "a.csv", "status": "ingested", "rows": 10, "at": "2026-03-04T14:07:15Z"}
    mirror.take(Event(63, "file_done", entry), 15.0)
    assert mirror.doc["inbox"]["active"] is None
    assert mirror.doc["inbox"]["recent"][0] == entry
    assert mirror.doc["last_runs"]["ingest"] == entry["at"]


def test_waiting__file_being_read__is_not_waiting() -> None:
    inbox = overview()["inbox"]
    assert [entry["name"] for entry in waiting(inbox)] == [
        "bitstamp_2026-03-04.csv",
        "prices_5m_1410.parquet",
    ]
    assert len(waiting(inbox | {"active": None})) == 3


def test_nav__changed_points__replace_and_extend_the_series_in_order() -> None:
    mirror = mirrored()
    old = mirror.doc["nav"]["points"]
    corrected = old[-2] | {"nav": "1"}
    new = old[-1] | {"bucket_close": "2026-03-04T15:00:00Z", "nav": "2"}
    mirror.take(Event(61, "nav", {"resolution": "1h", "points": [new, corrected], "holds": []}), 0.0)
    points = mirror.doc["nav"]["points"]
    assert [point["nav"] for point in points[-3:]] == ["1", old[-1]["nav"], "2"]
    assert len(points) == POINTS_MAX
    assert mirror.doc["holds"] == []
    assert mirror.doc["watermarks"]["valued_last"]["1h"] == "2026-03-04T15:00:00Z"


def test_nav__points_of_another_resolution__leave_the_series() -> None:
    mirror = mirrored()
    before = list(mirror.doc["nav"]["points"])
    point = before[-1] | {"bucket_close": "2026-03-05T00:00:00Z"}
    told = {"resolution": "1d", "points": [point], "holds": []}
    assert mirror.take(Event(61, "nav", told), 0.0) == frozenset({"nav"})
    assert mirror.doc["nav"]["points"] == before


def test_lists__grow_to_their_bounds_only() -> None:
    mirror = mirrored()
    for seq in range(61, 61 + 250):
        log = {"at": "2026-03-04T14:07:00Z", "level": "info", "kind": "x", "text": str(seq)}
        mirror.take(Event(seq, "log", log), 0.0)
    assert len(mirror.doc["events"]) == EVENTS_MAX
    assert mirror.doc["events"][-1]["text"] == "310"


def memory(ratio: float) -> dict[str, Any]:
    return {"ratio": ratio, "used_bytes": 1, "limit_bytes": 2, "rss_bytes": 3}


def test_event__keeps_the_trace_of_its_work__made_safe() -> None:
    mirror = mirrored()
    told = {"at": "2026-03-04T14:00:00Z", "level": "info", "kind": "file", "text": "a.csv taken"}
    mirror.take(Event(61, "log", told, "4bf92f35\x1b[31m"), 0.0)
    assert mirror.doc["events"][-1] == told | {"seq": 61, "trace_id": "4bf92f35\\x1b[31m"}
    page = event_detail(mirror.doc["events"][-1], 60)
    assert any("trace" in part[0][0] for part in page)
    assert not any("trace" in part[0][0] for part in event_detail(told | {"seq": 62}, 60))


def test_valuing__how_far_it_is__until_it_is_done() -> None:
    mirror = mirrored()
    assert mirror.take(Event(61, "value_started", {"resolution": "5m"}), 1.0) == {"value"}
    mirror.take(Event(62, "value_progress", {"resolution": "5m", "done": 3, "days": 9}), 2.0)
    assert mirror.doc["valuing"] == {
        "resolution": "5m", "started_at": "2026-03-04T14:07:01Z", "done": 3, "days": 9,
    }  # fmt: skip
    mirror.take(Event(63, "value_done", {"resolution": "5m"}), 3.0)
    assert mirror.doc["valuing"] is None


def test_valuing__fails_or_is_cancelled__nothing_shows_it_at_work_and_no_run_is_told() -> None:
    mirror = mirrored()
    before = mirror.doc["last_runs"]["value"]
    mirror.take(Event(61, "value_started", {"resolution": "5m"}), 1.0)
    assert mirror.take(Event(62, "value_failed", {"resolution": "5m"}), 2.0) == {"value"}
    assert mirror.doc["valuing"] is None
    assert mirror.doc["last_runs"]["value"] == before


def test_upkeep__how_far_it_is__since_when__until_it_ends() -> None:
    mirror = mirrored()
    far = {"job": "compact", "things": "files", "done": 0, "of": 410}
    mirror.take(Event(61, "lake_progress", far), 1.0)
    assert mirror.take(Event(62, "lake_progress", far | {"done": 120}), 5.0) == {"work"}
    assert mirror.doc["upkeep"] == far | {"done": 120, "started_at": "2026-03-04T14:07:01Z"}
    mirror.take(Event(63, "lake_done", {"job": "compact"}), 9.0)
    assert mirror.doc["upkeep"] is None


def test_memory__history_is_kept_with_its_times__whatever_their_distance() -> None:
    mirror = mirrored(memory=memory(0.5))
    start = mirror.now(0.0)
    mirror.take(Event(61, "memory", memory(0.6)), 100.0)
    mirror.take(Event(62, "memory", memory(0.7)), 102.0)
    assert mirror.doc["memory"]["history"] == [
        [start, 0.5], [start + 100_000_000, 0.6], [start + 102_000_000, 0.7],
    ]  # fmt: skip
    mirror.take(Event(63, "memory", memory(0.8)), 3_750.0)
    kept = [ratio for _, ratio in mirror.doc["memory"]["history"]]
    assert kept == [0.7, 0.8]  # what was in force an hour before, and what came since


def test_memory__overview__its_times_count__ratios_without_a_time_do_not() -> None:
    timed = memory(0.6) | {"history": [["2026-03-04T14:05:00Z", 0.4]]}
    assert [ratio for _, ratio in mirrored(memory=timed).doc["memory"]["history"]] == [0.4, 0.6]
    mirror = mirrored(memory=memory(0.6) | {"history": [0.1, 0.2]})
    assert [ratio for _, ratio in mirror.doc["memory"]["history"]] == [0.6]
    mirror.reset(overview() | {"memory": memory(0.7)}, 0.0)
    assert [ratio for _, ratio in mirror.doc["memory"]["history"]] == [0.6, 0.7]


def test_now__moves_with_the_console_s_clock() -> None:
    mirror = mirrored()
    assert mirror.now(90.5) - mirror.now(0.0) == 90_500_000
    assert not mirror.overdue(0.0)
    assert mirror.overdue(181.0)


class Running:
    """A session that runs while the block does, with a client to talk through."""

    def __init__(self, connect: Callable[[], Awaitable[EngineClient]]) -> None:
        self.told: list[frozenset[str]] = []
        self.session = Session(connect, self.told.append, still)

    async def __aenter__(self) -> Session:
        self._task = asyncio.create_task(self.session.run())
        await self.until(lambda: bool(self.told))
        return self.session

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()

    async def until(self, what: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not what():  # noqa: ASYNC110 - what is waited for has no event of its own
                await asyncio.sleep(0)


def test_session__gap__asks_for_everything_again() -> None:
    async def scenario() -> None:
        fake = FakeClient()
        running = Running(connecting(fake))
        async with running as session:
            fake.document["label"] = "NEW"
            fake.tell("alerts", {"alerts": []}, skipped=1)
            await running.until(lambda: session.mirror.doc["label"] == "NEW")
            assert [query.name for query in fake.queries] == ["overview", "overview"]
            assert session.mirror.doc["seq"] == fake.document["seq"]

    asyncio.run(scenario())


def test_session__events_while_it_asks__are_not_lost() -> None:
    async def scenario() -> None:
        fake = FakeClient()
        answer = fake.ask

        async def slow(query: Any) -> Any:
            result = await answer(query)
            told = copy.deepcopy(result.value)
            fake.tell("alerts", {"alerts": [{"code": "X", "text": "late", "hint": ""}]})
            return type(result)(told)

        fake.ask = slow  # type: ignore[method-assign]
        async with Running(connecting(fake)) as session:
            assert session.mirror.doc["alerts"][0]["text"] == "late"

    asyncio.run(scenario())


def test_session__no_home__fails_for_good_and_says_why() -> None:
    async def scenario() -> None:
        async def connect() -> EngineClient:
            raise HomeMissing("There is no home at /srv/x.", "navdeck init")

        async with Running(connect) as session:
            assert session.mirror.phase == "failed"
            assert session.mirror.trouble == ("There is no home at /srv/x.", "navdeck init")

    asyncio.run(scenario())


def test_session__fault_that_nobody_foresaw__fails_for_good_and_says_what() -> None:
    async def scenario() -> None:
        async def connect() -> EngineClient:
            raise RuntimeError("the worker is gone\x1b")

        async with Running(connect) as session:
            assert session.mirror.phase == "failed"
            text, hint = session.mirror.trouble
            assert "RuntimeError: the worker is gone\\x1b" in text
            assert "navdeck status" in hint

    asyncio.run(scenario())


def test_session__answers_are_clean__faults_become_errors() -> None:
    async def scenario() -> None:
        fake = FakeClient()
        fake.desk.acts["undo"] = lambda _command: {"text": "\x1b[2J"}
        async with Running(connecting(fake)) as session:
            assert await session.do(Command("undo")) == {"text": "\\x1b[2J"}
            with pytest.raises(EngineError, match="KeyError"):
                await session.do(Command("quarantine_fix"))
            assert not session.is_waiting

    asyncio.run(scenario())


@pytest.mark.parametrize("error", [ConnectionResetError("gone"), HomeInUse("Another engine has the home.")])
def test_session__loss_that_may_pass__connects_again(
    error: EngineError | OSError, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "RETRY_S", (0.0,))

    async def scenario() -> None:
        fake, tries = FakeClient(), 0

        async def connect() -> EngineClient:
            nonlocal tries
            tries += 1
            if tries == 1:
                raise error
            return fake

        running = Running(connect)
        async with running as session:
            assert session.mirror.phase == "lost"
            await running.until(lambda: session.connected)

    asyncio.run(scenario())


def test_session__silence__asks_whether_the_engine_is_still_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "SILENCE_S", 0.0)

    async def scenario() -> None:
        fake = FakeClient()
        running = Running(connecting(fake))
        async with running as session:
            fake.failing = ConnectionResetError("gone")
            await running.until(lambda: session.mirror.phase == "lost")
            with pytest.raises(ConnectionError):
                await session.ask(fake.queries[0])

    asyncio.run(scenario())
