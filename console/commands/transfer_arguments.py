"""The verbs of transfers: what they take."""

from typing import Any

from console.commands.arguments import acts_of, add_verb, either, number, text

STATES = ("matched", "in_transit", "unmatched", "settled")
KINDS = ("fee", "withdrawal", "gift", "payment", "lost", "deposit", "opening")


def add(verbs: Any) -> None:
    """`transfers` and what can be done with them."""
    acts = acts_of(add_verb(verbs, "transfers", "what moved between accounts, and what lacks its other side"))

    listed = add_verb(acts, "transfers list", "matched, in transit and unmatched, why, and what comes near")
    listed.add_argument("--asset", metavar="X", type=text, help="of this asset")
    listed.add_argument("--account", metavar="A", type=text, help="from or to this account")
    listed.add_argument("--state", choices=STATES, metavar="STATE", help=f"{either(STATES)}; otherwise all")
    listed.add_argument("--limit", type=number, metavar="N", help="no more of a state; the tables: 40")
    listed.add_argument("--offset", type=number, metavar="N", help="leave out the first N of each state")

    match = add_verb(acts, "transfers match", "an OUT and an IN are one transfer")
    match.add_argument("out", metavar="OUT", type=text, help="id of the TRANSFER_OUT, or its beginning")
    match.add_argument("into", metavar="IN", type=text, help="id of the TRANSFER_IN, or its beginning")
    _why(match)

    usage = "(ID… | --residuals-below N) --as KIND --reason R"
    settle = add_verb(acts, "transfers settle", "say what transfers without another side were", usage)
    settle.add_argument("ids", nargs="*", metavar="ID", type=text, help="of rows with something left over")
    small = "what is left over of linked transfers, if less than a quantity, or a part such as 1%%"
    settle.add_argument("--residuals-below", dest="below", metavar="N", type=text, help=small)
    settle.add_argument("--asset", metavar="X", type=text, help="the asset whose residuals are meant")
    told = "an OUT: fee, withdrawal, gift, payment or lost; an IN: deposit, gift or opening"
    settle.add_argument("--as", dest="kind", choices=KINDS, metavar="KIND", required=True, help=told)
    settle.add_argument("--value", metavar="USD", type=text, help="what it was worth; a payment needs it")
    _why(settle)


def _why(verb: Any) -> None:
    verb.add_argument("--reason", metavar="R", type=text, required=True, help="why, for the record")
    verb.add_argument("--dry-run", action="store_true", help="say what would happen, store nothing")
