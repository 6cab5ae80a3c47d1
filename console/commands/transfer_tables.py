"""Transfers as tables: matched, in transit, unmatched with what comes near; what an act did or would do."""

from collections.abc import Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from console.commands.grid import (
    GOOD,
    QUIET,
    ROWS_SHOWN,
    WARN,
    Column,
    Grid,
    hint,
    pairs,
    rest,
    section,
    show,
    text,
)
from console.text import count, instant, plural, quantity
from console.widgets.figures import MINUTE_US, span

Document = dict[str, Any]

SET_COLUMNS = (
    Column("out"), Column("asset", least=6), Column("quantity", right=True), Column("from", least=8),
    Column("to", least=8), Column("left"), Column("arrived"), Column("left over", right=True, rank=1),
    Column("by", rank=2),
)  # fmt: skip
LOOSE_COLUMNS = (
    Column("id"), Column("side"), Column("account", least=8), Column("asset", least=6),
    Column("left over", right=True), Column("of", right=True, rank=2), Column("at"),
    Column("age", right=True, rank=1), Column("why"),
)  # fmt: skip
NEAR_COLUMNS = (
    Column("id"), Column("may go with"), Column("account", least=8), Column("quantity", right=True),
    Column("more", right=True, rank=1), Column("hours apart", right=True, rank=2), Column("because"),
)  # fmt: skip


# -- looking ------------------------------------------------------------------------------------------


def listed(document: Document) -> None:
    """`transfers list`."""
    counts = document["counts"]
    parts: list[RenderableType] = []
    for state, title in (("matched", "matched"), ("in_transit", "in transit")):
        if document[state]:
            told = f"{plural(counts[state], 'transfer')} {title}"
            parts.append(section(told, Grid(SET_COLUMNS, map(_set_row, document[state])),
                                 *_more(document[state], counts[state])))  # fmt: skip
    loose = document["unmatched"]
    settled = [row for row in loose if row["settled"]]
    waiting = [row for row in loose if not row["settled"]]
    if waiting:
        parts += _unmatched(waiting, counts["unmatched"])
    if settled:
        title = f"{plural(counts['settled'], 'transfer')} settled"
        rows = [[*_loose_row(row)[:-1], _settled(row["settled"])] for row in settled]
        columns = (*LOOSE_COLUMNS[:-1], Column("as"))
        parts.append(section(title, Grid(columns, rows), *_more(settled, counts["settled"])))
    show(*(parts or [text("✓ no such transfer" if any(counts.values()) else "No transfer.", "")]))


def _more(rows: Sequence[Document], total: int) -> list[RenderableType]:
    others = total - len(rows)
    return [hint(f"{count(others)} others; --limit and --offset choose")] if others else []


def _set_row(group: Document) -> list[Text | str]:
    left = [row["quantity"] for row in (*group["outs"], *group["ins"]) if row["quantity"] != "0"]
    by = "operator" if group["decisions"] else ""
    return [
        group["id"], group["asset_id"], quantity(group["quantity"]), _accounts(group["outs"]),
        _accounts(group["ins"]), instant(group["out_at"]), instant(group["in_at"]),
        text("\n".join(map(quantity, left)), WARN), by,
    ]  # fmt: skip


def _accounts(rows: Sequence[Document]) -> str:
    return ", ".join(dict.fromkeys(row["account"] for row in rows))


def _unmatched(rows: Sequence[Document], total: int) -> list[RenderableType]:
    grid = Grid(LOOSE_COLUMNS, map(_loose_row, rows))
    parts: list[RenderableType] = [
        section(f"{plural(total, 'transfer')} unmatched", grid, *_more(rows, total))
    ]
    reasons = {row["why"]["code"]: row["why"]["text"] for row in rows}
    parts.append(pairs((code, told) for code, told in sorted(reasons.items())))
    near = [(row, one) for row in rows for one in row["candidates"]]
    if near:
        grid = Grid(NEAR_COLUMNS, [_near_row(row, one) for row, one in near[:ROWS_SHOWN]])
        parts += [Text(""), section("What comes near", grid, *rest(near, "--json has each"))]
    return [*parts, *_next_acts(rows)]


def _loose_row(row: Document) -> list[Text | str]:
    return [
        *_row(row), span(row["age_s"] * MINUTE_US // 60), text(row["why"]["code"], WARN),
    ]  # fmt: skip


def _near_row(row: Document, one: Document) -> list[Text | str]:
    because = one["score_reason"] + (", settled" if one["settled"] else "")
    return [
        row["id"], one["id"], one["account"], quantity(one["quantity"]), quantity(one["quantity_diff"]),
        f"{one['hours_apart']:,.2f}", text(because, QUIET),
    ]  # fmt: skip


def _settled(settled: Document) -> Text:
    worth = f" at {quantity(settled['value'])} USD" if settled["value"] is not None else ""
    return text(f"{settled['as']}{worth}", QUIET)


def _next_acts(rows: Sequence[Document]) -> list[RenderableType]:
    with_near = next((row for row in rows if row["candidates"]), None)
    acts = []
    if with_near:
        ids = (with_near["id"], with_near["candidates"][0]["id"])
        out, into = ids if with_near["side"] == "OUT" else ids[::-1]
        acts.append(f"navdeck transfers match {out} {into} --reason WHY")
    kind = "withdrawal" if rows[0]["side"] == "OUT" else "deposit"
    acts.append(f"navdeck transfers settle {rows[0]['id']} --as {kind} --reason WHY")
    return [hint(act) for act in acts]


# -- acting -------------------------------------------------------------------------------------------


def matched(document: Document, dry_run: bool) -> None:
    """`transfers match`."""
    out, into = document["out"], document["in"]
    told = f"{quantity(document['moved'])} {out['asset_id']} from {out['account']} to {into['account']}"
    parts: list[RenderableType] = [text(f"✓ {'would be ' * dry_run}matched: {told}", GOOD)]
    parts.append(pairs([("OUT", _side(out)), ("IN", _side(into))]))
    show(*parts, *_afterwards(document, dry_run))


def _side(row: Document) -> str:
    left = "nothing" if row["quantity"] == "0" else quantity(row["quantity"])
    return f"{row['id']}, {quantity(row['whole'])} at {instant(row['at'])}; {left} left over"


def settled(document: Document, dry_run: bool) -> None:
    """`transfers settle`."""
    rows = document["rows"]
    parts: list[RenderableType] = []
    if rows:
        grid = Grid(LOOSE_COLUMNS[:7], [_row(row) for row in rows[:ROWS_SHOWN]])
        parts += [grid, *rest(rows, "--json has each"), Text("")]
        worth = f" at {quantity(document['value'])} USD" if document["value"] is not None else ""
        done = f"{plural(document['settled'], 'transfer')} {'would be ' * dry_run}settled as {document['as']}"
        parts.append(text(f"✓ {done}{worth}", GOOD))
        parts.append(pairs((one["asset_id"], quantity(one["quantity"])) for one in document["totals"]))
    elif not document["already"]:
        parts.append(text("Nothing is left over that is so small; nothing was settled."))
    if document["already"]:
        parts.append(text(f"= {plural(len(document['already']), 'transfer')} settled so before", QUIET))
    show(*parts, *_afterwards(document, dry_run))


def _row(row: Document) -> list[str]:
    return [
        row["id"], row["side"], row["account"], row["asset_id"], quantity(row["quantity"]),
        quantity(row["whole"]), instant(row["at"]),
    ]  # fmt: skip


def _afterwards(document: Document, dry_run: bool) -> list[RenderableType]:
    made = document["decisions"]
    if dry_run:
        return [text("Nothing was stored.")]
    if not made:
        return []
    named = f"decision {made[0]}" if len(made) == 1 else f"decisions {made[0]} to {made[-1]}"
    back = "navdeck undo takes it back" if len(made) == 1 else "navdeck undo --whole takes them back"
    return [hint(f"recorded as {named}; {back}"), hint("navdeck value")]
