"""How late the console's event loop comes while ingest, valuing, lots and compaction run: no asserts.

Run with `pytest tests/bench/bench_lag.py -m bench -n 0 -s`. A real console on a pseudo-terminal, with its
engine in the same process or attached to a daemon; its screens are shown one after the other. The same sleeps
in a process that does nothing else tell what the machine itself adds.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from engine import api
from engine.domain.instants import DAY_US
from engine.errors import EngineError
from engine.link.client import SocketClient
from engine.messages import Command, Query
from engine.runtime.clock import system_clock
from tests.bench.rounds import ROOT
from tests.bench.trades import write_trades
from tests.link.test_beside_a_daemon import has_socket, true_in_time
from tests.pty.seat import Seat, sit
from tests.runtime.deck import Deck
from tests.runtime.test_daemon import daemon, said

ROWS, PARTS, SEED = 200_000, 20, 1
AIM_S = 0.033  # two frames at 60 a second
SETTLE_S, STAY_S, BUSY_S = 6.0, 1.0, 60.0
SCREENS = b"12345678"

LATE = """
import asyncio, json, sys, time
late = []
async def look(until=float("inf")):
    while (before := time.perf_counter()) < until:
        await asyncio.sleep(0.005)
        late.append((before, time.perf_counter() - before - 0.005))
"""
NOTHING = LATE + "asyncio.run(look(time.perf_counter() + float(sys.argv[1]))); print(json.dumps(late))"
CONSOLE = (
    LATE
    + """
from pathlib import Path
from console import hosted
from console.cli import terminal
from engine import api
_, _, home, told, way = sys.argv
async def main():
    looking = asyncio.create_task(look())
    connect = {"hosted": api.host, "attached": api.attach}[way]
    try:
        await hosted.run(lambda: connect(Path(home)), terminal(), attached=way == "attached")
    finally:
        Path(told).write_text(json.dumps(late))
if __name__ == "__main__":
    asyncio.run(main())
"""
)


@pytest.mark.bench
@pytest.mark.parametrize("way", ["hosted", "attached"])
def test_lag(deck: Deck, way: str, tmp_path: Path) -> None:
    program, told = tmp_path / "program.py", tmp_path / "late.json"
    program.write_text(CONSOLE)
    with ExitStack() as held:
        if way == "attached":
            said(held.enter_context(daemon(deck)), b"working on")
        seat = held.enter_context(
            sit(str(told), way, home=deck.path, program=[str(program)], PYTHONPATH=str(ROOT))
        )
        asyncio.run(true_in_time(lambda: has_socket(deck.path)))
        seat.watch(SETTLE_S)
        still = [sys.executable, "-c", NOTHING, str(BUSY_S)]
        idle = subprocess.Popen(still, stdout=subprocess.PIPE)
        begun = time.perf_counter()
        rss = asyncio.run(_busy(deck, seat, tmp_path))
        done = time.perf_counter()
        nothing = json.loads(idle.communicate()[0])
        seat.process.send_signal(signal.SIGTERM)
        seat.ended()
    late = [one for at, one in json.loads(told.read_text()) if begun < at < done]
    print(f"\n{way}: {_told(late)}, {rss:.0f} MiB")
    print(f"a loop that does nothing: {_told([one for _, one in nothing])}")


def _told(late: list[float]) -> str:
    ordered = sorted(late)
    p50, p99 = (ordered[int(len(ordered) * share)] * 1000 for share in (0.5, 0.99))
    over = sum(one > AIM_S for one in late)
    most = f"at most {ordered[-1] * 1000:.1f} ms, {over} over {AIM_S * 1000:.0f}"
    return f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, {most} (n = {len(ordered):,})"


async def _busy(deck: Deck, seat: Seat, folder: Path) -> float:
    """Files, valuations, lots and compaction for BUSY_S, and a look at every screen; the console's memory."""
    midnight = system_clock() // DAY_US * DAY_US
    for name, data in api.demo_files(SEED, midnight):
        (deck.home.inbox / name).write_bytes(data)
    acting = asyncio.create_task(_act(deck, write_trades(folder / "trades", ROWS, SEED, PARTS)))
    ends_at = asyncio.get_running_loop().time() + BUSY_S
    while asyncio.get_running_loop().time() < ends_at:
        for key in SCREENS:
            seat.press(bytes([key]))
            await asyncio.to_thread(seat.watch, STAY_S)
    acting.cancel()
    return psutil.Process(seat.process.pid).memory_info().rss / 2**20


async def _act(deck: Deck, files: list[Path]) -> None:
    client = await SocketClient.open(deck.home.path / "run")
    try:
        while True:
            for file in files[:2]:
                os.link(file, deck.home.inbox / file.name)
            del files[:2]
            for act in (Command("value"), Query("lots_page", {}), Command("compact")):
                try:
                    await (client.do(act) if isinstance(act, Command) else client.ask(act))
                except EngineError as error:
                    print(error)
    finally:
        await client.close()
