"""The lots of the pretended engine: open ones, realized pieces, a trace, an imagined sale. Fixed data."""

from collections.abc import Callable
from decimal import Decimal
from functools import cache
from typing import Any

from console.fake_desk import passes
from console.widgets.figures import DAY_US, HOUR_US, from_us, to_us

Document = dict[str, Any]

NOW_US = to_us("2026-03-04T14:07:00Z")
ASSETS = (("BTC", 61_000), ("ETH", 3_100), ("SOL", 140), ("LINK", 17))
OPEN_LOTS, PIECES = 640, 2_350


def _id(place: int) -> str:
    return f"018df903-a3c0-7b1e-8c55-{place:012x}"


def _amounts(place: int) -> tuple[str, Decimal, Decimal]:
    """The asset, quantity and price of a place."""
    asset, price = ASSETS[place * 7 % len(ASSETS)]
    return asset, Decimal(place * 7919 % 4_000 + 25) / 1000, Decimal(price + place * 31 % 900)


def _text(amount: Decimal) -> str:
    return format(amount.normalize(), "f")


def open_lot(place: int) -> Document:
    """One open lot."""
    asset, quantity, price = _amounts(place)
    moving = place % 40 == 0
    return {
        "status": "in_transit" if moving else "open", "account": ("main", "cold")[place % 5 == 0],
        "asset_id": asset, "acquired_at": from_us(NOW_US - place * DAY_US - 5 * HOUR_US),
        "left_at": from_us(NOW_US - 3 * HOUR_US) if moving else None, "quantity": _text(quantity),
        "cost_basis_usd": _text(quantity * price), "flags": ["FEE_AT_BASIS"] if place % 9 == 0 else [],
        "acquisition_tx": _id(place),
    }  # fmt: skip


def piece(place: int) -> Document:
    """One realized piece; the newest comes first."""
    asset, quantity, price = _amounts(place)
    missing = place % 67 == 5
    basis = Decimal(0) if missing else quantity * price
    proceeds = quantity * (price + place % 13 * 9 - 40)
    days = place % 700
    return {
        "kind": ("SELL", "FEE")[place % 11 == 3], "account": ("main", "cold")[place % 5 == 0],
        "asset_id": asset, "disposed_at": from_us(NOW_US - place * 11 * HOUR_US),
        "acquired_at": None if missing else from_us(NOW_US - place * 11 * HOUR_US - days * DAY_US),
        "quantity": _text(quantity), "proceeds_usd": _text(proceeds), "cost_basis_usd": _text(basis),
        "gain_usd": _text(proceeds - basis), "term": "unknown" if missing else ("short", "long")[days > 366],
        "flags": ["INSUFFICIENT_LOTS"] if missing else [], "disposal_tx": _id(90_000 + place),
        "acquisition_tx": None if missing else _id(place),
    }  # fmt: skip


@cache
def _rows(state: str) -> list[Document]:
    return [open_lot(n) for n in range(OPEN_LOTS)] if state == "open" else [piece(n) for n in range(PIECES)]


def _page(wanted: Document) -> Document:
    state = wanted.get("state", "open")
    rows = _rows(state)
    text, not_text = wanted.get("text", "").lower(), wanted.get("not_text", "").lower()
    kept = [
        row for row in rows
        if str(wanted.get("asset", row["asset_id"])).upper() == row["asset_id"]
        and str(wanted.get("account", row["account"])) == row["account"]
        and (not text or text in _told(row))
        and not (not_text and not_text in _told(row))
        and passes(_told(row), wanted)
    ]  # fmt: skip
    if wanted.get("sort"):
        kept.sort(key=lambda row: _sort_key(row[wanted["sort"]]), reverse=wanted["descending"])
    names = [name for name in ("proceeds_usd", "cost_basis_usd", "gain_usd") if name in rows[0]]
    sums = {name: _text(sum((Decimal(row[name]) for row in kept), Decimal(0))) for name in names}
    part = kept[wanted.get("offset", 0) :][: wanted.get("limit", 200)]
    return {"state": state, "method": "FIFO", "total": len(kept), "rows": part, "sums": sums}


def _sort_key(value: str) -> tuple[Decimal, str]:
    return (Decimal(value), "") if value[-1:].isdigit() else (Decimal(0), value)


def _told(row: Document) -> str:
    return str(list(row.values())).lower()


def _source(tx: str, action: str, line: int, **fields: str) -> Document:
    usual = {
        "tx": tx, "action": action, "timestamp": "2025-11-03T09:12:00Z", "account": "main",
        "asset_id": "ETH", "quantity": "2.5", "unit_price_usd": "2950", "fee_asset": "", "fee_amount": "",
        "file": "kraken_2025-11.csv", "record": line - 1, "line": line,
    }  # fmt: skip
    return usual | fields


def _trace(wanted: Document) -> Document:
    sale = _source(
        wanted["tx"], "SELL", 218, timestamp="2026-03-04T11:00:00Z", account="cold",
        unit_price_usd="3105.5", file="coinbase_2026-03.csv", fee_asset="USD", fee_amount="4.1",
    )  # fmt: skip
    moved = {"unit_price_usd": "", "quantity": "3"}
    out = _source(_id(71), "TRANSFER_OUT", 88, timestamp="2025-12-01T08:00:00Z", **moved)
    into = _source(_id(72), "TRANSFER_IN", 14, account="cold", file="cold.csv",
                   timestamp="2025-12-01T08:25:00Z", **moved)  # fmt: skip
    first = _source(_id(1), "BUY", 41, fee_asset="USD", fee_amount="7.25")
    second = _source(_id(2), "BUY", 63, timestamp="2025-11-19T17:40:30Z", unit_price_usd="3010", quantity="4")

    def taken(lot: Document, quantity: str, basis: str, gain: str, whole: tuple[str, str, str]) -> Document:
        names = ("whole_quantity", "whole_basis_usd", "fee_in_basis_usd")
        return {
            "status": "realized", "kind": "SELL", "account": "cold", "asset_id": "ETH",
            "at": sale["timestamp"], "acquired_at": lot["timestamp"], "quantity": quantity,
            "proceeds_usd": "0", "cost_basis_usd": basis, "gain_usd": gain, "term": "short", "flags": [],
            "lot": lot | dict(zip(names, whole, strict=True)),
            "via": [{"out": out, "in": into}],
        }  # fmt: skip

    lots = [
        taken(first, "1.75", "5167.58", "264.175", ("2.5", "7382.25", "7.25")),
        taken(second, "0.75", "2257.5", "70.395", ("4", "12040", "0")),
    ]
    return {"method": "FIFO", "tx": sale, "taken": lots, "made": None, "parts": [], "transfers": []}


def _explained(wanted: Document) -> Document:
    tx = {"id": wanted["tx"], "timestamp": "2025-11-03T09:12:00Z", "action": "BUY", "asset_id": "ETH",
          "quantity": "2.5", "unit_price_usd": "2950", "account": "main"}  # fmt: skip
    return {
        "tx": tx, "file": {"name": "kraken_2025-11.csv", "sha256": "5f3a", "record": 40, "line": 41},
        "raw": ",2025-11-03T09:12:00Z,BUY,ETH,2.5,2950,USD,7.25,main,,kraken,,,",
        "superseded_by": None, "taken_back": False, "decisions": [],
    }  # fmt: skip


def _what_if(wanted: Document) -> Document:
    proceeds = Decimal(wanted["quantity"]) * Decimal(wanted["price"])

    def column(method: str, cost: str, lots: int) -> Document:
        gain = _text(proceeds - Decimal(cost))
        return {
            "method": method, "proceeds_usd": _text(proceeds), "cost_basis_usd": cost, "gain_usd": gain,
            "gain_short_usd": gain, "gain_long_usd": "0", "gain_unknown_usd": "0", "insufficient": "0",
            "lots": [{}] * lots, "left": {"lots": 12 - lots, "quantity": "9.5", "cost_basis_usd": "28110.5"},
        }  # fmt: skip

    return {
        "asset_id": wanted["asset"], "account": wanted["account"],
        "methods": [column("FIFO", "1210.4", 3), column("LIFO", "1342.85", 1), column("HIFO", "1377.02", 2)],
    }  # fmt: skip


LOTS: dict[str, Callable[[Document], Document]] = {
    "lots_page": _page, "lots_explain": _trace, "explain": _explained, "what_if": _what_if,
}  # fmt: skip
