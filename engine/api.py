"""The narrow door: all that the console, or anyone else, may use of the engine.

`connect` gives an EngineClient; commands and queries go in, results and events come out. What stands
behind the client (this process, or a daemon elsewhere) makes no difference to who uses it.
"""

import getpass
import importlib
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from engine.domain.expressions import matching
from engine.domain.resolutions import RESOLUTIONS
from engine.errors import ConfigInvalid, EngineError, EngineGone, HomeInUse, HomeMissing, UsageError
from engine.messages import RESYNC, Command, Event, Query, Result
from engine.version import VERSION

if TYPE_CHECKING:
    from engine.link.inprocess import Server
    from engine.runtime.demo_host import DemoHost
    from engine.runtime.host import Host

__all__ = [
    "RESOLUTIONS",
    "RESYNC",
    "VERSION",
    "Command",
    "ConfigInvalid",
    "EngineClient",
    "EngineError",
    "EngineGone",
    "Event",
    "HomeInUse",
    "HomeMissing",
    "Query",
    "Result",
    "UsageError",
    "actor",
    "ask",
    "ask_alone",
    "attach",
    "backup",
    "connect",
    "crash_text",
    "demo_files",
    "doctor",
    "home_path",
    "host",
    "host_demo",
    "make_demo",
    "make_home",
    "matching",
    "may_run",
    "on_signals",
    "require_free",
    "run_daemon",
    "running",
    "series_metrics",
    "split_file",
    "sql_parquet",
    "strike",
    "threads_told",
]


class EngineClient(Protocol):
    """What a console speaks to."""

    async def do(self, command: Command) -> Result:
        """Carries a command out; EngineError if it cannot."""

    async def ask(self, query: Query) -> Result:
        """Answers a query; EngineError if it cannot."""

    def subscribe(self, listener: Callable[[Event], None]) -> None:
        """Calls `listener` for every event from now on, on the event loop."""

    async def close(self) -> None:
        """Ends the connection, and the engine if this process hosts it."""


def crash_text(error: BaseException) -> str:
    """What nobody caught, as lines fit for a terminal: no secret, no control character, no local's value."""
    from engine.runtime.telemetry import crash

    return crash.crash_text(error)


def strike(text: str) -> str:
    """A text without the secrets that this process can see."""
    from engine.runtime.telemetry.redact import Redactor

    return Redactor().text(text)


def threads_told() -> AbstractContextManager[None]:
    """Meanwhile what ends a thread, or a library says where nobody listens, is told as data too."""
    from engine.runtime.telemetry import crash

    return crash.threads_told()


def home_path(path: str | None) -> Path:
    """The home meant: `path`, else NAVDECK_HOME, else the platform's user data folder."""
    chosen = path or os.environ.get("NAVDECK_HOME") or _usual_home()
    return Path(chosen).expanduser().absolute()


def _usual_home() -> str:
    from platformdirs import user_data_dir

    return user_data_dir("navdeck")


def actor() -> str:
    """Who acts: the user of this session, as decisions record it."""
    return os.environ.get("SUDO_USER") or getpass.getuser()


def ask(home: Path, query: Query) -> Result:
    """The answer to one question, made here and now: to open an engine takes longer than most answers.

    HomeMissing, ConfigInvalid, or what the question raises.
    """
    from engine.runtime.tasks import question

    return Result(question(query.name)(*_asked(home, query)))


async def ask_alone(home: Path, query: Query) -> Result:
    """As `ask`, in a process of its own, which ends with whoever waits: for what may not write, as `sql`."""
    from engine.runtime.executors import AloneExecutor
    from engine.runtime.tasks import question

    return Result(await AloneExecutor().run(question(query.name), *_asked(home, query)))


def _asked(home: Path, query: Query) -> tuple[str, int, dict[str, Any]]:
    from engine.runtime.clock import system_clock
    from engine.runtime.home import Home

    Home(home).require()
    Home(home).config()
    return str(home), system_clock(), query.arguments


async def connect(home: Path, *, writing: bool, worker: bool = False) -> EngineClient:
    """A client of the home's engine, hosted here. HomeMissing, HomeInUse or ConfigInvalid if it cannot be.

    `worker`: heavy work runs in a warm process of its own, so that this one stays smooth.
    """
    from engine.link.inprocess import InProcessClient
    from engine.runtime.clock import system_clock
    from engine.runtime.engine import Engine
    from engine.runtime.executors import Executor, ThreadExecutor, WorkerExecutor
    from engine.runtime.home import Home
    from engine.runtime.memory import worker_limit

    Home(home).require()
    config = Home(home).config()
    executor: Executor = WorkerExecutor(worker_limit(config)) if worker else ThreadExecutor()
    telemetry = None
    if writing:
        from engine.runtime.telemetry.room import OneAct

        telemetry = OneAct(home / "logs", config, system_clock)
    try:
        return InProcessClient(
            await Engine.open(Home(home), executor, writing=writing, telemetry=telemetry)
        )
    except BaseException:
        executor.close()
        raise


async def attach(home: Path, *, read_only: bool = False) -> EngineClient:
    """A client of the engine that runs on the home in another process.

    EngineGone if none answers, VersionSkew if it is another navdeck's. `read_only`: it may only look.
    """
    from engine.link.client import SocketClient

    return await SocketClient.open(home / "run", read_only=read_only)


def may_run(home: Path) -> bool:
    """Whether an engine may answer for the home: if not, `running` need not be asked."""
    return any((home / "run").glob("*.sock"))


async def running(home: Path) -> dict[str, Any] | None:
    """Who answers for the home's engine: `pid` and `version`; None if nobody does."""
    from engine.link.client import who_answers

    return await who_answers(home / "run")


async def doctor(home: Path) -> dict[str, Any]:
    """`doctor --json`: checks of everything around the books, on a home in any state."""
    import asyncio

    from engine.runtime.doctor import doctor as examine

    return await asyncio.to_thread(examine, str(home), await running(home))


async def _served(host: "Host | DemoHost", home: Path) -> "Server":
    """The host with its socket. One that can have none works all the same, and says so."""
    from engine.link.server import Served, SocketServer

    try:
        return Served(host, await SocketServer.open(host, home / "run"))
    except OSError as error:
        host.log("bad", "no_socket", f"nobody can attach: {error.strerror or error}")
        return host
    except BaseException:
        await host.close()
        raise


async def _imported(module: str) -> None:
    """Imports what is heavy, and never on the event loop."""
    import asyncio

    await asyncio.to_thread(importlib.import_module, module)


async def host(home: Path) -> EngineClient:
    """A client of an engine that works by itself, hosted here until it is closed; others may attach."""
    await _imported("engine.runtime.host")
    from engine.link.inprocess import InProcessClient
    from engine.runtime.home import Home
    from engine.runtime.host import Host

    Home(home).require()
    return InProcessClient(await _served(await Host.open(Home(home)), home))


async def host_demo(home: Path, seed: int) -> EngineClient:
    """As `host`, on a new home of made-up trading that goes on under a faster clock."""
    await _imported("engine.runtime.demo_host")
    from engine.link.inprocess import InProcessClient
    from engine.runtime.demo_host import DemoHost

    return InProcessClient(await _served(await DemoHost.open(home, seed), home))


def require_free(home: Path) -> None:
    """HomeInUse if another engine works on the home, HomeMissing if there is none."""
    from engine.runtime.home import Home
    from engine.store.files import HomeLock

    Home(home).require()
    HomeLock(Home(home).lock).release()


async def run_daemon(home: Path) -> None:
    """Works on the home by itself in the foreground until a signal ends it. HomeInUse if another does."""
    from engine.runtime.daemon import run_daemon as run
    from engine.runtime.home import Home

    Home(home).require()
    await run(home, lambda host: _served(host, home))


def on_signals(stop: Callable[[int], None]) -> None:
    """Calls `stop` with the number of the first TERM, INT or HUP; a second TERM ends the process at once."""
    from engine.runtime.signals import on_signals as install

    install(stop)


async def make_demo(home: Path) -> None:
    """Makes the demo's home, with its sources and its peg in the settings."""
    from engine.runtime.demo_host import make_demo_home

    await make_demo_home(home)


async def make_home(home: Path, base_currency: str, timezone: str, lot_method: str) -> dict[str, Any]:
    """Makes a new home. UsageError where one stands, ConfigInvalid for settings that make no sense."""
    from engine.runtime.engine import make_home as make
    from engine.runtime.home import Home

    return await make(Home(home), base_currency, timezone, lot_method)


def split_file(path: Path, folder: Path) -> list[Path]:
    """Cuts a CSV that is too large into files in `folder` that are not. UsageError if it cannot be cut."""
    from engine.runtime.split import split_file as split

    return split(path, folder)


def series_metrics(path: Path, arguments: dict[str, Any]) -> dict[str, Any]:
    """Metrics over a JSON file of valuations and flows, without a home. UsageError if it makes no sense."""
    from engine.runtime.series_file import series_metrics as measure

    return measure(path, arguments)


async def sql_parquet(home: Path, arguments: dict[str, Any]) -> dict[str, Any]:
    """The answer to a SELECT as the bytes of a Parquet file, under `data`, with its number of rows."""
    from engine.runtime.clock import system_clock
    from engine.runtime.sql import as_parquet

    return await as_parquet(home, system_clock(), arguments)


async def backup(
    home: Path, act: str, arguments: dict[str, Any], hear: Callable[[str, dict[str, Any]], None]
) -> dict[str, Any]:
    """Does something with a home's backups, beside an engine or without one; `hear` is told of each step.

    Acts: backup_create, backup_verify, backup_restore, backup_promote, backup_drill, backups.
    """
    import asyncio

    from engine.runtime import backups
    from engine.runtime.clock import system_clock
    from engine.runtime.executors import ThreadExecutor

    executor = ThreadExecutor()
    executor.listen(hear)
    try:
        return await executor.run(backups.run, act, str(home), system_clock(), arguments)
    except asyncio.CancelledError:
        await asyncio.to_thread(backups.cancel, str(home))
        raise
    finally:
        executor.close()


def demo_files(seed: int, end_us: int) -> list[tuple[str, bytes]]:
    """The demo's files, (name, content), in the order in which they arrive."""
    from engine.runtime.demo import demo_files as make

    return make(seed, end_us)
