"""What a home does with its backups: makes, lists, checks, restores, promotes and drills them.

Module-level functions of plain values, as queries are, so that an executor can run them anywhere: with no
engine, beside a running one, and on a folder of backups whose home is lost (`from`). None writes in the home
but for its `backups/`; none needs the turn to write.
"""

import hashlib
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from engine.backup import drill as drills
from engine.backup import generator, retention, target
from engine.backup.layout import CANCEL, Ports, Shelf, number_of, stamp, stamp_of
from engine.backup.objects import prune
from engine.backup.plan import plan_backup, plan_instant
from engine.backup.restore import promote as put_in_place
from engine.backup.restore import restore as carry_out
from engine.backup.verify import verify as check
from engine.config import FIXED, Config, load
from engine.domain.instants import SECOND_US, from_us
from engine.errors import BackupDamaged, BackupError, BackupUnknown, UsageError
from engine.runtime.asking import instant
from engine.runtime.books import Books
from engine.runtime.clock import system_clock
from engine.runtime.digest import digest
from engine.runtime.executors import giving_way, report, stand_back
from engine.runtime.home import Home
from engine.runtime.recompute import follows
from engine.store.files import publish
from engine.store.reader import Reader

Act = Callable[[str, int, dict[str, Any]], dict[str, Any]]


def create(home_path: str, now: int, _arguments: dict[str, Any]) -> dict[str, Any]:
    """`backup create --json`: the new backup, what was removed, the second folder, the hook."""
    home = Home(Path(home_path))
    config = home.config()
    shelf, ports = Shelf(home.backups), _ports(home, now)
    with _at_work(shelf):
        made = generator.create(home.path, shelf, ports, _shape(config))
        kept = _kept(shelf, config["timezone"])
        made |= {"removed": prune(shelf, kept)}
        made |= {"target": None, "hook": None}
        if config["backup.target"]:
            made["target"] = target.copy_backup(shelf, Shelf(Path(config["backup.target"])), made["id"], kept)
    if config["backup.post_backup"]:
        facts = made | {"folder": str(shelf.folder(made["id"])), "home": str(home.path)}
        command = config["backup.post_backup"]
        made["hook"] = target.run_hook(command, facts, shelf.path, ports.cancelled)
    return made


def listed(home_path: str, now: int, arguments: dict[str, Any]) -> dict[str, Any]:
    """`backup list --json`: backups and drills, newest first."""
    shelf = _shelf(Home(Path(home_path)), arguments)
    verified = shelf.verified()
    backups = [_line(shelf, name, verified.get(name), now) for name in reversed(shelf.ids())]
    return {"folder": str(shelf.path), "backups": backups, "drills": shelf.drills()}


def verify(home_path: str, now: int, arguments: dict[str, Any]) -> dict[str, Any]:
    """`backup verify --json`: of one backup, or of all."""
    home = Home(Path(home_path))
    shelf, ports = _shelf(home, arguments), _ports(home, now)
    names = [_full(shelf, arguments["id"])] if arguments.get("id") else shelf.ids()
    if not names:
        raise BackupError("There is no backup yet.", "`navdeck backup create` makes one.")
    found = []
    with _at_work(shelf):
        for name in names:
            one = check(shelf, name, ports)
            found.append(one)
            problems = sum(len(each["problems"]) for each in one["checks"])
            noted = {"at": one["at"], "ok": one["ok"], "problems": problems, "damaged": one["damaged"]}
            shelf.note_verified(name, noted)
    return {"ok": all(one["ok"] for one in found), "backups": found}


def restore(home_path: str, now: int, arguments: dict[str, Any]) -> dict[str, Any]:
    """`backup restore --json`: the plan, and what came of it unless that was only asked for."""
    home = Home(Path(home_path))
    shelf, ports = _shelf(home, arguments), _ports(home, now)
    to = Path(arguments["to"])
    live = None if arguments.get("from") or not home.path.is_dir() else home.path
    apart = (home.path, shelf.path)
    at = instant(arguments, "at")
    with _at_work(shelf):
        if at is not None:
            plan = plan_instant(shelf, at, to, live, ports, apart)
        else:
            plan = plan_backup(shelf, _full(shelf, arguments["id"]), to, live, ports, apart)
        done = plan.told() if arguments.get("dry_run") else carry_out(plan, ports)
    return done | {"dry_run": bool(arguments.get("dry_run"))}


def promote(home_path: str, now: int, arguments: dict[str, Any]) -> dict[str, Any]:
    """`backup promote --json`: where the home is now, and where the old one is kept."""
    home, restored = Path(home_path), Path(arguments["folder"])
    Home(restored).require()
    Home(restored).config()
    return put_in_place(restored, home, home.with_name(f"{home.name}.before-{stamp(now)}"))


def drill(home_path: str, now: int, _arguments: dict[str, Any]) -> dict[str, Any]:
    """`backup drill --json`: the report."""
    home = Home(Path(home_path))
    shelf = Shelf(home.backups)
    with _at_work(shelf):
        return drills.drill(shelf, home.path, _ports(home, now), follows)


ACTS: dict[str, Act] = {
    "backup_create": create,
    "backup_verify": verify,
    "backup_restore": restore,
    "backup_promote": promote,
    "backup_drill": drill,
}
QUERIES: dict[str, Act] = {"backups": listed}
IN_A_HURRY = frozenset({"backup_restore", "backup_promote", "backups"})
GIVING_WAY = frozenset({"backup_create", "backup_verify"})  # not a drill: how long it takes is its result
LATELY_US = 2 * SECOND_US


def run(name: str, home_path: str, now: int, arguments: dict[str, Any]) -> dict[str, Any]:
    """Does one of ACTS or QUERIES; ingest must not feel what nobody waits for."""
    if name not in IN_A_HURRY:
        stand_back()
    with giving_way(partial(_is_written, Home(Path(home_path)))) if name in GIVING_WAY else nullcontext():
        return (ACTS | QUERIES)[name](home_path, now, arguments)


def _is_written(home: Home) -> bool:
    """Whether something was stored in a home a moment ago, so that more is likely on its way."""
    try:
        log = home.state.with_name(f"{home.state.name}-wal").stat()
    except OSError:  # to look must never end the job that looks
        return False
    past = system_clock() - log.st_mtime_ns // 1000
    return log.st_size > 0 and abs(past) < LATELY_US  # who only reads makes an empty one


def cancel(home_path: str) -> None:
    """Asks the job at work to end before its next step."""
    shelf = Shelf(Home(Path(home_path)).backups)
    if shelf.path.is_dir():
        publish(shelf.path / CANCEL, b"")


# -- what they share ----------------------------------------------------------------------------------


def _shelf(home: Home, arguments: dict[str, Any]) -> Shelf:
    """The home's own backups, or those in a folder that was named."""
    folder = arguments.get("from")
    if folder and not Path(folder).is_dir():
        raise UsageError(f"There is no folder {folder}.", "Name a folder that holds backups.")
    return Shelf(Path(folder) if folder else home.backups)


@contextmanager
def _at_work(shelf: Shelf) -> Iterator[None]:
    """One job at a time; what asked an earlier one to end is forgotten."""
    with shelf.held():
        (shelf.path / CANCEL).unlink(missing_ok=True)
        yield


def _ports(home: Home, now: int) -> Ports:
    begun = time.monotonic_ns() // 1000

    def steady() -> int:
        return time.monotonic_ns() // 1000 - begun

    def cancelled() -> bool:
        return (home.backups / CANCEL).exists()

    def free_bytes(path: Path) -> int:
        return shutil.disk_usage(path).free

    return Ports(lambda: now + steady(), steady, _digest_of, report, cancelled, free_bytes)


def _digest_of(state: Path, settings: Path) -> dict[str, Any]:
    """The digest of a state.db under a navdeck.toml, and what its home was made with."""
    with Reader(state) as reader:
        config = load(settings)
        fixed = {key: value for key, value in reader.meta().items() if key in FIXED}
        return digest(reader, Books(reader, Config(dict(config.values) | fixed, config.origins)))


def _shape(config: Config) -> str:
    """Of all settings: where they differ, a digest is computed anew."""
    return hashlib.sha256(repr(sorted(config.values.items())).encode()).hexdigest()


def _kept(shelf: Shelf, zone: str) -> set[str]:
    """What retention keeps of a shelf."""
    verified = shelf.verified()
    return retention.kept(
        retention.Made(
            name, from_us(stamp_of(name)).astimezone(ZoneInfo(zone)).date(),
            bool(verified.get(name, {}).get("ok")),
        )
        for name in shelf.ids()
    )  # fmt: skip


def _line(shelf: Shelf, name: str, verified: dict[str, Any] | None, now: int) -> dict[str, Any]:
    """One backup of the list; one whose manifest cannot be followed is told as damaged."""
    found = verified or {}
    facts: dict[str, Any] = {"id": name, "age_s": max(0, now - stamp_of(name)) // SECOND_US}
    facts |= {"verified_at": found.get("at"), "verified": found.get("ok"), "problem": None}
    try:
        return generator.told(shelf.manifest(name)) | facts
    except BackupDamaged as error:
        return facts | {"problem": error.tried}


def _full(shelf: Shelf, given: str) -> str:
    """The backup meant by an id, the start of one, its number, or `latest`."""
    names = shelf.ids()
    if given == "latest" and names:
        return names[-1]
    number = int(given) if given.isascii() and given.isdigit() and len(given) < 10 else None
    found = [name for name in names if name.startswith(given) or number_of(name) == number]
    if given in names or len(found) == 1:
        return given if given in names else found[0]
    told = "names more than one backup" if found else "names no backup"
    raise BackupUnknown(f"{given!r:.80} {told}.", "`navdeck backup list` shows all.")
