"""What a transaction is: actions, ranks, keys, content and the identifier made from content.

A ledger is a polars frame of LEDGER_SCHEMA: one row per accepted, not superseded row, quantities
unsigned as in the file. FEE rows made from `fee_amount` are not stored: they are a pure function of
their parent and appear where a stage needs them.
"""

import hashlib
from enum import IntEnum

import polars as pl

from engine.domain.columns import instant_texts
from engine.domain.instants import format_instant
from engine.domain.money import PLACES

COLUMNS = (
    "id", "timestamp", "action", "asset_id", "quantity", "unit_price_usd", "fee_asset", "fee_amount",
    "account", "wallet", "venue", "tx_hash", "external_id", "notes",
)  # fmt: skip
HEADER = ",".join(COLUMNS)

# A row's content: what makes two rows the same fact. Order matters, it is hashed.
CONTENT_COLUMNS = (
    "timestamp", "action", "asset_id", "quantity", "unit_price_usd",
    "fee_asset", "fee_amount", "account", "tx_hash", "external_id",
)  # fmt: skip
CONTENT_VERSION = "1"
UNIT_SEPARATOR = "\x1f"

ACTIONS = (
    "BUY", "SELL", "TRANSFER_IN", "TRANSFER_OUT", "FEE", "STAKING_REWARD", "AIRDROP", "INCOME",
)  # fmt: skip


class Action(IntEnum):
    """Codes as stored; the position in ACTIONS."""

    BUY = 0
    SELL = 1
    TRANSFER_IN = 2
    TRANSFER_OUT = 3
    FEE = 4
    STAKING_REWARD = 5
    AIRDROP = 6
    INCOME = 7


# Order of booking at one instant (CONTRACT §5), by action code.
RANK = (0, 3, 1, 2, 4, 0, 0, 0)
OUTGOING = frozenset({Action.SELL, Action.TRANSFER_OUT, Action.FEE})
TRANSFERS = frozenset({Action.TRANSFER_IN, Action.TRANSFER_OUT})


class KeyKind(IntEnum):
    """The first of these that a row can form is its key; also the order of keys in the ledger."""

    TX_HASH = 0
    EXTERNAL_ID = 1
    ID = 2
    CONTENT = 3


DECIMAL = pl.Decimal(38, PLACES)
LEDGER_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "row": pl.Int64,  # the row's number in the store; identifies it, never orders it
    "ts": pl.Int64,  # microseconds UTC
    "action": pl.Int8,  # Action
    "asset": pl.String,
    "quantity": DECIMAL,  # unsigned
    "price": DECIMAL,  # unit_price_usd, null where empty
    "fee_asset": pl.String,  # null where empty
    "fee_amount": DECIMAL,  # null where empty
    "account": pl.String,
    "tx_hash": pl.String,  # null where empty
    "external_id": pl.String,  # null where empty
    "id": pl.String,  # hyphenated UUIDv7
    "kind": pl.Int8,  # KeyKind
    "k": pl.Int32,  # the row was the k-th of this content in its file; 1 for rows with another key
}


def content_text(
    ts: int, action: int, asset: str, quantity: str, price: str | None, fee_asset: str | None,
    fee_amount: str | None, account: str, tx_hash: str | None, external_id: str | None,
) -> str:  # fmt: skip
    """The content of a row: its ten canonical fields joined by U+001F, an empty field as empty."""
    fields = (
        format_instant(ts), ACTIONS[action], asset, quantity, price, fee_asset, fee_amount, account,
        tx_hash, external_id,
    )  # fmt: skip
    return UNIT_SEPARATOR.join(field or "" for field in fields)


def content_column() -> pl.Expr:
    """`content_text` of every row of a frame that has its arguments as columns, `action` as a code."""
    action = pl.col("action").replace_strict(dict(enumerate(ACTIONS)), return_dtype=pl.String)
    optional = ("fee_asset", "fee_amount", "account", "tx_hash", "external_id")
    return pl.concat_str(
        instant_texts("ts"), action, "asset", "quantity", pl.col("price", *optional).fill_null(""),
        separator=UNIT_SEPARATOR,
    )  # fmt: skip


def content_digest(content: str, k: int) -> bytes:
    """SHA-256 over version, content and k. `content`: the ten canonical fields joined by U+001F."""
    return hashlib.sha256(f"{CONTENT_VERSION}{UNIT_SEPARATOR}{content}{UNIT_SEPARATOR}{k}".encode()).digest()


def generated_id(ts: int, digest: bytes) -> bytes:
    """The UUIDv7 (16 bytes) of a row without one: its timestamp in ms and the first 74 bits of `digest`."""
    bits = int.from_bytes(digest[:10], "big") >> 6
    value = (ts // 1000) << 80 | 0x7 << 76 | (bits >> 62) << 64 | 0b10 << 62 | bits & (1 << 62) - 1
    return value.to_bytes(16, "big")


def id_text(raw: bytes) -> str:
    """The hyphenated lower-case form of 16 bytes."""
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
