"""The alerts of a home in state.db: what stands, what was, what of it is still to be delivered.

Stored before it is told: after a crash nothing is raised twice and nothing is forgotten. An acknowledgement
is an operator's decision on one raised alert; the next time the same thing is bad, it is a new alert.
"""

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.domain.instants import format_instant
from engine.runtime.alerts.rules import Alert, Looked, Rule, judge, shifted
from engine.store.reader import Reader

if TYPE_CHECKING:
    from engine.store.writer import Writer

ACK = "alert_ack"  # the kind of the decision
KEPT = 1_000  # alerts; the oldest cleared ones go
COLUMNS = tuple("alert" if field.name == "id" else field.name for field in fields(Alert))
_PUT = (
    f"INSERT INTO alerts({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))}) ON CONFLICT(alert)"
    f" DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in COLUMNS[1:])}"
)
_TRIM = (
    "DELETE FROM alerts WHERE state = 'cleared' AND owed = 0 AND alert <= (SELECT max(alert) FROM alerts) - ?"
)
_ACKS = (
    "SELECT decision, subject, actor, reason, committed_at FROM decisions WHERE kind = ? AND decision NOT IN"
    " (SELECT json_extract(subject, '$.decision') FROM decisions WHERE kind = 'undo') ORDER BY decision"
)
Acks = Mapping[str, dict[str, Any]]
Log = Callable[[str, str, str], None]  # level, kind, text
Tell = Callable[[str, dict[str, Any]], None]


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


class AlertBook:
    """What stands, kept in step with state.db. One look or delivery note at a time."""

    def __init__(self, state: Path, writer: "Writer", tell: Tell, log: Log) -> None:
        self._state, self._writer = state, writer
        self._tell, self._log = tell, log
        self._one = asyncio.Lock()
        self._alerts: list[Alert] | None = None  # what stands, and what is owed of others
        self._next_id = 1
        self.news: list[asyncio.Event] = []  # of each way out: set when something more is to be delivered

    async def look(
        self, looked: Looked, rules: Mapping[str, Rule], now: int, *, jump_us: int = 0, owed: int = 0
    ) -> list[Alert]:
        """Judges by new readings, stores what moved, then tells it; what stands now.

        `jump_us`: the clock was set by so much since the last look. `owed`: the bits of being raised that
        are to be delivered (see courier.py).
        """
        async with self._one:
            known = await self._known()
            standing = [alert for alert in known if alert.state != "cleared"]
            others = [alert for alert in known if alert.state == "cleared"]
            before = shifted(standing, jump_us)
            after = judge(before, looked, rules, now, self._next_id)
            after = [_owing(alert, before, owed) for alert in after]
            if _stored_part(after) != _stored_part(standing):
                await self._writer.to_its_end(self._store(standing, after))
            self._next_id = max([self._next_id, *(alert.id + 1 for alert in after)])
            kept = [alert for alert in after if alert.state != "cleared" or alert.owed]
            self._alerts = sorted([*others, *kept], key=lambda alert: alert.id)
            self._announce(before, after)
        return [alert for alert in after if alert.state != "cleared"]

    async def _known(self) -> list[Alert]:
        if self._alerts is None:
            alerts, self._next_id = await asyncio.to_thread(_read, self._state)
            self._alerts = alerts
        return self._alerts

    async def _store(self, before: list[Alert], after: list[Alert]) -> None:
        gone = {alert.id for alert in before} - {alert.id for alert in after}
        async with self._writer.transaction() as (connection, _):
            for one in gone:
                await connection.exec_driver_sql("DELETE FROM alerts WHERE alert = ?", (one,))
            if after:
                await connection.exec_driver_sql(_PUT, [astuple(alert) for alert in after])
            await connection.exec_driver_sql(_TRIM, (KEPT,))

    def _announce(self, before: list[Alert], after: list[Alert]) -> None:
        was = {alert.id: alert.state for alert in before}
        for alert in after:
            if alert.state == "pending" or was.get(alert.id) == alert.state:
                continue
            self._tell(f"alert_{alert.state}", told(alert, {}))
            level = "warn" if alert.state == "raised" else "info"
            self._log(level, f"alert_{alert.state}", f"{alert.id} {alert.code}: {alert.text}")
            for news in self.news:
                news.set()

    # -- deliveries --

    async def owed(self, bits: int) -> list[Alert]:
        """Alerts of which something with these bits is still to be delivered, oldest first."""
        async with self._one:
            return [alert for alert in await self._known() if alert.owed & bits]

    async def delivered(self, number: int, bit: int) -> None:
        """Notes that this part of an alert needs no delivery any more."""
        async with self._one:
            await self._writer.to_its_end(self._note_delivered(number, bit))
            noted = [
                replace(one, owed=one.owed & ~bit) if one.id == number else one for one in await self._known()
            ]
            self._alerts = [one for one in noted if one.state != "cleared" or one.owed]

    async def _note_delivered(self, number: int, bit: int) -> None:
        async with self._writer.transaction() as (connection, _):
            await connection.exec_driver_sql(
                "UPDATE alerts SET owed = owed & ~? WHERE alert = ?", (bit, number)
            )


def _read(state: Path) -> tuple[list[Alert], int]:
    with Reader(state) as reader:
        return stored(reader, "state <> 'cleared' OR owed <> 0"), next_id(reader)


def _owing(alert: Alert, before: Iterable[Alert], owed: int) -> Alert:
    was = next((one.state for one in before if one.id == alert.id), "pending")
    if alert.state == was or alert.state == "pending":
        return alert
    return replace(alert, owed=alert.owed | (owed if alert.state == "raised" else owed << 1))


def _stored_part(alerts: Iterable[Alert]) -> list[tuple[Any, ...]]:
    """What must survive a restart: the words may be told anew."""
    names = ("id", "state", "since", "raised_at", "well_since", "cleared_at", "owed")
    return [tuple(getattr(one, name) for name in names) for one in alerts]


def subject(alert: Alert) -> str:
    """What an acknowledgement is about, as it is stored: this raising of this alert, and no other."""
    about = {"alert": alert.id, "code": alert.code, "about": alert.about}
    return json.dumps(about | {"raised_at": _instant(alert.raised_at)})
