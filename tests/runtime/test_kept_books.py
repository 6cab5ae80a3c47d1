"""Books that are kept tell what books that are read anew tell, after whatever was stored since."""

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import polars as pl
import pytest

from engine.domain.transactions import Action
from engine.errors import UsageError
from engine.portfolio.lots_replay import LotsBook, Replayed
from engine.runtime import executors, kept_books
from engine.runtime.books import Books
from engine.runtime.kept_books import KeptBooks, open_books
from engine.runtime.memory import give_back
from engine.runtime.take import take_files
from engine.runtime.taken import Source
from engine.store.reader import Reader
from tests.runtime.deck import FX_COLUMNS, Deck, Row, buy, rate, ticking, to_csv
from tests.runtime.desk import act, held, take, undo, waiting

NewDeck = Callable[[str], Deck]


@pytest.fixture(autouse=True)
def lasting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process is one that answers again and again."""
    monkeypatch.setattr(executors, "_is_lasting", True)
    kept_books.drop()
    yield
    kept_books.drop()


def opened(new_deck: NewDeck, cash: str = "external") -> Deck:
    deck = new_deck("home")
    deck.clock = ticking()
    with deck.home.path.joinpath("navdeck.toml").open("a") as config:
        config.write(f'\ncash = "{cash}"\n')
    return deck


def told(books: Books) -> dict[str, Any]:
    """All that follows from the ledger; movements in one order."""
    outcome = books.outcome()
    frames = {
        "open": outcome.open_lots_frame(), "moving": outcome.in_transit_frame(),
        "realized": outcome.realized_frame(), "settled": outcome.settled_frame(),
        "deficits": outcome.deficits_frame(), "income": outcome.income_frame(),
        "ledger": books.ledger.sort("row"), "movements": books.movements().sort(pl.all()),
    }  # fmt: skip
    return {name: frame.to_dicts() for name, frame in frames.items()} | {"fees": books.cash_fee_usd}


def check(deck: Deck) -> None:
    with Reader(deck.home.state) as reader:
        kept = open_books(deck.home, reader)
        assert isinstance(kept, KeptBooks)
        assert told(kept) == told(Books(reader, deck.home.config()))


# -- random histories ---------------------------------------------------------------------------------

TRANSFERS_OUT_IN = (Action.TRANSFER_OUT, Action.TRANSFER_IN)
ASSETS, ACCOUNTS, HOURS = ("X", "Y", "USD"), ("a", "b"), 60 * 24


def trade(chance: random.Random) -> Row:
    """Any row: of three months, back-dated or not, sold without lots or not, with a fee of any kind."""
    hour = chance.randrange(0, HOURS, 97)
    action = chance.choice(["BUY", "BUY", "SELL", "TRANSFER_OUT", "TRANSFER_IN", "FEE", "AIRDROP"])
    row = buy(
        timestamp=f"2025-{1 + hour // 720:02}-{1 + hour // 24 % 28:02}T{hour % 24:02}:00:00Z",
        action=action, asset_id=chance.choice(ASSETS), quantity=str(chance.randrange(1, 6)),
        unit_price_usd=str(chance.randrange(9)), account=chance.choice(ACCOUNTS),
    )  # fmt: skip
    if chance.random() < 0.4:
        row |= {"fee_asset": chance.choice(["X", "Y", "USD", "EUR"]), "fee_amount": "0.5"}
    if action.startswith("TRANSFER") and chance.random() < 0.7:
        row["tx_hash" if chance.random() < 0.5 else "external_id"] = chance.choice(["p", "q"])
    return row


def ingest(deck: Deck, chance: random.Random) -> None:
    take(deck, *(trade(chance) for _ in range(chance.randrange(1, 8))))


def quote(deck: Deck, chance: random.Random) -> None:
    """A reference rate, which may give fees in EUR another value."""
    day = chance.randrange(1, 29)
    one = rate(rate=str(chance.randrange(1, 4)), asof=f"2025-0{chance.choice('123')}-{day:02}T13:15:00Z")
    path = deck.file("rate.csv", to_csv([one], FX_COLUMNS))
    take_files(str(deck.path), [Source(str(path), path.name)], deck.clock(), 4000, keep=True)


def set_aside(deck: Deck, chance: random.Random) -> None:
    held(deck, trade(chance) | {"account": ""}, trade(chance) | {"unit_price_usd": "-1"})


def fix(deck: Deck, chance: random.Random) -> None:
    values = {
        "account": chance.choice(ACCOUNTS),
        "unit_price_usd": "3",
        "quantity": str(chance.randrange(1, 9)),
    }
    act(deck, "quarantine_fix", ids=waiting(deck)[:1], set=values)


def release(deck: Deck, chance: random.Random) -> None:
    stored = [one for (one,) in deck.sql("SELECT lower(hex(id)) FROM tx WHERE superseded_by IS NULL")]
    how = {"supersede": chance.choice(stored)} if stored and chance.random() < 0.5 else {}
    act(deck, "quarantine_release", ids=waiting(deck)[:1], **how)


def match(deck: Deck, chance: random.Random) -> None:
    one, other = (chance.choice(transfers(deck, action)) for action in TRANSFERS_OUT_IN)
    act(deck, "transfer_match", reason="seen", **{"out": one, "in": other})


def settle(deck: Deck, chance: random.Random) -> None:
    kind, value = chance.choice([("payment", "7"), ("lost", None), ("fee", None)])
    ids = [chance.choice(transfers(deck, Action.TRANSFER_OUT))]
    act(deck, "transfer_settle", reason="told", ids=ids, value=value, **{"as": kind})


def take_back(deck: Deck, _chance: random.Random) -> None:
    undo(deck)


def transfers(deck: Deck, action: Action) -> list[str]:
    """Ids of the OUTs or the INs that count. UsageError if there are none: nothing is done then."""
    found = deck.sql("SELECT lower(hex(id)) FROM tx WHERE superseded_by IS NULL AND action = ?", int(action))
    if not found:
        raise UsageError("There are none.")
    return [one for (one,) in found]


STEPS = (ingest, ingest, quote, set_aside, fix, release, release, match, match, settle, take_back, take_back)


def history(deck: Deck, seed: int, steps: int) -> int:
    """So many steps; now and then, not after each, the books are looked at. How many were carried out."""
    chance, done = random.Random(seed), 0
    ingest(deck, chance)
    for _ in range(steps):
        with suppress(UsageError):  # a step that makes no sense is refused and changes nothing
            chance.choice(STEPS)(deck, chance)
            done += 1
        if chance.random() < 0.5:
            check(deck)
    check(deck)
    return done


@pytest.mark.parametrize("cash", ["external", "account"])
@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (2, 3))])
def test_any_history__kept_books_tell_what_new_ones_tell(new_deck: NewDeck, cash: str, seed: int) -> None:
    assert history(opened(new_deck, cash), seed, 25) > 5


@pytest.mark.slow
@pytest.mark.parametrize("cash", ["external", "account"])
@pytest.mark.parametrize("seed", range(100, 160))
def test_any_history__kept_books_tell_what_new_ones_tell__longer(
    new_deck: NewDeck, cash: str, seed: int
) -> None:
    history(opened(new_deck, cash), seed, 60)


# -- what a change reaches, and when nothing is kept --------------------------------------------------


class Watched:
    """What was read from the store and replayed, look after look."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.replayed: list[Replayed] = []
        self.read: list[int] = []
        change, since = LotsBook.change, Reader.ledger_since

        def noted_change(book: LotsBook, *arguments: Any) -> Replayed:
            self.replayed.append(change(book, *arguments))
            return self.replayed[-1]

        def noted_read(reader: Reader, *arguments: Any) -> pl.DataFrame:
            found = since(reader, *arguments)
            self.read.append(found.height)
            return found

        monkeypatch.setattr(LotsBook, "change", noted_change)
        monkeypatch.setattr(Reader, "ledger_since", noted_read)


def look(deck: Deck) -> Books:
    with Reader(deck.home.state) as reader:
        return open_books(deck.home, reader)


def stored(deck: Deck) -> None:
    take(deck, *(buy(asset_id=asset, timestamp=f"2025-03-{day:02}T10:00:00Z")
                 for asset in ("X", "Y", "Z") for day in range(1, 11)))  # fmt: skip


def test_back_dated_row__is_read_alone_and_replays_its_asset_alone(
    new_deck: NewDeck, monkeypatch: pytest.MonkeyPatch
) -> None:
    deck = opened(new_deck)
    stored(deck)
    watched = Watched(monkeypatch)
    look(deck)
    take(deck, buy(asset_id="Y", timestamp="2025-03-05T09:00:00Z", fee_asset="USD", fee_amount="1"))
    look(deck)
    look(deck)
    assert watched.read == [30, 1, 0]
    assert [replayed.assets for replayed in watched.replayed[-2:]] == [{"Y"}, set()]
    check(deck)


def test_superseded_row__replays_both_its_assets(new_deck: NewDeck, monkeypatch: pytest.MonkeyPatch) -> None:
    deck = opened(new_deck)
    stored(deck)
    take(deck, buy(asset_id="X", external_id="one"))
    (waiting_id,) = held(deck, buy(asset_id="Z", external_id="one"))
    look(deck)
    watched = Watched(monkeypatch)
    (old,) = deck.sql("SELECT lower(hex(id)) FROM tx WHERE external_id = 'one'")[0]
    act(deck, "quarantine_release", ids=[waiting_id], supersede=old)
    look(deck)
    undo(deck)
    look(deck)
    assert watched.read == [1, 1]
    assert [replayed.assets for replayed in watched.replayed] == [{"X", "Z"}, {"X", "Z"}]
    check(deck)


def test_row_that_comes_back_as_another_between_two_looks__is_taken_anew(new_deck: NewDeck) -> None:
    deck = opened(new_deck)
    (one,) = held(deck, buy(account=""))
    act(deck, "quarantine_fix", ids=[one], set={"account": "a"})
    act(deck, "quarantine_release", ids=[one])
    look(deck)
    undo(deck)
    act(deck, "quarantine_fix", ids=[one], set={"account": "b"})
    act(deck, "quarantine_release", ids=[one])
    assert look(deck).ledger["account"].to_list() == ["b"]
    check(deck)


def test_change_that_raises__leaves_nothing_kept(new_deck: NewDeck, monkeypatch: pytest.MonkeyPatch) -> None:
    deck = opened(new_deck)
    stored(deck)
    look(deck)
    take(deck, buy(asset_id="X", quantity="2"))
    with monkeypatch.context() as broken:
        broken.setattr(LotsBook, "_replay", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            look(deck)
    watched = Watched(monkeypatch)
    check(deck)
    assert watched.read == [31]


def test_another_home__takes_the_place_of_the_first(new_deck: NewDeck) -> None:
    one, other = opened(new_deck), new_deck("other")
    stored(one)
    look(one)
    assert look(other).ledger.is_empty()
    assert list(kept_books._kept) == [str(other.path)]
    check(one)


def plain(deck: Deck) -> bool:
    return type(look(deck)) is Books and not kept_books._kept


def test_nothing_is_kept__where_it_would_not_last_or_not_fit(
    new_deck: NewDeck, monkeypatch: pytest.MonkeyPatch
) -> None:
    deck = opened(new_deck)
    stored(deck)
    look(deck)
    with monkeypatch.context() as narrow:
        narrow.setattr(
            kept_books, "worker_limit", lambda _: 30 * kept_books.BYTES_A_ROW * kept_books.SHARE - 1
        )
        assert plain(deck)
    assert not plain(deck)
    with monkeypatch.context() as tight:
        tight.setattr(kept_books, "memory_now", lambda _: {"ratio": 0.65})
        assert plain(deck)
    with monkeypatch.context() as verb:
        verb.setattr(executors, "_is_lasting", False)
        assert plain(deck)
    with deck.home.path.joinpath("navdeck.toml").open("a") as config:
        config.write('\n[memory]\nprofile = "LOW_RAM"\n')
    assert plain(deck)


def test_memory_given_back__takes_the_kept_books_along(new_deck: NewDeck) -> None:
    deck = opened(new_deck)
    look(deck)
    give_back()
    assert not kept_books._kept


def test_other_settings__are_other_books(new_deck: NewDeck) -> None:
    deck = opened(new_deck)
    take(deck, buy(asset_id="EUR"), buy(asset_id="X", fee_asset="EUR", fee_amount="1"))
    look(deck)
    with deck.home.path.joinpath("navdeck.toml").open("a") as config:
        config.write('\ncash_assets = ["USD"]\n')
    check(deck)


def test_only_a_worker_lasts() -> None:
    async def asked(executor: executors.Executor) -> bool:
        try:
            return await executor.run(executors.is_lasting)
        finally:
            executor.close()

    assert asyncio.run(asked(executors.WorkerExecutor()))
