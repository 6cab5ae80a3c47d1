"""What each verb does: ask or command the engine, then print JSON or a table. No figure is made here."""

import argparse
import time
from collections.abc import Callable, Coroutine
from importlib import import_module
from pathlib import Path
from typing import Any

from console.cli import EXIT_DONE, EXIT_FAILED, EXIT_SOME_BAD, terminal
from console.commands.answers import Done, Verb, asked, drawn, opened, tell
from engine import api
from engine.api import Command, EngineClient, EngineGone, Query

DAY_US = 86_400_000_000


def run(arguments: argparse.Namespace) -> int:
    """Runs the parsed verb; its exit code."""
    done = carried_out(arguments.verb)(arguments)
    return done if isinstance(done, int) else _waited_for(done)


def _waited_for(done: Coroutine[Any, Any, int]) -> int:
    import asyncio  # takes longer to import than `status` to answer

    try:
        return asyncio.run(done)
    except asyncio.CancelledError as error:
        raise RuntimeError("It was cancelled, and nobody asked for that.") from error


def carried_out(verb: str) -> Verb:
    """What carries a verb out; its own module is imported when it is asked for."""
    if verb in VERBS:
        return VERBS[verb]
    module = import_module(f"console.commands.{ELSEWHERE[verb]}")
    found: Verb = module.VERBS[verb]
    return found


async def _init(arguments: argparse.Namespace) -> int:
    made = await api.make_home(
        api.home_path(arguments.home), arguments.base_currency, arguments.timezone, arguments.lot_method
    )
    tell(made, arguments, drawn("tables", "made_home"))
    return EXIT_DONE


async def _ingest(arguments: argparse.Namespace) -> int:
    async with opened(arguments, writing=not arguments.dry_run, worker=True) as client:
        document = await _ingested(client, arguments.paths, arguments.dry_run, arguments.json)
    tell(document, arguments, drawn("ingest_tables", "previewed" if arguments.dry_run else "ingested"))
    bad = document["totals"]["quarantined"] or document["totals"]["rejected"]
    return EXIT_SOME_BAD if bad else EXIT_DONE


async def _ingested(client: EngineClient, paths: list[str], dry_run: bool, quiet: bool) -> dict[str, Any]:
    from console.commands.progress import Progress

    with Progress(client, quiet, paths):
        values = {"paths": _absolute(paths), "wait": True}
        command = Command("ingest", values, actor=api.actor(), dry_run=dry_run)
        return (await client.do(command)).value


def _absolute(paths: list[str]) -> list[str]:
    return [str(Path(path).absolute()) for path in paths]


async def _value(arguments: argparse.Namespace) -> int:
    wanted = _range(arguments) | {"resolution": arguments.resolution}
    async with opened(arguments, writing=True, worker=True) as client:
        document = await _valued(client, wanted, arguments.json)
    tell(document, arguments, drawn("nav_tables", "valued"))
    return EXIT_DONE


async def _valued(client: EngineClient, values: dict[str, Any], quiet: bool) -> dict[str, Any]:
    from console.commands.progress import Progress

    with Progress(client, quiet):
        return (await client.do(Command("value", values, actor=api.actor()))).value


def _range(arguments: argparse.Namespace) -> dict[str, Any]:
    return {"from": getattr(arguments, "from"), "to": arguments.to}


def _nav(arguments: argparse.Namespace) -> int:
    document = asked(
        arguments, "nav", resolution=arguments.resolution, account=arguments.account, **_range(arguments)
    )
    tell(document, arguments, drawn("nav_tables", "nav"))
    return EXIT_DONE


def _check(name: str, table: Callable[[Any], None]) -> Verb:
    """A verb that looks whether all is well."""

    def verb(arguments: argparse.Namespace) -> int:
        document = asked(arguments, name)
        tell(document, arguments, table)
        return EXIT_DONE if document["ok"] else EXIT_FAILED

    return verb


def _answer(name: str, table: Callable[[Any], None]) -> Verb:
    """A verb that asks one question without options."""

    def verb(arguments: argparse.Namespace) -> int:
        tell(asked(arguments, name), arguments, table)
        return EXIT_DONE

    return verb


def _split(arguments: argparse.Namespace) -> int:
    path = Path(arguments.file)
    folder = Path(arguments.to) if arguments.to else path.parent
    parts = api.split_file(path, folder)
    document = {"file": str(path), "parts": [str(part) for part in parts]}
    tell(document, arguments, drawn("tables", "split"))
    return EXIT_DONE


async def _console(arguments: argparse.Namespace) -> int:
    from console import hosted
    from console.commands import offer

    home = api.home_path(arguments.home)
    looks = arguments.read_only
    if await _is_there(home, looks) or await offer.daemon_started(home):
        return await hosted.run(lambda: api.attach(home, read_only=looks), terminal(), attached=True)
    api.require_free(home)
    return await hosted.run(lambda: api.host(home), terminal())


async def _first(arguments: argparse.Namespace) -> int:
    """A home with the choices that were told when it was asked for, and its console."""
    from console.commands import first_run

    await api.make_home(api.home_path(arguments.home), *first_run.CHOICES)
    return await _console(arguments)


async def _is_there(home: Path, read_only: bool) -> bool:
    """Whether an engine answers. One that cannot be attached to is an error before a screen is drawn.

    A console that only looks hosts none.
    """
    try:
        await (await api.attach(home, read_only=read_only)).close()
    except EngineGone:
        if read_only:
            raise
        return False
    return True


async def _demo(arguments: argparse.Namespace) -> int:
    import asyncio
    import tempfile

    from console.commands.demo_story import played

    folder = Path(arguments.home or tempfile.mkdtemp(prefix="navdeck-demo-"))
    if not arguments.headless and not arguments.json and not terminal().refusal:
        from console import hosted

        code = await hosted.run(lambda: api.host_demo(folder, arguments.seed), terminal())
        print(f"The demo's home stays until you remove it: {folder}")
        return code
    await api.make_demo(folder)
    files = await asyncio.to_thread(_lay_demo, folder, arguments.seed)
    arguments.home = str(folder)
    async with opened(arguments, writing=True, worker=True) as client:
        ingested = await _ingested(client, [str(path) for path in files], False, arguments.json)
        values = await _valued(client, {}, arguments.json)
        hourly = (await client.ask(Query("nav", {"resolution": "1h"}))).value
        story = await played(client)
        daily = (await client.ask(Query("nav", {"resolution": "1d"}))).value
        lots = (await client.ask(Query("lots"))).value
        digest = (await client.ask(Query("digest"))).value["digest"]
    for path in files:
        path.unlink(missing_ok=True)
    document = {
        "home": str(folder), "ingest": ingested, "value": values, "story": story, "nav": daily,
        "digest": digest,
    }  # fmt: skip
    tell(document, arguments, lambda told: drawn("demo_tables", "demo")(told, hourly, lots))
    return EXIT_DONE if all(step["done"] for step in story) else EXIT_FAILED


def _lay_demo(folder: Path, seed: int) -> list[Path]:
    """Puts the demo's files into the new home's inbox."""
    midnight = time.time_ns() // 1000 // DAY_US * DAY_US
    paths = []
    for name, data in api.demo_files(seed, midnight):
        path = folder / "inbox" / name
        path.write_bytes(data)
        paths.append(path)
    return paths


def _status(arguments: argparse.Namespace) -> Done:
    if api.may_run(api.home_path(arguments.home)):
        return _status_beside(arguments)
    return _status_with(arguments, None)


async def _status_beside(arguments: argparse.Namespace) -> int:
    return _status_with(arguments, await api.running(api.home_path(arguments.home)))


def _status_with(arguments: argparse.Namespace, engine: dict[str, Any] | None) -> int:
    tell(asked(arguments, "status") | {"engine": engine}, arguments, drawn("tables", "status"))
    return EXIT_DONE


async def _daemon(arguments: argparse.Namespace) -> int:
    await api.run_daemon(api.home_path(arguments.home))
    return EXIT_DONE


VERBS: dict[str, Verb] = {
    "console": _console,
    "first": _first,
    "daemon": _daemon,
    "init": _init,
    "demo": _demo,
    "ingest": _ingest,
    "value": _value,
    "nav": _nav,
    "journal": _check("journal_verify", drawn("record_tables", "journal")),
    "status": _status,
    "digest": _answer("digest", drawn("tables", "digest")),
    "verify": _check("verify", drawn("tables", "verified")),
    "config": _answer("config", drawn("tables", "config")),
    "split": _split,
}
ELSEWHERE = {  # what draws takes longer to import than most answers take
    **dict.fromkeys(("lots", "what-if", "report"), "lot_verbs"),
    **dict.fromkeys(("quarantine", "undo", "decisions", "explain"), "desk_verbs"),
    **dict.fromkeys(("assets", "fx", "prices", "providers", "gaps"), "market_verbs"),
    **dict.fromkeys(("compact", "retention"), "storage_verbs"),
    "metrics": "metrics_verbs",
    "transfers": "transfer_verbs",
    "alerts": "alert_verbs",
    "doctor": "doctor_verb",
    "sql": "sql_verbs",
    "backup": "backup_verbs",
    "telemetry": "telemetry_verbs",
    "service": "service_unit",
}
