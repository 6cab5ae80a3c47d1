"""Files that are refused whole, and records as they lie in the file."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.reasons import FILE_REASONS
from engine.domain.transactions import COLUMNS, HEADER
from engine.ingestion import records
from engine.ingestion.csv_processor import BadFile, Parsed, parse_csv
from engine.ingestion.market_rules import FX_COLUMNS, PRICE_COLUMNS
from tests.effort import examples

from .helpers import NOW, tx

ROW = ",".join(tx().get(name, "") for name in COLUMNS)
HEAD = HEADER.encode()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"x" * 401, "FILE_TOO_LARGE"),
        (b" " * 401, "FILE_TOO_LARGE"),
        (b"", "FILE_EMPTY"),
        (b"\xef\xbb\xbf", "FILE_EMPTY"),
        (b"\xef\xbb\xbf \t\r\n\n", "FILE_EMPTY"),
        (HEAD + b"\n\0", "FILE_BINARY"),
        (b"\0\xff", "FILE_BINARY"),
        (HEAD + b"\n\xff", "FILE_ENCODING"),
        (HEAD + b'\n"\xff', "FILE_ENCODING"),
        (HEAD + b"\n\xed\xa0\x80", "FILE_ENCODING"),
        (b'a,b\n"', "FILE_QUOTING"),
        (HEAD + b'\na,"b\nc\n', "FILE_QUOTING"),
        (HEAD + b'\na,"b""\n', "FILE_QUOTING"),
        (b"\r", "FILE_HEADER"),
        (b"\xef\xbb\xbf\xef\xbb\xbf" + HEAD, "FILE_HEADER"),
        (HEAD + b"\r", "FILE_HEADER"),
        (HEAD + b",extra\n", "FILE_HEADER"),
        (HEAD.upper(), "FILE_HEADER"),
        (b"timestamp,id" + HEAD[len("id,timestamp") :], "FILE_HEADER"),
        (b"record,line,end\n1,2,3\n", "FILE_HEADER"),
        (b"a,a\n1,2\n" + b"x\n" * 9, "FILE_HEADER"),
        (b"," * 300, "FILE_HEADER"),
        (b"," * 200 + b'\n"\n"', "FILE_HEADER"),
        (b"," * 200 + b'\n"x', "FILE_QUOTING"),
        (HEAD + b"\nx\nx\nx\nx\n", "FILE_TOO_MANY_ROWS"),
        (HEAD + b'\n"\n"\nx\nx\nx', "FILE_TOO_MANY_ROWS"),
        (HEAD + b'\n"\n"\nx\nx\nx\nx\nx\nx"', "FILE_TOO_MANY_ROWS"),
        (HEAD + b'\n"\n"\nx\nx\nx\nx\nx\n"', "FILE_QUOTING"),
    ],
)
def test_bad_file__is_refused_with_the_first_reason(data: bytes, reason: str) -> None:
    result = parse_csv(data, NOW, bytes_max=400, rows_max=3)
    assert isinstance(result, BadFile)
    assert result.reason == reason
    assert reason in FILE_REASONS


@pytest.mark.parametrize(
    ("head", "told"),
    [
        (
            ",".join(COLUMNS).replace("asset_id", "asset").replace(",notes", ""),
            "nearest kind: transactions; missing: asset_id, notes; unknown: 'asset'; its header is id,",
        ),
        (",".join(reversed(PRICE_COLUMNS)), "nearest kind: prices; the same columns in another order"),
        (",".join(FX_COLUMNS) + ",\x1b[2J", "nearest kind: fx; unknown: '\\x1b[2J'; its header is base,"),
        (",".join(COLUMNS).upper(), "nearest kind: transactions; missing: id, timestamp,"),
        ("Date;Type;Amount", "its first line is no header; that of transactions is id,timestamp,"),
    ],
)
def test_unknown_header__tells_the_nearest_kind__and_what_to_mend(head: str, told: str) -> None:
    result = parse_csv(head.encode() + b"\n", NOW)
    assert isinstance(result, BadFile)
    assert result.detail.startswith(told)


def test_header_of_very_many_columns__is_refused_like_any_other_unknown_one() -> None:
    result = parse_csv(b"," * 1_000_000 + b'\n"a",b\n', NOW)
    assert isinstance(result, BadFile)
    assert result.reason == "FILE_HEADER"
    many = parse_csv(",".join(f"c{number}" for number in range(100_000)).encode() + b",id\n", NOW)
    assert isinstance(many, BadFile)
    assert len(many.detail) < 600


@pytest.mark.parametrize("columns", [COLUMNS, PRICE_COLUMNS, FX_COLUMNS])
def test_header_alone__is_a_file_with_no_rows(columns: tuple[str, ...]) -> None:
    quoted = ",".join(f'"{name}"' for name in columns)
    for head in (",".join(columns), quoted):
        result = parse_csv(b"\xef\xbb\xbf\r\n" + head.encode() + b"\r\n \t\r\n", NOW)
        assert isinstance(result, Parsed)
        assert (result.rows, result.frame.height, result.rejects) == (0, 0, [])


def test_as_many_rows_and_bytes_as_allowed__is_taken() -> None:
    data = (HEADER + "\n" + ROW + "\n" + ROW).encode()
    result = parse_csv(data, NOW, bytes_max=len(data), rows_max=2)
    assert isinstance(result, Parsed)
    assert result.frame.height == 2


def test_lines__of_a_multi_line_note_keep_line_ends_and_numbers() -> None:
    text = f'{HEADER}\r\n\r\n{ROW[:-1]},"one\r\n\r\ntwo\rthree"\r\nshort,row\r\n{ROW}\r\n'
    result = parse_csv(text.encode(), NOW)
    assert isinstance(result, Parsed)
    assert result.frame["notes"].to_list() == ["one\r\n\r\ntwo\rthree", None]
    assert result.frame.select("record", "line").rows() == [(1, 3), (3, 7)]
    assert [(r.record, r.line, r.fields) for r in result.rejects] == [(2, 6, ("short", "row"))]


def test_quotes__inside_an_unquoted_field_and_after_a_closing_quote_are_text() -> None:
    cells = {"wallet": 'a"b"', "venue": '"x"y"z"', "notes": '"say ""hi"""'}
    line = ",".join((tx() | cells).get(name, "") for name in COLUMNS)
    result = parse_csv(f"{HEADER}\n{line}\n".encode(), NOW)
    assert isinstance(result, Parsed)
    assert result.frame.select("wallet", "venue", "notes").row(0) == ('a"b"', 'xy"z"', 'say "hi"')


PIECES = ('"', '"', ",", ",", "\n", "\r", "\r\n", " ", "\t", "a", "é", "\u2028", "\x85", "\x0b", "\x1c")
HOSTILE = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)


def cut_by_hand(text: str) -> list[tuple[int, int, tuple[str, ...]]] | None:
    """RFC 4180 with the contract's leniency, one character after the other."""
    out, fields, field, line, first, state, i = [], [], "", 1, 1, "start", 0
    raw = ""
    while True:
        char = text[i] if i < len(text) else ""
        if char == "\r" and text[i + 1 : i + 2] == "\n" and state != "quoted":
            i += 1
            char = "\n"
        i += 1
        if state == "quoted":
            if char == "":
                return None
            if char == '"' and text[i : i + 1] == '"':
                field, i = field + '"', i + 1
            elif char == '"':
                state = "open"
            else:
                field += char
                line += char == "\n"
        elif char in ("\n", ""):
            if raw.strip(" \t"):
                out.append((first, line, (*fields, field)))
            fields, field, raw, state = [], "", "", "start"
            if char == "":
                return out
            line += 1
            first = line
            continue
        elif char == ",":
            fields.append(field)
            field, state = "", "start"
        elif char == '"' and state == "start":
            state = "quoted"
        else:
            field, state = field + char, "open"
        raw += char


@settings(max_examples=examples(500), deadline=None)
@given(HOSTILE)
def test_records__both_ways_cut_hostile_text_as_by_hand(text: str) -> None:
    if records.is_blank(text.encode()):
        return
    expected = cut_by_hand(text)
    if expected is not None:
        expected = [expected[0][2], *expected[1:]]
    assert as_list(records.read_records(text.encode(), 99)) == expected
    assert as_list(records._by_csv(text, 99)) == expected


PLAIN = ("", "", "a", "é", " ", "\ufeff")
QUOTED = ('""', '"a"', '"a,b"', '"a""b"', '""""', 'a"b', '"a"b', '"a" ', ' "a"', '"')
LINES = st.lists(st.sampled_from(PLAIN + QUOTED), min_size=1, max_size=4).map(",".join)
HEADERS = st.sampled_from(["a", "a,b", 'a,"b",c'])


@settings(max_examples=examples(300), deadline=None)
@given(st.lists(LINES, max_size=12), HEADERS, st.sampled_from(["\n", "\r\n"]))
def test_records__one_a_line_are_cut_like_any_others(lines: list[str], header: str, end: str) -> None:
    text = end.join([header, *lines])
    expected = as_list(records._by_csv(text, 99))
    assert as_list(records.read_records(text.encode(), 99)) == expected
    by_line = records._by_line("\n".join([header, *lines]).encode(), 99)
    assert (as_list(by_line) == expected) if by_line else any('"' in line for line in lines)


def test_records__one_a_line_with_quotes_and_wrong_widths__need_no_other_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(records, "_by_csv")
    lines = ["a,b", "1,2", '"1,","2"""', "1", "1,2,", '1,"2",3', '1,2"', '"1"x,2', ",", '"",""', "\ufeff,"]
    assert [row[2] for row in as_list(records.read_records("\n".join(lines).encode(), 99))[1:]] == [
        ("1", "2"), ("1,", '2"'), ("1",), ("1", "2", ""), ("1", "2", "3"), ("1", '2"'), ("1x", "2"),
        ("", ""), ("", ""), ("\ufeff", ""),
    ]  # fmt: skip


@settings(max_examples=examples(200), deadline=None)
@given(st.binary(max_size=40))
def test_any_bytes__are_answered_never_raised(data: bytes) -> None:
    for content in (data, HEAD + b"\n" + data, HEAD + b"\n" + ROW.encode() + data):
        assert isinstance(parse_csv(content, NOW), Parsed | BadFile)


def as_list(found: records.Records | None) -> list[tuple[int, int, tuple[str, ...]]] | None:
    """The header's fields, then (first line, last line, fields) of each record."""
    if found is None:
        return None
    rows = [(row[0], row[1], row[2], tuple(row[3:])) for row in found.frame.rows()]
    rows = sorted([*rows, *found.odd])
    assert [row[0] for row in rows] == list(range(1, found.rows + 1))
    return [found.header, *(row[1:] for row in rows)]
