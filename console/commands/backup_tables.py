"""Backups as tables: what was made, what is there, what a check, a restore and a drill found."""

from typing import Any

from rich.console import RenderableType
from rich.text import Text

from console.commands.grid import (
    BAD,
    GOOD,
    QUIET,
    WARN,
    Column,
    Grid,
    figure,
    hint,
    pairs,
    section,
    show,
    text,
)
from console.text import UNKNOWN, bytes_text, count, instant, plural

Document = dict[str, Any]
LEFT_OUT_SHOWN = 10
HOUR_S, DAY_S = 3_600, 86_400


def created(document: Document) -> None:
    """`backup create`."""
    facts = [
        ("backup", document["id"]), ("reaches", instant(document["reached"])),
        ("files", f"{count(document['files'])} · {bytes_text(document['bytes'])}"),
        ("new", f"{count(document['new_files'])} · {bytes_text(document['new_bytes'])}"),
        ("took", _seconds(document["seconds"])), ("digest", document["digest"]),
    ]  # fmt: skip
    removed = document["removed"]["backups_removed"]
    facts += [("no longer kept", plural(removed, "backup"))] if removed else []
    parts: list[RenderableType] = [pairs(facts), *_left_out(document)]
    for name, told in (("second folder", document["target"]), ("post_backup", document["hook"])):
        if told is not None:
            parts.append(_outcome(name, told))
    show(*parts, text("✓ the backup is made", GOOD), hint(f"navdeck backup verify {document['id']}"))


def _outcome(name: str, told: Document) -> Text:
    return text(f"✓ {name}", GOOD) if told["ok"] else text(f"✗ {name}: {told['error']}", BAD)


def _left_out(document: Document) -> list[Text]:
    """Files that the home lists and does not have."""
    found = document["left_out"]
    told = [text(f"! left out {one['path']}: {one['why']}", WARN) for one in found[:LEFT_OUT_SHOWN]]
    more = len(found) - len(told)
    return [*told, text(f"! and {count(more)} more", WARN)] if more else told


def listed(document: Document) -> None:
    """`backup list`."""
    backups, drills = document["backups"], document["drills"]
    if not backups:
        show(text("There is no backup yet."), hint("navdeck backup create"))
        return
    columns = (
        Column("backup"), Column("age", right=True), Column("reaches", rank=2),
        Column("files", right=True, rank=3), Column("size", right=True, rank=1), Column("verified"),
    )  # fmt: skip
    rows = [_backup_row(one) for one in backups]
    parts: list[RenderableType] = [section(plural(len(backups), "backup"), Grid(columns, rows))]
    if drills:
        parts.append(section("Drills", _drill_grid(drills)))
    show(*parts)


def _backup_row(one: Document) -> list[Text | str]:
    if one["problem"]:
        return [one["id"], _age(one["age_s"]), "", "", "", text("damaged", BAD)]
    return [
        one["id"], _age(one["age_s"]), instant(one["reached"]), figure(count(one["files"])),
        bytes_text(one["bytes"]), _verified(one),
    ]  # fmt: skip


def _verified(one: Document) -> Text:
    if one["verified_at"] is None:
        return text("not yet", QUIET)
    return text(instant(one["verified_at"]), GOOD) if one["verified"] else text("damaged", BAD)


def _drill_grid(drills: list[Document]) -> Grid:
    columns = (
        Column("at"), Column("verdict"), Column("RTO", right=True), Column("RPO", right=True),
        Column("backup", rank=1),
    )  # fmt: skip
    rows = [
        [instant(one["at"]), _verdict(one["verdict"]), _seconds(one.get("rto_s")), _seconds(one["rpo_s"]),
         one["backup"] or UNKNOWN] for one in drills
    ]  # fmt: skip
    return Grid(columns, rows)


def _verdict(word: str) -> Text:
    return text(word, {"passed": GOOD, "failed": BAD}.get(word, WARN))


def checked(check: Document) -> list[Text]:
    """One check: whether it passed, how much it looked at, and each problem."""
    mark, style = ("✓", GOOD) if check["ok"] else ("✗", BAD)
    looked = (f"  {count(check['looked_at'])} looked at", QUIET)
    told = Text.assemble((f"{mark} ", style), text(check["check"]), looked)
    return [told, *(text(f"    {problem}", BAD) for problem in check["problems"])]


def verified(document: Document) -> None:
    """`backup verify`."""
    parts: list[RenderableType] = []
    for backup in document["backups"]:
        lines = [one for check in backup["checks"] for one in checked(check)]
        took = f"{bytes_text(backup['bytes'])} in {_seconds(backup['seconds'])}"
        parts.append(section(f"{backup['id']}  {took}", *lines))
    bad = sum(not backup["ok"] for backup in document["backups"])
    told = (f"✗ {plural(bad, 'backup')} damaged", BAD) if bad else ("✓ every backup is sound", GOOD)
    show(*parts, text(*told))


def restored(document: Document) -> None:
    """`backup restore`, and its plan."""
    facts = [
        ("from", document["base"] or "the journal alone"),
        ("reaches", instant(document["reached"]) if document["reached"] else "the home as it was made"),
        ("redone", plural(document["commits_redone"], "commit")),
        ("files", f"{count(document['files'])} · {bytes_text(document['bytes'])}"),
        ("free", bytes_text(document["free_bytes"])), ("into", document["to"]),
    ]  # fmt: skip
    if document["digest"]:
        facts.append(("digest", document["digest"]))
    parts: list[RenderableType] = [pairs(facts)]
    parts += [text(f"! {path} is nowhere any more", WARN) for path in document["missing"]]
    parts += [text(f"✗ {refusal}", BAD) for refusal in document["refusals"]]
    if document["dry_run"]:
        show(*parts, text("Nothing was written.", QUIET))
        return
    show(*parts, text(f"✓ restored in {_seconds(document['seconds'])}", GOOD),
         hint(f"navdeck verify --home {document['to']}"))  # fmt: skip


def promoted(document: Document) -> None:
    """`backup promote`."""
    facts = [("home", document["home"])] + ([("before", document["kept"])] if document["kept"] else [])
    show(pairs(facts), text("✓ the restored home is the home", GOOD), hint("navdeck value"))


def drilled(document: Document) -> None:
    """`backup drill`."""
    columns = (
        Column("step", least=20, wraps=True), Column("s", right=True), Column("told", least=16, wraps=True),
    )  # fmt: skip
    rows = [
        [text(f"{'✓' if step['ok'] else '✗'} {step['step']}", "" if step["ok"] else BAD),
         figure(f"{step['seconds']:.3f}"), text(step["told"])] for step in document["steps"]
    ]  # fmt: skip
    facts = [
        ("backup", document["backup"] or UNKNOWN), ("RTO", _seconds(document.get("rto_s"))),
        ("RPO", _seconds(document["rpo_s"])),
        ("unsaved", UNKNOWN if document["unsaved_commits"] is None else count(document["unsaved_commits"])),
    ]  # fmt: skip
    problem = [text(f"✗ {document['problem']}", BAD)] if "problem" in document else []
    show(Grid(columns, rows), pairs(facts), *problem, _verdict(document["verdict"]))


def standing(told: Document | None) -> list[tuple[str, str]]:
    """The lines of `status`: the last backup, whether it verified, and the last drill."""
    if told is None or told["id"] is None:
        return [("last backup", "never")]
    words = {None: "not verified yet", True: "verified", False: "damaged"}
    drill = told["drill"]
    drilled = "never" if drill is None else f"{drill['verdict']} {instant(drill['at'])}"
    backup = f"{told['id']} · {_age(told['age_s'])} old · {words[told['verified']]}"
    return [("last backup", backup), ("last drill", drilled)]


def _seconds(seconds: float | None) -> str:
    return UNKNOWN if seconds is None else f"{seconds:,.1f} s"


def _age(seconds: int) -> str:
    """How long ago, in the largest unit that tells enough."""
    if seconds < HOUR_S:
        return f"{seconds // 60} min"
    return f"{seconds // HOUR_S} h" if seconds < 2 * DAY_S else f"{seconds // DAY_S} d"
