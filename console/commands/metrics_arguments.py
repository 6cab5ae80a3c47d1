"""The verb that tells returns: what it takes."""

from typing import Any

from console.commands.arguments import add_verb, range_options, text
from engine.api import RESOLUTIONS


def add(verbs: Any) -> None:
    """`metrics`."""
    about = "returns, drawdown, volatility and allocation, and how far they are known"
    verb = add_verb(verbs, "metrics", about)
    range_options(verb)
    verb.add_argument("--resolution", choices=RESOLUTIONS, default="1d", help="what one period is")
    whose = verb.add_mutually_exclusive_group()
    whose.add_argument("--account", metavar="A", type=text, help="of this account only")
    whose.add_argument("--group", metavar="G", type=text, help="of a group of accounts named in the settings")
    whose.add_argument("--series", metavar="FILE", help="of a series of one's own, JSON; needs no home")
    verb.add_argument("--points", action="store_true", help="with --json: every point of NAV and index")
