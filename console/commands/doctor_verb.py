"""`doctor`: the checks with their colours, which are words too; exit code 1 if anything is red."""

import argparse
from typing import Any

from console.cli import EXIT_DONE, EXIT_FAILED
from console.commands.answers import Verb, tell
from console.commands.grid import BAD, GOOD, WARN, Column, Grid, pairs, show, text
from engine import api

SIGNS = {"green": ("✓ green", GOOD), "amber": ("! amber", WARN), "red": ("✗ red", BAD)}
COLUMNS = (
    Column("check"), Column("state"), Column("found", least=24, wraps=True),
    Column("hint", least=16, wraps=True),
)  # fmt: skip


async def _doctor(arguments: argparse.Namespace) -> int:
    document = await api.doctor(api.home_path(arguments.home))
    tell(document, arguments, _table)
    return EXIT_DONE if document["ok"] else EXIT_FAILED


def _table(document: dict[str, Any]) -> None:
    rows = [
        (one["check"], text(*SIGNS[one["state"]]), one["told"], one["hint"]) for one in document["checks"]
    ]
    show(pairs([("home", document["home"])]), text(""), Grid(COLUMNS, rows))


VERBS: dict[str, Verb] = {"doctor": _doctor}
