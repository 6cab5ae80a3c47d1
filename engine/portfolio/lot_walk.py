"""In which order a run walks the rows: the booking order, asset after asset.

Owns: which events there are, which assets fees tie together, and what a row is called in a walk. Never: lots.
"""

from dataclasses import replace

import numpy as np
import polars as pl

from engine.portfolio.booking import Instants, booking_order
from engine.portfolio.ledger_order import Positions, with_fees
from engine.portfolio.lot_rows import Rows, lot_fees, moments
from engine.portfolio.transfers import Links, Piece


def booked_events(
    ledger: pl.DataFrame, rows: Rows, cash_assets: frozenset[str], links: Links, last: int
) -> Positions:
    """Events in booking order, of the first `last` positions; of the links only order and drawn count."""
    in_kind, third = lot_fees(rows, cash_assets)
    events = with_fees(ledger, links.order[:last], in_kind[in_kind < last])
    return booking_order(events, Instants(moments(rows), rows.slot_codes, third), links)


def by_group(
    rows: Rows, cash_assets: frozenset[str], booked: Positions
) -> tuple[Positions, list[int]]:  # fmt: skip
    """Positions and events, asset after asset, assets tied by fees together.

    Assets that no fee ties have nothing to do with each other, and lots that are near in memory are quick to
    reach: at a million rows the pass takes half the time. The events speak of places in the walk.
    """
    groups = _groups(rows, cash_assets)[rows.slot_codes % max(1, len(rows.assets))]
    walk = np.argsort(groups, kind="stable")
    place = np.empty_like(walk)
    place[walk] = np.arange(len(walk))
    parents = np.where(booked < 0, ~booked, booked)
    events = np.where(booked < 0, ~place[parents], place[parents])
    return walk, events[np.argsort(groups[parents], kind="stable")].tolist()


def _groups(rows: Rows, cash_assets: frozenset[str]) -> Positions:
    """By asset code: the least code of the assets that third-asset fees tie it to, near or far."""
    count = max(1, len(rows.assets))
    _, third = lot_fees(rows, cash_assets)
    positions = np.array(list(third), dtype=np.int64)
    own, paid = rows.slot_codes[positions] % count, rows.fee_codes[positions] % count
    group = list(range(count))
    for pair in np.unique(own * count + paid).tolist():
        one, other = group[pair // count], group[pair % count]
        if one != other:
            group = [min(one, other) if code in (one, other) else code for code in group]
    return np.array(group, dtype=np.uint16 if count < 1 << 16 else np.int64)  # sixteen bits sort fastest


def renamed(links: Links, walk: Positions) -> Links:
    """The links that booking needs, told in places of the walk."""
    place = np.empty_like(walk)
    place[walk] = np.arange(len(walk))
    at: list[int] = place.tolist()
    return replace(
        links,
        drawn=[Piece(at[out], at[into], quantity) for out, into, quantity in links.drawn],
        rest={at[position]: quantity for position, quantity in links.rest.items()},
        excess={at[position]: quantity for position, quantity in links.excess.items()},
        settlements={at[position]: settlement for position, settlement in links.settlements.items()},
    )
