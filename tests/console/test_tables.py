"""Tables fit the terminal, cut no amount or instant, show no hostile byte and never unknown as 0."""

import copy
import re
from collections.abc import Callable
from typing import Any

import pytest
from rich.cells import cell_len

from console import text
from console.commands import (
    demo_tables,
    desk_tables,
    grid,
    ingest_tables,
    market_tables,
    nav_tables,
    record_tables,
    tables,
)
from engine.domain.reasons import FILE_REASONS, ROW_REASONS
from tests.console import desk_documents as desk

HOSTILE = "[/nope]\x1b[31m\u202eevil\x9b2J\r\n"
CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")
LONG_NAME = "statement-of-everything-that-happened-in-the-year-2024-part-17.csv"
LARGEST = "99999999999999999999.987654321012345678"
ERC20 = "erc20:0x6b175474e89094c44da98b954eedeac495271d0f"


def file_entry(path: str, **given: Any) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "path": path, "sha256": "ab" * 32, "kind": "transactions", "status": "ingested", "rows": 123_456,
        "accepted": 123_400, "duplicates": 50, "quarantined": 6, "fees_created": 98_765, "reason": None,
        "detail": None, "reasons": {"PRICE_INVALID": 4, "FORMULA_PREFIX": 2},
    }  # fmt: skip
    return entry | given


def ingested() -> dict[str, Any]:
    refused: dict[str, Any] = {"status": "rejected", "kind": None, "reason": "FILE_HEADER", "reasons": {}}
    refused |= dict.fromkeys(ingest_tables.FILE_COUNTS, 0)
    files = [file_entry(f"/somewhere/{LONG_NAME}"), file_entry(f"/x/{HOSTILE}.csv", **refused)]
    totals = {name: files[0][name] for name in ingest_tables.FILE_COUNTS}
    return {"files": files, "totals": totals, "waiting": ["notes.txt", HOSTILE]}


def point(close: str, nav: str | None, **given: Any) -> dict[str, Any]:
    made = {
        "bucket_close": close, "nav": nav, "priced_value": nav, "coverage": 1.0, "missing": [], "held": [],
        "reasons": [], "flags": ["PEGGED"], "excluded": 0, "unmatched_value": "0",
    }  # fmt: skip
    return made | given


def series() -> dict[str, Any]:
    names = [ERC20, HOSTILE]
    gap = {"priced_value": "1200000.5", "coverage": 0.875, "reasons": ["NO_PRICE"], "missing": names}
    held = {"priced_value": "7", "coverage": 0.5, "reasons": ["FX_HELD"], "held": ["EUR/USD"]}
    unmatched = {"flags": ["FX_CLOSED", "IN_TRANSIT", "PEGGED", "PROVISIONAL"], "unmatched_value": None}
    points = [
        point("2024-03-04T00:00:00Z", "1289589.364"),
        point("2024-03-05T00:00:00Z", None, **gap),
        point("2024-03-06T00:00:00Z", None, **gap),
        point("2024-03-07T00:00:00Z", None, **held),
        point("2024-03-08T00:00:00Z", "1183266.41", **unmatched),
    ]
    return {"base_currency": "USD", "resolution": "1d", "cash": "external", "stale": True, "points": points}


def lot(**given: Any) -> dict[str, Any]:
    made = {
        "account": "main-exchange", "asset_id": ERC20, "acquired_at": "2024-03-04T12:30:05.25Z",
        "quantity": "80528.534770000000000001", "cost_basis_usd": "1289589.364", "flags": ["FEE_AT_BASIS"],
    }  # fmt: skip
    return made | given


def books() -> dict[str, Any]:
    gain = {"disposed_at": "2024-04-01T00:00:00Z", "proceeds_usd": "10.5", "gain_usd": "-1279.125"}
    return {
        "method": "FIFO",
        "open_lots": [lot(), lot(acquired_at=None, cost_basis_usd=None, flags=["NO_BASIS", HOSTILE])],
        "in_transit": [lot(left_at="2024-05-06T07:08:09Z", flags=["UNMATCHED_TRANSFER"])],
        "realized": [lot(**gain), lot(**gain, asset_id=HOSTILE)],
    }


def asides() -> dict[str, Any]:
    reasons = [
        desk.reason("IDEMPOTENCY_CONFLICT", "external_id", HOSTILE),
        desk.reason("COLUMN_COUNT", "", ""),
    ]
    gone = desk.aside(status="released", reasons=[])
    return desk.page(desk.aside(100_000, file=LONG_NAME, reasons=reasons), gone)


def hostile_row() -> dict[str, Any]:
    """Every text of a row that came from a file or a person attacks."""
    evil = desk.decision(reason=HOSTILE, actor=HOSTILE, detail={"before": {}, "after": {HOSTILE: HOSTILE}})
    fields = desk.fields(account=HOSTILE, external_id=HOSTILE, quantity=LARGEST)
    return desk.whole(
        raw=HOSTILE * 9, file=HOSTILE, row=fields,
        reasons=[desk.reason("PRICE_INVALID", HOSTILE, HOSTILE)], history=[evil],
        suggestions=[{"column": "account", "value": HOSTILE, "why": HOSTILE}],
    )  # fmt: skip


def decided() -> dict[str, Any]:
    kinds = ("release", "reject", "undo", "fix")
    rows = [desk.decision(number, kind, reason=HOSTILE) for number, kind in enumerate(kinds, 1_000)]
    return {"total": 1_004, "rows": rows}


def status() -> dict[str, Any]:
    return {
        "home": "/home/someone/" + "deep/" * 30, "base_currency": "USD", "lot_method": "FIFO",
        "timezone": "America/Argentina/Buenos_Aires",
        "counts": dict.fromkeys(tables.COUNT_WORDS, 1_234_567),
        "watermarks": {
            "ledger_first": None, "ledger_last": "2024-03-04T12:30:05Z", "fx_last": None,
            "prices_last": {"1d": "2024-03-04T00:00:00Z", "5m": "2024-03-04T12:35:00Z"}, "valued_last": {},
        },
        "last_runs": {"ingest": "2024-03-04T12:30:05.123456Z", "value": None},
        "alerts": [{"code": "X", "text": f"something {HOSTILE}", "hint": "navdeck quarantine list"}],
    }  # fmt: skip


def settings() -> dict[str, Any]:
    row = {"key": "fx.drift_bps_max", "value": "25", "origin": "NAVDECK_DRIFT_BPS", "help": "help " * 8}
    return {"settings": [row, row | {"key": "cash_assets", "value": "USD, EUR, " * 20, "origin": "default"}]}


def verdict() -> dict[str, Any]:
    problems = [f"{HOSTILE}: 3 accepted, but 2 are stored"]
    check = {"check": "rows", "ok": False, "looked_at": 1_000, "problems": problems}
    return {"ok": False, "checks": [check]}


def values() -> dict[str, Any]:
    sums = {"buckets": 105_120, "complete": 104_000, "snapshots": 12_345_678}
    left = {"from": "1970-01-01T00:00:00Z", "to": "2025-03-01T00:00:00Z", "reason": "BEFORE_FIRST_PRICE"}
    each = {"1d": sums | {"left_out": None}, "5m": sums | {"left_out": left}}
    return {"resolutions": each, "snapshots": 24_691_356, "seconds": 12.5}


def demo() -> dict[str, Any]:
    return {"home": "/x/demo", "ingest": ingested(), "value": values(), "nav": series(), "digest": "ab" * 32,
            "story": [{"step": "row", "done": True, "told": "2 rows mended"},
                      {"step": "drill", "done": False, "told": "a drill failed"}]}  # fmt: skip


IDS = ("0964aeffd0a7-100000", "0964aeffd0a7-4", "abcdefabcdef-100000", "abcdefabcdef-2")
PAGES: dict[str, Callable[[], None]] = {
    "ingest": lambda: ingest_tables.ingested(ingested()),
    "preview": lambda: ingest_tables.previewed(ingested()),
    "nav": lambda: nav_tables.nav(series()),
    "lots": lambda: tables.lots(books()),
    "quarantine": lambda: desk_tables.listed(asides(), {"status": "all"}, 0),
    "row": lambda: desk_tables.shown(desk.whole()),
    "hostile row": lambda: desk_tables.shown(hostile_row()),
    "fix": lambda: desk_tables.fixed(desk.fixed(*IDS, passing=False), dry_run=False),
    "release": lambda: desk_tables.released(desk.released(*IDS, refused=IDS, already=IDS), dry_run=False),
    "reject": lambda: desk_tables.rejected({"rejected": 2, "already": [*IDS], "decisions": [7, 8]}, False),
    "undo": lambda: record_tables.undone({"undone": desk.decision(), "all": [desk.decision()] * 12}),
    "decisions": lambda: record_tables.decisions(decided()),
    "explain": lambda: record_tables.explained(desk.explained(raw=HOSTILE)),
    "journal": lambda: record_tables.journal(desk.journal(f"open.journal at 17: {HOSTILE}")),
    "export": lambda: desk_tables.exported({"kind": "fx", "rows": 3, "to": "/x/" + "y" * 90 + HOSTILE}),
    "status": lambda: tables.status(status()),
    "config": lambda: tables.config(settings()),
    "verify": lambda: tables.verified(verdict()),
    "value": lambda: nav_tables.valued(values()),
    "split": lambda: tables.split({"file": "a", "parts": ["/x/" + "y" * 120, HOSTILE]}),
    "demo": lambda: demo_tables.demo(demo(), series(), books()),
}
AMOUNTS_AND_INSTANTS = {
    "ingest": ["123,456", "123,400", "✗ rejected"],
    "nav": ["1,289,589.36", "1,200,000.50", "1,183,266.41", "2024-03-04 00:00Z", "2024-03-08 00:00Z", "88%"],
    "lots": [
        "80,528.534770000000000001", "1,289,589.36", "-1,279.12", "2024-03-04 12:30:05Z",
        "2024-05-06 07:08:09Z",
    ],
    "preview": ["123,456", "123,400", "✗ refused"],
    "quarantine": ["0964aeffd0a7-100000", "100,001", "IDEMPOTENCY_CONFLICT", "COLUMN_COUNT", "released"],
    "row": ["0964aeffd0a7-4", "2024-03-04 08:00Z", "3400", "1.25", "BUY", desk.TX, "2024-03-04 09:15Z"],
    "fix": [*IDS, "PRICE_MISSING"],
    "release": [*IDS, "2024-03-03 16:00Z", "2024-03-05 16:00Z", "ACTION_UNKNOWN"],
    "decisions": ["1000", "1003", "2024-03-04 09:15Z", "release"],
    "explain": ["2024-03-03 16:00Z", "2024-03-05 16:00Z", "0.75", "2,625.00", "25.00", desk.TX],
    "journal": ["12,345", "64.0 MB", "2024-03-01 00:00Z", "2024-03-04 09:15Z"],
    "status": ["1,234,567", "2024-03-04 12:30:05Z", "2024-03-04 12:35Z"],
    "value": ["105,120", "104,000", "12,345,678"],
    "demo": ["1,289,589.36", "2024-03-05 00:00Z", "2024-03-06 00:00Z", "ab" * 32, "✓ 2 rows mended",
             "✗ a drill failed"],
}


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Draws a page as it stands in a pipe of a given width."""

    def draw(page: Callable[[], None], width: int) -> str:
        monkeypatch.setattr(grid, "PIPED_WIDTH", width)
        page()
        return capsys.readouterr().out

    return draw


@pytest.mark.parametrize("width", [80, 160])
@pytest.mark.parametrize("name", PAGES)
def test_page__fits__and_shows_every_figure_whole(name: str, width: int, drawn: Callable[..., str]) -> None:
    told = drawn(PAGES[name], width)

    assert max(cell_len(line) for line in told.splitlines()) <= width
    assert [wanted for wanted in AMOUNTS_AND_INSTANTS.get(name, []) if wanted not in told] == []
    assert not re.search(r"[0-9][,.][0-9]*…|…[0-9]*[,.][0-9]|20[0-9][0-9]-[0-9-]*…", told)


@pytest.mark.parametrize("width", [40, 80, 160])
@pytest.mark.parametrize("name", PAGES)
def test_page__hostile_data__shown_as_text(name: str, width: int, drawn: Callable[..., str]) -> None:
    assert not CONTROLS.search(drawn(PAGES[name], width))


@pytest.mark.parametrize("name", ["ingest", "nav", "lots", "verify", "hostile row", "journal"])
def test_page__markup_in_data__stays_as_it_is(name: str, drawn: Callable[..., str]) -> None:
    assert "[/nope]" in drawn(PAGES[name], 160)


@pytest.mark.parametrize("name", PAGES)
def test_page__terminal_of_a_few_cells__still_fits(name: str, drawn: Callable[..., str]) -> None:
    assert max(cell_len(line) for line in drawn(PAGES[name], 32).splitlines()) <= 32


@pytest.mark.parametrize("width", [80, 160])
def test_lots__largest_amounts__never_cut(width: int, drawn: Callable[..., str]) -> None:
    document = books()
    for row in (*document["open_lots"], *document["in_transit"], *document["realized"]):
        row |= {"quantity": LARGEST, "cost_basis_usd": LARGEST}
        row |= {"proceeds_usd": LARGEST, "gain_usd": f"-{LARGEST}"}

    told = drawn(lambda: tables.lots(document), width)

    assert "99,999,999,999,999,999,999.987654321012345678" in told
    assert "-99,999,999,999,999,999,999.99" in told
    assert max(cell_len(line) for line in told.splitlines()) <= width


def test_nav__unknown__is_a_dash_and_never_0(drawn: Callable[..., str]) -> None:
    lines = drawn(PAGES["nav"], 160).splitlines()

    (gap,) = [line for line in lines if line.startswith("2024-03-05")]
    assert gap.split()[2:5] == ["–", "1,200,000.50", "88%"]
    assert "✗ NO_PRICE" in gap
    provisional = " ".join(line for line in lines if "provisional" in line or "worth" in line)
    assert "is worth – at 2024-03-08 00:00Z" in provisional


def test_gains__one_piece_unknown__the_sum_is_unknown(drawn: Callable[..., str]) -> None:
    document = books()
    document["realized"] = [
        lot(asset_id="ETH", proceeds_usd="5", gain_usd=None),
        lot(asset_id="ETH", proceeds_usd="6", gain_usd="1"),
    ]

    told = drawn(lambda: tables.lots(document), 160)

    (row,) = [line for line in told.splitlines() if line.startswith("ETH ")]
    assert row.split()[-1] == "–"
    assert "11.00" in row


def test_lots__sums__lose_no_digit() -> None:
    assert tables.total([LARGEST, "0.000000000000000001", f"-{LARGEST}"]) == "0.000000000000000001"
    assert tables.total(["1", None]) is None
    assert tables.total(["1.50", "1.50"]) == "3"


def test_withheld__runs__one_line_each(drawn: Callable[..., str]) -> None:
    told = drawn(lambda: grid.show(nav_tables.withheld(series())), 160).splitlines()

    runs = [line for line in told if line.startswith("2024")]
    assert [line.split()[:5] for line in runs] == [
        ["2024-03-05", "00:00Z", "2024-03-06", "00:00Z", "2"],
        ["2024-03-07", "00:00Z", "2024-03-07", "00:00Z", "1"],
    ]
    assert "held EUR/USD" in runs[1]


def test_ingest__narrow__keeps_the_end_of_a_name(drawn: Callable[..., str]) -> None:
    told = drawn(PAGES["ingest"], 80)

    assert "part-17.csv" in told
    assert "…" in told


def test_ingest__empty_inbox__says_so(drawn: Callable[..., str]) -> None:
    document = ingested() | {"files": [], "waiting": []}
    document["totals"] = dict.fromkeys(document["totals"], 0)

    assert "the inbox is empty" in drawn(lambda: ingest_tables.ingested(document), 80)


def test_pages__same_document__same_text_and_document_untouched(drawn: Callable[..., str]) -> None:
    document = demo()
    before = copy.deepcopy(document)

    def page() -> None:
        demo_tables.demo(document, series(), books())

    assert drawn(page, 80) == drawn(page, 80)
    assert document == before


def test_value__what_was_left_out__is_told_with_the_verb_that_makes_it(drawn: Callable[..., str]) -> None:
    told = drawn(lambda: nav_tables.valued(values()), 120)
    assert "No 5m buckets from 1970-01-01 00:00Z to 2025-03-01 00:00Z: before the first price" in told
    assert "navdeck value --resolution 5m --from 1970-01-01T00:00:00Z" in told
    assert "No 1d buckets" not in told


def test_refused_file__has_a_way_on__a_large_one_to_split(drawn: Callable[..., str]) -> None:
    document = ingested()
    refused = next(entry for entry in document["files"] if entry["status"] == "rejected")
    told = drawn(lambda: ingest_tables.ingested(document), 160)
    assert "→ mend the file, then navdeck ingest it again" in told
    refused["reason"], refused["detail"] = "FILE_TOO_LARGE", "10000001 bytes; the limit is 10000000"
    assert "→ navdeck split FILE" in drawn(lambda: ingest_tables.ingested(document), 160)


def test_nothing_can_be_valued__every_table_says_why_and_what_helps(drawn: Callable[..., str]) -> None:
    why = {"reason": "NO_PRICES", "never_priced": ["BTC", HOSTILE, "ETH", "SOL"]}
    left = {"from": "2025-03-01T00:00:00Z", "to": None, "reason": "NO_PRICES"}
    sums = {"buckets": 0, "complete": 0, "snapshots": 0, "left_out": left}
    empty = {"resolutions": {"1d": sums, "5m": sums}, "snapshots": 0, "seconds": 0.1, "unvalued": why}
    nothing = series() | {"points": [], "unvalued": why}
    pages = (lambda: nav_tables.valued(empty), lambda: nav_tables.nav(nothing))
    for page in pages:
        told = drawn(page, 160)
        assert "nothing can be valued: 4 assets have never had a price: BTC" in told
        assert "→ navdeck ingest PRICES.csv" in told
        assert "→ navdeck nav\n" not in told
        assert "→ navdeck value" not in told
    some = values() | {"unvalued": {"reason": None, "never_priced": ["ETH"]}}
    one = drawn(lambda: nav_tables.valued(some), 120)
    assert "1 asset has never had a price: ETH" in one
    assert "→ navdeck nav" in one


def test_no_asset_keeps_nav_unknown__is_no_missing_beginning(drawn: Callable[..., str]) -> None:
    none = {"assets": [], "blocking": True}
    assert "no asset keeps NAV from being known" in drawn(lambda: market_tables.assets(none), 80)
    assert "navdeck ingest" in drawn(lambda: market_tables.assets(none | {"blocking": False}), 80)


def test_words__every_reason__has_some() -> None:
    assert [code for code in (*ROW_REASONS, *FILE_REASONS) if not text.words(code)] == []


@pytest.mark.parametrize(
    ("amount", "told"),
    [(None, "–"), ("0", "0.00"), ("0.001", "<0.01"), ("-0.001", ">-0.01"), ("1234.565", "1,234.56"),
     (LARGEST, "99,999,999,999,999,999,999.99")],
)  # fmt: skip
def test_money__rounded_for_the_eye__never_hides_something(amount: str | None, told: str) -> None:
    assert text.money(amount) == told


@pytest.mark.parametrize(
    ("given", "told"),
    [("2024-03-04T00:00:00Z", "2024-03-04 00:00Z"), ("2024-03-04T12:30:05.25Z", "2024-03-04 12:30:05Z"),
     ("2024-03-04T12:30:00.25Z", "2024-03-04 12:30Z"), (None, "unknown")],
)  # fmt: skip
def test_instant__short__is_utc_and_whole(given: str | None, told: str) -> None:
    assert text.instant(given) == told


def test_shorten__wide_letters__counted_in_cells() -> None:
    assert cell_len(text.shorten("価格表" * 20, 21)) <= 21
    assert text.shorten("short.csv", 9) == "short.csv"
    assert text.shorten("prices-2024-week-43.csv", 14) == "pric…ek-43.csv"
