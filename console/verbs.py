"""What each verb does: ask or command the engine, then print JSON or a table. No figure is made here."""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from console import tables
from console.cli import EXIT_DONE, EXIT_FAILED, EXIT_SOME_BAD, terminal
from console.progress import Progress
from engine import api
from engine.api import Command, EngineClient, Query

DAY_US = 86_400_000_000


async def run(arguments: argparse.Namespace) -> int:
    """Runs the parsed verb; its exit code."""
    return await VERBS[arguments.verb](arguments)


def _print(document: Any, arguments: argparse.Namespace, table: Callable[[Any], None]) -> None:
    """The answer on stdout. A reader who has seen enough (`| head`) changes nothing about what was done."""
    try:
        if arguments.json:
            json.dump(document, sys.stdout, ensure_ascii=True)
            sys.stdout.write("\n")
        else:
            table(document)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


async def _asked(arguments: argparse.Namespace, name: str, **values: Any) -> dict[str, Any]:
    client = await api.connect(api.home_path(arguments.home), writing=False)
    try:
        return (await client.ask(Query(name, values))).value
    finally:
        await client.close()


async def _init(arguments: argparse.Namespace) -> int:
    made = await api.make_home(
        api.home_path(arguments.home), arguments.base_currency, arguments.timezone, arguments.lot_method
    )
    _print(made, arguments, tables.made_home)
    return EXIT_DONE


async def _ingest(arguments: argparse.Namespace) -> int:
    client = await api.connect(api.home_path(arguments.home), writing=not arguments.dry_run, worker=True)
    try:
        document = await _ingested(client, arguments.paths, arguments.dry_run, arguments.json)
    finally:
        await client.close()
    _print(document, arguments, tables.ingested)
    bad = document["totals"]["quarantined"] or document["totals"]["rejected"]
    return EXIT_SOME_BAD if bad else EXIT_DONE


async def _ingested(client: EngineClient, paths: list[str], dry_run: bool, quiet: bool) -> dict[str, Any]:
    with Progress(client, quiet, paths):
        command = Command("ingest", {"paths": _absolute(paths)}, actor=api.actor(), dry_run=dry_run)
        return (await client.do(command)).value


def _absolute(paths: list[str]) -> list[str]:
    return [str(Path(path).absolute()) for path in paths]


async def _value(arguments: argparse.Namespace) -> int:
    client = await api.connect(api.home_path(arguments.home), writing=True, worker=True)
    wanted = _range(arguments) | {"resolution": arguments.resolution}
    try:
        document = await _valued(client, wanted, arguments.json)
    finally:
        await client.close()
    _print(document, arguments, tables.valued)
    return EXIT_DONE


async def _valued(client: EngineClient, values: dict[str, Any], quiet: bool) -> dict[str, Any]:
    with Progress(client, quiet):
        return (await client.do(Command("value", values, actor=api.actor()))).value


def _range(arguments: argparse.Namespace) -> dict[str, Any]:
    return {"from": getattr(arguments, "from"), "to": arguments.to}


async def _nav(arguments: argparse.Namespace) -> int:
    document = await _asked(
        arguments, "nav", resolution=arguments.resolution, account=arguments.account, **_range(arguments)
    )
    _print(document, arguments, tables.nav)
    return EXIT_DONE


async def _lots(arguments: argparse.Namespace) -> int:
    document = await _asked(
        arguments, "lots", method=arguments.method, account=arguments.account, asset=arguments.asset,
        as_of=arguments.as_of,
    )  # fmt: skip
    _print(document, arguments, tables.lots)
    return EXIT_DONE


async def _quarantine(arguments: argparse.Namespace) -> int:
    document = await _asked(arguments, "quarantine")
    _print(document["rows"], arguments, tables.quarantine)
    return EXIT_DONE


async def _verify(arguments: argparse.Namespace) -> int:
    document = await _asked(arguments, "verify")
    _print(document, arguments, tables.verified)
    return EXIT_DONE if document["ok"] else EXIT_FAILED


def _answer(name: str, table: Callable[[Any], None]) -> Callable[[argparse.Namespace], Awaitable[int]]:
    """A verb that asks one question without options."""

    async def verb(arguments: argparse.Namespace) -> int:
        _print(await _asked(arguments, name), arguments, table)
        return EXIT_DONE

    return verb


async def _split(arguments: argparse.Namespace) -> int:
    path = Path(arguments.file)
    folder = Path(arguments.to) if arguments.to else path.parent
    parts = await asyncio.to_thread(api.split_file, path, folder)
    document = {"file": str(path), "parts": [str(part) for part in parts]}
    _print(document, arguments, tables.split)
    return EXIT_DONE


async def _console(arguments: argparse.Namespace) -> int:
    from console import hosted

    home = api.home_path(arguments.home)
    api.require_free(home)
    await hosted.run(lambda: api.host(home), terminal())
    return EXIT_DONE


async def _demo(arguments: argparse.Namespace) -> int:
    folder = Path(arguments.home or tempfile.mkdtemp(prefix="navdeck-demo-"))
    if not arguments.headless and not arguments.json and not terminal().refusal:
        from console import hosted

        await hosted.run(lambda: api.host_demo(folder, arguments.seed), terminal())
        return EXIT_DONE
    await api.make_demo(folder)
    files = await asyncio.to_thread(_lay_demo, folder, arguments.seed)
    client = await api.connect(folder, writing=True, worker=True)
    try:
        ingested = await _ingested(client, [str(path) for path in files], False, arguments.json)
        values = await _valued(client, {}, arguments.json)
        daily = (await client.ask(Query("nav", {"resolution": "1d"}))).value
        hourly = (await client.ask(Query("nav", {"resolution": "1h"}))).value
        lots = (await client.ask(Query("lots"))).value
        digest = (await client.ask(Query("digest"))).value["digest"]
    finally:
        await client.close()
    for path in files:
        path.unlink(missing_ok=True)
    document = {"home": str(folder), "ingest": ingested, "value": values, "nav": daily, "digest": digest}
    _print(document, arguments, lambda told: tables.demo(told, hourly, lots))
    return EXIT_DONE


def _lay_demo(folder: Path, seed: int) -> list[Path]:
    """Puts the demo's files into the new home's inbox."""
    midnight = time.time_ns() // 1000 // DAY_US * DAY_US
    paths = []
    for name, data in api.demo_files(seed, midnight):
        path = folder / "inbox" / name
        path.write_bytes(data)
        paths.append(path)
    return paths


async def _daemon(arguments: argparse.Namespace) -> int:
    await api.run_daemon(api.home_path(arguments.home))
    return EXIT_DONE


VERBS: dict[str, Callable[[argparse.Namespace], Awaitable[int]]] = {
    "console": _console,
    "daemon": _daemon,
    "init": _init,
    "demo": _demo,
    "ingest": _ingest,
    "value": _value,
    "nav": _nav,
    "lots": _lots,
    "quarantine": _quarantine,
    "status": _answer("status", tables.status),
    "digest": _answer("digest", tables.digest),
    "verify": _verify,
    "config": _answer("config", tables.config),
    "split": _split,
}
