"""The verbs of transfers: list, match, settle. What may be matched or settled is the engine's to say."""

import argparse
from typing import Any

from console.cli import EXIT_DONE
from console.commands import transfer_tables
from console.commands.answers import Done, Verb, asked, opened, tell
from console.commands.grid import ROWS_SHOWN
from engine import api
from engine.api import Command

Document = dict[str, Any]
ALL = 2**53 - 1  # rows of a document that nobody cut


def _list(arguments: argparse.Namespace) -> int:
    limit = arguments.limit
    if limit is None:
        limit = ALL if arguments.json else ROWS_SHOWN
    found = asked(
        arguments, "transfers", asset=arguments.asset, account=arguments.account, state=arguments.state,
        limit=limit, offset=arguments.offset,
    )  # fmt: skip
    tell(found, arguments, transfer_tables.listed)
    return EXIT_DONE


async def _match(arguments: argparse.Namespace) -> int:
    done = await _acted(arguments, "transfer_match", {"out": arguments.out, "in": arguments.into})
    tell(done, arguments, lambda told: transfer_tables.matched(told, arguments.dry_run))
    return EXIT_DONE


async def _settle(arguments: argparse.Namespace) -> int:
    asked_for = {
        "ids": arguments.ids or None, "residuals_below": arguments.below, "asset": arguments.asset,
        "as": arguments.kind, "value": arguments.value,
    }  # fmt: skip
    done = await _acted(arguments, "transfer_settle", asked_for)
    tell(done, arguments, lambda told: transfer_tables.settled(told, arguments.dry_run))
    return EXIT_DONE


async def _acted(arguments: argparse.Namespace, name: str, asked_for: Document) -> Document:
    async with opened(arguments, writing=True) as client:
        command = Command(name, asked_for, api.actor(), arguments.reason.strip(), arguments.dry_run)
        return (await client.do(command)).value


def _transfers(arguments: argparse.Namespace) -> Done:
    return ACTS[arguments.act](arguments)


ACTS: dict[str, Verb] = {
    "list": _list,
    "match": _match,
    "settle": _settle,
}
VERBS: dict[str, Verb] = {"transfers": _transfers}
