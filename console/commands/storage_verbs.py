"""The verbs of the lake's upkeep: they ask or command the engine, and print JSON or a table."""

import argparse
from typing import Any

from console.cli import EXIT_DONE, EXIT_FAILED
from console.commands import storage_tables
from console.commands.answers import Document, Verb, asked, opened, tell
from engine import api
from engine.api import Command


async def _compact(arguments: argparse.Namespace) -> int:
    document = await _planned_or_done(arguments, "compact", profile=arguments.profile)
    tell(document, arguments, storage_tables.compacted)
    return EXIT_DONE


async def _retention(arguments: argparse.Namespace) -> int:
    document = await _planned_or_done(arguments, "retention")
    tell(document, arguments, storage_tables.retained)
    return EXIT_FAILED if document["problems"] else EXIT_DONE


async def _planned_or_done(arguments: argparse.Namespace, name: str, **values: Any) -> Document:
    if arguments.dry_run:
        return asked(arguments, f"{name}_plan", **values)
    async with opened(arguments, writing=True, worker=True) as client:
        return (await client.do(Command(name, values, actor=api.actor()))).value


VERBS: dict[str, Verb] = {
    "compact": _compact,
    "retention": _retention,
}
