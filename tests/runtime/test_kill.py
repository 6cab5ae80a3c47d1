"""Power cuts: `navdeck ingest` ends at random moments, or at any step, and is run again until done."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runtime.deck import LONG_AGO_S, PRICE_COLUMNS, ROOT, Deck, Row, bar, buy, to_csv

NewDeck = Callable[[str], Deck]
TIMEOUT_S = 120
FILES, ROWS = 6, 300


def fills(number: int) -> list[Row]:
    """A third of each file's rows are in the next one too; some are bad, some are equal."""
    rows = [
        buy(
            timestamp=f"2025-03-{1 + n // 1000:02d}T10:{n // 60 % 60:02d}:{n % 60:02d}Z",
            quantity=f"{n + 1}.5",
            external_id=f"t-{n}",
            account=f"account-{n % 5}",
            fee_asset="USD",
            fee_amount="0.25",
        )
        for n in range(number * ROWS * 2 // 3, number * ROWS * 2 // 3 + ROWS)
    ]
    return [
        *rows,
        buy(account=f"twin-{number}"),
        buy(account=f"twin-{number}"),
        buy(account="", notes=str(number)),
    ]


def contents() -> dict[str, bytes]:
    files = {f"tx-{number}.csv": to_csv(fills(number)) for number in range(FILES)}
    for part in range(2):
        days = [
            bar(bucket_close=f"20{n // 28:02d}-05-{n % 28 + 1:02d}T00:00:00Z", close=f"{n + 1}.25")
            for n in range(part * 200, part * 200 + 400)
        ]
        files[f"prices-{part}.csv"] = to_csv(days, PRICE_COLUMNS)
    files["broken.csv"] = b"not,a,header,we,know\n"
    return files


def start(deck: Deck, paths: list[Path]) -> "subprocess.Popen[str]":
    clean = {name: value for name, value in os.environ.items() if not name.startswith("NAVDECK_")}
    return subprocess.Popen(
        [sys.executable, "-m", "console.cli", "ingest", *map(str, paths), "--json", "--home", str(deck.path)],
        cwd=ROOT,
        env=clean,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def ended(process: "subprocess.Popen[str]") -> dict[str, object]:
    """Waits for the verb to end by itself; its document."""
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode in (0, 3), err[-2000:]
    return dict(json.loads(out))


def kill(process: "subprocess.Popen[str]") -> bool:
    """Kills the verb and its worker, as a power cut does; whether it was still at work."""
    alive = process.poll() is None
    if alive:
        os.killpg(process.pid, signal.SIGKILL)  # a group of its own: this process and its worker
    process.communicate(timeout=TIMEOUT_S)
    return alive


def marks(deck: Deck) -> tuple[list[Path], list[Path]]:
    """What shows from outside that files are being taken: claims and the archive."""
    return sorted(deck.home.claimed.glob("*")), sorted((deck.path / "archive").rglob("*.csv"))


def wait_for_work(deck: Deck, process: "subprocess.Popen[str]") -> None:
    """Until the verb has claimed, archived or finished a file."""
    before = marks(deck)
    until = time.monotonic() + TIMEOUT_S
    while process.poll() is None and time.monotonic() < until and marks(deck) == before:
        time.sleep(0.002)


def ruin(deck: Deck, paths: list[Path], rng: random.Random, kills: int, work_s: float) -> int:
    """Kills the verb again and again while it works; how many kills hit it."""
    hits = 0
    for _ in range(kills):
        process = start(deck, paths)
        if rng.random() < 0.9:
            wait_for_work(deck, process)
        time.sleep(rng.uniform(0, work_s))
        hits += kill(process)
    return hits


def check(deck: Deck, undisturbed: Deck, sources: dict[str, bytes]) -> None:
    """The truth is that of a home left in peace, every row is accounted for, nothing lies about."""
    mine, theirs = deck.digest(), undisturbed.digest()
    assert mine == theirs
    assert deck.sql("SELECT count(*) FROM files WHERE rows <> accepted + duplicates + quarantined") == [(0,)]
    assert deck.sql("PRAGMA integrity_check") == [("ok",)]
    assert not deck.home.claimed.exists() or list(deck.home.claimed.iterdir()) == []
    kept = {hashlib.sha256(data).hexdigest() + ".csv": data for data in sources.values()}
    taken = {name for (name,) in deck.sql("SELECT sha256 || '.csv' FROM files WHERE status = 'ingested'")}
    archive = {name: data for name, data in deck.archive().items() if not name.startswith(".")}
    assert archive == {name: kept[name] for name in taken}
    refused, reason = [name for name in deck.rejected() if not name.startswith(".")]
    assert (deck.home.rejected / refused).read_bytes() == sources["broken.csv"]
    assert reason == refused + ".reason.json"
    assert deck.ask("verify")["ok"]


def prepared(new_deck: NewDeck) -> tuple[Deck, Deck, dict[str, bytes], float]:
    """A home to ruin, one that is left in peace, the files, and how long the work takes undisturbed."""
    sources = contents()
    peace = new_deck("peace")
    begun = time.monotonic()
    peace.ingest(*(peace.file(name, data) for name, data in sources.items()))
    return new_deck("ruin"), peace, sources, 2 * (time.monotonic() - begun)


def fill_inbox(deck: Deck, sources: dict[str, bytes]) -> None:
    for name, data in sources.items():
        os.utime(deck.drop(name, data), (LONG_AGO_S, LONG_AGO_S))


def drive(new_deck: NewDeck, seed: int, kills: int, named: bool) -> None:
    deck, peace, sources, work_s = prepared(new_deck)
    paths = [deck.file(name, data) for name, data in sources.items()] if named else []
    if not named:
        fill_inbox(deck, sources)
    hits = ruin(deck, paths, random.Random(seed), kills, work_s / 3)
    ended(start(deck, paths))
    check(deck, peace, sources)
    if not named:
        assert os.listdir(deck.home.inbox) == []
        assert deck.ingest()["files"] == []
    assert hits, "every kill came too late: the test proved nothing"


def test_killed_while_it_takes_the_inbox__nothing_lost_or_doubled(new_deck: NewDeck) -> None:
    drive(new_deck, seed=1, kills=3, named=False)


@pytest.mark.slow
@pytest.mark.parametrize("named", [True, False], ids=["named", "inbox"])
@pytest.mark.parametrize("seed", [11, 12, 13])
def test_killed_again_and_again__nothing_lost_or_doubled(new_deck: NewDeck, seed: int, named: bool) -> None:
    drive(new_deck, seed, kills=5, named=named)


class PowerCut(BaseException):
    """Ends everything at once: from here on nothing can be written, renamed or removed."""


STEPS = ("fsync", "rename", "unlink", "rmdir", "mkdir")


def cut_after(steps: int, patch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Lets so many steps on the disk happen and none after them; gives how many were asked for."""
    asked = 0

    def limited(step: Callable[..., object]) -> Callable[..., object]:
        def act(*arguments: object, **options: object) -> object:
            nonlocal asked
            asked += 1
            if asked > steps:
                raise PowerCut
            return step(*arguments, **options)

        return act

    for name in STEPS:
        patch.setattr(os, name, limited(getattr(os, name)))
    return lambda: asked


def small() -> dict[str, bytes]:
    sources = contents()
    return {name: sources[name] for name in ("broken.csv", "prices-0.csv", "tx-0.csv", "tx-1.csv")}


def stopped(deck: Deck, steps: int) -> tuple[bool, int]:
    """Takes the inbox until the power is cut; whether it was, and after how many steps it would be done."""
    with pytest.MonkeyPatch.context() as patch:
        asked = cut_after(steps, patch)
        try:
            deck.ingest()
        except PowerCut:
            return True, asked()
        return False, asked()


def stop_at(new_deck: NewDeck, first: int, every: int) -> None:
    sources = small()
    peace = new_deck("peace")
    fill_inbox(peace, sources)
    was_cut, steps = stopped(peace, 10**6)
    assert not was_cut
    assert steps > 20
    for step in range(first, steps, every):
        deck = new_deck(f"cut-{step}")
        fill_inbox(deck, sources)
        assert stopped(deck, step)[0]
        deck.ingest()
        assert os.listdir(deck.home.inbox) == []
        check(deck, peace, sources)


def test_stopped_at_a_step__taken_up_again(new_deck: NewDeck) -> None:
    stop_at(new_deck, first=2, every=5)


@pytest.mark.slow
def test_stopped_at_each_step__taken_up_again(new_deck: NewDeck) -> None:
    stop_at(new_deck, first=0, every=1)
