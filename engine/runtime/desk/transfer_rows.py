"""Transfers as the desk's acts and queries see them: legs by row, what is left over of them, their ids.

Reads only. Owns how a transfer is named and told; never what may be decided on it.
"""

from collections.abc import Collection, Iterable
from functools import cached_property
from typing import Any

import polars as pl

from engine.domain.instants import format_instant
from engine.domain.money import to_text
from engine.domain.transactions import TRANSFERS, Action
from engine.errors import UsageError
from engine.portfolio.transfers import Leg, Links, legs_of, link
from engine.runtime.desk.rows import find_tx, tx_ids, tx_rows
from engine.runtime.standing import TransferDecisions
from engine.store.reader import Reader

SIDES = {int(Action.TRANSFER_OUT): "OUT", int(Action.TRANSFER_IN): "IN"}
LIST_HINT = "`navdeck transfers list` shows the transfers and their ids; nothing was done."


class Transfers:
    """All transfers of a home, in one snapshot of the store; positions are places among transfers only."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.decisions = TransferDecisions(reader)

    @cached_property
    def rows(self) -> pl.DataFrame:
        """The ledger's transfers: all that links depend on."""
        return self.reader.ledger(TRANSFERS)

    @cached_property
    def links(self) -> Links:
        return self.linked()

    def linked(self, *more: tuple[int, int]) -> Links:
        """The links, with `more` matches: pairs of row numbers (OUT, IN)."""
        matches = [*((match.out, match.into) for match in self.decisions.matches), *more]
        settled = {row: one.settlement for row, one in self.decisions.settled.items()}
        return link(self.rows, matches, settled)

    @cached_property
    def legs(self) -> list[Leg]:
        """In ledger order."""
        return legs_of(self.rows, self.links.order)

    @cached_property
    def by_row(self) -> dict[int, Leg]:
        return {leg.row: leg for leg in self.legs}

    @cached_property
    def by_position(self) -> dict[int, Leg]:
        return {leg.position: leg for leg in self.legs}

    def ids(self, legs: Iterable[Leg]) -> dict[int, str]:
        """Ids by position."""
        chosen = list(legs)
        named = self.rows["id"].gather(self.links.order[[leg.position for leg in chosen]].tolist())
        return dict(zip((leg.position for leg in chosen), named.to_list(), strict=True))

    def left(self, leg: Leg) -> int:
        """What has no counterpart, scaled."""
        return (self.links.rest if is_out(leg) else self.links.excess).get(leg.position, 0)

    def touched(self, legs: Collection[Leg]) -> dict[str, Any]:
        """What a decision on these changes: their assets, from the earliest that they are linked with on."""
        positions = {leg.position for leg in legs}
        linked = [one for group in self.links.sets if not positions.isdisjoint(group) for one in group]
        since = min(self.by_position[position].ts for position in positions.union(linked))
        return {"touched_from": since, "touched_assets": sorted({leg.asset for leg in legs})}

    def find_all(self, names: Iterable[object]) -> list[Leg]:
        """As `find`; a whole id is looked up among the transfers that count, at once."""
        by_id = dict(zip(self.ids(self.legs).values(), self.legs, strict=True))
        return [by_id.get(str(name)) or self.find(name) for name in names]

    def find(self, name: object) -> Leg:
        """The transfer of this id (or beginning of an id). UsageError if it is none, or does not count."""
        row = find_tx(self.reader, name)
        (tx,) = tx_rows(self.reader, [row])
        by = tx["superseded_by"]
        if tx["action"] not in TRANSFERS:
            raise UsageError(f"{name!r:.80} is no transfer.", LIST_HINT)
        if by is not None and by < 0:
            raise UsageError(f"{name!r:.80} was taken back.", "It is not in the ledger; nothing was done.")
        if by is not None:
            raise UsageError(
                f"{name!r:.80} is superseded, by {tx_ids(self.reader, [by])[by]}.", "Name that one instead."
            )
        return self.by_row[row]


def is_out(leg: Leg) -> bool:
    return leg.action == Action.TRANSFER_OUT


def told(leg: Leg, id_: str, left: int) -> dict[str, Any]:
    """A transfer as JSON: `quantity` is what is left over of `whole`."""
    return {
        "id": id_,
        "side": SIDES[leg.action],
        "account": leg.account,
        "asset_id": leg.asset,
        "at": format_instant(leg.ts),
        "quantity": to_text(left),
        "whole": to_text(leg.quantity),
    }


def unsettled(reader: Reader) -> list[int] | None:
    """Of the transfers that nobody matched or settled how many, and the oldest instant; None without any."""
    transfers = Transfers(reader)
    if transfers.rows.is_empty():
        return None
    settled = transfers.links.settlements
    waiting = [leg.ts for leg in transfers.legs if transfers.left(leg) and leg.position not in settled]
    return [len(waiting), min(waiting)] if waiting else None
