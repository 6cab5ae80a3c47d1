"""Judges rows one by one, in record order, against what is stored and what was accepted before them.

Owns the verdict of a single row (CONTRACT §3): new, the repetition of another, or a clash. A stored row
that was superseded leads on to the row that replaced it, and so on: its *versions*. Whatever comes under
the id or key of a row is compared with all its versions. Knows nothing of frames of files or of the store.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from engine.domain.instants import format_instant
from engine.domain.transactions import (
    ACTIONS,
    CONTENT_COLUMNS,
    TRANSFERS,
    UNIT_SEPARATOR,
    content_digest,
    generated_id,
    id_text,
)
from engine.ingestion.rules import Reason, Reject

_QUANTITY = CONTENT_COLUMNS.index("quantity")

TxKey = tuple[str, str]  # account, tx_hash


class Duplicate(NamedTuple):
    """A row that is there already: as stored row `row`, or as accepted row `accepted_record` of its own file.

    `remembered`: its given id, where that is another than the id of the row it repeats and not known yet.
    """

    record: int
    row: int | None
    accepted_record: int | None
    remembered: bytes | None


@dataclass(slots=True, eq=False)
class _Holder:
    """A row that holds an id or a key: stored, or accepted from this file. `successor` superseded it."""

    row: int | None
    record: int | None
    uid: bytes
    given: bytes | None
    same_file: bool
    content: str
    action: int
    asset: str
    external_id: str | None
    successor: "_Holder | None" = None

    def leg(self) -> tuple[int, str, str, str | None, bytes | None]:
        """What tells the legs of one chain transaction in one file apart."""
        quantity = self.content.split(UNIT_SEPARATOR)[_QUANTITY]
        return self.action, self.asset, quantity, self.external_id, self.given

    def versions(self) -> Iterator["_Holder"]:
        """Itself, then what superseded it, the newest last."""
        version: _Holder | None = self
        while version is not None:
            yield version
            version = version.successor

    def newest(self) -> "_Holder":
        *_, newest = self.versions()
        return newest


@dataclass
class _Verdict:
    """`twin`: the row it repeats; `clash`: the column in which it collides with `against`. Else a new row."""

    twin: _Holder | None = None
    clash: str = ""
    against: list[_Holder] = field(default_factory=list)


@dataclass
class Bench:
    """Judges rows and remembers what it accepted.

    `stored`: rows of the known frame, in order of row number; `aliases`: id of a duplicate -> row number;
    `as_leg`: records to accept where only the transaction hash clashes; `supersedes`: record -> the stored
    row it corrects. `renamed`: records that could not keep their given id -> the generated one.
    """

    stored: Iterable[dict[str, Any]]
    aliases: Mapping[bytes, int]
    as_leg: Collection[int]
    supersedes: Mapping[int, int]
    duplicates: list[Duplicate] = field(default_factory=list)
    conflicts: list[Reject] = field(default_factory=list)
    clashes: dict[int, list[int]] = field(default_factory=dict)
    renamed: dict[int, bytes] = field(default_factory=dict)
    _rows: dict[int, _Holder] = field(default_factory=dict)
    _ids: dict[bytes, _Holder] = field(default_factory=dict)
    _chain: dict[TxKey, list[_Holder]] = field(default_factory=dict)
    _external: dict[tuple[str, str, int], list[_Holder]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        successors = []
        for row in self.stored:
            given = row["id"] if row["id_given"] else None
            self._rows[row["row"]] = holder = _Holder(
                row["row"], None, row["id"], given, row["same_file"],
                row["content"], row["action"], row["asset"], row["external_id"],
            )  # fmt: skip
            self._hold(holder, row["account"], row["tx_hash"])
            if (row["superseded_by"] or 0) > 0:
                successors.append((holder, row["superseded_by"]))
        for holder, successor in successors:
            holder.successor = self._rows[successor]
        for alias, target in self.aliases.items():
            self._ids[alias] = self._rows[target]

    def _hold(self, holder: _Holder, account: str, tx_hash: str | None) -> None:
        self._ids[holder.uid] = holder
        if tx_hash is not None:
            self._chain.setdefault((account, tx_hash), []).append(holder)
        elif holder.external_id is not None:
            key = _external_key(account, holder.external_id, holder.action)
            self._external.setdefault(key, []).append(holder)

    def judge(self, row: dict[str, Any]) -> None:
        """Takes the next row of `keys.prepare`'s frame."""
        given = row["uid"] if row["id_given"] else None
        new = _Holder(
            None, row["record"], row["uid"], given, True,
            row["content"], row["action"], row["asset"], row["external_id"],
        )  # fmt: skip
        replaced = self._rows.get(self.supersedes.get(row["record"], 0))
        own = None if replaced is None else replaced.newest()
        verdict = self._verdict(new, row, own)
        if verdict.twin is not None:
            self._repeat(new, verdict.twin)
        elif verdict.clash:
            self.conflicts.append(_conflict(row, new, verdict.clash))
            self.clashes[row["record"]] = _stored_versions(verdict.against)
        else:
            self._accept(new, row, own)

    def _verdict(self, new: _Holder, row: dict[str, Any], own: _Holder | None) -> _Verdict:
        """The id counts first; a generated id counts last, for it says no more than the key does.

        `own`: the newest version of what the row is to supersede; nothing of it is in the row's way.
        """
        holder = self._ids.get(new.uid)
        if holder is not None and own is not None and new.given is not None and holder.newest() is own:
            return self._without_id(new, row, own, holder)
        if holder is not None and (new.given is not None or holder.content != new.content):
            return _compared(new, [holder], "id")
        verdict = self._by_key(new, row, own)
        if verdict.twin is None and not verdict.clash and holder is not None:
            return _Verdict(twin=holder)
        return verdict

    def _without_id(self, new: _Holder, row: dict[str, Any], own: _Holder, holder: _Holder) -> _Verdict:
        """The id stays with the row that is corrected; the correction takes the generated one."""
        twin = _equal(new, [holder])
        if twin is not None:
            return _Verdict(twin=twin)
        new.uid, new.given = generated_id(row["ts"], content_digest(row["content"], row["k"])), None
        other = self._ids.get(new.uid)
        return self._by_key(new, row, own) if other is None else _Verdict(clash="id", against=[other])

    def _by_key(self, new: _Holder, row: dict[str, Any], own: _Holder | None) -> _Verdict:
        if row["tx_hash"] is not None:
            legs = self._chain.get((row["account"], row["tx_hash"]), [])
            return _leg_verdict(new, legs, row["record"] in self.as_leg, own)
        if new.external_id is not None:
            key = _external_key(row["account"], new.external_id, new.action)
            return _compared(new, self._external.get(key, []), "external_id", own)
        return _Verdict()

    def _repeat(self, new: _Holder, twin: _Holder) -> None:
        remembered = new.given if new.given is not None and new.given not in self._ids else None
        if remembered is not None:
            self._ids[remembered] = twin
        assert new.record is not None
        self.duplicates.append(Duplicate(new.record, twin.row, twin.record, remembered))

    def _accept(self, new: _Holder, row: dict[str, Any], own: _Holder | None) -> None:
        self._hold(new, row["account"], row["tx_hash"])
        if own is not None:
            own.successor = new
        if new.uid != row["uid"]:
            self.renamed[row["record"]] = new.uid


def _external_key(account: str, external_id: str, action: int) -> tuple[str, str, int]:
    """The action is part of the key for transfers only: both sides of one carry the same external_id."""
    return account, external_id, action if action in TRANSFERS else -1


def _equal(new: _Holder, holders: list[_Holder]) -> _Holder | None:
    """The first that has the content of `new`; else the first version of one that has it."""
    direct = (holder for holder in holders if holder.content == new.content)
    later = (version for holder in holders for version in holder.versions() if version.content == new.content)
    return next(direct, None) or next(later, None)


def _foes(holders: list[_Holder], own: _Holder | None) -> list[_Holder]:
    """Those that are no version of what the row is to supersede."""
    return [holder for holder in holders if own is None or holder.newest() is not own]


def _compared(new: _Holder, holders: list[_Holder], column: str, own: _Holder | None = None) -> _Verdict:
    """A row under an id or key that `holders` have: the same content, or a clash."""
    twin = _equal(new, holders)
    if twin is not None:
        return _Verdict(twin=twin)
    against = _foes(holders, own)
    return _Verdict(clash=column, against=against) if against else _Verdict()


def _leg_verdict(new: _Holder, legs: list[_Holder], as_leg: bool, own: _Holder | None) -> _Verdict:
    """A row under a chain transaction that has `legs`: those of other files are asked first."""
    foreign = [leg for leg in legs if not leg.same_file]
    twin = _equal(new, foreign)
    if twin is not None:
        return _Verdict(twin=twin)
    same = [leg for leg in _foes(foreign, own) if (leg.action, leg.asset) == (new.action, new.asset)]
    if same and not as_leg:
        return _Verdict(clash="tx_hash", against=same)
    alike = [leg for leg in legs if leg.same_file and leg.leg() == new.leg()]
    named = new.external_id is not None or new.given is not None
    verdict = _compared(new, alike, "tx_hash", own)
    if verdict.twin is not None and not (named or as_leg or own is not None):
        return _Verdict(clash="tx_hash", against=alike)  # a copied line that nothing tells apart
    return _Verdict() if verdict.clash and as_leg else verdict


def _stored_versions(holders: list[_Holder]) -> list[int]:
    rows = (version.row for holder in holders for version in holder.versions())
    return sorted({row for row in rows if row is not None})


def _conflict(row: dict[str, Any], new: _Holder, column: str) -> Reject:
    fields = tuple(_fields(row))
    value = id_text(new.uid) if column == "id" else row[column]
    return Reject(row["record"], row["line"], fields, (Reason("IDEMPOTENCY_CONFLICT", column, value),))


def _fields(row: dict[str, Any]) -> Iterator[str]:
    """The fourteen fields in canonical text."""
    yield row["id"] or ""
    yield format_instant(row["ts"])
    yield ACTIONS[row["action"]]
    names = (
        "asset", "quantity", "price", "fee_asset", "fee_amount",
        "account", "wallet", "venue", "tx_hash", "external_id", "notes",
    )  # fmt: skip
    for name in names:
        yield row[name] or ""
