"""Keys of transactions, and what to do with a row whose key is known: accept, duplicate or conflict.

Owns CONTRACT §3. `prepare` gives every row its key and id, `wanted` says what the store must be asked
for, `judge` decides. Rows that share nothing with another row are accepted all at once; only the others
are judged one by one, in record order. Never reads the store: what is stored arrives as `Known`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from engine.domain.instants import format_instant
from engine.domain.transactions import (
    ACTIONS,
    CONTENT_COLUMNS,
    TRANSFERS,
    UNIT_SEPARATOR,
    KeyKind,
    id_text,
)
from engine.ingestion.generated_ids import generated_ids, generated_places
from engine.ingestion.rules import Reason, Reject

_QUANTITY = CONTENT_COLUMNS.index("quantity")

TxKey = tuple[str, str]  # account, tx_hash
ExternalKey = tuple[str, str]  # account, external_id


@dataclass(frozen=True, slots=True)
class KnownRow:
    """A stored row. `content`: as in `Parsed.frame`; `same_file`: it was stored from the file now judged."""

    row: int
    id: bytes
    id_given: bool
    same_file: bool
    kind: int
    k: int
    content: str
    action: int
    asset: str
    account: str
    tx_hash: str | None
    external_id: str | None


@dataclass(frozen=True)
class Known:
    """The stored rows that answer a `Wanted`.

    `aliases`: remembered id of a duplicate -> its row, which is in `rows` too.
    """

    rows: list[KnownRow]
    aliases: dict[bytes, int]


@dataclass(frozen=True)
class Wanted:
    """What may collide: ids (of rows or aliases) and keys.

    The store answers with every row under any of them.
    """

    ids: list[bytes]
    tx_keys: list[TxKey]
    external_keys: list[ExternalKey]


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A row that is there already: as stored row `row`, or as accepted row `accepted_record` of its own file.

    `remembered`: its given id, where that is another than the id of the row it repeats and not known yet.
    """

    record: int
    row: int | None
    accepted_record: int | None
    remembered: bytes | None


@dataclass(frozen=True)
class Judged:
    """`accepted` has the columns of `prepare`; every row of the file is in exactly one of the three."""

    accepted: pl.DataFrame
    duplicates: list[Duplicate]
    conflicts: list[Reject]


def prepare(frame: pl.DataFrame, counted: Mapping[str, int] | None = None) -> pl.DataFrame:
    """Adds kind (KeyKind), k, uid (16 bytes, given or generated) and id_given to a frame of good rows.

    `counted`: how many valid rows of a content its file has besides this frame, for rows that were fixed
    in quarantine; they take the next k of their file.
    """
    frame = _with_kind_and_place(frame, counted or {})
    given = pl.col("id").str.replace_all("-", "", literal=True).str.decode("hex")
    frame = frame.with_columns(id_given=pl.col("id").is_not_null(), uid=given)
    frame = _recognise_generated(frame)
    is_content = pl.col("kind") == KeyKind.CONTENT
    frame = frame.with_columns(k=pl.when(is_content).then("place").otherwise(1).cast(pl.Int32))
    return _generate_ids(frame).drop("place", "copies")


def _with_kind_and_place(frame: pl.DataFrame, counted: Mapping[str, int]) -> pl.DataFrame:
    """Adds kind, `place` (it is the place-th of its content) and `copies` (rows of its content)."""
    kind = (
        pl.when(pl.col("tx_hash").is_not_null()).then(KeyKind.TX_HASH)
        .when(pl.col("external_id").is_not_null()).then(KeyKind.EXTERNAL_ID)
        .when(pl.col("id").is_not_null()).then(KeyKind.ID)
        .otherwise(KeyKind.CONTENT)
    )  # fmt: skip
    frame = frame.with_columns(kind=kind.cast(pl.Int8), place=pl.lit(1, pl.Int64), copies=pl.lit(1, pl.Int64))
    if frame["content"].is_duplicated().any():
        place = pl.int_range(1, pl.len() + 1).over("content")
        frame = frame.with_columns(place=place, copies=pl.len().over("content").cast(pl.Int64))
    if counted:
        earlier = pl.Series([counted.get(content, 0) for content in frame["content"]], dtype=pl.Int64)
        frame = frame.with_columns(pl.col("place") + earlier, pl.col("copies") + earlier)
    return frame


def _recognise_generated(frame: pl.DataFrame) -> pl.DataFrame:
    """A row that brings the id generated for its own content and some k is that k-th row, not another."""
    at = (frame["kind"] == KeyKind.ID).arg_true()
    places = generated_places(frame.select("uid", "ts", "content", "copies")[at])
    if not places.any():
        return frame
    index, found = at.to_numpy()[places > 0], places[places > 0]
    kind = frame["kind"].scatter(index, int(KeyKind.CONTENT))
    return frame.with_columns(kind, frame["place"].scatter(index, found))


def _generate_ids(frame: pl.DataFrame) -> pl.DataFrame:
    at = (~frame["id_given"]).arg_true()
    if not len(at):
        return frame
    made = generated_ids(frame.select("ts", "content", "k")[at])
    # Binary columns cannot be scattered into; the ids go in by position through a gather.
    pool = pl.concat([frame["uid"], made])
    place = pl.int_range(frame.height, eager=True)
    place = place.scatter(at, pl.int_range(frame.height, len(pool), eager=True))
    return frame.with_columns(uid=pool.gather(place))


def wanted(keyed: pl.DataFrame) -> Wanted:
    """What the store must be asked for before `judge`."""
    is_external = pl.col("kind") == KeyKind.EXTERNAL_ID
    chain = keyed.filter(pl.col("tx_hash").is_not_null()).select("account", "tx_hash")
    external = keyed.filter(is_external).select("account", "external_id")
    return Wanted(
        keyed["uid"].to_list(),
        chain.unique(maintain_order=True).rows(),
        external.unique(maintain_order=True).rows(),
    )


def judge(keyed: pl.DataFrame, known: Known) -> Judged:
    """Sorts the rows of one file into accepted, duplicates and conflicts."""
    return _judge(keyed, known, _alone(keyed, known))


def judge_one_by_one(keyed: pl.DataFrame, known: Known) -> Judged:
    """The same verdicts without the shortcut for rows that share nothing."""
    return _judge(keyed, known, pl.repeat(False, keyed.height, dtype=pl.Boolean, eager=True))


def _judge(keyed: pl.DataFrame, known: Known, alone: pl.Series) -> Judged:
    bench = _Bench(known)
    for row in keyed.filter(~alone).iter_rows(named=True):
        bench.judge(row)
    refused = [d.record for d in bench.duplicates] + [c.record for c in bench.conflicts]
    accepted = keyed.filter(~keyed["record"].is_in(refused)) if refused else keyed
    return Judged(accepted, bench.duplicates, bench.conflicts)


def _alone(keyed: pl.DataFrame, known: Known) -> pl.Series:
    """Rows that share neither an id nor a key with another row of the file or a known row."""
    ids = [row.id for row in known.rows] + list(known.aliases)
    chain = [_joined(row.account, row.tx_hash) for row in known.rows if row.tx_hash is not None]
    external = [_joined(row.account, row.external_id) for row in known.rows if row.external_id is not None]
    shared = keyed.select(
        _shares(pl.col("uid"), pl.Series(ids, dtype=pl.Binary)),
        _shares(_key("tx_hash"), pl.Series(chain, dtype=pl.String)).alias("tx_hash"),
        _shares(_key("external_id"), pl.Series(external, dtype=pl.String)).alias("external_id"),
    )
    return ~shared.select(pl.any_horizontal(pl.all())).to_series()


def _joined(account: str, name: str | None) -> str:
    return f"{account}{UNIT_SEPARATOR}{name}"


def _key(column: str) -> pl.Expr:
    return pl.concat_str("account", column, separator=UNIT_SEPARATOR)


def _shares(key: pl.Expr, stored: pl.Series) -> pl.Expr:
    return key.is_not_null() & (key.is_duplicated() | key.is_in(stored.implode()).fill_null(False))


@dataclass(slots=True)
class _Holder:
    """A row that holds an id or a key: stored, or accepted from this file."""

    row: int | None
    record: int | None
    uid: bytes
    given: bytes | None
    same_file: bool
    content: str
    action: int
    asset: str
    external_id: str | None

    def leg(self) -> tuple[int, str, str, str | None, bytes | None]:
        """What tells the legs of one chain transaction in one file apart."""
        quantity = self.content.split(UNIT_SEPARATOR)[_QUANTITY]
        return self.action, self.asset, quantity, self.external_id, self.given


@dataclass
class _Verdict:
    """`twin`: the row it repeats; `clash`: the column in which it collides. Neither: a new row."""

    twin: _Holder | None = None
    clash: str = ""


@dataclass
class _Bench:
    """Judges rows in record order and remembers what it accepted."""

    known: Known
    duplicates: list[Duplicate] = field(default_factory=list)
    conflicts: list[Reject] = field(default_factory=list)
    _ids: dict[bytes, _Holder] = field(default_factory=dict)
    _chain: dict[TxKey, list[_Holder]] = field(default_factory=dict)
    _external: dict[tuple[str, str, int], _Holder] = field(default_factory=dict)

    def __post_init__(self) -> None:
        by_row: dict[int, _Holder] = {}
        for row in sorted(self.known.rows, key=lambda row: row.row):
            given = row.id if row.id_given else None
            by_row[row.row] = holder = _Holder(
                row.row, None, row.id, given, row.same_file,
                row.content, row.action, row.asset, row.external_id,
            )  # fmt: skip
            self._hold(holder, row.account, row.tx_hash)
        for alias, target in self.known.aliases.items():
            self._ids[alias] = by_row[target]

    def _hold(self, holder: _Holder, account: str, tx_hash: str | None) -> None:
        self._ids[holder.uid] = holder
        if tx_hash is not None:
            self._chain.setdefault((account, tx_hash), []).append(holder)
        elif holder.external_id is not None:
            key = _external_key(account, holder.external_id, holder.action)
            self._external.setdefault(key, holder)

    def judge(self, row: dict[str, Any]) -> None:
        given = row["uid"] if row["id_given"] else None
        new = _Holder(
            None, row["record"], row["uid"], given, True,
            row["content"], row["action"], row["asset"], row["external_id"],
        )  # fmt: skip
        verdict = self._verdict(new, row)
        if verdict.twin is not None:
            self._repeat(new, verdict.twin)
        elif verdict.clash:
            self.conflicts.append(_conflict(row, verdict.clash))
        else:
            self._hold(new, row["account"], row["tx_hash"])

    def _verdict(self, new: _Holder, row: dict[str, Any]) -> _Verdict:
        """The id counts first; a generated id counts last, for it says no more than the key does."""
        holder = self._ids.get(new.uid)
        if holder is not None and (new.given is not None or holder.content != new.content):
            return _same_content(new, holder, "id")
        verdict = self._by_key(new, row)
        if verdict.twin is None and not verdict.clash and holder is not None:
            return _Verdict(twin=holder)
        return verdict

    def _by_key(self, new: _Holder, row: dict[str, Any]) -> _Verdict:
        if row["tx_hash"] is not None:
            return _leg_verdict(new, self._chain.get((row["account"], row["tx_hash"]), []))
        if new.external_id is not None:
            key = _external_key(row["account"], new.external_id, new.action)
            holder = self._external.get(key)
            return _same_content(new, holder, "external_id") if holder is not None else _Verdict()
        return _Verdict()

    def _repeat(self, new: _Holder, twin: _Holder) -> None:
        remembered = new.given if new.given is not None and new.given not in self._ids else None
        if remembered is not None:
            self._ids[remembered] = twin
        assert new.record is not None
        self.duplicates.append(Duplicate(new.record, twin.row, twin.record, remembered))


def _external_key(account: str, external_id: str, action: int) -> tuple[str, str, int]:
    """The action is part of the key for transfers only: both sides of one carry the same external_id."""
    return account, external_id, action if action in TRANSFERS else -1


def _same_content(new: _Holder, holder: _Holder, column: str) -> _Verdict:
    return _Verdict(twin=holder) if holder.content == new.content else _Verdict(clash=column)


def _leg_verdict(new: _Holder, legs: list[_Holder]) -> _Verdict:
    """A row under a chain transaction that has `legs`: those of other files are asked first."""
    foreign = [leg for leg in legs if not leg.same_file]
    equal = next((leg for leg in foreign if leg.content == new.content), None)
    if equal is not None:
        return _Verdict(twin=equal)
    if any((leg.action, leg.asset) == (new.action, new.asset) for leg in foreign):
        return _Verdict(clash="tx_hash")
    alike = next((leg for leg in legs if leg.same_file and leg.leg() == new.leg()), None)
    if alike is None:
        return _Verdict()
    named = new.external_id is not None or new.given is not None
    return _same_content(new, alike, "tx_hash") if named else _Verdict(clash="tx_hash")


def _conflict(row: dict[str, Any], column: str) -> Reject:
    fields = tuple(_fields(row))
    value = id_text(row["uid"]) if column == "id" else row[column]
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
