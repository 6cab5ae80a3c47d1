"""The sixteen kinds of damage of the benches: each row so damaged is named by its own reason, no other is."""

from pathlib import Path

from engine.ingestion.csv_processor import Parsed, parse_csv
from engine.ingestion.keys import NOTHING_KNOWN, judge, prepare
from tests.bench.trades import DAMAGES, write_trades

from .helpers import NOW

NAMED = (
    "ID_NOT_UUIDV7", "ID_NOT_UUIDV7", "TIMESTAMP_INVALID", "TIMESTAMP_INVALID", "TIMESTAMP_FUTURE",
    "ACTION_UNKNOWN", "ASSET_ID_INVALID", "QUANTITY_SIGN", "QUANTITY_INVALID", "QUANTITY_INVALID",
    "QUANTITY_INVALID", "QUANTITY_INVALID", "PRICE_MISSING", "FEE_INCOMPLETE", "ACCOUNT_MISSING",
    "COLUMN_COUNT",
)  # fmt: skip
MINUS = NAMED.index("QUANTITY_SIGN")
ROWS, EVERY = 3200, 10


def test_damage__each_of_sixteen_kinds_is_named__and_no_sound_row_is(tmp_path: Path) -> None:
    (file,) = write_trades(tmp_path / "trades", ROWS, seed=1, damaged=0)
    header, *lines = file.read_text().splitlines()
    expected: dict[int, list[str]] = {}
    kinds = set()
    for record in range(EVERY, ROWS + 1, EVERY):
        row, kind = lines[record - 1].split(","), record // EVERY % len(DAMAGES)
        if '"' in lines[record - 1] or (kind == MINUS and row[2] == "FEE"):  # a FEE may have a minus
            continue
        DAMAGES[kind](row)
        lines[record - 1] = ",".join(row)
        expected[record] = [NAMED[kind]]
        kinds.add(kind)
    parsed = parse_csv("\n".join([header, *lines]).encode(), NOW)
    assert isinstance(parsed, Parsed)
    assert {one.record: [reason.code for reason in one.reasons] for one in parsed.rejects} == expected
    assert len(kinds) == len(NAMED) == 16
    judged = judge(prepare(parsed.frame), NOTHING_KNOWN)
    assert (judged.duplicates, judged.conflicts) == ([], [])
