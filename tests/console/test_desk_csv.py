"""Exported rows come in again as they were, and run in no spreadsheet and no terminal."""

import csv
import io
import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.commands import desk_csv
from engine.domain.instants import parse_instant
from engine.domain.transactions import COLUMNS
from engine.ingestion.csv_processor import Parsed, parse_csv
from engine.ingestion.market_rules import FX_COLUMNS, PRICE_COLUMNS
from tests.console import desk_documents as desk

NOW = parse_instant("2026-01-01T00:00:00Z") or 0
UNPRINTABLE = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
RUNS = settings(max_examples=60, deadline=None)


def rows_of(*fields: dict[str, str]) -> list[dict[str, Any]]:
    return [desk.aside(number, row=row) for number, row in enumerate(fields, 1)]


def judged(text: str) -> tuple[list[Any], list[Any]]:
    """The verdict on a file: its good rows, and its bad ones with their reasons, places apart."""
    parsed = parse_csv(text.encode(), NOW)
    assert isinstance(parsed, Parsed)
    good = parsed.frame.drop("line").rows()
    return good, [(reject.record, reject.fields, reject.reasons) for reject in parsed.rejects]


def as_it_came(header: tuple[str, ...], rows: list[dict[str, str]]) -> str:
    """The file that rows came from."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(header)
    writer.writerows([row[name] for name in header] for row in rows)
    return out.getvalue()


def test_headers__are_those_of_the_files() -> None:
    assert desk_csv.HEADERS == {"transactions": COLUMNS, "prices": PRICE_COLUMNS, "fx": FX_COLUMNS}


@pytest.mark.parametrize(
    ("column", "value", "written"),
    [
        ("account", "=1+1", "'=1+1"),
        ("wallet", "@SUM(A1)", "'@SUM(A1)"),
        ("external_id", "-x", "'-x"),
        ("quantity", "+5", "'+5"),
        ("quantity", "-5.25", "-5.25"),  # a number is no formula, and a FEE may be negative
        ("quantity", "-1e5", "'-1e5"),
        ("quantity", "-1+1", "'-1+1"),
        ("account", "'=1+1", "'=1+1"),  # what got an apostrophe gets no second one
        ("account", "a\x1b[31m", "a\\x1b[31m"),
        ("account", "\t=1", "\\x09=1"),
        ("account", "two\nlines", "two\\x0alines"),
        ("account", "\u202egnp", "\\u{202e}gnp"),
        ("notes", "\t=1", "'\t=1"),
        ("notes", "two\nlines\tand a joiner\u200d", "two\nlines\tand a joiner\u200d"),
        ("notes", "a\x1b[31m", "a\\x1b[31m"),
        ("account", "it's mine", "it's mine"),
        ("account", "", ""),
    ],
)
def test_field__safe_to_open__and_otherwise_as_it_is(column: str, value: str, written: str) -> None:
    assert desk_csv.written_field(column, value) == written


@RUNS
@given(st.sampled_from(["account", "quantity", "notes"]), st.text(max_size=12))
def test_field__any_text__runs_nothing_hides_nothing_and_settles(column: str, value: str) -> None:
    written = desk_csv.written_field(column, value)

    assert not written.startswith(("=", "+", "@", "\t", "\r"))
    assert not written.startswith("-") or desk_csv.NUMBER.fullmatch(written)
    kept = desk_csv.KEPT_IN_NOTES if column == "notes" else set()
    assert [mark for mark in written if unicodedata.category(mark) in UNPRINTABLE and mark not in kept] == []
    assert desk_csv.written_field(column, written) == written


@RUNS
@given(st.lists(st.lists(st.text(max_size=8), min_size=1, max_size=16), max_size=4))
def test_sheet__any_rows__one_record_each_with_its_own_number_of_fields(given_rows: list[list[str]]) -> None:
    named = [*COLUMNS, "column_15", "column_16"]
    rows = rows_of(*(dict(zip(named, fields, strict=False)) for fields in given_rows))

    sheet = desk_csv.sheet(rows, "transactions")

    header, *records = csv.reader(io.StringIO(sheet.text, newline=""))
    assert tuple(header) == COLUMNS
    assert records == [[*map(desk_csv.written_field, row["row"], row["row"].values())] for row in rows]
    assert sheet.rows == len(rows)


CLEAN = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=6).filter(
    lambda text: not text.startswith(("=", "+", "-", "@"))
)
NUMBERS = st.sampled_from(["1", "-1", "0", "1.50", "1,5", "1e5", "", "NaN", "99999999999999999999"])
NOTES = st.text(st.sampled_from(["a", '"', ",", "\n", "\t", "\r", " ", "\u200d"]), max_size=6)
ROWS = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["", "018df903-a3c0-7b1e-8c55-0242ac120002", "x"]),
        "timestamp": st.sampled_from(["2024-03-03T16:00:00Z", "2024-03-03", ""]),
        "action": st.sampled_from(["BUY", "buy", "FEE", ""]),
        "asset_id": st.sampled_from(["ETH", "E TH", ""]),
        "quantity": NUMBERS, "unit_price_usd": NUMBERS, "fee_asset": st.sampled_from(["", "USD"]),
        "fee_amount": NUMBERS, "account": CLEAN, "wallet": CLEAN, "venue": CLEAN, "tx_hash": CLEAN,
        "external_id": CLEAN, "notes": NOTES.filter(lambda text: not text.startswith(("\t", "\r"))),
    }
)  # fmt: skip


@RUNS
@given(st.lists(ROWS, min_size=1, max_size=5))
def test_sheet__fields_written_as_they_are__same_verdicts_when_ingested(fields: list[dict[str, str]]) -> None:
    sheet = desk_csv.sheet(rows_of(*fields), "transactions")

    assert sheet.altered == []
    assert judged(sheet.text) == judged(as_it_came(COLUMNS, fields))


@pytest.mark.parametrize("number", [1, 2, 13, 15])
def test_sheet__too_few_or_too_many_columns__stay_so(number: int) -> None:
    names = [*COLUMNS, "column_15"][:number]
    fields = dict(zip(names, ["", *"23456789abcdef"], strict=False))

    sheet = desk_csv.sheet(rows_of(fields), "transactions")

    ((_, told, reasons),) = judged(sheet.text)[1]
    assert told == tuple(fields.values())
    assert [reason.code for reason in reasons] == ["COLUMN_COUNT"]


def test_sheet__prices_and_rates__same_verdicts_when_ingested() -> None:
    bar = dict.fromkeys(PRICE_COLUMNS, "") | {"asset_id": "ETH", "resolution": "2d", "close": "-1"}
    rate = dict.fromkeys(FX_COLUMNS, "") | {"base": "EUR", "rate": "x"}
    rows = rows_of(bar, rate)

    assert desk_csv.kinds(rows) == {"prices": 1, "fx": 1}
    for kind, fields in (("prices", bar), ("fx", rate)):
        sheet = desk_csv.sheet(rows, kind)
        assert judged(sheet.text) == judged(as_it_came(desk_csv.HEADERS[kind], [fields]))


def test_sheet__altered_rows__are_named() -> None:
    rows = rows_of(desk.fields(), desk.fields(account="=1"), desk.fields(notes="\x1b"))

    assert desk_csv.sheet(rows, "transactions").altered == [rows[1]["id"], rows[2]["id"]]
