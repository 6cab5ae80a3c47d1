"""The verbs of backups: what they take."""

import argparse
from typing import Any

from console.commands.arguments import acts_of, add_verb, text

NAMED = "an id, its start, its number, or `latest`"


def add(verbs: Any) -> None:
    """`backup` and its acts."""
    acts = acts_of(add_verb(verbs, "backup", "make, check, restore and drill backups; beside an engine too"))
    add_verb(acts, "backup create", "a backup of the home as it is now; what is no longer kept is removed")

    listed = add_verb(acts, "backup list", "all backups and drills, newest first")
    _elsewhere(listed)

    about = "read every byte again, check all; exit code 1 if any differs"
    verify = add_verb(acts, "backup verify", about, "ID | --all [options]")
    verify.add_argument("id", nargs="?", metavar="ID", type=text, help=NAMED)
    verify.add_argument("--all", action="store_true", help="every backup")
    _elsewhere(verify)

    about = "bring back a backup, or what was committed by an instant"
    restore = add_verb(acts, "backup restore", about, "ID | --at T --to FOLDER [options]")
    restore.add_argument("id", nargs="?", metavar="ID", type=text, help=NAMED)
    restore.add_argument("--at", metavar="T", help="exactly what was committed by this instant")
    restore.add_argument("--to", metavar="FOLDER", type=text, required=True, help="a new folder")
    restore.add_argument("--dry-run", action="store_true", help="show the plan, write nothing")
    _elsewhere(restore)

    about = "put a restored home in the place of the home; the old one is kept beside"
    promote = add_verb(acts, "backup promote", about)
    promote.add_argument("folder", metavar="FOLDER", type=text, help="what `navdeck backup restore` made")

    add_verb(acts, "backup drill", "restore into scratch, recompute, compare; exit code 1 if it fails")


def _elsewhere(verb: argparse.ArgumentParser) -> None:
    told = "backups in this folder instead; the home itself may be lost"
    verb.add_argument("--from", dest="from", metavar="FOLDER", type=text, help=told)
