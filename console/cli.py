"""The command line: one verb, one question or act. It parses first and imports what the verb needs after.

Data goes to stdout (a table, or with --json one JSON document), everything else to stderr. Exit codes:
0 done, 1 failed, 2 wrong usage, 3 done but rows quarantined or files rejected, 4 home in use; 130 after
ctrl+c, as shells expect.
"""

import argparse
import io
import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from console.commands import (
    alert_arguments,
    backup_arguments,
    desk_arguments,
    lot_arguments,
    market_arguments,
    metrics_arguments,
    sql_arguments,
    storage_arguments,
    transfer_arguments,
)
from console.commands.arguments import Parser, WrongUsage, add_verb, common, range_options
from engine.api import RESOLUTIONS, VERSION

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

What withholds a NAV, and what it was worth to hold it:
  navdeck assets list --blocking  what keeps NAV from being known; assets set settles it
  navdeck fx status               rates, drift, holds; navdeck gaps: missing prices
  navdeck transfers list          moves that lack their other side
  navdeck metrics                 returns, drawdown, volatility
  navdeck report gains            realized gains by year; lots --explain: down to the rows

Also: status, alerts, digest, verify, decisions, explain, journal, config, split.
`navdeck VERB --help` shows options and examples; --json gives any answer to programs.
"""


def without_verbs() -> argparse.ArgumentParser:
    """What stands before a verb, or alone."""
    root = Parser(
        prog="navdeck",
        description="Keeps the books of a portfolio exact: no guess, no lost row, always a reason.",
        epilog="exit codes: 0 done, 1 failed, 2 wrong usage, 3 done but rows quarantined or files rejected,"
        " 4 the home is in use",
        allow_abbrev=False,
    )  # fmt: skip
    root.add_argument("--version", action="store_true", help="show the version and leave")
    root.add_argument("--daemon", action="store_true", help="work by itself, with no console, until a signal")
    root.add_argument("--read-only", action="store_true", help="a console that only looks")
    common(root, home=None, json=False)
    root.set_defaults(verb=None)
    return root


def parser() -> argparse.ArgumentParser:
    """All verbs and their options."""
    root = without_verbs()
    verbs = root.add_subparsers(dest="verb", metavar="VERB")

    init = add_verb(verbs, "init", "make a new home: the folder that holds one deployment")
    init.add_argument("--base-currency", default="USD", help="the currency NAV is told in (fixed)")
    init.add_argument("--timezone", default="UTC", help="the zone whose clock cuts the buckets (fixed)")
    init.add_argument("--lot-method", default="FIFO", help="FIFO, LIFO or HIFO (fixed)")

    demo = add_verb(verbs, "demo", "a throw-away home with a month of made-up trading, from files to NAV")
    demo.add_argument("--headless", action="store_true", help="no console: run, print a summary, leave")
    demo.add_argument("--seed", type=int, default=7, help="another seed makes another portfolio")

    about = "take files in: transactions, prices or rates; without PATH, the inbox"
    ingest = add_verb(verbs, "ingest", about)
    ingest.add_argument("paths", nargs="*", metavar="PATH")
    ingest.add_argument("--dry-run", action="store_true", help="say what would happen, store nothing")

    value = add_verb(verbs, "value", "value every holding at every bucket close")
    range_options(value)
    value.add_argument("--resolution", choices=RESOLUTIONS, help="only this one; all three otherwise")

    nav = add_verb(verbs, "nav", "net asset value at bucket closes; null where it cannot be known, and why")
    range_options(nav)
    nav.add_argument("--resolution", choices=RESOLUTIONS, default="1d")
    nav.add_argument("--account", help="of this account only")

    lots = add_verb(verbs, "lots", "open lots, lots in transit and realized gains")
    lots.add_argument("--method", help="FIFO, LIFO or HIFO instead of the home's own")
    lots.add_argument("--account")
    lots.add_argument("--asset")
    lots.add_argument("--as-of", dest="as_of", metavar="T", help="as booked by then")
    lot_arguments.add(verbs, lots)

    desk_arguments.add(verbs)
    metrics_arguments.add(verbs)
    transfer_arguments.add(verbs)
    market_arguments.add(verbs)
    sql_arguments.add(verbs)
    backup_arguments.add(verbs)
    storage_arguments.add(verbs)
    add_verb(verbs, "service", "a systemd unit that keeps the engine of the home running")
    add_verb(verbs, "doctor", "is everything around the books as it must be; exit code 1 if anything is red")
    add_verb(verbs, "status", "counts, how far the data reaches, what needs a person")
    alert_arguments.add(verbs)
    add_verb(verbs, "digest", "the fingerprint of all that is true here")
    add_verb(verbs, "verify", "recount, re-read and recompute; everything must agree")
    add_verb(verbs, "config", "the settings in force, and where each comes from")

    split = add_verb(verbs, "split", "cut a CSV that is too large into files that are not")
    split.add_argument("file", metavar="FILE")
    split.add_argument("--to", metavar="FOLDER", help="where the parts go; beside the file otherwise")
    return root


def main(argv: Sequence[str] | None = None) -> int:
    """The entry point: the exit code. SystemExit where argparse ends by itself (--help, wrong usage)."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a letter that it lacks is no reason to fail
    given = list(sys.argv[1:] if argv is None else argv)
    try:
        arguments = _parsed(given)
    except WrongUsage as wrong:
        _complain(wrong.problem, wrong.hint, "USAGE", "--json" in given)
        raise SystemExit(EXIT_USAGE) from None
    if arguments.version:
        print(f"navdeck {VERSION}")
        return EXIT_DONE
    if arguments.daemon and arguments.verb:
        return _not_with_a_verb("--daemon works by itself.", arguments.json)
    if arguments.daemon:
        arguments.verb = "daemon"
    if arguments.verb is None:
        return _without_verb(arguments)
    if arguments.read_only:
        return _not_with_a_verb("--read-only is for the console.", arguments.json)
    return _run(arguments)


def _not_with_a_verb(problem: str, as_json: bool) -> int:
    _complain(problem, "Leave the verb or the option out.", "USAGE", as_json)
    return EXIT_USAGE


def _parsed(given: list[str]) -> argparse.Namespace:
    """The arguments. The console is no verb, and need not wait until all verbs are known."""
    if not {"-h", "--help"} & {*given}:
        with suppress(WrongUsage):  # told below, by whoever knows the verbs
            arguments, more = without_verbs().parse_known_args(given)
            if not more:
                return arguments
    return parser().parse_args(given)


def _without_verb(arguments: argparse.Namespace) -> int:
    """`navdeck` alone: the console; where it cannot be drawn, the status; without a home, a welcome."""
    from console.commands import first_run
    from engine.api import home_path

    home, is_mute = home_path(arguments.home), bool(arguments.json or terminal().refusal)
    if (home / "state.db").is_file():
        arguments.verb = "status" if is_mute else "console"
        return _run(arguments)
    if is_mute or arguments.read_only:
        print(WELCOME, end="")
        return EXIT_DONE
    if not first_run.wanted(home):
        return EXIT_DONE
    arguments.verb = "first"
    return _run(arguments)


def terminal() -> "Terminal":
    """What can be drawn where this process writes."""
    from console.terminal import decide

    return decide(
        os.environ, is_tty=sys.stdin.isatty() and sys.stdout.isatty(), encoding=sys.stdout.encoding or ""
    )


def _run(arguments: argparse.Namespace) -> int:
    """Runs the verb. An error becomes one message with a hint on stderr, and an exit code."""
    from console.commands import verbs
    from engine.api import EngineError, threads_told

    try:
        with threads_told():
            return verbs.run(arguments)
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
    except Exception as error:
        return _crashed(error, arguments)


def _crashed(error: BaseException, arguments: argparse.Namespace) -> int:
    """Tells what nobody foresaw, and where to look."""
    from engine.api import crash_text, home_path

    print(crash_text(error), file=sys.stderr)
    log = home_path(arguments.home) / "logs"
    hint = f"What an engine did before is in {log}; `navdeck verify` says whether the books are whole."
    _complain("It failed in a way that nobody foresaw, told above.", hint, "CRASHED", arguments.json)
    return EXIT_FAILED


def _complain(text: str, hint: str, code: str, as_json: bool) -> None:
    from console.text import safe_text
    from engine.api import strike

    text, hint = (safe_text(strike(told), keep_lines=True) for told in (text, hint))
    print(f"navdeck: {text}", file=sys.stderr)
    if hint:
        print(f"  hint: {hint}", file=sys.stderr)
    if as_json:
        print(json.dumps({"error": {"code": code, "text": text, "hint": hint}}))


if __name__ == "__main__":
    sys.exit(main())
