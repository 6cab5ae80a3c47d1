"""How verbs take their arguments: a parser that tells a mistake in one line, and the common options.

It names no verb: cli.py and the *_arguments modules do. Standard library only, so that parsing is quick.
"""

import argparse
import difflib
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from console.commands.examples import EXAMPLES


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


def add_verb(verbs: Any, name: str, about: str, usage: str = "") -> argparse.ArgumentParser:
    """One verb; `usage` where argparse's own would fill lines."""
    examples = "".join(f"\n  {example}" for example in EXAMPLES[name])
    verb: Parser = verbs.add_parser(
        name.rpartition(" ")[2], help=about, description=about[0].upper() + about[1:] + ".",
        usage=f"navdeck {name} {usage}" if usage else None, epilog=f"examples:{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
    )  # fmt: skip
    verb.mixes = True
    common(verb, home=argparse.SUPPRESS, json=argparse.SUPPRESS)
    return verb


def acts_of(verb: argparse.ArgumentParser) -> Any:
    """A verb that has verbs of its own."""
    assert isinstance(verb, Parser)
    verb.mixes = False
    return verb.add_subparsers(dest="act", metavar="ACT", required=True)


def common(holder: argparse.ArgumentParser, home: str | None, json: bool | str) -> None:
    """What may stand before the verb as well as after it; after it, only what is given counts."""
    where = "the home; otherwise NAVDECK_HOME or the user's data folder"
    holder.add_argument("--home", type=_folder, default=home, metavar="FOLDER", help=where)
    holder.add_argument("--json", action="store_true", default=json, help="one JSON document on stdout")


def _folder(given: str) -> str:
    """A variable that a script left empty must not become another home than was meant."""
    if not given:
        raise argparse.ArgumentTypeError("it is empty; name a folder, or leave --home out")
    return given


def range_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--from", dest="from", metavar="T", help="closes after this instant or date")
    verb.add_argument("--to", dest="to", metavar="T", help="closes up to this instant or date")


def either(choices: Sequence[str]) -> str:
    return f"{', '.join(choices[:-1])} or {choices[-1]}"


def text(given: str) -> str:
    """Text that can be stored: a byte that is no UTF-8 comes as a lone surrogate and cannot."""
    try:
        given.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError("not UTF-8") from None
    return given


def number(given: str) -> int:
    if not re.fullmatch("[0-9]{1,18}", given):
        raise argparse.ArgumentTypeError(f"{given!r} is not a number of 0 or more")
    return int(given)


def age(given: str) -> int:
    """Seconds of an age such as 90s, 30m, 2h, 7d or 4w."""
    told = re.fullmatch("([0-9]{1,9})([smhdw])", given)
    if told is None:
        raise argparse.ArgumentTypeError(f"{given!r} is no age such as 30m, 2h or 7d")
    return int(told[1]) * {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}[told[2]]
