"""The question `transfers`: what is matched, in transit and unmatched, why, and what may belong together."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from engine.domain.instants import HOUR_US, SECOND_US, format_instant
from engine.domain.money import to_text
from engine.errors import UsageError
from engine.portfolio.transfer_candidates import WHYS, Candidate, Loose, Nearby, Whys
from engine.portfolio.transfers import Leg, Piece
from engine.runtime.desk.transfer_rows import Transfers, is_out, told
from engine.runtime.home import Home
from engine.runtime.known_names import require_known
from engine.store.reader import Reader

STATES = ("matched", "in_transit", "unmatched", "settled")
ROWS_MOST = 1_000  # of one section, unless another limit is asked for
NEAR = {"EQUAL": "the same quantity", "FEE": "less by the fee of the OUT", "NEAR": "nearly the same quantity"}


def transfers(home_path: str, now: int, arguments: dict[str, Any]) -> dict[str, Any]:
    """`matched`, `in_transit` and `unmatched`, oldest first; `counts` of all, by state.

    Each is cut to `limit` from `offset` on; `next` is the offset of what follows, if anything does.
    Filters, all optional: asset, account (of either side), state. What was settled stands under `unmatched`
    and tells how; a set that is matched may have left something over, which is told there as well.
    UsageError for a state, limit or offset that does not exist.
    """
    state = _state(arguments.get("state"))
    offset, limit = (_count(arguments, *one) for one in (("offset", 0), ("limit", ROWS_MOST)))
    page = slice(offset, offset + limit)
    with Reader(Home(Path(home_path)).state) as reader:
        require_known(reader, arguments)
        listed = _Listed(Transfers(reader), now)
        asset, account = arguments.get("asset"), arguments.get("account")
        sets = [group for group in listed.groups if _any_of(group, asset, account)]
        loose = [leg for leg in listed.loose if _any_of([leg], asset, account)]
        by_state = listed.by_state(sets, loose)
        chosen = {name: by_state[name] if state in (None, name) else [] for name in STATES}
        unmatched = sorted(one for name in ("unmatched", "settled") for (one,) in chosen[name])
        longest = max(len(chosen["matched"]), len(chosen["in_transit"]), len(unmatched))
        return {
            "now": format_instant(now),
            "matched": listed.told_sets(chosen["matched"][page]),
            "in_transit": listed.told_sets(chosen["in_transit"][page]),
            "unmatched": listed.told_loose(unmatched[page]),
            "counts": {name: len(some) for name, some in by_state.items()},
            "oldest_s": listed.oldest_s(by_state["unmatched"]),
            "next": page.stop if limit and page.stop < longest else None,
        }


def _state(given: object) -> str | None:
    if given is not None and given not in STATES:
        raise UsageError(f"There is no state {given!r:.80}.", f"Choose one of {', '.join(STATES)}.")
    return None if given is None else str(given)


def _count(arguments: Mapping[str, Any], name: str, default: int) -> int:
    given = arguments.get(name)
    if given is None:
        return default
    if not isinstance(given, int) or isinstance(given, bool) or not 0 <= given < 2**53:
        raise UsageError(f"{name} {given!r:.80} is no count.", "Give 0 or a whole number above.")
    return given


def _any_of(legs: Iterable[Leg], asset: object, account: object) -> bool:
    """Whether one of these is of that asset and account."""
    return any(asset in (None, leg.asset) and account in (None, leg.account) for leg in legs)


class _Listed:
    """The transfers of a home as they are told at `now`."""

    def __init__(self, transfers: Transfers, now: int) -> None:
        self._transfers = transfers
        self._now = now
        self._told: dict[int, dict[str, Any]] = {}  # candidates by position, as all rows tell them

    @property
    def groups(self) -> list[list[Leg]]:
        """Linked sets, by the first instant of each."""
        by_position = self._transfers.by_position
        return [[by_position[one] for one in group] for group in sorted(self._transfers.links.sets)]

    @cached_property
    def loose(self) -> list[Leg]:
        """Rows with something left over, in ledger order."""
        return [leg for leg in self._transfers.legs if self._transfers.left(leg)]

    def by_state(self, sets: list[list[Leg]], loose: list[Leg]) -> dict[str, list[list[Leg]]]:
        links = self._transfers.links
        under_way = [any(links.arrival.get(leg.position, 0) > self._now for leg in group) for group in sets]
        booked = [any(is_out(leg) and leg.ts <= self._now for leg in group) for group in sets]
        moving = [one and other for one, other in zip(under_way, booked, strict=True)]
        settled = [leg.position in links.settlements for leg in loose]
        return {
            "matched": [group for group, moves in zip(sets, moving, strict=True) if not moves],
            "in_transit": [group for group, moves in zip(sets, moving, strict=True) if moves],
            "unmatched": [[leg] for leg, done in zip(loose, settled, strict=True) if not done],
            "settled": [[leg] for leg, done in zip(loose, settled, strict=True) if done],
        }

    def oldest_s(self, unmatched: list[list[Leg]]) -> int | None:
        """The age of the oldest that nobody settled."""
        return max((self._age_s(leg) for (leg,) in unmatched), default=None)

    def _age_s(self, leg: Leg) -> int:
        return max(0, self._now - leg.ts) // SECOND_US

    # -- linked sets --

    def told_sets(self, sets: list[list[Leg]]) -> list[dict[str, Any]]:
        members = [leg for group in sets for leg in group]
        ids = self._transfers.ids(members)
        return [self._set(group, ids) for group in sets]

    def _set(self, group: list[Leg], ids: Mapping[int, str]) -> dict[str, Any]:
        outs, ins = [leg for leg in group if is_out(leg)], [leg for leg in group if not is_out(leg)]
        arrival = self._transfers.links.arrival
        return {
            "id": ids[outs[0].position],
            "asset_id": outs[0].asset,
            "outs": [told(leg, ids[leg.position], self._transfers.left(leg)) for leg in outs],
            "ins": [told(leg, ids[leg.position], self._transfers.left(leg)) for leg in ins],
            "quantity": to_text(sum(self._moved.get(leg.position, 0) for leg in outs)),
            "cancelled": to_text(sum(self._cancelled.get(leg.position, 0) for leg in outs)),
            "out_at": format_instant(outs[0].ts),
            "in_at": format_instant(max(arrival[leg.position] for leg in ins)),
            "decisions": sorted({one for leg in outs for one in self._decisions.get(leg.row, ())}),
        }

    @cached_property
    def _moved(self) -> dict[int, int]:
        return _by_out(self._transfers.links.drawn)

    @cached_property
    def _cancelled(self) -> dict[int, int]:
        return _by_out(self._transfers.links.cancelled)

    @cached_property
    def _decisions(self) -> dict[int, list[int]]:
        """Decisions that matched an OUT, by its row."""
        found: dict[int, list[int]] = {}
        for match in self._transfers.decisions.matches:
            found.setdefault(match.out, []).append(match.decision)
        return found

    # -- what is left over --

    def told_loose(self, legs: list[Leg]) -> list[dict[str, Any]]:
        if not legs:
            return []
        fees = self._own_fees()
        pool = {leg.position: self._as_loose(leg, fees) for leg in self.loose}
        nearby = Nearby(pool.values())
        whys = Whys(self._transfers.legs, self._transfers.links)
        near = {leg.position: nearby.of(pool[leg.position]) for leg in legs}
        by_position = self._transfers.by_position
        named = {*near, *(one.position for some in near.values() for one in some)}
        ids = self._transfers.ids(by_position[position] for position in sorted(named))
        return [self._loose(leg, ids, whys.of(leg), near[leg.position]) for leg in legs]

    def _own_fees(self) -> dict[int, int]:
        """Fee by row, of rows that paid one in their own asset."""
        ledger = self._transfers.rows
        paid = ledger.filter((ledger["fee_asset"] == ledger["asset"]) & (ledger["fee_amount"] > 0))
        return dict(zip(paid["row"].to_list(), paid["fee_amount"].to_physical().to_list(), strict=True))

    def _as_loose(self, leg: Leg, fees: Mapping[int, int]) -> Loose:
        left = self._transfers.left(leg)
        fee = fees.get(leg.row, 0) if is_out(leg) else 0
        return Loose(leg.position, is_out(leg), leg.asset, leg.account, leg.ts, left, fee)

    def _loose(self, leg: Leg, ids: Mapping[int, str], why: str, near: list[Candidate]) -> dict[str, Any]:
        return told(leg, ids[leg.position], self._transfers.left(leg)) | {
            "tx_hash": leg.tx_hash,
            "external_id": leg.external_id,
            "age_s": self._age_s(leg),
            "settled": self._settled(leg),
            "why": {"code": why, "text": WHYS[why]},
            "candidates": [self._candidate(one, ids) for one in near],
        }

    def _settled(self, leg: Leg) -> dict[str, Any] | None:
        if leg.position not in self._transfers.links.settlements:
            return None
        stands = self._transfers.decisions.settled[leg.row]
        return {
            "as": stands.settlement.kind,
            "value": stands.value,
            "decision": stands.decision,
            "at": format_instant(stands.at),
        }

    def _candidate(self, one: Candidate, ids: Mapping[int, str]) -> dict[str, Any]:
        leg = self._transfers.by_position[one.position]
        if one.position not in self._told:
            self._told[one.position] = {
                "id": ids[one.position],
                "account": leg.account,
                "at": format_instant(leg.ts),
                "quantity": to_text(self._transfers.left(leg)),
                "settled": one.position in self._transfers.links.settlements,
            }
        return self._told[one.position] | {
            "quantity_diff": to_text(one.more),
            "hours_apart": round(one.later_us / HOUR_US, 2),
            "score_reason": NEAR[one.near] + (", in the same account" if one.same_account else ""),
        }


def _by_out(pieces: Iterable[Piece]) -> dict[int, int]:
    """Quantity by position of the OUT."""
    sums: dict[int, int] = {}
    for piece in pieces:
        sums[piece.out] = sums.get(piece.out, 0) + piece.quantity
    return sums
