"""Every reason for which a transaction is quarantined, and the normal form of those that are not."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.instants import DAY_US, format_instant, parse_instant
from engine.domain.money import is_plain, to_scaled, to_text
from engine.domain.reasons import ROW_REASONS
from engine.domain.transactions import ACTIONS, COLUMNS
from engine.ingestion.csv_processor import Parsed, parse_csv
from engine.ingestion.rules import canonical_decimals, with_instant
from tests.effort import examples

from .helpers import ID_A, NOW, codes, parsed, to_csv, tx

NINES = "9" * 19
LONG = "x" * 129


@pytest.mark.parametrize(
    ("fields", "reasons"),
    [
        ({"id": ID_A.replace("-7f", "-4f")}, ["ID_NOT_UUIDV7 id"]),
        ({"id": ID_A.replace("-b3", "-c3")}, ["ID_NOT_UUIDV7 id"]),
        ({"id": ID_A.replace("-", "")}, ["ID_NOT_UUIDV7 id"]),
        ({"id": ID_A + "\n"}, ["ID_NOT_UUIDV7 id"]),
        ({"timestamp": ""}, ["TIMESTAMP_INVALID timestamp"]),
        ({"timestamp": "2025-03-01T10:00:00"}, ["TIMESTAMP_INVALID timestamp"]),
        ({"timestamp": "2025-03-01T10:00:00+01:00"}, ["TIMESTAMP_INVALID timestamp"]),
        ({"timestamp": "2025-02-30T10:00:00Z"}, ["TIMESTAMP_INVALID timestamp"]),
        ({"timestamp": "2025-03-01T24:00:00Z"}, ["TIMESTAMP_INVALID timestamp"]),
        ({"timestamp": "2025-03-01T23:59:60Z"}, ["TIMESTAMP_INVALID timestamp"]),
        ({"timestamp": "1969-12-31T23:59:59.9Z"}, ["TIMESTAMP_INVALID timestamp"]),
        ({"timestamp": "2025-03-01T10:00:00.1234567890Z"}, ["TIMESTAMP_INVALID timestamp"]),
        ({"timestamp": "٢025-03-01T10:00:00Z"}, ["TIMESTAMP_INVALID timestamp"]),
        ({"timestamp": "2026-01-02T00:00:00.000001Z"}, ["TIMESTAMP_FUTURE timestamp"]),
        ({"action": "buy"}, ["ACTION_UNKNOWN action"]),
        ({"action": ""}, ["ACTION_UNKNOWN action"]),
        ({"asset_id": ""}, ["ASSET_ID_INVALID asset_id"]),
        ({"asset_id": "../x"}, ["ASSET_ID_INVALID asset_id"]),
        ({"asset_id": "a" * 65}, ["ASSET_ID_INVALID asset_id"]),
        ({"asset_id": "=A"}, ["ASSET_ID_INVALID asset_id", "FORMULA_PREFIX asset_id"]),
        ({"quantity": ""}, ["QUANTITY_INVALID quantity"]),
        ({"quantity": "1e5"}, ["QUANTITY_INVALID quantity"]),
        ({"quantity": "+1"}, ["QUANTITY_INVALID quantity"]),
        ({"quantity": "1,000.5"}, ["QUANTITY_INVALID quantity"]),
        ({"quantity": "1.1234567890123456789"}, ["QUANTITY_INVALID quantity"]),
        ({"quantity": "1" * 21}, ["QUANTITY_INVALID quantity"]),
        ({"quantity": "NaN"}, ["QUANTITY_INVALID quantity"]),
        ({"quantity": "１"}, ["QUANTITY_INVALID quantity"]),
        ({"quantity": "1."}, ["QUANTITY_INVALID quantity"]),
        ({"quantity": "0.000"}, ["QUANTITY_SIGN quantity"]),
        ({"quantity": "-1"}, ["QUANTITY_SIGN quantity"]),
        ({"quantity": "-0", "action": "FEE"}, ["QUANTITY_SIGN quantity"]),
        ({"unit_price_usd": ""}, ["PRICE_MISSING unit_price_usd"]),
        ({"unit_price_usd": "", "action": "SELL"}, ["PRICE_MISSING unit_price_usd"]),
        ({"unit_price_usd": "-1"}, ["PRICE_INVALID unit_price_usd"]),
        ({"unit_price_usd": "$1", "action": "INCOME"}, ["PRICE_INVALID unit_price_usd"]),
        ({"fee_asset": "USD"}, ["FEE_INCOMPLETE fee_amount"]),
        ({"fee_amount": "1"}, ["FEE_INCOMPLETE fee_asset"]),
        ({"fee_asset": "U D", "fee_amount": "1"}, ["FEE_INVALID fee_asset"]),
        ({"fee_asset": "USD", "fee_amount": "-1"}, ["FEE_INVALID fee_amount"]),
        ({"fee_asset": "USD", "fee_amount": "x"}, ["FEE_INVALID fee_amount"]),
        ({"fee_asset": "-", "fee_amount": "x"},
         ["FEE_INVALID fee_asset", "FEE_INVALID fee_amount", "FORMULA_PREFIX fee_asset"]),
        ({"account": ""}, ["ACCOUNT_MISSING account"]),
        ({"account": " \u3000"}, ["ACCOUNT_MISSING account"]),
        ({"account": "@a"}, ["FORMULA_PREFIX account"]),
        ({"wallet": "\tw"}, ["FORMULA_PREFIX wallet", "CONTROL_CHARACTER wallet"]),
        ({"venue": "\rv"}, ["FORMULA_PREFIX venue", "CONTROL_CHARACTER venue"]),
        ({"tx_hash": "-0x"}, ["FORMULA_PREFIX tx_hash"]),
        ({"external_id": "+1"}, ["FORMULA_PREFIX external_id"]),
        ({"wallet": "a\x1bb"}, ["CONTROL_CHARACTER wallet"]),
        ({"account": "a\u202eb"}, ["CONTROL_CHARACTER account"]),
        ({"venue": "a\u2028b"}, ["CONTROL_CHARACTER venue"]),
        ({"tx_hash": "a\ue000b"}, ["CONTROL_CHARACTER tx_hash"]),
        ({"external_id": "a\x1fb"}, ["CONTROL_CHARACTER external_id"]),
        ({"account": LONG}, ["FIELD_TOO_LONG account"]),
        ({"tx_hash": LONG, "wallet": LONG}, ["FIELD_TOO_LONG wallet", "FIELD_TOO_LONG tx_hash"]),
        ({"notes": "\x07" * 2001}, ["FIELD_TOO_LONG notes"]),
        ({"quantity": "1" + "0" * 10, "unit_price_usd": "1" + "0" * 9}, ["VALUE_OUT_OF_RANGE quantity"]),
        ({"quantity": "-1" + "0" * 19, "action": "FEE", "unit_price_usd": "1"},
         ["VALUE_OUT_OF_RANGE quantity"]),
        ({"fee_asset": "USD", "fee_amount": "1" + "0" * 19}, ["VALUE_OUT_OF_RANGE fee_amount"]),
        ({"fee_asset": "BTC", "fee_amount": "1" + "0" * 17}, ["VALUE_OUT_OF_RANGE fee_amount"]),
    ],
)  # fmt: skip
def test_bad_row__names_each_reason_with_column_and_value(fields: dict[str, str], reasons: list[str]) -> None:
    row = tx(**fields)
    found = codes(parsed([tx(), row, tx()]))
    assert found == [[(*reason.split(), row.get(reason.split()[1], "")) for reason in reasons]]
    assert {reason.split()[0] for reason in reasons} <= set(ROW_REASONS)


@pytest.mark.parametrize(
    "fields",
    [
        {"timestamp": "2026-01-02T00:00:00Z"},
        {"timestamp": "1970-01-01T00:00:00.123456789+00:00"},
        {"id": ID_A.upper()},
        {"quantity": "-0.000000000000000001", "action": "FEE", "unit_price_usd": ""},
        {"unit_price_usd": "-0.0"},
        {"unit_price_usd": "", "action": "AIRDROP"},
        {"quantity": NINES, "unit_price_usd": "1"},
        {"quantity": "9" * 20, "unit_price_usd": "", "action": "TRANSFER_IN"},
        {"quantity": "9" * 20, "unit_price_usd": "0.05"},
        {"fee_asset": "USD", "fee_amount": NINES + ".999999999999999999"},
        {"fee_asset": "ETH", "fee_amount": NINES},
        {"account": "ü" * 128, "wallet": " w ", "notes": "n" * 2000},
        {"asset_id": "erc20:0xA.b_c-d"},
    ],
)
def test_good_row__at_the_edge_of_a_rule_is_taken(fields: dict[str, str]) -> None:
    assert codes(parsed([tx(**fields)])) == []


def test_record_with_another_number_of_columns__has_just_that_reason() -> None:
    whole = to_csv(COLUMNS, [tx()]) + b"=1,,\n" + b"," * 14 + b"\n"
    result = parse_csv(whole, NOW)
    assert isinstance(result, Parsed)
    assert codes(result) == [[("COLUMN_COUNT", "", "3")], [("COLUMN_COUNT", "", "15")]]
    assert (result.rows, result.frame.height) == (3, 1)


def test_normal_row__is_canonical() -> None:
    row = tx(
        id=ID_A.upper(), timestamp="2025-03-01T10:00:00.120000999+00:00", action="FEE", quantity="-01.50",
        unit_price_usd="-0", fee_asset="USD", fee_amount="007", wallet="w", tx_hash="0xAB", external_id="x",
    )  # fmt: skip
    frame = parsed([row]).frame
    content = "2025-03-01T10:00:00.12Z FEE BTC 1.5 0 USD 7 main 0xAB x".replace(" ", "\x1f")
    assert frame.row(0, named=True) == {
        "record": 1, "line": 2, "id": ID_A, "ts": parse_instant("2025-03-01T10:00:00.12Z"), "action": 4,
        "asset": "BTC", "quantity": "1.5", "price": "0", "fee_asset": "USD", "fee_amount": "7",
        "account": "main", "wallet": "w", "venue": None, "tx_hash": "0xAB", "external_id": "x",
        "notes": None, "sanitized": False, "content": content,
    }  # fmt: skip


def test_content__shows_empty_fields_as_empty_and_leaves_out_wallet_venue_notes_and_id() -> None:
    plain = parsed([tx()]).frame["content"][0]
    other = parsed([tx(id=ID_A, wallet="w", venue="v", notes="n")]).frame["content"][0]
    assert plain == other == "2025-03-01T10:00:00Z BUY BTC 1.5 100   main  ".replace(" ", "\x1f")


@pytest.mark.parametrize(
    ("notes", "kept", "sanitized"),
    [
        ("plain, \"quoted\"", "plain, \"quoted\"", False),
        ("a\tb\nc\rd\u200ce\u200df", "a\tb\nc\rd\u200ce\u200df", False),
        ("a\x1b[31mb\u202e\u2028", "a[31mb", True),
        ("=1+1", "'=1+1", True),
        ("\x07@cmd", "'@cmd", True),
        ("\tx", "'\tx", True),
        ("\x07", None, True),
        ("'=1", "'=1", False),
    ],
)  # fmt: skip
def test_notes__are_cleaned_and_say_so(notes: str, kept: str | None, sanitized: bool) -> None:
    frame = parsed([tx(notes=notes)]).frame
    assert frame.select("notes", "sanitized").row(0) == (kept, sanitized)


DIGITS = st.text("0123456789", min_size=1, max_size=20)
NUMBERS = st.builds(lambda sign, whole, rest: sign + whole + rest, st.sampled_from(["", "-"]), DIGITS,
                    st.one_of(st.just(""), DIGITS.map(lambda digits: "." + digits[:18])))  # fmt: skip


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(NUMBERS, min_size=1, max_size=20))
def test_canonical_decimals__agree_with_exact_money(numbers: list[str]) -> None:
    frame = canonical_decimals(pl.DataFrame({"n": numbers}), {"n": 20})
    assert frame["n"].to_list() == [to_text(abs(to_scaled(number))) for number in numbers]


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(NUMBERS | st.text("0123456789.-", max_size=24), min_size=1), st.sampled_from(ACTIONS))
def test_value_out_of_range__is_judged_exactly(texts: list[str], action: str) -> None:
    pairs = list(zip(texts, reversed(texts), strict=True))
    rejects = parsed([tx(quantity=q, unit_price_usd=p, action=action) for q, p in pairs]).rejects
    hit = {reject.record for reject in rejects for r in reject.reasons if r.code == "VALUE_OUT_OF_RANGE"}
    assert hit == {at for at, pair in enumerate(pairs, 1) if too_large(*pair)}


def too_large(quantity: str, price: str) -> bool:
    if not (is_plain(quantity) and is_plain(price)):
        return False
    return abs(to_scaled(quantity)) * to_scaled(price) >= 10 ** (19 + 36)


TIMES = st.builds(
    lambda day, clock, rest: f"{day}T{clock}{rest}",
    st.sampled_from(["2024-02-29", "2023-02-29", "1970-01-01", "1969-12-31", "9999-12-31", "0000-01-01"]),
    st.sampled_from(["00:00:00", "23:59:59", "24:00:00", "12:60:00", "12:00:60", "1:00:00"]),
    st.one_of(st.sampled_from(["Z", "+00:00", "", "z", ".Z", "Z\n"]), DIGITS.map(lambda d: f".{d[:10]}Z")),
)


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(TIMES, min_size=1, max_size=30))
def test_instants__are_read_as_the_domain_reads_them(texts: list[str]) -> None:
    assert with_instant(pl.DataFrame({"t": texts}), "t")["ts"].to_list() == [parse_instant(t) for t in texts]
    rows = [tx(timestamp=text) for text in texts if parse_instant(text) is not None]
    whole = parse_csv(to_csv(COLUMNS, rows), 400_000 * DAY_US * 10)
    assert isinstance(whole, Parsed)
    shown = [content.split("\x1f")[0] for content in whole.frame["content"]]
    assert shown == [format_instant(parse_instant(row["timestamp"]) or 0) for row in rows]
