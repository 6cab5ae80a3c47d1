"""Returns as tables for people: each figure with its method, what it covers, and why one is not known."""

from rich.console import RenderableType
from rich.text import Text

from console.commands.answers import Document
from console.commands.grid import (
    QUIET,
    ROWS_SHOWN,
    WARN,
    Column,
    Grid,
    figure,
    hint,
    pairs,
    rest,
    section,
    show,
    text,
)
from console.text import UNKNOWN, count, instant, money, plural, safe_text, words

FIGURES = (
    Column("figure"), Column("value", right=True), Column("", least=18, wraps=True),
    Column("how", least=24, rank=1, wraps=True),
)  # fmt: skip
SHARES = (Column("asset"), Column("share", right=True), Column("value", right=True))
DAY_S = 86_400


def metrics(document: Document) -> None:
    """`metrics`."""
    parts: list[RenderableType] = [section(_title(document), Grid(FIGURES, _figures(document)))]
    parts.append(text(_covered(document)))
    if document.get("cash") == "external":
        parts.append(text("Cash is outside: these are the returns of holdings without cash.", QUIET))
    if document["breaks"]:
        parts.append(section("\nBroken", *_breaks(document)))
    if document.get("allocation"):
        parts += [Text(""), *_allocation(document)]
    if document.get("stale"):
        told = text("! the books changed since NAV was computed: flows and values may not fit together", WARN)
        parts += [Text(""), told, hint("navdeck value")]
    show(*parts)


def _title(document: Document) -> str:
    whose = document.get("series") or document.get("account") or document.get("group") or "all accounts"
    if document["from"] is None:
        return f"Returns of {safe_text(whose)}: nothing is valued in this range"
    span = f"{instant(document['from'])} to {instant(document['to'])}"
    return f"Returns of {safe_text(whose)} at {document['resolution']} closes, {span}"


def percent(ratio: float | None) -> str:
    """A ratio as percents, a true minus before negative ones."""
    return UNKNOWN if ratio is None else f"{ratio * 100:,.2f} %".replace("-", "−")


def _figures(document: Document) -> list[tuple[Text | str, ...]]:
    methods, spread = document["methods"], document["volatility_detail"]
    paid, fall = document["money_weighted"], document["drawdown"]
    rows = [
        ("TWR", document["twr"], _why(document["reason"]), methods["twr"]),
        ("max drawdown", document["max_drawdown"], _fall(fall) if fall else _why(document["reason"]),
         methods["max_drawdown"]),
        ("XIRR, per year", paid["value"], _why(paid["reason"]), methods["money_weighted"]),
        ("volatility, per year", document["volatility"],
         _why(spread["reason"]) or plural(spread["n"], "return"), methods["volatility"]),
        *((f"{name} {document['resolution']}", (document[name] or {}).get("return"), _when(document[name]),
           methods["best_worst"]) for name in ("best", "worst")),
        ("coverage", document["coverage"], "", methods["coverage"]),
    ]  # fmt: skip
    return [(name, figure(percent(value)), text(about), text(how, QUIET)) for name, value, about, how in rows]


def _why(reason: str | None) -> str:
    return "" if reason is None else words(reason)


def _fall(fall: Document) -> str:
    if fall["peak"] is None:
        return "never below its peak"
    until = f"recovered {instant(fall['recovery'])}" if fall["recovery"] else "not recovered"
    length = plural(round(fall["duration_s"] / DAY_S), "day")
    return f"{instant(fall['peak'])} to {instant(fall['trough'])}, {until}, {length}"


def _when(period: Document | None) -> str:
    return instant(period["to"]) if period else ""


def _covered(document: Document) -> str:
    gaps = len(document["gaps"])
    told = f"{plural(document['periods'], 'sub-period')}, {count(gaps)} over a gap, "
    if document["periods"]:
        told += f"from {instant(document['first_valued'])} to {instant(document['last_valued'])}, "
    return told + f"{count(len(document['breaks']))} broken."


def _breaks(document: Document) -> list[RenderableType]:
    found, best = document["breaks"], document["longest_unbroken"]
    shown: list[RenderableType] = [
        pairs((instant(one["at"]), f"{one['code']}: {words(one['code'])}") for one in found[:ROWS_SHOWN]),
        *rest(found, "--json has all"),
    ]
    if best:
        span = f"{instant(best['from'])} to {instant(best['to'])}"
        shown.append(text(f"Longest unbroken stretch: {percent(best['twr'])}, {span}"))
    return shown


def _allocation(document: Document) -> list[RenderableType]:
    found, base = document["allocation"], safe_text(document["base_currency"])
    made: list[RenderableType] = []
    for by, name in (("by_asset", "asset_id"), ("by_account", "account")):
        columns = (Column(name.removesuffix("_id"), least=8), *SHARES[1:])
        rows = [(one[name], figure(percent(one["share"])), figure(money(one["value"])))
                for one in found[by][:ROWS_SHOWN]]  # fmt: skip
        title = f"Allocation {by.replace('_', ' ')}, {base}, {instant(found['bucket_close'])}"
        made.append(section(title, Grid(columns, rows), *rest(found[by], "--json has all")))
    return made
