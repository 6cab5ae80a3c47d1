"""Real time, a real daemon and a steady load: what it holds on to does not grow, and no row is lost.

`pytest -m soak -n 0 -s tests/soak`: an hour, or SOAK_SECONDS. Figures are printed; the looks stay in the
test's folder, or in SOAK_LOOKS.
"""

import asyncio
import os
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import psutil
import pytest

from engine.config import WEEKDAYS
from engine.domain.instants import SECOND_US
from engine.runtime.clock import system_clock
from engine.runtime.engine import make_home
from engine.runtime.home import Home
from engine.store import journal_audit
from tests.faults.books import check_whole
from tests.link.test_beside_a_daemon import has_socket, true_in_time
from tests.looks import Look, by_process
from tests.runtime.deck import Deck
from tests.runtime.test_daemon import PATIENCE_S, daemon
from tests.sim.plan import BUCKET_S, busy_plan
from tests.sim.quiet import backed_up, keep_quietly, nothing_is_invented, parts
from tests.soak.load import HASTE, Load

SECONDS = int(os.environ.get("SOAK_SECONDS", "3600"))
SEED = 20
TRADES_AN_HOUR, ROWS_MAX = 12, 100  # of the plan's hours
GROWTH = {
    "rss": 16 << 20,  # 7,000 rows come in between, and books are kept: 1 KB a row; a queue has 4 MiB
    "files": 2,  # a console more
    "threads": 2,  # pools fill as they are used
    "tasks": 4,  # a console's question, and what it is answered by
    "wal": 8 << 20,  # it is checkpointed every 16 MiB
}
MIB = 1 << 20


@pytest.mark.soak
def test_real_time_under_load__nothing_grows__no_row_is_lost(tmp_path: Path) -> None:
    seconds = SECONDS * HASTE // BUCKET_S * BUCKET_S
    start = (system_clock() // SECOND_US + SECONDS - seconds) // BUCKET_S * BUCKET_S * SECOND_US
    day = busy_plan(SEED, seconds, start, TRADES_AN_HOUR, ROWS_MAX)
    lived, quiet = _home(tmp_path / "lived"), _home(tmp_path / "quiet")
    looks = Path(os.environ.get("SOAK_LOOKS", tmp_path / "looks"))
    with daemon(lived, tmp_path / "log") as process:
        asyncio.run(true_in_time(lambda: has_socket(lived.path)))
        load = Load(lived.home, day, looks, psutil.Process(process.pid))
        asyncio.run(load.run())
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    print(f"\n{load.answers} answers, {load.visits} visits, {load.chores} chores, {len(load.heard)} events")
    grown = _grown_by_process(looks, process.pid)
    assert load.heard == list(range(load.heard[0], load.heard[0] + len(load.heard)))
    keep_quietly(quiet, day)
    assert parts(lived) == parts(quiet)
    _is_whole(lived, len(day.files))
    nothing_is_invented(lived, day)
    assert len(grown) > 1
    for pid, by_name in grown.items():
        assert all(by_name[name] <= GROWTH[name] for name in by_name), (pid, by_name)


def _home(path: Path) -> Deck:
    """A backup and a drill are due soon after the start."""
    asyncio.run(make_home(Home(path), "USD", "UTC", "FIFO"))
    due = datetime.now(UTC) + timedelta(seconds=SECONDS // 4)
    deck = Deck(path, clock=system_clock)
    weekday = WEEKDAYS[due.weekday()]
    settings = f'[backup]\nat = "{due:%H:%M}"\ndrill_weekday = "{weekday}"\n[compaction]\ngrace_minutes = 1\n'
    deck.home.config_path.write_text(deck.home.config_path.read_text() + settings)
    return deck


def _is_whole(deck: Deck, files: int) -> None:
    check_whole(deck)
    assert deck.sql("SELECT count(*) FROM files WHERE status = 'ingested'") == [(files,)]
    assert deck.rejected() == []
    assert deck.ask("verify")["ok"]
    assert journal_audit.verify(deck.home.journal).problems == []
    backed_up(deck)


def _grown_by_process(looks: Path, daemon: int) -> dict[int, dict[str, float]]:
    """The last quarter's medians less the second's, of the daemon and each process that was there in both.

    The first quarter loads libraries and fills what is kept; a median does not see what comes and goes.
    """
    told = by_process(looks)
    end_s = max(look["at_s"] for look in told[daemon])
    lasting = {pid: (_within(its, end_s, 1), _within(its, end_s, 3)) for pid, its in told.items()}
    for pid, (early, late) in lasting.items():
        if early and late:
            print(f"process {pid}{' (daemon)' * (pid == daemon)}: {_shown(early, late)}")
    looked = [[len(its[part]) for its in (*lasting.values(), lasting[daemon])] for part in (0, 1)]
    at_once = [sum(of_each) / of_daemon for *of_each, of_daemon in looked]
    share = sum(its[-1]["cpu_s"] for its in told.values()) / end_s
    print(f"{len(told)} processes, {at_once[0]:.1f}, then {at_once[1]:.1f} at once; {share:.1%} of a core")
    assert at_once[1] - at_once[0] < 1
    return {pid: _grown(early, late) for pid, (early, late) in lasting.items() if early and late}


def _within(its: list[Look], end_s: float, quarter: int) -> list[Look]:
    return [look for look in its if quarter <= look["at_s"] * 4 / end_s <= quarter + 1]


def _grown(early: list[Look], late: list[Look]) -> dict[str, float]:
    names = [name for name in GROWTH if name in early[0]]
    return {name: _middle(late, name) - _middle(early, name) for name in names}


def _middle(looks: list[Look], name: str) -> float:
    return median(look[name] for look in looks)


def _shown(early: list[Look], late: list[Look]) -> str:
    return ", ".join(
        f"{name} {_middle(early, name) / unit:g} -> {_middle(late, name) / unit:g}"
        for name, unit in (("rss", MIB), ("files", 1), ("threads", 1), ("tasks", 1), ("wal", MIB))
        if name in early[0]
    )
