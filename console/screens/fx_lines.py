"""What is told of exchange rates, as lines: the list, why a pair is held, what an override does. Pure."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from console.screens import panels
from console.screens.ordering import Value
from console.text import UNKNOWN, count, instant, money, plural
from console.widgets.chart import Course
from console.widgets.figures import DAY_US, MINUTE_US, day_clock, span, to_us
from console.widgets.pieces import BLANK, Column, Line, Piece, as_fits, fitted, line, wrapped
from console.widgets.series import Sample

Document = dict[str, Any]

STATES: dict[str, Piece] = {
    "held": ("‖ held", "held"), "overridden": ("▸ override", "mark"), "primary": ("✓ market", "ok"),
    "fallback": ("= fixing", "text"), "closed": ("· closed", "muted"), "eod only": ("· eod only", "muted"),
    "none": ("× no rate", "muted"),
}  # fmt: skip
COLUMNS = (
    Column("pair", 9), Column("state", 10), Column("rate", 12, right=True),
    Column("drift bps", 9, right=True), Column("band", 10), Column("age", 7, right=True),
    Column("source", 10, rank=1, grows=1), Column("since", 12, rank=2, prose=True),
)  # fmt: skip
BAND_CELLS = 10
CAUSES = {
    "DRIFT": "no market rate is in force; the fixing is too far off the last",
    "NO_PRIMARY": "no market rate within 24 h of open market vouches for the fixing",
}


UNSERVED = (
    "No rate is in force now: a market rate serves for an hour of open market, a fixing until 16:30"
    " Frankfurt of the next TARGET day. Take newer rates in."
)


def cells(row: Document, band_bps: float, now: int) -> list[Piece]:
    """One pair's cells."""
    rate, age_s, source = _told(row)
    drift = row["drift_bps"]
    since = row["held_since"] or (row["override"] or {}).get("granted") if row["state"] in BEGUN else None
    return [
        (row["pair"], "strong" if row["held"] else "text"),
        STATES.get(row["state"], (row["state"], "text")),
        (UNKNOWN, "muted") if rate is None else (_short(rate), "held" if row["rate"] is None else "text"),
        (UNKNOWN, "muted") if drift is None else (bps(drift), "held" if float(drift) > band_bps else "text"),
        _band(drift, band_bps),
        (span_of(age_s), "muted"),
        (source or UNKNOWN, "muted"),
        (day_clock(since, now) if since else "", "muted"),
    ]


def _told(row: Document) -> tuple[str | None, int | None, str | None]:
    """The rate in force, its age and source; where it is held, those of the fixing that is not trusted."""
    if row["rate"] is not None or not row["held"]:
        return row["rate"] or row["fallback_rate"], row["age_s"], row["source"]
    evidence = row["evidence"]
    return row["fallback_rate"], evidence["fallback_age_s"], evidence["fallback_source"]


BEGUN = ("held", "overridden")


def values(row: Document) -> list[Value]:
    """What the cells stand for."""
    (rate, age_s, source), drift = _told(row), row["drift_bps"]
    exact = None if drift is None else Decimal(drift)
    since = row["held_since"] or (row["override"] or {}).get("granted") if row["state"] in BEGUN else None
    return [
        row["pair"], row["state"], None if rate is None else Decimal(rate), exact, exact, age_s, source,
        since,
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


def pair_lines(found: Document, width: int, now: int) -> list[Line]:
    """One pair with its evidence, what it touches, and its override."""
    (row,) = found["pairs"]
    made = held_lines(found, width)
    if not row["held"] and row["rate"]:
        age = f"{span_of(row['age_s'])} of open market old"
        made += panels.details([
            ("rate", line((row["rate"], "strong"))),
            ("from", line(f"{row['source']}, {instant(row['asof'])}", (f"  {age}", "muted"))),
            ("drift", line(f"{bps(row['drift_bps'])} bps", (f" of {found['drift_bps_max']}", "muted"))),
        ], width)  # fmt: skip
    if row["state"] == "none":
        made += [line((part, "muted")) for part in wrapped(UNSERVED, width)]
    if row["override"]:
        made += [BLANK, *_override(row["override"], width, now)]
    return made


def held_lines(found: Document, width: int) -> list[Line]:
    """Why a pair is held, with its evidence."""
    (row,) = found["pairs"]
    sign, mark = STATES.get(row["state"], (row["state"], "text"))
    made = [line((row["pair"], "strong"), "  ", (sign, mark))]
    return [*made, *_evidence(row, found.get("touched"), width)] if row["held"] else made


def _evidence(row: Document, touched: Document | None, width: int) -> list[Line]:
    evidence = row["evidence"]
    pairs = [
        ("held since", line((instant(row["held_since"]), "held"), ("  ages: of open market", "muted"))),
        ("fixing", _side(evidence, "fallback")),
        ("market", _side(evidence, "primary") if evidence["primary_rate"] else line((UNKNOWN, "muted"))),
        ("drift", line((f"{bps(evidence['drift_bps'])} bps", "held"),
                       (f"  feed {bps(evidence['feed_bps'])}, market since {bps(evidence['moved_bps'])}",
                        "muted"))),
    ]  # fmt: skip
    if touched:
        base = touched["base_currency"]
        at = instant(touched["close"])
        pairs += [
            ("touches", line(f"{', '.join(touched['assets'])} in {', '.join(touched['accounts'])}")),
            ("worth", line(f"{money(touched['value_under_fallback'])} {base} under the fixing")),
            ("NAV", line(f"{money(touched['nav_under_fallback'])} {base} then, at {at}")),
        ]  # fmt: skip
    told = CAUSES.get(evidence["cause"], evidence["cause"])
    return [*(line((part, "held")) for part in wrapped(told, width)), *panels.details(pairs, width)]


def _side(evidence: Document, side: str) -> Line:
    rate, source = _short(evidence[f"{side}_rate"]), evidence[f"{side}_source"]
    age = f"{span_of(evidence[f'{side}_age_s'])} old"
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


# -- the course of the drift --------------------------------------------------------------------------

DRIFT_COLUMNS = (
    Column("at", 17), Column("bps", 8, right=True), Column("state", 12), Column("fixing", 10, right=True),
    Column("market", 10, right=True, rank=2), Column("closes", 24, rank=1, grows=1),
)  # fmt: skip
APART_US = 6 * DAY_US  # between two fixings; beyond, some did not come: Easter has five days


def drift_course(found: Document) -> Course:
    """The fixing against the market: at each fixing, and over each run of closes without a market rate."""
    band = float(found["drift_bps_max"])
    points = sorted([*map(_at_fixing, found["fixings"]), *_at_runs(found.get("without_market", ()))], key=_ts)
    samples: list[Sample] = []
    for before, point in zip((None, *points), points, strict=False):
        samples += [*_between(before, point), Sample(_ts(point), point["value"], point["why"])]
    return Course(
        "Drift of the fixing", samples, lambda value: f"{value:.0f}", rules=((band, "held"),),
        within=(0.0, band), words=lambda width: _drift_words(found, width), unit="bps",
        stops=[_ts(point) for point in points], columns=DRIFT_COLUMNS,
        cells=lambda stop: points[stop]["cells"],
    )  # fmt: skip


def _ts(point: Document) -> int:
    at: int = point["ts"]
    return at


def _between(before: Document | None, point: Document) -> list[Sample]:
    """What breaks the line before a point: fixings that did not come, or the market rate being in force."""
    if before is None or (before["run"] and before["run"] == point["run"]):
        return []
    middle = (_ts(before) + _ts(point)) // 2
    if _ts(point) - _ts(before) > APART_US:
        return [Sample(middle, None, "missing")]
    return [Sample(middle, None)] if before["run"] or point["run"] else []


def _at_fixing(row: Document) -> Document:
    told = row["feed_bps"]
    market = f"{row['primary']} at {instant(row['primary_asof'])}" if row["primary"] else UNKNOWN
    return {
        "ts": to_us(row["fallback_asof"]), "value": None if told is None else float(told),
        "why": "missing" if told is None else "", "run": "",
        "cells": [(instant(row["fallback_asof"]), "text"), (told or UNKNOWN, "strong"), ("= fixing", "text"),
                  (row["fallback"], "text"), (market, "muted"), ("", "text")],
    }  # fmt: skip


WHY_OF = {"held": "held", "none": "missing"}


def _at_runs(runs: Sequence[Document]) -> list[Document]:
    """The first and the last close of each run, which have one thing to tell."""
    made = []
    for run in runs:
        covers = f"{plural(run['closes'], 'close')} of 1h to {instant(run['to'])}"
        told: Document = {
            "value": None if run["drift_bps"] is None else float(run["drift_bps"]),
            "why": WHY_OF.get(run["state"], ""), "run": run["from"],
        }
        rest = [(run["drift_bps"] or UNKNOWN, "strong"), STATES[run["state"]],
                (run["fallback"] or UNKNOWN, "text"), ("", "text"), (covers, "muted")]  # fmt: skip
        for at in dict.fromkeys((run["from"], run["to"])):
            made.append(told | {"ts": to_us(at), "cells": [(instant(at), "text"), *rest]})
    return made


def _drift_words(found: Document, width: int) -> Line:
    """The course in words: what the fixings were off, and how long the pair was held."""
    values = sorted(float(row["feed_bps"]) for row in found["fixings"] if row["feed_bps"] is not None)
    (row,) = found["pairs"]
    parts = [line((f"{row['pair']} drift", "strong"), (f"  band {found['drift_bps_max']}", "held"))]
    if values:
        middle = values[len(values) // 2]
        told = f"{plural(len(values), 'fixing')}: median {middle:.1f}, most {values[-1]:.1f}"
        parts.append(line((told, "muted")))
    else:
        parts.append(line(("no fixing has a market rate beside it", "muted")))
    held = sum(run["closes"] for run in found.get("without_market", ()) if run["state"] == "held")
    if held:
        parts.append(line((f"‖ {plural(held, 'close')} of 1h held", "held")))
    return as_fits(parts, width)


# -- the act ------------------------------------------------------------------------------------------


def override_lines(plan: Document, found: Document, width: int) -> list[Line]:
    """What `use EOD once` would do."""
    (row,) = found["pairs"]
    touched = found.get("touched")
    text = (
        f"Held closes after {instant(plan['from'])} up to {instant(plan['to'])}, and those to come until"
        f" {instant(plan['until'])}, take the fixing, for good, unless a market rate arrives. Each says"
        " EOD_OVERRIDE."
    )
    made = [*_evidence(row, touched, width)] if row["held"] else []
    return [
        *made, BLANK,
        line((f"{plural(plan['held_closes'], 'held close')} of 5m", "strong"), " would get a value"),
        *(line((part, "muted")) for part in wrapped(text, width)),
    ]  # fmt: skip


def hold_line(hold: Document) -> Line:
    """A hold that is over."""
    first, last = instant(hold["from"]), instant(hold["to"])
    return line(f"{first} to {last}", (f"  {plural(hold['closes'], 'close')} of 5m", "muted"))


def ended_lines(pair: str, days: int, width: int) -> list[Line]:
    """What choosing one of them leads to."""
    text = (
        f"These holds of the last {days} days are over, and their closes have no NAV. One can take the fixing"
        f" that was there; `navdeck fx use-eod-once {pair} --from --to` reaches further back."
    )
    return [line((part, "muted")) for part in wrapped(text, width)]


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
