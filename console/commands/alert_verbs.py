"""The verbs of alerts: they ask or command the engine, and print JSON or a table."""

import argparse

from console.cli import EXIT_DONE
from console.commands import alert_tables
from console.commands.answers import Done, Verb, asked, opened, tell
from engine import api
from engine.api import Command


def _verb(arguments: argparse.Namespace) -> Done:
    return (_list if arguments.act == "list" else _ack)(arguments)


def _list(arguments: argparse.Namespace) -> int:
    tell(asked(arguments, "alerts", all=arguments.all), arguments, alert_tables.alerts)
    return EXIT_DONE


async def _ack(arguments: argparse.Namespace) -> int:
    command = Command(
        "alert_ack", {"alerts": arguments.alerts}, actor=api.actor(), reason=arguments.reason.strip(),
        dry_run=arguments.dry_run,
    )  # fmt: skip
    async with opened(arguments, writing=True) as client:
        document = (await client.do(command)).value
    tell(document | {"dry_run": arguments.dry_run}, arguments, alert_tables.acknowledged)
    return EXIT_DONE


VERBS: dict[str, Verb] = {"alerts": _verb}
