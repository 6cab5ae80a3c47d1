"""Files whose bytes are odd: encodings, line ends, quoting, headers, sizes."""

import gzip
import io
import sqlite3
import zipfile

from tests.hostile.cases import COLUMNS, Case, good, quoted_csv, refused, taken, text_of
from tests.runtime.deck import FX_COLUMNS, PRICE_COLUMNS, bar, rate, to_csv

BOM = b"\xef\xbb\xbf"
HEAD = to_csv([])
HEADER = COLUMNS["transactions"]
BYTES_MAX, ROWS_MAX = 10_000_000, 100_000
# What breaks a line for some readers and not for this one.
SEPARATORS = ("\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x1f", "\x85", "\u2028", "\u2029")


def noted(name: str, note: bytes) -> bytes:
    """A good row with these bytes as its note, unquoted."""
    return text_of(name).removesuffix(b"\n") + note + b"\n"


def line_of(name: str, **fields: str) -> str:
    """One row without its line end."""
    return text_of(name, **fields).decode().split("\n")[1]


def encodings() -> list[Case]:
    text = text_of("encoding-utf-16").decode()
    bad_bytes = {
        "latin-1": "é".encode("latin-1"),
        "windows-1252": b"\x93smart\x94",
        "gb18030": "中文".encode("gb18030"),
        "overlong-slash": b"\xc0\xaf",
        "overlong-nul": b"\xc0\x80",
        "surrogate": b"\xed\xa0\x80",
        "surrogate-pair": b"\xed\xa0\xbd\xed\xb8\x80",
        "beyond-unicode": b"\xf4\x90\x80\x80",
        "five-bytes": b"\xf8\x88\x80\x80\x80",
        "lone-continuation": b"\x80",
        "truncated": b"\xe2\x82",
    }
    refusals = [
        Case(f"encoding-{name}", noted(name, note), refused("FILE_ENCODING"))
        for name, note in bad_bytes.items()
    ]
    return [
        *refusals,
        Case("encoding-bom", BOM + text_of("encoding-bom"), taken()),
        Case("encoding-bom-and-quoted-header", BOM + quoted_csv([list(HEADER)]), taken(0)),
        Case("encoding-two-boms", BOM * 2 + HEAD, refused("FILE_HEADER")),
        Case("encoding-bom-after-a-blank-line", b"\n" + BOM + HEAD, refused("FILE_HEADER")),
        Case("encoding-cut-at-the-end", noted("cut", b"\xf0\x9f\x98")[:-1], refused("FILE_ENCODING")),
        Case("encoding-utf-16-le", b"\xff\xfe" + text.encode("utf-16-le"), refused("FILE_BINARY")),
        Case("encoding-utf-16-be", b"\xfe\xff" + text.encode("utf-16-be"), refused("FILE_BINARY")),
        Case("encoding-utf-32", text.encode("utf-32"), refused("FILE_BINARY")),
        Case("encoding-utf-16-without-nul", "\ufeff表頭表頭".encode("utf-16-le"), refused("FILE_ENCODING")),
        Case("encoding-nul", noted("nul", b"a\0b"), refused("FILE_BINARY")),
        Case("encoding-nul-before-bad-utf-8", b"\xff\0" + HEAD, refused("FILE_BINARY")),
        Case("encoding-bad-utf-8-before-quoting", HEAD + b'"\xff', refused("FILE_ENCODING")),
        Case("encoding-all-planes", noted("planes", "ü漢😀𐀀\U0010ffff".encode()), taken()),
    ]


def line_ends() -> list[Case]:
    def row(number: int, **fields: str) -> str:
        return line_of("lines", external_id=f"lines-{number}", **fields)

    head = HEAD.decode().strip()
    return [
        Case("lines-crlf", text_of("lines-crlf").replace(b"\n", b"\r\n"), taken()),
        Case("lines-mixed", f"{head}\r\n{row(1)}\n{row(2)}\r\n\n{row(3)}".encode(), taken(3)),
        Case("lines-cr-only", text_of("cr").replace(b"\n", b"\r"), refused("FILE_HEADER")),
        Case("lines-cr-cr-lf", text_of("cr").replace(b"\n", b"\r\r\n"), refused("FILE_HEADER")),
        Case("lines-lf-cr", f"{head}\n\r{row(4)}\n\r".encode(),
             taken(0, r1="ID_NOT_UUIDV7:id", r2="COLUMN_COUNT:")),
        Case("lines-no-last-newline", f"{head}\n{row(5)}".encode(), taken()),
        Case("lines-lone-cr-in-account", f"{head}\n{row(6, account='a@b')}\n".encode().replace(b"@", b"\r"),
             taken(0, r1="CONTROL_CHARACTER:account")),
        Case("lines-lone-cr-in-note", f"{head}\n{row(7)}a\rb\n".encode(), taken()),
        Case("lines-blank-between", f"\n \t\n{head}\n\t\n\n{row(8)}\n  \n".encode(), taken()),
        Case("lines-blank-but-for-a-hard-space", f"{head}\n{row(9)}\n\u00a0\n".encode(),
             taken(1, r2="COLUMN_COUNT:")),
        Case("lines-separators-in-account", to_csv([good("sep", n, account=f"a{separator}b")
                                                   for n, separator in enumerate(SEPARATORS)]),
             taken(0, **{f"r{n}": "CONTROL_CHARACTER:account" for n in range(1, len(SEPARATORS) + 1)})),
        Case("lines-separators-in-note", to_csv([good("sep-n", n, notes=f"a{separator}b")
                                                for n, separator in enumerate(SEPARATORS)]),
             taken(len(SEPARATORS))),
        Case("lines-100k-empty", HEAD + b"\n" * 50_000 + b"\r\n" * 50_000 + f"{row(10)}\n".encode(), taken()),
    ]  # fmt: skip


def quoting() -> list[Case]:
    bare = line_of("quoting").split(",")
    account, venue, note = (HEADER.index(name) for name in ("account", "venue", "notes"))

    def with_field(number: int, place: int, raw: str) -> bytes:
        fields = [*bare]
        fields[HEADER.index("external_id")] = f"quoting-{number}"
        fields[place] = raw
        return HEAD + ",".join(fields).encode() + b"\n"

    return [
        Case("quoting-never-closed", with_field(1, note, '"open'), refused("FILE_QUOTING")),
        Case("quoting-never-closed-in-header", b'"' + HEAD, refused("FILE_QUOTING")),
        Case("quoting-closed-by-a-doubled-one", with_field(2, note, '"open""'), refused("FILE_QUOTING")),
        Case("quoting-one-quote", b'"', refused("FILE_QUOTING")),
        Case("quoting-open-before-a-bad-header", b'a,b\n"', refused("FILE_QUOTING")),
        Case("quoting-inside-an-unquoted-field", with_field(3, account, 'a"b"'), taken()),
        Case("quoting-text-after-the-closing-one", with_field(4, account, '"a"b"'), taken()),
        Case("quoting-after-a-blank", with_field(5, account, ' "a"'), taken()),
        Case("quoting-doubled", with_field(6, note, '"say ""hi"", ""you"""'), taken()),
        Case("quoting-with-backslash", with_field(7, venue, r'"a\"b'), taken()),
        Case("quoting-single-quotes-are-text", with_field(8, account, "'a'"), taken()),
        Case("quoting-single-quotes-keep-no-comma", with_field(9, account, "'a,b'"),
             taken(0, r1="COLUMN_COUNT:")),
        Case("quoting-newline-in-note", with_field(10, note, '"a\n\nb"'), taken()),
        Case("quoting-crlf-in-note", with_field(11, note, '"a\r\nb"'), taken()),
        Case("quoting-newline-in-account", with_field(12, account, '"a\nb"'),
             taken(0, r1="CONTROL_CHARACTER:account")),
        Case("quoting-newline-in-header", HEAD.replace(b"id,", b'"id\n",', 1), refused("FILE_HEADER")),
        Case("quoting-everything", quoted_csv([list(HEADER), line_of("quoting-all").split(",")], "\r\n"),
             taken()),
        Case("quoting-a-file-inside-a-note",
             with_field(13, note, '"' + text_of("inner").decode().replace('"', '""') + '"'), taken()),
        Case("quoting-100k-lines-in-a-note", with_field(14, note, '"' + "\n" * 100_000 + '"'),
             taken(0, r1="FIELD_TOO_LONG:notes")),
        Case("quoting-1-mb-note", with_field(15, note, "n" * 1_000_000),
             taken(0, r1="FIELD_TOO_LONG:notes")),
        Case("quoting-1-mb-account", with_field(16, account, '"' + '""' * 500_000 + '"'),
             taken(0, r1="FIELD_TOO_LONG:account")),
        Case("quoting-10k-columns-in-a-row", text_of("wide") + b"," * 9_999 + b"\n",
             taken(1, r2="COLUMN_COUNT:")),
        Case("quoting-one-column-less", HEAD + b"," * 12 + b"\n", taken(0, r1="COLUMN_COUNT:")),
        Case("quoting-one-column-more", HEAD + b"," * 14 + b"\n", taken(0, r1="COLUMN_COUNT:")),
        Case("quoting-commas-only", HEAD + b"," * 13 + b"\n", taken(0, r1=(
            "TIMESTAMP_INVALID:timestamp ACTION_UNKNOWN:action ASSET_ID_INVALID:asset_id"
            " QUANTITY_INVALID:quantity ACCOUNT_MISSING:account"))),
    ]  # fmt: skip


def headers() -> list[Case]:
    words = HEAD.decode().strip()
    prices = ",".join(PRICE_COLUMNS)
    odd = {
        "wrong-order": words.replace("id,timestamp", "timestamp,id"),
        "missing": words.removesuffix(",notes"),
        "extra": words + ",more",
        "last-comma": words + ",",
        "upper-case": words.upper(),
        "one-capital": words.replace("account", "Account"),
        "blanks": words.replace(",", ", "),
        "blank-at-the-end": words + " ",
        "bom-inside": words.replace("timestamp", "\ufefftimestamp"),
        "duplicate": words.replace("venue", "wallet"),
        "look-alike": words.replace("account", "\u0430ccount"),
        "zero-width": words.replace("account", "acc\u200bount"),
        "semicolons": words.replace(",", ";"),
        "tabs": words.replace(",", "\t"),
        "sep-line": f"sep=,\n{words}",
        "comment": f"# made by hand\n{words}",
        "none": line_of("none"),
        "10k-columns": ",".join(f"c{number}" for number in range(10_000)),
        "prices-in-another-order": prices.replace("high,low", "low,high"),
        "prices-with-a-column-more": prices + ",note",
        "one-byte": "x",
        "empty-quotes": '""',
        "sql": "'; DROP TABLE tx;--",
    }
    twice = (
        "ID_NOT_UUIDV7:id TIMESTAMP_INVALID:timestamp ACTION_UNKNOWN:action QUANTITY_INVALID:quantity"
        " PRICE_INVALID:unit_price_usd FEE_INVALID:fee_amount"
    )
    return [
        *(Case(f"header-{name}", f"{line}\n".encode(), refused("FILE_HEADER")) for name, line in odd.items()),
        Case("header-twice", HEAD * 2, taken(0, r1=twice)),
        Case("header-quoted", HEAD.replace(b"notes", b'"notes"'), taken(0)),
        Case("header-quoted-in-part", HEAD.replace(b"notes", b'"no"tes'), taken(0)),
    ]


def sizes() -> list[Case]:
    full = text_of("size-exact").ljust(BYTES_MAX, b"\n")
    one_rate = to_csv([rate(fx_source="size-rows")], FX_COLUMNS)
    head, line = one_rate.splitlines(keepends=True)
    many = taken(1, "fx")
    return [
        Case("size-10-000-000-bytes", full, taken()),
        Case("size-one-byte-more", full + b"\n", refused("FILE_TOO_LARGE")),
        Case("size-too-large-before-binary", b"\0" * (BYTES_MAX + 1), refused("FILE_TOO_LARGE")),
        Case("size-100-000-rows", head + line * ROWS_MAX,
             type(many)(None, "fx", accepted=1, duplicates=ROWS_MAX - 1)),
        Case("size-100-001-rows", head + line * (ROWS_MAX + 1), refused("FILE_TOO_MANY_ROWS")),
        Case("size-many-rows-under-a-bad-header", b"a\n" + b"x\n" * (ROWS_MAX + 1), refused("FILE_HEADER")),
        Case("size-empty", b"", refused("FILE_EMPTY")),
        Case("size-bom-only", BOM, refused("FILE_EMPTY")),
        Case("size-blank-lines-only", b"\n \t\r\n\n", refused("FILE_EMPTY")),
        Case("size-newline-only", b"\n", refused("FILE_EMPTY")),
        Case("size-header-only", HEAD, taken(0)),
        Case("size-header-only-prices", to_csv([], PRICE_COLUMNS), taken(0, "prices")),
        Case("size-header-only-fx-without-newline", ",".join(FX_COLUMNS).encode(), taken(0, "fx")),
    ]  # fmt: skip


def _zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("../../evil.csv", text_of("zip"))
    return out.getvalue()


def _sqlite() -> bytes:
    with sqlite3.connect(":memory:") as connection:
        connection.execute("CREATE TABLE tx (id TEXT)")
        data = connection.serialize()
    connection.close()
    return data


def formats() -> list[Case]:
    """Files of another kind under a name that is not theirs."""
    return [
        Case("format-gzip", gzip.compress(text_of("gzip"), mtime=0), refused("FILE_BINARY")),
        Case("format-gzip-bomb", gzip.compress(b"\n" * 5_000_000, mtime=0), refused("FILE_BINARY")),
        Case("format-zip", _zip(), refused("FILE_BINARY")),
        Case("format-pdf", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n", refused("FILE_ENCODING")),
        Case("format-pdf-in-ascii", b"%PDF-1.1\n1 0 obj<</Type/Catalog>>endobj\n", refused("FILE_HEADER")),
        Case("format-sqlite", _sqlite(), refused("FILE_BINARY")),
        Case("format-elf", b"\x7fELF\x02\x01\x01\0", refused("FILE_BINARY")),
        Case("format-json", b'[{"id": "x"}]\n', refused("FILE_HEADER")),
        Case("format-html", b"<html><script>alert(1)</script>\n", refused("FILE_HEADER")),
        Case("format-xml-entities", b'<!DOCTYPE x [<!ENTITY a "aaa">]><x>&a;</x>\n', refused("FILE_HEADER")),
        Case("format-shell-script", b"#!/bin/sh\nrm -rf /\n", refused("FILE_HEADER")),
        Case("format-escapes-only", b"\x1b[2J\x1b]52;c;ZXZpbA==\x07\n", refused("FILE_HEADER")),
        Case("format-csv-named-parquet", to_csv([bar()], PRICE_COLUMNS), refused("FILE_HEADER"),
             file="format-csv-named.parquet"),
    ]  # fmt: skip


def byte_cases() -> list[Case]:
    return [*encodings(), *line_ends(), *quoting(), *headers(), *sizes(), *formats()]
