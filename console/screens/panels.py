"""What the panels say, as lines: pure functions of the mirrored overview, a time and a size."""

from collections.abc import Sequence
from typing import Any

from console.mirror import HISTORY_US, waiting
from console.text import UNKNOWN, bytes_text, count, money, words
from console.widgets.figures import (
    SECOND_US,
    age,
    bar,
    clock,
    day,
    day_clock,
    gauge,
    in_force,
    left,
    memory_state,
    moment,
    percent,
    share,
    span,
    spark,
    to_us,
)
from console.widgets.pieces import BLANK, Line, Piece, as_fits, cells, cut, joined, line, spread, wrapped
from console.widgets.series import drawdown, samples

Document = dict[str, Any]

LABEL_CELLS = 12  # of the one-line gauges
SPARK_CELLS = 24
MEMORY_STEP_US = 2_000_000
NARROW_CELLS = 70  # of a panel; below, an event tells its time without the seconds
LEVELS: dict[str, Piece] = {"info": ("·", "muted"), "warn": ("! warn", "warn"), "bad": ("✗ bad", "bad")}


def head(text: str, about: str = "") -> Line:
    """The head of a part of a page."""
    return line((text, "strong"), (f"  {about}", "muted"))


def _labelled(label: str, *parts: str | Piece) -> Line:
    return line((f"{label:<{LABEL_CELLS}}", "muted"), *parts)


# -- one line each ------------------------------------------------------------------------------------


def nav_line(doc: Document, now: int) -> Line:
    """The newest NAV, or that it is not known and what was known last."""
    points = doc["nav"]["points"]
    if not points:
        return _labelled("NAV", ("no values yet", "muted"))
    last = points[-1]
    at = f"at {moment(last['bucket_close'], now)}"
    if last["nav"] is not None:
        since = f"  {at}, {age(last['bucket_close'], now)} ago"
        told = line((f"{money(last['nav'])} {doc['base_currency']}", "strong"), (since, "muted"))
    else:
        told = line(gap_piece(last), (f" {at}", "muted"), *_known_last(points, now))
    return (*_labelled("NAV"), *told)


def nav_trend(doc: Document) -> Line:
    """The last day's course of NAV as a line of levels."""
    values = [_number(point["nav"]) for point in doc["nav"]["points"][-SPARK_CELLS:]]
    return line((spark(values, SPARK_CELLS), "accent"))


def gap_piece(point: Document) -> Piece:
    """Why a point has no NAV, in a word and a sign."""
    if point["held"]:
        return f"‖ held: {', '.join(point['held'])}", "held"
    return f"× not known: {', '.join(point['reasons']).lower().replace('_', ' ') or 'not complete'}", "warn"


def _known_last(points: Sequence[Document], now: int) -> Line:
    known = next((point for point in reversed(points) if point["nav"] is not None), None)
    if known is None:
        return BLANK
    return line((f"; last {money(known['nav'])} at {day_clock(known['bucket_close'], now)}", "muted"))


def _number(nav: str | None) -> float | None:
    return None if nav is None else float(nav)


def drawdown_line(doc: Document) -> Line:
    """How far NAV is below its highest complete point, of the points that are there."""
    resolution, points = doc["nav"]["resolution"], doc["nav"]["points"]
    known = [sample.value for sample in drawdown(samples(points, resolution)) if sample.value is not None]
    if not known:
        return _labelled("Drawdown", (UNKNOWN, "muted"))
    reach = span(to_us(points[-1]["bucket_close"]) - to_us(points[0]["bucket_close"]))
    about = f"  of NAV, worst {percent(min(known))} in {reach}; flows not taken out"
    return _labelled("Drawdown", percent(known[-1]), (about, "muted"))


def memory_line(doc: Document, width: int) -> Line:
    """The share of the memory limit that is used, with the marks at which work slows and stops."""
    memory = doc["memory"]
    if not memory["limit_bytes"]:  # the engine has not looked yet
        return _labelled("Memory", (UNKNOWN, "muted"))
    word, meaning = memory_state(memory["ratio"])
    told = line(f"{share(memory['ratio'])} ", (word, meaning), (f"  {_used(memory)}", "muted"))
    room = width - LABEL_CELLS - 2 - cells(told)
    return (
        *_labelled("Memory"),
        *gauge(memory["ratio"], max(10, min(SPARK_CELLS, room))),
        ("  ", "text"),
        *told,
    )


def _used(memory: Document) -> str:
    return f"{bytes_text(memory['used_bytes'])} of {bytes_text(memory['limit_bytes'])}"


def inbox_line(doc: Document, now: int, width: int) -> Line:
    """What the inbox holds and what is being read."""
    inbox = doc["inbox"]
    told = _labelled("Inbox", f"{count(len(waiting(inbox)))} waiting  ")
    if inbox["others"]:
        told = (*told, (f"{count(len(inbox['others']))} not taken !  ", "warn"))
    if inbox["active"] is None:
        last = inbox["recent"][0] if inbox["recent"] else None
        return (*told, (f"last {last['name']}: {last['status']}" if last else "nothing yet", "muted"))
    return (*told, *active_line(inbox["active"], now, width - cells(told)))


def active_line(active: Document, now: int, width: int) -> Line:
    """The file that is being read or stored, how far it is; with room how long it still takes, how fast."""
    told = line((f"{active['stage']} ", "accent"), active["name"])
    done, of, since = active["done"], active["rows"], active["started_at"]
    if not of:
        return told
    gone = (now - to_us(since)) / SECOND_US
    told_left, far = left(since, now, done, of), progress(done, of)
    rest = [told_left, f"{count(round(done / gone))} rows/s"] if told_left else []
    known = (*cut(told, max(8, width - cells(far))), *far)
    return as_fits([known, *(line((part, "muted")) for part in rest)], width)


def progress(done: int, of: int) -> Line:
    """How far work is, as a bar and a share."""
    ratio = done / of if of else 0.0
    return line("  ", (bar(ratio, 12), "accent"), f" {share(ratio):>4}")


def work(done: int, of: int, started_at: str, now: int) -> Line:
    """How far work is, and how long it still takes if it goes on as it went."""
    rest = left(started_at, now, done, of)
    return (*progress(done, of), (f"  {rest}", "muted")) if rest else progress(done, of)


def backup_line(doc: Document, now: int, width: int) -> Line:
    """How old the newest backup is, whether it verified, and how the last drill went."""
    backup = doc["backup"]
    return as_fits([_labelled("Backup", *_backup(backup, now)), *_drill(backup, now)], width)


def _backup(backup: Document, now: int) -> Line:
    if backup["id"] is None:
        return line(("none yet", "warn"), ("  7 then b makes one", "muted"))
    told = f"{age(backup['made_at'], now)} old"
    if backup["verified"] is None:  # its bytes were not read again yet; that is no failure
        return line(told)
    return line(f"{told}, ", ("✓ verified", "ok") if backup["verified"] else ("✗ damaged", "bad"))


def _drill(backup: Document, now: int) -> list[Line]:
    """How the last drill went; where there was none, how a backup is proved."""
    drill = backup["drill"]
    if drill is None:
        return [line(("no drill yet", "muted"), ("  7 then D runs one", "muted"))] if backup["id"] else []
    sign = ("✓", "ok") if drill["verdict"] == "passed" else ("✗ failed", "bad")
    return [line(("drill ", "muted"), sign, (f" {age(drill['at'], now)} ago", "muted"))]


def commonest(by_reason: dict[str, int]) -> list[tuple[str, int]]:
    """Reasons with their counts, the commonest first."""
    return sorted(by_reason.items(), key=lambda pair: (-pair[1], pair[0]))


def data_lines(doc: Document, now: int, width: int) -> list[Line]:
    """How much is stored and how far it reaches; in two lines where it does not fit in one."""
    marks = doc["watermarks"]
    told = _labelled("Data", f"{count(doc['counts']['transactions'])} transactions")
    prices = max((mark for mark in marks["prices_last"].values() if mark), default=None)
    ends = (("to", marks["ledger_last"]), ("prices to", prices), ("FX to", marks["fx_last"]))
    reach = [line((f"{name} {day_clock(mark, now)}", "muted")) for name, mark in ends if mark]
    whole = joined([told, *reach], "  ")
    if cells(whole) <= width or len(reach) < 2:
        return [cut(whole, width)]
    return [as_fits([told, reach[0]], width), as_fits([_labelled("", *reach[1]), *reach[2:]], width)]


def values_line(doc: Document, now: int, width: int) -> Line:
    """Whether values are being computed, when they were last, and when the next jobs run."""
    if doc["valuing"]:
        told = _labelled("Values", *valuing(doc["valuing"], now))
    else:
        last = doc["last_runs"]["value"]
        told = _labelled("Values", "never computed" if last is None else f"computed {age(last, now)} ago")
    jobs = sorted((job for job in doc["jobs"] if job["next_at"]), key=lambda job: job["next_at"])
    coming = [line((f"{job['name']} at {clock(job['next_at'])}Z", "muted")) for job in jobs]
    return as_fits([told, *coming], width)


def valuing(found: Document, now: int) -> Line:
    """The valuing at work: at what, how far, how to end it."""
    told = line((f"valuing at {found['resolution']} …", "accent"))
    if found.get("days"):
        told = (*told, *work(found["done"], found["days"], found["started_at"], now))
    return (*told, ("  X cancels it", "muted"))


# -- parts of several lines ---------------------------------------------------------------------------


def event_line(event: Document, now: int, width: int) -> Line:
    """One event: when, how bad, what."""
    sign = LEVELS.get(event["level"], LEVELS["info"])
    clock_cells = 16 if width < NARROW_CELLS else 19  # without its seconds
    at = f"{day(event['at'], now)} {event['at'][11:clock_cells]}"
    return cut(line((f"{at}  ", "muted"), (f"{sign[0]:<6}  ", sign[1]), event["text"]), width)


def newest_events(doc: Document, now: int, width: int, rows: int) -> list[Line]:
    """The newest events, newest last."""
    found = doc["events"][-rows:] if rows > 0 else []
    nothing = [line(("nothing happened yet", "muted"))]
    return [event_line(event, now, width) for event in found] or nothing[: max(0, rows)]


def memory(doc: Document, now: int, width: int, height: int) -> list[Line]:
    """The state panel: memory with its marks and history, the backup, how far values and data reach."""
    kept = [BLANK, backup_line(doc, now, width), values_line(doc, now, width), *data_lines(doc, now, width)]
    used = _memory(doc["memory"], now, max(10, width)) if doc["memory"]["limit_bytes"] else [
        memory_line(doc, width)
    ]  # fmt: skip
    return [*used, *kept][:height]


def _memory(found: Document, now: int, width: int) -> list[Line]:
    """How much is used, against its marks, and its course."""
    word, meaning = memory_state(found["ratio"])
    state = line((f"{share(found['ratio'])} ", "strong"), (word, meaning))
    return [
        spread(state, line((_used(found), "muted")), width),
        gauge(found["ratio"], width),
        _gauge_marks(width),
        line(("this process ", "muted"), bytes_text(found["rss_bytes"])),
        line((f"last {span(_seen_us(found['history'], now))}, scale 0 to 100%", "muted")),
        line((spark(_course(found["history"], now), width, 0.0, 1.0), meaning)),
    ]


def _seen_us(history: Sequence[Any], now: int) -> int:
    """How much of HISTORY_US is known."""
    return min(HISTORY_US, now - history[0][0]) if history else 0


def _course(history: Sequence[Any], now: int) -> list[float | None]:
    """The ratio every two seconds, from when it is known on."""
    steps = max(1, _seen_us(history, now) // MEMORY_STEP_US)
    return in_force(history, now, MEMORY_STEP_US, steps)


def _gauge_marks(width: int) -> Line:
    alert, critical = round(0.65 * width), round(0.90 * width)
    first, second = "65% slower", "90% stops"
    start = max(0, alert - len(first) // 2)
    after = max(start + len(first) + 1, min(critical - len(second) // 2, width - len(second)))
    return line(" " * start, (first, "muted"), " " * (after - start - len(first)), (second, "muted"))


def inbox(doc: Document, now: int, width: int, height: int) -> list[Line]:
    """The inbox panel: what is read now, what waits, what was taken last."""
    found = doc["inbox"]
    idle = line(("✓ ", "ok"), ("idle", "muted"))
    made = [active_line(found["active"], now, width) if found["active"] else idle]
    names = ", ".join(entry["name"] for entry in waiting(found))
    made.append(line(f"{count(len(waiting(found)))} waiting", (f"  {names}", "muted")))
    if found["others"]:
        made.append(
            line(
                (f"! {count(len(found['others']))} not taken", "warn"),
                (f"  {', '.join(found['others'])}", "muted"),
            )
        )
    made.append(BLANK)
    made += [recent_line(entry, width) for entry in found["recent"][: max(0, height - len(made))]]
    return [cut(each, width) for each in made[:height]]


STATUS = {"ingested": ("✓", "ok"), "duplicate": ("=", "muted"), "rejected": ("✗", "bad")}


def recent_line(entry: Document, width: int) -> Line:
    """A file that was taken or refused, in one line."""
    sign, meaning = STATUS.get(entry["status"], ("·", "muted"))
    if entry["status"] == "ingested" and entry["quarantined"]:
        sign, meaning = "!", "warn"
    return spread(line((f"{sign} ", meaning), entry["name"]), line((outcome(entry), "muted")), width)


def outcome(entry: Document) -> str:
    """What became of a file, in words."""
    if entry["status"] != "ingested":
        return f"{entry['status']}: {entry['reason']}" if entry["reason"] else str(entry["status"])
    aside = f", {count(entry['quarantined'])} set aside" if entry["quarantined"] else ""
    return f"{count(entry['accepted'])} of {count(entry['rows'])} rows{aside}"


def reasons(by_reason: dict[str, int], width: int, height: int) -> list[Line]:
    """Reasons with bars, the commonest first; what has no room is told by a count."""
    pairs = commonest(by_reason)
    if not pairs:
        return [line(("✓ ", "ok"), ("nothing is set aside", "muted"))][:height]
    shown = pairs[: max(1, height if len(pairs) <= height else height - 1)]
    made = [_reason_line(code, number, pairs[0][1], width) for code, number in shown]
    if len(shown) < len(pairs):
        made.append(line((f"and {count(len(pairs) - len(shown))} reasons more", "muted")))
    return made[:height]


def _reason_line(code: str, number: int, most: int, width: int) -> Line:
    room = max(4, width - 32)
    return line(f"{code:<22} {count(number):>7} ", ("█" * max(1, round(number / most * room)), "warn"))


# -- whole pages --------------------------------------------------------------------------------------


def brief(doc: Document, now: int, width: int, height: int) -> list[Line]:
    """The state in one line each, where there is no room for panels."""
    made = [
        as_fits([nav_line(doc, now), nav_trend(doc)], width, "   "), drawdown_line(doc),
        backup_line(doc, now, width), memory_line(doc, width), inbox_line(doc, now, width),
        values_line(doc, now, width), *data_lines(doc, now, width),
    ]  # fmt: skip
    return [cut(each, width) for each in made[:height]]


def details(pairs: Sequence[tuple[str, Line]], width: int) -> list[Line]:
    """Names and what belongs to them, one under the other; long text is folded."""
    edge = max((len(name) for name, _ in pairs), default=0)
    made = []
    for name, told in pairs:
        for number, part in enumerate(_folded(told, max(8, width - edge - 2))):
            made.append(line((f"{name if number == 0 else '':<{edge}}  ", "muted"), *part))
    return made


def _folded(told: Line, width: int) -> list[Line]:
    if len(told) != 1:
        return [cut(told, width)]
    text, mark = told[0]
    return [line((part, mark)) for part in wrapped(text, width)]


def reason_lines(reason: Document, width: int) -> list[Line]:
    """A reason of a quarantined row: code, column and value, then what it means and what to do."""
    where = f"{reason['column']} = " if reason["column"] else ""
    value = [f"{where}{reason['value'] or 'empty'}"] if reason["column"] or reason["value"] else []
    told = reason.get("hint") or words(reason["code"])
    made: list[Line] = [line(("! ", "warn"), (reason["code"], "strong"))]
    made += [line("  ", (part, "warn")) for text in value for part in wrapped(text, width - 2)]
    return made + [line("  ", (part, "muted")) for part in wrapped(told, width - 2) if part]


def choice(name: str, is_chosen: bool) -> Piece:
    """One of several; the chosen one stands in brackets, so that it is seen without colour."""
    return (f"[{name}]", "mark") if is_chosen else (f" {name} ", "muted")


def chips(parts: Sequence[tuple[str, int | None]], chosen: int, width: int) -> Line:
    """Choices in one line, the chosen one marked; it is kept in sight."""
    names = [name if number is None else f"{name} {count(number)}" for name, number in parts]
    made = [line(choice(name, place == chosen)) for place, name in enumerate(names)]
    start = 0
    while start < chosen and sum(len(part[0][0]) + 1 for part in made[start : chosen + 1]) > width - 2:
        start += 1
    before: list[Line] = [line(("… ", "muted"))] if start else []
    return cut(joined([*before, *made[start:]], " "), width)
