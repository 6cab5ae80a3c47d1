"""Keys of transactions, and what to do with a row whose key is known: accept, duplicate or conflict.

Owns CONTRACT §3. `prepare` gives every row its key and id, `wanted` says what the store must be asked
for, `judge` decides. Rows that share nothing with another row are accepted all at once, and rows that
plainly repeat a stored row are duplicates all at once; only the others are judged one by one
(verdicts.py), in record order. Never reads the store: what is stored arrives as `Known`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import polars as pl

from engine.domain.transactions import UNIT_SEPARATOR, KeyKind
from engine.ingestion.generated_ids import generated_ids, generated_places
from engine.ingestion.rules import Reject
from engine.ingestion.verdicts import Bench, Duplicate

__all__ = [
    "KNOWN_SCHEMA", "NOTHING_KNOWN", "Duplicate", "Judged", "Known", "Wanted", "judge", "judge_one_by_one",
    "prepare", "wanted",
]  # fmt: skip

KNOWN_SCHEMA: dict[str, type[pl.DataType]] = {
    "row": pl.Int64,
    "id": pl.Binary,  # 16 bytes
    "id_given": pl.Boolean,
    "same_file": pl.Boolean,  # it was stored from the file now judged
    "kind": pl.Int8,
    "k": pl.Int32,
    "action": pl.Int8,
    "asset": pl.String,
    "account": pl.String,
    "tx_hash": pl.String,  # null where empty
    "external_id": pl.String,  # null where empty
    "content": pl.String,  # as in `Parsed.frame`
    "superseded_by": pl.Int64,  # null: counts; > 0: the row that replaced it; < 0: taken back
}


@dataclass(frozen=True)
class Known:
    """The stored rows that answer a `Wanted`: KNOWN_SCHEMA, in any order.

    With every row its later versions (`superseded_by`, and so on) are in `rows`. `aliases`: remembered
    id of a duplicate -> its row, which is in `rows` too.
    """

    rows: pl.DataFrame
    aliases: dict[bytes, int]


NOTHING_KNOWN = Known(pl.DataFrame(schema=KNOWN_SCHEMA), {})


@dataclass(frozen=True)
class Wanted:
    """What may collide: ids (of rows or aliases; Binary), transaction hashes, external ids that are keys.

    The store answers with every row under any of them, and with `rows`. It may answer with more.
    """

    ids: pl.Series
    tx_hashes: list[str]
    external_ids: list[str]
    rows: list[int]


@dataclass(frozen=True)
class Judged:
    """`accepted` has the columns of `prepare`; every row of the file is in exactly one of the first three.

    `clashes`: record of a conflict -> the stored rows it collides with, all their later versions included;
    none where it collides with an accepted row of its own file.
    """

    accepted: pl.DataFrame
    duplicates: list[Duplicate]
    conflicts: list[Reject]
    clashes: dict[int, list[int]]


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


def wanted(keyed: pl.DataFrame, supersedes: Mapping[int, int] | None = None) -> Wanted:
    """What the store must be asked for before `judge` with the same `supersedes`."""
    ids = keyed["uid"]
    if supersedes:  # a correction may lose the id it brings
        ids = pl.concat([ids, generated_ids(keyed.filter(pl.col("record").is_in(list(supersedes))))])
    external = keyed.filter(pl.col("kind") == KeyKind.EXTERNAL_ID)["external_id"]
    return Wanted(
        ids,
        keyed["tx_hash"].drop_nulls().unique().sort().to_list(),
        external.unique().sort().to_list(),
        sorted(set((supersedes or {}).values())),
    )


def judge(
    keyed: pl.DataFrame,
    known: Known,
    as_leg: Collection[int] = (),
    supersedes: Mapping[int, int] | None = None,
) -> Judged:
    """Sorts the rows of one file into accepted, duplicates and conflicts.

    `as_leg`: records that the operator releases as further legs: what clashes in tx_hash alone is accepted.
    One with the content of a leg it cannot be told apart from stays its duplicate.
    `supersedes`: record -> number of the stored row that it corrects. No version of that row, whether it
    counts or not, is in its way. It stays a duplicate of one whose content it has; if its given id belongs
    to one, it gets the generated id (`id_given` false), and clashes in `id` if another row has that.
    Whether the stored row can still be superseded is the caller's to say.
    """
    if supersedes:
        return judge_one_by_one(keyed, known, as_leg, supersedes)
    duplicates = _plain_duplicates(keyed, known)
    rest = _without(keyed, duplicates["record"])
    known = _met(rest, known)
    shared = rest.filter(~_alone(rest, known))
    return _judge(keyed, shared, known, as_leg, {}, [Duplicate(*row) for row in duplicates.iter_rows()])


def judge_one_by_one(
    keyed: pl.DataFrame,
    known: Known,
    as_leg: Collection[int] = (),
    supersedes: Mapping[int, int] | None = None,
) -> Judged:
    """The same verdicts without the shortcuts."""
    return _judge(keyed, keyed, known, as_leg, supersedes or {}, [])


def _judge(
    keyed: pl.DataFrame, some: pl.DataFrame, known: Known, as_leg: Collection[int],
    supersedes: Mapping[int, int], duplicates: list[Duplicate],
) -> Judged:  # fmt: skip
    """Judges `some` rows one by one; of the others those are accepted that are not among `duplicates`."""
    bench = Bench(known.rows.sort("row").iter_rows(named=True), known.aliases, as_leg, supersedes)
    for row in some.iter_rows(named=True):
        bench.judge(row)
    duplicates = sorted(duplicates + bench.duplicates) if bench.duplicates else duplicates
    refused = [d.record for d in duplicates] + [c.record for c in bench.conflicts]
    accepted = _without(keyed, pl.Series(refused, dtype=keyed.schema["record"]))
    return Judged(_renamed(accepted, bench.renamed), duplicates, bench.conflicts, bench.clashes)


def _without(keyed: pl.DataFrame, records: pl.Series) -> pl.DataFrame:
    """The rows that have none of these record numbers."""
    return keyed.filter(~keyed["record"].is_in(records.implode())) if len(records) else keyed


def _renamed(accepted: pl.DataFrame, ids: Mapping[int, bytes]) -> pl.DataFrame:
    """Rows that could not keep their given id: they count as rows without one."""
    if not ids:
        return accepted
    new = pl.col("record").replace_strict(ids, default=None, return_dtype=pl.Binary)
    keeps = new.is_null()
    content = (pl.col("kind") == KeyKind.ID) & ~keeps
    return accepted.with_columns(
        id=pl.when(keeps).then("id"),
        uid=pl.coalesce(new, "uid"),
        id_given=pl.col("id_given") & keeps,
        kind=pl.when(content).then(pl.lit(int(KeyKind.CONTENT), pl.Int8)).otherwise("kind"),
    )


def _plain_duplicates(keyed: pl.DataFrame, known: Known) -> pl.DataFrame:
    """Rows that repeat a stored row whatever else is in the file, as the fields of `Duplicate`.

    By id: a given id, or the generated one of a row without another key, whose row has the same content.
    By key: a row whose id no other row has and whose key has a stored row of the same content.
    """
    if known.rows.is_empty():
        keyed = keyed.clear()
    met = keyed.select("record", "uid", "id_given", "kind", "content", lonely=~pl.col("uid").is_duplicated())
    met = met.join(_holders(known), left_on="uid", right_on="id", how="left", maintain_order="left")
    equal = (pl.col("content") == pl.col("held")).fill_null(False)
    by_id = equal & (pl.col("id_given") | (pl.col("kind") == KeyKind.CONTENT))
    by_key = (pl.col("kind") <= KeyKind.EXTERNAL_ID) & (equal | (pl.col("row").is_null() & pl.col("lonely")))
    held = met.filter(by_id).select("record", "row", remembered=pl.lit(None, pl.Binary))
    keyless = met.filter(~by_id & by_key).drop("row").join(_content_of_keys(known), on="content")
    said = keyless.select("record", "row", remembered=pl.when("id_given").then("uid"))
    found = pl.concat([held, said]).sort("record")
    return found.select("record", "row", pl.lit(None, pl.Int64).alias("accepted_record"), "remembered")


def _holders(known: Known) -> pl.DataFrame:
    """Who has an id, as its own or as an alias: id, row, and the content that the row holds."""
    rows = known.rows.select("id", "row", held="content")
    if not known.aliases:
        return rows
    aliases = pl.DataFrame(
        {"id": list(known.aliases), "row": list(known.aliases.values())},
        schema={"id": pl.Binary, "row": pl.Int64},
    )
    return pl.concat([rows, aliases.join(rows.drop("id"), on="row")])


def _content_of_keys(known: Known) -> pl.DataFrame:
    """The first row of each content under a key of another file: content, row."""
    leg = pl.col("tx_hash").is_not_null()
    keyed = pl.when(leg).then(~pl.col("same_file")).otherwise(pl.col("external_id").is_not_null())
    return known.rows.filter(keyed).group_by("content").agg(pl.col("row").min())


def _met(rest: pl.DataFrame, known: Known) -> Known:
    """What is known of the ids and keys of these rows, and all versions of what was corrected."""
    if rest.is_empty() or known.rows.is_empty():
        return NOTHING_KNOWN
    ids = rest["uid"]
    aliases = {id_: known.aliases[id_] for id_ in ids if id_ in known.aliases} if known.aliases else {}
    corrected = pl.col("superseded_by") > 0
    rows = known.rows.filter(
        pl.col("id").is_in(ids.implode())
        | pl.col("row").is_in(list(aliases.values()))
        | pl.col("tx_hash").is_in(rest["tx_hash"].drop_nulls().implode())
        | pl.col("external_id").is_in(rest["external_id"].drop_nulls().implode())
        | corrected
        | pl.col("row").is_in(known.rows.filter(corrected)["superseded_by"].implode())
    )
    return Known(rows, aliases)


def _alone(rest: pl.DataFrame, known: Known) -> pl.Series:
    """Rows that share neither an id nor a key with another row of the file or a known row."""
    ids = pl.concat([known.rows["id"], pl.Series(list(known.aliases), dtype=pl.Binary)])
    stored = known.rows.select(_key("tx_hash").alias("tx_hash"), _key("external_id").alias("external_id"))
    shared = rest.select(
        _shares(pl.col("uid"), ids),
        _shares(_key("tx_hash"), stored["tx_hash"].drop_nulls()).alias("tx_hash"),
        _shares(_key("external_id"), stored["external_id"].drop_nulls()).alias("external_id"),
    )
    return ~shared.select(pl.any_horizontal(pl.all())).to_series()


def _key(column: str) -> pl.Expr:
    return pl.concat_str("account", column, separator=UNIT_SEPARATOR)


def _shares(key: pl.Expr, stored: pl.Series) -> pl.Expr:
    return key.is_not_null() & (key.is_duplicated() | key.is_in(stored.implode()).fill_null(False))
