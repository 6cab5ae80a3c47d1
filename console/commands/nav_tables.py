"""Values and NAV as tables for people: what a series says, what is withheld, and why. None is made here."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import groupby
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
    rest,
    section,
    show,
    text,
)
from console.text import UNKNOWN, count, instant, money, plural, safe_text, words

Document = dict[str, Any]
RESTATED_SHOWN = 10  # closes


def valued(document: Document) -> None:
    """`value`."""
    names = ("buckets", "complete", "snapshots")
    columns = [Column("resolution"), *(Column(name, right=True) for name in names)]
    rows = [[resolution, *(figure(count(sums[name])) for name in names)]
            for resolution, sums in document["resolutions"].items()]  # fmt: skip
    took = text(f"{plural(document['snapshots'], 'snapshot')} in {document['seconds']} s")
    restated = [part for name, sums in document["resolutions"].items() for part in _restated(name, sums)]
    left = [part for name, sums in document["resolutions"].items() for part in _left_out(name, sums)]
    why = unvalued(document.get("unvalued"))
    more = [] if why and not document["snapshots"] else [hint("navdeck nav")]
    show(Grid(columns, rows), Text(""), *restated, *left, *why, took, *more)


def _left_out(resolution: str, sums: Document) -> list[RenderableType]:
    """Buckets that were not made, since nothing had a price yet."""
    found = sums.get("left_out")
    if found is None or found["to"] is None:  # that is told once, for all resolutions
        return []
    span = f"{instant(found['from'])} to {instant(found['to'])}"
    told = text(f"No {resolution} buckets from {span}: before the first price", WARN)
    return [told, hint(f"navdeck value --resolution {resolution} --from {found['from']}")]


def unvalued(found: Document | None) -> list[RenderableType]:
    """Why nothing can be valued, and which assets never had a price; nothing where neither is so."""
    reason, names = (found or {}).get("reason"), (found or {}).get("never_priced", [])
    if reason == "NO_TRANSACTIONS":
        return [text("! no transaction was taken in yet: there is nothing to value", WARN),
                hint("navdeck ingest FILE…")]  # fmt: skip
    have = "has" if len(names) == 1 else "have"
    told = f"{plural(len(names), 'asset')} {have} never had a price: {_few(names)}"
    if reason and not names:
        told = "no price is of a close since the first transaction"
    if not reason and not names:
        return []
    settled = [hint("navdeck assets list --blocking shows what settles it")] if names else []
    end = text("A series ends where prices end; a running engine values every close as it comes.", QUIET)
    return [text(f"! nothing can be valued: {told}" if reason else f"! {told}", WARN),
            hint("navdeck ingest PRICES.csv"), *settled, *([end] if reason else [])]  # fmt: skip


def _restated(resolution: str, sums: Document) -> list[RenderableType]:
    """NAVs that had been told otherwise before."""
    found = sums.get("restated") or {"count": 0}
    if not found["count"]:
        return []
    columns = (Column(f"{resolution} close"), Column("was", right=True), Column("is", right=True))
    closes = found["closes"]
    shown = (
        (instant(one["bucket_close"]), figure(money(one["old"])), figure(money(one["new"])))
        for one in closes[:RESTATED_SHOWN]
    )
    told = f"{plural(found['count'], 'NAV')} at {resolution} restated"
    more = [hint("--json has up to 100")] if found["count"] > RESTATED_SHOWN else []
    return [section(told, Grid(columns, shown), *more)]


NAV_COLUMNS = (
    Column("close"), Column("NAV", right=True), Column("priced", right=True),
    Column("covered", right=True, brief="cov."), Column("", least=14, wraps=True),
    Column("unmatched", right=True, rank=3), Column("flags", least=24, rank=2, wraps=True),
)  # fmt: skip


def nav(document: Document) -> None:
    """`nav`."""
    points = document["points"]
    if not points and document.get("dropped"):
        show(*_dropped(document))
        return
    if not points:
        why = document.get("unvalued") or {}
        told = unvalued(why) if why.get("reason") else [hint("navdeck value")]
        show(text("There are no values here yet.", WARN), *told)
        return
    title = f"NAV in {safe_text(document['base_currency'])} at {document['resolution']} closes"
    shown = Grid(NAV_COLUMNS, [_point_row(point) for point in points[-ROWS_SHOWN:]])
    show(section(title, shown, *rest(points, "the last are shown; --from and --to choose, --json has all")),
         *nav_words(document), *([_marks(points)] if _codes(points) else []), *_dropped(document),
         *stale(document))  # fmt: skip


def _dropped(document: Document) -> list[Text]:
    """The days of the range that retention dropped: neither a gap nor an error."""
    told = document.get("dropped")
    if not told:
        return []
    days = f"{plural(told['days'], 'day')} from {instant(told['from'])} to {instant(told['to'])}"
    return [text(f"Not here: {days}, dropped by retention. Coarser values are kept longer.", QUIET)]


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


def stale(document: Document) -> list[RenderableType]:
    """That what is shown is older than the books, where it is."""
    stale = text("! the books changed since these were computed", WARN)
    return [Text(""), stale, hint("navdeck value")] if document["stale"] else []


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
