"""A drill: a backup is restored, opened and recomputed, so that it is known to work before it is needed.

Twice: the newest backup, and an instant chosen at random, which is reached in two ways that share nothing but
the journal's records (the newest backup before it and what follows; the journal alone) and must agree. Each
step is timed; the scratch is removed whatever happens. `rto_s` is how long the newest took from nothing to
a home that opens; `rpo_s` how long the oldest commit that no backup has yet has been waiting for one.
"""

import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.backup.journal_view import JournalView
from engine.backup.layout import DRILLS, JOURNAL, REPORT, Ports, Shelf, stamp
from engine.backup.objects import TEMPORARY, clear_leftovers, remove
from engine.backup.plan import plan_backup, plan_instant
from engine.backup.restore import restore
from engine.domain.instants import format_instant
from engine.errors import BackupError, EngineError, JobCancelled, StoreError
from engine.store.files import publish
from engine.store.troubles import writable

READABLE = "drill_report.txt"
Check = Callable[[Path], dict[str, Any]]  # of a restored home: {"ok", "told"}


@dataclass(slots=True)
class Drill:
    """What has been done so far. Steps: {"step", "ok", "seconds", "told"}."""

    ports: Ports
    steps: list[dict[str, Any]] = field(default_factory=list)

    @contextmanager
    def step(self, name: str) -> Iterator[list[str]]:
        """One step; what is put into the list is told of it. The step fails with what is raised in it."""
        self.ports.between(name)
        started, told = self.ports.steady(), list[str]()
        done = {"step": name, "ok": False, "seconds": 0.0, "told": ""}
        self.steps.append(done)
        try:
            yield told
            done["ok"] = True
        except (EngineError, AssertionError, OSError) as error:
            told.append(str(error))
            raise
        finally:
            done["seconds"] = round((self.ports.steady() - started) / 1e6, 3)
            done["told"] = "; ".join(told)


def drill(shelf: Shelf, home: Path, ports: Ports, recompute: Check) -> dict[str, Any]:
    """Runs a drill and keeps its report; a drill that fails is a report too. The caller holds the shelf.

    StoreFull where there is no room even for the report; then nothing is kept of the drill.
    """
    at = ports.clock()
    clear_leftovers(shelf)
    scratch = shelf.path / f"{TEMPORARY}drill"
    run = Drill(ports)
    report: dict[str, Any] = {"at": format_instant(at), "verdict": "failed", "backup": None, "instant": None}
    try:
        _steps(shelf, home, run, scratch, report, recompute)
        report["verdict"] = "passed"
    except JobCancelled:
        report["verdict"] = "cancelled"
    except (EngineError, AssertionError, OSError) as error:
        report["problem"] = str(error)
    finally:
        remove(scratch)
    report |= {"steps": run.steps, "seconds": round(sum(step["seconds"] for step in run.steps), 3)}
    report |= _unsaved(shelf, home, ports)
    _keep(shelf, stamp(at), report)
    return report


def _steps(
    shelf: Shelf, home: Path, run: Drill, scratch: Path, report: dict[str, Any], recompute: Check
) -> None:
    ports = run.ports
    newest = next(iter(reversed(shelf.ids())), None)
    if newest is None:
        raise BackupError("There is no backup to drill.", "`navdeck backup create` makes one.")
    report["backup"] = newest
    latest = scratch / "latest"
    outside = ports_beside(ports)
    with run.step("restore the newest backup") as told:
        plan = plan_backup(shelf, newest, latest, None, outside)
        done = restore(plan, outside)
        told.append(f"{done['files']:,} files, {done['bytes']:,} bytes, digest as recorded")
    report["rto_s"] = run.steps[-1]["seconds"]
    with run.step("open it and recompute") as told:
        found = recompute(latest)
        told.append(str(found["told"]))
        if not found["ok"]:
            raise BackupError(f"What was restored does not follow from its inputs: {found['told']}")
    _at_random(shelf, run, scratch, report, newest)


def _at_random(shelf: Shelf, run: Drill, scratch: Path, report: dict[str, Any], newest: str) -> None:
    """An instant between the first commit and the newest backup, reached in two ways."""
    manifest = shelf.manifest(newest)
    view = JournalView({
        file.path.removeprefix(f"{JOURNAL}/"): shelf.object(file.sha256)
        for file in manifest.files if file.path.startswith(f"{JOURNAL}/")
    })  # fmt: skip
    if not view.commits:
        return
    instant = random.Random(f"{newest} {report['at']}").randint(view.commits[0].at, manifest.reached)
    report["instant"] = format_instant(instant)
    outside, digests = ports_beside(run.ports), []
    for name, alone in (("the newest backup before it", False), ("the journal alone", True)):
        with run.step(f"restore the random instant from {name}") as told:
            plan = plan_instant(shelf, instant, scratch / "random", None, outside, alone=alone)
            done = restore(plan, outside)
            digests.append(done["digest"])
            told.append(f"{done['commits_redone']:,} commits redone from {done['base'] or 'nothing'}")
            remove(plan.to)
    with run.step("compare the two") as told:
        if digests[0] != digests[1]:
            raise BackupError(f"At {report['instant']} the digests are {digests[0]} and {digests[1]}.")
        told.append(f"both have the digest {digests[0]}")


def ports_beside(ports: Ports) -> Ports:
    """The same ports, for restores within a step: their own steps are not told."""
    return Ports(ports.clock, ports.steady, ports.digest, lambda *_: None, ports.cancelled, ports.free_bytes)


def _unsaved(shelf: Shelf, home: Path, ports: Ports) -> dict[str, Any]:
    """Commits that the newest backup lacks, and for how long the oldest of them has been waiting."""
    newest = next(shelf.manifests(), None)
    try:
        commits = JournalView.of(home / JOURNAL).commits
    except (StoreError, OSError):
        return {"rpo_s": None, "unsaved_commits": None}
    later = [commit for commit in commits if newest is None or commit.seq > newest.mark.seq]
    waiting = round((ports.clock() - later[0].at) / 1e6, 3) if later else 0.0
    return {"rpo_s": max(0.0, waiting), "unsaved_commits": len(later)}


def _keep(shelf: Shelf, name: str, report: dict[str, Any]) -> None:
    folder = shelf.path / DRILLS / name
    with writable():
        try:
            publish(folder / READABLE, readable(report).encode())
            publish(folder / REPORT, (json.dumps(report, indent=1) + "\n").encode())
        except BaseException:
            remove(folder)
            raise


def readable(report: dict[str, Any]) -> str:
    """A report for people."""
    lines = [f"Drill of {report['at']}: {report['verdict']}", f"backup {report['backup']}"]
    lines += [f"random instant {report['instant']}"] if report["instant"] else []
    for step in report["steps"]:
        mark = "ok    " if step["ok"] else "FAILED"
        lines.append(f"  {mark} {step['seconds']:>9.3f} s  {step['step']}: {step['told']}")
    lines += [f"problem: {report['problem']}"] if "problem" in report else []
    unsaved = f"RPO {report['rpo_s']} s, {report['unsaved_commits']} commits unsaved"
    lines.append(f"RTO {report.get('rto_s', '?')} s, {unsaved}")
    return "\n".join(lines) + "\n"
