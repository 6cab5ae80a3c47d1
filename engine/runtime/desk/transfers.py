"""The operator's acts on transfers: match an OUT with an IN, settle what has no counterpart.

Each is a task for the worker, which has the turn to write: one transaction, one decision a match or row.
A dry run does the same and keeps nothing. Nothing is guessed: residuals are settled only where the operator
says how small and of which asset. An arrival later on takes precedence over a settlement, by itself.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from engine.domain.money import SCALE, is_plain, to_scaled, to_text
from engine.errors import UsageError
from engine.portfolio.transfers import IN_KINDS, OUT_KINDS, Leg
from engine.runtime.desk.minutes import Minutes
from engine.runtime.desk.rows import IDS_MAX
from engine.runtime.desk.transfer_rows import LIST_HINT, SIDES, Transfers, is_out, told
from engine.runtime.home import Home
from engine.runtime.known_names import require_known
from engine.runtime.standing import MATCH, SETTLE, counting_rows
from engine.runtime.telemetry.spans import committing
from engine.store.commit import transaction
from engine.store.reader import Reader

VALUE_MAX = 10**19 * SCALE  # scaled USD, exclusive: as quantity x price
VALUED_OUTS = ("fee", "payment")  # OUTs that a value may be told for; a payment needs one
KINDS = tuple(dict.fromkeys(OUT_KINDS + IN_KINDS))
_PERCENT = re.compile(r"(.*)%")


def match(
    home_path: str, now_us: int, arguments: dict[str, Any], actor: str, reason: str, dry_run: bool
) -> dict[str, Any]:
    """Matches the TRANSFER_OUT `out` with the TRANSFER_IN `in`, by id: `moved` between them and what is left.

    UsageError for what is no such pair, for other assets, for rows that are linked with all they have.
    """
    _require_reason(reason)
    home = Home(Path(home_path))
    with transaction(home.state, home.journal, now_us, MATCH, around=committing) as work:
        transfers = Transfers(work.reader)
        out, into = transfers.find(arguments.get("out")), transfers.find(arguments.get("in"))
        ids = transfers.ids([out, into])
        _require_pair(transfers, out, into, ids)
        minutes = Minutes(work, actor, reason)
        minutes.note(MATCH, json.dumps({"out": ids[out.position], "in": ids[into.position]}), {})
        done = _matched(transfers, out, into, ids)
        minutes.put()
        if dry_run:
            work.cancel()
    return done | {"decisions": minutes.numbers}


def settle(
    home_path: str, now_us: int, arguments: dict[str, Any], actor: str, reason: str, dry_run: bool
) -> dict[str, Any]:
    """Says what the rows `ids` were, `as` one of OUT_KINDS or IN_KINDS, at `value` USD where one applies.

    Instead of `ids`: `residuals_below` (a quantity, or a part such as "1%") with `asset`: what is left over
    of linked transfers. `already` are the ids of rows that were settled so before. UsageError for rows with
    nothing left over, for a kind of the other side, for values that are missing, misplaced or out of range.
    """
    _require_reason(reason)
    kind, value = _kind(arguments.get("as")), _value(arguments.get("value"))
    home = Home(Path(home_path))
    with transaction(home.state, home.journal, now_us, SETTLE, around=committing) as work:
        transfers = Transfers(work.reader)
        legs = _legs(transfers, arguments, kind)
        _require_settleable(transfers, legs, kind, value)
        fresh = [leg for leg in legs if not _settled_so(transfers, leg, kind, value)]
        ids = transfers.ids(legs)
        minutes = Minutes(work, actor, reason)
        for leg in fresh:
            detail = {"as": kind, "value": value, "quantity": to_text(transfers.left(leg))}
            minutes.note(SETTLE, json.dumps({"tx": ids[leg.position]}), detail)
        already = set(legs).difference(fresh)
        done = {
            "as": kind,
            "value": value,
            "settled": len(fresh),
            "rows": [told(leg, ids[leg.position], transfers.left(leg)) for leg in fresh],
            "totals": _totals(transfers, fresh),
            "already": [ids[leg.position] for leg in sorted(already)],
        } | (transfers.touched(fresh) if fresh else {})
        minutes.put()
        if dry_run:
            work.cancel()
    return done | {"decisions": minutes.numbers}


def _require_reason(reason: str) -> None:
    if not reason.strip():
        hint = "Say why with --reason; nothing was done."
        raise UsageError("A decision on a transfer needs a reason.", hint)


# -- match --------------------------------------------------------------------------------------------


def _require_pair(transfers: Transfers, out: Leg, into: Leg, ids: Mapping[int, str]) -> None:
    for leg, wanted in ((out, "OUT"), (into, "IN")):
        if SIDES[leg.action] != wanted:
            raise UsageError(
                f"{ids[leg.position]} is a TRANSFER_{SIDES[leg.action]}.",
                "Name the OUT first, then the IN; nothing was done.",
            )
    if out.asset != into.asset:
        raise UsageError(
            f"One side is {out.asset}, the other {into.asset}.",
            "A transfer is of one asset; nothing was done.",
        )
    if any({out.position, into.position}.issubset(group) for group in transfers.links.sets):
        raise UsageError("The two are linked already.", LIST_HINT)
    for leg in (out, into):
        if not transfers.left(leg):
            raise UsageError(f"{ids[leg.position]} is linked already, with all it has.", LIST_HINT)


def _matched(transfers: Transfers, out: Leg, into: Leg, ids: Mapping[int, str]) -> dict[str, Any]:
    """What a match moves, and what it leaves over of the two."""
    links = transfers.linked((out.row, into.row))
    moved = sum(transfers.links.rest.values()) - sum(links.rest.values())
    return {
        "out": told(out, ids[out.position], links.rest.get(out.position, 0)),
        "in": told(into, ids[into.position], links.excess.get(into.position, 0)),
        "moved": to_text(moved),
        **transfers.touched([out, into]),
    }


# -- settle -------------------------------------------------------------------------------------------


def _kind(given: object) -> str:
    if given not in KINDS:
        raise UsageError(
            f"A transfer is not settled as {given!r:.80}.",
            f"An OUT: {', '.join(OUT_KINDS)}. An IN: {', '.join(IN_KINDS)}.",
        )
    return str(given)


def _value(given: object) -> str | None:
    """The canonical text of a value. UsageError if it is no plain decimal of 0 or more, in range."""
    if given is None:
        return None
    if not isinstance(given, str) or not is_plain(given):
        raise UsageError(f"{given!r:.80} is no value in USD.", "Write it like 1234.56; nothing was done.")
    value = to_scaled(given)
    if value < 0:
        raise UsageError("A value is never negative.", "Leave out the minus; nothing was done.")
    if value >= VALUE_MAX:
        raise UsageError("The value is out of range.", "It must be below 10^19; nothing was done.")
    return to_text(value)


def _legs(transfers: Transfers, arguments: Mapping[str, Any], kind: str) -> list[Leg]:
    """The rows that are meant, in ledger order, each once."""
    ids, below = arguments.get("ids"), arguments.get("residuals_below")
    if (ids is None) == (below is None):
        raise UsageError("Say what to settle: ids, or how small residuals are.", LIST_HINT)
    if below is not None:
        return _residuals(transfers, below, arguments.get("asset"), kind)
    if not isinstance(ids, list) or not ids:
        raise UsageError("No transfer was named.", LIST_HINT)
    if len(ids) > IDS_MAX:
        raise UsageError(f"{len(ids):,} rows are too many at once.", f"Name {IDS_MAX:,} at most.")
    return sorted(set(transfers.find_all(ids)))


def _require_settleable(transfers: Transfers, legs: list[Leg], kind: str, value: str | None) -> None:
    if value is not None and len(legs) > 1:
        raise UsageError(
            f"One value cannot be told for {len(legs):,} transfers.",
            "Settle them one by one; nothing was done.",
        )
    if value is None and kind == "payment":
        raise UsageError("A payment needs its value in USD.", "Say it with --value; nothing was done.")
    for leg in legs:
        kinds = OUT_KINDS if is_out(leg) else IN_KINDS
        if kind not in kinds:
            hint = f"Choose {', '.join(kinds)}."
            raise UsageError(f"{_name(transfers, leg)} is not settled as {kind}.", hint)
        if value is not None and is_out(leg) and kind not in VALUED_OUTS:
            raise UsageError(
                f"A {kind} that left has no value: it gives no gain.",
                "Leave the value out; nothing was done.",
            )
        if not transfers.left(leg):
            raise UsageError(f"{_name(transfers, leg)} has nothing left over.", LIST_HINT)


def _name(transfers: Transfers, leg: Leg) -> str:
    return f"{transfers.ids([leg])[leg.position]}, a TRANSFER_{SIDES[leg.action]},"


def _settled_so(transfers: Transfers, leg: Leg, kind: str, value: str | None) -> bool:
    """Whether the same was decided before, and covers what is left over now."""
    stands = transfers.decisions.settled.get(leg.row)
    if stands is None or (stands.settlement.kind, stands.value) != (kind, value):
        return False
    return value is None or stands.settlement.of == transfers.left(leg)


def _totals(transfers: Transfers, legs: Iterable[Leg]) -> list[dict[str, Any]]:
    """How much of each asset."""
    sums: dict[str, list[int]] = {}
    for leg in legs:
        sums.setdefault(leg.asset, []).append(transfers.left(leg))
    return [
        {"asset_id": asset, "transfers": len(left), "quantity": to_text(sum(left))}
        for asset, left in sorted(sums.items())
    ]


# -- residuals ----------------------------------------------------------------------------------------


def _residuals(transfers: Transfers, below: object, asset: object, kind: str) -> list[Leg]:
    """What is left over, unsettled, of linked transfers of one asset, where their sum is small enough."""
    if kind in OUT_KINDS and kind in IN_KINDS:
        raise UsageError(f"A {kind} can be of either side.", "Name the rows by their ids; nothing was done.")
    if not isinstance(asset, str) or not asset:
        raise UsageError("Residuals are settled asset by asset.", "Name one with --asset; nothing was done.")
    require_known(transfers.reader, {"asset": asset})
    small = _small(below)
    kinds_out = kind in OUT_KINDS
    found = []
    for group in transfers.links.sets:
        legs = [transfers.by_position[position] for position in group]
        side = [leg for leg in legs if is_out(leg) == kinds_out and leg.asset == asset]
        left = sum(map(transfers.left, side))
        if left and small(left, sum(leg.quantity for leg in side)):
            found += [leg for leg in side if transfers.left(leg)]
    return sorted(leg for leg in found if leg.position not in transfers.links.settlements)


def _small(below: object) -> Callable[[int, int], bool]:
    """Whether (what is left over, what its side sent or got) is under a quantity or a percentage."""
    text = below if isinstance(below, str) else ""
    percent = _PERCENT.fullmatch(text)
    number = percent[1] if percent else text
    if not is_plain(number) or to_scaled(number) <= 0 or (percent and to_scaled(number) > 100 * SCALE):
        raise UsageError(
            f"{below!r:.80} is no limit for residuals.",
            "Write a quantity such as 0.001, or a part such as 1%.",
        )
    limit = to_scaled(number)
    if percent:
        return lambda left, whole: left * 100 * SCALE < limit * whole
    return lambda left, _whole: left < limit


# -- undo ---------------------------------------------------------------------------------------------


def undone_from(reader: Reader, ids: Iterable[str]) -> dict[str, Any]:
    """What taking back decisions on these ids touches; empty if none of the rows counts any more."""
    rows = counting_rows(reader, ids)
    transfers = Transfers(reader)
    legs = [transfers.by_row[row] for row in rows.values() if row in transfers.by_row]
    return transfers.touched(legs) if legs else {}
