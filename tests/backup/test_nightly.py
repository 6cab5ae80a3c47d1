"""The schedule at work in a running engine, and the verbs on the command line."""

import asyncio
import json
from datetime import date
from typing import Any

import pytest

from console.cli import main
from engine.config import Config, load
from engine.domain.instants import DAY_US, parse_instant
from engine.errors import EngineGone, JournalBroken
from engine.messages import Command, Result
from engine.runtime import backups, service
from engine.runtime.home import Home
from engine.runtime.host import Host
from engine.runtime.nightly import Nightly
from tests.backup.vault import Vault
from tests.runtime.deck import Deck, buy
from tests.runtime.test_service import Heard

NIGHT = parse_instant("2026-03-01T02:30:00Z") or 0  # a Sunday


class Bench:
    """An engine that carries jobs out in this thread, under a clock of the test's own."""

    def __init__(self, deck: Deck, now: int) -> None:
        self.home: Home = deck.home
        self.config: Config = load(deck.home.config_path)
        self.at = now
        self.jobs: list[str] = []
        self.logs: list[tuple[str, str]] = []

    def now(self) -> int:
        return self.at

    async def do(self, command: Command) -> Result:
        self.jobs.append(command.name)
        act = backups.ACTS[command.name]
        return Result(act(str(self.home.path), self.at, command.arguments))

    def log(self, level: str, kind: str, text: str) -> None:
        self.logs.append((level, kind))


def look(bench: Bench, now: int) -> list[str]:
    """What a service that has just started does at an instant."""
    bench.at, bench.jobs = now, []
    asyncio.run(Nightly(bench).run_due())
    return bench.jobs


def test_new_home__its_first_night_is_the_next_one(deck: Deck) -> None:
    bench = Bench(deck, NIGHT)
    assert look(bench, NIGHT - DAY_US - 1) == []
    assert look(bench, NIGHT - DAY_US) == ["backup_create", "backup_verify"]
    assert look(bench, NIGHT - 1) == []
    assert look(bench, NIGHT) == ["backup_create", "backup_verify", "backup_drill"]
    assert look(bench, NIGHT + 1) == []
    assert ("info", "drill") in bench.logs


def test_off_for_a_week__one_backup_and_one_drill_on_the_next_start(deck: Deck) -> None:
    bench = Bench(deck, NIGHT)
    look(bench, NIGHT)
    assert look(bench, NIGHT + 9 * DAY_US) == ["backup_create", "backup_verify", "backup_drill"]
    assert look(bench, NIGHT + 9 * DAY_US + 1) == []


def test_failed__stays_due_until_it_is_done(deck: Deck) -> None:
    deck.take(buy())
    bench = Bench(deck, NIGHT)
    look(bench, NIGHT - 3 * DAY_US)
    segment = deck.home.journal / "open.journal"
    segment.rename(deck.path / "away")
    with pytest.raises(JournalBroken):
        look(bench, NIGHT - DAY_US)
    (deck.path / "away").rename(segment)
    assert look(bench, NIGHT - DAY_US + 1) == ["backup_create", "backup_verify"]
    noted = json.loads((deck.home.backups / "schedule.json").read_bytes())
    assert noted["backup"] == date(2026, 2, 28).isoformat()


def test_never__no_drill(deck: Deck, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAVDECK_BACKUP_DRILL_WEEKDAY", "never")
    bench = Bench(deck, NIGHT)
    look(bench, NIGHT - 1)
    assert look(bench, NIGHT) == ["backup_create", "backup_verify"]


def test_second_folder_fails__it_is_logged_and_the_night_is_done(
    deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    (deck.path / "file").write_bytes(b"")
    monkeypatch.setenv("NAVDECK_BACKUP_TARGET", str(deck.path / "file" / "second"))
    bench = Bench(deck, NIGHT)
    look(bench, NIGHT - 1)
    look(bench, NIGHT)
    assert ("bad", "backup_target") in bench.logs
    assert look(bench, NIGHT + 1) == []


def test_hosted__a_night_passes__a_verified_backup_is_there_and_status_says_so(
    deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "NIGHTLY_EVERY_S", 0.2)
    monkeypatch.setenv("NAVDECK_BACKUP_DRILL_WEEKDAY", "never")
    deck.take(buy())
    now = [NIGHT - 1]

    async def run() -> None:
        host = await Host.open(deck.home, clock=lambda: now[0])
        heard = Heard(host)
        try:
            await heard.of("state")
            while not (deck.home.backups / "schedule.json").exists():  # noqa: ASYNC110  no event tells it
                await asyncio.sleep(0.01)
            now[0] = NIGHT
            await heard.of("log", lambda data: data["kind"] == "backup")
            await heard.of("counts", lambda data: data["backup"]["verified"] is True)
            assert host.document()["state"] == "running"
        finally:
            await host.close()

    asyncio.run(run())
    told = deck.ask("status")["backup"]
    assert told["verified"] is True
    assert Vault(deck, NIGHT).shelf.ids() == [told["id"]]


def test_hosted__ends_in_the_middle_of_a_job__nothing_half_is_kept__no_next_one_begins(deck: Deck) -> None:
    deck.take(buy())

    async def run() -> list[dict[str, Any]]:
        host = await Host.open(deck.home, clock=lambda: NIGHT)
        heard = Heard(host)
        job = asyncio.create_task(host.do(Command("backup_create")))
        await heard.of("backup_step")
        await asyncio.gather(host.close(), job, return_exceptions=True)
        with pytest.raises(EngineGone):
            await host.do(Command("backup_drill"))
        assert (job.exception() is None) is (await heard.of("backup_done"))["ok"]
        return [event.data for event in heard.events if event.kind == "backup_done"]

    told = asyncio.run(run())
    assert [one["name"] for one in told] == ["backup_create"]
    shelf = Vault(deck, NIGHT).shelf
    assert len(shelf.ids()) == told[0]["ok"]
    assert [one.name for one in sorted(shelf.path.glob("*Z-*"))] == shelf.ids()


# -- the command line ---------------------------------------------------------------------------------


def verb(capsys: pytest.CaptureFixture[str], deck: Deck, *words: str) -> tuple[int, dict[str, Any]]:
    code = main(["backup", *words, "--home", str(deck.path), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_verbs__json_and_exit_codes(vault: Vault, capsys: pytest.CaptureFixture[str]) -> None:
    deck, to = vault.deck, str(vault.deck.path.parent / "new")
    code, made = verb(capsys, deck, "create")
    assert (code, made["digest"]) == (0, deck.fingerprint())
    code, listed = verb(capsys, deck, "list")
    assert (code, listed["backups"][0]["id"]) == (0, made["id"])
    assert verb(capsys, deck, "verify", "--all")[0] == 0
    code, plan = verb(capsys, deck, "restore", made["id"], "--to", to, "--dry-run")
    assert (code, plan["base"], plan["refusals"]) == (0, made["id"], [])
    assert verb(capsys, deck, "restore", "latest", "--to", to)[0] == 0
    code, again = verb(capsys, deck, "restore", "latest", "--to", to)
    assert (code, again["error"]["code"]) == (1, "RESTORE_REFUSED")
    assert verb(capsys, deck, "restore", "latest", "--to", to, "--dry-run")[0] == 1
    code, report = verb(capsys, deck, "drill")
    assert (code, report["verdict"]) == (0, "passed")
    code, promoted = verb(capsys, deck, "promote", to)
    assert (code, promoted["home"]) == (0, str(deck.path))


@pytest.mark.parametrize(
    "words",
    [
        ("verify",),
        ("verify", "latest", "--all"),
        ("restore", "--to", "x"),
        ("restore", "1", "--at", "2024-01-01", "--to", "x"),
    ],
)
def test_which_backup__must_be_said_once(
    vault: Vault, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    code, told = verb(capsys, vault.deck, *words)
    assert (code, told["error"]["code"]) == (2, "USAGE")


def test_tables__say_what_was_done(vault: Vault, capsys: pytest.CaptureFixture[str]) -> None:
    def shown(*words: str) -> str:
        assert main(["backup", *words, "--home", str(vault.deck.path)]) == 0
        return capsys.readouterr().out

    assert "the backup is made" in shown("create")
    assert "every backup is sound" in shown("verify", "--all")
    assert "passed" in shown("drill")
    listed = shown("list")
    assert vault.shelf.ids()[-1] in listed
    assert "RTO" in listed
    to = str(vault.deck.path.parent / "new")
    assert "Nothing was written" in shown("restore", "latest", "--to", to, "--dry-run")
    assert "restored in" in shown("restore", "--at", "2026-01-02", "--to", to)
    assert "the restored home is the home" in shown("promote", to)
