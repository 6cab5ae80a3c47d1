"""The verbs of alerts: what they take."""

from typing import Any

from console.commands.arguments import acts_of, add_verb, text


def add(verbs: Any) -> None:
    """`alerts list` and `alerts ack`."""
    acts = acts_of(add_verb(verbs, "alerts", "what needs a person: raised, acknowledged, cleared"))
    listed = add_verb(acts, "alerts list", "alerts that stand; those that nobody knows of first")
    listed.add_argument("--all", action="store_true", help="also those that cleared, the newest first")

    ack = add_verb(acts, "alerts ack", "say that somebody knows; it ends when the alert clears")
    told = "numbers, or a code for all of its kind"
    ack.add_argument("alerts", nargs="+", metavar="ALERT", type=text, help=told)
    ack.add_argument("--reason", metavar="R", type=text, required=True, help="why, for the record")
    ack.add_argument("--dry-run", action="store_true", help="say what would happen, store nothing")
