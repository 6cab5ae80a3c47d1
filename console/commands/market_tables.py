"""Assets and exchange rates as tables: what blocks NAV, what is held, and why."""

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import RenderableType

from console.commands.grid import (
    BAD,
    GOOD,
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
from console.text import UNKNOWN, count, instant, money, plural, quantity

Document = dict[str, Any]
STATES = {"held": BAD, "none": WARN, "overridden": WARN, "fallback": WARN, "primary": GOOD}
BPS_PLACES = 2  # shown; JSON has every place


# -- assets -------------------------------------------------------------------------------------------


def assets(document: Document) -> None:
    """`assets list`."""
    rows = document["assets"]
    if not rows:
        show(*_no_assets(document["blocking"]))
        return
    columns = (
        Column("asset", least=16), Column("status"), Column("quantity", right=True, rank=3),
        Column("accounts", right=True, rank=5), Column("last price", rank=4),
        Column("keeps NAV unknown", least=12), Column("closes", right=True), Column("since"),
        Column("what would settle it", least=24, rank=2, wraps=True),
    )  # fmt: skip
    blocking = sum(row["blocking"] is not None for row in rows)
    told = f"{plural(len(rows), 'asset')}, {count(blocking)} of them keep NAV from being known"
    if blocking == 1:
        told = f"{plural(len(rows), 'asset')}, 1 keeps NAV from being known"
    show(
        section("Assets", text(told, WARN if blocking else QUIET)),
        Grid(columns, (_asset(row) for row in rows[:ROWS_SHOWN])),
        *rest(rows, "--json has all"),
    )


def _no_assets(blocking: bool) -> list[RenderableType]:
    """Nothing is listed: which of two it was asked for makes it good, or a beginning."""
    if blocking:
        return [text("✓ no asset keeps NAV from being known", GOOD)]
    return [text("no assets", QUIET), hint("navdeck ingest FILE…")]


def _asset(row: Document) -> list[Any]:
    blocking, last = row["blocking"], row["last_price"]
    status = row["status"] if row["price"] is None else f"{row['status']} {row['price']}"
    return [
        row["asset_id"],
        text(status, QUIET if status == "normal" else WARN),
        figure(quantity(row["quantity"])),
        figure(count(row["accounts"])),
        figure(UNKNOWN if last is None else instant(last["asof"])),
        text(", ".join(blocking["reasons"]) if blocking else "", BAD),
        figure(count(blocking["closes"]) if blocking else ""),
        instant(blocking["first"])[:10] if blocking else "",
        row["act"] or "",
    ]


def status_set(document: Document) -> None:
    """`assets set`."""
    told = document["assets"]
    verb = "would be" if document["dry_run"] else "now"
    since = {row["since"] for row in told}
    when = instant(since.pop()) if len(since) == 1 else "their first rows"
    what = told[0]["asset_id"] if len(told) == 1 else plural(len(told), "asset")
    show(text(f"✓ {what}: {verb} {told[0]['status']} from {when} on", GOOD), hint("navdeck value"))


# -- exchange rates -----------------------------------------------------------------------------------


def fx(document: Document) -> None:
    """`fx status`."""
    rows = document["pairs"]
    if not rows:
        show(text("no exchange rates", QUIET), hint("navdeck ingest RATES.csv"))
        return
    columns = (
        Column("pair"), Column("state"), Column("rate", right=True), Column("source", least=8, rank=2),
        Column("as of", rank=1), Column("age", right=True, rank=3), Column("drift bps", right=True),
        Column("held since"),
    )  # fmt: skip
    head = f"at {instant(document['at'])}; held above {document['drift_bps_max']} bps of drift"
    show(
        section("Exchange rates", text(head, QUIET)),
        Grid(columns, (_pair(row) for row in rows)),
        *(part for row in rows for part in _hold(row, document.get("touched"))),
        *_holds(rows[0]["pair"], document.get("holds", ())),
        *_fixings(document["fixings"] if "touched" in document else ()),  # of one pair
    )


def _pair(row: Document) -> list[Any]:
    rate = row["rate"] or row["fallback_rate"]
    return [
        row["pair"],
        text(row["state"], STATES.get(row["state"], "")),
        figure(UNKNOWN if rate is None else rate),
        row["source"] or "",
        instant(row["asof"]) if row["asof"] else "",
        figure(_age(row["age_s"])),
        figure(_bps(row["drift_bps"])),
        instant(row["held_since"]) if row["held_since"] else "",
    ]


def _hold(row: Document, touched: Document | None) -> Iterable[RenderableType]:
    """Why a pair is held, and what can be done."""
    if row["override"] is not None and row["override"]["left_s"]:
        grant = row["override"]
        told = f"override until {instant(grant['until'])}, by {grant['actor']}: {grant['reason']}"
        yield text(f"{row['pair']}: {told}", WARN)
    if not row["held"]:
        return
    evidence = row["evidence"]
    cause = "the fallback drifted" if evidence["cause"] == "DRIFT" else "no market rate within 24 h"
    lines = [
        ("cause", f"{evidence['cause']}: {cause}"),
        ("fallback", _side(evidence, "fallback")),
        ("primary", UNKNOWN if evidence["primary_rate"] is None else _side(evidence, "primary")),
        ("drift", f"{_bps(evidence['drift_bps'])} bps: feed {_bps(evidence['feed_bps'])},"
                  f" market {_bps(evidence['moved_bps'])}"),
    ]  # fmt: skip
    if touched is not None:
        base, at = touched["base_currency"], instant(touched["close"])
        lines += [
            ("touched", f"{', '.join(touched['assets'])} in {', '.join(touched['accounts'])}:"
                        f" {money(touched['value_under_fallback'])} {base} under the fallback"),
            ("NAV", f"{money(touched['nav_under_fallback'])} {base} under it, at {at}"),
        ]  # fmt: skip
    yield section(f"‖ {row['pair']} is held", pairs(lines))
    yield hint(f"take in fresh rates, or navdeck fx use-eod-once {row['pair']} --reason …")


def _holds(pair: str, holds: Sequence[Document]) -> Iterable[RenderableType]:
    """Where one pair was held, the newest last."""
    if not holds:
        return
    columns = Column("held from"), Column("to"), Column("closes of 5m", right=True)
    rows = ((instant(hold["from"]), instant(hold["to"]), count(hold["closes"])) for hold in holds)
    yield section("Holds", Grid(columns, list(rows)[-ROWS_SHOWN:]))
    yield from rest(holds, "--from and --to choose, --json has all")
    yield hint(f"navdeck fx use-eod-once {pair} --to {holds[-1]['to']} --reason …")


def _side(evidence: Document, side: str) -> str:
    told = f"{evidence[f'{side}_rate']} {evidence[f'{side}_source']}, {instant(evidence[f'{side}_asof'])}"
    return f"{told}, {_age(evidence[f'{side}_age_s'])} of open market"


def _fixings(rows: Iterable[Document]) -> Iterable[RenderableType]:
    found = list(rows)
    if not found:
        return
    columns = (
        Column("fixing"), Column("fallback", right=True), Column("primary", right=True),
        Column("primary age", right=True, rank=1), Column("feed bps", right=True),
    )  # fmt: skip
    shown = found[-ROWS_SHOWN:]
    yield section("Fixings, the newest last", Grid(columns, (
        (instant(row["fallback_asof"]), row["fallback"], figure(row["primary"] or UNKNOWN),
         figure(_age(row["primary_age_s"])), figure(_bps(row["feed_bps"])))
        for row in shown
    )))  # fmt: skip
    yield from rest(found, "--from and --to choose, --json has all")


def overridden(document: Document) -> None:
    """`fx use-eod-once`."""
    verb = "would be" if document["dry_run"] else "are"
    span = f"after {instant(document['from'])} up to {instant(document['to'])}"
    to_come = f"those to come until {instant(document['until'])}"
    show(
        text(f"✓ {document['pair']}: {plural(document['held_closes'], 'held 5m close')} {verb} valued by the"
             " end-of-day rate", GOOD),
        text(f"closes {span}, and {to_come}, where they are held", QUIET),
        hint("navdeck value"),
    )  # fmt: skip


def _age(seconds: int | None) -> str:
    if seconds is None:
        return UNKNOWN
    if seconds < 3600:
        return f"{seconds // 60} min"
    return f"{seconds // 3600} h" if seconds < 172_800 else f"{seconds // 86_400} d"


def _bps(told: str | None) -> str:
    return UNKNOWN if told is None else f"{float(told):.{BPS_PLACES}f}"


# -- prices that look wrong ---------------------------------------------------------------------------


def suspicious(document: Document) -> None:
    """`prices check`."""
    rows = document["suspicious"]
    if not rows:
        show(text("✓ no stored price looks wrong", GOOD))
        return
    columns = (
        Column("sign"), Column("asset", least=8), Column("of"), Column("as of"), Column("price", right=True),
        Column("source", least=8, rank=1), Column("against", right=True), Column("whose", least=8, rank=2),
        Column("bps apart", right=True),
    )  # fmt: skip
    loud = [row for row in rows if row["code"] != "NO_TRADES"] or rows
    shown = (
        (text(row["code"], WARN), row["asset_id"], row["resolution"], instant(row["asof"]), row["price"],
         row["source"], figure(row["other_price"] or UNKNOWN), row["other"] or "", figure(_bps(row["bps"])))
        for row in loud[:ROWS_SHOWN]
    )  # fmt: skip
    told = ", ".join(f"{code} {count(number)}" for code, number in document["counts"].items())
    show(
        section("Prices that look wrong", text(told, WARN)),
        Grid(columns, shown),
        *rest(loud, "--json has all"),
        hint("a file with the right value is a correction; the last one counts"),
    )


# -- providers ----------------------------------------------------------------------------------------

BREAKERS = {"closed": GOOD, "half-open": WARN, "open": BAD, "frozen": BAD, "shut": WARN}


def providers(document: Document) -> None:
    """`providers status`, `open` and `close`."""
    rows = document["providers"]
    if not rows:
        show(text("no provider is configured", QUIET), hint("name them in providers.order in navdeck.toml"))
        return
    columns = (
        Column("provider"), Column("calls"), Column("level", right=True), Column("left", right=True),
        Column("last answer", rank=1), Column("next probe", rank=2), Column("why", least=20, wraps=True),
    )  # fmt: skip
    show(section("Providers", Grid(columns, (_provider(row) for row in rows))))


def _provider(row: Document) -> list[Any]:
    state, level, left = row["state"], row["level"], row["calls_left"]
    word = {"closed": "go", "open": "stopped", "half-open": "one probe"}.get(state, state)
    ok, probe = row.get("last_ok_at"), row.get("next_probe")
    return [
        row["name"], text(word, BREAKERS.get(state, "")), figure(UNKNOWN if level is None else f"{level} %"),
        figure(UNKNOWN if left is None else count(left)), instant(ok) if ok else "",
        instant(probe) if probe else "", row["reason"] or row.get("last_error") or "",
    ]  # fmt: skip


def gaps(document: Document) -> None:
    """`gaps`."""
    rows = document["gaps"]
    if not rows:
        show(text("✓ nothing that is held lacks a price", GOOD))
        return
    columns = (
        Column("what", least=16), Column("resolution", brief="of"), Column("from"), Column("to", rank=1),
        Column("missing", right=True), Column("why", least=12), Column("provider", rank=2),
    )  # fmt: skip
    told = f"{count(document['missing'])} in {plural(len(rows), 'gap')}"
    shown = (
        (row["name"], row["resolution"], instant(row["from"]), instant(row["to"]),
         figure(count(row["missing"])), text(row["reason"], GOOD if row["provider"] else WARN),
         row["provider"] or "")
        for row in rows[:ROWS_SHOWN]
    )  # fmt: skip
    show(section("Gaps", text(told, WARN)), Grid(columns, shown), *rest(rows, "--json has all"))
    if any(row["provider"] for row in rows):
        show(hint("navdeck gaps --fetch"))


def fetched(document: Document) -> None:
    """`gaps --fetch`."""
    calls, found = plural(document["calls"], "call"), plural(document["observations"], "observation")
    show(
        text(f"✓ {calls}, {found}", GOOD),
        *(text(trouble, BAD) for trouble in document["troubles"]),
        hint("navdeck value"),
    )
