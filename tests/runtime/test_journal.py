"""The journal of a home: what `journal verify` sees, and that inputs alone are in it."""

from engine.store import commit, journal
from tests.runtime.deck import PRICE_COLUMNS, Deck, bar, buy, to_csv


def filled(deck: Deck) -> Deck:
    deck.take(buy(), buy(account=""))
    deck.ingest(deck.file("prices.csv", to_csv([bar()], PRICE_COLUMNS)))
    deck.value()
    return deck


def test_everything_that_was_taken_is_in_it__nothing_derived(deck: Deck) -> None:
    filled(deck)
    entries = list(journal.read(deck.home.journal))
    tables = [table for entry in entries for table, _ in commit.decoded(entry)]
    assert [entry.about["what"] for entry in entries] == ["ingest", "ingest"]
    assert set(tables) == {"tx", "names", "quarantine", "files", "prices", "price_series"}


def test_verify__a_whole_journal_is_ok(deck: Deck) -> None:
    told = filled(deck).ask("journal_verify")
    assert (told["ok"], told["records"], told["problems"]) == (True, 2, [])


def test_verify__a_flipped_bit_is_found(deck: Deck) -> None:
    filled(deck)
    path = deck.home.journal / journal.OPEN
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)
    told = deck.ask("journal_verify")
    assert not told["ok"]
    assert journal.OPEN in told["problems"][0]


def test_verify__records_cut_off_the_end_are_missed(deck: Deck) -> None:
    filled(deck)
    path = deck.home.journal / journal.OPEN
    first = next(journal.read(deck.home.journal))
    path.write_bytes(path.read_bytes()[: first.mark.offset])
    told = deck.ask("journal_verify")
    assert told["problems"] == ["state.db stands at record 2; the journal ends at 1"]


def test_verify__another_homes_journal_is_not_ours(deck: Deck) -> None:
    filled(deck)
    path = deck.home.journal / journal.OPEN
    path.unlink()
    book, _ = journal.Journal.open(deck.home.journal, journal.START)
    for number in range(2):
        book.append(1, {"what": "else", "sections": []}, str(number).encode())
    book.close()
    told = deck.ask("journal_verify")
    assert told["problems"] == ["record 2 is not the one that state.db was committed with"]
