"""The hostile corpus through the command line: every verdict, both ways in, in two orders; nothing leaks."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from engine.domain.reasons import FILE_REASONS, ROW_REASONS
from tests.hostile.cases import Case, Verdict
from tests.hostile.corpus import corpus, may_make_devices
from tests.runtime.deck import Deck, buy

PATIENCE_S = 300.0
UNPRINTABLE = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
HARMLESS = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
BESIDE = (".target", ".other")  # what a case of a link has beside it
DONE, SOME_BAD = 0, 3
TABLES = ("tx", "prices", "fx_rates", "quarantine")
# Reading verbs one after the other in one process, for most of a verb's time goes into its start.
READ = """
import sys
from console.cli import main
for words in sys.argv[2:]:
    code = main([*words.split(), "--home", sys.argv[1]])
    print(f"=== {code}", flush=True)
"""


class Desk:
    """One home, and all that the verbs run on it have said."""

    def __init__(self, path: Path) -> None:
        self.deck = Deck(path)
        self.said: list[bytes] = []

    def run(self, *words: str, code: int = DONE) -> str:
        """Runs a verb as a process of its own; what it said on stdout."""
        return self._said_by("-m", "console.cli", *words, "--home", str(self.deck.path), code=code)

    def read(self, *verbs: str) -> list[str]:
        """What reading verbs say, in one process; all must be done."""
        *told, rest = self._said_by("-c", READ, str(self.deck.path), *verbs).split("=== 0\n")
        assert (len(told), rest) == (len(verbs), "")
        return told

    def _said_by(self, *words: str, code: int = DONE) -> str:
        done = subprocess.run([sys.executable, *words], capture_output=True, timeout=PATIENCE_S)
        assert done.returncode == code, f"{words[:4]}: {done.returncode}, {done.stderr[-3000:]!r}"
        self.said += [done.stdout, done.stderr]
        return done.stdout.decode()


@dataclass
class Intake:
    """A home that took cases of the corpus: what it said then, and what it says of itself."""

    desk: Desk
    cases: list[Case]
    table: str
    quarantine: list[dict[str, Any]]
    digest: dict[str, Any]
    files: list[dict[str, Any]] = field(default_factory=list)  # entries of `ingest --json`
    pages: list[str] = field(default_factory=list)

    def bad(self) -> dict[str, dict[int, frozenset[str]]]:
        """The reasons of every row in quarantine, as "CODE:column", by file and record."""
        found: dict[str, dict[int, frozenset[str]]] = defaultdict(dict)
        for row in self.quarantine:
            codes = frozenset(f"{reason['code']}:{reason['column']}" for reason in row["reasons"])
            found[row["file"]][row["record"]] = codes
        return found


def worst_row(cases: list[Case]) -> str:
    """The id of a row in quarantine that attacks the terminal with every field."""
    content = next(case.content for case in cases if case.name == "text-every-field-hostile")
    assert isinstance(content, bytes)
    return f"{hashlib.sha256(content).hexdigest()[:12]}-1"


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    return corpus(tmp_path_factory.mktemp("may"))


@pytest.fixture(scope="module")
def dropped(cases: list[Case], blank_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Intake:
    """The corpus in one inbox, taken at once, told as a table."""
    folder = tmp_path_factory.mktemp("dropped")
    shutil.copytree(blank_home, folder / "home")
    desk = Desk(folder / "home")
    for case in cases:
        case.lay(desk.deck.home.inbox)
    table = desk.run("ingest", code=SOME_BAD)
    listed, digest, *pages = desk.read(
        "quarantine list --json", "digest --json", "verify", "status", "lots", "nav"
    )
    took = [case for case in cases if case.inbox == "taken"]
    return Intake(desk, took, table, json.loads(listed), json.loads(digest), pages=pages)


@pytest.fixture(scope="module")
def named(cases: list[Case], blank_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Intake:
    """The corpus named by path the other way round, every path twice, told as JSON."""
    folder = tmp_path_factory.mktemp("named")
    shutil.copytree(blank_home, folder / "home")
    (folder / "files").mkdir()
    desk = Desk(folder / "home")
    paths = [str(case.lay(folder / "files")) for case in reversed(cases)]
    answer = json.loads(desk.run("ingest", "--json", *paths, *paths, code=SOME_BAD))
    listed, digest, table, *pages = desk.read(
        "quarantine list --json", "digest --json", "quarantine list --limit 10000",
        f"quarantine show {worst_row(cases)}", "quarantine export --kind transactions", "journal verify",
    )  # fmt: skip
    return Intake(desk, cases, table, json.loads(listed), json.loads(digest), answer["files"], pages)


def differing(got: dict[str, Verdict], want: dict[str, Verdict]) -> dict[str, tuple[object, object]]:
    """Names with what they got and what they should have got, where the two differ."""
    return {name: (got.get(name), want.get(name)) for name in got.keys() | want.keys()
            if got.get(name) != want.get(name)}  # fmt: skip


def name_of(entry: dict[str, Any]) -> str:
    return str(entry["path"]).rsplit("/", 1)[-1]


def stored(deck: Deck) -> dict[str, int]:
    """Rows in the store."""
    counts = [deck.sql(f"SELECT count(*) FROM {table}")[0][0] for table in TABLES]
    return {"accepted": sum(counts[:-1]), "quarantined": counts[-1]}


def unprintable(said: bytes) -> Iterator[str]:
    for character in said.decode():
        if character not in "\n\t" and unicodedata.category(character) in UNPRINTABLE:
            yield repr(character)


# -- the corpus itself --------------------------------------------------------------------------------


def test_corpus__large_enough__each_case_of_its_own(cases: list[Case]) -> None:
    assert len(cases) >= 80
    contents = [case.content for case in cases if isinstance(case.content, bytes)]
    for told in ([case.name for case in cases], [case.told_name for case in cases], contents):
        assert len(set(told)) == len(told)


def test_corpus__shows_every_reason_of_the_contract(cases: list[Case]) -> None:
    assert {case.verdict.reason for case in cases} == {None, *FILE_REASONS}
    shown = {reason.split(":")[0] for case in cases for told in case.verdict.bad.values() for reason in told}
    assert shown == set(ROW_REASONS)


# -- verdicts -----------------------------------------------------------------------------------------


def test_named__every_verdict(named: Intake) -> None:
    bad, got = named.bad(), {}
    for entry in named.files[: len(named.cases)]:
        name = name_of(entry)
        assert entry["rows"] == entry["accepted"] + entry["duplicates"] + entry["quarantined"]
        assert entry["quarantined"] == len(bad.get(name, {}))
        assert entry["status"] == ("rejected" if entry["reason"] else "ingested")
        got[name] = Verdict(
            entry["reason"], entry["kind"], entry["accepted"], entry["duplicates"], bad.get(name, {})
        )
    assert differing(got, {case.told_name: case.verdict for case in named.cases}) == {}


def test_dropped__in_the_other_order__every_verdict(dropped: Intake) -> None:
    bad, got = dropped.bad(), {}
    stored = "SELECT name, reason, kind, accepted, duplicates, quarantined, rows FROM files"
    for name, reason, kind, accepted, duplicates, quarantined, rows in dropped.desk.deck.sql(stored):
        assert rows == accepted + duplicates + quarantined
        assert quarantined == len(bad.get(name, {}))
        got[name] = Verdict(reason, kind, accepted, duplicates, bad.get(name, {}))
    with_bytes = [case for case in dropped.cases if case.verdict.reason != "FILE_NOT_REGULAR"]
    assert differing(got, {case.told_name: case.verdict for case in with_bytes}) == {}


def test_dropped__each_refused_file__lies_beside_its_reason(dropped: Intake) -> None:
    deck = dropped.desk.deck
    names = deck.rejected()
    assert set().union(*names) <= HARMLESS
    reasons = {name for name in names if name.endswith(".reason.json")}
    assert {name.removesuffix(".reason.json") for name in reasons} == set(names) - reasons
    told = [json.loads((deck.home.rejected / name).read_text()) for name in reasons]
    refused = [case for case in dropped.cases if case.verdict.reason]
    assert sorted((record["name"], record["reason"]) for record in told) == sorted(
        (case.told_name, str(case.verdict.reason)) for case in refused
    )


def test_dropped__inbox_keeps_only_what_it_does_not_take(dropped: Intake, cases: list[Case]) -> None:
    home = dropped.desk.deck.home
    left = {name for name in os.listdir(home.inbox) if not name.endswith(BESIDE)}
    assert left == {case.file_name for case in cases if case.inbox != "taken"}
    assert os.listdir(home.claimed) == []
    assert "not taken" in dropped.table


def test_archive__bytes_as_they_came__of_every_file_that_was_taken(dropped: Intake, named: Intake) -> None:
    for intake in (dropped, named):
        good = [case for case in intake.cases if not case.verdict.reason]
        kept = set(intake.desk.deck.archive().values())
        assert {case.content for case in good if isinstance(case.content, bytes)} <= kept
        assert len(kept) == len(good)


def test_named__files_stay_where_they_are(named: Intake) -> None:
    folder = named.desk.deck.path.parent / "files"
    for case in named.cases:
        path = folder / case.file_name
        assert os.path.lexists(path), case.name
        if isinstance(case.content, bytes):
            assert path.read_bytes() == case.content, case.name


# -- what must hold afterwards ------------------------------------------------------------------------


def test_named__again__duplicates_and_the_same_refusals(named: Intake) -> None:
    again = {name_of(entry): entry for entry in named.files[len(named.cases) :]}
    for case in named.cases:
        entry, known = again[case.told_name], case.verdict.reason is None
        assert (entry["status"], entry["rows"]) == ("duplicate" if known else "rejected", 0), case.name
        assert entry["reason"] == case.verdict.reason, case.name


def test_counts__every_row_is_somewhere(dropped: Intake, named: Intake) -> None:
    for intake in (dropped, named):
        assert stored(intake.desk.deck) == {
            "accepted": sum(case.verdict.accepted for case in intake.cases),
            "quarantined": sum(len(case.verdict.bad) for case in intake.cases),
        }


def test_verify__is_well(dropped: Intake) -> None:
    assert "✗" not in dropped.pages[0]


def test_digest__the_same_in_either_order(dropped: Intake, named: Intake) -> None:
    assert dropped.digest == named.digest
    assert set(dropped.digest["parts"]) >= {"ledger", "observations", "open_lots", "realized", "quarantine"}


def test_tables__tell_hostile_names_and_rows_in_visible_signs(dropped: Intake, named: Intake) -> None:
    assert "\\x1b]52;c;ZXZpbA==\\x07" in dropped.table
    assert "[red]name.csv" in dropped.table
    assert "\\x1b[31m" in named.table
    assert "\\x1b[2J\\u{202e}" in named.pages[0]


def test_output__no_control_byte__whatever_was_asked(dropped: Intake, named: Intake) -> None:
    for said in dropped.desk.said + named.desk.said:
        assert set(unprintable(said)) == set(), said[:200]


# -- what this user may not do ------------------------------------------------------------------------


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_unreadable_file__the_others_are_taken(deck: Deck) -> None:
    deck.drop("a-secret.csv", [buy()]).chmod(0)
    deck.drop("b-open.csv", [buy(quantity="2")])
    assert deck.ingest()["totals"]["accepted"] == 1


def test_devices__were_among_the_cases(cases: list[Case], tmp_path: Path) -> None:
    if not may_make_devices(tmp_path):
        pytest.skip("this user may not make devices")
    assert any(case.name == "object-device" for case in cases)
