"""The verbs of backups: they ask the engine, and print JSON or a table. No file is touched here."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from console.cli import EXIT_DONE, EXIT_FAILED
from console.commands import backup_tables
from console.commands.answers import Document, Done, Verb, tell
from console.text import safe_text
from engine import api
from engine.api import UsageError


async def _create(arguments: argparse.Namespace) -> int:
    document = await _done(arguments, "backup_create")
    tell(document, arguments, backup_tables.created)
    return EXIT_DONE


async def _list(arguments: argparse.Namespace) -> int:
    tell(await _done(arguments, "backups"), arguments, backup_tables.listed)
    return EXIT_DONE


async def _verify(arguments: argparse.Namespace) -> int:
    _either(arguments.id, "--all", arguments.all)
    document = await _done(arguments, "backup_verify", id=arguments.id)
    tell(document, arguments, backup_tables.verified)
    return EXIT_DONE if document["ok"] else EXIT_FAILED


async def _restore(arguments: argparse.Namespace) -> int:
    _either(arguments.id, "--at", arguments.at is not None)
    document = await _done(
        arguments, "backup_restore", id=arguments.id, at=arguments.at, to=_absolute(arguments.to),
        dry_run=arguments.dry_run,
    )  # fmt: skip
    tell(document, arguments, backup_tables.restored)
    return EXIT_DONE if not document["refusals"] else EXIT_FAILED


async def _promote(arguments: argparse.Namespace) -> int:
    document = await _done(arguments, "backup_promote", folder=_absolute(arguments.folder))
    tell(document, arguments, backup_tables.promoted)
    return EXIT_DONE


async def _drill(arguments: argparse.Namespace) -> int:
    document = await _done(arguments, "backup_drill")
    tell(document, arguments, backup_tables.drilled)
    return EXIT_DONE if document["verdict"] == "passed" else EXIT_FAILED


async def _done(arguments: argparse.Namespace, act: str, **values: Any) -> Document:
    folder = getattr(arguments, "from", None)
    values |= {"from": None if folder is None else _absolute(folder)}
    return await api.backup(api.home_path(arguments.home), act, values, _heard(arguments.json))


def _either(name: str | None, option: str, given: bool) -> None:
    """UsageError unless just one of the two says which backup is meant."""
    if (name is not None) == given:
        told = "not both" if given else "one of them"
        raise UsageError(f"Name a backup or give {option}: {told}.", "`navdeck backup list` shows all.")


def _heard(quiet: bool) -> Callable[[str, Document], None]:
    """Steps on stderr, where somebody looks."""

    def hear(kind: str, told: Document) -> None:
        if kind == "backup_step" and not quiet and sys.stderr.isatty():
            print(f"… {safe_text(told['step'])}", file=sys.stderr)

    return hear


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute())


def _backup(arguments: argparse.Namespace) -> Done:
    return ACTS[arguments.act](arguments)


ACTS: dict[str, Verb] = {
    "create": _create,
    "list": _list,
    "verify": _verify,
    "restore": _restore,
    "promote": _promote,
    "drill": _drill,
}
VERBS: dict[str, Verb] = {"backup": _backup}
