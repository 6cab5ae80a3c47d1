"""The verb `sql`: it asks one SELECT and prints rows, or puts them into a new Parquet file."""

import argparse
import sys
from pathlib import Path
from typing import Any

from console.cli import EXIT_DONE
from console.commands import sql_tables
from console.commands.answers import Verb, tell
from console.commands.report_files import write_new
from engine import api
from engine.api import Query, UsageError


async def _sql(arguments: argparse.Namespace) -> int:
    wanted = {"query": arguments.query, "limit": arguments.limit, "timeout_s": arguments.timeout}
    if arguments.parquet is not None:
        return await _parquet(arguments, wanted)
    if not arguments.json and arguments.limit is None:
        wanted["limit"] = sql_tables.ROWS_SHOWN
    document = (await api.ask_alone(api.home_path(arguments.home), Query("sql", wanted))).value
    if arguments.json:
        _warn_of_more(document)
    tell(_as_objects(document) if arguments.json else document, arguments, sql_tables.rows)
    return EXIT_DONE


def _as_objects(document: dict[str, Any]) -> list[dict[str, Any]]:
    names = [column["name"] for column in document["columns"]]
    return [dict(zip(names, row, strict=True)) for row in document["rows"]]


async def _parquet(arguments: argparse.Namespace, wanted: dict[str, Any]) -> int:
    path = _new(arguments.parquet)
    document = await api.sql_parquet(api.home_path(arguments.home), wanted)
    write_new(path, document["data"])
    _warn_of_more(document)
    told = {"rows": document["rows"], "more": document["more"], "to": str(path)}
    tell(told, arguments, sql_tables.written)
    return EXIT_DONE


def _new(name: str) -> Path:
    """The path of a file that is not there yet. UsageError if it is: better now than after the query."""
    path = Path(name)
    if path.exists() or path.is_symlink():
        raise UsageError(f"{path} is there already.", "A query never writes over a file.")
    return path


def _warn_of_more(document: dict[str, Any]) -> None:
    if document["more"]:
        print("navdeck: there are more rows than --limit lets through.", file=sys.stderr)


VERBS: dict[str, Verb] = {"sql": _sql}
