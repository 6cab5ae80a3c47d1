"""The worker process is killed, and only it: that is said, another one is started, and nothing is lost."""

import asyncio
from typing import Any

import psutil
import pytest

from tests.faults.books import check, check_whole, contents, files_of, fill_inbox
from tests.faults.conftest import Peace
from tests.faults.processes import TIMEOUT_S, Process, check_acks, start, told, wait_for_work
from tests.runtime.deck import Deck
from tests.runtime.test_service import hosting


def worker_of(host: Any) -> psutil.Process:
    """The process that takes files in."""
    (pid,) = host._engine._executor._pool._processes
    return psutil.Process(pid)


@pytest.mark.parametrize("losses", [1, pytest.param(4, marks=pytest.mark.slow)])
def test_hosted_engine__its_worker_is_killed__says_so_and_takes_the_files_with_another(
    deck: Deck, peace: Peace, losses: int
) -> None:
    sources = contents()
    first = []

    async def run() -> None:
        fill_inbox(deck, sources)
        async with hosting(deck) as (host, heard):
            for number in range(losses):
                await heard.of("file_done", lambda data, number=number: data["name"] == f"tx-{number}.csv")
                worker = worker_of(host)
                first.append(worker.pid)
                worker.kill()
                await heard.of("log", lambda data: data["kind"] == "worker_lost")
            for name in sources:
                await heard.of("file_done", lambda data, name=name: data["name"] == name)
            assert worker_of(host).pid not in first

    asyncio.run(run())
    check(deck, peace(sources), sources)


def end_worker(deck: Deck, process: Process) -> None:
    """Kills the worker of a verb once it is at work."""
    wait_for_work(deck, process)
    for child in psutil.Process(process.pid).children():
        if "spawn_main" in " ".join(child.cmdline()):
            child.kill()


def test_command_line__its_worker_is_killed__says_so_and_the_next_run_goes_on(
    deck: Deck, peace: Peace
) -> None:
    sources = contents()
    paths = files_of(deck, sources)
    process = start(deck, "ingest", *paths, "--json")
    end_worker(deck, process)
    out, said = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 1
    assert "Traceback" not in said
    assert '"WORKER_LOST"' in out
    assert "hint:" in said
    check_acks(deck, told(said))
    check_whole(deck)
    deck.ingest(*paths)
    check(deck, peace(sources), sources)
