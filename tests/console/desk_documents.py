"""Answers of the desk as the engine gives them, for tests without an engine, and a client that gives them."""

from collections.abc import Callable
from typing import Any

from engine.messages import Command, Event, Query, Result

Document = dict[str, Any]
COLUMNS = (
    "id", "timestamp", "action", "asset_id", "quantity", "unit_price_usd", "fee_asset", "fee_amount",
    "account", "wallet", "venue", "tx_hash", "external_id", "notes",
)  # fmt: skip
SHA = "0964aeffd0a7" + "cd" * 26
TX = "018df903-a3c0-7b1e-8c55-0242ac120002"


def reason(code: str = "ACTION_UNKNOWN", column: str = "action", value: str = "buy") -> Document:
    return {"code": code, "column": column, "value": value, "hint": f"What {code} asks for."}


def fields(**given: str) -> dict[str, str]:
    """One purchase, all columns, in the header's order."""
    usual = {
        "timestamp": "2024-03-03T16:00:00Z", "action": "buy", "asset_id": "ETH", "quantity": "1",
        "unit_price_usd": "3500", "account": "main", "external_id": "T-4", "notes": "lower case",
    }  # fmt: skip
    return {name: (usual | given).get(name, "") for name in COLUMNS}


def aside(record: int = 4, **given: Any) -> Document:
    """A row of `quarantine_page`."""
    row: Document = {
        "id": f"{SHA[:12]}-{record}", "file": "trades.csv", "sha256": SHA, "record": record,
        "line": record + 1, "status": "open", "edited": False, "taken_at": "2024-03-04T08:00:00Z",
        "reasons": [reason()], "row": fields(),
    }  # fmt: skip
    return row | given


def page(*rows: Document) -> Document:
    codes: dict[str, int] = {}
    for row in rows:
        for code in {each["code"] for each in row["reasons"]}:
            codes[code] = codes.get(code, 0) + 1
    return {"total": len(rows), "rows": list(rows), "by_reason": codes, "files": {}}


def decision(number: int = 12, kind: str = "fix", **given: Any) -> Document:
    details: dict[str, Document] = {
        "fix": {"before": {"action": "buy", "fee_asset": ""}, "after": {"action": "BUY", "fee_asset": "USD"}},
        "release": {"outcome": "accepted", "mode": "supersede", "tx": TX, "superseded": TX},
        "reject": {}, "undo": {"kind": "fix"},
    }  # fmt: skip
    made: Document = {
        "decision": number, "kind": kind, "subject": {"file": SHA, "record": 4}, "detail": details[kind],
        "actor": "trader", "reason": "as the broker wrote", "at": "2024-03-04T09:15:00Z", "undone_by": None,
    }  # fmt: skip
    return made | given


def whole(**given: Any) -> Document:
    """An answer of `quarantine_show`: fixed once, in conflict with a stored row."""
    stored: Document = {
        "tx": TX, "file": "march.csv", "line": 17, "timestamp": "2024-03-03T16:00:00Z", "action": "BUY",
        "asset_id": "ETH", "quantity": "1.25", "unit_price_usd": "3500", "account": "main", "tx_hash": "",
        "external_id": "T-4", "same": ["timestamp", "asset_id", "unit_price_usd", "account", "external_id"],
    }  # fmt: skip
    row = aside(edited=True, reasons=[reason(), reason("IDEMPOTENCY_CONFLICT", "external_id", "T-4")])
    told: Document = {
        "raw": ",2024-03-03T16:00:00Z,buy,ETH,1,3400,,,main,,desk,,T-4,lower case",
        "original": fields(unit_price_usd="3400"), "conflicts": [stored],
        "suggestions": [{"column": "action", "value": "BUY", "why": "an action in upper case"}],
        "history": [decision(), decision(13, "undo", subject={"decision": 12})],
    }  # fmt: skip
    return row | told | given


def fixed(*ids: str, passing: bool = True) -> Document:
    rows = [
        {"id": each, "before": {"action": "buy"}, "after": {"action": "BUY"}, "passes": passing,
         "reasons": [] if passing else [reason("PRICE_MISSING", "unit_price_usd", "")]}
        for each in ids
    ]  # fmt: skip
    good = len(ids) if passing else 0
    decisions = [*range(1, len(ids) + 1)]
    return {"rows": rows, "would_pass": good, "still_fail": len(ids) - good, "decisions": decisions}


def released(*ids: str, refused: tuple[str, ...] = (), already: tuple[str, ...] = ()) -> Document:
    accepted = max(0, len(ids) - 1)
    rows = [{"id": each, "outcome": "accepted" if number < accepted else "duplicate", "tx": TX}
            for number, each in enumerate(ids)]  # fmt: skip
    return {
        "released": len(ids), "accepted": accepted, "duplicates": len(ids) - accepted,
        "refused": [{"id": each, "reasons": [reason()]} for each in refused], "already": list(already),
        "rows": rows, "files": ["trades.csv"] if ids else [], "accounts": ["main"] if ids else [],
        "first": "2024-03-03T16:00:00Z" if ids else None, "last": "2024-03-05T16:00:00Z" if ids else None,
        "decisions": [*range(14, 14 + len(ids))], "touched_from": None,
    }  # fmt: skip


def explained(**given: Any) -> Document:
    lot: Document = {
        "account": "main", "asset_id": "ETH", "acquired_at": "2024-03-03T16:00:00Z", "quantity": "0.75",
        "cost_basis_usd": "2625", "status": "in_transit",
    }  # fmt: skip
    gain: Document = {
        "role": "lot", "account": "main", "asset_id": "ETH", "disposed_at": "2024-03-05T16:00:00Z",
        "acquired_at": None, "quantity": "0.25", "proceeds_usd": "900", "cost_basis_usd": "875",
        "gain_usd": "25", "flags": ["FEE_AT_BASIS"],
    }  # fmt: skip
    file = {"name": "trades.csv", "sha256": SHA, "record": 4, "line": 5, "taken_at": "2024-03-04T08:00:00Z"}
    told: Document = {
        "tx": fields(id=TX, action="BUY") | {"quantity": "1"}, "file": file,
        "raw": ",2024-03-03T16:00:00Z,buy,ETH,1,3500,,,main,,desk,,T-4,", "versions": [TX, TX[::-1]],
        "superseded_by": TX[::-1], "taken_back": False, "decisions": [decision(14, "release")],
        "duplicates_known": 2, "fee_row": {"asset_id": "USD", "quantity": "-6.5"}, "lots": [lot],
        "gains": [gain],
    }  # fmt: skip
    return told | given


def journal(*problems: str) -> Document:
    return {
        "ok": not problems, "segments": 3, "records": 12_345, "aborted": 1, "bytes": 64_000_000,
        "first_at": "2024-03-01T00:00:00.000001Z", "last_at": "2024-03-04T09:15:00Z",
        "problems": list(problems),
    }  # fmt: skip


class FakeDesk:
    """A client that answers from what a test lays down, and remembers what it was asked and told to do."""

    def __init__(self) -> None:
        self.answers: dict[str, Document | Callable[[Document], Document]] = {}
        self.queries: list[Query] = []
        self.commands: list[Command] = []
        self.writing: list[bool] = []

    async def ask(self, query: Query) -> Result:
        self.queries.append(query)
        return self._answer(query.name, query.arguments)

    async def do(self, command: Command) -> Result:
        self.commands.append(command)
        return self._answer(command.name, command.arguments)

    def _answer(self, name: str, arguments: Document) -> Result:
        answer = self.answers[name]
        return Result(answer(arguments) if callable(answer) else answer)

    def subscribe(self, listener: Callable[[Event], None]) -> None: ...

    async def close(self) -> None: ...

    def holds(self, *rows: Document, at_most: int = 3) -> None:
        """These rows in quarantine, given `at_most` a page."""

        def give(arguments: Document) -> Document:
            start, wanted = arguments["offset"], min(arguments["limit"], at_most)
            return page(*rows) | {"rows": list(rows[start : start + wanted])}

        self.answers["quarantine_page"] = give
        self.answers["quarantine_ids"] = {"ids": [row["id"] for row in rows], "total": len(rows)}
