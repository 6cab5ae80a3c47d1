"""Drills: they pass on what is sound, fail on what is not, leave nothing behind, and can be ended."""

import json
from typing import Any

import pytest

from engine.runtime import backups
from tests.backup.vault import Vault, flip
from tests.runtime.deck import buy


def leftovers(vault: Vault) -> list[str]:
    return [path.name for path in vault.shelf.path.iterdir() if path.name.startswith(".tmp")]


def alerts(vault: Vault) -> set[str]:
    return {alert["code"] for alert in vault.deck.ask("status")["alerts"]}


def test_sound_backup__passes_with_steps_times_rto_and_rpo(vault: Vault) -> None:
    vault.create()
    report = vault.act("drill")
    assert report["verdict"] == "passed", report
    assert [step["ok"] for step in report["steps"]] == [True] * 5
    assert report["rto_s"] > 0
    assert (report["rpo_s"], report["unsaved_commits"]) == (0.0, 0)
    assert report["instant"] <= report["at"]
    (kept,) = vault.shelf.path.glob("drills/*/drill_report.json")
    assert json.loads(kept.read_bytes()) == report
    assert "passed" in kept.with_name("drill_report.txt").read_text()
    assert leftovers(vault) == []


def test_commits_since_the_last_backup__are_what_would_be_lost(vault: Vault) -> None:
    vault.take("more.csv", [buy(external_id="more")])
    waiting_s = 3_600.0
    vault.create()
    vault.take("yet-more.csv", [buy(external_id="yet more")])
    at = vault.truth[-1][0]
    vault.now = at + int(waiting_s * 1e6)
    report = vault.act("drill")
    assert report["unsaved_commits"] == 1
    assert waiting_s <= report["rpo_s"] < waiting_s + 60


def test_damaged_backup__fails_and_alerts_until_a_later_one_passes(vault: Vault) -> None:
    vault.create()
    file = vault.shelf.manifest(vault.shelf.ids()[-1]).file("state.db")
    flip(vault.shelf.object(file.sha256), 33_333)
    report = vault.act("drill")
    assert report["verdict"] == "failed"
    assert report["steps"][-1]["ok"] is False
    assert "state.db" in report["problem"]
    assert leftovers(vault) == []
    assert "DRILL_FAILED" in alerts(vault)
    vault.act("verify")
    vault.create()
    assert vault.act("drill")["verdict"] == "passed"
    assert "DRILL_FAILED" not in alerts(vault)


def test_values_that_do_not_follow__fail_it(vault: Vault) -> None:
    """The catalogue says something else than what the inputs give: the same digest, other values."""
    vault.value()
    vault.deck.sql("UPDATE lake_files SET content = 'forged' WHERE dead_at IS NULL")
    vault.now += 1
    vault.deck.sql("UPDATE meta SET value = value + 1 WHERE key = 'committed_at'")
    vault.create()
    report = vault.act("drill")
    assert report["verdict"] == "failed"
    assert "differs" in report["problem"]


def test_no_backup__a_report_that_says_so(vault: Vault) -> None:
    for name in vault.shelf.ids():
        vault.shelf.folder(name).rename(vault.deck.path / name)
    report = vault.act("drill")
    assert (report["verdict"], report["problem"]) == ("failed", "There is no backup to drill.")


def test_cancelled__between_steps__scratch_is_gone_and_it_counts_for_nothing(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.create()

    def heard(_kind: str, told: dict[str, Any]) -> None:
        if told["step"] == "open it and recompute":
            backups.cancel(str(vault.deck.path))

    monkeypatch.setattr(backups, "report", heard)
    report = vault.act("drill")
    assert report["verdict"] == "cancelled"
    assert [step["ok"] for step in report["steps"]] == [True, True]
    assert leftovers(vault) == []
    assert "DRILL_FAILED" not in alerts(vault)
