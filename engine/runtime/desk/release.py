"""Release: quarantined rows that keep the rules become ledger rows or observations, as if they had just come.

Owns what a release puts, and how the counts of a file move. Never decides what a duplicate or a conflict is.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from pathlib import Path
from typing import Any

import polars as pl

from engine.domain.instants import format_instant
from engine.domain.transactions import TRANSFERS, Action
from engine.errors import UsageError
from engine.ingestion.csv_processor import TRANSACTIONS
from engine.ingestion.keys import Judged
from engine.ingestion.refit import named
from engine.runtime.desk.judge import Verdict, weigh
from engine.runtime.desk.minutes import Minutes
from engine.runtime.desk.rows import Held, by_file, find, find_tx, hinted, put_frame, tx_ids, tx_rows
from engine.runtime.home import Home
from engine.runtime.puts import Puts, ledger_puts, observations
from engine.runtime.spans import Span, joined_spans
from engine.runtime.telemetry.spans import committing
from engine.runtime.touched import touched_assets, touched_span
from engine.store.commit import Work, transaction
from engine.store.reader import Reader


@dataclass(frozen=True)
class Mode:
    """How rows are released. `replaced`: the ledger row that the one row supersedes."""

    name: str  # plain | as_leg | supersede
    replaced: int | None = None
    replaced_id: str | None = None


@dataclass
class Released:
    """What became of the rows of one file.

    `accepted`: the new ledger rows or versions, `frame`: these and the duplicates. `tx`: the ledger row of a
    record, its own or the one that it repeats; none for prices and rates. `refused`: reasons by id.
    """

    accepted: pl.DataFrame
    tx: dict[int, int] = field(default_factory=dict)
    puts: Puts = field(default_factory=list)
    frame: pl.DataFrame = field(default_factory=pl.DataFrame)
    rows: list[Held] = field(default_factory=list)
    refused: dict[str, list[dict[str, str]]] = field(default_factory=dict)

    @cached_property
    def _records(self) -> frozenset[int]:
        return frozenset(self.accepted["record"])

    def outcome(self, row: Held) -> str:
        """Whether a released row is a new one or was there already."""
        return "accepted" if row.record in self._records else "duplicate"


def release(
    home_path: str, now_us: int, arguments: dict[str, Any], actor: str, reason: str, dry_run: bool
) -> dict[str, Any]:
    """Releases rows; `as_leg` and `supersede` say how a conflict is meant. Refused rows stay where they are.

    The answer has `touched_from` only if a figure may change. UsageError for rows that do not exist or are
    rejected, and for what makes no sense.
    """
    home = Home(Path(home_path))
    with transaction(home.state, home.journal, now_us, "release", around=committing) as work:
        rows = find(work.reader, arguments.get("ids"))
        waiting = _waiting(rows)
        mode = _mode(work.reader, arguments, rows)
        minutes = Minutes(work, actor, reason)
        done = [_release_file(home, work, minutes, group, mode, now_us) for group in by_file(waiting)]
        told = _told(home, work.reader, done, mode)
        minutes.put()
        if dry_run:
            work.cancel()
    already = [row.id for row in rows if row.status == "released"]
    return told | {"already": already, "decisions": minutes.numbers}


def _waiting(rows: list[Held]) -> list[Held]:
    rejected = [row.id for row in rows if row.status == "rejected"]
    if rejected:
        raise UsageError(
            f"{', '.join(rejected[:5])} {'is' if len(rejected) == 1 else 'are'} rejected.",
            "Undo the rejection first; nothing was done.",
        )
    return [row for row in rows if row.status == "open"]


def _mode(reader: Reader, arguments: Mapping[str, Any], rows: Sequence[Held]) -> Mode:
    leg, name = bool(arguments.get("as_leg")), arguments.get("supersede")
    if not leg and name is None:
        return Mode("plain")
    if leg and name is not None:
        raise UsageError("A row is a further leg or a correction, not both.", "Choose one of the two.")
    other = [row.id for row in rows if row.kind != TRANSACTIONS]
    if other:
        raise UsageError(f"{other[0]} is no transaction.", "Only transactions have legs and corrections.")
    if leg:
        return _leg(rows)
    if len(rows) != 1:
        raise UsageError("Only one row can supersede a transaction.", "Release the others by themselves.")
    return _supersede(reader, rows[0], name)


def _leg(rows: Sequence[Held]) -> Mode:
    without = [row.id for row in rows if not named(row.kind, row.now).get("tx_hash")]
    if without:
        raise UsageError(
            f"{', '.join(without[:5])} has no tx_hash.",
            "Legs are rows of one chain transaction, by its hash.",
        )
    return Mode("as_leg")


def _supersede(reader: Reader, row: Held, name: object) -> Mode:
    number = find_tx(reader, name)
    if row.status == "released":
        return Mode("supersede", number)
    (old,) = tx_rows(reader, [number])
    by = old["superseded_by"]
    if number == row.row:
        raise UsageError("A row cannot supersede itself.", "Release it without --supersede.")
    if by is not None and by < 0:
        raise UsageError(f"{name!r:.80} was taken back.", "It is not in the ledger: nothing to supersede.")
    if by is not None:
        raise UsageError(
            f"{name!r:.80} is superseded already, by {tx_ids(reader, [by])[by]}.", "Supersede that one."
        )
    return Mode("supersede", number, tx_ids(reader, [number])[number])


# -- one file -----------------------------------------------------------------------------------------


def _release_file(
    home: Home, work: Work, minutes: Minutes, rows: list[Held], mode: Mode, now_us: int
) -> Released:  # fmt: skip
    """Judges and puts the rows of one file."""
    records = [row.record for row in rows]
    legs = records if mode.name == "as_leg" else ()
    replaced = {} if mode.replaced is None else {records[0]: mode.replaced}
    verdict = weigh(home, work.reader, rows, now_us, legs, replaced)
    released = _outcome(work.reader, rows[0].file, verdict)
    released.frame = verdict.parsed.frame.filter(~pl.col("record").is_in(list(verdict.broken)))
    for row in rows:
        if row.record in verdict.broken:
            released.refused[row.id] = [hinted(one) for one in verdict.broken[row.record]]
        else:
            own = released.tx.get(row.record) if row.row is None else row.row
            released.rows.append(replace(row, status="released", row=own))
    _put(work, released, mode)
    _note(work.reader, minutes, released, mode)
    return released


def _put(work: Work, released: Released, mode: Mode) -> None:
    """Stores what was released, and marks the row that is superseded if the new one is in the ledger."""
    if not released.rows:
        return
    for table, frame in released.puts:
        work.put(table, frame)
    if mode.replaced is not None and not released.accepted.is_empty():
        (number,) = released.tx.values()
        mark(work, {mode.replaced: number})
    work.put("quarantine", put_frame(released.rows))
    accepted = released.accepted
    made = fees_of(accepted.iter_rows(named=True)) if released.tx else 0
    recount(work, released.rows[0].file, len(released.rows), accepted.height, made)


def _outcome(reader: Reader, file: int, verdict: Verdict) -> Released:
    """What the good rows of one file become."""
    if verdict.judged is not None:
        return _transactions(reader, file, verdict.judged, verdict.returning)
    if verdict.parsed.kind == TRANSACTIONS:  # none is good
        return Released(verdict.parsed.frame)
    accepted, _, puts = observations(verdict.parsed, reader, file)
    return Released(accepted, puts=puts)


def _transactions(reader: Reader, file: int, judged: Judged, returning: Mapping[int, int]) -> Released:
    accepted, puts = ledger_puts(judged, reader, file)
    numbers = dict(accepted.select("record", "row").iter_rows())
    final = {number: returning.get(record, number) for record, number in numbers.items()}
    tx = {record: final[number] for record, number in numbers.items()}
    for one in judged.duplicates:
        tx[one.record] = one.row if one.row is not None else tx[one.accepted_record or 0]
    puts = [(table, _renumbered(frame, final)) for table, frame in puts]
    return Released(accepted, tx, puts)


def _renumbered(frame: pl.DataFrame, final: Mapping[int, int]) -> pl.DataFrame:
    """Ledger rows that were taken back are put again under their own number, and count again."""
    if "row" not in frame.columns:
        return frame
    frame = frame.with_columns(pl.col("row").replace(final))
    if "ts" not in frame.columns:
        return frame
    return frame.with_columns(superseded_by=pl.lit(None, pl.Int64))


def mark(work: Work, marks: Mapping[int, int | None]) -> None:
    """Puts ledger rows again, each with another `superseded_by`."""
    rows = work.reader.records(
        "SELECT * FROM tx WHERE row IN (SELECT value FROM json_each(?))", (json.dumps(list(marks)),)
    )
    marked = [stored | {"superseded_by": marks[stored["row"]]} for stored in rows]
    work.put("tx", pl.DataFrame(marked, infer_schema_length=None))


def recount(work: Work, file: int, rows: int, accepted: int, fees: int = 0, back: bool = False) -> None:
    """Moves a file's counts for `rows` rows that were released (or taken `back`), `accepted` among them."""
    (counts,) = work.reader.records("SELECT * FROM files WHERE file = ?", (file,))
    moved = {"accepted": accepted, "duplicates": rows - accepted, "quarantined": -rows, "fees_created": fees}
    sign = -1 if back else 1
    work.put("files", pl.DataFrame([counts | {name: counts[name] + sign * by for name, by in moved.items()}]))


def fees_of(rows: Iterable[Mapping[str, Any]]) -> int:
    """How many FEE rows normalisation makes of ledger rows."""
    return sum(row["fee_amount"] not in (None, "0") and row["action"] != Action.FEE for row in rows)


# -- what is told -------------------------------------------------------------------------------------


def _note(reader: Reader, minutes: Minutes, released: Released, mode: Mode) -> None:
    ids = tx_ids(reader, released.tx.values())
    for row in released.rows:
        outcome = released.outcome(row)
        number = released.tx.get(row.record)
        detail = {
            "outcome": outcome,
            "mode": mode.name,
            "tx": None if number is None else ids[number],
            "superseded": mode.replaced_id if outcome == "accepted" else None,
        }
        minutes.note("release", row.subject, detail)


def _told(home: Home, reader: Reader, done: Sequence[Released], mode: Mode) -> dict[str, Any]:
    rows = [(one, row) for one in done for row in one.rows]
    ids = tx_ids(reader, [number for one in done for number in one.tx.values()])
    outcomes = [
        {"id": row.id, "outcome": one.outcome(row), "tx": ids.get(one.tx.get(row.record, 0))}
        for one, row in rows
    ]
    accepted = sum(one["outcome"] == "accepted" for one in outcomes)
    return {
        "released": len(rows),
        "accepted": accepted,
        "duplicates": len(rows) - accepted,
        "refused": [{"id": id_, "reasons": why} for one in done for id_, why in one.refused.items()],
        "rows": outcomes,
        "files": sorted({row.name for _, row in rows}),
        **_extent([one.frame for one in done]),
        **_touched(home, reader, done, mode),
    }


def _extent(frames: Iterable[pl.DataFrame]) -> dict[str, Any]:
    """The accounts and the first and last instant of these rows."""
    accounts: set[str] = set()
    instants: list[int] = []
    for frame in frames:
        instants += frame["ts" if "ts" in frame.columns else "asof"].to_list()
        accounts |= set(frame["account"]) if "account" in frame.columns else set()
    first, last = (format_instant(at(instants)) if instants else None for at in (min, max))
    return {"accounts": sorted(accounts), "first": first, "last": last}


Reach = tuple[Span, set[str]]  # when, and of which assets, figures may change


def _touched(home: Home, reader: Reader, done: Sequence[Released], mode: Mode) -> dict[str, Any]:
    """What the new rows, and the one that is superseded, have a say in; empty if there are none."""
    reaches: list[Reach] = [
        (touched_span(one.accepted, reader, home), set(touched_assets(one.accepted, reader, home)))
        for one in done
        if not one.accepted.is_empty()
    ]
    if reaches and mode.replaced is not None:
        reaches += [reach(tx) for tx in tx_rows(reader, [mode.replaced])]
    return span_of(reaches)


def reach(tx: Mapping[str, Any]) -> Reach:
    """What a ledger row has a say in; a transfer reaches back to its other side, whenever that was."""
    since = None if tx["action"] in TRANSFERS else int(tx["ts"])
    return (since, None), {name for name in (tx["asset"], tx["fee_asset"]) if name is not None}


def span_of(reaches: Sequence[Reach]) -> dict[str, Any]:
    """`touched_from` and the like of an act that reaches this far; empty if nothing is touched."""
    if not reaches:
        return {}
    since, until = reduce(joined_spans, [span for span, _ in reaches])
    assets = sorted(set().union(*(names for _, names in reaches)))
    return {"touched_from": since, "touched_until": until, "touched_assets": assets}
