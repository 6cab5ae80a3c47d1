"""A file that is too large is cut; one that is taken as it is is left alone."""

from pathlib import Path

from engine.ingestion.csv_processor import CSV_BYTES_MAX
from engine.runtime.split import split_file
from tests.runtime.deck import buy, to_csv


def test_split__file_that_fits__is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_bytes(to_csv([buy()]))
    assert split_file(path, tmp_path) == []
    assert sorted(one.name for one in tmp_path.iterdir()) == ["mine.csv"]


def test_split__file_too_large_for_its_blank_lines_alone__becomes_one_that_fits(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_bytes(to_csv([buy()]) + b"\n" * CSV_BYTES_MAX)
    (part,) = split_file(path, tmp_path)
    assert part.name == "mine-001.csv"
    assert part.read_bytes() == to_csv([buy()])
