"""The operator's act on alerts.

An acknowledgement says: somebody knows. It changes no figure, and it ends when the alert clears.
"""

from pathlib import Path
from typing import Any

from engine.errors import UsageError
from engine.runtime.alerts import stored as alerts
from engine.runtime.alerts.rules import Alert
from engine.runtime.desk.minutes import Minutes
from engine.runtime.home import Home
from engine.store.commit import transaction
from engine.store.reader import Reader

WHICH = "`navdeck alerts list` shows what stands."


def acknowledge(
    home_path: str, now_us: int, arguments: dict[str, Any], actor: str, reason: str, dry_run: bool
) -> dict[str, Any]:
    """Notes that somebody knows of alerts; one decision each.

    Argument `alerts`: numbers, or codes for all of one kind. UsageError for what does not stand, what is
    acknowledged already, or no reason.
    """
    if not reason.strip():
        raise UsageError("An acknowledgement needs a reason.", "Say why with --reason; nothing was done.")
    home = Home(Path(home_path))
    with transaction(home.state, home.journal, now_us, "alert_ack") as work:
        found = _meant(work.reader, arguments.get("alerts"))
        minutes = Minutes(work, actor, reason)
        for alert in found:
            minutes.note(alerts.ACK, alerts.subject(alert), {"text": alert.text})
        minutes.put()
        if dry_run:
            work.cancel()
    told = [{"id": alert.id, "code": alert.code, "about": alert.about, "text": alert.text} for alert in found]
    return {"acknowledged": told, "decisions": minutes.numbers}


def _meant(reader: Reader, given: object) -> list[Alert]:
    """The alerts that numbers and codes name, each once."""
    if not isinstance(given, list) or not given or not all(isinstance(one, str) for one in given):
        raise UsageError("No alert was named.", WHICH)
    standing = alerts.stored(reader, "state = 'raised'")
    acks = alerts.acks(reader)
    found: dict[int, Alert] = {}
    for name in given:
        named = [alert for alert in standing if name in (str(alert.id), alert.code)]
        if not named:
            raise UsageError(f"No alert {name!r:.60} stands.", f"{WHICH} Nothing was done.")
        waiting = [alert for alert in named if alerts.told(alert, acks)["acked"] is None]
        if not waiting:
            raise UsageError(
                f"Alert {name} is acknowledged already.", "`navdeck undo` takes that back. Nothing was done."
            )
        found |= {alert.id: alert for alert in waiting}
    return list(found.values())
