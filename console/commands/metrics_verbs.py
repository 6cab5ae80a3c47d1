"""`metrics`: asks the engine for returns, or has it measure a file. No figure is made here."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from console.cli import EXIT_DONE
from console.commands import metrics_tables
from console.commands.answers import Document, asked, tell
from engine import api


async def _metrics(arguments: argparse.Namespace) -> int:
    tell(await _measured(arguments), arguments, metrics_tables.metrics)
    return EXIT_DONE


async def _measured(arguments: argparse.Namespace) -> Document:
    wanted = {
        "resolution": arguments.resolution,
        "from": getattr(arguments, "from"),
        "to": arguments.to,
        "points": arguments.points,
    }
    if arguments.series is not None:
        return await asyncio.to_thread(api.series_metrics, Path(arguments.series), wanted)
    return await asked(arguments, "metrics", account=arguments.account, group=arguments.group, **wanted)


VERBS: dict[str, Callable[[argparse.Namespace], Awaitable[int]]] = {"metrics": _metrics}
