"""Transactions CSV v1.1: the rules of its columns and the normalised frame of its good rows."""

import polars as pl

from engine.domain.money import SCALE, is_plain, to_scaled
from engine.domain.transactions import ACTIONS, CONTENT_COLUMNS, UNIT_SEPARATOR
from engine.ingestion.rules import (
    FORMULA,
    Rule,
    blank_rule,
    canonical_decimals,
    canonical_instants,
    empty,
    empty_to_null,
    id_rule,
    instant_rules,
    is_negative,
    is_zero,
    long_rules,
    modest,
    plain,
    replace_at,
    sure_id,
    sure_instant,
    sure_name,
    sure_text,
    text_rules,
    with_instant,
)

UUIDV7 = r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-7[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}$"
# In notes TAB, LF, CR and the joiners stay.
UNPRINTABLE_IN_NOTES = r"[[\p{Cc}\p{Cf}\p{Co}\p{Zl}\p{Zp}]--[\t\n\r\x{200C}\x{200D}]]"
NOTES_CHARS_MAX = 2_000
WHOLE_DIGITS_MAX = 19  # a value must be below 10^19
VALUE_MAX = 10**WHOLE_DIGITS_MAX

TEXTS = ("asset_id", "fee_asset", "account", "wallet", "venue", "tx_hash", "external_id")
OPTIONAL = (
    "id", "unit_price_usd", "fee_asset", "fee_amount", "wallet", "venue", "tx_hash", "external_id", "notes",
)  # fmt: skip
PRICED = ("BUY", "SELL")  # actions that need a price
# With no more digits before the point than these no value and no fee can be out of range.
DECIMALS = {"quantity": 12, "unit_price_usd": 7, "fee_amount": 12}
SHORT_NAMES = {"asset_id": "asset", "unit_price_usd": "price"}
FRAME_COLUMNS = (
    "record", "line", "id", "ts", "action", "asset_id", "quantity", "unit_price_usd", "fee_asset",
    "fee_amount", "account", "wallet", "venue", "tx_hash", "external_id", "notes", "sanitized", "content",
)  # fmt: skip


def canonical(frame: pl.DataFrame) -> pl.DataFrame:
    """Puts instants and decimals into canonical text; adds `ts`, action_code, marks of modest decimals."""
    code = pl.col("action").cast(pl.Enum(ACTIONS), strict=False).to_physical().cast(pl.Int8)
    return _canonical_fields(frame).with_columns(action_code=code)


def sure(now_us: int) -> pl.Expr:
    """Whether a canonical row is surely good."""
    return pl.all_horizontal(
        empty("id") | pl.col("id").str.contains(UUIDV7),
        sure_instant(now_us),
        pl.col("action_code").is_not_null(),
        sure_id("asset_id"),
        *(pl.col(modest(name)) for name in DECIMALS),
        ~pl.col("quantity").is_in(("", "0")),
        ~empty("unit_price_usd") | ~pl.col("action").is_in(PRICED),
        empty("fee_asset") == empty("fee_amount"),
        empty("fee_asset") | sure_id("fee_asset"),
        sure_name("account"),
        *(sure_text(name) for name in ("wallet", "venue", "tx_hash", "external_id")),
        pl.col("notes").str.len_bytes() <= NOTES_CHARS_MAX,
    )


def prepare(frame: pl.DataFrame) -> pl.DataFrame:
    """Adds what the rules need beside the text: `ts`, and whether a value is out of range."""
    return _with_values_too_large(with_instant(frame, "timestamp"))


def rules(now_us: int) -> list[Rule]:
    """Every rule of a transaction, in the order in which reasons are told."""
    return [
        Rule("ID_NOT_UUIDV7", "id", ~empty("id") & ~pl.col("id").str.contains(UUIDV7)),
        *instant_rules("timestamp", now_us),
        Rule("ACTION_UNKNOWN", "action", ~pl.col("action").is_in(ACTIONS)),
        id_rule("ASSET_ID_INVALID", "asset_id"),
        *_quantity_rules(),
        *_price_rules(),
        *_fee_rules(),
        blank_rule("ACCOUNT_MISSING", "account"),
        *text_rules(TEXTS),
        *long_rules(("account", "wallet", "venue", "tx_hash", "external_id")),
        *long_rules(("notes",), NOTES_CHARS_MAX),
        Rule("VALUE_OUT_OF_RANGE", "quantity", pl.col("value_too_large")),
        Rule("VALUE_OUT_OF_RANGE", "fee_amount", pl.col("fee_too_large")),
    ]


def _quantity_rules() -> list[Rule]:
    wrong_sign = is_zero("quantity") | (is_negative("quantity") & (pl.col("action") != "FEE"))
    return [
        Rule("QUANTITY_INVALID", "quantity", ~plain("quantity")),
        Rule("QUANTITY_SIGN", "quantity", plain("quantity") & wrong_sign),
    ]


def _price_rules() -> list[Rule]:
    price = "unit_price_usd"
    wrong = ~plain(price) | is_negative(price)
    return [
        Rule("PRICE_INVALID", price, ~empty(price) & wrong),
        Rule("PRICE_MISSING", price, empty(price) & pl.col("action").is_in(PRICED)),
    ]


def _fee_rules() -> list[Rule]:
    wrong = ~plain("fee_amount") | is_negative("fee_amount")
    asset = id_rule("FEE_INVALID", "fee_asset")
    return [
        Rule("FEE_INCOMPLETE", "fee_asset", empty("fee_asset") & ~empty("fee_amount")),
        Rule("FEE_INCOMPLETE", "fee_amount", empty("fee_amount") & ~empty("fee_asset")),
        Rule("FEE_INVALID", "fee_asset", ~empty("fee_asset") & asset.hits),
        Rule("FEE_INVALID", "fee_amount", ~empty("fee_amount") & wrong),
    ]


def _with_values_too_large(frame: pl.DataFrame) -> pl.DataFrame:
    """Adds `value_too_large` and `fee_too_large`. Exact, but only rows with digits enough are multiplied."""
    quantity, price, fee = (_whole_digits(frame[name]) for name in DECIMALS)
    rows = ((quantity + price > WHOLE_DIGITS_MAX) | (fee + price > WHOLE_DIGITS_MAX)).arg_true()
    possible = zip(rows, frame[rows].iter_rows(named=True), strict=True)
    checked = [(row, *_too_large(fields)) for row, fields in possible]
    return frame.with_columns(
        value_too_large=_marks(frame.height, [row for row, value, _ in checked if value]),
        fee_too_large=_marks(frame.height, [row for row, _, fee in checked if fee]),
    )


def _marks(height: int, rows: list[int]) -> pl.Series:
    """A boolean column that is true at these rows."""
    return pl.repeat(False, height, dtype=pl.Boolean, eager=True).scatter(rows, True)


def _whole_digits(text: pl.Series) -> pl.Series:
    """How many characters a number has before its point, at most."""
    return text.str.find(".", literal=True).fill_null(text.str.len_bytes()).cast(pl.Int64)


def _too_large(row: dict[str, str]) -> tuple[bool, bool]:
    """Whether quantity x price, and the fee or fee x price, reach 10^19; malformed text counts as 0."""
    quantity = abs(_scaled(row["quantity"]))
    price, fee = max(_scaled(row["unit_price_usd"]), 0), max(_scaled(row["fee_amount"]), 0)
    in_kind = row["fee_asset"] == row["asset_id"]
    limit = VALUE_MAX * SCALE * SCALE
    return quantity * price >= limit, fee * max(SCALE, price if in_kind else 0) >= limit


def _scaled(text: str) -> int:
    return to_scaled(text) if is_plain(text) else 0


def normalise(good: pl.DataFrame) -> pl.DataFrame:
    """The frame of good canonical rows: see `csv_processor.Parsed`."""
    frame = empty_to_null(_clean_notes(_with_content(good)), OPTIONAL)
    frame = frame.with_columns(pl.col("id").str.to_lowercase(), action=pl.col("action_code"))
    return frame.select(FRAME_COLUMNS).rename(SHORT_NAMES)


def canonical_content(frame: pl.DataFrame) -> pl.DataFrame:
    """Puts the content's fields into canonical text and adds `content`, joined by U+001F."""
    return _with_content(_canonical_fields(frame))


def _canonical_fields(frame: pl.DataFrame) -> pl.DataFrame:
    return canonical_decimals(canonical_instants(frame, "timestamp"), DECIMALS)


def _with_content(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(content=pl.concat_str(CONTENT_COLUMNS, separator=UNIT_SEPARATOR))


def _clean_notes(frame: pl.DataFrame) -> pl.DataFrame:
    """Removes what cannot be printed, disarms a formula; `sanitized` where that changed the notes."""
    notes = frame["notes"]
    sanitized = notes.str.contains(f"{FORMULA}|{UNPRINTABLE_IN_NOTES}")
    at = sanitized.arg_true()
    clean = notes.gather(at).str.replace_all(UNPRINTABLE_IN_NOTES, "")
    clean = clean.str.replace(f"({FORMULA})", "'${1}")
    return frame.with_columns(replace_at(notes, at, clean), sanitized=sanitized)
