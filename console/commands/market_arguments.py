"""The verbs of assets and exchange rates: what they take."""

from typing import Any

from console.commands.arguments import acts_of, add_verb, either, range_options, text
from engine.api import RESOLUTIONS

STATUSES = ("normal", "excluded", "manual")


def add(verbs: Any) -> None:
    """Assets with their status, and exchange rates with their holds."""
    _assets(
        acts_of(add_verb(verbs, "assets", "every asset, its status, and what keeps NAV from being known"))
    )
    _fx(acts_of(add_verb(verbs, "fx", "exchange rates in force, drift, and holds")))
    _providers(acts_of(add_verb(verbs, "providers", "who is asked for prices and rates, and how that goes")))
    prices = acts_of(add_verb(verbs, "prices", "stored prices that look wrong"))
    check = add_verb(prices, "prices check", "jumps, sources far apart, bars without trades; with evidence")
    check.add_argument("--asset", metavar="X", type=text, help="of this one only")
    range_options(check)
    gaps = add_verb(verbs, "gaps", "what is missing to value what is held, and who could give it")
    gaps.add_argument("--series", metavar="N", type=text, help="of this asset or pair only")
    gaps.add_argument("--resolution", choices=RESOLUTIONS, help="only this one; all three otherwise")
    range_options(gaps)
    gaps.add_argument("--fetch", action="store_true", help="ask the providers for it now, and take it in")


def _assets(acts: Any) -> None:
    listed = add_verb(acts, "assets list", "what blocks NAV first, the oldest and largest of it before")
    listed.add_argument("--asset", metavar="X", type=text, help="this one only")
    listed.add_argument("--status", choices=STATUSES, metavar="STATUS", help=either(STATUSES))
    listed.add_argument("--blocking", action="store_true", help="only those that keep NAV from being known")

    given = add_verb(
        acts, "assets set", "how assets count from an instant on", "ASSET… STATUS --reason R [options]"
    )
    given.add_argument(
        "words", nargs="+", metavar="ASSET… STATUS", type=text, help=f"{either(STATUSES)} comes last"
    )
    given.add_argument(
        "--reason", metavar="R", type=text, required=True, help="why, or the evidence of a price"
    )
    given.add_argument(
        "--since", metavar="T", type=text, help="an instant, or `start`: its first row; else now"
    )
    given.add_argument("--price", metavar="P", type=text, help="manual: in base currency; 0 writes it off")
    given.add_argument("--expires", metavar="T", type=text, help="manual: until then")
    given.add_argument("--dry-run", action="store_true", help="say what would happen, store nothing")


def _fx(acts: Any) -> None:
    status = add_verb(acts, "fx status", "each pair's rate in force, drift against the band, and hold")
    status.add_argument(
        "--pair", metavar="P", type=text, help="this one, with its fixings, its holds and what one touches"
    )
    status.add_argument("--at", metavar="T", help="as it was at an instant; otherwise now")
    range_options(status)

    once = add_verb(acts, "fx use-eod-once", "value a held pair by its end-of-day rate, once, and say why")
    once.add_argument("pair", metavar="PAIR", type=text, help="such as EUR/USD")
    once.add_argument("--reason", metavar="R", type=text, required=True, help="why, for the record")
    range_options(once)
    once.add_argument("--dry-run", action="store_true", help="say what would happen, store nothing")


def _providers(acts: Any) -> None:
    add_verb(acts, "providers status", "level, calls left, breaker, last error of each")
    opened = add_verb(acts, "providers open", "let calls go again, the first as a probe")
    opened.add_argument("name", metavar="NAME", type=text)
    opened.add_argument("--reason", metavar="R", type=text, default="", help="why, for the record")
    closed = add_verb(acts, "providers close", "no call until it is opened")
    closed.add_argument("name", metavar="NAME", type=text)
    closed.add_argument("--reason", metavar="R", type=text, required=True, help="why, for the record")
