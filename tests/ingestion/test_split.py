"""Cutting a file that is too large."""

import pytest

from engine.domain.transactions import COLUMNS, HEADER
from engine.errors import UsageError
from engine.ingestion.csv_processor import Parsed, parse_csv
from engine.ingestion.market_rules import FX_COLUMNS
from engine.ingestion.split import split_csv

from .helpers import NOW, to_csv, tx
from .test_market_rules import RATE

HEAD = HEADER + "\n"


def rows_of(*rows: dict[str, str]) -> list[str]:
    return to_csv(COLUMNS, list(rows)).decode().split("\n")[1:-1]


def joined(*lines: str) -> bytes:
    return (HEAD + "".join(line + "\n" for line in lines)).encode()


def test_rows__are_cut_in_order_each_part_with_the_header() -> None:
    lines = rows_of(*(tx(quantity=str(n)) for n in range(1, 6)))
    assert split_csv(joined(*lines), rows_max=2) == [
        joined(*lines[:2]),
        joined(*lines[2:4]),
        joined(lines[4]),
    ]


def test_bytes__of_every_part_are_within_the_limit() -> None:
    lines = rows_of(*(tx(quantity="1" * n) for n in range(1, 20)))
    limit = len(HEAD) + 2 * len(lines[-1]) + 2
    parts = split_csv(joined(*lines), bytes_max=limit)
    assert max(len(part) for part in parts) <= limit
    assert b"".join(part.removeprefix(HEAD.encode()) for part in parts) == joined(*lines)[len(HEAD) :]


def test_legs_and_equal_rows__stay_together_also_where_one_is_bad() -> None:
    legs = rows_of(tx(tx_hash="h"), tx(tx_hash="h", quantity="x"))
    equal = rows_of(tx(quantity="2.0"), tx(quantity="02", notes="n"), tx(quantity="2", id="bad"))
    alone = rows_of(tx(), tx(quantity="1"))
    lines = [legs[0], equal[0], alone[0], "short,row", equal[1], legs[1], alone[1], equal[2]]
    parts = split_csv(joined(*lines), rows_max=3)
    assert sum(part.count(b"\n") - 1 for part in parts) == len(lines)
    for together in (legs, equal):
        assert any(all(line.encode() in part for line in together) for part in parts)


def test_versions_of_one_rate__stay_together_in_order() -> None:
    rows = [
        RATE,
        RATE | {"asof": "2025-01-01T02:00:00Z"},
        RATE | {"rate": "2", "asof": "2025-01-01T01:00:00.0Z"},
    ]
    parts = split_csv(to_csv(FX_COLUMNS, rows), rows_max=2)
    assert [part.count(b"\n") for part in parts] == [3, 2]
    assert b"1.1," in parts[0]
    assert b"EUR,USD,2," in parts[0]


def test_bytes_of_records__are_kept_with_quotes_line_ends_and_a_last_bare_cr() -> None:
    first = rows_of(tx())[0] + '"a\r\n\r\nb ""c"""'
    last = rows_of(tx(quantity="2"))[0] + "end\r"
    data = b"\xef\xbb\xbf" + f"{HEADER}\r\n{first}\r\n \n{last}".encode()
    parts = split_csv(data, rows_max=1)
    assert parts == [f"{HEAD}{first}\r\n".encode(), f"{HEAD}{last}".encode()]
    results = [parse_csv(part, NOW) for part in parts]
    assert [r.frame["notes"][0] for r in results if isinstance(r, Parsed)] == ['a\r\n\r\nb "c"', "end\r"]


def test_no_rows__is_one_part() -> None:
    assert split_csv(HEADER.encode()) == [HEAD.encode()]


def test_group_that_is_too_large__is_an_error_with_a_hint() -> None:
    data = joined(*rows_of(tx(tx_hash="h"), tx(tx_hash="h", quantity="2")))
    for limits in ({"rows_max": 1}, {"bytes_max": len(data) - 1}):
        with pytest.raises(UsageError) as error:
            split_csv(data, **limits)
        assert error.value.hint


@pytest.mark.parametrize("data", [b"", b"a,b\n", HEAD.encode() + b'"', b"\0", b"\xff"])
def test_file_that_would_be_refused__is_an_error(data: bytes) -> None:
    with pytest.raises(UsageError):
        split_csv(data)
