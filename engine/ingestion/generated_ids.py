"""Generated ids of many rows at once: the same as `generated_id(ts, content_digest(content, k))` of each.

Owns recognising a given id as the one that would have been generated. Never decides what becomes of a row.
"""

import hashlib

import numpy as np
import numpy.typing as npt
import polars as pl

from engine.domain.transactions import CONTENT_VERSION, UNIT_SEPARATOR, content_digest, generated_id

ID_BYTES = 16
_Halves = npt.NDArray[np.uint64]  # an id a row, as two big-endian halves


def generated_ids(rows: pl.DataFrame) -> pl.Series:
    """The generated id (16 bytes) of each row; `rows` has ts, content and k."""
    raw = _generated(rows).astype(">u8").tobytes()
    ids = [raw[at : at + ID_BYTES] for at in range(0, len(raw), ID_BYTES)]
    return pl.Series("uid", ids, dtype=pl.Binary)


def generated_places(rows: pl.DataFrame) -> npt.NDArray[np.int64]:
    """The k from 1 to `copies` for which a row's `uid` is the generated id of its content; 0 without one.

    `rows` has uid, ts, content and copies. Only rows whose id bears their own millisecond are hashed.
    """
    places = np.zeros(rows.height, dtype=np.int64)
    given = np.frombuffer(b"".join(rows["uid"].to_list()), dtype=">u8").reshape(-1, 2)
    near = np.flatnonzero(given[:, 0] >> np.uint64(16) == _milliseconds(rows))
    first = rows.select("ts", "content", k=pl.lit(1))[near]
    places[near] = (_generated(first) == given[near]).all(axis=1)
    several = near[rows["copies"].to_numpy()[near] > 1]
    places[several] = _places_of_copies(rows[several])
    return places


def _places_of_copies(rows: pl.DataFrame) -> list[int]:
    """Contents that are there several times: the ids of all their k, made once a content."""
    made: dict[str, dict[bytes, int]] = {}
    places = []
    for uid, ts, content, copies in rows.select("uid", "ts", "content", "copies").iter_rows():
        if content not in made:
            made[content] = {generated_id(ts, content_digest(content, k)): k for k in range(1, copies + 1)}
        places.append(made[content].get(uid, 0))
    return places


def _milliseconds(rows: pl.DataFrame) -> _Halves:
    return (rows["ts"].to_numpy() // 1000).astype(np.uint64)


def _generated(rows: pl.DataFrame) -> _Halves:
    """Milliseconds, version and 12 random bits; then the variant and the other 62 of the 74 random bits."""
    hashed = pl.concat_str(
        pl.lit(CONTENT_VERSION), "content", pl.col("k").cast(pl.String), separator=UNIT_SEPARATOR
    )
    texts = rows.select(hashed.cast(pl.Binary)).to_series().to_list()
    digests = b"".join([hashlib.sha256(text).digest() for text in texts])
    words = np.frombuffer(digests, dtype=">u8").reshape(-1, 4).astype(np.uint64)
    first, second = words[:, 0], words[:, 1]
    head = _milliseconds(rows) << np.uint64(16) | np.uint64(0x7000) | first >> np.uint64(52)
    tail = np.uint64(0b10 << 62) | first << np.uint64(12) >> np.uint64(2) | second >> np.uint64(54)
    return np.stack([head, tail], axis=1)
