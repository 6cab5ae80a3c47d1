"""The engine of one home: it takes commands, answers queries and tells events.

With `writing` it holds the home's lock and the one writer; without, it only reads, beside whoever writes.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from engine.config import FIXED, Config
from engine.domain.instants import SECOND_US
from engine.domain.resolutions import COARSEST_FIRST
from engine.errors import UsageError, WorkerOverLimit
from engine.messages import Command, Query, Result
from engine.runtime import asking
from engine.runtime.alerts.book import AlertBook
from engine.runtime.alerts.courier import owed_bits
from engine.runtime.alerts.readings import folder_facts, readings, rules_of
from engine.runtime.clock import system_clock
from engine.runtime.executors import AloneExecutor, Executor, WorkerExecutor
from engine.runtime.fetching import Fetching
from engine.runtime.home import Home, lay_out
from engine.runtime.intake import Intake
from engine.runtime.memory import Watch, give_back
from engine.runtime.tasks import ACTS, ALONE, BACKUPS, CANCEL_BACKUP, RECOVER, RUN_BACKUP, VALUE, question
from engine.runtime.telemetry.spans import Silent, Telemetry, span
from engine.runtime.telling import Telling
from engine.store.file_system import require_local
from engine.store.files import FILE_MODE, HomeLock, sweep

if TYPE_CHECKING:
    from engine.runtime.valued import Valued
    from engine.store.writer import Writer

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


class Engine(Telling):
    """Commands in, results out, events to all listeners. Close it when done."""

    def __init__(
        self, home: Home, config: Config, executor: Executor, clock: Callable[[], int],
        lock: HomeLock | None = None, writer: "Writer | None" = None,
        acting: Executor | None = None, asking: Executor | None = None, telemetry: Telemetry | None = None,
    ) -> None:  # fmt: skip
        super().__init__(clock, telemetry or Silent())
        self.home = home
        self.config = config
        self._executor = executor
        self._acting = acting or executor
        self._asking = asking or executor
        self._lock = lock
        self._writer = writer
        self._turn = asyncio.Lock()  # one act at a time: a file, or a resolution
        self._backups: set[WorkerExecutor] = set()  # jobs with backups at work, each in a worker of its own
        self._valuing = 0  # how often it is asked for now: one is at work, the others wait for the turn
        self.alerts_watched = False  # by a host; otherwise alerts are looked at before an act on them
        self.adds_buckets = False  # under a host: the series goes on to now, with or without prices
        self.memory = Watch(config)
        self.intake = Intake(home, config, executor, writer, self._turn, self, self.memory)
        self.fetching = Fetching(home, config, executor, self, self.intake)
        self._commands = {
            "ingest": self.intake.ingest, "value": self._value, "backfill": self.fetching.backfill,
            "provider_open": self.fetching.open_or_shut, "provider_close": self.fetching.open_or_shut,
        } | dict.fromkeys(ACTS, self._act) | dict.fromkeys((*BACKUPS, CANCEL_JOB), self._backup)  # fmt: skip
        if writer is not None:
            from engine.runtime.upkeep import Upkeep

            self.upkeep = Upkeep(
                home, config, executor, writer, self._turn, clock, self.log, self.tell, self.memory
            )
            self.alerts = AlertBook(home.state, writer, self.tell, self.log)
            self._commands["alert_ack"], self._commands["sample"] = self._acknowledge, self._sample
            self._commands |= {"compact": self.upkeep.compact, "retention": self.upkeep.retain}
            self._commands["lake_cancel"] = self.upkeep.cancel
            self._commands["value_cancel"] = self._cancel_value
        for one in {executor, self._acting, self._asking}:
            one.listen(self.reported)

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
        await self.fetching.close()
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
        self.memory.reconfigure(config)
        self.intake.reconfigure(config)
        if self._writer is not None:
            self.upkeep.reconfigure(config)

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
        answer = question(query.name)
        executor = AloneExecutor() if query.name in ALONE else self._asking
        return Result(await executor.run(answer, str(self.home.path), self._clock(), query.arguments))

    # -- memory --

    async def give_back(self) -> None:
        """Memory that nothing uses, of this process and of workers that do nothing, goes to the system."""
        await asyncio.to_thread(give_back)
        if not self._turn.locked():
            await self._executor.run(give_back)

    async def _sample(self, command: Command) -> dict[str, Any]:
        """Puts made-up files into the inbox of a home that has taken none; they wait there like any."""
        place = str(self.home.path), self.config["timezone"], self._clock()
        return {"files": await asyncio.to_thread(_put_sample, *place)}

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
        worker.listen(self.reported)
        self._backups.add(worker)
        ok = False
        try:
            done: dict[str, Any] = await worker.run(*job)
            ok = True
            return done
        finally:
            self._backups.discard(worker)
            await worker.end()
            self.tell("backup_done", {"name": command.name, "ok": ok})

    async def end_backups(self) -> None:
        """Asks a job with backups that this engine has at work to end before its next step."""
        if self._backups:
            await asyncio.to_thread(CANCEL_BACKUP, str(self.home.path))

    def kill(self) -> None:
        """Ends all that workers are at, in the middle; nothing of it is committed or listed."""
        for worker in (self._executor, self._acting, *self._backups):
            worker.kill()

    # -- value --

    async def _value(self, command: Command) -> dict[str, Any]:
        if not self._valuing:
            self.home.value_cancel.unlink(missing_ok=True)
        self._valuing += 1
        try:
            return await self._valued(command)
        finally:
            self._valuing -= 1

    async def _cancel_value(self, command: Command) -> dict[str, Any]:
        """Lets the slice that valuing is at be its last, and none begin of what waits for its turn."""
        if self._valuing:
            self.home.value_cancel.touch(FILE_MODE)
        return {}

    async def _valued(self, command: Command) -> dict[str, Any]:
        from engine.runtime.putting import commit_values

        assert self._writer is not None
        started = self._clock()
        wanted = command.arguments.get("resolution")
        sums = {"buckets": 0, "snapshots": 0, "complete": 0}
        each: dict[str, dict[str, Any]] = {}
        after, until = (asking.instant(command.arguments, name) for name in ("from", "to"))
        whole = after is None and until is None
        until_now = command.arguments.get("until_now") or (whole and self.adds_buckets)
        reach = self._clock() if until_now else None
        touched = {asset: tuple(span) for asset, span in command.arguments.get("touched", {}).items()}
        for resolution in COARSEST_FIRST if wanted is None else (wanted,):
            async with self._turn:
                self.tell("value_started", {"resolution": resolution})
                with self._told_if_it_fails(resolution), self.step("valuation", resolution=resolution):
                    valued = await self._values(resolution, after, until, reach, touched)
                    if not (until_now or whole):  # a part says nothing of the rest
                        valued.follows_from = None
                    with span("commit", resolution=resolution, days=len(valued.days)):
                        await commit_values(self._writer, valued)
            each[resolution] = {name: getattr(valued, name) for name in sums}
            sums = {name: total + each[resolution][name] for name, total in sums.items()}
            each[resolution]["restated"] = valued.restated.told()
            each[resolution]["left_out"] = valued.left_out_told()
            self.tell("value_done", {"resolution": resolution, **each[resolution]})
            if valued.restated.count:
                told = "1 NAV" if valued.restated.count == 1 else f"{valued.restated.count:,} NAVs"
                self.log("warn", "restated", f"{told} at {resolution} restated")
        await self.upkeep.seal()
        seconds = round((self._clock() - started) / SECOND_US, 3)
        return {**sums, "seconds": seconds, "resolutions": each, "unvalued": valued.unvalued}

    @contextmanager
    def _told_if_it_fails(self, resolution: str) -> Iterator[None]:
        """Nobody is to go on showing that it is at work."""
        try:
            yield
        except BaseException:
            self.tell("value_failed", {"resolution": resolution})
            raise

    async def _values(self, *wanted: Any) -> "Valued":
        while True:
            try:
                job = str(self.home.path), self._clock(), *wanted, self.memory.batches.closes
                return await self._executor.run(VALUE, *job)
            except WorkerOverLimit as error:
                self.log("warn", "worker_over_limit", self.memory.narrower(error))


def _put_sample(home_path: str, zone: str, now: int) -> list[str]:
    from engine.runtime.sample import put_sample

    return put_sample(home_path, zone, now)


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
