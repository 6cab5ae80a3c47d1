"""What is told of lots, as lines: one in a list, a trace with its source rows, an imagined sale. Pure."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from console.screens import panels
from console.screens.rows import decision_lines
from console.text import UNKNOWN, count, instant, money, quantity
from console.widgets.figures import age
from console.widgets.pieces import BLANK, Column, Line, Piece, cut, fitted, line, wrapped

Document = dict[str, Any]

OPEN, REALIZED = "open", "realized"
STATES = (OPEN, REALIZED)
COLUMNS: dict[str, Sequence[Column]] = {
    OPEN: (
        Column("asset", 6), Column("account", 8, grows=2), Column("acquired", 17),
        Column("age", 7, right=True), Column("quantity", 12, right=True, grows=1, prose=True),
        Column("basis USD", 13, right=True), Column("flags", 18, rank=1, grows=2, prose=True),
    ),
    REALIZED: (
        Column("disposed", 17), Column("asset", 6), Column("account", 8, grows=2),
        Column("quantity", 11, right=True, grows=1, prose=True),
        Column("proceeds USD", 12, right=True, rank=2), Column("basis USD", 12, right=True, rank=2),
        Column("gain USD", 12, right=True), Column("term", 7),
        Column("flags", 18, rank=1, grows=2, prose=True),
    ),
}  # fmt: skip
# What the engine sorts by, by a column's word.
SORTS = {
    "asset": "asset_id", "account": "account", "acquired": "acquired_at", "disposed": "disposed_at",
    "quantity": "quantity", "proceeds": "proceeds_usd", "basis": "cost_basis_usd", "gain": "gain_usd",
    "term": "term",
}  # fmt: skip
METHOD_COLUMNS = (
    Column("", 12), *(Column(name, 15, right=True, grows=1) for name in ("FIFO", "LIFO", "HIFO")),
)  # fmt: skip


class Entry(NamedTuple):
    """One line of a trace, and the source row that it names, if it names one."""

    line: Line
    tx: str | None = None


# -- a list -------------------------------------------------------------------------------------------


def lot_cells(row: Document, now: int) -> list[Piece]:
    """One open lot, or one on its way, as cells of its columns."""
    way = ["IN_TRANSIT"] if row["status"] == "in_transit" else []
    return [
        (row["asset_id"], "strong"), (row["account"], "text"), (_minute(row["acquired_at"]), "muted"),
        (age(row["acquired_at"], now), "text"), (quantity(row["quantity"]), "text"),
        (money(row["cost_basis_usd"]), "text"), (" ".join([*way, *row["flags"]]), "warn"),
    ]  # fmt: skip


def piece_cells(row: Document) -> list[Piece]:
    """One realized piece as cells of its columns."""
    return [
        (_minute(row["disposed_at"]), "muted"), (row["asset_id"], "strong"), (row["account"], "text"),
        (quantity(row["quantity"]), "text"), (money(row["proceeds_usd"]), "text"),
        (money(row["cost_basis_usd"]), "text"), gain_piece(row["gain_usd"]),
        (row["term"], "warn" if row["term"] == "unknown" else "muted"), (" ".join(row["flags"]), "warn"),
    ]  # fmt: skip


def gain_piece(gain: str | None) -> Piece:
    """A gain or a loss; the sign tells which, the colour only helps."""
    if gain is None:
        return UNKNOWN, "muted"
    return money(gain).replace("-", "−"), "bad" if Decimal(gain) < 0 else "ok" if Decimal(gain) else "muted"


def _minute(told: str | None) -> str:
    return "unknown" if told is None else f"{told[:10]} {told[11:16]}Z"


def sums_line(state: str, sums: Mapping[str, str | None]) -> Line:
    """The exact sums of all rows under the filter."""
    basis: list[str | Piece] = [("basis ", "muted"), money(sums.get("cost_basis_usd"))]
    if state == OPEN:
        return line(*basis, (" USD", "muted"))
    proceeds: list[str | Piece] = [("proceeds ", "muted"), money(sums.get("proceeds_usd")), "  "]
    return line(*proceeds, *basis, ("  gain ", "muted"), gain_piece(sums.get("gain_usd")), (" USD", "muted"))


def side_lines(row: Document, width: int) -> list[Line]:
    """All that a list knows of a row."""
    pairs = []
    for name, value in row.items():
        shown = " ".join(value) if isinstance(value, list) else value
        if shown not in (None, ""):
            told = instant(shown) if name.endswith("_at") else str(shown)
            pairs.append((name.replace("_usd", " USD").replace("_", " "), line(told)))
    return panels.details(pairs, width)


# -- a trace ------------------------------------------------------------------------------------------


def trace_entries(trace: Document, width: int) -> list[Entry]:
    """A transaction, the lots it took, what became of those it made, and its transfers."""
    made = _source(trace["tx"], "", width)
    if trace["taken"]:
        made += _head("Lots it took")
        for piece in trace["taken"]:
            made += _piece(piece, piece["lot"], "of", width)
    if trace["made"]:
        basis = money(trace["made"]["whole_basis_usd"])
        whole = f"{quantity(trace['made']['whole_quantity'])} for {basis} USD"
        made += _head("What became of it", whole)
        for part in trace["parts"]:
            made += _piece(part, part["by"], "by", width)
    if trace["transfers"]:
        made += _head("The transfer")
        for hop in trace["transfers"]:
            made += [*_source(hop["out"], "out ", width), *_source(hop["in"], "in  ", width)]
    return made


def _head(title: str, about: str = "") -> list[Entry]:
    return [Entry(BLANK), Entry(panels.head(title, about))]


def _piece(piece: Document, source: Document | None, word: str, width: int) -> list[Entry]:
    """A part of a lot: what it is, the row behind it, and what carried it."""
    tx = source["tx"] if source else None
    kind = piece.get("kind") or piece["status"].replace("_", " ")
    gain: list[Piece] = []
    if "gain_usd" in piece:
        gain = [("  gain ", "muted"), gain_piece(piece["gain_usd"])]
    term = f"  {piece['term']}" if piece.get("term") else ""
    flags = f"  {' '.join(piece['flags'])}" if piece["flags"] else ""
    first = line(
        (f"{kind:<11}", "accent"), f"{quantity(piece['quantity'])} {piece['asset_id']}",
        ("  basis ", "muted"), money(piece["cost_basis_usd"]), *gain, (term, "muted"), (flags, "warn"),
    )  # fmt: skip
    made = [Entry(first, tx)]
    if source:
        made += _source(source, f"{word} ", width, lead="  ")
    elif piece.get("kind"):
        made.append(Entry(line(("  of nothing that was held", "warn"))))
    for hop in piece["via"]:
        made += _source(hop["out"], "by ", width, lead="  ")
        made += _source(hop["in"], "to ", width, lead="  ")
    return made


def _source(source: Document, word: str, width: int, lead: str = "") -> list[Entry]:
    """A ledger row in one line, or in two where there is no room."""
    price = f" at {money(source['unit_price_usd'])}" if source["unit_price_usd"] else ""
    fee = f", fee {quantity(source['fee_amount'])} {source['fee_asset']}" if source["fee_asset"] else ""
    what = f"{source['action']} {quantity(source['quantity'])} {source['asset_id']}{price}{fee}"
    place = f"{source['file']} line {count(source['line'])}"
    told = f"{what}, {source['account']}, {instant(source['timestamp'])}, {place}"
    parts = wrapped(told, max(20, width - len(lead) - len(word)))
    return [
        Entry(line(lead, (word if number == 0 else " " * len(word), "muted"), part), source["tx"])
        for number, part in enumerate(parts)
    ]


def explained_lines(found: Document, width: int) -> list[Line]:
    """All about one ledger row: its fields, its file, the text it came as, what was decided on it."""
    tx, file = found["tx"], found["file"]
    pairs = [(name, line(value)) for name, value in tx.items() if value]
    pairs.append(("came with", line(f"{file['name']} line {count(file['line'])}")))
    if found["superseded_by"]:
        pairs.append(("standing", line((f"superseded by {found['superseded_by']}", "warn"))))
    if found["taken_back"]:
        pairs.append(("standing", line(("taken back by a decision: it does not count", "warn"))))
    made = panels.details(pairs, width)
    if found["raw"]:
        made += [BLANK, panels.head("Its line in the file")]
        made += [line((part, "muted")) for part in wrapped(found["raw"], width)]
    if found["decisions"]:
        made += [BLANK, panels.head("Decisions")]
        for decision in found["decisions"]:
            made += decision_lines(decision, width)
    return made


# -- an imagined sale ---------------------------------------------------------------------------------

FIGURES = (
    ("proceeds", "proceeds_usd"), ("basis", "cost_basis_usd"), ("gain", "gain_usd"),
    ("short term", "gain_short_usd"), ("long term", "gain_long_usd"), ("unknown term", "gain_unknown_usd"),
)  # fmt: skip


def imagined_lines(found: Document, width: int) -> list[Line]:
    """An imagined sale under each method side by side."""
    layout, methods = fitted(METHOD_COLUMNS, width), found["methods"]
    missing, made = methods[0]["insufficient"], []
    if missing != "0":
        short = f"! {quantity(missing)} {found['asset_id']} more than is held: that part has no basis"
        made.append(cut(line((short, "bad")), width))
    made.append(layout.head())
    known = all(method["gain_unknown_usd"] == "0" for method in methods)
    for name, key in FIGURES[:-1] if known else FIGURES:
        cells = [gain_piece(m[key]) if "gain" in key else (money(m[key]), "text") for m in methods]
        made.append(layout.row([(name, "muted"), *cells]))
    for name, told in (
        ("taken, left", [f"{count(len(m['lots']))}, {count(m['left']['lots'])} lots" for m in methods]),
        ("left", [quantity(m["left"]["quantity"]) for m in methods]),
        ("its basis", [money(m["left"]["cost_basis_usd"]) for m in methods]),
    ):
        made.append(layout.row([(name, "muted"), *((text, "text") for text in told)]))
    return made
