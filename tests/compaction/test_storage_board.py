"""What the Storage screen is told of a real lake: the figures of the files that lie there."""

from typing import Any

from console import cli
from engine.runtime.storage_board import storage
from tests.compaction.lake import ASSETS, DAYS
from tests.runtime.deck import Deck

FILES = DAYS * len(ASSETS)


def board(deck: Deck) -> dict[str, Any]:
    return storage(str(deck.path), 0, {})


def bytes_of_the_lake(deck: Deck) -> int:
    return sum(path.stat().st_size for path in deck.home.lake.rglob("*.parquet"))


def test_storage__a_lake_as_valued__is_counted_to_the_byte(lake: Deck) -> None:
    (fine,) = board(lake)["lake"]
    assert (fine["resolution"], fine["files"], fine["partitions"]) == ("5m", FILES, FILES)
    assert fine["bytes"] == bytes_of_the_lake(lake)
    assert (fine["dead_files"], fine["dead_bytes"]) == (0, 0)
    assert fine["first"] < fine["last"]


def test_storage__compacted__what_was_replaced_is_counted_apart_while_it_is_kept(lake: Deck) -> None:
    (before,) = board(lake)["lake"]
    assert cli.main(["compact", "--home", str(lake.path)]) == 0
    (after,) = board(lake)["lake"]
    assert after["rows"] == before["rows"]
    assert (after["dead_files"], after["dead_bytes"]) == (FILES, before["bytes"])
    assert after["bytes"] + after["dead_bytes"] == bytes_of_the_lake(lake)


def test_storage__disk_profile_and_days_kept__are_those_of_the_configuration(lake: Deck) -> None:
    told = board(lake)
    config = lake.home.config()
    assert told["disk"]["least_bytes"] == config["disk.free_bytes_min"] < told["disk"]["free_bytes"]
    assert told["profile"] == config["memory.profile"]
    assert told["keep_days"].keys() == {"5m", "1h", "1d"}
