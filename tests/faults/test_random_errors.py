"""Calls of libc fail at random under `navdeck ingest`: every run ends clean, and what it said is so.

Needs fiu-run (fiu-utils), which makes calls of any process fail, those of SQLite too.
"""

import shutil

import pytest

from tests.faults.books import check, check_whole, contents, files_of, fill_inbox
from tests.faults.conftest import Peace
from tests.faults.processes import check_acks, ended, start, told
from tests.runtime.deck import Deck

FAULTS = {
    "write": "enable_random name=posix/io/rw/pwrite,probability={}",
    "sync": "enable_random name=posix/io/sync/fdatasync,probability={}",
}
RUNS, SEEDS = 4, 6
# A thread that the allocators of pyarrow and polars start while they are loaded can lock libfiu up for good.
CALM = dict.fromkeys(("JE_ARROW_MALLOC_CONF", "_RJEM_MALLOC_CONF"), "background_thread:false")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("fiu-run") is None, reason="needs fiu-run of fiu-utils"),
]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("probability", [0.01, 0.05])
@pytest.mark.parametrize("way", ["named", "inbox"])
@pytest.mark.parametrize("seed", range(SEEDS))
def test_calls_fail_at_random__every_run_ends_clean_and_nothing_is_lost(
    deck: Deck, peace: Peace, fault: str, probability: float, way: str, seed: int
) -> None:
    sources = contents()
    paths = files_of(deck, sources) if way == "named" else []
    if not paths:
        fill_inbox(deck, sources)
    failed = 0
    for _ in range(RUNS):
        faulty = ("fiu-run", "-x", "-c", FAULTS[fault].format(probability))
        code, document, said = ended(start(deck, "ingest", *paths, "--json", under=faulty, settings=CALM))
        assert code in (0, 1, 3), said
        assert code != 1 or document["error"]["hint"], document
        failed += code == 1
        check_acks(deck, told(said))
        check_whole(deck)
    print(f"{fault} {probability} {way} {seed}: {failed} of {RUNS} runs failed")
    deck.ingest(*paths)
    check(deck, peace(sources), sources)


def test_disk_that_never_syncs__told_with_a_hint_and_nothing_kept(deck: Deck, peace: Peace) -> None:
    sources = contents()
    paths = files_of(deck, sources)
    faulty = ("fiu-run", "-x", "-c", "enable name=posix/io/sync/fdatasync")
    code, document, said = ended(start(deck, "ingest", *paths, "--json", under=faulty, settings=CALM))
    assert code == 1, said
    assert "Check the disk" in document["error"]["hint"]
    check_whole(deck)
    deck.ingest(*paths)
    check(deck, peace(sources), sources)
