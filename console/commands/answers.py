"""How a verb speaks: it asks or commands the engine of a home, and prints what comes back."""

import argparse
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from console.instants import dated
from engine import api
from engine.api import EngineClient, EngineGone, Query

Document = dict[str, Any]
Done = int | Coroutine[Any, Any, int]  # a verb's exit code, at once where it has nobody to wait for
Verb = Callable[[argparse.Namespace], Done]


@asynccontextmanager
async def opened(
    arguments: argparse.Namespace, *, writing: bool = False, worker: bool = False
) -> AsyncIterator[EngineClient]:
    """A client of the engine of the home that is meant, closed at the end.

    An engine that runs there already carries out what writes; questions are answered beside it.
    """
    home = api.home_path(arguments.home)
    client = await attached(home) if writing else None
    if client is None:
        client = await api.connect(home, writing=writing, worker=worker)
    try:
        yield client
    finally:
        await client.close()


async def attached(home: Path) -> EngineClient | None:
    """A client of the engine that runs on the home; None if none answers."""
    try:
        return await api.attach(home)
    except EngineGone:
        return None


def asked(arguments: argparse.Namespace, name: str, **values: Any) -> Document:
    """The answer to one question."""
    found: Document = api.ask(api.home_path(arguments.home), Query(name, values)).value
    return found


def tell(document: Any, arguments: argparse.Namespace, table: Callable[[Any], None]) -> None:
    """The answer on stdout: as JSON if asked, else as `table` prints it."""
    out(lambda: as_json(_dated(document)) if arguments.json else table(document))


def drawn(module: str, name: str) -> Callable[..., None]:
    """A table by its place, imported when it is drawn: with --json it never is."""

    def draw(*documents: Any) -> None:
        getattr(import_module(f"console.commands.{module}"), name)(*documents)

    return draw


def _dated(document: Any) -> Any:
    """An act's answer, or that of files taken, with all instants as text."""
    if not isinstance(document, dict):
        return document
    made: dict[str, Any] = {"ingest": _dated(document["ingest"])} if "ingest" in document else {}
    if isinstance(document.get("files"), list):
        made["files"] = [_dated(file) for file in document["files"]]
    return dated(document) | made


def as_json(document: Any) -> None:
    """One JSON document on stdout."""
    # Whole: json.dump goes piece by piece, without the C encoder, and takes many times as long.
    sys.stdout.write(json.dumps(document, ensure_ascii=True) + "\n")


def out(write: Callable[[], object]) -> None:
    """Writes to stdout. A reader who has seen enough (`| head`) changes nothing about what was done."""
    try:
        write()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
