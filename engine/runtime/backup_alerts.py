"""What `status` says of backups, from names and reports alone."""

from typing import Any

from engine.backup.layout import Shelf, stamp_of
from engine.domain.instants import SECOND_US
from engine.runtime.home import Home


def summary(home: Home, now: int) -> dict[str, Any]:
    """The last backup, its age and when it verified, and the last drill."""
    shelf = Shelf(home.backups)
    name = next(iter(reversed(shelf.ids())), None)
    last = next((one for one in shelf.drills() if one["verdict"] != "cancelled"), None)
    drilled = None if last is None else {"at": last["at"], "verdict": last["verdict"]}
    if name is None:
        return {"id": None, "age_s": None, "verified_at": None, "verified": None, "drill": drilled}
    found = shelf.verified().get(name, {})
    age_s = max(0, now - stamp_of(name)) // SECOND_US
    return {
        "id": name, "age_s": age_s, "verified_at": found.get("at"), "verified": found.get("ok"),
        "drill": drilled,
    }  # fmt: skip


def newest_at(told: dict[str, Any]) -> int | None:
    """When the last backup of a summary was made."""
    return None if told["id"] is None else stamp_of(told["id"])
