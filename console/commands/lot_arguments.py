"""The verbs that look into lots: what `lots` takes besides, `what-if`, and the reports."""

import argparse
from typing import Any

from console.commands.arguments import acts_of, add_verb, number, text
from engine.api import RESOLUTIONS

FORMATS = ("table", "csv", "json", "parquet")


def add(verbs: Any, lots: argparse.ArgumentParser) -> None:
    """Options of `lots`; `what-if`; `report gains` and `report income`."""
    lots.add_argument("--at", metavar="T", help="age, value and unrealized gain at the last close by then")
    told = "of which closes --at is, otherwise 1d"
    lots.add_argument("--resolution", choices=RESOLUTIONS, help=told)
    told = "a transaction's lots, fees and source rows, and what became of what it bought"
    lots.add_argument("--explain", metavar="TX", type=text, help=told)
    _what_if(verbs)
    _reports(verbs)


def _what_if(verbs: Any) -> None:
    about = "an imagined sale under each lot method; nothing is stored"
    verb = add_verb(verbs, "what-if", about)
    verb.add_argument("--asset", metavar="X", type=text, required=True)
    verb.add_argument("--account", metavar="A", type=text, required=True)
    verb.add_argument("--quantity", metavar="Q", type=text, required=True, help="how much is sold")
    verb.add_argument("--price", metavar="P", type=text, required=True, help="USD for one, fees taken off")
    verb.add_argument("--at", metavar="T", help="when it is sold, otherwise now")


def _reports(verbs: Any) -> None:
    acts = acts_of(add_verb(verbs, "report", "gains and income for a tax return"))
    gains = add_verb(acts, "report gains", "realized gains, short and long term", "[options]")
    gains.add_argument("--by", choices=("year", "account", "asset", "term", "row"), default="year")
    income = add_verb(acts, "report income", "rewards, airdrops and income; unvalued ones apart", "[options]")
    income.add_argument("--by", choices=("kind", "year", "account", "asset", "row"), default="kind")
    for verb in (gains, income):
        verb.add_argument("--year", metavar="Y", type=number, help="of this year, in the tax time zone")
        verb.add_argument("--account", metavar="A", type=text, help="of this account only")
        verb.add_argument("--asset", metavar="X", type=text, help="of this asset only")
        verb.add_argument("--format", choices=FORMATS, help="otherwise a table; to a file, CSV")
        verb.add_argument("--to", metavar="FILE", help="into a new file instead of standard output")
