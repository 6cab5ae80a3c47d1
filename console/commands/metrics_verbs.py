"""`metrics`: asks the engine for returns, or has it measure a file. No figure is made here."""

import argparse
from pathlib import Path

from console.cli import EXIT_DONE
from console.commands import metrics_tables
from console.commands.answers import Document, Verb, asked, tell
from engine import api


def _metrics(arguments: argparse.Namespace) -> int:
    tell(_measured(arguments), arguments, metrics_tables.metrics)
    return EXIT_DONE


def _measured(arguments: argparse.Namespace) -> Document:
    wanted = {
        "resolution": arguments.resolution,
        "from": getattr(arguments, "from"),
        "to": arguments.to,
        "points": arguments.points,
    }
    if arguments.series is not None:
        return api.series_metrics(Path(arguments.series), wanted)
    return asked(arguments, "metrics", account=arguments.account, group=arguments.group, **wanted)


VERBS: dict[str, Verb] = {"metrics": _metrics}
