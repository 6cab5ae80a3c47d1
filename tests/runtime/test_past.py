"""What an engine that starts tells of what was before: the newest files and lines for people, bounded."""

import asyncio
import json
from pathlib import Path
from typing import Any

from engine.messages import Query
from engine.runtime import overview, past
from engine.runtime.host import Host
from engine.runtime.overview import Overview
from tests.runtime.deck import NOW, Deck, buy, ticking


def log(deck: Deck, day: str, *lines: Any) -> None:
    path = Path(deck.path) / "logs" / f"engine-{day}.jsonl"
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))


def line(text: str, level: str = "info", **more: Any) -> dict[str, Any]:
    return {"ts": "2026-01-01T00:00:00Z", "level": level, "event": "file_ingested", "text": text} | more


def test_files__newest_first__with_what_became_of_each(deck: Deck) -> None:
    deck.clock = ticking()
    deck.take(buy(), buy(quantity="-1"))
    deck.ingest(deck.file("bad.csv", b"not,a,header\n1,2,3\n"))
    newest, oldest = deck.ask("past")["files"]
    assert (newest["name"], newest["status"], newest["reason"]) == ("bad.csv", "rejected", "FILE_HEADER")
    assert (oldest["status"], oldest["kind"]) == ("ingested", "transactions")
    assert [oldest[name] for name in ("rows", "accepted", "duplicates", "quarantined")] == [2, 1, 0, 1]
    assert newest["at"] > oldest["at"]


def test_events__the_lines_for_people_of_the_newest_days__what_is_damaged_is_left_out(deck: Deck) -> None:
    log(deck, "2025-12-30", line("first"))
    log(
        deck, "2025-12-31",
        line("refused", "error", trace_id="4bf9"), '{"half a line', {"event": "file_done", "rows": 3},
        line("a library speaks", "warning", source="sqlite"), line("last", "warning"),
    )  # fmt: skip
    events = deck.ask("past")["events"]
    assert [(event["text"], event["level"]) for event in events] == [
        ("first", "info"), ("refused", "bad"), ("last", "warn"),
    ]  # fmt: skip
    assert [event["seq"] for event in events] == [-3, -2, -1]
    assert events[1]["trace_id"] == "4bf9"
    assert (events[0]["at"], events[0]["kind"]) == ("2026-01-01T00:00:00Z", "file_ingested")


def test_events__only_so_many_lines__only_so_far_back(deck: Deck, monkeypatch: Any) -> None:
    log(deck, "2025-12-31", *(line(str(number)) for number in range(overview.EVENTS_KEPT + 5)))
    kept = [event["text"] for event in deck.ask("past")["events"]]
    assert (len(kept), kept[0], kept[-1]) == (overview.EVENTS_KEPT, "5", "204")
    monkeypatch.setattr(past, "LOG_BYTES", 250)  # the first line is cut, and told by nobody
    assert [event["text"] for event in deck.ask("past")["events"]] == ["203", "204"]


def test_overview__what_is_new__comes_before_the_past() -> None:
    live = Overview()
    live.events.append({"seq": 1})
    live.recent.append({"name": "new.csv"})
    many = [{"name": f"{number}.csv"} for number in range(overview.RECENT_FILES)]
    live.recall({"files": many, "events": [{"seq": -1 - back} for back in range(overview.EVENTS_KEPT)]})
    told = live.document()
    assert told["events"][-1] == {"seq": 1}
    assert [entry["name"] for entry in told["inbox"]["recent"]][:2] == ["new.csv", "0.csv"]
    assert (len(told["events"]), len(told["inbox"]["recent"])) == (200, 100)


def test_host__started_again__shows_what_the_one_before_took(deck: Deck) -> None:
    deck.take(buy())

    async def run() -> None:
        host = await Host.open(deck.home, clock=lambda: NOW)
        try:
            shown = (await host.ask(Query("overview"))).value
        finally:
            await host.close()
        assert [entry["status"] for entry in shown["inbox"]["recent"]] == ["ingested"]
        assert "take-0.csv: 1 accepted" in [event["text"] for event in shown["events"]]

    log(deck, "2025-12-31", line("take-0.csv: 1 accepted"))
    asyncio.run(run())
