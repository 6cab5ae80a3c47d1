"""What executors run, by name: who asks for it imports nothing of what carries it out.

polars, DuckDB and what is built on them take longer to import than most questions take to answer. A process
imports what its own tasks need, when the first of them runs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from engine.errors import UsageError


@dataclass(frozen=True, slots=True)
class Task:
    """A module-level function of plain values, imported where it is called."""

    module: str
    name: str

    def __call__(self, *arguments: object) -> Any:
        """What the function returns; what it raises is raised."""
        return getattr(import_module(f"engine.{self.module}"), self.name)(*arguments)


def _named(tasks: Mapping[str, tuple[str, str]]) -> dict[str, Task]:
    return {name: Task(*place) for name, place in tasks.items()}


# Questions: (home, now, arguments) -> JSON.
QUERIES = _named({
    "alerts": ("runtime.status", "alerts"),
    "assets": ("runtime.asset_board", "assets"),
    "backups": ("runtime.backups", "listed"),
    "compact_plan": ("runtime.compacting", "compact_plan"),
    "config": ("runtime.queries", "configuration"),
    "decisions": ("runtime.desk.queries", "decisions_page"),
    "digest": ("runtime.queries", "digests"),
    "explain": ("runtime.desk.explain", "explain"),
    "fx_status": ("runtime.fx_board", "fx_status"),
    "gaps": ("runtime.feeds", "gaps_told"),
    "journal_verify": ("runtime.queries", "journal_verify"),
    "lots": ("runtime.queries", "lots"),
    "lots_at": ("runtime.lot_values", "lots_at"),
    "lots_explain": ("runtime.lot_trace", "lots_explain"),
    "lots_page": ("runtime.lot_pages", "lots_page"),
    "metrics": ("runtime.returns", "metrics_of"),
    "nav": ("runtime.queries", "nav"),
    "past": ("runtime.past", "past"),
    "prices_check": ("runtime.price_board", "prices_check"),
    "providers": ("runtime.feeds", "providers_status"),
    "quarantine": ("runtime.desk.queries", "quarantine"),
    "quarantine_ids": ("runtime.desk.queries", "quarantine_ids"),
    "quarantine_page": ("runtime.desk.queries", "quarantine_page"),
    "quarantine_show": ("runtime.desk.queries", "quarantine_show"),
    "report_gains": ("runtime.reports", "report_gains"),
    "report_income": ("runtime.reports", "report_income"),
    "retention_plan": ("runtime.retaining", "retention_plan"),
    "sql": ("runtime.sql", "sql"),
    "status": ("runtime.status", "status"),
    "storage": ("runtime.storage_board", "storage"),
    "telemetry": ("runtime.telemetry.facts", "telemetry"),
    "telemetry_facts": ("runtime.telemetry.facts", "telemetry_facts"),
    "transfers": ("runtime.desk.transfer_list", "transfers"),
    "verify": ("runtime.queries", "verify"),
    "what_if": ("runtime.what_if", "what_if"),
})  # fmt: skip
ALONE = frozenset({"sql"})  # in a process of its own, which can write nothing


def question(name: str) -> Task:
    """What answers a question. UsageError for one that does not exist."""
    answer = QUERIES.get(name)
    if answer is None:
        raise UsageError(f"There is no query {name!r}.")
    return answer


# An operator's acts: (home, now, arguments, actor, reason, dry_run) -> JSON.
ACTS = _named({
    "alert_ack": ("runtime.desk.alerts", "acknowledge"),
    "asset_set": ("runtime.desk.assets", "set_status"),
    "fx_use_eod_once": ("runtime.desk.fx", "use_eod_once"),
    "quarantine_fix": ("runtime.desk.acts", "fix"),
    "quarantine_reject": ("runtime.desk.acts", "reject"),
    "quarantine_release": ("runtime.desk.release", "release"),
    "transfer_match": ("runtime.desk.transfers", "match"),
    "transfer_settle": ("runtime.desk.transfers", "settle"),
    "undo": ("runtime.desk.undo", "undo"),
})  # fmt: skip

# Jobs with backups, all by way of RUN_BACKUP.
BACKUPS = ("backup_create", "backup_verify", "backup_restore", "backup_promote", "backup_drill")
RUN_BACKUP, CANCEL_BACKUP = Task("runtime.backups", "run"), Task("runtime.backups", "cancel")

RECOVER = Task("store.commit", "recover")
TAKE_FILES = Task("runtime.take", "take_files")
PARTIAL_FILES = Task("runtime.take", "partial_files")
VALUE = Task("runtime.value", "value_resolution")
OVER, SEAL = Task("runtime.open_day", "over"), Task("runtime.open_day", "seal")
WANTED = Task("runtime.gaps", "wanted")

PLANNED = Task("runtime.compacting", "planned")
REWRITE = Task("runtime.compacting", "rewrite")
REMOVE = Task("runtime.compacting", "remove")
CHECK, CHECK_IDLE = Task("runtime.checking", "check"), Task("runtime.checking", "check_idle")
OLD_DAYS, LIVE_NOW = Task("runtime.retaining", "old_days"), Task("runtime.retaining", "live_now")
CAN_BE_MADE_AGAIN = Task("runtime.retaining", "can_be_made_again")
REMOVE_LOGS = Task("runtime.retaining", "remove_logs")
