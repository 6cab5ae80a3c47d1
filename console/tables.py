"""Answers as tables for people. Data is shown as text only: never as markup, never as control codes.

A table takes the width there is: names are cut in the middle, columns that matter least are left out, and
where even the rest has no room, each row becomes a few lines. Amounts and instants are never cut.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from itertools import groupby
from typing import Any, Literal

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from console.text import UNKNOWN, count, instant, money, plural, quantity, safe_text, shorten, words

ROWS_SHOWN = 40  # of a long table; the rest is told by count and had with --json
PIPED_WIDTH = 120  # cells, where no terminal says its own
GAP = 2  # cells between columns
NATURAL_MOST = 60  # cells; a column that may be cut asks for no more
GOOD, WARN, BAD, QUIET = "green", "yellow", "red", "dim"
EXACT = Context(prec=100)  # sums of at most 38 digits each, never rounded

Document = dict[str, Any]


def show(*parts: RenderableType) -> None:
    """Prints to stdout, as wide as the terminal, with colours only where it has them."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPED_WIDTH)
    with console.capture() as captured:
        console.print(Group(*parts))
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


# -- the parts of a page ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `least`: cells that it may be cut down to; 0: it is never cut.

    `rank`: the highest is left out first; 0: never. `wraps`: it is folded between words instead of cut.
    `brief`: its head where room is short.
    """

    name: str
    right: bool = False
    least: int = 0
    rank: int = 0
    wraps: bool = False
    brief: str = ""

    def head(self, brief: bool) -> str:
        return self.brief or self.name if brief else self.name


class Grid:
    """Rows under heads, fitted to the width there is when it is drawn. An empty column is left out."""

    def __init__(self, columns: Sequence[Column], rows: Iterable[Sequence[Text | str]]) -> None:
        self._columns = columns
        self._rows = [[cell if isinstance(cell, Text) else text(cell) for cell in row] for row in rows]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        plan = self._plan(options.max_width)
        yield from self._stacked() if plan is None else [self._table(*plan)]

    def _plan(self, width: int) -> tuple[bool, dict[int, int]] | None:
        """Whether heads are brief, and the width of each column that is shown; None if it cannot be."""
        shown = [place for place in range(len(self._columns)) if any(row[place].plain for row in self._rows)]
        while True:
            for brief in (False, True):
                widths = {place: self._natural(place, brief) for place in shown}
                if self._fit(widths, width - GAP * (len(shown) - 1), shrinking=brief, brief=brief):
                    return brief, widths
            rank, last = max((self._columns[place].rank, place) for place in shown)
            if rank == 0:
                return None
            shown.remove(last)

    def _natural(self, place: int, brief: bool) -> int:
        column = self._columns[place]
        lines = (line for row in self._rows for line in row[place].plain.split("\n"))
        widest = max(map(cell_len, lines), default=0)
        return max(min(widest, NATURAL_MOST) if column.least else widest, cell_len(column.head(brief)))

    def _fit(self, widths: dict[int, int], room: int, shrinking: bool, brief: bool) -> bool:
        """Makes the widths fit into `room`, by cutting the widest that may be cut."""
        least = {place: max(self._columns[place].least, cell_len(self._columns[place].head(brief)))
                 for place in widths if self._columns[place].least and shrinking}  # fmt: skip
        for _ in range(sum(widths.values()) - room):
            cuttable = [place for place in least if widths[place] > least[place]]
            if not cuttable:
                return False
            widths[max(cuttable, key=lambda place: widths[place])] -= 1
        return True

    def _table(self, brief: bool, widths: dict[int, int]) -> Table:
        made = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False)
        for place, width in widths.items():
            column = self._columns[place]
            side: Literal["right", "left"] = "right" if column.right else "left"
            made.add_column(column.head(brief), justify=side, width=width, no_wrap=not column.wraps)
        for row in self._rows:
            made.add_row(*(self._cell(row[place], place, width) for place, width in widths.items()))
        return made

    def _cell(self, cell: Text, place: int, width: int) -> Text:
        if self._columns[place].wraps or not self._columns[place].least:
            return cell
        return Text("\n".join(shorten(line, width) for line in cell.plain.split("\n")), style=cell.style)

    def _stacked(self) -> Iterator[RenderableType]:
        for row in self._rows:
            named = zip((column.name for column in self._columns), row, strict=True)
            yield pairs((name, cell) for name, cell in named if cell.plain)
            yield Text("")


def text(value: object, style: str = "") -> Text:
    """Data as a cell or line."""
    return Text(safe_text(value), style=style, overflow="fold")


def figure(told: str) -> Text:
    """A figure as a cell; what is unknown or nothing is quiet."""
    return Text(told, style=QUIET if told in (UNKNOWN, "0") else "")


def pairs(rows: Iterable[tuple[str, object]]) -> Table:
    """Names and values, two columns without a head."""
    made = Table.grid(padding=(0, GAP, 0, 0), pad_edge=False)
    made.add_column(style=QUIET, no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in rows:
        made.add_row(name, value if isinstance(value, Text) else text(value))
    return made


def section(title: str, *parts: RenderableType) -> Group:
    """A title, what stands under it, and an empty line."""
    return Group(Text(title, style="bold"), *parts, Text(""))


def hint(told: str) -> Text:
    """What to do next."""
    return text(f"→ {told}", QUIET)


def rest(rows: Sequence[Any], how: str) -> list[RenderableType]:
    """The line under a table that shows only some of its rows."""
    return [hint(f"{count(len(rows) - ROWS_SHOWN)} more; {how}")] if len(rows) > ROWS_SHOWN else []


def legend(counts: dict[str, int], what: str, style: str = QUIET) -> Grid:
    """Codes with how often they occur and what they mean, most frequent first."""
    columns = (Column(what), Column("count", right=True), Column("what it means", least=24, wraps=True))
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    rows = [(text(code, style), figure(count(number)), words(code)) for code, number in ordered]
    return Grid(columns, rows)


def counted(lists: Iterable[Iterable[str]]) -> dict[str, int]:
    """How often each code occurs in lists of codes."""
    counts: dict[str, int] = {}
    for codes in lists:
        for code in codes:
            counts[code] = counts.get(code, 0) + 1
    return counts


def total(amounts: Iterable[str | None]) -> str | None:
    """An exact sum; unknown if a part is unknown."""
    summed = Decimal(0)
    for amount in amounts:
        if amount is None:
            return None
        summed = EXACT.add(summed, Decimal(amount))
    told = format(summed, "f")
    return told.rstrip("0").rstrip(".") if "." in told else told


# -- init, ingest, value ------------------------------------------------------------------------------


def made_home(document: Document) -> None:
    """`init`."""
    fixed = [("base currency", "base_currency"), ("time zone", "timezone"), ("lot method", "lot_method")]
    show(
        text(f"✓ made a home at {document['home']}", GOOD),
        pairs((name, document[key]) for name, key in fixed),
        hint("navdeck ingest FILE…, or put files into its inbox/ and run navdeck ingest"),
    )


STATUSES = {
    "ingested": ("✓ ingested", GOOD), "duplicate": ("= duplicate", QUIET), "rejected": ("✗ rejected", BAD),
}  # fmt: skip
FILE_COUNTS = ("rows", "accepted", "duplicates", "quarantined", "fees_created")
FILE_COLUMNS = (
    Column("file", least=24), Column("kind", rank=2), Column("status"), Column("rows", right=True),
    Column("accepted", right=True), Column("duplicates", right=True, brief="dupl."),
    Column("quarantined", right=True, brief="quar."), Column("fees made", right=True, rank=1, brief="fees"),
)  # fmt: skip


def ingested(document: Document) -> None:
    """`ingest`."""
    show(*came_in(document))


def came_in(document: Document) -> list[RenderableType]:
    """The files of an ingest, their sums, what was refused or left, and quarantine by reason."""
    parts: list[RenderableType] = []
    if document["files"]:
        parts += [Grid(FILE_COLUMNS, [_file_row(entry) for entry in document["files"]]), Text("")]
    else:
        parts.append(text("Nothing to take in: the inbox is empty.", WARN))
    parts.append(text(_sums(document["totals"])))
    parts += [text(f"✗ {_name(entry)}: {entry['reason']}, {entry['detail'] or words(entry['reason'])}", BAD)
              for entry in document["files"] if entry["status"] == "rejected"]  # fmt: skip
    if document.get("waiting"):
        parts.append(text(f"! not taken, neither .csv nor .parquet: {', '.join(document['waiting'])}", WARN))
    reasons: dict[str, int] = {}
    for entry in document["files"]:
        for code, rows in entry["reasons"].items():
            reasons[code] = reasons.get(code, 0) + rows
    if reasons:
        parts += [Text(""), section("Set aside in quarantine, by reason", legend(reasons, "reason", WARN))]
        parts.append(hint("navdeck quarantine list"))
    return parts


def _name(entry: Document) -> str:
    return str(entry["path"]).rsplit("/", 1)[-1]


def _file_row(entry: Document) -> list[Text | str]:
    told, style = STATUSES[entry["status"]]
    counts = (figure(count(entry[name])) for name in FILE_COUNTS)
    return [_name(entry), entry["kind"] or UNKNOWN, Text(told, style), *counts]


def _sums(totals: Document) -> str:
    rows, accepted, duplicates, quarantined, fees = (count(totals[name]) for name in FILE_COUNTS)
    made = f", and {fees} fees made from them" if totals["fees_created"] else ""
    return f"{rows} rows = {accepted} accepted + {duplicates} duplicates + {quarantined} quarantined{made}."


def valued(document: Document) -> None:
    """`value`."""
    names = ("buckets", "complete", "snapshots")
    columns = [Column("resolution"), *(Column(name, right=True) for name in names)]
    rows = [[resolution, *(figure(count(sums[name])) for name in names)]
            for resolution, sums in document["resolutions"].items()]  # fmt: skip
    took = text(f"{plural(document['snapshots'], 'snapshot')} in {document['seconds']} s")
    show(Grid(columns, rows), Text(""), took, hint("navdeck nav"))


# -- nav ----------------------------------------------------------------------------------------------

NAV_COLUMNS = (
    Column("close"), Column("NAV", right=True), Column("priced", right=True),
    Column("covered", right=True, brief="cov."), Column("", least=14, wraps=True),
    Column("unmatched", right=True, rank=3), Column("flags", least=24, rank=2, wraps=True),
)  # fmt: skip


def nav(document: Document) -> None:
    """`nav`."""
    points = document["points"]
    if not points:
        show(text("There are no values here yet.", WARN), hint("navdeck value"))
        return
    title = f"NAV in {safe_text(document['base_currency'])} at {document['resolution']} closes"
    shown = Grid(NAV_COLUMNS, [_point_row(point) for point in points[-ROWS_SHOWN:]])
    show(section(title, shown, *rest(points, "the last are shown; --from and --to choose, --json has all")),
         *nav_words(document), *([_marks(points)] if _codes(points) else []), *_stale(document))  # fmt: skip


def _point_row(point: Document) -> list[Text | str]:
    unknown = point["nav"] is None
    state = Text("✓", GOOD)
    if unknown:
        state = text(f"✗ {why(point)}", BAD if not point["held"] else WARN)
    elif "PROVISIONAL" in point["flags"]:
        state = Text("~ provisional", WARN)
    flags = " ".join(flag for flag in point["flags"] if flag != "PROVISIONAL")
    amounts = (point[name] for name in ("nav", "priced_value", "unmatched_value"))
    nav, priced, unmatched = (figure(money(amount)) for amount in amounts)
    covered = figure(f"{point['coverage']:.0%}")
    return [instant(point["bucket_close"]), nav, priced if unknown else "", covered, state,
            "" if point["unmatched_value"] == "0" else unmatched, text(flags, QUIET)]  # fmt: skip


def why(point: Document) -> str:
    """What keeps a point from being complete, in one line."""
    parts = [" ".join(point["reasons"])]
    parts += [_few(point["missing"])] if point["missing"] else []
    return " · ".join(parts + ([f"held {_few(point['held'])}"] if point["held"] else []))


def _few(names: Sequence[str]) -> str:
    return " ".join(names[:3]) + (f" +{len(names) - 3}" if len(names) > 3 else "")


def nav_words(document: Document) -> list[RenderableType]:
    """How much of a series is complete, and what provisional means in money."""
    points = document["points"]
    complete = sum(point["nav"] is not None for point in points)
    told = f"{count(complete)} of {plural(len(points), 'point')} complete."
    if document["cash"] == "external":
        told += " Cash is outside: this is the NAV of holdings without cash."
    open_points = [point for point in points if "PROVISIONAL" in point["flags"]]
    return [text(told), *([_provisional(open_points, document["base_currency"])] if open_points else [])]


def _provisional(points: list[Document], base: str) -> Text:
    last = points[-1]
    worth = UNKNOWN if last["unmatched_value"] is None else f"{money(last['unmatched_value'])} {base}"
    return text(
        f"~ provisional, {plural(len(points), 'point')}: a transfer lacks its other side. What such transfers"
        f" moved is worth {worth} at {instant(last['bucket_close'])}; it puts itself right when the other"
        " side comes in.",
        WARN,
    )


def _codes(points: list[Document]) -> dict[str, int]:
    counts = counted([*point["reasons"], *point["flags"]] for point in points)
    counts.pop("PROVISIONAL", None)  # has a sentence of its own
    return counts


def _marks(points: list[Document]) -> Group:
    return Group(Text(""), legend(_codes(points), "reason or flag"))


def _stale(document: Document) -> list[RenderableType]:
    stale = text("! files were ingested since these were computed", WARN)
    return [Text(""), stale, hint("navdeck value")] if document["stale"] else []


# -- lots ---------------------------------------------------------------------------------------------

LOT_COLUMNS = (
    Column("account", least=8), Column("asset", least=6), Column("acquired"), Column("quantity", right=True),
    Column("cost basis USD", right=True, brief="basis USD"), Column("flags", least=18, rank=1, wraps=True),
)  # fmt: skip
GAINS = ("proceeds_usd", "cost_basis_usd", "gain_usd")


def lots(document: Document) -> None:
    """`lots`."""
    held, realized = document["open_lots"], document["realized"]
    narrow = "--account or --asset narrow them, --json has each"
    parts: list[RenderableType] = []
    if len(held) > ROWS_SHOWN:
        parts.append(section("Holdings", holdings(held)))
    shown = Grid(LOT_COLUMNS, [_lot_row(lot) for lot in held[:ROWS_SHOWN]]) if held else Text("none", QUIET)
    title = f"{plural(len(held), 'open lot')}, {document['method']}"
    parts.append(section(title, shown, *rest(held, narrow)))
    if document["in_transit"]:
        parts.append(section("On the way", in_transit(document["in_transit"])))
    if realized:
        parts.append(section(f"{plural(len(realized), 'realized piece')}, by asset", gains(realized)))
    flags = counted(lot["flags"] for key in ("open_lots", "in_transit", "realized") for lot in document[key])
    show(*parts, *([legend(flags, "flag")] if flags else []))


def _lot_row(lot: Document) -> list[Text | str]:
    return [lot["account"], lot["asset_id"], instant(lot["acquired_at"]), figure(quantity(lot["quantity"])),
            figure(money(lot["cost_basis_usd"])), text(" ".join(lot["flags"]), QUIET)]  # fmt: skip


def _by(rows: list[Document], *names: str) -> list[tuple[tuple[str, ...], list[Document]]]:
    """Rows grouped by the values under `names`, in their order."""

    def key(row: Document) -> tuple[str, ...]:
        return tuple(row[name] for name in names)

    return [(values, list(group)) for values, group in groupby(sorted(rows, key=key), key=key)]


def holdings(open_lots: list[Document]) -> Grid:
    """What is held, summed by asset."""
    columns = (Column("asset", least=6), Column("quantity", right=True), Column("cost basis USD", right=True),
               Column("lots", right=True), Column("accounts", least=16, rank=1, wraps=True))  # fmt: skip
    return Grid(columns, [
        (asset, figure(quantity(total(lot["quantity"] for lot in lots))),
         figure(money(total(lot["cost_basis_usd"] for lot in lots))), figure(count(len(lots))),
         ", ".join(sorted({lot["account"] for lot in lots})))
        for (asset,), lots in _by(open_lots, "asset_id")
    ])  # fmt: skip


def in_transit(rows: list[Document]) -> Grid:
    """Transfers that have left and not arrived, summed by asset, account and departure."""
    columns = (
        Column("left"), Column("asset", least=6), Column("from", least=8), Column("quantity", right=True),
        Column("cost basis USD", right=True, brief="basis USD"), Column("", rank=1),
    )  # fmt: skip
    return Grid(columns, [
        (instant(left), asset, account, figure(quantity(total(lot["quantity"] for lot in lots))),
         figure(money(total(lot["cost_basis_usd"] for lot in lots))), _way(lots))
        for (left, asset, account), lots in _by(rows, "left_at", "asset_id", "account")
    ])  # fmt: skip


def _way(lots: list[Document]) -> Text:
    unmatched = any("UNMATCHED_TRANSFER" in lot["flags"] for lot in lots)
    return Text("~ unmatched", WARN) if unmatched else Text("✓ arriving", GOOD)


def gains(realized: list[Document]) -> Grid:
    """Realized gains summed by asset; unknown if a piece is unknown."""
    columns = (
        Column("asset", least=6), Column("pieces", right=True, rank=1), Column("proceeds USD", right=True),
        Column("cost basis USD", right=True), Column("gain USD", right=True),
    )  # fmt: skip

    def sums(pieces: list[Document]) -> Iterator[Text]:
        return (figure(money(total(piece[name] for piece in pieces))) for name in GAINS)

    grouped = _by(realized, "asset_id")
    return Grid(columns, [(asset, figure(count(len(pieces))), *sums(pieces)) for (asset,), pieces in grouped])


# -- quarantine, status, digest, verify, config, split ------------------------------------------------

QUARANTINE_COLUMNS = (
    Column("id"), Column("file", least=10, rank=2), Column("line", right=True),
    Column("reason"), Column("column", rank=3), Column("value", least=20),
)  # fmt: skip


def quarantine(rows: list[Document]) -> None:
    """`quarantine list`."""
    if not rows:
        show(text("✓ nothing is in quarantine", GOOD))
        return
    grid = Grid(QUARANTINE_COLUMNS, [_aside_row(row) for row in rows[:ROWS_SHOWN]])
    codes = counted({reason["code"] for reason in row["reasons"]} for row in rows)
    show(section(f"{plural(len(rows), 'row')} in quarantine", grid, *rest(rows, "--json has each")),
         legend(codes, "reason", WARN))  # fmt: skip


def _aside_row(row: Document) -> list[Text | str]:
    """One row; several reasons stand one below the other."""
    codes, columns, values = (
        "\n".join(safe_text(reason[name]) or UNKNOWN for reason in row["reasons"])
        for name in ("code", "column", "value")
    )
    return [row["id"], row["file"], count(row["line"]), Text(codes, WARN), Text(columns), Text(values)]


COUNT_WORDS = {
    "files": "files ingested", "files_rejected": "files rejected", "transactions": "transactions",
    "prices": "prices", "fx_rates": "FX rates", "decisions": "decisions", "quarantine_open": "in quarantine",
    "lake_files": "snapshot files",
}  # fmt: skip


def status(document: Document) -> None:
    """`status`."""
    marks, runs = document["watermarks"], document["last_runs"]
    reach = [
        ("ledger", f"{_mark(marks['ledger_first'])} to {_mark(marks['ledger_last'])}"),
        ("prices up to", _each(marks["prices_last"])),
        ("FX up to", _mark(marks["fx_last"])),
        ("valued up to", _each(marks["valued_last"])),
        ("last ingest", _mark(runs["ingest"], "never")),
        ("last valuation", _mark(runs["value"], "never")),
    ]
    counts = [(told, figure(count(document["counts"][key]))) for key, told in COUNT_WORDS.items()]
    settings = f"{document['base_currency']} · {document['timezone']} · {document['lot_method']}"
    alerts: list[RenderableType] = [
        Group(text(f"! {alert['text']}", WARN), hint(alert["hint"])) for alert in document["alerts"]
    ]
    show(pairs([("home", document["home"]), ("settings", settings), *counts, *reach]), Text(""),
         *(alerts or [text("✓ nothing waits for you", GOOD)]))  # fmt: skip


def _mark(told: str | None, none: str = UNKNOWN) -> str:
    return none if told is None else instant(told)


def _each(marks: dict[str, str | None]) -> Text:
    return Text("\n".join(f"{safe_text(name)} {_mark(told)}" for name, told in marks.items()) or UNKNOWN)


def digest(document: Document) -> None:
    """`digest`."""
    show(pairs([("digest", text(document["digest"], "bold")), *document["parts"].items()]))


def verified(document: Document) -> None:
    """`verify`."""
    parts: list[RenderableType] = []
    for check in document["checks"]:
        mark, style = ("✓", GOOD) if check["ok"] else ("✗", BAD)
        looked = (f"  {count(check['looked_at'])} looked at", QUIET)
        parts.append(Text.assemble((f"{mark} ", style), text(check["check"]), looked))
        parts += [text(f"    {problem}", BAD) for problem in check["problems"]]
    failed = sum(not check["ok"] for check in document["checks"])
    told = (f"✗ {plural(failed, 'check')} failed", BAD) if failed else ("✓ everything agrees", GOOD)
    show(*parts, text(*told))


def config(document: Document) -> None:
    """`config`."""
    columns = (Column("setting"), Column("value", least=18, wraps=True), Column("from", least=12),
               Column("what it is", least=22, wraps=True, rank=1))  # fmt: skip
    show(Grid(columns, [
        (row["key"], text(row["value"] or UNKNOWN), text(row["origin"], QUIET), text(row["help"], QUIET))
        for row in document["settings"]
    ]))  # fmt: skip


def split(document: Document) -> None:
    """`split`."""
    parts = document["parts"]
    named = " ".join(parts[:2]) + (" …" if len(parts) > 2 else "")
    made = text(f"✓ {plural(len(parts), 'part')}", GOOD)
    show(made, *(text(f"  {part}") for part in parts), hint(f"navdeck ingest {named}"))


# -- demo ---------------------------------------------------------------------------------------------


def demo(document: Document, hourly: Document, books: Document) -> None:
    """The demo's summary: what came in, what is held, what it is worth, what is withheld and why."""
    home, base = document["home"], safe_text(document["nav"]["base_currency"])
    parts: list[RenderableType] = [section("What came in", *came_in(document["ingest"]))]
    parts.append(section("Holdings", holdings(books["open_lots"])))
    if books["in_transit"]:
        parts.append(section("Transfers under way", in_transit(books["in_transit"])))
    daily = document["nav"]
    parts.append(section(f"NAV in {base} at 1d closes", nav_summary(daily), Text(""), *nav_words(daily)))
    parts.append(section("Withheld at 1h closes, and why", withheld(hourly)))
    parts += [pairs([("digest", document["digest"]), ("home", home)]), Text("")]
    parts.append(Text("Try next", style="bold"))
    tries = ("status", "nav --resolution 1h", "lots --asset ETH", "quarantine list", "verify")
    show(*parts, *(hint(f"navdeck {verb} --home {home}") for verb in tries))


def nav_summary(document: Document) -> Grid:
    """First, last, lowest and highest of the complete points."""
    points = [point for point in document["points"] if point["nav"] is not None]
    if not points:
        return Grid((Column(""),), [("no point is complete",)])

    def worth(point: Document) -> Decimal:
        return Decimal(point["nav"])

    picks = (points[0], points[-1], min(points, key=worth), max(points, key=worth))
    columns = (Column("complete points"), Column("close"), Column("NAV", right=True))
    named = zip(("first", "last", "lowest", "highest"), picks, strict=True)
    rows = [(name, instant(point["bucket_close"]), figure(money(point["nav"]))) for name, point in named]
    return Grid(columns, rows)


def withheld(document: Document) -> Grid:
    """Runs of closes without a NAV, each with its reason and what it waits for."""
    columns = (
        Column("first close"), Column("last close"), Column("closes", right=True),
        Column("why", least=14, wraps=True), Column("what it means", least=30, rank=1, wraps=True),
    )  # fmt: skip

    def reason(point: Document) -> str:
        return why(point) if point["nav"] is None else ""

    runs = [(told, list(run)) for told, run in groupby(document["points"], key=reason) if told]
    return Grid(columns, [
        (instant(run[0]["bucket_close"]), instant(run[-1]["bucket_close"]), figure(count(len(run))),
         text(f"✗ {told}", WARN), "; ".join(words(code) for code in run[0]["reasons"]))
        for told, run in runs
    ])  # fmt: skip
