"""An operator at the desk of one home: acts by command, as tasks of the worker or through the engine."""

from typing import Any

from engine.messages import Command
from engine.runtime.take import take_files
from engine.runtime.taken import Source
from engine.runtime.tasks import ACTS
from tests.runtime.deck import Deck, Row

ACTOR = "ada"


def act(
    deck: Deck, name: str, *, reason: str = "", dry_run: bool = False, **arguments: Any
) -> dict[str, Any]:
    """Carries one act out, as the engine's worker does."""
    return ACTS[name](str(deck.path), deck.clock(), arguments, ACTOR, reason, dry_run)


def command(deck: Deck, name: str, *, dry_run: bool = False, **arguments: Any) -> dict[str, Any]:
    """Carries one act out through the engine."""
    told = Command(name, arguments, ACTOR, "", dry_run)
    return deck.with_engine(lambda engine: engine.do(told), writing=True)


def fix(deck: Deck, ids: list[str], dry_run: bool = False, **values: str) -> dict[str, Any]:
    return act(deck, "quarantine_fix", ids=ids, set=values, dry_run=dry_run)


def release(deck: Deck, ids: list[str], dry_run: bool = False, **how: Any) -> dict[str, Any]:
    return act(deck, "quarantine_release", ids=ids, dry_run=dry_run, **how)


def reject(deck: Deck, ids: list[str], reason: str = "not ours") -> dict[str, Any]:
    return act(deck, "quarantine_reject", ids=ids, reason=reason)


def undo(deck: Deck, decision: int | None = None) -> dict[str, Any]:
    return act(deck, "undo", **({} if decision is None else {"decision": decision}))


def waiting(deck: Deck) -> list[str]:
    """Ids of the open rows, newest file first."""
    return list(deck.ask("quarantine_ids")["ids"])


def take(deck: Deck, *rows: Row) -> dict[str, Any]:
    """Ingests rows as one file, as the engine's worker does; the file's entry."""
    name = f"take-{deck.sql('SELECT count(*) FROM files')[0][0]}.csv"
    path = deck.file(name, list(rows))
    (taken,) = take_files(str(deck.path), [Source(str(path), name)], deck.clock(), 4000, keep=True)
    return taken.answer()


def held(deck: Deck, *rows: Row) -> list[str]:
    """Ingests rows as one file; the ids of those that were set aside, in their order."""
    before = set(waiting(deck))
    take(deck, *rows)
    return [one for one in waiting(deck) if one not in before]


def ledger(deck: Deck) -> list[tuple[str, int]]:
    """Quantity and k of every row that counts, sorted."""
    return sorted(deck.sql("SELECT quantity, k FROM tx WHERE superseded_by IS NULL"))


def counts(deck: Deck) -> list[tuple[int, ...]]:
    """rows, accepted, duplicates, quarantined of every file, in the order in which they were taken."""
    return deck.sql("SELECT rows, accepted, duplicates, quarantined FROM files ORDER BY file")


def assert_sound(deck: Deck) -> None:
    """Every count holds."""
    told = deck.ask("verify")
    assert told["ok"], told["checks"]
