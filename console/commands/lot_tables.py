"""Reports, traces of lots, their values and imagined sales as tables for people. No figure is made here."""

from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from console.commands.grid import (
    BAD,
    GOOD,
    QUIET,
    ROWS_SHOWN,
    WARN,
    Column,
    Grid,
    counted,
    figure,
    hint,
    legend,
    pairs,
    rest,
    section,
    show,
    text,
)
from console.text import UNKNOWN, count, instant, money, plural, quantity, safe_text

Document = dict[str, Any]
DAY_S = 86_400
TERMS = ("short", "long", "unknown")
EACH = "--json has each"


# -- reports ------------------------------------------------------------------------------------------

GAIN_COLUMNS = (
    Column("pieces", right=True, rank=3), Column("proceeds USD", right=True, rank=1),
    Column("basis USD", right=True, rank=1), Column("short term USD", right=True, brief="short"),
    Column("long term USD", right=True, brief="long"),
    Column("unknown term USD", right=True, brief="unknown"), Column("gain USD", right=True),
    Column("flagged", right=True, rank=2), Column("unpriced", right=True, rank=2),
)  # fmt: skip
PIECE_COLUMNS = (
    Column("disposed"), Column("acquired", rank=2), Column("account", least=8, rank=4),
    Column("asset", least=6), Column("as", rank=5), Column("quantity", right=True),
    Column("proceeds USD", right=True, rank=3), Column("basis USD", right=True, rank=3),
    Column("gain USD", right=True), Column("term"), Column("flags", least=12, rank=6, wraps=True),
)  # fmt: skip
INCOME_COLUMNS = tuple(Column(name, right=True) for name in ("rows", "unvalued", "income USD"))
INCOME_ROW_COLUMNS = (
    Column("at"), Column("account", least=8, rank=2), Column("asset", least=6), Column("kind", rank=1),
    Column("quantity", right=True), Column("income USD", right=True),
)  # fmt: skip


def gains(document: Document) -> None:
    """`report gains`."""
    rows = document["rows"]
    total = _gain_cells(document["total"])
    if document["by"] == "row":
        shown = Grid(PIECE_COLUMNS, [_piece_cells(row) for row in rows[:ROWS_SHOWN]])
    else:
        shown = _grouped(document, GAIN_COLUMNS, [_gain_cells(row) for row in rows[:ROWS_SHOWN]], total)
    parts: list[RenderableType] = [_section("Realized gains", document, shown)]
    parts.append(text(_term_told(document), QUIET))
    if document["total"]["unpriced"]:
        told = f"! {plural(document['total']['unpriced'], 'fee')} in kind without a market price: at basis"
        parts.append(text(told, WARN))
    flags = counted(row.get("flags", []) for row in rows)
    show(*parts, *([legend(flags, "flag")] if flags else []))


def _section(what: str, document: Document, shown: Grid) -> Group:
    zone = safe_text(document["timezone"])
    title = f"{what} by {document['by']}, {document['method']}, dates of {zone}"
    rows = document["rows"]
    more = rest(rows, "--year, --account and --asset narrow them, --to writes them all")
    return section(title, *([shown] if rows else [text("none", QUIET)]), *more)


def _term_told(document: Document) -> str:
    fees = {"basis": "the basis of its lots", "market": "market, where a price is known"}
    return (
        f"Long term: held longer than {document['holding']}. A fee in kind of unknown value is told at"
        f" {fees[document['fee_in_kind']]}."
    )


def _grouped(
    document: Document, columns: tuple[Column, ...], cells: list[list[Text]], total: list[Text]
) -> Grid:
    key = document["columns"][0]
    names = [text(row[key]) for row in document["rows"][:ROWS_SHOWN]]
    lines = [[name, *line] for name, line in zip(names, cells, strict=True)]
    return Grid((Column(document["by"], least=6), *columns), [*lines, [text("all", "bold"), *total]])


def _gain_cells(row: Document) -> list[Text]:
    amounts = ["proceeds_usd", "cost_basis_usd", *(f"gain_{term}_usd" for term in TERMS), "gain_usd"]
    return [
        figure(count(row["pieces"])), *(figure(money(row[name])) for name in amounts),
        figure(count(row["flagged"])), figure(count(row["unpriced"])),
    ]  # fmt: skip


def _piece_cells(row: Document) -> list[Text | str]:
    amounts = (figure(money(row[name])) for name in ("proceeds_usd", "cost_basis_usd", "gain_usd"))
    return [
        instant(row["disposed_at"]), instant(row["acquired_at"]), row["account"], row["asset_id"],
        row["kind"], figure(quantity(row["quantity"])), *amounts, row["term"],
        text(" ".join(row["flags"]), QUIET),
    ]  # fmt: skip


def income(document: Document) -> None:
    """`report income`."""
    rows, total = document["rows"], document["total"]
    if document["by"] == "row":
        shown = Grid(INCOME_ROW_COLUMNS, [_income_row(row) for row in rows[:ROWS_SHOWN]])
    else:
        cells = [_income_cells(row) for row in rows[:ROWS_SHOWN]]
        shown = _grouped(document, INCOME_COLUMNS, cells, _income_cells(total))
    parts: list[RenderableType] = [_section("Income", document, shown)]
    if total["unvalued"]:
        told = f"! {plural(total['unvalued'], 'row')} of unknown value: counted apart, never added as 0"
        parts.append(text(told, WARN))
    show(*parts)


def _income_cells(row: Document) -> list[Text]:
    return [figure(count(row["count"])), figure(count(row["unvalued"])), figure(money(row["income_usd"]))]


def _income_row(row: Document) -> list[Text | str]:
    return [
        instant(row["at"]), row["account"], row["asset_id"], row["kind"],
        figure(quantity(row["quantity"])), figure(money(row["income_usd"])),
    ]  # fmt: skip


def written(document: Document) -> None:
    """A report that went into a file."""
    show(text(f"✓ wrote {plural(document['rows'], 'row')} to {document['to']}", GOOD))


REPORTS = {"gains": gains, "income": income}


# -- lots at a bucket ---------------------------------------------------------------------------------

VALUED_COLUMNS = (
    Column("account", least=8), Column("asset", least=6), Column("acquired", rank=2),
    Column("days", right=True, rank=1), Column("term", rank=3), Column("quantity", right=True),
    Column("basis USD", right=True), Column("value USD", right=True), Column("gain USD", right=True),
    Column("", least=8),
)  # fmt: skip


def valued(document: Document) -> None:
    """`lots --at`."""
    lots = [*document["open_lots"], *document["in_transit"]]
    total = document["total"]
    shown = Grid(VALUED_COLUMNS, [_valued_cells(lot) for lot in lots[:ROWS_SHOWN]]) if lots else text("none")
    title = f"{plural(len(lots), 'lot')} at the {document['resolution']} close {instant(document['at'])}"
    told = f"basis {money(total['cost_basis_usd'])}, worth {money(total['value_usd'])}"
    told += f", unrealized gain {money(total['unrealized_gain_usd'])} USD"
    parts: list[RenderableType] = [
        section(f"{title}, {document['method']}", shown, *rest(lots, EACH)),
        text(told),
    ]
    if total["unvalued"]:
        known = f"{money(total['priced_value_usd'])} and {money(total['priced_gain_usd'])} USD"
        less = f"! {plural(total['unvalued'], 'lot')} cannot be valued; worth and gain of the others: {known}"
        reasons = counted([lot["reason"]] for lot in lots if lot["reason"])
        parts += [text(less, WARN), Text(""), legend(reasons, "reason")]
    show(*parts)


def _valued_cells(lot: Document) -> list[Text | str]:
    days = UNKNOWN if lot["age_s"] is None else count(lot["age_s"] // DAY_S)
    amounts = (figure(money(lot[name])) for name in ("cost_basis_usd", "value_usd", "unrealized_gain_usd"))
    return [
        lot["account"], lot["asset_id"], instant(lot["acquired_at"]), figure(days), lot["term"],
        figure(quantity(lot["quantity"])), *amounts, text(lot["reason"] or "", WARN),
    ]  # fmt: skip


# -- an imagined sale ---------------------------------------------------------------------------------

TAKEN_COLUMNS = (
    Column("method"), Column("acquired"), Column("term", rank=1), Column("quantity", right=True),
    Column("basis USD", right=True), Column("gain USD", right=True), Column("flags", least=12, rank=2),
)  # fmt: skip


def imagined(document: Document) -> None:
    """`what-if`."""
    sale = f"{quantity(document['quantity'])} {document['asset_id']} at {money(document['price_usd'])} USD"
    title = f"If {document['account']} sold {sale}, {instant(document['at'])}"
    heads = [Column(column["method"], right=True) for column in document["methods"]]
    rows: list[Sequence[Text | str]] = [
        (name, *(figure(money(column[key])) for column in document["methods"]))
        for name, key in (
            ("proceeds", "proceeds_usd"), ("basis", "cost_basis_usd"), ("gain", "gain_usd"),
            ("short term", "gain_short_usd"), ("long term", "gain_long_usd"),
            ("unknown term", "gain_unknown_usd"),
        )
    ]  # fmt: skip
    rows.append(("lots taken", *(figure(count(len(column["lots"]))) for column in document["methods"])))
    rows.append(("lots left", *(figure(count(column["left"]["lots"])) for column in document["methods"])))
    rows.append(("left", *(figure(quantity(column["left"]["quantity"])) for column in document["methods"])))
    rows.append(("its basis", *(figure(money(c["left"]["cost_basis_usd"])) for c in document["methods"])))
    taken = [_taken_cells(column["method"], lot) for column in document["methods"] for lot in column["lots"]]
    lots = Grid(TAKEN_COLUMNS, taken[:ROWS_SHOWN])
    parts = [
        section(safe_text(title), Grid((Column("USD"), *heads), rows)),
        section("Lots it would take", lots, *rest(taken, EACH)),
    ]
    missing = document["methods"][0]["insufficient"]
    short = f"! {quantity(missing)} {document['asset_id']} more than is held: that part has no basis"
    warned = [] if missing == "0" else [text(short, BAD), Text("")]
    told = "Nothing is stored. Each column books the whole history by its method."
    show(*warned, *parts, text(told, QUIET))


def _taken_cells(method: str, lot: Document) -> list[Text | str]:
    amounts = (figure(money(lot[name])) for name in ("cost_basis_usd", "gain_usd"))
    return [
        method, instant(lot["acquired_at"]), lot["term"], figure(quantity(lot["quantity"])), *amounts,
        text(" ".join(lot["flags"]), QUIET),
    ]  # fmt: skip


# -- a trace ------------------------------------------------------------------------------------------

LOT_COLUMNS = (
    Column("as"), Column("quantity", right=True), Column("basis USD", right=True),
    Column("gain USD", right=True), Column("term", rank=2), Column("lot of", least=18), Column("acquired"),
    Column("file", least=10, rank=1), Column("line", right=True, rank=1),
    Column("by way of", least=8, rank=3, wraps=True),
)  # fmt: skip
PART_COLUMNS = (
    Column("now"), Column("account", least=8), Column("quantity", right=True),
    Column("basis USD", right=True), Column("gain USD", right=True), Column("at", rank=1),
    Column("by", least=18),
    Column("file", least=10, rank=2), Column("line", right=True, rank=2),
    Column("by way of", least=8, rank=3, wraps=True),
)  # fmt: skip


def explained(document: Document) -> None:
    """`lots --explain`."""
    facts = [(name, value) for name, value in document["tx"].items() if value not in (None, "")]
    found = [*_taken(document), *_became(document), *_transfers(document)]
    none = text("It took no lots and made none: cash, a row that does not count, or unmatched.", QUIET)
    more = hint("navdeck explain TX tells a row as it came, and what was decided on it")
    show(pairs(facts), Text(""), *(found or [none]), more)


def _taken(document: Document) -> list[RenderableType]:
    lots = [_lot_cells(piece) for piece in document["taken"]]
    return [section("Lots it took", Grid(LOT_COLUMNS, lots[:ROWS_SHOWN]), *rest(lots, EACH))] if lots else []


def _became(document: Document) -> list[RenderableType]:
    made = document["made"]
    if not made:
        return []
    fee = made["fee_in_basis_usd"]
    fees = "" if fee in (None, "0") else f", {money(fee)} of it fees"
    whole = f"{quantity(made['whole_quantity'])} for {money(made['whole_basis_usd'])} USD{fees}"
    parts = [_part_cells(part) for part in document["parts"]]
    grid = Grid(PART_COLUMNS, parts[:ROWS_SHOWN])
    return [section(f"What became of it: {whole}", grid, *rest(parts, EACH))]


def _transfers(document: Document) -> list[RenderableType]:
    hops = [text(_hop(hop)) for hop in document["transfers"]]
    return [section("The transfer", *hops[:ROWS_SHOWN], *rest(hops, EACH))] if hops else []


def _lot_cells(piece: Document) -> list[Text | str]:
    lot = piece["lot"] or {}
    return [
        piece["kind"], figure(quantity(piece["quantity"])), figure(money(piece["cost_basis_usd"])),
        figure(money(piece["gain_usd"])), piece["term"], lot.get("tx") or text("nothing: not held", WARN),
        instant(piece["acquired_at"]), lot.get("file", ""), count(lot["line"]) if lot else "", _way(piece),
    ]  # fmt: skip


def _part_cells(part: Document) -> list[Text | str]:
    by = part["by"] or {}
    return [
        part["status"].replace("_", " "), part["account"], figure(quantity(part["quantity"])),
        figure(money(part["cost_basis_usd"])), figure(money(part["gain_usd"])) if "gain_usd" in part else "",
        instant(part["at"]) if part["at"] else "", by.get("tx", ""), by.get("file", ""),
        count(by["line"]) if by else "", _way(part),
    ]  # fmt: skip


def _way(part: Document) -> str:
    return " → ".join(hop["out"]["account"] for hop in part["via"])


def _hop(hop: Document) -> str:
    out, into = hop["out"], hop["in"]
    return (
        f"{quantity(hop['quantity'])} {out['asset_id']} from {out['account']}, {out['file']} line"
        f" {count(out['line'])}, to {into['account']}, {into['file']} line {count(into['line'])}"
    )
