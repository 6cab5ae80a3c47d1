"""What is told of exchange rates, as lines: the list, why a pair is held, what an override does. Pure."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from console.screens import panels
from console.screens.ordering import Value
from console.text import UNKNOWN, count, instant, money, plural
from console.widgets.chart import chart
from console.widgets.figures import MINUTE_US, clock, day_clock, span, to_us
from console.widgets.pieces import BLANK, Column, Line, Piece, fitted, line, wrapped
from console.widgets.series import Sample

Document = dict[str, Any]

STATES: dict[str, Piece] = {
    "held": ("‖ held", "held"), "overridden": ("▸ override", "mark"), "primary": ("✓ market", "ok"),
    "fallback": ("= fixing", "text"), "closed": ("· closed", "muted"), "eod only": ("· eod only", "muted"),
    "none": ("× no rate", "muted"),
}  # fmt: skip
COLUMNS = (
    Column("pair", 9), Column("state", 10), Column("rate", 12, right=True),
    Column("drift", 8, right=True), Column("band", 10), Column("age", 5, right=True),
    Column("source", 10, rank=1, grows=1), Column("since", 12, rank=2),
)  # fmt: skip
BAND_CELLS = 10
CHART_ROWS = 12
CAUSES = {
    "DRIFT": "no market rate is in force, and the fixing is too far off the last one",
    "NO_PRIMARY": "no market rate within 24 h of open market vouches for the fixing",
}


def cells(row: Document, band_bps: float) -> list[Piece]:
    """One pair's cells."""
    rate = row["rate"] or row["fallback_rate"]
    drift = row["drift_bps"]
    since = row["held_since"] or (row["override"] or {}).get("granted") if row["state"] in BEGUN else None
    return [
        (row["pair"], "strong" if row["held"] else "text"),
        STATES.get(row["state"], (row["state"], "text")),
        (UNKNOWN, "muted") if rate is None else (_short(rate), "held" if row["rate"] is None else "text"),
        (UNKNOWN, "muted") if drift is None else (bps(drift), "held" if float(drift) > band_bps else "text"),
        _band(drift, band_bps),
        (span_of(row["age_s"]), "muted"),
        (row["source"] or UNKNOWN, "muted"),
        (day_clock(since) + "Z" if since else "", "muted"),
    ]


BEGUN = ("held", "overridden")


def values(row: Document) -> list[Value]:
    """What the cells stand for."""
    rate, drift = row["rate"] or row["fallback_rate"], row["drift_bps"]
    exact = None if drift is None else Decimal(drift)
    since = row["held_since"] or (row["override"] or {}).get("granted") if row["state"] in BEGUN else None
    return [
        row["pair"], row["state"], None if rate is None else Decimal(rate), exact, exact, row["age_s"],
        row["source"], since,
    ]  # fmt: skip


def _band(drift: str | None, band_bps: float) -> Piece:
    """Where the drift stands in its band: the last cell is beyond it."""
    if drift is None or not band_bps:
        return "", "muted"
    filled = min(BAND_CELLS, round(float(drift) / band_bps * (BAND_CELLS - 1)))
    over = float(drift) > band_bps
    return "█" * filled + "░" * (BAND_CELLS - filled), "held" if over else "muted"


def bps(told: str | None) -> str:
    """Basis points for the eye."""
    return UNKNOWN if told is None else f"{float(told):.1f}"


def span_of(seconds: int | None) -> str:
    return UNKNOWN if seconds is None else span(seconds * MINUTE_US // 60)


def _short(rate: str) -> str:
    """A rate with at most eight places, for the eye only."""
    whole, point, places = rate.partition(".")
    return whole + point + places[:8]


# -- all about one ------------------------------------------------------------------------------------


def pair_lines(found: Document, width: int, now: int, ascii_only: bool) -> list[Line]:
    """One pair with its evidence, what it touches, its override and the course of its drift."""
    (row,) = found["pairs"]
    sign, mark = STATES.get(row["state"], (row["state"], "text"))
    made = [line((row["pair"], "strong"), "  ", (sign, mark))]
    if row["held"]:
        made += _evidence(row, found.get("touched"), width)
    elif row["rate"]:
        age = f"{span_of(row['age_s'])} of open market old"
        made += panels.details([
            ("rate", line((row["rate"], "strong"))),
            ("from", line(f"{row['source']}, {instant(row['asof'])}", (f"  {age}", "muted"))),
            ("drift", line(f"{bps(row['drift_bps'])} bps", (f" of {found['drift_bps_max']}", "muted"))),
        ], width)  # fmt: skip
    if row["override"]:
        made += [BLANK, *_override(row["override"], width, now)]
    return [*made, BLANK, *_course(found.get("fixings", ()), width, ascii_only)]


def _evidence(row: Document, touched: Document | None, width: int) -> list[Line]:
    evidence = row["evidence"]
    pairs = [
        ("held since", line((instant(row["held_since"]), "held"))),
        ("fixing", _side(evidence, "fallback")),
        ("market", _side(evidence, "primary") if evidence["primary_rate"] else line((UNKNOWN, "muted"))),
        ("drift", line((f"{bps(evidence['drift_bps'])} bps", "held"),
                       (f"  feed {bps(evidence['feed_bps'])}, market since {bps(evidence['moved_bps'])}",
                        "muted"))),
    ]  # fmt: skip
    if touched:
        pairs += [
            ("touches", line(f"{', '.join(touched['assets'])} in {', '.join(touched['accounts'])}")),
            ("worth", line(f"{money(touched['value_under_fallback'])} under the fixing")),
            ("NAV", line(f"{money(touched['nav_under_fallback'])} under the fixing",
                         (f"  at {clock(touched['close'])}Z", "muted"))),
        ]  # fmt: skip
    told = CAUSES.get(evidence["cause"], evidence["cause"])
    return [*(line((part, "held")) for part in wrapped(told, width)), *panels.details(pairs, width)]


def _side(evidence: Document, side: str) -> Line:
    rate, source = _short(evidence[f"{side}_rate"]), evidence[f"{side}_source"]
    age = f"{span_of(evidence[f'{side}_age_s'])} of open market old"
    return line(f"{rate} {source}, {instant(evidence[f'{side}_asof'])}, {age}")


def _override(grant: Document, width: int, now: int) -> list[Line]:
    left = to_us(grant["until"]) - now
    told = f"goes on for {span(left)}" if left > 0 else f"over since {instant(grant['until'])}"
    mark = "mark" if left > 0 else "muted"
    covers = f"covers ({instant(grant['from'])}, {instant(grant['to'])}]"
    return [
        line(("override ", "mark"), (f"by {grant['actor']}, ", "muted"), (told, mark)),
        *(line("  ", part) for part in wrapped(grant["reason"], width - 2)),
        *(line("  ", (part, "muted")) for part in wrapped(covers, width - 2)),
    ]


def _course(fixings: Sequence[Document], width: int, ascii_only: bool) -> list[Line]:
    """Each fixing against the market then, as a chart with its twin in words."""
    known = [row for row in fixings if row["feed_bps"] is not None]
    if not known:
        return [line(("no fixing has a market rate beside it", "muted"))]
    samples = [Sample(to_us(row["fallback_asof"]), float(row["feed_bps"]), "") for row in known]
    values = sorted(float(row["feed_bps"]) for row in known)
    middle, most = values[len(values) // 2], values[-1]
    told = f"{plural(len(known), 'fixing')}: median {middle:.1f} bps, most {most:.1f}"
    return [
        panels.head("Fixing against market", "bps"),
        *chart(samples, width, CHART_ROWS, lambda value: f"{value:.0f}", "accent", ascii_only),
        line((told, "muted")),
    ]


# -- the act ------------------------------------------------------------------------------------------


def override_lines(plan: Document, found: Document, width: int) -> list[Line]:
    """What `use EOD once` would do."""
    (row,) = found["pairs"]
    touched = found.get("touched")
    text = (
        f"Closes of {plan['pair']} in ({instant(plan['from'])}, {instant(plan['to'])}] and until"
        f" {instant(plan['until'])} are valued by the fixing wherever they turn out held, for good, until a"
        " market rate arrives. Each says EOD_OVERRIDE."
    )
    made = [*_evidence(row, touched, width)] if row["held"] else []
    return [
        *made, BLANK,
        line((f"{count(plan['held_closes'])} held closes of 5m", "strong"), " would get a value"),
        *(line((part, "muted")) for part in wrapped(text, width)),
    ]  # fmt: skip


FAR_BANDS = 4  # a drift of so many bands asks for the pair to be typed


def typed_word(row: Document, band_bps: float) -> str:
    """The pair, where the drift is so far beyond its band, or unknown, that it must be typed."""
    drift = row["drift_bps"]
    far = row["held"] and (drift is None or float(drift) > FAR_BANDS * band_bps)
    return str(row["pair"]) if far else ""


# -- providers ----------------------------------------------------------------------------------------

PROVIDERS = (
    Column("provider", 14), Column("calls", 13), Column("level", 6, right=True),
    Column("left", 7, right=True), Column("answered", 9, right=True, rank=1),
    Column("next probe", 12, rank=2), Column("why", 20, grows=1),
)  # fmt: skip
CALLS: dict[str, Piece] = {
    "closed": ("✓ go", "ok"), "half-open": ("▸ one probe", "warn"), "open": ("✗ stopped", "bad"),
    "frozen": ("✗ frozen", "bad"), "shut": ("= closed", "warn"),
}  # fmt: skip


def provider_lines(rows: Sequence[Document], width: int, now: int) -> list[Line]:
    """Who is called for prices and rates, and how that goes; nothing if nobody is."""
    if not rows:
        return []
    layout = fitted(PROVIDERS, width)
    return [layout.head(), *(layout.row(_provider(row, now)) for row in rows)]


def _provider(row: Document, now: int) -> list[Piece]:
    if row["level"] is None:
        return [(row["name"], "text"), ("· reads files", "muted"), *[("", "text")] * 5]
    ok, probe, left = row.get("last_ok_at"), row.get("next_probe"), row["calls_left"]
    slow = row["level"] < 100
    return [
        (row["name"], "text"),
        CALLS.get(row["state"], (row["state"], "text")),
        (f"{row['level']} %", "warn" if slow else "text"),
        (UNKNOWN if left is None else count(left), "text"),
        (f"{span(now - to_us(ok))} ago" if ok else UNKNOWN, "muted"),
        (f"in {span(max(0, to_us(probe) - now))}" if probe else "", "muted"),
        (row["reason"] or row.get("last_error") or "", "muted" if row["state"] == "closed" else "warn"),
    ]


def turn_lines(row: Document, act: str, width: int) -> list[Line]:
    """What opening or closing a provider does."""
    text = (
        "Calls go again; the first is a probe, and only if it is answered the others follow."
        if act == "open"
        else "No call goes until somebody opens it. What it would have brought stays a gap."
    )
    why = [line((part, "warn")) for part in wrapped(row["reason"], width)] if row["reason"] else []
    return [line((row["name"], "strong")), *why, *(line((part, "muted")) for part in wrapped(text, width))]
