"""What is told of transfers, as lines: the list's rows, all about one, and what an act would do. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from console.screens import panels
from console.screens.ordering import Value
from console.screens.rows import short
from console.text import count, instant, plural, quantity
from console.widgets.figures import MINUTE_US, day_clock, span
from console.widgets.pieces import BLANK, Column, Line, Piece, line, wrapped

Document = dict[str, Any]

STATES: dict[str, Piece] = {
    "unmatched": ("! unmatched", "warn"), "in_transit": ("▸ in transit", "accent"),
    "matched": ("✓ matched", "ok"), "settled": ("= settled", "muted"),
}  # fmt: skip
COLUMNS = (
    Column("", 1), Column("state", 12), Column("asset", 6, grows=1),
    Column("quantity", 10, right=True, grows=1, prose=True), Column("from", 8, grows=1),
    Column("to", 8, grows=1), Column("at", 12, prose=True), Column("age", 7, right=True, rank=1),
    Column("why", 14, rank=2, grows=2, prose=True),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Item:
    """One row of the list: a linked set, or a transfer with something left over."""

    state: str
    doc: Document

    @property
    def id(self) -> str:
        return str(self.doc["id"])

    @property
    def is_loose(self) -> bool:
        """Whether it is a row that can be matched or settled."""
        return self.state in ("unmatched", "settled")


def items(found: Document) -> list[Item]:
    """The engine's answer as rows: what waits for somebody first."""
    loose = found["unmatched"]
    return [
        *(Item("unmatched", row) for row in loose if not row["settled"]),
        *(Item("in_transit", group) for group in found["in_transit"]),
        *(Item("matched", group) for group in found["matched"]),
        *(Item("settled", row) for row in loose if row["settled"]),
    ]


def cells(item: Item, now: int) -> list[Piece]:
    """One row as cells of COLUMNS, without its mark."""
    doc = item.doc
    if item.is_loose:
        account: Piece = (doc["account"], "text")
        other: Piece = ("?", "warn") if item.state == "unmatched" else (doc["settled"]["as"], "muted")
        source, target = (account, other) if doc["side"] == "OUT" else (other, account)
        why = doc["why"]["code"].lower().replace("_", " ") if item.state == "unmatched" else ""
        near = f"{count(len(doc['candidates']))} near, " if doc["candidates"] else ""
        at, age, why = doc["at"], span(doc["age_s"] * MINUTE_US // 60), near + why
    else:
        source, target = (_accounts(doc["outs"]), "text"), (_accounts(doc["ins"]), "text")
        at, age, why = doc["out_at"], "", _left_over(doc)
    return [
        STATES[item.state], (doc["asset_id"], "text"),
        (quantity(doc["quantity"]), "text"), source,
        target, (day_clock(at, now), "muted"), (age, "muted"), (why, "muted"),
    ]  # fmt: skip


def values(item: Item) -> list[Value]:
    """What the cells stand for; the sign has no value."""
    doc, moved = item.doc, Decimal(item.doc["quantity"])
    ends: tuple[Value, Value]
    if not item.is_loose:
        left = sum(Decimal(row["quantity"]) for row in (*doc["outs"], *doc["ins"]))
        ends = _accounts(doc["outs"]), _accounts(doc["ins"])
        return [None, item.state, doc["asset_id"], moved, *ends, doc["out_at"], None, left or None]
    other = doc["settled"]["as"] if doc["settled"] else None
    ends = (doc["account"], other) if doc["side"] == "OUT" else (other, doc["account"])
    why = doc["why"]["code"] if item.state == "unmatched" else None
    return [None, item.state, doc["asset_id"], moved, *ends, doc["at"], doc["age_s"], why]


def _accounts(rows: Sequence[Document]) -> str:
    return ", ".join(dict.fromkeys(row["account"] for row in rows))


def _left_over(group: Document) -> str:
    left = [quantity(row["quantity"]) for row in (*group["outs"], *group["ins"]) if row["quantity"] != "0"]
    return f"{', '.join(left)} left over" if left else ""


def item_lines(item: Item, width: int) -> list[Line]:
    """All about one row of the list."""
    return _loose_lines(item, width) if item.is_loose else _set_lines(item, width)


def _loose_lines(item: Item, width: int) -> list[Line]:
    row = item.doc
    pairs: list[tuple[str, Line]] = [
        ("state", line(STATES[item.state])),
        ("id", line(row["id"])),
        ("side", line(f"TRANSFER_{row['side']}", ("  of ", "muted"), row["account"])),
        ("left over", line((f"{quantity(row['quantity'])} {row['asset_id']}", "strong"))),
        ("of", line(quantity(row["whole"]))),
        ("at", line(instant(row["at"]), (f"  {span(row['age_s'] * MINUTE_US // 60)} ago", "muted"))),
    ]
    pairs += [(name, line(row[name])) for name in ("tx_hash", "external_id") if row[name]]
    made = [*panels.details(pairs, width), BLANK]
    if row["settled"]:
        made += [line(("Settled", "strong")), *_settled_lines(row["settled"], width), BLANK]
    made.append(line((row["why"]["code"], "warn")))
    made += [line("  ", (part, "muted")) for part in wrapped(row["why"]["text"], width - 2)]
    made += [BLANK, panels.head("What comes near", "m matches" if row["candidates"] else "")]
    if not row["candidates"]:
        made.append(line(("nothing within 2 % and 7 days: s says what it was", "muted")))
    for one in row["candidates"]:
        made += candidate_lines(one, width)
    return made


def _settled_lines(settled: Document, width: int) -> list[Line]:
    worth = [("value", line(f"{quantity(settled['value'])} USD"))] if settled["value"] is not None else []
    about = f"{settled['decision']}, {instant(settled['at'])}"
    return panels.details([("as", line(settled["as"])), *worth, ("decision", line(about))], width)


def candidate_line(one: Document) -> Line:
    """One candidate in a line."""
    hours = one["hours_apart"]
    when = f"{abs(hours):,.1f} h {'later' if hours >= 0 else 'before'}"
    return line(
        (quantity(one["quantity"]), "strong"), f"  {one['account']}",
        (f"  {instant(one['at'])}, {when}  {short(one['id'])}", "muted"),
    )  # fmt: skip


def candidate_lines(one: Document, width: int) -> list[Line]:
    """One candidate, and why it is one."""
    more = "" if one["quantity_diff"] == "0" else f" ({quantity(one['quantity_diff'])})"
    because = one["score_reason"] + more + (", settled" if one["settled"] else "")
    return [candidate_line(one), *(line("  ", (part, "muted")) for part in wrapped(because, width - 2))]


def _set_lines(item: Item, width: int) -> list[Line]:
    group = item.doc
    moved = f"{quantity(group['quantity'])} {group['asset_id']}"
    pairs: list[tuple[str, Line]] = [
        ("state", line(STATES[item.state])),
        ("moved", line((moved, "strong"))),
        ("left", line(instant(group["out_at"]))),
        ("arrives" if item.state == "in_transit" else "arrived", line(instant(group["in_at"]))),
    ]
    if group["cancelled"] != "0":
        pairs.append(("cancelled", line(f"{quantity(group['cancelled'])}, within one account")))
    if group["decisions"]:
        pairs.append(("matched by", line(f"decision {', '.join(map(str, group['decisions']))}")))
    made = panels.details(pairs, width)
    for title, rows in (("OUT", group["outs"]), ("IN", group["ins"])):
        made += [BLANK, panels.head(title)]
        for row in rows:
            left = "" if row["quantity"] == "0" else f"  {quantity(row['quantity'])} left over"
            made += [
                line((quantity(row["whole"]), "strong"), f"  {row['account']}", (left, "warn")),
                line("  ", (f"{instant(row['at'])}  {short(row['id'])}", "muted")),
            ]
    return made


# -- what an act would do -----------------------------------------------------------------------------


def sums(rows: Sequence[Document]) -> list[tuple[str, str]]:
    """How much of each asset."""
    found: dict[str, Decimal] = {}
    for row in rows:
        found[row["asset_id"]] = found.get(row["asset_id"], Decimal(0)) + Decimal(row["quantity"])
    return [(asset, quantity(format(amount, "f"))) for asset, amount in sorted(found.items())]


def settle_lines(rows: Sequence[Document], kind: str, width: int) -> list[Line]:
    """What a settlement covers: how many, how much of what, from when to when."""
    first, last = min(row["at"] for row in rows), max(row["at"] for row in rows)
    told = plural(len(rows), "transfer") + (f" settled as {kind}" if kind else "")
    pairs = [(asset, line((amount, "strong"))) for asset, amount in sums(rows)]
    pairs.append(("accounts", line(_accounts(rows))))
    pairs.append(("dated", line(instant(first) if first == last else f"{instant(first)} to {instant(last)}")))
    return [line((told, "strong")), BLANK, *panels.details(pairs, width)]


def match_lines(plan: Document, width: int) -> list[Line]:
    """What a match moves, and what it leaves over."""
    out, into = plan["out"], plan["in"]
    moved = f"{quantity(plan['moved'])} {out['asset_id']}"
    pairs: list[tuple[str, Line]] = [("moves", line((moved, "strong")))]
    for name, row in (("OUT", out), ("IN", into)):
        left = "" if row["quantity"] == "0" else f"  {quantity(row['quantity'])} left over"
        told = line(f"{quantity(row['whole'])}  {row['account']}  {instant(row['at'])}", (left, "warn"))
        pairs.append((name, told))
    return panels.details(pairs, width)
