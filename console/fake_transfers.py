"""The transfers of the pretended engine: matched, in transit, unmatched, settled. Fixed data, no clock.

Its rules are a shadow of the engine's: as much as the console needs to be driven through every flow.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from console.widgets.figures import HOUR_US, from_us, to_us
from engine.api import Command, UsageError

Document = dict[str, Any]

NOW_US = to_us("2026-03-04T14:07:00Z")
WHYS = {
    "NO_HASH_NO_ID": "it has neither tx_hash nor external_id, so nothing can link it by itself",
    "HASH_NOT_SEEN": "no row of the other side has its tx_hash",
    "QUANTITY_LEFT": "its other side is less than it, so this much has no counterpart",
}
# side, account, asset, left over, whole, hours ago, why
_LOOSE = (
    ("OUT", "kraken", "BTC", "0.75", "0.75", 52, "NO_HASH_NO_ID"),
    ("IN", "cold", "BTC", "0.7495", "0.7495", 51, "HASH_NOT_SEEN"),
    ("IN", "binance", "BTC", "0.75", "0.75", 30, "NO_HASH_NO_ID"),
    ("OUT", "kraken", "ETH", "0.0004", "12.5", 340, "QUANTITY_LEFT"),
    ("OUT", "main", "ETH", "0.00021", "3", 810, "QUANTITY_LEFT"),
    ("OUT", "main", "SOL", "40", "40", 1_200, "HASH_NOT_SEEN"),
)
# asset, quantity, from, to, hours ago, hours under way
_SETS = (
    ("ETH", "12.4996", "kraken", "cold", 340, 1), ("ETH", "2.99979", "main", "kraken", 810, 2),
    ("USDT", "25000", "binance", "kraken", 96, 0), ("BTC", "1.2", "main", "cold", 3, 7),
)  # fmt: skip


class FakeTransfers:
    """Answers `transfers`; carries `transfer_match` and `transfer_settle` out."""

    def __init__(self) -> None:
        self.loose = [_loose(place, *each) for place, each in enumerate(_LOOSE)]
        self.sets = [_set(place, *each) for place, each in enumerate(_SETS)]
        self.acts: dict[str, Callable[[Command], Document]] = {
            "transfer_match": self._match, "transfer_settle": self._settle,
        }  # fmt: skip
        self.answers: dict[str, Callable[[Document], Document]] = {"transfers": self._answer}

    def _answer(self, _asked: Document) -> Document:
        moving = [group for group in self.sets if to_us(group["in_at"]) > NOW_US]
        matched = [group for group in self.sets if to_us(group["in_at"]) <= NOW_US]
        settled = sum(row["settled"] is not None for row in self.loose)
        return {
            "now": from_us(NOW_US), "matched": matched, "in_transit": moving,
            "unmatched": [row | {"candidates": self._near(row)} for row in self.loose],
            "counts": {"matched": len(matched), "in_transit": len(moving),
                       "unmatched": len(self.loose) - settled, "settled": settled},
            "oldest_s": 1_200 * 3_600,
        }  # fmt: skip

    def _near(self, row: Document) -> list[Document]:
        found = []
        for other in self.loose:
            more = Decimal(other["quantity"]) - Decimal(row["quantity"])
            near = abs(more) * 50 <= Decimal(row["quantity"])
            if near and other["side"] != row["side"] and other["asset_id"] == row["asset_id"]:
                found.append({
                    "id": other["id"], "account": other["account"], "at": other["at"],
                    "quantity": other["quantity"], "quantity_diff": _text(more),
                    "hours_apart": (to_us(other["at"]) - to_us(row["at"])) / HOUR_US, "settled": False,
                    "score_reason": "nearly the same quantity" if more else "the same quantity",
                })  # fmt: skip
        return sorted(found, key=lambda one: abs(float(one["hours_apart"])))

    def _row(self, id: str) -> Document:
        found = next((row for row in self.loose if row["id"] == id), None)
        if found is None:
            raise UsageError(f"There is no transaction {id!r}.", "t lists the transfers.")
        return found

    def _match(self, command: Command) -> Document:
        out, into = self._row(command.arguments["out"]), self._row(command.arguments["in"])
        left = [Decimal(out["quantity"]), Decimal(into["quantity"])]
        moved = min(left)
        sides = zip((out, into), left, strict=True)
        gone, come = (row | {"quantity": _text(amount - moved)} for row, amount in sides)
        if not command.dry_run:
            self.loose = [row for row in self.loose if row["id"] not in (out["id"], into["id"])]
            self.sets.append(_grouped(gone, come, _text(moved)))
        return {"out": gone, "in": come, "moved": _text(moved), "decisions": [31], "touched_from": 0}

    def _settle(self, command: Command) -> Document:
        rows = [self._row(id) for id in command.arguments["ids"]]
        wanted = {"as": command.arguments["as"], "value": command.arguments["value"]}
        for row in () if command.dry_run else rows:
            row["settled"] = wanted | {"decision": 31, "at": from_us(NOW_US)}
        return {**wanted, "settled": len(rows), "rows": rows, "totals": [], "already": [], "decisions": [31]}


def _text(amount: Decimal) -> str:
    return f"{amount.normalize():f}"


def _id(place: int, hours: int) -> str:
    head = f"{(NOW_US - hours * HOUR_US) // 1000:012x}"
    return f"{head[:8]}-{head[8:]}-7b1e-8c55-{0x24AC12000 + place * 7919:012x}"


def _loose(
    place: int, side: str, account: str, asset: str, left: str, whole: str, hours: int, why: str
) -> Document:
    return {
        "id": _id(place, hours), "side": side, "account": account, "asset_id": asset,
        "at": from_us(NOW_US - hours * HOUR_US), "quantity": left, "whole": whole,
        "tx_hash": f"0x{place * 7919:06x}" if why == "HASH_NOT_SEEN" else None, "external_id": None,
        "age_s": hours * 3_600, "settled": None, "why": {"code": why, "text": WHYS[why]}, "candidates": [],
    }  # fmt: skip


def _set(
    place: int, asset: str, quantity: str, source: str, target: str, hours: int, under_way: int
) -> Document:
    def leg(side: str, account: str, number: int, later: int) -> Document:
        return {
            "id": _id(number, hours), "side": side, "account": account, "asset_id": asset,
            "at": from_us(NOW_US - (hours - later) * HOUR_US), "quantity": "0", "whole": quantity,
        }  # fmt: skip

    out, into = leg("OUT", source, 50 + place, 0), leg("IN", target, 70 + place, under_way)
    return _grouped(out, into, quantity) | {"decisions": []}


def _grouped(out: Document, into: Document, moved: str) -> Document:
    names = ("id", "side", "account", "asset_id", "at", "quantity", "whole")
    return {
        "id": out["id"], "asset_id": out["asset_id"], "outs": [{name: out[name] for name in names}],
        "ins": [{name: into[name] for name in names}], "quantity": moved, "cancelled": "0",
        "out_at": out["at"], "in_at": into["at"], "decisions": [31],
    }  # fmt: skip
