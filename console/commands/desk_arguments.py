"""The verbs of the quarantine desk, and of what tells and takes back decisions: what they take."""

import argparse
from typing import Any

from console.commands.arguments import acts_of, add_verb, age, either, number, text


def add(verbs: Any) -> None:
    """The quarantine desk, and what tells and takes back decisions."""
    quarantine = add_verb(verbs, "quarantine", "the desk for rows that were set aside: look, fix, decide")
    acts = acts_of(quarantine)

    listed = add_verb(acts, "quarantine list", "rows that were set aside, and why", "[options]")
    _which_rows(listed, "--reason")
    _any_status(listed)
    listed.add_argument("--limit", type=number, metavar="N", help="no more than these; the table: 200")
    listed.add_argument("--offset", type=number, metavar="N", default=0, help="leave out the first ones")

    shown = add_verb(acts, "quarantine show", "all about one row: as it came, what is wrong, what was done")
    shown.add_argument("id", metavar="ID", type=text, help="as `navdeck quarantine list` tells it")

    fix = _act(acts, "quarantine fix", "set columns of rows; they are judged again, and stay", " col=value…")
    fix.add_argument("--suggested", action="store_true", help="set what `navdeck quarantine show` suggests")

    release = _act(acts, "quarantine release", "rows into the books; exit code 1 if a rule refuses any")
    conflict = release.add_mutually_exclusive_group()
    conflict.add_argument("--as-leg", dest="as_leg", action="store_true", help="a further leg of its tx_hash")
    conflict.add_argument("--supersede", metavar="ROW", type=text, help="a correction of this ledger row")

    _act(acts, "quarantine reject", "rows that are never to come in; a reason is needed", reason=True)

    export = add_verb(acts, "quarantine export", "rows as CSV, to be mended and ingested again", "[options]")
    export.add_argument("--to", metavar="FILE", help="a new file; standard output otherwise")
    kinds = ("transactions", "prices", "fx")
    export.add_argument("--kind", choices=kinds, metavar="KIND", help=f"{either(kinds)}; needed if mixed")
    _which_rows(export, "--reason")
    _any_status(export)

    undo = add_verb(verbs, "undo", "take a decision back: the newest that can be, or the one named")
    undo.add_argument("decision", nargs="?", type=number, metavar="DECISION", help="its number")
    undo.add_argument("--whole", action="store_true", help="with all that was decided in one act with it")
    undo.add_argument("--dry-run", action="store_true", help="only say what would be taken back")
    undo.add_argument("--reason", metavar="R", type=text, default="", help="why, for the record")

    decisions = add_verb(verbs, "decisions", "what was decided, by whom, when and why; newest first")
    decisions.add_argument("--limit", type=number, metavar="N", help="no more than these; the table: 40")

    explain = add_verb(verbs, "explain", "one ledger row: where it came from and what it became")
    explain.add_argument("tx", metavar="TX", type=text, help="its id")

    journal = add_verb(verbs, "journal", "the record of every commit, from which the books can be made again")
    add_verb(acts_of(journal), "journal verify", "read every byte of it; exit code 1 if anything is wrong")


def _act(acts: Any, name: str, about: str, more: str = "", reason: bool = False) -> argparse.ArgumentParser:
    """A verb that acts on rows: named ones, or all that filters leave."""
    verb = add_verb(acts, name, about, f"(ID… | --all [which rows]){more}{' --reason R' * reason} [options]")
    told = f"as `navdeck quarantine list` tells it{'; then what to set' * bool(more)}"
    verb.add_argument("words", nargs="*", metavar=f"ID…{more}", type=text, help=told)
    verb.add_argument("--all", action="store_true", help="all open rows, as narrowed below")
    _which_rows(verb, "--code")
    why = "why, for the record"
    verb.add_argument("--reason", metavar="R", type=text, required=reason, default="", help=why)
    verb.add_argument("--dry-run", action="store_true", help="say what would happen, store nothing")
    return verb


def _which_rows(verb: argparse.ArgumentParser, code: str) -> None:
    """Filters; the code of a reason is `--code` where `--reason` says why something is done."""
    rows = verb.add_argument_group("which rows")
    rows.add_argument(code, dest="code", metavar="CODE", type=text, help="set aside for this reason")
    rows.add_argument("--file", metavar="NAME", type=text, help="of files with this in their name")
    rows.add_argument("--account", metavar="A", type=text, help="of this account")
    older = "taken in longer ago than 30m, 2h, 7d"
    rows.add_argument("--older-than", dest="older_than", metavar="AGE", type=age, help=older)
    rows.add_argument("--text", metavar="T", type=text, help="with this text anywhere in them")


def _any_status(verb: argparse.ArgumentParser) -> None:
    choices = ("open", "released", "rejected", "all")
    told = f"{either(choices)}; otherwise open"
    verb.add_argument("--status", choices=choices, default="open", metavar="STATUS", help=told)
