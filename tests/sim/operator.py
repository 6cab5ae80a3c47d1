"""An operator who deals with the bad rows of files, by way of whatever answers for the engine."""

import asyncio
from typing import Any

from engine.errors import EngineError
from engine.link.inprocess import Server
from engine.messages import Command, Query
from tests.sim.plan import NO_PRICE, Happening


async def deal_with(one: Happening, engine: Server, wait_s: float) -> None:
    """Once its file is there, as often as it takes; what does not pass by itself is raised."""
    while True:
        try:
            waiting = await _bad_rows(one, engine)
            if waiting is not None:
                await _deal(one.kind, waiting, engine)
                return
        except (OSError, EngineError) as error:
            require_passing(error)
        await asyncio.sleep(wait_s)


def require_passing(error: OSError | EngineError) -> None:
    """Raises what does not pass by itself."""
    if isinstance(error, EngineError) and not error.retryable:
        raise error


async def _bad_rows(one: Happening, engine: Server) -> list[dict[str, Any]] | None:
    """The open rows of the file; None while it has not been taken."""
    page = (await engine.ask(Query("quarantine", {}))).value["rows"]
    mine = [row for row in page if row["file"] == one.name]
    return [row for row in mine if row["status"] == "open"] if mine else None


async def _deal(how: str, rows: list[dict[str, Any]], engine: Server) -> None:
    mendable = [row["id"] for row in rows if row["row"]["notes"] == NO_PRICE and how == "release"]
    others = [row["id"] for row in rows if row["id"] not in mendable]
    acts = [
        ("quarantine_fix", mendable, {"set": {"unit_price_usd": "7"}}),
        ("quarantine_release", mendable, {}),
        ("quarantine_reject", others, {}),
    ]
    for name, ids, more in acts:
        if ids:
            await engine.do(Command(name, {"ids": ids, **more}, "ada", "as agreed"))
