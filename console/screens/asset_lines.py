"""What is told of assets, as lines: the list, all about one, and those that an act is for. Pure."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from console.screens import panels
from console.screens.ordering import Value
from console.text import UNKNOWN, count, instant, plural, quantity, words
from console.widgets.figures import day_clock
from console.widgets.pieces import BLANK, Column, Line, Piece, line

Document = dict[str, Any]

COLUMNS = (
    Column("", 1), Column("asset", 14, grows=2), Column("status", 9),
    Column("quantity", 14, right=True, grows=1, prose=True),
    Column("keeps NAV unknown", 17), Column("closes", 6, right=True), Column("since", 10, rank=1),
    Column("last price", 13, rank=2, prose=True), Column("accounts", 8, right=True, rank=3),
)  # fmt: skip
SHOWN = 8  # assets named in a question


def cells(row: Document, now: int) -> list[Piece]:
    """One asset's cells, without its mark."""
    blocking, last = row["blocking"], row["last_price"]
    codes = ", ".join(code.lower().replace("_", " ") for code in blocking["reasons"]) if blocking else ""
    return [
        (row["asset_id"], "text"),
        (row["status"], "muted" if row["status"] == "normal" else "mark"),
        (quantity(row["quantity"]), "text"),
        (f"× {codes}" if blocking else "", "warn"),
        (count(blocking["closes"]) if blocking else "", "text"),
        (blocking["first"][:10] if blocking else "", "muted"),
        (day_clock(last["asof"], now) if last else UNKNOWN, "muted"),
        (count(row["accounts"]), "muted"),
    ]


def values(row: Document) -> list[Value]:
    """What the cells stand for."""
    blocking, last = row["blocking"] or {}, row["last_price"] or {}
    return [
        row["asset_id"], row["status"], None if row["quantity"] is None else Decimal(row["quantity"]),
        " ".join(blocking.get("reasons", ())), blocking.get("closes"), blocking.get("first"),
        last.get("asof"), row["accounts"],
    ]  # fmt: skip


def asset_lines(row: Document, width: int) -> list[Line]:
    """All about one asset."""
    blocking, last = row["blocking"], row["last_price"]
    since = f" since {instant(row['since'])}" if row["since"] else ""
    pairs = [
        ("status", line(row["status"] + since)),
        ("quantity", line(f"{quantity(row['quantity'])} in {plural(row['accounts'], 'account')}")),
        ("rows", line(f"{count(row['rows'])}, the first at {instant(row['first_row'])}")),
        ("last price", line(_priced(last) if last else UNKNOWN)),
    ]  # fmt: skip
    if row["price"] is not None:
        pairs.append(("by hand", line(f"{row['price']}, until {instant(row['expires'])}")))
    made = [line((row["asset_id"], "strong")), BLANK, *panels.details(pairs, width)]
    if blocking:
        told = "; ".join(words(code) for code in blocking["reasons"])
        span = f"{instant(blocking['first'])} to {instant(blocking['last'])}"
        made += [BLANK, line(("× keeps NAV from being known", "warn"))]
        at = f"{count(blocking['closes'])} daily closes, {span}"
        made += panels.details([("why", line(told)), ("at", line(at)), ("settle", line(row["act"]))], width)
    return made


def _priced(last: Document) -> str:
    return f"{instant(last['asof'])} in {last['quote']} by {last['source']}"


def chosen_lines(rows: Sequence[Document], width: int) -> list[Line]:
    """The assets that an act is for."""
    named = [line((row["asset_id"][:width], "strong")) for row in rows[:SHOWN]]
    more = [line((f"and {count(len(rows) - SHOWN)} more", "muted"))] if len(rows) > SHOWN else []
    return [*named, *more, BLANK]
