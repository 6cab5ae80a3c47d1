"""The verbs of assets and exchange rates: they ask and command; what is allowed the engine says."""

import argparse
from collections.abc import Callable
from typing import Any

from console.cli import EXIT_DONE, EXIT_FAILED
from console.commands import market_tables
from console.commands.answers import Done, Verb, asked, opened, tell
from console.commands.market_arguments import STATUSES
from engine import api
from engine.api import Command, UsageError


def _assets_list(arguments: argparse.Namespace) -> int:
    wanted = {"asset": arguments.asset, "status": arguments.status, "blocking": arguments.blocking}
    tell(asked(arguments, "assets", **wanted), arguments, market_tables.assets)
    return EXIT_DONE


async def _assets_set(arguments: argparse.Namespace) -> int:
    *assets, status = arguments.words
    if not assets or status not in STATUSES:
        raise UsageError("Name the assets, then their status.", "As in `navdeck assets set SCAM excluded`.")
    values = {"assets": assets, "status": status}
    values |= {name: getattr(arguments, name) for name in ("since", "price", "expires")}
    return await _acted(arguments, "asset_set", values, market_tables.status_set)


def _fx_status(arguments: argparse.Namespace) -> int:
    wanted = {
        "pair": arguments.pair,
        "at": arguments.at,
        "from": getattr(arguments, "from"),
        "to": arguments.to,
    }
    tell(asked(arguments, "fx_status", **wanted), arguments, market_tables.fx)
    return EXIT_DONE


async def _fx_use_eod_once(arguments: argparse.Namespace) -> int:
    values = {"pair": arguments.pair, "from": getattr(arguments, "from"), "to": arguments.to}
    return await _acted(arguments, "fx_use_eod_once", values, market_tables.overridden)


def _providers_status(arguments: argparse.Namespace) -> int:
    tell(asked(arguments, "providers"), arguments, market_tables.providers)
    return EXIT_DONE


async def _provider(arguments: argparse.Namespace) -> int:
    name = f"provider_{arguments.act}"
    arguments.dry_run = False
    return await _acted(arguments, name, {"name": arguments.name}, market_tables.providers)


def _prices_check(arguments: argparse.Namespace) -> int:
    span = {"from": getattr(arguments, "from"), "to": arguments.to}
    told = asked(arguments, "prices_check", asset=arguments.asset, **span)
    tell(told, arguments, market_tables.suspicious)
    return EXIT_DONE


async def _gaps(arguments: argparse.Namespace) -> int:
    wanted = {"series": arguments.series, "resolution": arguments.resolution}
    wanted |= {"from": getattr(arguments, "from"), "to": arguments.to}
    if not arguments.fetch:
        tell(asked(arguments, "gaps", **wanted), arguments, market_tables.gaps)
        return EXIT_DONE
    async with opened(arguments, writing=True, worker=True) as client:
        document = (await client.do(Command("backfill", wanted, actor=api.actor()))).value
    tell(document, arguments, market_tables.fetched)
    return EXIT_FAILED if document["troubles"] else EXIT_DONE


async def _acted(
    arguments: argparse.Namespace, name: str, values: dict[str, Any], table: Callable[[Any], None]
) -> int:
    command = Command(
        name, values, actor=api.actor(), reason=arguments.reason.strip(), dry_run=arguments.dry_run
    )
    async with opened(arguments, writing=True) as client:
        document = (await client.do(command)).value
    tell(document | {"dry_run": arguments.dry_run}, arguments, table)
    return EXIT_DONE


ACTS: dict[tuple[str, str], Verb] = {
    ("assets", "list"): _assets_list,
    ("assets", "set"): _assets_set,
    ("fx", "status"): _fx_status,
    ("fx", "use-eod-once"): _fx_use_eod_once,
    ("prices", "check"): _prices_check,
    ("providers", "status"): _providers_status,
    ("providers", "open"): _provider,
    ("providers", "close"): _provider,
}


def _verb(arguments: argparse.Namespace) -> Done:
    return ACTS[arguments.verb, arguments.act](arguments)


VERBS = dict.fromkeys((verb for verb, _ in ACTS), _verb) | {"gaps": _gaps}
