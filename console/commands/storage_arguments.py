"""The verbs of the lake's upkeep and of watching it: what they take."""

from typing import Any

from console.commands.arguments import add_verb


def add(verbs: Any) -> None:
    """`compact`, `retention` and `telemetry`."""
    compact = add_verb(verbs, "compact", "rewrite what is cold or in pieces, remove what is no longer listed")
    compact.add_argument("--dry-run", action="store_true", help="show the plan, change nothing")
    told = "how much is in memory at a time: DEFAULT or LOW_RAM; the setting otherwise"
    compact.add_argument("--profile", choices=("DEFAULT", "LOW_RAM"), help=told)

    retention = add_verb(verbs, "retention", "drop old snapshots that can be made again, and old logs")
    retention.add_argument("--dry-run", action="store_true", help="show what would go, drop nothing")

    add_verb(verbs, "telemetry", "what is measured, as text for Prometheus")
