"""Power cuts: whatever of the unsynced writes survives, what was acknowledged is there, whole and once.

A run is logged once (see recorder.py); then the disk is rebuilt as it could be after a cut at any place of
the log, and opened in the usual way.
"""

import pickle
import random
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest

from engine.runtime.home import Home
from engine.store import journal, journal_audit
from engine.store.commit import recover
from engine.store.reader import Reader
from tests.faults.disk import Op, Tree, after_cut
from tests.faults.workload import CLAIMED, VARIANTS, Dump, dump, lay, sources
from tests.runtime.deck import NOW, ROOT

TIMEOUT_S = 300
CUTS, CUTS_A_SEED, SEEDS = 20, 20, 9  # 540 cuts in all under `slow`


@dataclass(frozen=True)
class Run:
    """A logged run: the disk before it, its log, state.db's content before it and after each commit."""

    before: Tree
    log: list[Op]
    dumps: list[Dump]

    def acknowledged(self, cut: int) -> int:
        """How many commits were acknowledged before `log[cut]`."""
        return max((int(str(op[1])) for op in self.log[:cut] if op[0] == "ack"), default=0)

    def begun(self, cut: int) -> int:
        """How many commits there are once the act that was under way is done."""
        return next((int(str(op[1])) for op in self.log[cut:] if op[0] == "ack"), len(self.dumps) - 1)


@pytest.fixture(scope="module")
def runs(blank_home: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """A logged run of each variant."""
    place = tmp_path_factory.mktemp("runs")
    for variant in VARIANTS:
        Tree.of(blank_home).write(place / variant / "home")
        (place / variant / "files").mkdir()
        lay(place / variant / "home", place / variant / "files")
    command = [sys.executable, "-m", "tests.faults.workload", str(place), *VARIANTS]
    subprocess.run(command, cwd=ROOT, check=True, timeout=TIMEOUT_S)
    return {name: Run(*pickle.loads((place / name / "log").read_bytes())) for name in VARIANTS}


@dataclass(frozen=True)
class Found:
    """After a cut and a start: how many commits had been acknowledged, are there, and were redone."""

    acknowledged: int
    commits: int
    redone: int

    @property
    def lost(self) -> bool:
        return self.commits < self.acknowledged


def opened(run: Run, cut: int, rng: random.Random, place: Path) -> Found:
    """Cuts, starts again, and checks all but whether something that was acknowledged is lost."""
    after_cut(run.before, run.log, cut, rng).write(place)
    home = Home(place)
    kept = _stored(home)
    recover(home.state, home.journal, NOW)
    with closing(sqlite3.connect(home.state)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        truth = dump(connection)
    assert truth in run.dumps, "something is there in part, or twice"
    check_journal(home)
    found = Found(run.acknowledged(cut), run.dumps.index(truth), _stored(home) - kept)
    assert found.commits <= run.begun(cut), "something is there that was not yet begun"
    if not found.lost:
        check_files(home, truth)
    return found


def _stored(home: Home) -> int:
    """The number of the last journal record that state.db has."""
    with Reader(home.state) as reader:
        mark = reader.meta().get("journal")
    return journal.Mark.from_json(mark).seq if mark else 0


def check_journal(home: Home) -> None:
    """Every byte of it is sound, and it has all that state.db has."""
    if home.journal.is_dir():
        report = journal_audit.verify(home.journal)
        assert report.problems == []
        assert report.head.seq == _stored(home) or _stored(home) == 0


def check_files(home: Home, truth: Dump) -> None:
    """The bytes of each ingested file are in the archive; what was dropped waits, or was taken."""
    taken = {row[1] for row in truth["files"] if row[4] != "rejected"}
    known = {sha256(data).hexdigest(): (name, data) for name, data in sources().items()}
    for digest in taken:
        name, data = known[digest]
        assert home.archived(digest, Path(name).suffix).read_bytes() == data, name
    waiting = {path.name for path in (*home.inbox.iterdir(), *home.claimed.rglob("*.csv"))}
    for digest, (name, _) in known.items():
        assert name not in CLAIMED or digest in taken or name in waiting, f"{name} is lost"
    for digest in (row[1] for row in truth["files"] if row[4] == "rejected"):
        name, data = known[digest]
        assert (home.rejected / f"{digest[:12]}-{name}").read_bytes() == data
        assert (home.rejected / f"{digest[:12]}-{name}.reason.json").is_file()


def cuts(run: Run, seed: int, count: int, place: Path) -> list[Found]:
    """What is there after each of so many cuts of a run."""
    rng = random.Random(seed)
    found = []
    for number in range(count):
        cut = rng.randrange(len(run.log) + 1)
        try:
            found.append(opened(run, cut, rng, place / f"cut-{number}"))
        except BaseException as error:
            error.add_note(f"seed {seed}, cut {number} at {cut} of {len(run.log)}")
            raise
    return found


def lost(found: list[Found]) -> int:
    """At how many cuts something that was acknowledged is not there."""
    return sum(each.lost for each in found)


@pytest.mark.parametrize("variant", ["kept", "closed"])
def test_power_cut__all_that_was_acknowledged_is_there(
    runs: dict[str, Run], tmp_path: Path, variant: str
) -> None:
    assert sum(op[0] == "ack" for op in runs[variant].log) > 8
    assert lost(cuts(runs[variant], 1, CUTS, tmp_path)) == 0


def test_power_cut__what_sqlite_lost_is_redone_from_the_journal(
    runs: dict[str, Run], tmp_path: Path
) -> None:
    found = cuts(runs["journal"], 2, CUTS, tmp_path)
    assert lost(found) == 0
    assert sum(each.redone for each in found) > 0


def test_power_cut__without_journal_and_syncs__the_loss_is_seen(runs: dict[str, Run], tmp_path: Path) -> None:
    assert lost(cuts(runs["blind"], 3, CUTS, tmp_path)) > 0


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["kept", "closed", "journal"])
@pytest.mark.parametrize("seed", range(100, 100 + SEEDS))
def test_power_cuts__nothing_acknowledged_is_lost(
    runs: dict[str, Run], tmp_path: Path, seed: int, variant: str
) -> None:
    assert lost(cuts(runs[variant], seed, CUTS_A_SEED, tmp_path)) == 0
