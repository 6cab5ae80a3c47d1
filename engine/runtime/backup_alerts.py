"""What `status` says of backups, from names and reports alone."""

from typing import Any

from engine.backup.layout import Shelf, stamp_of
from engine.domain.instants import SECOND_US, format_instant
from engine.runtime.home import Home


def summary(home: Home, now: int) -> dict[str, Any]:
    """The last backup: its instant, its age and when it verified; and the last drill."""
    shelf = Shelf(home.backups)
    name = next(iter(reversed(shelf.ids())), None)
    last = next((one for one in shelf.drills() if one["verdict"] != "cancelled"), None)
    drilled = None if last is None else {"at": last["at"], "verdict": last["verdict"]}
    if name is None:
        none = dict.fromkeys(("id", "made_at", "age_s", "verified_at", "verified"))
        return none | {"drill": drilled}
    found = shelf.verified().get(name, {})
    made = stamp_of(name)
    return {
        "id": name, "made_at": format_instant(made), "age_s": max(0, now - made) // SECOND_US,
        "verified_at": found.get("at"), "verified": found.get("ok"), "drill": drilled,
    }  # fmt: skip


def newest_at(told: dict[str, Any]) -> int | None:
    """When the last backup of a summary was made."""
    return None if told["id"] is None else stamp_of(told["id"])
