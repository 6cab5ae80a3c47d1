"""`telemetry`: what is measured, from the engine that works on the home, else from the home alone."""

import argparse
import sys
from typing import Any

from console.cli import EXIT_DONE
from console.commands.answers import Verb, asked, attached, tell
from console.text import safe_text
from engine import api
from engine.api import Query


async def _telemetry(arguments: argparse.Namespace) -> int:
    client = await attached(api.home_path(arguments.home))
    if client is None:
        document = asked(arguments, "telemetry")
    else:
        try:
            document = (await client.ask(Query("telemetry"))).value
        finally:
            await client.close()
    tell(document, arguments, _text)
    return EXIT_DONE


def _text(document: dict[str, Any]) -> None:
    sys.stdout.write(safe_text(document["text"], keep_lines=True))


VERBS: dict[str, Verb] = {"telemetry": _telemetry}
