"""The alerts of a home as state.db has them: what stands, what was, and what is known of it.

An acknowledgement is an operator's decision on one raised alert; the next time the same thing is bad, it is
a new alert. Reading them takes little to import: questions do.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from engine.domain.instants import format_instant
from engine.runtime.alerts.rules import Alert, Looked, Rule, judge
from engine.store.reader import Reader

ACK = "alert_ack"  # the kind of the decision
COLUMNS = tuple("alert" if field.name == "id" else field.name for field in fields(Alert))
_ACKS = (
    "SELECT decision, subject, actor, reason, committed_at FROM decisions WHERE kind = ? AND decision NOT IN"
    " (SELECT json_extract(subject, '$.decision') FROM decisions WHERE kind = 'undo') ORDER BY decision"
)
Acks = Mapping[str, dict[str, Any]]


def stored(reader: Reader, where: str = "state <> 'cleared'") -> list[Alert]:
    """Alerts under a condition, oldest first."""
    rows = reader.rows(f"SELECT {', '.join(COLUMNS)} FROM alerts WHERE {where} ORDER BY alert")
    return [Alert(*row) for row in rows]


def acks(reader: Reader) -> dict[str, dict[str, Any]]:
    """Acknowledgements that were not taken back, by the number of the alert."""
    found = {}
    for number, about, actor, reason, at in reader.rows(_ACKS, (ACK,)):
        subject = json.loads(about)
        ack = {"decision": number, "actor": actor, "reason": reason, "at": format_instant(at)}
        found[str(subject["alert"])] = ack | {"raised_at": subject["raised_at"]}
    return found


def next_id(reader: Reader) -> int:
    return int(reader.value("SELECT coalesce(max(alert), 0) + 1 FROM alerts"))


def told(alert: Alert, acknowledged: Acks) -> dict[str, Any]:
    """One alert as JSON. `acked`: by whom, why and when; null if by nobody."""
    ack = acknowledged.get(str(alert.id))
    is_of_this = ack is not None and ack["raised_at"] == _instant(alert.raised_at)
    return {
        "id": alert.id,
        **{name: getattr(alert, name) for name in ("code", "about", "text", "hint", "state")},
        **{name: _instant(getattr(alert, name)) for name in ("since", "raised_at", "cleared_at")},
        "acked": ack if is_of_this else None,
    }


def standing_told(
    alerts: Iterable[Alert], acknowledged: Acks, rules: Mapping[str, Rule]
) -> list[dict[str, Any]]:
    """The raised ones as JSON: those that nobody acknowledged first, in the order of the rules."""
    order = [*rules]
    mine = (alert for alert in alerts if alert.state == "raised" and alert.code in rules)
    raised = [told(alert, acknowledged) for alert in mine]
    ordered = sorted(raised, key=lambda one: (order.index(one["code"]), one["about"]))
    return sorted(ordered, key=lambda one: one["acked"] is not None)


def seen_now(reader: Reader, looked: Looked, rules: Mapping[str, Rule], now: int) -> list[dict[str, Any]]:
    """What stands as far as who only reads can see; what is not stored yet has no number."""
    fresh = next_id(reader)
    after = judge(stored(reader), looked, rules, now, fresh)
    shown = standing_told(after, acks(reader), rules)
    return [one | {"id": None if one["id"] >= fresh else one["id"]} for one in shown]


def _instant(us: int | None) -> str | None:
    return None if us is None else format_instant(us)


def subject(alert: Alert) -> str:
    """What an acknowledgement is about, as it is stored: this raising of this alert, and no other."""
    about = {"alert": alert.id, "code": alert.code, "about": alert.about}
    return json.dumps(about | {"raised_at": _instant(alert.raised_at)})
