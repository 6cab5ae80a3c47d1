"""The verbs that look into lots: `lots`, `what-if`, `report`. They ask; no figure is made here."""

import argparse
import sys
from pathlib import Path

from console.cli import EXIT_DONE
from console.commands import lot_tables, report_files, tables
from console.commands.answers import Verb, asked, out, tell
from console.text import safe_text
from engine.api import UsageError


def _lots(arguments: argparse.Namespace) -> int:
    if arguments.explain is not None:
        _alone(arguments, "--explain", ("method", "account", "asset", "as_of", "at", "resolution"))
        tell(asked(arguments, "lots_explain", tx=arguments.explain), arguments, lot_tables.explained)
        return EXIT_DONE
    which = {name: getattr(arguments, name) for name in ("method", "account", "asset")}
    if arguments.at is not None:
        _alone(arguments, "--at", ("as_of",))
        when = {"at": arguments.at, "resolution": arguments.resolution}
        tell(asked(arguments, "lots_at", **which, **when), arguments, lot_tables.valued)
        return EXIT_DONE
    if arguments.resolution is not None:
        raise UsageError("--resolution says which closes --at is of.", "Name an instant with --at.")
    tell(asked(arguments, "lots", **which, as_of=arguments.as_of), arguments, tables.lots)
    return EXIT_DONE


def _alone(arguments: argparse.Namespace, option: str, others: tuple[str, ...]) -> None:
    """UsageError if an option comes with one that it has no use for."""
    given = [f"--{name.replace('_', '-')}" for name in others if getattr(arguments, name) is not None]
    if given:
        raise UsageError(f"{option} does not go with {given[0]}.", "Leave out the one or the other.")


def _what_if(arguments: argparse.Namespace) -> int:
    names = ("asset", "account", "quantity", "price", "at")
    wanted = {name: getattr(arguments, name) for name in names}
    tell(asked(arguments, "what_if", **wanted), arguments, lot_tables.imagined)
    return EXIT_DONE


def _report(arguments: argparse.Namespace) -> int:
    """A report goes to stdout or into a new file; a file's name is refused before the books are read."""
    form = _format(arguments)
    path = None if arguments.to is None else Path(arguments.to)
    if path is not None and path.exists():
        raise UsageError(f"{path} is there already.", "A report never writes over a file.")
    document = asked(
        arguments, f"report_{arguments.act}", by=arguments.by, year=arguments.year,
        account=arguments.account, asset=arguments.asset,
    )  # fmt: skip
    if path is not None:
        report_files.write_new(path, report_files.WRITERS[form](document))
        told = {"report": document["report"], "rows": len(document["rows"]), "format": form, "to": str(path)}
        tell(told, arguments, lot_tables.written)
    elif form in ("table", "json"):
        arguments.json = arguments.json or form == "json"
        tell(document, arguments, lot_tables.REPORTS[document["report"]])
    else:
        data = report_files.WRITERS[form](document)
        out(lambda: _put(data))
    return EXIT_DONE


def _format(arguments: argparse.Namespace) -> str:
    """What the report is written as. UsageError for a file as a table, and Parquet on standard output."""
    usual = "csv" if arguments.to is not None else "table"
    form = str(arguments.format or usual)
    if arguments.to is not None and form == "table":
        raise UsageError("A table is for people, not for a file.", "Choose --format csv, json or parquet.")
    if arguments.to is None and form == "parquet":
        raise UsageError("Parquet goes into a file.", "Name it with --to.")
    if arguments.to is None and arguments.json and arguments.format not in (None, "json"):
        raise UsageError("--json does not go with another format.", "Leave out the one or the other.")
    return form


def _put(data: bytes) -> None:
    """CSV to stdout: byte for byte into a pipe, but what moves a cursor never reaches a terminal."""
    if sys.stdout.isatty():
        sys.stdout.write(safe_text(data.decode(), keep_lines=True))
    else:
        sys.stdout.buffer.write(data)


VERBS: dict[str, Verb] = {
    "lots": _lots,
    "what-if": _what_if,
    "report": _report,
}
