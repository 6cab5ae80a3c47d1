"""The command line: one verb, one question or act. It parses first and imports what the verb needs after.

Data goes to stdout (a table, or with --json one JSON document), everything else to stderr. Exit codes:
0 done, 1 failed, 2 wrong usage, 3 done but rows quarantined or files rejected, 4 home in use; 130 after
ctrl+c, as shells expect.
"""

import argparse
import asyncio
import difflib
import io
import json
import os
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from console.terminal import Terminal

EXIT_DONE, EXIT_FAILED, EXIT_USAGE, EXIT_SOME_BAD, EXIT_INTERRUPTED = 0, 1, 2, 3, 130

WELCOME = """\
navdeck keeps the books of a portfolio exact: files in, lots, gains and NAV out.
It never guesses a price, never loses a row, and always says why.

Have a look, with made-up data in a throw-away home:
  navdeck demo

The first five minutes with your own files:
  navdeck init                    make a home for your books
  navdeck ingest trades.csv       take in transactions, prices, FX rates
  navdeck quarantine list         rows that were set aside, and why
  navdeck value                   value every holding at every close
  navdeck nav                     what it is worth, and where that is not known
  navdeck lots                    what you hold, what it cost, what it gained

What was set aside is put right at the quarantine desk:
  navdeck quarantine show ID      all about one row, with what would mend it
  navdeck quarantine fix ID action=BUY
  navdeck quarantine release ID   into the books; navdeck undo takes it back

Also: status, digest, verify, decisions, explain, journal, config, split.
`navdeck VERB --help` shows options and examples; --json gives any answer to programs.
"""

EXAMPLES = {
    "init": ("navdeck init --home ~/books --timezone Europe/Berlin --base-currency EUR",),
    "demo": ("navdeck demo", "navdeck demo --headless --seed 11 --home ~/demo"),
    "ingest": (
        "navdeck ingest trades.csv prices.parquet", "navdeck ingest --dry-run trades.csv", "navdeck ingest",
    ),
    "value": ("navdeck value", "navdeck value --resolution 1d --from 2024-03-01 --to 2024-04-01"),
    "nav": (
        "navdeck nav --resolution 1h --from 2024-03-01 --to 2024-03-02", "navdeck nav --account main --json",
    ),
    "lots": ("navdeck lots --asset ETH", "navdeck lots --method LIFO --as-of 2024-01-01 --json"),
    "quarantine": ("navdeck quarantine list", "navdeck quarantine fix --help"),
    "quarantine list": ("navdeck quarantine list --reason PRICE_INVALID --older-than 2h",),
    "quarantine show": ("navdeck quarantine show 0964aeffd0a7-4",),
    "quarantine fix": (
        "navdeck quarantine fix 0964aeffd0a7-4 action=BUY quantity=1.5",
        "navdeck quarantine fix --all --code ACTION_UNKNOWN --suggested --dry-run",
    ),
    "quarantine release": (
        "navdeck quarantine release 0964aeffd0a7-4 0964aeffd0a7-9",
        "navdeck quarantine release 0964aeffd0a7-7 --supersede 018df903-a3c0",
        "navdeck quarantine release --all --file trades.csv --dry-run",
    ),
    "quarantine reject": ("navdeck quarantine reject 0964aeffd0a7-4 --reason 'a test order'",),
    "quarantine export": ("navdeck quarantine export --reason PRICE_INVALID --to fix-me.csv",),
    "undo": ("navdeck undo", "navdeck undo 17 --reason 'wrong row'"),
    "decisions": ("navdeck decisions --limit 20",),
    "explain": ("navdeck explain 018df903-a3c0-7b1e-8c55-0242ac120002",),
    "journal": ("navdeck journal verify",),
    "journal verify": ("navdeck journal verify --json",),
    "status": ("navdeck status",),
    "digest": ("navdeck digest --json",),
    "verify": ("navdeck verify",),
    "config": ("navdeck config",),
    "split": ("navdeck split huge.csv --to parts/",),
}  # fmt: skip


class WrongUsage(Exception):
    """The command line makes no sense: what is wrong, and what to do."""

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint


class Parser(argparse.ArgumentParser):
    """argparse, but a mistake is told in one line with a hint, and options may stand between words."""

    mixes = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        if not self.mixes:
            return super().parse_known_args(args, namespace)
        self.mixes = False  # argparse calls back for each of its two passes
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self.mixes = True

    def error(self, message: str) -> NoReturn:
        given = re.match(r"argument (?:VERB|ACT): invalid choice: '(.*?)'", message)
        if given is None:
            raise WrongUsage(f"{message}.", f"`{self.prog} --help` shows what it takes.")
        above = self.prog.removeprefix("navdeck").strip()
        verbs = [verb for verb in EXAMPLES if verb.rpartition(" ")[0] == above]
        tried = f"{above} {given[1]}".strip()
        close = difflib.get_close_matches(tried, verbs, n=1)
        meant = f"Did you mean `navdeck {close[0]}`? " if close else ""
        raise WrongUsage(f"there is no verb {tried!r}.", f"{meant}`{self.prog} --help` lists all verbs.")


def parser() -> argparse.ArgumentParser:
    """All verbs and their options."""
    root = Parser(
        prog="navdeck",
        description="Keeps the books of a portfolio exact: no guess, no lost row, always a reason.",
        epilog="exit codes: 0 done, 1 failed, 2 wrong usage, 3 done but rows quarantined or files rejected,"
        " 4 the home is in use",
        allow_abbrev=False,
    )  # fmt: skip
    root.add_argument("--version", action="store_true", help="show the version and leave")
    root.add_argument("--daemon", action="store_true", help="work by itself, with no console, until a signal")
    _common(root, home=None, json=False)
    verbs = root.add_subparsers(dest="verb", metavar="VERB")

    init = _verb(verbs, "init", "make a new home: the folder that holds one deployment")
    init.add_argument("--base-currency", default="USD", help="the currency NAV is told in (fixed)")
    init.add_argument("--timezone", default="UTC", help="the zone whose clock cuts the buckets (fixed)")
    init.add_argument("--lot-method", default="FIFO", help="FIFO, LIFO or HIFO (fixed)")

    demo = _verb(verbs, "demo", "a throw-away home with a month of made-up trading, from files to NAV")
    demo.add_argument("--headless", action="store_true", help="no console: run, print a summary, leave")
    demo.add_argument("--seed", type=int, default=7, help="another seed makes another portfolio")

    ingest = _verb(verbs, "ingest", "take files in: transactions, prices or rates; without PATH, the inbox")
    ingest.add_argument("paths", nargs="*", metavar="PATH")
    ingest.add_argument("--dry-run", action="store_true", help="say what would happen, store nothing")

    value = _verb(verbs, "value", "value every holding at every bucket close")
    _range_options(value)
    value.add_argument("--resolution", choices=("5m", "1h", "1d"), help="only this one; all three otherwise")

    nav = _verb(verbs, "nav", "net asset value at bucket closes; null where it cannot be known, and why")
    _range_options(nav)
    nav.add_argument("--resolution", choices=("5m", "1h", "1d"), default="1d")
    nav.add_argument("--account", help="of this account only")

    lots = _verb(verbs, "lots", "open lots, lots in transit and realized gains")
    lots.add_argument("--method", help="FIFO, LIFO or HIFO instead of the home's own")
    lots.add_argument("--account")
    lots.add_argument("--asset")
    lots.add_argument("--as-of", dest="as_of", metavar="T", help="as booked by then")

    _desk_verbs(verbs)
    _verb(verbs, "status", "counts, how far the data reaches, what needs a person")
    _verb(verbs, "digest", "the fingerprint of all that is true here")
    _verb(verbs, "verify", "recount, re-read and recompute; everything must agree")
    _verb(verbs, "config", "the settings in force, and where each comes from")

    split = _verb(verbs, "split", "cut a CSV that is too large into files that are not")
    split.add_argument("file", metavar="FILE")
    split.add_argument("--to", metavar="FOLDER", help="where the parts go; beside the file otherwise")
    return root


def _desk_verbs(verbs: Any) -> None:
    """The quarantine desk, and what tells and takes back decisions."""
    quarantine = _verb(verbs, "quarantine", "the desk for rows that were set aside: look, fix, decide")
    acts = _acts(quarantine)

    listed = _verb(acts, "quarantine list", "rows that were set aside, and why", "[options]")
    _which_rows(listed, "--reason")
    _any_status(listed)
    listed.add_argument("--limit", type=_number, metavar="N", help="no more than these; the table: 200")
    listed.add_argument("--offset", type=_number, metavar="N", default=0, help="leave out the first ones")

    shown = _verb(acts, "quarantine show", "all about one row: as it came, what is wrong, what was done")
    shown.add_argument("id", metavar="ID", type=_text, help="as `navdeck quarantine list` tells it")

    fix = _act(acts, "quarantine fix", "set columns of rows; they are judged again, and stay", " col=value…")
    fix.add_argument("--suggested", action="store_true", help="set what `navdeck quarantine show` suggests")

    release = _act(acts, "quarantine release", "rows into the books; exit code 1 if a rule refuses any")
    conflict = release.add_mutually_exclusive_group()
    conflict.add_argument("--as-leg", dest="as_leg", action="store_true", help="a further leg of its tx_hash")
    conflict.add_argument("--supersede", metavar="ROW", type=_text, help="a correction of this ledger row")

    _act(acts, "quarantine reject", "rows that are never to come in; a reason is needed", reason=True)

    export = _verb(acts, "quarantine export", "rows as CSV, to be mended and ingested again", "[options]")
    export.add_argument("--to", metavar="FILE", help="a new file; standard output otherwise")
    kinds = ("transactions", "prices", "fx")
    export.add_argument("--kind", choices=kinds, metavar="KIND", help=f"{_or(kinds)}; needed if mixed")
    _which_rows(export, "--reason")
    _any_status(export)

    undo = _verb(verbs, "undo", "take a decision back: the newest that can be, or the one named")
    undo.add_argument("decision", nargs="?", type=_number, metavar="DECISION", help="its number")
    undo.add_argument("--reason", metavar="R", type=_text, default="", help="why, for the record")

    decisions = _verb(verbs, "decisions", "what was decided, by whom, when and why; newest first")
    decisions.add_argument("--limit", type=_number, metavar="N", help="no more than these; the table: 40")

    explain = _verb(verbs, "explain", "one ledger row: where it came from and what it became")
    explain.add_argument("tx", metavar="TX", type=_text, help="its id")

    journal = _verb(verbs, "journal", "the record of every commit, from which the books can be made again")
    _verb(_acts(journal), "journal verify", "read every byte of it; exit code 1 if anything is wrong")


def _act(acts: Any, name: str, about: str, more: str = "", reason: bool = False) -> argparse.ArgumentParser:
    """A verb that acts on rows: named ones, or all that filters leave."""
    verb = _verb(acts, name, about, f"(ID… | --all [which rows]){more}{' --reason R' * reason} [options]")
    told = f"as `navdeck quarantine list` tells it{'; then what to set' * bool(more)}"
    verb.add_argument("words", nargs="*", metavar=f"ID…{more}", type=_text, help=told)
    verb.add_argument("--all", action="store_true", help="all open rows, as narrowed below")
    _which_rows(verb, "--code")
    why = "why, for the record"
    verb.add_argument("--reason", metavar="R", type=_text, required=reason, default="", help=why)
    verb.add_argument("--dry-run", action="store_true", help="say what would happen, store nothing")
    return verb


def _which_rows(verb: argparse.ArgumentParser, code: str) -> None:
    """Filters; the code of a reason is `--code` where `--reason` says why something is done."""
    rows = verb.add_argument_group("which rows")
    rows.add_argument(code, dest="code", metavar="CODE", type=_text, help="set aside for this reason")
    rows.add_argument("--file", metavar="NAME", type=_text, help="of files with this in their name")
    rows.add_argument("--account", metavar="A", type=_text, help="of this account")
    older = "taken in longer ago than 30m, 2h, 7d"
    rows.add_argument("--older-than", dest="older_than", metavar="AGE", type=_age, help=older)
    rows.add_argument("--text", metavar="T", type=_text, help="with this text anywhere in them")


def _any_status(verb: argparse.ArgumentParser) -> None:
    choices = ("open", "released", "rejected", "all")
    told = f"{_or(choices)}; otherwise open"
    verb.add_argument("--status", choices=choices, default="open", metavar="STATUS", help=told)


def _or(choices: Sequence[str]) -> str:
    return f"{', '.join(choices[:-1])} or {choices[-1]}"


def _text(given: str) -> str:
    """Text that can be stored: a byte that is no UTF-8 comes as a lone surrogate and cannot."""
    try:
        given.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError("not UTF-8") from None
    return given


def _number(given: str) -> int:
    if not re.fullmatch("[0-9]{1,18}", given):
        raise argparse.ArgumentTypeError(f"{given!r} is not a number of 0 or more")
    return int(given)


def _age(given: str) -> int:
    """Seconds of an age such as 90s, 30m, 2h, 7d or 4w."""
    told = re.fullmatch("([0-9]{1,9})([smhdw])", given)
    if told is None:
        raise argparse.ArgumentTypeError(f"{given!r} is no age such as 30m, 2h or 7d")
    return int(told[1]) * {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}[told[2]]


def _verb(verbs: Any, name: str, about: str, usage: str = "") -> argparse.ArgumentParser:
    """One verb; `usage` where argparse's own would fill lines."""
    examples = "".join(f"\n  {example}" for example in EXAMPLES[name])
    verb: Parser = verbs.add_parser(
        name.rpartition(" ")[2], help=about, description=about[0].upper() + about[1:] + ".",
        usage=f"navdeck {name} {usage}" if usage else None, epilog=f"examples:{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
    )  # fmt: skip
    verb.mixes = True
    _common(verb, home=argparse.SUPPRESS, json=argparse.SUPPRESS)
    return verb


def _acts(verb: argparse.ArgumentParser) -> Any:
    """A verb that has verbs of its own."""
    assert isinstance(verb, Parser)
    verb.mixes = False
    return verb.add_subparsers(dest="act", metavar="ACT", required=True)


def _common(holder: argparse.ArgumentParser, home: str | None, json: bool | str) -> None:
    """What may stand before the verb as well as after it; after it, only what is given counts."""
    where = "the home; otherwise NAVDECK_HOME or the user's data folder"
    holder.add_argument("--home", default=home, metavar="FOLDER", help=where)
    holder.add_argument("--json", action="store_true", default=json, help="one JSON document on stdout")


def _range_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--from", dest="from", metavar="T", help="closes after this instant or date")
    verb.add_argument("--to", dest="to", metavar="T", help="closes up to this instant or date")


def main(argv: Sequence[str] | None = None) -> int:
    """The entry point: the exit code. SystemExit where argparse ends by itself (--help, wrong usage)."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a letter that it lacks is no reason to fail
    given = list(sys.argv[1:] if argv is None else argv)
    try:
        arguments = parser().parse_args(given)
    except WrongUsage as wrong:
        _complain(wrong.problem, wrong.hint, "USAGE", "--json" in given)
        raise SystemExit(EXIT_USAGE) from None
    if arguments.version:
        print(f"navdeck {_version()}")
        return EXIT_DONE
    if arguments.daemon:
        arguments.verb = "daemon"
    if arguments.verb is None:
        return _without_verb(arguments)
    return _run(arguments)


def _without_verb(arguments: argparse.Namespace) -> int:
    """`navdeck` alone: the console; where it cannot be drawn, the status; without a home, a welcome."""
    from engine.api import home_path

    if not (home_path(arguments.home) / "state.db").is_file():
        print(WELCOME, end="")
        return EXIT_DONE
    arguments.verb = "status" if arguments.json or terminal().refusal else "console"
    return _run(arguments)


def terminal() -> "Terminal":
    """What can be drawn where this process writes."""
    from console.terminal import decide

    return decide(
        os.environ, is_tty=sys.stdin.isatty() and sys.stdout.isatty(), encoding=sys.stdout.encoding or ""
    )


def _version() -> str:
    from importlib.metadata import version

    return version("navdeck")


def _run(arguments: argparse.Namespace) -> int:
    """Runs the verb. An error becomes one message with a hint on stderr, and an exit code."""
    from console import verbs
    from engine.api import EngineError

    try:
        return asyncio.run(verbs.run(arguments))
    except EngineError as error:
        _complain(error.tried, error.hint, error.code, arguments.json)
        return error.exit_code
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        hint = "Check that the path is there and may be used."
        _complain(f"{error.strerror or error}{where}.", hint, "OS_ERROR", arguments.json)
        return EXIT_FAILED
    except KeyboardInterrupt:
        hint = "Nothing is half done: run the same command again."
        _complain("Interrupted.", hint, "INTERRUPTED", arguments.json)
        return EXIT_INTERRUPTED


def _complain(text: str, hint: str, code: str, as_json: bool) -> None:
    from console.text import safe_text

    print(f"navdeck: {safe_text(text, keep_lines=True)}", file=sys.stderr)
    if hint:
        print(f"  hint: {safe_text(hint, keep_lines=True)}", file=sys.stderr)
    if as_json:
        print(json.dumps({"error": {"code": code, "text": text, "hint": hint}}))


if __name__ == "__main__":
    sys.exit(main())
