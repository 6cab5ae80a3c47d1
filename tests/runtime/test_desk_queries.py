"""What can be asked about quarantine: pages, filters, one row with all that is known of it, decisions."""

from typing import Any

import pytest

from engine.domain.instants import SECOND_US
from engine.errors import UsageError
from tests.runtime.deck import FX_COLUMNS, NOW, PRICE_COLUMNS, Deck, bar, buy, rate, to_csv
from tests.runtime.desk import ACTOR, command, fix, held, reject, release, take, undo, waiting


def page(deck: Deck, **filters: Any) -> dict[str, Any]:
    return deck.ask("quarantine_page", **filters)


def totals(deck: Deck, **filters: Any) -> int:
    """How many rows there are under filters; `quarantine_ids` must say the same."""
    told, ids = page(deck, **filters), deck.ask("quarantine_ids", **filters)
    assert told["total"] == ids["total"] == len(ids["ids"])
    assert [row["id"] for row in told["rows"]] == ids["ids"][:200]
    return int(told["total"])


@pytest.fixture
def desk(deck: Deck) -> Deck:
    """Two files of transactions, one of prices, one of rates."""
    deck.ingest(
        deck.file(
            "coin.csv",
            [buy(account="", notes="Übung [/bold]"), buy(quantity="x", account="Main"), buy(quantity="1,5")],
        )
    )
    deck.clock = lambda: NOW + 3600 * SECOND_US
    deck.ingest(deck.file("kraken.csv", [buy(account="", quantity='say "hi"'), buy(quantity="main")]))
    deck.ingest(deck.file("bars.csv", to_csv([bar(close="0", price_source="main")], PRICE_COLUMNS)))
    deck.ingest(deck.file("fx.csv", to_csv([rate(rate="0")], FX_COLUMNS)))
    deck.clock = lambda: NOW + 7200 * SECOND_US
    return deck


def test_page__newest_file_first_rows_in_their_order(desk: Deck) -> None:
    told = page(desk)
    assert [(row["file"], row["record"]) for row in told["rows"]] == [
        ("fx.csv", 1), ("bars.csv", 1), ("kraken.csv", 1), ("kraken.csv", 2),
        ("coin.csv", 1), ("coin.csv", 2), ("coin.csv", 3),
    ]  # fmt: skip
    assert told["by_reason"] == {
        "QUANTITY_INVALID": 4, "ACCOUNT_MISSING": 2, "BAR_INVALID": 1, "RATE_INVALID": 1,
    }  # fmt: skip
    assert told["files"] == {"coin.csv": 3, "kraken.csv": 2, "fx.csv": 1, "bars.csv": 1}
    assert [row["record"] for row in page(desk, offset=4, limit=2)["rows"]] == [1, 2]


def test_sort__as_rows_show_it__both_ways__ids_in_the_same_order(desk: Deck) -> None:
    def told(**how: Any) -> list[tuple[str, str, int]]:
        rows = page(desk, **how)["rows"]
        assert [row["id"] for row in rows] == desk.ask("quarantine_ids", **how)["ids"]
        return [(row["reasons"][0]["code"], row["file"], row["line"]) for row in rows]

    own = told()
    for place, name in enumerate(("reason", "file", "line")):
        up, down = told(sort=name), told(sort=name, descending=True)
        assert up == sorted(own, key=lambda row, at=place: row[at])  # type: ignore[misc]
        assert down == sorted(own, key=lambda row, at=place: row[at], reverse=True)  # type: ignore[misc]
    part = page(desk, sort="file", offset=2, limit=3)["rows"]
    assert part == page(desk, sort="file")["rows"][2:5]


def test_sort__rows_that_pass_now__come_last(desk: Deck) -> None:
    (row,) = [one["id"] for one in page(desk, file="kraken", reason="ACCOUNT_MISSING")["rows"]]
    fix(desk, [row], account="fresh", quantity="1")
    for down in (False, True):
        assert page(desk, sort="reason", descending=down)["rows"][-1]["id"] == row


FILTERS: list[tuple[dict[str, Any], int]] = [
    ({"reason": "ACCOUNT_MISSING"}, 2),
    ({"reason": "QUANTITY_INVALID", "file": "kraken"}, 2),
    ({"file": "COIN"}, 3),
    ({"file": "nothing"}, 0),
    ({"text": "MAIN"}, 4),
    ({"text": "bars"}, 1),
    ({"text": "übung"}, 0),
    ({"text": "Übung [/bold]"}, 1),
    ({"text": 'say "hi"'}, 1),
    ({"text": "%"}, 0),
    ({"text": "', '"}, 0),
    ({"account": "main"}, 3),
    ({"account": "mai"}, 0),
    ({"older_than_s": 5000}, 3),
    ({"older_than_s": 7300}, 0),
    ({"older_than_s": 0}, 7),
    ({"status": "released"}, 0),
    ({"account": "main", "reason": "QUANTITY_INVALID", "older_than_s": 5000, "text": "1,5"}, 1),
]


def test_filters__each_and_together(desk: Deck) -> None:
    assert [(filters, totals(desk, **filters)) for filters, _ in FILTERS] == FILTERS


def test_file__by_the_beginning_of_its_digest(desk: Deck) -> None:
    sha256 = page(desk, file="coin")["rows"][0]["sha256"]
    assert totals(desk, file=sha256[:8]) == 3


def test_by_reason__counts_under_the_other_filters(desk: Deck) -> None:
    told = page(desk, file="kraken", reason="ACCOUNT_MISSING")
    assert (told["total"], told["by_reason"]) == (1, {"QUANTITY_INVALID": 2, "ACCOUNT_MISSING": 1})


def test_filters__see_the_fields_as_they_are_now(desk: Deck) -> None:
    (row,) = [one["id"] for one in page(desk, file="coin", text="[/bold]")["rows"]]
    fix(desk, [row], account="fresh")
    assert totals(desk, account="fresh") == 1
    assert totals(desk, reason="ACCOUNT_MISSING") == 1
    assert page(desk, account="fresh")["rows"][0]["edited"]


def test_status__closed_rows_are_found_by_it(desk: Deck) -> None:
    rows = [row["id"] for row in page(desk, file="coin")["rows"]]
    reject(desk, rows[:2])
    assert totals(desk, status="rejected") == 2
    assert totals(desk, file="coin") == 1
    assert {row["status"] for row in desk.ask("quarantine")["rows"]} == {"open", "rejected"}


def test_filters__what_makes_no_sense__refused(deck: Deck) -> None:
    for name, value in (
        ("reason", "NONSENSE"), ("status", "lost"), ("sort", "q.line; --"),
        ("limit", -1), ("offset", "1"), ("older_than_s", 1.5),
    ):  # fmt: skip
        with pytest.raises(UsageError):
            page(deck, **{name: value})


def test_twenty_thousand_rows__pages_and_counts_of_them_all(deck: Deck) -> None:
    usual = buy(quantity="x")
    odd = buy(account="")
    rows = [
        {**odd, "notes": f"t-{n}"} if n % 20 == 0 else {**usual, "account": f"a{n % 10}", "notes": f"t-{n}"}
        for n in range(20_000)
    ]
    take(deck, *rows)
    assert page(deck)["by_reason"] == {"QUANTITY_INVALID": 19_000, "ACCOUNT_MISSING": 1_000}
    assert page(deck, reason="ACCOUNT_MISSING", account="a1")["total"] == 0
    assert page(deck, account="a1", offset=1_950)["total"] == 2_000
    assert len(page(deck, account="a1", offset=1_950)["rows"]) == 50
    assert totals(deck, text="T-1999") == 11
    ids = deck.ask("quarantine_ids", reason="ACCOUNT_MISSING")["ids"]
    assert fix(deck, ids, account="main")["would_pass"] == 1_000
    assert release(deck, ids)["accepted"] == 1_000
    assert page(deck)["by_reason"] == {"QUANTITY_INVALID": 19_000}


# -- one row ------------------------------------------------------------------------------------------


def test_show__raw_text_is_what_the_file_holds_line_by_line(deck: Deck) -> None:
    line = b',2025-03-02T00:00:00Z,BUY,"BT,C",1,5,,,main,,,,,"two\r\nlines"\r\n'
    deck.ingest(deck.file("f.csv", b"\xef\xbb\xbf" + to_csv([buy(account="")]) + line))
    first, second = waiting(deck)
    assert deck.ask("quarantine_show", id=second)["raw"] == line.decode().rstrip("\n")
    assert deck.ask("quarantine_show", id=first)["raw"].startswith(",2025-03-01T10:00:00Z,BUY,BTC,1.5,100")


def test_show__a_record_of_the_wrong_width_has_its_text_too(deck: Deck) -> None:
    deck.ingest(deck.file("f.csv", to_csv([]) + b"\n\nonly this\n"))
    told = deck.ask("quarantine_show", id=waiting(deck)[0])
    assert (told["raw"], told["row"], told["line"]) == ("only this", {"id": "only this"}, 4)


def test_show__suggestions_hints_and_history(deck: Deck) -> None:
    (row,) = held(deck, buy(quantity="1E3"))
    told = deck.ask("quarantine_show", id=row)
    (suggestion,) = told["suggestions"]
    assert (suggestion["column"], suggestion["value"]) == ("quantity", "1000")
    assert suggestion["why"]
    assert told["reasons"][0]["hint"]
    assert told["history"] == told["conflicts"] == []
    fix(deck, [row], quantity="1000")
    undo(deck)
    done, undone = deck.ask("quarantine_show", id=row)["history"]
    assert (done["kind"], done["undone_by"], undone["kind"]) == ("fix", 2, "undo")
    assert done["detail"] == {"before": {"quantity": "1E3"}, "after": {"quantity": "1000"}}
    assert (undone["actor"], undone["undone_by"]) == (ACTOR, None)


def test_decisions__newest_first_page_by_page(deck: Deck) -> None:
    rows = held(deck, buy(account=""), buy(account="", quantity="2"))
    fix(deck, rows, account="main")
    release(deck, rows)
    undo(deck, 3)
    told = deck.ask("decisions", limit=3)
    assert (told["total"], [one["decision"] for one in told["rows"]]) == (5, [5, 4, 3])
    assert [one["undone_by"] for one in told["rows"]] == [None, None, 5]
    assert [one["kind"] for one in deck.ask("decisions", offset=3)["rows"]] == ["fix", "fix"]


def test_engine__acts_by_command_and_tells_what_they_touch(deck: Deck) -> None:
    rows = held(deck, buy(account=""))
    command(deck, "quarantine_fix", ids=rows, set={"account": "main"})
    assert command(deck, "quarantine_release", ids=rows, dry_run=True)["accepted"] == 1
    touched = command(deck, "quarantine_release", ids=rows)["touched_from"]
    assert command(deck, "undo")["undone"]["kind"] == "release"
    told = [data for kind, data in deck.events if kind == "acted"]
    assert [one["touched_from"] for one in told] == ["nothing", touched, touched]


def test_page__not_text__the_other_rows(deck: Deck) -> None:
    rows = [buy(account="", notes=f"fill {number}") for number in range(4)]
    deck.ingest(deck.file("some.csv", rows))
    told = deck.ask("quarantine_page", not_text="FILL 2")
    assert [row["row"]["notes"] for row in told["rows"]] == ["fill 0", "fill 1", "fill 3"]
    assert told["by_reason"] == {"ACCOUNT_MISSING": 3}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("action: buy", ["a"]), ("Action:BUY", ["a"]), ("account: empty", ["b"]), ("quantity: -", ["c"]),
        ("action: empty", []), ("buy: action", []), ("notes: a", []),
    ],
)  # fmt: skip
def test_page__text__as_the_list_says_what_is_wrong(deck: Deck, text: str, found: list[str]) -> None:
    rows = [buy(action="buy", notes="a"), buy(account="", notes="b"), buy(quantity="-1", notes="c")]
    deck.ingest(deck.file("some.csv", rows))
    told = deck.ask("quarantine_page", text=text)
    assert [row["row"]["notes"] for row in told["rows"]] == found
    others = deck.ask("quarantine_page", not_text=text)
    assert sorted([row["row"]["notes"] for row in others["rows"]] + found) == ["a", "b", "c"]


def test_page__matching__an_expression_in_any_field_or_the_file_s_name(deck: Deck) -> None:
    for name in ("one.csv", "two.csv"):
        deck.ingest(deck.file(name, [buy(account="", notes=f"{name[0]}{number}") for number in range(4)]))

    def notes(**wanted: Any) -> list[str]:
        told = deck.ask("quarantine_page", **wanted)
        assert told["total"] == len(told["rows"]) == deck.ask("quarantine_ids", **wanted)["total"]
        return [row["row"]["notes"] for row in told["rows"]]

    assert notes(matching="^T[12]$") == ["t1", "t2"]
    assert notes(matching=r"^one\.") == notes(not_matching="^two") == ["o0", "o1", "o2", "o3"]
    assert notes(matching="o[0-2]$", not_matching="^two", text="o") == ["o0", "o1", "o2"]
    assert notes(matching="nothing") == []
    fix(deck, [deck.ask("quarantine_page", matching="^o3$")["rows"][0]["id"]], notes="changed")
    assert (notes(matching="^o3$"), notes(matching="change")) == ([], ["changed"])


def test_page__what_is_no_expression__refused(deck: Deck) -> None:
    for page in ("quarantine_page", "quarantine_ids", "lots_page"):
        for name in ("matching", "not_matching"):
            with pytest.raises(UsageError, match="no regular expression"):
                deck.ask(page, **{name: "(a"})
