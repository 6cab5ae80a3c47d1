"""What alerts are about: the rules with their marks from the settings, and readings made of plain facts.

*Facts* are of the store and the folders, told by `status` as JSON; *live* ones only a working engine has
(tasks that fail, memory, coverage of the newest close, pairs held, a clock that was set). Pure but for
`folder_facts`. The order of RULES is the order in which alerts are shown.
"""

import os
import shutil
from collections.abc import Mapping
from typing import Any

from engine.config import Config
from engine.domain.instants import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from engine.runtime.alerts.rules import Reading, Rule
from engine.runtime.home import Home
from engine.runtime.inbox import takes

Facts = Mapping[str, Any]
GB = 1_000_000_000
CLOCK_EASE_US = HOUR_US  # a jump is over at once; it is shown for an hour
NEVER = float("inf")  # the mark of a rule that is switched off


def rules_of(config: Config) -> dict[str, Rule]:
    """Every rule by its code, with the marks that the settings give."""
    free = config["disk.free_bytes_min"]
    made = (
        Rule("PIPELINE_FAILED", for_us=config["alerts.failed_minutes"] * MINUTE_US),
        Rule("DISK_LOW", mark=free, ease=free / 10, falls=True),
        Rule("MEMORY_HIGH", mark=config["alerts.memory_percent"], ease=5, for_us=MINUTE_US),
        Rule("CLOCK_JUMP", mark=config["alerts.clock_jump_s"], ease_us=CLOCK_EASE_US),
        Rule("QUARANTINE_OPEN"),
        Rule("QUARANTINE_OLD", mark=_mark(config["alerts.quarantine_hours"])),
        Rule("INBOX_WAITING"),
        Rule("FILE_STUCK", mark=_mark(config["alerts.stuck_minutes"])),
        Rule("INBOX_NAME"),
        Rule("FILE_PARTIAL"),
        Rule("VALUES_STALE"),
        Rule("VALUES_LATE", for_us=config["alerts.values_minutes"] * MINUTE_US),
        Rule("COVERAGE_LOW", mark=config["alerts.coverage_percent"], ease=1, falls=True,
             for_us=config["alerts.coverage_minutes"] * MINUTE_US),
        Rule("PRICES_STALE", mark=_mark(config["alerts.stale_hours"])),
        Rule("FX_HELD", for_us=config["alerts.held_minutes"] * MINUTE_US),
        Rule("TRANSFERS_UNMATCHED", mark=config["alerts.transfer_days"]),
        Rule("PRICES_SUSPICIOUS"),
        Rule("LAKE_FILE_BAD"),
        Rule("BACKUP_OLD", mark=_mark(config["alerts.backup_hours"])),
        Rule("BACKUP_DAMAGED"),
        Rule("DRILL_FAILED"),
    )  # fmt: skip
    return {rule.code: rule for rule in made}


def _mark(setting: int) -> float:
    return setting or NEVER


def folder_facts(home: Home) -> dict[str, Any]:
    """The inbox, the disk and what the lake has set aside. Ages are by when a file came: nobody sets that."""
    came, others = [], 0
    with os.scandir(home.inbox) as entries:
        for entry in entries:
            if takes(entry.name):
                try:
                    came.append((entry.stat(follow_symlinks=False).st_ctime_ns // 1000, entry.name))
                except FileNotFoundError:  # taken between the listing and the look
                    continue
            elif not entry.name.startswith("."):
                others += 1
    oldest = min(came, default=None)
    return {
        "inbox_waiting": len(came), "inbox_others": others,
        "inbox_oldest": None if oldest is None else list(oldest),
        "disk_free": shutil.disk_usage(home.path).free,
        "lake_bad": len(os.listdir(home.lake_bad)) if home.lake_bad.is_dir() else 0,
    }  # fmt: skip


def readings(facts: Facts, config: Config, now: int, machine_now: int) -> dict[str, list[Reading]]:
    """What the store and the folders say. `machine_now`: the time by which files are stamped."""
    return {
        **_rows(facts, now),
        **_inbox(facts, machine_now),
        **_values(facts, now),
        **_backups(facts, now),
        "DISK_LOW": [_disk(facts["disk_free"], config["disk.free_bytes_min"])],
        "LAKE_FILE_BAD": _some(
            facts["lake_bad"], "1 lake file was", "{:,} lake files were", " damaged and made anew",
            "check the disk; what was damaged is in lake/.bad until you remove it",
        ),
    }  # fmt: skip


def _disk(free: int, least: int) -> Reading:
    return Reading(free, f"{free / GB:.1f} GB are free; intake needs {least / GB:.1f}", "free some space")


def live_readings(facts: Facts, live: Facts) -> dict[str, list[Reading]]:
    """What a working engine knows besides. What it is about to do itself needs nobody."""
    failing = [
        Reading(1, f"{task}: {cause}", "navdeck status", task) for task, cause in live["causes"].items()
    ]
    held = [
        Reading(1, f"{pair} is held: NAV is withheld", "navdeck fx status", pair) for pair in live["held"]
    ]
    found = {
        "PIPELINE_FAILED": failing,
        "FX_HELD": held,
        "CLOCK_JUMP": [_jump(live["clock_jump_s"])],
        "INBOX_WAITING": [],
        "VALUES_STALE": [],
        "VALUES_LATE": _values_behind(facts),
    }
    if live["memory_percent"] is not None:
        text = f"{live['memory_percent']:.0f} % of the memory is used"
        found["MEMORY_HIGH"] = [Reading(live["memory_percent"], text, "end what needs it")]
    if live["coverage_percent"] is not None:
        text = f"{live['coverage_percent']:.0f} % of the newest close is covered"
        found["COVERAGE_LOW"] = [Reading(live["coverage_percent"], text, "navdeck assets list --blocking")]
    return found


def _jump(seconds: float) -> Reading:
    way = "forward" if seconds > 0 else "back"
    text = f"the clock was set {way} by {abs(seconds):,.0f} s, or the machine slept"
    return Reading(abs(seconds), text, "check the time service of this machine")


def _some(number: int, one: str, several: str, end: str, hint: str) -> list[Reading]:
    """One reading of how many there are; none for none."""
    text = (one if number == 1 else several.format(number)) + end
    return [Reading(number, text, hint)] if number else []


def _rows(facts: Facts, now: int) -> dict[str, list[Reading]]:
    old, unsettled, odd = facts["quarantine_oldest"], facts["unsettled"], facts["suspicious"]
    listed = "navdeck quarantine list"
    codes = ("QUARANTINE_OLD", "TRANSFERS_UNMATCHED", "PRICES_SUSPICIOUS")
    found: dict[str, list[Reading]] = {code: [] for code in codes}
    found["QUARANTINE_OPEN"] = _some(
        facts["quarantine_open"], "1 row waits", "{:,} rows wait", " in quarantine", listed
    )
    if old is not None:
        hours = (now - old) / HOUR_US
        text = f"the oldest row has waited in quarantine for {_long(now - old)}"
        found["QUARANTINE_OLD"] = [Reading(hours, text, listed)]
    if unsettled is not None:
        number, oldest = unsettled
        days = max(0, now - oldest) // DAY_US
        told = "1 transfer has" if number == 1 else f"{number:,} transfers have"
        text = f"{told} no other side, the oldest for {'1 day' if days == 1 else f'{days:,} days'}"
        found["TRANSFERS_UNMATCHED"] = [Reading(days, text, "navdeck transfers list --state unmatched")]
    if odd:
        told = ", ".join(f"{count:,} {code.lower().replace('_', ' ')}" for code, count in sorted(odd.items()))
        text = f"prices of the newest 7 days look wrong: {told}"
        found["PRICES_SUSPICIOUS"] = [Reading(1, text, "navdeck prices check")]
    return found


def _inbox(facts: Facts, machine_now: int) -> dict[str, list[Reading]]:
    codes = ("INBOX_WAITING", "FILE_STUCK", "INBOX_NAME", "FILE_PARTIAL")
    found: dict[str, list[Reading]] = {code: [] for code in codes}
    if facts["inbox_oldest"] is not None:
        came, name = facts["inbox_oldest"]
        text = f"{name} has waited in the inbox for {_long(machine_now - came)}"
        stuck = Reading((machine_now - came) / MINUTE_US, text, "navdeck ingest says what is wrong with it")
        found |= {
            "INBOX_WAITING": [Reading(1, "files wait in the inbox", "navdeck ingest")],
            "FILE_STUCK": [stuck],
        }
    if facts["inbox_others"]:
        text = "the inbox holds files that are not .csv or .parquet"
        found["INBOX_NAME"] = [Reading(1, text, "rename or remove them")]
    if facts["files_partial"]:
        text = "a large file was taken in part"
        found["FILE_PARTIAL"] = [Reading(1, text, "navdeck ingest takes the rest")]
    return found


def _values(facts: Facts, now: int) -> dict[str, list[Reading]]:
    newest, stale = facts["price_last"], []
    if newest is not None:
        text = f"the newest price is {_long(now - newest)} old"
        stale = [Reading((now - newest) / HOUR_US, text, "navdeck gaps")]
    return {"PRICES_STALE": stale, "VALUES_STALE": _values_behind(facts)}


def _values_behind(facts: Facts) -> list[Reading]:
    if not facts["values_behind"]:
        return []
    return [Reading(1, "the books changed since values were computed", "navdeck value")]


def _backups(facts: Facts, now: int) -> dict[str, list[Reading]]:
    found: dict[str, list[Reading]] = {"BACKUP_OLD": [], "BACKUP_DAMAGED": [], "DRILL_FAILED": []}
    made, last, drill = facts["backup_at"], facts["backup"]["id"], facts["backup"]["drill"]
    if made is not None:
        text = f"the last backup is {max(0, now - made) // HOUR_US} hours old"
        found["BACKUP_OLD"] = [Reading((now - made) / HOUR_US, text, "navdeck backup create")]
    if facts["backup"]["verified"] is False:
        text = f"backup {last} is not what was written"
        found["BACKUP_DAMAGED"] = [Reading(1, text, f"navdeck backup verify {last}")]
    if drill is not None and drill["verdict"] == "failed":
        found["DRILL_FAILED"] = [Reading(1, f"the drill of {drill['at']} failed", "navdeck backup drill")]
    return found


def _long(span_us: int) -> str:
    """How long, in the coarsest unit of which there are two; so that the words seldom change."""
    for unit, name in ((DAY_US, "days"), (HOUR_US, "hours"), (MINUTE_US, "minutes")):
        if span_us >= 2 * unit:
            return f"{span_us // unit:,} {name}"
    return f"{max(0, span_us) // SECOND_US} s"
