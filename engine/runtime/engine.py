"""The engine of one home: it takes commands, answers queries and tells events.

With `writing` it holds the home's lock and the one writer; without, it only reads, beside whoever writes.
"""

import asyncio
import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from dataclasses import asdict
from functools import cached_property
from itertools import batched
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.compaction.memory_manager import NARROW
from engine.config import FIXED, Config
from engine.domain.instants import SECOND_US, format_instant
from engine.errors import DiskLow, MemoryLow, UsageError, WorkerLost, WorkerOverLimit
from engine.messages import Command, Event, Query, Result
from engine.runtime import asking
from engine.runtime.alerts.book import AlertBook
from engine.runtime.alerts.courier import owed_bits
from engine.runtime.alerts.readings import folder_facts, readings, rules_of
from engine.runtime.executors import SPAN, AloneExecutor, Executor, WorkerExecutor
from engine.runtime.home import Home, lay_out
from engine.runtime.inbox import Look, claim, first_look, left_claims, ready, scan
from engine.runtime.memory import NARROWEST, Batches, Watch, give_back
from engine.runtime.taken import Source, Taken, totals
from engine.runtime.tasks import (
    ACTS,
    ALONE,
    BACKUPS,
    CANCEL_BACKUP,
    PARTIAL_FILES,
    QUERIES,
    RECOVER,
    RUN_BACKUP,
    TAKE_FILES,
    VALUE,
    WANTED,
)
from engine.runtime.telemetry.spans import Silent, Span, Telemetry, span, trace_id
from engine.store.file_system import require_local
from engine.store.files import HomeLock, sweep
from engine.store.troubles import writable

if TYPE_CHECKING:
    from engine.runtime.feeds import Feeds, Round
    from engine.runtime.valued import Valued
    from engine.store.writer import Writer

RESOLUTIONS = ("1d", "1h", "5m")
FILES_AT_ONCE = 8  # handed to the worker; few, so that whoever waits for a turn waits for seconds at most
LOOK_EVERY_S = 2.1  # a little over the inbox's settle time
CANCEL_JOB = "backup_cancel"
NOTHING = "nothing"  # `touched_from` of an act that changes no figure
STEP_OF = {  # commands that are one step
    "compact": "compact",
    "retention": "retention",
    "backup_create": "backup",
    "backup_verify": "backup_verify",
    "backup_restore": "backup_restore",
    "backup_promote": "backup_promote",
    "backup_drill": "drill",
}
Listener = Callable[[Event], None]


def system_clock() -> int:
    """Now, in microseconds UTC. The one place that asks the machine."""
    return time.time_ns() // 1000


def steady_us() -> int:
    """Microseconds of a clock that never jumps."""
    return time.monotonic_ns() // 1000


def free_bytes(path: Path) -> int:
    """What is left on the disk that holds `path`, for us."""
    return shutil.disk_usage(path).free


class Engine:
    """Commands in, results out, events to all listeners. Close it when done."""

    def __init__(
        self, home: Home, config: Config, executor: Executor, clock: Callable[[], int],
        lock: HomeLock | None = None, writer: "Writer | None" = None,
        free_bytes: Callable[[Path], int] = free_bytes, acting: Executor | None = None,
        asking: Executor | None = None, telemetry: Telemetry | None = None,
    ) -> None:  # fmt: skip
        self.home = home
        self.telemetry: Telemetry = telemetry or Silent()
        self.config = config
        self._executor = executor
        self._acting = acting or executor
        self._asking = asking or executor
        self._clock = clock
        self._lock = lock
        self._writer = writer
        self._listeners: list[Listener] = []
        self._told = 0
        self._untold: deque[Event] = deque()
        self._telling = False
        self._turn = asyncio.Lock()  # one act at a time: a file, or a resolution
        self._free_bytes = free_bytes
        self.alerts_watched = False  # by a host; otherwise alerts are looked at before an act on them
        self._given_up: set[str] = set()  # claims that end their worker
        self.memory = Watch(config)
        self._batches, self._narrow = Batches.of(config), 1
        self._commands = {
            "ingest": self._ingest, "value": self._value, "backfill": self._backfill,
            "provider_open": self._provider, "provider_close": self._provider,
        } | dict.fromkeys(ACTS, self._act) | dict.fromkeys((*BACKUPS, CANCEL_JOB), self._backup)  # fmt: skip
        if writer is not None:
            from engine.runtime.upkeep import Upkeep

            self.upkeep = Upkeep(home, config, executor, writer, self._turn, clock, self.log, self.memory)
            self.alerts = AlertBook(home.state, writer, self.tell, self.log)
            self._commands["alert_ack"] = self._acknowledge
            self._commands |= {"compact": self.upkeep.compact, "retention": self.upkeep.retain}
        for one in {executor, self._acting, self._asking}:
            one.listen(self._reported)

    @classmethod
    async def open(
        cls, home: Home, executor: Executor, clock: Callable[[], int] = system_clock, writing: bool = False,
        acting: Executor | None = None, asking: Executor | None = None, telemetry: Telemetry | None = None,
    ) -> "Engine":  # fmt: skip
        """Opens an existing home. HomeMissing, HomeInUse, ConfigInvalid or StoreTooNew if it cannot.

        `acting`, `asking`: where an operator's acts run, and answers are made, if not with the heavy work.
        """
        config = home.config()
        if not writing:
            return cls(home, config, executor, clock)
        require_local(home.path)
        lock = HomeLock(home.lock)
        from engine.store.writer import Writer  # SQLAlchemy takes long to import, and who reads needs none

        writer = None
        try:
            for folder in (home.archive, home.rejected):
                sweep(folder)
            writer = await Writer.open(home.state, clock)
            await executor.run(RECOVER, home.state, home.journal, clock())
        except BaseException:
            if writer is not None:
                await writer.close()
            lock.release()
            raise
        return cls(
            home, config, executor, clock, lock, writer, acting=acting, asking=asking, telemetry=telemetry
        )

    async def close(self) -> None:
        """Ends connections, the executor, telemetry, the writer and the lock, in that order."""
        if "feeds" in self.__dict__:
            await self.feeds.close()
        self._executor.close()
        await self.telemetry.close()
        if self._writer is not None:
            await self._writer.close()
        if self._lock is not None:
            self._lock.release()

    async def heartbeat(self) -> None:
        """Returns once the one who writes has answered."""
        assert self._writer is not None
        await self._writer.beat()

    def reconfigure(self, config: Config) -> None:
        """Takes new settings; providers keep those with which they were first used."""
        self.config = config
        self._batches = Batches.of(config)
        if self._writer is not None:
            self.upkeep.reconfigure(config)

    @property
    def told(self) -> int:
        """The number of the last event."""
        return self._told

    def now(self) -> int:
        """The engine's clock, in microseconds UTC."""
        return self._clock()

    def subscribe(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def tell(self, kind: str, data: dict[str, Any]) -> None:
        """Tells all listeners; facts are told after they are stored.

        What a listener tells in turn waits, so that everyone hears events in the order of their numbers.
        """
        self._told += 1
        self._untold.append(Event(self._told, kind, data, trace_id()))
        if self._telling:
            return
        self._telling = True
        try:
            while self._untold:
                event = self._untold.popleft()
                for listener in self._listeners:
                    listener(event)
        finally:
            self._telling = False

    def log(self, level: str, kind: str, text: str) -> None:
        """Tells a line for people: level info, warn or bad."""
        text = self.telemetry.strike(text)
        self.tell("log", {"at": format_instant(self._clock()), "level": level, "kind": kind, "text": text})

    def _reported(self, kind: str, told: dict[str, Any]) -> None:
        """What a task said: a step that is over, or an event."""
        if kind == SPAN:
            self.telemetry.keep(told)
        else:
            self.tell(kind, told)

    def step(self, name: str, /, **attributes: Any) -> AbstractContextManager[Span]:
        """A step of what is under way here, else the first of a new piece of work."""
        return span(name, self.telemetry.keep, **attributes)

    async def do(self, command: Command) -> Result:
        """Carries a command out. UsageError for a command that does not exist."""
        act = self._commands.get(command.name)
        if act is None:
            raise UsageError(f"There is no command {command.name!r}.")
        reads = command.name in (*BACKUPS, CANCEL_JOB) or (command.dry_run and command.name not in ACTS)
        if self._writer is None and not reads:
            raise UsageError("This engine only reads.", "Open the home for writing.")
        about = {"name": command.name, "actor": command.actor, "dry_run": command.dry_run}
        step = STEP_OF.get(command.name)
        with self.step("command", **about), nullcontext() if step is None else span(step):
            return Result(await act(command))

    async def ask(self, query: Query) -> Result:
        """Answers a query. UsageError for one that does not exist."""
        answer = QUERIES.get(query.name)
        if answer is None:
            raise UsageError(f"There is no query {query.name!r}.")
        executor = AloneExecutor() if query.name in ALONE else self._asking
        return Result(await executor.run(answer, str(self.home.path), self._clock(), query.arguments))

    # -- ingest --

    async def take(self, sources: Iterable[Source], dry_run: bool = False) -> list[dict[str, Any]]:
        """Takes files in, when their turn comes; their entries of `ingest --json`. DiskLow without room."""
        keep, entries = not dry_run, []
        for some in batched(sources, FILES_AT_ONCE):
            if keep and (short := self.disk_short()):
                raise DiskLow(short, "Free some space; nothing more was taken.")
            if keep and not self.memory.advice.intake:
                raise MemoryLow("Memory is nearly used up.", "Nothing more was taken. End what needs it.")
            try:
                entries += await self._take(list(some), keep)
            except WorkerLost as error:
                self.log("bad", "worker_lost", f"{error} Its files are taken one by one.")
                entries += await self._take_alone(some)
        return entries

    async def _take(self, sources: list[Source], keep: bool) -> list[dict[str, Any]]:
        while True:
            rows = self.batches.insert_rows, self.batches.window_rows
            job = str(self.home.path), sources, self._clock(), rows[0], keep, rows[1]
            try:
                async with self._turn, self._lent(keep):
                    taken: list[Taken] = await self._executor.run(TAKE_FILES, *job)
            except WorkerOverLimit as error:
                self._narrower(error)
                sources = [one for one in sources if await asyncio.to_thread(os.path.lexists, one.path)]
            else:
                return [one.answer() for one in taken]

    async def _take_alone(self, sources: Iterable[Source]) -> list[dict[str, Any]]:
        """After a lost worker: claimed files one by one; one that ends it again waits for the next start.

        WorkerLost with its name, after the others were taken. A named file is not tried again.
        """
        entries: list[dict[str, Any]] = []
        lost: list[str] = []
        for source in sources:
            if not source.claimed:
                lost.append(source.name)
            elif await asyncio.to_thread(os.path.lexists, source.path):
                try:
                    entries += await self._take([source], keep=True)
                except WorkerLost:
                    lost.append(source.name)
                    self._given_up.add(source.path)
        if lost:
            raise WorkerLost(f"The worker process ended over {', '.join(lost)}.")
        return entries

    def _lent(self, keep: bool) -> AbstractAsyncContextManager[None]:
        """The turn to write, for the worker."""
        return nullcontext() if self._writer is None or not keep else self._writer.lent()

    async def claim(self, names: Iterable[str]) -> list[Source]:
        """Takes files out of the inbox, all that are still there."""
        with self.step("claim") as step:
            claims = await asyncio.to_thread(_claimed, self.home, list(names))
            step.attributes["files"] = len(claims)
        return claims

    async def take_in(self, names: Iterable[str]) -> list[dict[str, Any]]:
        """Takes files of the inbox in, as one piece of work."""
        with self.step("intake"):
            return await self.take(await self.claim(names))

    async def _ingest(self, command: Command) -> dict[str, Any]:
        paths = [Path(path) for path in command.arguments.get("paths", [])]
        _require_files(paths)
        entries = await self.take([Source(str(path), path.name) for path in paths], command.dry_run)
        waiting: list[str] = []
        if not paths:
            entries, waiting = await self._take_inbox(command.dry_run)
        return {"files": entries, "totals": totals(entries), "waiting": waiting}

    async def _take_inbox(self, dry_run: bool) -> tuple[list[dict[str, Any]], list[str]]:
        """Everything that is in the inbox now, once it has settled; and the names that are not taken."""
        if dry_run:
            looks, others = scan(self.home.inbox, system_clock())
            sources = [Source(str(self.home.inbox / name), name) for name in looks]
            return await self.take(sources, dry_run=True), others
        entries = await self.take_left()
        before, others = scan(self.home.inbox, system_clock())
        pending = set(before)
        seen: dict[str, Look] = {}
        while pending:
            looks, others = scan(self.home.inbox, system_clock())
            pending &= set(looks)
            settled = sorted(name for name in pending if ready(seen.get(name), looks[name]))
            pending.difference_update(settled)
            for names in batched(settled, FILES_AT_ONCE):
                entries += await self.take_in(names)
            seen = {name: first_look(seen.get(name), look) for name, look in looks.items()}
            if pending:
                self.tell("settling", {"names": sorted(pending)})
                await asyncio.sleep(LOOK_EVERY_S)
        return entries, others

    async def take_left(self) -> list[dict[str, Any]]:
        """What was begun when the engine last stopped: claims, and large files that were taken in part."""
        claims = [claim for claim in left_claims(self.home) if str(claim.path) not in self._given_up]
        left = [Source(str(claim.path), claim.name, claimed=True) for claim in claims]
        partial = await self._executor.run(PARTIAL_FILES, str(self.home.path))
        archived = [(self.home.archived(file["sha256"], ".parquet"), file["name"]) for file in partial]
        sources = [*left, *(Source(str(path), name) for path, name in archived)]
        if not sources:
            return []
        with self.step("intake"):
            return await self.take(sources)

    def disk_short(self) -> str:
        """Why nothing is taken in now, for want of room; empty if there is enough."""
        free, least = self._free_bytes(self.home.path), self.config["disk.free_bytes_min"]
        return "" if free >= least else f"{free:,} bytes are free; intake needs {least:,}."

    # -- memory --

    @property
    def batches(self) -> Batches:
        """How much a stage has in memory at a time, as memory is now."""
        return self._batches.narrowed(self._narrow * self.memory.advice.narrow)

    def _narrower(self, error: WorkerOverLimit) -> None:
        """Smaller batches from now on, for what was too large; raises what cannot be made smaller."""
        if self._narrow >= NARROWEST:
            raise error
        self._narrow *= NARROW
        self.log("warn", "worker_over_limit", f"{error} It is tried again with smaller batches.")

    async def give_back(self) -> None:
        """Memory that nothing uses, of this process and of workers that do nothing, goes to the system."""
        await asyncio.to_thread(give_back)
        if not self._turn.locked():
            await self._executor.run(give_back)

    # -- the operator's acts --

    async def _act(self, command: Command) -> dict[str, Any]:
        """Carries an act out in a worker, which has the turn to write meanwhile.

        It waits for a file that is being taken, never for values that are being computed.
        """
        assert self._writer is not None
        arguments = (command.arguments, command.actor, command.reason, command.dry_run)
        async with self._writer.lent():
            act = ACTS[command.name], str(self.home.path), self._clock()
            done: dict[str, Any] = await self._acting.run(*act, *arguments)
        if not command.dry_run:
            touched = {"touched_from": done.get("touched_from", NOTHING)}
            touched["touched_until"] = done.get("touched_until")  # None: for ever
            touched["touched_assets"] = done.get("touched_assets")  # None: all of them
            self.tell("acted", {"name": command.name, **touched})
        return done

    async def _acknowledge(self, command: Command) -> dict[str, Any]:
        """As any act, once every alert that stands has its number."""
        if not self.alerts_watched:
            facts = (await self.ask(Query("status", {"facts": True}))).value["facts"]
            looked = readings(facts | folder_facts(self.home), self.config, self._clock(), system_clock())
            owed = owed_bits(self.config)
            await self.alerts.look(looked, rules_of(self.config), self._clock(), owed=owed)
        return await self._act(command)

    # -- backups --

    async def _backup(self, command: Command) -> dict[str, Any]:
        """A job with backups: never with the turn to write; where an engine works, in a worker of its own."""
        if command.name == CANCEL_JOB:
            await asyncio.to_thread(CANCEL_BACKUP, str(self.home.path))
            return {}
        job = RUN_BACKUP, command.name, str(self.home.path), self._clock(), command.arguments
        if self._acting is self._executor:
            return await self._executor.run(*job)
        worker = WorkerExecutor()  # it ends with the job, and gives its memory back
        worker.listen(self._reported)
        try:
            return await worker.run(*job)
        finally:
            worker.close()
            self.tell("backup_done", {"name": command.name})

    # -- providers --

    @cached_property
    def feeds(self) -> "Feeds":
        """The home's providers. UsageError where one that is configured lacks its key."""
        from engine.runtime.feeds import over_http  # what speaks HTTP takes half a second to import

        return over_http(self.home, self.config, self._clock, steady_us, self._heard_of_provider)

    def _heard_of_provider(self, name: str, code: str, text: str) -> None:
        self.log("warn", f"provider_{code.lower()}", f"{name}: {text}")
        self._tell_providers()

    def _tell_providers(self) -> None:
        self.tell("providers", {"providers": self.feeds.states()})

    def provider_states(self) -> list[dict[str, Any]]:
        """A row a provider; none as long as none was needed."""
        return self.feeds.states() if "feeds" in self.__dict__ else []

    async def fetch_missing(self, arguments: dict[str, Any]) -> "Round":
        """One round: what is missing is fetched, and lies in the inbox then."""
        pairs = {"pairs": self.config["providers.pairs"]}
        found = await self._executor.run(WANTED, str(self.home.path), self._clock(), arguments | pairs)
        with self.step("fetch"):
            done = await self.feeds.round(found)
        self._tell_providers()
        return done

    async def _backfill(self, command: Command) -> dict[str, Any]:
        """Rounds until nothing is left to ask, then the inbox."""
        if not self.config["providers.order"]:
            raise UsageError("No provider is configured.", "Name them in providers.order in navdeck.toml.")
        done = await self.fetch_missing(command.arguments)
        while done.left and not done.troubles:
            done = done.and_then(await self.fetch_missing(command.arguments))
        entries, _ = await self._take_inbox(dry_run=False)
        return asdict(done) | {"ingest": {"files": entries, "totals": totals(entries)}}

    async def _provider(self, command: Command) -> dict[str, Any]:
        """Opens or closes a provider; told, and kept over restarts."""
        name = str(command.arguments.get("name"))
        if command.name == "provider_open":
            self.feeds.open(name)
        elif not command.reason.strip():
            raise UsageError("Closing a provider needs a reason.", "Say why with --reason.")
        else:
            self.feeds.shut(name, f"{command.reason.strip()} ({command.actor})")
        self.log("info", command.name, f"{name}: {command.reason or 'by an operator'} ({command.actor})")
        self._tell_providers()
        return {"providers": self.feeds.states()}

    # -- value --

    async def _value(self, command: Command) -> dict[str, Any]:
        from engine.runtime.putting import commit_values

        assert self._writer is not None
        started = self._clock()
        wanted = command.arguments.get("resolution")
        sums = {"buckets": 0, "snapshots": 0, "complete": 0}
        each: dict[str, dict[str, Any]] = {}
        reach = self._clock() if command.arguments.get("until_now") else None
        after, until = (asking.instant(command.arguments, name) for name in ("from", "to"))
        touched = {asset: tuple(span) for asset, span in command.arguments.get("touched", {}).items()}
        for resolution in RESOLUTIONS if wanted is None else (wanted,):
            async with self._turn:
                self.tell("value_started", {"resolution": resolution})
                with self.step("valuation", resolution=resolution):
                    valued = await self._values(resolution, after, until, reach, touched)
                    with span("commit", resolution=resolution, days=len(valued.days)):
                        await commit_values(self._writer, valued)
            each[resolution] = {name: getattr(valued, name) for name in sums}
            sums = {name: total + each[resolution][name] for name, total in sums.items()}
            each[resolution]["restated"] = valued.restated.told()
            each[resolution]["left_out"] = valued.left_out_told()
            self.tell("value_done", {"resolution": resolution, **each[resolution]})
            if valued.restated.count:
                told = f"{valued.restated.count:,} NAVs at {resolution} say otherwise now"
                self.log("warn", "restated", told)
        await self.upkeep.seal()
        seconds = round((self._clock() - started) / SECOND_US, 3)
        return {**sums, "seconds": seconds, "resolutions": each}

    async def _values(self, *wanted: Any) -> "Valued":
        while True:
            try:
                job = str(self.home.path), self._clock(), *wanted, self.batches.closes
                return await self._executor.run(VALUE, *job)
            except WorkerOverLimit as error:
                self._narrower(error)


def _require_files(paths: list[Path]) -> None:
    missing = [str(path) for path in paths if not path.exists() and not path.is_symlink()]
    if missing:
        raise UsageError(f"There is no file {', '.join(missing)}.", "Check the path; nothing was ingested.")


def _claimed(home: Home, names: list[str]) -> list[Source]:
    with writable():
        claims = [claim(home, name) for name in names]
    return [Source(str(one.path), one.name, claimed=True) for one in claims if one is not None]


async def make_home(
    home: Home, base_currency: str, timezone: str, lot_method: str, clock: Callable[[], int] = system_clock
) -> dict[str, Any]:
    """`init`: lays the folders out, writes navdeck.toml and a state.db that remembers what is fixed."""
    from engine.store.writer import Writer

    require_local(home.path)
    config = lay_out(home, base_currency, timezone, lot_method)
    lock = HomeLock(home.lock)
    try:
        writer = await Writer.open(home.state, clock)
        try:
            async with writer.transaction() as (connection, now):
                fixed = [(key, config[key]) for key in FIXED]
                await connection.exec_driver_sql(
                    "INSERT INTO meta(key, value) VALUES (?, ?)", [*fixed, ("made_at", str(now))]
                )
        finally:
            await writer.close()
    finally:
        lock.release()
    home.state.chmod(0o600)
    return {"home": str(home.path), **{key: config[key] for key in FIXED}}
