"""Memory as it is used: limits of every kind, smaller batches, a worker that ends at its own limit."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.compaction.memory_manager import Use
from engine.config import load
from engine.errors import MemoryLow, WorkerLost, WorkerOverLimit
from engine.messages import Command, Query
from engine.runtime import memory, service
from engine.runtime.engine import Engine
from engine.runtime.executors import ThreadExecutor, WorkerExecutor
from engine.runtime.memory import Batches, Watch, cgroup_uses, give_back, memory_now, worker_limit
from engine.runtime.tasks import TAKE_FILES, VALUE
from tests.runtime.deck import NOW, Deck, buy
from tests.runtime.test_service import hosting

MB = 1 << 20


def group(folder: Path, **files: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"memory.{name}").write_text(f"{text}\n")


def uses(tmp_path: Path, told: str) -> list[Use]:
    (tmp_path / "own").write_text(told)
    return list(cgroup_uses(tmp_path / "fs", tmp_path / "own"))


def test_cgroup_v2__what_can_be_dropped_is_not_used__and_those_above_count_too(tmp_path: Path) -> None:
    group(tmp_path / "fs" / "app", max=4000, current=1000, stat="inactive_file 300\nanon 1")
    group(tmp_path / "fs" / "app" / "deck", max="max", current=900, stat="inactive_file 0")
    assert uses(tmp_path, "0::/app/deck\n") == [Use(700, 4000, "cgroup")]


def test_cgroup_v1__its_number_for_no_limit_is_none(tmp_path: Path) -> None:
    names = {"limit_in_bytes": 5000, "usage_in_bytes": 800, "stat": "total_inactive_file 100"}
    group(tmp_path / "fs" / "memory" / "a", **names)
    group(tmp_path / "fs" / "memory", **names | {"limit_in_bytes": 9223372036854771712})
    assert uses(tmp_path, "4:memory:/a\n3:cpu,cpuacct:/b\n") == [Use(700, 5000, "cgroup")]


def test_no_cgroup__no_use(tmp_path: Path) -> None:
    assert uses(tmp_path, "0::/gone\n") == []
    assert list(cgroup_uses(tmp_path, tmp_path / "nothing")) == []


def test_memory_now__the_tightest_of_machine_group_and_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_limits", lambda: [Use(10, 100, "machine"), Use(30, 100, "cgroup")])
    monkeypatch.setattr(memory, "_own_rss", lambda: 50)
    assert memory_now()["whose"] == "cgroup"
    assert memory_now(100) == {
        "used_bytes": 50, "limit_bytes": 100, "ratio": 0.5, "whose": "setting", "rss_bytes": 50
    }  # fmt: skip


def test_worker_limit__the_setting_or_the_part_that_work_stays_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(memory, "_limits", lambda: [Use(1, 2000 * MB, "machine")])
    assert worker_limit(load(tmp_path / "none")) == 1300 * MB
    assert worker_limit(load(tmp_path / "none", {"NAVDECK_MEMORY_LIMIT": str(1000 * MB)})) == 650 * MB
    assert worker_limit(load(tmp_path / "none", {"NAVDECK_MEMORY_WORKER_BYTES_MAX": "7"})) == 7


def test_batches__get_smaller_within_reason_and_never_larger(tmp_path: Path) -> None:
    batches = Batches.of(load(tmp_path / "none"))
    assert batches.narrowed(4) == Batches(1_000, 62_500, 2_160)
    assert batches.narrowed(10**6) == Batches(50, 1_000, 1)
    assert Batches(7, 20, 1).narrowed(64) == Batches(7, 20, 1)


def test_give_back__is_harmless() -> None:
    give_back()


def test_critical__nothing_is_taken__until_memory_is_there_again(deck: Deck) -> None:
    async def run() -> None:
        engine = await Engine.open(deck.home, ThreadExecutor(), lambda: NOW, writing=True)
        try:
            path = deck.file("trades.csv", [buy()])
            told = {"used_bytes": 95, "limit_bytes": 100, "whose": "machine"}
            assert engine.memory.look(told, NOW)
            with pytest.raises(MemoryLow):
                await engine.do(Command("ingest", {"paths": [str(path)]}))
            assert engine.memory.look(told | {"used_bytes": 50}, NOW)
            done = await engine.do(Command("ingest", {"paths": [str(path)]}))
            assert done.value["totals"]["accepted"] == 1
        finally:
            await engine.close()

    asyncio.run(run())


def test_host__memory_is_critical__files_wait_told_once__and_are_taken_when_it_is_not(
    deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = [95]
    told = {"limit_bytes": 100, "whose": "cgroup", "rss_bytes": 1}
    monkeypatch.setattr(service, "MEMORY_EVERY_S", 0.01)
    monkeypatch.setattr(
        service, "memory_now", lambda limit: told | {"used_bytes": used[0], "ratio": used[0] / 100}
    )

    async def run() -> None:
        async with hosting(deck) as (host, heard):
            await heard.of("log", lambda data: data["kind"] == "memory_critical")
            deck.drop("trades.csv", [buy()])
            await heard.of("inbox", lambda data: [file["name"] for file in data["waiting"]] == ["trades.csv"])
            shown = (await host.ask(Query("overview"))).value
            assert [cause["task"] for cause in shown["causes"]] == ["intake"]
            used[0] = 84
            await heard.of("log", lambda data: data["kind"] == "memory_alert")
            await heard.of("file_done")
            assert host.document()["state"] == "running"
            used[0] = 30
            await heard.of("log", lambda data: data["kind"] == "memory_normal")
            kinds = [event.data["kind"] for event in heard.events if event.kind == "log"]
            assert kinds.count("memory_critical") == 1

    asyncio.run(run())


def test_watch__follows_the_profile_of_the_settings(tmp_path: Path) -> None:
    watch = Watch(load(tmp_path / "none", {"NAVDECK_MEMORY_PROFILE": "LOW_RAM"}))
    assert watch.advice.profile == "LOW_RAM"


class Tight(ThreadExecutor):
    """Runs a task only with batches that are small enough; else its worker goes over its limit."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.asked: list[int] = []

    async def run(self, task: Callable[..., Any], *arguments: Any) -> Any:
        if task in (TAKE_FILES, VALUE):
            self.asked.append(arguments[3] if task is TAKE_FILES else arguments[-1])
            if self.asked[-1] > self.most:
                raise WorkerOverLimit("The worker process had too much.")
        return await super().run(task, *arguments)


@pytest.mark.parametrize(("most", "asked"), [(300, [4_000, 1_000, 250]), (10, [4_000, 1_000, 250, 62])])
def test_a_task_over_the_limit__is_tried_with_smaller_batches__until_they_cannot_be_smaller(
    deck: Deck, most: int, asked: list[int]
) -> None:
    async def run() -> None:
        executor = Tight(most)
        engine = await Engine.open(deck.home, executor, lambda: NOW, writing=True)
        try:
            command = Command("ingest", {"paths": [str(deck.file("trades.csv", [buy()]))]})
            if asked[-1] > most:
                with pytest.raises(WorkerLost):
                    await engine.do(command)
            else:
                assert (await engine.do(command)).value["totals"]["accepted"] == 1
            assert executor.asked == asked
        finally:
            await engine.close()

    asyncio.run(run())


def hog(size: int) -> int:
    """A task that keeps so many bytes; long enough for a look."""
    held = bytearray(size)
    held[::4096] = b"x" * len(held[::4096])
    time.sleep(0 if size < 100 * MB else 5)
    return len(held)


def test_a_worker_over_its_limit__ends_itself__and_the_next_task_runs() -> None:
    async def run() -> None:
        executor = WorkerExecutor(limit_bytes=500 * MB)
        try:
            with pytest.raises(WorkerOverLimit, match="it may have 524,288,000"):
                await executor.run(hog, 900 * MB)
            assert await executor.run(hog, MB) == MB
        finally:
            executor.close()

    asyncio.run(run())
