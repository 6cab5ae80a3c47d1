"""What `status` says of backups, from names and reports alone."""

from typing import Any

from engine.backup.layout import Shelf, stamp_of
from engine.domain.instants import HOUR_US, SECOND_US
from engine.runtime.home import Home

OLD_US = 26 * HOUR_US  # a nightly backup and two hours of grace


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


def alerts(told: dict[str, Any]) -> list[dict[str, str]]:
    """What a summary says that needs a person."""
    found = []
    if told["age_s"] is not None and told["age_s"] * SECOND_US > OLD_US:
        text = f"the last backup is {told['age_s'] // 3600} hours old"
        found.append({"code": "BACKUP_OLD", "text": text, "hint": "navdeck backup create"})
    if told["verified"] is False:
        text = f"backup {told['id']} is not what was written"
        found.append({"code": "BACKUP_DAMAGED", "text": text, "hint": f"navdeck backup verify {told['id']}"})
    if told["drill"] is not None and told["drill"]["verdict"] == "failed":
        text = f"the drill of {told['drill']['at']} failed"
        found.append({"code": "DRILL_FAILED", "text": text, "hint": "navdeck backup drill"})
    return found
