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

Also: status, digest, verify, config, split.
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
    "quarantine": ("navdeck quarantine list", "navdeck quarantine list --json"),
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
    """argparse, but a mistake is told in one line with a hint."""

    def error(self, message: str) -> NoReturn:
        given = re.match(r"argument VERB: invalid choice: '(.*?)'", message)
        if given is None:
            raise WrongUsage(f"{message}.", f"`{self.prog} --help` shows what it takes.")
        close = difflib.get_close_matches(given[1], EXAMPLES, n=1)
        meant = f"Did you mean `navdeck {close[0]}`? " if close else ""
        raise WrongUsage(f"there is no verb {given[1]!r}.", f"{meant}`navdeck --help` lists all verbs.")


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

    quarantine = _verb(verbs, "quarantine", "rows that were set aside, and why")
    quarantine.add_argument("act", choices=("list",), metavar="list")

    _verb(verbs, "status", "counts, how far the data reaches, what needs a person")
    _verb(verbs, "digest", "the fingerprint of all that is true here")
    _verb(verbs, "verify", "recount, re-read and recompute; everything must agree")
    _verb(verbs, "config", "the settings in force, and where each comes from")

    split = _verb(verbs, "split", "cut a CSV that is too large into files that are not")
    split.add_argument("file", metavar="FILE")
    split.add_argument("--to", metavar="FOLDER", help="where the parts go; beside the file otherwise")
    return root


def _verb(verbs: Any, name: str, about: str) -> argparse.ArgumentParser:
    examples = "".join(f"\n  {example}" for example in EXAMPLES[name])
    verb: argparse.ArgumentParser = verbs.add_parser(
        name, help=about, description=about[0].upper() + about[1:] + ".", epilog=f"examples:{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
    )  # fmt: skip
    _common(verb, home=argparse.SUPPRESS, json=argparse.SUPPRESS)
    return verb


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
