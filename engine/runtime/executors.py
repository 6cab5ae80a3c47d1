"""Where heavy work runs. A task is a module-level function of plain values that returns plain values.

Tasks carry paths, never open handles, so that another process (or machine) can run them. While it works a
task may `report` how far it is; whoever listens to its executor hears of it on the event loop.
"""

import asyncio
import contextlib
import multiprocessing
import os
import resource
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any, Protocol, TypeVar

from engine.errors import WorkerLost, WorkerOverLimit
from engine.runtime.telemetry import spans
from engine.runtime.telemetry.crash import stderr_as_data

T = TypeVar("T")
Listener = Callable[[str, dict[str, Any]], None]
ORPHAN_CHECK_S = 1.0  # how long a worker may outlive an engine that was killed
# Read when a process starts. Each transaction has threads of its own; without these their memory is kept.
# What polars frees it may soon want again: it is given back after a moment, by a thread of the allocator's.
ALLOCATORS = {
    "MALLOC_ARENA_MAX": "1",
    "_RJEM_MALLOC_CONF": "background_thread:true,dirty_decay_ms:100,muzzy_decay_ms:0,narenas:1",
}
WORKER_NICENESS = 5  # whoever looks at the console goes first
LIMIT_CHECK_S = 0.05  # how long a worker may be over its limit; a look costs some 20 us
OVER_LIMIT = "worker_over_limit"
WORK_S = 0.02  # of processor time before a rest
RESTS_FOR_WORK = 3  # how much longer a rest is than the work before it
REST_MAX_S = 2.0
SPAN = "span"  # the kind under which a task's steps are reported as they end

_say: Callable[[str, dict[str, Any]], None] | None = None  # set where tasks run


REPORT_EVERY_S = 0.1  # between two words of one task on how far it is


def report(kind: str, told: dict[str, Any]) -> None:
    """From within a task, any of its threads: tells the executor's listener how far it is."""
    if _say is not None:
        _say(kind, told)


class Executor(Protocol):
    """Runs one task at a time, off the event loop."""

    def listen(self, listener: Listener) -> None:
        """Who hears what tasks report."""

    async def run(self, task: Callable[..., T], *arguments: object) -> T:
        """What the task returns; what it raises is raised. WorkerLost if its process ended under it."""

    def close(self) -> None: ...

    def kill(self) -> None:
        """Ends what it does in the middle, where that can be done."""


class ThreadExecutor:
    """In this process: for one-off verbs, where a worker's start would cost more than the work."""

    def listen(self, listener: Listener) -> None:
        global _say
        loop = asyncio.get_running_loop()

        def say(kind: str, told: dict[str, Any]) -> None:
            loop.call_soon_threadsafe(listener, kind, told)

        _say = say

    async def run(self, task: Callable[..., T], *arguments: object) -> T:
        return await asyncio.to_thread(task, *arguments)

    def close(self) -> None:
        """Nothing is heard any more."""
        global _say
        _say = None

    def kill(self) -> None:
        """A thread cannot be ended: its task is waited for."""


class WorkerExecutor:
    """One spawned worker process, started by its first task; polars leaves one core to whoever looks.

    `limit_bytes`: what it may have resident; one that has more ends itself, and its task is WorkerOverLimit.
    0: no limit. Address space is no measure here: allocators and DuckDB reserve far more than they touch, and
    a failed allocation would end polars in the middle of a word.
    """

    def __init__(self, limit_bytes: int = 0) -> None:
        self._limit_bytes = limit_bytes
        self._over: tuple[ProcessPoolExecutor, dict[str, Any]] | None = None
        self._listener: Listener | None = None
        self._heard_on: asyncio.AbstractEventLoop | None = None
        self._pool = self._started()
        self._broken: ProcessPoolExecutor | None = None

    def _started(self) -> ProcessPoolExecutor:
        """A pool whose process starts with its first task, and a pipe of that process alone."""
        self._hearing, self._saying = multiprocessing.get_context("spawn").Pipe(duplex=False)
        self._hear_on_loop()
        for name, value in ALLOCATORS.items():
            os.environ.setdefault(name, value)
        threads = max(1, (os.cpu_count() or 2) - 1)
        return ProcessPoolExecutor(
            max_workers=1,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_warm,
            initargs=(threads, os.getpid(), self._saying, self._limit_bytes),
        )

    def listen(self, listener: Listener) -> None:
        self._listener = listener
        self._heard_on = asyncio.get_running_loop()
        self._hear_on_loop()

    def _hear_on_loop(self) -> None:
        if self._heard_on is not None:
            self._heard_on.add_reader(self._hearing.fileno(), self._hear)

    async def run(self, task: Callable[..., T], *arguments: object) -> T:
        pool = self._pool
        try:
            at = spans.passed()
            work = asyncio.get_running_loop().run_in_executor(pool, _traced, at, task, *arguments)
            self._saying.close()  # the process has it now; where that ends, so does a word of it
            return await work
        except BrokenProcessPool as error:
            if pool is self._pool:
                self._hear()
                self._hang_up()
                self._broken = pool  # freed while it still ends, it would wait for itself for ever
                self._pool = self._started()
            raise self._lost(pool) from error
        finally:
            self._hear()  # all that the task reported is heard before its result

    def _lost(self, pool: ProcessPoolExecutor) -> WorkerLost:
        if self._over is None or self._over[0] is not pool:
            return WorkerLost("The worker process ended in the middle of its work.")
        had, may = (self._over[1][name] for name in ("rss_bytes", "limit_bytes"))
        return WorkerOverLimit(f"The worker process had {had:,} bytes in memory; it may have {may:,}.")

    def _hear(self) -> None:
        while not self._hearing.closed and self._hearing.poll():
            try:
                said = self._hearing.recv()
            except (EOFError, OSError):  # the process has ended, whatever it was about to say
                self._hang_up()
                return
            self._take(*said)

    def _take(self, kind: str, told: dict[str, Any], at: tuple[str, str] | None) -> None:
        if kind == OVER_LIMIT:
            self._over = self._pool, told
        elif self._listener is not None:
            with spans.within(at):
                self._listener(kind, told)

    def _hang_up(self) -> None:
        if self._hearing.closed:
            return
        if self._heard_on is not None and not self._heard_on.is_closed():
            self._heard_on.remove_reader(self._hearing.fileno())
        self._hearing.close()
        self._saying.close()

    async def end(self) -> None:
        """As `close`, where the loop has more to do than to wait until the process has gone."""
        self._hang_up()
        await asyncio.to_thread(self.close)

    def close(self) -> None:
        self._hang_up()
        self._pool.shutdown(cancel_futures=True)
        if self._broken is not None:
            self._broken.shutdown()

    def kill(self) -> None:
        """Ends the worker in the middle of what it does; its tasks fail, and nothing of them is committed."""
        # A pool knows its processes under no public name before Python 3.14.
        for process in list((self._pool._processes or {}).values()):
            process.kill()


class AloneExecutor:
    """A fresh process for each task, which may `forbid_writes`; killed if whoever waits is cancelled."""

    def listen(self, listener: Listener) -> None:
        """A task that is alone reports nothing."""

    async def run(self, task: Callable[..., T], *arguments: object) -> T:
        context = multiprocessing.get_context("spawn")
        hearing, saying = context.Pipe(duplex=False)
        process = context.Process(target=_alone, args=(saying, os.getpid(), task, arguments), daemon=True)
        _start_deaf(process)
        saying.close()
        heard = asyncio.get_running_loop().run_in_executor(None, _heard, hearing)
        try:
            outcome = await asyncio.shield(heard)
        finally:
            process.kill()
            await asyncio.wait([heard])
            process.join()
            process.close()
            hearing.close()
        if isinstance(outcome, BaseException):
            raise outcome
        result: T = outcome
        return result

    def close(self) -> None:
        """Nothing stays between two tasks."""

    def kill(self) -> None:
        """Whoever waits for a task is cancelled instead."""


def _start_deaf(process: SpawnProcess) -> None:
    """A child keeps the mask it starts with: a terminal's ctrl+c is for the engine, which ends the child."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _heard(hearing: Connection) -> Any:
    """What the task returned or raised."""
    try:
        return hearing.recv()
    except EOFError:
        return WorkerLost("The process that answered ended in the middle of its work.")


_is_lasting = False  # whether this process was started to run one task after the other
_is_alone = False


def _alone(saying: Connection, parent: int, task: Callable[..., Any], arguments: tuple[object, ...]) -> None:
    global _is_alone
    _is_alone = True
    stderr_as_data()
    os.nice(WORKER_NICENESS)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    try:
        outcome = task(*arguments)
    except Exception as error:
        outcome = error
    saying.send(outcome)
    saying.close()
    os._exit(0)  # threads of libraries have nothing left to say


def forbid_writes() -> None:
    """From here on this process can put no byte into any file. Only for a task that is alone."""
    if not _is_alone:
        raise RuntimeError("Others work in this process.")
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write fails instead of ending the process
    for kind in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
        resource.setrlimit(kind, (0, 0))


def idle() -> None:
    """From here on this process takes only what nobody else wants of cores and disks. Only for one alone."""
    if not _is_alone:
        raise RuntimeError("Others work in this process.")
    import psutil

    stand_back()
    with contextlib.suppress(OSError):  # not every system and container has it
        psutil.Process().ionice(psutil.IOPRIO_CLASS_IDLE)


def stand_back() -> None:
    """This thread, and those that it starts, take only the processor time that nobody else wants.

    Where the system knows no such class, they are as nice as can be: a busy machine then feels them a little.
    """
    os.nice(19)
    if hasattr(os, "SCHED_IDLE"):
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


@contextmanager
def giving_way(wanted: Callable[[], bool]) -> Iterator[None]:
    """Meanwhile this process rests after each bit of work, while `wanted` says that others need the machine.

    A second busy core slows the first one, however little it insists. A signal comes after so much processor
    time, so that work in libraries rests as well, once they return. Only a process's main thread gets
    signals; a task elsewhere works on.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    since = time.monotonic()

    def rest(_number: int, _frame: object) -> None:
        nonlocal since
        if wanted():
            time.sleep(min(RESTS_FOR_WORK * (time.monotonic() - since), REST_MAX_S))
        since = time.monotonic()
        signal.setitimer(signal.ITIMER_PROF, WORK_S)  # once each time: a rest is not cut short by the next

    signal.signal(signal.SIGPROF, rest)
    signal.siginterrupt(signal.SIGPROF, False)
    signal.setitimer(signal.ITIMER_PROF, WORK_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, signal.SIG_IGN)  # one on its way still would end the process


def is_lasting() -> bool:
    """Whether this process answers again and again, so that what it keeps may be of use."""
    return _is_lasting


def _warm(threads: int, parent: int, saying: Connection, limit_bytes: int) -> None:
    global _say, _is_lasting
    _is_lasting = True
    stderr_as_data()
    # A terminal sends its signals to the whole group; the engine decides when its worker ends.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.nice(WORKER_NICENESS)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    turn = threading.Lock()

    def say(kind: str, told: dict[str, Any]) -> None:
        with turn:
            saying.send((kind, told, spans.passed()))

    _say = say
    if limit_bytes:
        threading.Thread(target=_end_over, args=(limit_bytes,), daemon=True).start()
    os.environ.setdefault("POLARS_MAX_THREADS", str(threads))  # read once, when a task imports polars


def _traced[R](at: tuple[str, str] | None, task: Callable[..., R], *arguments: object) -> R:
    """A task in its worker, as part of the piece of work that asked for it."""
    with spans.within(at, lambda ended: report(SPAN, ended)):
        return task(*arguments)


def _end_over(limit_bytes: int) -> None:
    """Ends this worker when it has more in memory than it may; before the system chooses whom to end."""
    page = os.sysconf("SC_PAGE_SIZE")
    with open("/proc/self/statm", "rb", buffering=0) as told:
        while (rss := int(told.read().split()[1]) * page) <= limit_bytes:
            time.sleep(LIMIT_CHECK_S)
            told.seek(0)
    report(OVER_LIMIT, {"rss_bytes": rss, "limit_bytes": limit_bytes})
    os._exit(1)


def _end_with(parent: int) -> None:
    """Ends this worker once the engine that started it is gone, however it went."""
    while os.getppid() == parent:
        time.sleep(ORPHAN_CHECK_S)
    os._exit(1)
