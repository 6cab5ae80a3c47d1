"""The demo's story without a console: a row is mended and released, a hold is decided on, a drill is run.

The same commands that the console sends, each judged by what the engine answers. It prints nothing.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from console.text import plural
from engine import api
from engine.api import Command, EngineClient, Query

Document = dict[str, Any]

BY_HAND = "tx-by-hand"  # what the name of the file with slips begins with
WHY = "the demo's own story"


async def played(client: EngineClient) -> list[Document]:
    """The steps: `step`, whether it is `done`, and what came of it as `told`. Values must be there."""
    return [await _rows(client), await _hold(client), await _drill(client)]


async def _do(client: EngineClient, name: str, **arguments: Any) -> Document:
    return (await client.do(Command(name, arguments, actor=api.actor(), reason=WHY))).value


def _step(step: str, done: bool, told: str) -> Document:
    return {"step": step, "done": done, "told": told}


async def _rows(client: EngineClient) -> Document:
    """What was typed by hand, corrected as the engine suggests and put into the books."""
    found = (await client.ask(Query("quarantine_page", {"file": BY_HAND}))).value["rows"]
    ids = [row["id"] for row in found]
    if not ids:
        return _step("row", False, "no row of the file that was typed by hand was set aside")
    await _do(client, "quarantine_fix", ids=ids, suggested=True)
    released = await _do(client, "quarantine_release", ids=ids)
    told = f"{plural(released['accepted'], 'row')} corrected as suggested, and released"
    return _step("row", released["accepted"] == len(ids), told)


async def _hold(client: EngineClient) -> Document:
    """The newest hold, valued by the fixing."""
    held = _newest_hold(await _hourly(client))
    if not held:
        return _step("hold", False, "nothing is held")
    before, *closes = held
    span = {"from": before["bucket_close"], "to": closes[-1]["bucket_close"]}
    (pair,) = closes[0]["held"]
    await _do(client, "fx_use_eod_once", pair=pair, **span)
    await _do(client, "value")
    wanted = {close["bucket_close"] for close in closes}
    left = [point for point in await _hourly(client) if point["bucket_close"] in wanted and point["held"]]
    told = f"{pair} was held at {plural(len(closes), 'close')} of 1h; valued by the fixing, once"
    return _step("hold", not left, told)


async def _hourly(client: EngineClient) -> list[Document]:
    points: list[Document] = (await client.ask(Query("nav", {"resolution": "1h"}))).value["points"]
    return points


def _newest_hold(points: Sequence[Document]) -> list[Document]:
    """The close before the newest stretch that one pair holds, and that stretch; nothing if there is none."""
    stretches = [list(stretch) for _, stretch in groupby(points, key=lambda point: point["held"])]
    places = [place for place, stretch in enumerate(stretches) if place and stretch[0]["held"]]
    return [stretches[places[-1] - 1][-1], *stretches[places[-1]]] if places else []


async def _drill(client: EngineClient) -> Document:
    """A backup, and a drill that restores and recomputes it."""
    await _do(client, "backup_create")
    verdict = (await _do(client, "backup_drill"))["verdict"]
    return _step("drill", verdict == "passed", f"a backup was made, restored and recomputed: {verdict}")
