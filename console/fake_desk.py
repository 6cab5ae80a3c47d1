"""The quarantine of the pretended engine: rows, what would mend them, and decisions. Fixed data, no clock.

Its rules are a shadow of the engine's: as much as the console needs to be driven through every flow.
"""

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

from console.widgets.figures import MINUTE_US, from_us, to_us
from engine.api import Command, UsageError, matching

Document = dict[str, Any]

NOW_US = to_us("2026-03-04T14:07:00Z")
BY_REASON = {
    "PRICE_MISSING": 118, "IDEMPOTENCY_CONFLICT": 41, "QUANTITY_INVALID": 22, "TIMESTAMP_FUTURE": 14,
    "ACTION_UNKNOWN": 11, "FORMULA_PREFIX": 8,
}  # fmt: skip
CONFLICT = "IDEMPOTENCY_CONFLICT"
FUTURE = "2026-03-09T08:00:00Z"
# By reason: the column, its bad value, the rule's words, what mends it, and a suggestion with its why.
_BROKEN = {
    "PRICE_MISSING": ("unit_price_usd", "", "A price is needed here.", r"[0-9]+(\.[0-9]+)?", None),
    CONFLICT: ("tx_hash", "0x9c41e7", "A stored row has this key or id, with other content.", "(?!)", None),
    "QUANTITY_INVALID": (
        "quantity", "1,250.50", "Not a plain decimal (up to 20 digits, a point, up to 18 digits).",
        r"[0-9]+(\.[0-9]+)?", ("1250.50", "the commas separate thousands"),
    ),
    "TIMESTAMP_FUTURE": (
        "timestamp", FUTURE, "The instant is more than 24 h ahead of now.", f"(?!{FUTURE}).+", None,
    ),
    "ACTION_UNKNOWN": (
        "action", "Buy", "Not one of the eight actions, in upper case.", "BUY|SELL", ("BUY", "upper case"),
    ),
    "FORMULA_PREFIX": (
        "venue", "=HYPERLINK()", "The text starts with a character that spreadsheets run as a formula.",
        "([^=+@-].*)?", None,
    ),
}  # fmt: skip


def quarantined() -> list[Document]:
    """The rows in quarantine, in their order."""
    codes = [code for code, number in BY_REASON.items() for _ in range(number)]
    mixed = [codes[place * 97 % len(codes)] for place in range(len(codes))]
    return [_row(place, code) for place, code in enumerate(mixed)]


def _row(place: int, code: str) -> Document:
    column, value, hint, _, _ = _BROKEN[code]
    sha = f"{0x5F3A91C07E42 + place // 36:012x}"
    row = {
        "id": "", "timestamp": from_us(NOW_US - place * 37 * MINUTE_US), "action": ("BUY", "SELL")[place % 2],
        "asset_id": ("BTC", "ETH", "SOL", "LINK")[place % 4],
        "quantity": f"{place % 9 + 1}.{place * 7919 % 1000:03d}",
        "unit_price_usd": f"{2_000 + place * 13}.5", "fee_asset": "USD", "fee_amount": "1.25",
        "account": ("main", "cold")[place % 5 == 0], "wallet": "",
        "venue": "kraken", "tx_hash": f"0x{place * 7919:06x}", "external_id": "", "notes": "",
    }  # fmt: skip
    return {
        "id": f"{sha}-{place + 1}", "file": ("coinbase_2026-02.csv", "kraken_2026-03-04.csv")[place % 7 == 0],
        "sha256": sha * 5 + sha[:4], "record": place + 1, "line": place + 2, "status": "open",
        "edited": False, "taken_at": from_us(NOW_US - (3 if place % 7 == 0 else 131) * MINUTE_US),
        "reasons": [{"code": code, "column": column, "value": value, "hint": hint}],
        "row": row | {column: value},
    }  # fmt: skip


def _stored(row: Document) -> Document:
    """The stored row that a conflicting one collides with."""
    same = ["timestamp", "action", "asset_id", "account", "tx_hash"]
    return {"tx": f"019c2f3a-5b{row['record']:02x}-7d41-9c3e-0242ac120002", "file": "kraken_2026-03-01.csv",
            "line": row["record"] + 40, "quantity": "2.5", "unit_price_usd": "2411.75", "external_id": "",
            "same": same, **{name: row["row"][name] for name in same}}  # fmt: skip


class FakeDesk:
    """Answers the desk's questions and carries its commands out, over `rows`."""

    def __init__(self) -> None:
        self.rows = quarantined()
        self.decisions: list[Document] = []
        self._undo: dict[int, tuple[Document, Document]] = {}  # by decision: the row, and what it was
        self._commits = 0
        self.acts: dict[str, Callable[[Command], Document]] = {
            "quarantine_fix": self._fix, "quarantine_release": self._release,
            "quarantine_reject": self._reject, "undo": self._take_back,
        }  # fmt: skip
        self.answers: dict[str, Callable[[Document], Document]] = {
            "quarantine_page": self._page, "quarantine_ids": self._ids, "quarantine_show": self._show,
            "decisions": self._decisions,
        }  # fmt: skip

    def counts(self) -> Document:
        """The `quarantine` part of the overview."""
        found = [row for row in self.rows if row["status"] == "open"]
        oldest = "2026-03-04T11:56:00Z" if found else None
        return {"open": len(found), "by_reason": _by_reason(found), "oldest": oldest}

    # -- questions --

    def _found(self, asked: Document, *, every_reason: bool = False) -> list[Document]:
        found = [row for row in self.rows if _passes(row, asked, every_reason)]
        if "sort" in asked:
            found.sort(key=lambda row: _SORTS[asked["sort"]](row), reverse=asked["descending"])
        return found

    def _page(self, asked: Document) -> Document:
        found = self._found(asked)
        return {
            "total": len(found), "rows": found[asked["offset"] : asked["offset"] + asked["limit"]],
            "by_reason": _by_reason(self._found(asked, every_reason=True)),
            "files": dict(Counter(row["file"] for row in found).most_common(20)),
        }  # fmt: skip

    def _ids(self, asked: Document) -> Document:
        found = self._found(asked)
        return {"ids": [row["id"] for row in found], "total": len(found)}

    def _show(self, asked: Document) -> Document:
        row = self._row(asked["id"])
        before = next((old for done, old in self._undo.values() if done is row), row)
        history = [each for each in self._newest() if _subject(row) == each["subject"]]
        return row | {
            "raw": ",".join(before["row"].values()), "original": before["row"],
            "suggestions": [
                {"column": reason["column"], "value": mended[0], "why": mended[1]}
                for reason in row["reasons"]
                for mended in [_BROKEN[reason["code"]][4] if reason["code"] in _BROKEN else None] if mended
            ],
            "conflicts": [_stored(row)] if _codes(row) == [CONFLICT] else [], "history": history,
        }  # fmt: skip

    def _decisions(self, asked: Document) -> Document:
        found = self._newest()
        return {"total": len(found), "rows": found[asked["offset"] : asked["offset"] + asked["limit"]]}

    def _newest(self) -> list[Document]:
        return self.decisions[::-1]

    def _row(self, id: str) -> Document:
        found = next((row for row in self.rows if row["id"] == id), None)
        if found is None:
            raise UsageError(f"There is no row {id} in quarantine.", "3 lists them.")
        return found

    def _asked(self, command: Command) -> list[Document]:
        return [self._row(id) for id in command.arguments["ids"]]

    # -- commands --

    def _fix(self, command: Command) -> Document:
        made, numbers = [], []
        for row in self._asked(command):
            after = _wanted(row, command.arguments)
            before = {name: row["row"][name] for name in after}
            fields = row["row"] | after
            reasons = [reason | {"value": fields.get(reason["column"], "")}
                       for reason in row["reasons"] if not _mended(reason, fields)]  # fmt: skip
            made.append({"id": row["id"], "before": before, "after": after, "passes": not reasons,
                         "reasons": reasons})  # fmt: skip
            if not command.dry_run and after:
                numbers.append(self._decide("fix", row, command, {"before": before, "after": after}))
                row |= {"row": fields, "reasons": reasons, "edited": True}
        self._committed(command)
        passing = sum(each["passes"] for each in made)
        return {"rows": made, "would_pass": passing, "still_fail": len(made) - passing, "decisions": numbers}

    def _release(self, command: Command) -> Document:
        asked, settled = command.arguments, command.arguments["as_leg"] or command.arguments["supersede"]
        rows = [row for row in self._asked(command) if row["status"] == "open"]
        refused = [row for row in rows if _codes(row) and not (settled and _codes(row) == [CONFLICT])]
        done = [row for row in rows if row not in refused]
        numbers = []
        for row in done if not command.dry_run else ():
            mode = "as_leg" if asked["as_leg"] else "supersede" if asked["supersede"] else "plain"
            detail = {
                "outcome": "accepted",
                "mode": mode,
                "tx": _stored(row)["tx"],
                "superseded": asked["supersede"],
            }
            numbers.append(self._decide("release", row, command, detail))
            row["status"] = "released"
        self._committed(command)
        dates = sorted(row["row"]["timestamp"] for row in done)
        return {
            "released": len(done), "accepted": len(done), "duplicates": 0,
            "refused": [{"id": row["id"], "reasons": row["reasons"]} for row in refused],
            "rows": [{"id": row["id"], "outcome": "accepted", "tx": _stored(row)["tx"]} for row in done],
            "already": [id for id in asked["ids"] if id not in {row["id"] for row in rows}],
            "files": sorted({row["file"] for row in done}),
            "accounts": sorted({row["row"]["account"] for row in done}),
            "first": dates[0] if dates else None, "last": dates[-1] if dates else None,
            "decisions": numbers, "touched_from": None,
        }  # fmt: skip

    def _reject(self, command: Command) -> Document:
        rows = [row for row in self._asked(command) if row["status"] == "open"]
        numbers = []
        for row in rows if not command.dry_run else ():
            numbers.append(self._decide("reject", row, command, {}))
            row["status"] = "rejected"
        self._committed(command)
        already = [id for id in command.arguments["ids"] if id not in {row["id"] for row in rows}]
        return {"rejected": len(rows), "already": already, "decisions": numbers}

    def _take_back(self, command: Command) -> Document:
        number = command.arguments["decision"]
        decision = next(each for each in self.decisions if each["decision"] == number)
        if decision["undone_by"]:
            raise UsageError(f"Decision {number} is undone already.", "Look at the row's history.")
        act = [decision]
        if command.arguments.get("whole"):
            same = [(each["at"], each["kind"], each["undone_by"]) for each in self.decisions]
            its = decision["at"], decision["kind"], None
            act = [each for each, one in zip(self.decisions, same, strict=True) if one == its][::-1]
        for each in act if not command.dry_run else ():
            row, before = self._undo[each["decision"]]
            each["undone_by"] = self._decide("undo", row, command, {"kind": each["kind"]})
            row |= before
        self._committed(command)
        told = [{key: each[key] for key in ("decision", "kind", "subject")} for each in act]
        return {"undone": told[0], "all": told, "touched_from": None}

    def _decide(self, kind: str, row: Document, command: Command, detail: Document) -> int:
        number = self.note(kind, _subject(row), command, detail)
        self._undo[number] = row, {key: row[key] for key in ("status", "row", "reasons", "edited")}
        return number

    def note(self, kind: str, subject: Document, command: Command, detail: Document) -> int:
        """Records a decision; its number."""
        self.decisions.append({
            "decision": len(self.decisions) + 1, "kind": kind, "subject": subject, "detail": detail,
            "actor": command.actor, "reason": command.reason, "undone_by": None,
            "at": from_us(NOW_US + self._commits * 1_000_000),
        })  # fmt: skip
        return len(self.decisions)

    def _committed(self, command: Command) -> None:
        self._commits += 0 if command.dry_run else 1


def _subject(row: Document) -> Document:
    return {"file": row["sha256"], "record": row["record"]}


_SORTS: dict[str, Callable[[Document], Any]] = {
    "reason": lambda row: _codes(row)[:1], "file": lambda row: row["file"], "line": lambda row: row["line"],
}  # fmt: skip


def _codes(row: Document) -> list[str]:
    return [reason["code"] for reason in row["reasons"]]


def _by_reason(rows: list[Document]) -> dict[str, int]:
    return dict(Counter(code for row in rows for code in _codes(row)))


def _passes(row: Document, asked: Document, every_reason: bool) -> bool:
    text = " ".join([row["file"], *row["row"].values()]).casefold()
    status = asked.get("status", "open")
    age_s = (NOW_US - to_us(row["taken_at"])) // 1_000_000
    return (
        status in ("all", row["status"])
        and (every_reason or asked.get("reason") in (None, *_codes(row)))
        and asked.get("text", "").casefold() in text
        and ("not_text" not in asked or asked["not_text"].casefold() not in text)
        and passes("\n".join([row["file"], *row["row"].values()]), asked)
        and asked.get("file", "").casefold() in row["file"].casefold()
        and asked.get("account") in (None, row["row"].get("account"))
        and age_s >= asked.get("older_than_s", 0)
    )


def passes(text: str, asked: Document) -> bool:
    """Whether a row's text meets the expressions that were asked for."""
    wanted = {"matching": True, "not_matching": False}
    return all(matching(asked[name], [text]) == [meant] for name, meant in wanted.items() if name in asked)


def _wanted(row: Document, arguments: Document) -> dict[str, str]:
    """The columns that a fix changes in a row, with their new values."""
    if arguments.get("suggested"):
        found = [(reason["column"], _BROKEN[reason["code"]][4]) for reason in row["reasons"]]
        return {column: mended[0] for column, mended in found if mended}
    unknown = [name for name in arguments["set"] if name not in row["row"]]
    if unknown:
        raise UsageError(f"There is no column {unknown[0]!r}.", f"Columns: {', '.join(row['row'])}.")
    return {name: value for name, value in arguments["set"].items() if row["row"][name] != value}


def _mended(reason: Document, fields: dict[str, str]) -> bool:
    known = _BROKEN.get(reason["code"])
    return known is not None and re.fullmatch(known[3], fields[reason["column"]]) is not None
