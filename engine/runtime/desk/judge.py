"""Verdicts on quarantined rows as they are now: under the rules of today, and against what is stored.

Owns the k that a fixed row takes (CONTRACT §3: the next of its file) and what a row means that was in the
ledger before and was taken back: its own ledger row, which it takes up again. Stores nothing.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, filterfalse, islice

import polars as pl

from engine.domain.transactions import (
    UNIT_SEPARATOR,
    KeyKind,
    content_digest,
    generated_id,
    id_text,
)
from engine.errors import StoreIntegrity
from engine.ingestion.csv_processor import TRANSACTIONS, Parsed, Reason, parse_csv
from engine.ingestion.keys import Judged, Known, judge, prepare, wanted
from engine.runtime.desk.rows import Held, judged_now, reasons_told, tx_content, tx_rows
from engine.runtime.home import Home
from engine.store.reader import Reader

Places = dict[str, set[int]]  # content -> the k that are taken


@dataclass
class Verdict:
    """On rows of one file, by record: `broken` has the reasons of those that cannot be released.

    `parsed`: those that keep the rules. `judged`: what becomes of transactions, without the broken ones;
    `returning`: ledger row that a record takes up again; `clashes`: ledger rows that it collides with.
    """

    parsed: Parsed
    broken: dict[int, list[dict[str, str]]]
    judged: Judged | None = None
    returning: dict[int, int] = field(default_factory=dict)
    clashes: dict[int, list[int]] = field(default_factory=dict)


def weigh(
    home: Home, reader: Reader, rows: Sequence[Held], now_us: int, as_leg: Collection[int] = (),
    supersedes: Mapping[int, int] | None = None,
) -> Verdict:  # fmt: skip
    """The verdict on rows of one file, judged together. `as_leg`: records that are a further leg.

    `supersedes`: record -> the ledger row that it replaces.
    """
    parsed = judged_now(rows, now_us)
    verdict = Verdict(parsed, {one.record: reasons_told(one.reasons) for one in parsed.rejects})
    if parsed.kind != TRANSACTIONS or parsed.frame.is_empty():
        return verdict
    own = {row.record: row.row for row in rows if row.row is not None and row.status != "released"}
    keyed = _keyed(home, reader, rows, parsed.frame)
    want = wanted(keyed, supersedes)
    found = reader.known(want.ids, want.tx_hashes, want.external_ids, want.rows, rows[0].file)
    stored = Known(*found)
    others = _without(stored, set(own.values()))
    judged = judge(keyed, others, as_leg, supersedes)
    _break(verdict, ((one.record, one.reasons) for one in judged.conflicts))
    _break(verdict, _taken_back(judged, others))
    back = {one.record: [one.row] for one in judged.duplicates if one.row is not None}
    verdict.clashes = {record: (judged.clashes | back).get(record, []) for record in verdict.broken}
    _break(verdict, _stolen(judged, stored, own))
    verdict.judged = _kept(judged, verdict.broken)
    verdict.returning = {record: row for record, row in own.items() if record not in verdict.broken}
    return verdict


def with_reasons(home: Home, reader: Reader, rows: Sequence[Held], now_us: int) -> list[Held]:
    """Rows of one file, with the reasons that apply to them now."""
    broken = weigh(home, reader, rows, now_us).broken
    return [replace(row, reasons=broken.get(row.record, [])) for row in rows]


def _break(verdict: Verdict, conflicts: Iterator[tuple[int, Sequence[Reason]]]) -> None:
    for record, reasons in conflicts:
        verdict.broken[record] = reasons_told(reasons)


def _conflict(column: str, value: str) -> list[Reason]:
    return [Reason("IDEMPOTENCY_CONFLICT", column, value)]


def _taken_back(judged: Judged, stored: Known) -> Iterator[tuple[int, Sequence[Reason]]]:
    """Rows that repeat a ledger row which the operator took back: to say so twice is not to say no once."""
    back = dict(stored.rows.filter(pl.col("superseded_by") < 0).select("row", "id").iter_rows())
    for duplicate in judged.duplicates:
        if duplicate.row in back:
            yield duplicate.record, _conflict("id", id_text(back[duplicate.row]))


def _stolen(judged: Judged, stored: Known, own: Mapping[int, int]) -> Iterator[tuple[int, Sequence[Reason]]]:
    """Rows that bring the id of a ledger row which another of them takes up again."""
    ids = dict(stored.rows.select("id", "row").iter_rows())
    for record, uid, given in judged.accepted.select("record", "uid", "id").iter_rows():
        if ids.get(uid) in own.values() and own.get(record) != ids[uid]:
            yield record, _conflict("id", given or "")


def _kept(judged: Judged, broken: Collection[int]) -> Judged:
    return replace(
        judged,
        accepted=judged.accepted.filter(~pl.col("record").is_in(list(broken))),
        duplicates=[one for one in judged.duplicates if one.record not in broken],
    )


def _without(stored: Known, rows: Collection[int]) -> Known:
    """What is stored besides these rows."""
    return Known(
        stored.rows.filter(~pl.col("row").is_in(list(rows))),
        {alias: row for alias, row in stored.aliases.items() if row not in rows},
    )


# -- the next k of a file -----------------------------------------------------------------------------


def _keyed(home: Home, reader: Reader, rows: Sequence[Held], frame: pl.DataFrame) -> pl.DataFrame:
    """As `keys.prepare` gives them; rows that have no key but their content take the next free k."""
    plain = frame.filter(pl.col("tx_hash").is_null() & pl.col("external_id").is_null())
    contents = set(plain["content"])
    if not contents:
        return prepare(frame)
    places = _places_of_file(home, reader, rows[0], contents)
    reserved = _places_of_released(reader, rows, contents, places)
    keyed = prepare(frame, {content: max(taken) for content, taken in places.items() if taken})
    by_content = (pl.col("kind") == KeyKind.CONTENT) & ~pl.col("id_given")
    free = plain.join(keyed.select("record", "k", by_content=by_content), on="record", maintain_order="left")
    places_left = {content: _free(taken) for content, taken in places.items()}
    changed = []
    for record, ts, content, k, takes in free.select(
        "record", "ts", "content", "k", "by_content"
    ).iter_rows():
        place = reserved.get((record, content)) or next(places_left[content])
        if takes and place != k:
            changed.append((record, place, generated_id(ts, content_digest(content, place))))
    return _with_places(keyed, changed)


def _free(taken: set[int]) -> Iterator[int]:
    """The k that are not taken, in order."""
    return filterfalse(taken.__contains__, count(1))


def _with_places(keyed: pl.DataFrame, changed: list[tuple[int, int, bytes]]) -> pl.DataFrame:
    if not changed:
        return keyed
    kinds = {"record": pl.Int64, "other_k": pl.Int32, "other_uid": pl.Binary}
    others = pl.DataFrame(changed, schema=kinds, orient="row")
    return (
        keyed.join(others, on="record", how="left", maintain_order="left")
        .with_columns(k=pl.coalesce("other_k", "k"), uid=pl.coalesce("other_uid", "uid"))
        .drop("other_k", "other_uid")
    )


def _places_of_file(home: Home, reader: Reader, row: Held, contents: set[str]) -> Places:
    """The k of the file's own good rows of these contents.

    A row that was set aside for a conflict was good: it holds its place before later ones, but does not
    take it. Such a row has an id, for nothing else collides without another key.
    """
    places: Places = {content: set() for content in contents}
    frame = _archived(home, row)
    aside = reader.rows("SELECT record FROM quarantine WHERE file = ?", (row.file,))
    good = frame.with_columns(aside=pl.col("record").is_in([record for (record,) in aside]))
    was_good = ~pl.col("aside") | pl.col("id").is_not_null()
    good = good.filter(pl.col("content").is_in(list(contents)) & was_good)
    good = good.with_columns(place=pl.int_range(1, pl.len() + 1).over("content")).filter(~pl.col("aside"))
    for content, place in good.select("content", "place").iter_rows():
        places[content].add(place)
    return places


def _archived(home: Home, row: Held) -> pl.DataFrame:
    """The good rows of a source file, as it is kept and as it was judged."""
    path = home.archived(row.sha256, ".csv")
    if not path.is_file():
        raise StoreIntegrity(
            f"{row.sha256[:12]} is not in the archive.",
            "Bring the file back from a backup; nothing was done.",
        )
    data = path.read_bytes()
    parsed = parse_csv(data, row.taken_at, bytes_max=len(data), rows_max=len(data))
    assert isinstance(parsed, Parsed), "it was taken before"
    return parsed.frame


def _places_of_released(
    reader: Reader, rows: Sequence[Held], contents: set[str], places: Places
) -> dict[tuple[int, str], int]:
    """Adds the k of rows that were released before, also of those taken back.

    Gives (record, content) -> k for those of `rows` that have a ledger row of their own already.
    """
    found = dict(
        reader.rows("SELECT record, row FROM quarantine WHERE file = ? AND row IS NOT NULL", (rows[0].file,))
    )
    stored = {tx["row"]: tx for tx in tx_rows(reader, found.values()) if not tx["tx_hash"]}
    mine = {row.record for row in rows}
    reserved, unplaced = {}, Counter[str]()
    for record, number in found.items():
        content = _content(stored[number]) if number in stored else ""
        if content not in contents:
            continue
        if stored[number]["kind"] == KeyKind.CONTENT:
            places[content].add(stored[number]["k"])
            if record in mine:
                reserved[record, content] = stored[number]["k"]
        elif record not in mine:
            unplaced[content] += 1
    for content, rows_of_it in unplaced.items():
        places[content] |= set(islice(_free(places[content]), rows_of_it))
    return reserved


def _content(tx: Mapping[str, object]) -> str:
    return UNIT_SEPARATOR.join(tx_content(dict(tx)))
