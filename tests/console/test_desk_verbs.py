"""The desk's words: what each verb asks and commands, what it prints, its exit code, and what it refuses."""

import argparse
import asyncio
import csv
import io
import json
import os
import shlex
from pathlib import Path
from typing import Any

import pytest

from console import cli
from console.cli import main
from console.commands.examples import EXAMPLES
from engine import api
from engine.errors import UsageError
from engine.messages import Command, Query, Result
from tests.console import desk_documents as desk
from tests.console.desk_documents import FakeDesk

Capture = pytest.CaptureFixture[str]
ROW, OTHER = "0964aeffd0a7-4", "0964aeffd0a7-9"


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeDesk:
    """The desk's engine, as every verb finds it."""
    client = FakeDesk()

    async def connect(_home: Path, *, writing: bool, worker: bool = False) -> FakeDesk:
        client.writing.append(writing)
        return client

    def ask(_home: Path, query: Query) -> Result:
        return asyncio.run(client.ask(query))

    monkeypatch.setattr(api, "connect", connect)
    monkeypatch.setattr(api, "ask", ask)
    monkeypatch.setattr(api, "actor", lambda: "trader")
    return client


def run(words: str) -> int:
    """`navdeck WORDS`, as a shell gives them."""
    try:
        return main(shlex.split(words))
    except SystemExit as left:
        return int(left.code or 0)


def said(capsys: Capture, words: str, code: int = 0) -> Any:
    """The one JSON document on stdout."""
    assert run(f"{words} --json") == code
    return json.loads(capsys.readouterr().out)


# -- list ---------------------------------------------------------------------------------------------


def test_list__json__every_row_of_all_pages_in_the_contracts_shape(fake: FakeDesk, capsys: Capture) -> None:
    fake.holds(*(desk.aside(number) for number in range(1, 9)))

    rows = said(capsys, "quarantine list")

    assert [row["record"] for row in rows] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [*rows[0]] == ["id", "file", "sha256", "record", "line", "status", "reasons", "row"]
    assert rows[0]["reasons"] == [{"code": "ACTION_UNKNOWN", "column": "action", "value": "buy"}]
    assert rows[0]["row"] == desk.fields()


def test_list__limit_and_offset__only_that_part(fake: FakeDesk, capsys: Capture) -> None:
    fake.holds(*(desk.aside(number) for number in range(1, 30)), at_most=10)

    rows = said(capsys, "quarantine list --limit 12 --offset 7")

    assert [row["record"] for row in rows] == [*range(8, 20)]
    assert said(capsys, "quarantine list --limit 0") == []
    assert said(capsys, "quarantine list --offset 29") == []


def test_list__a_row_that_moves_to_the_next_page__is_told_once(fake: FakeDesk, capsys: Capture) -> None:
    pages = iter([[desk.aside(1), desk.aside(2)], [desk.aside(2), desk.aside(3)]])
    fake.answers["quarantine_page"] = lambda _arguments: {"total": 4, "rows": next(pages), "by_reason": {}}

    assert [row["record"] for row in said(capsys, "quarantine list")] == [1, 2, 3]


def test_list__table__the_first_200_and_how_to_see_more(fake: FakeDesk, capsys: Capture) -> None:
    fake.holds(*(desk.aside(number) for number in range(1, 251)), at_most=100)

    assert run("quarantine list") == 0
    told = capsys.readouterr().out

    assert told.count("0964aeffd0a7-") == 200
    assert "250 rows in quarantine" in told
    assert "50 more: --offset 200" in told
    assert "ACTION_UNKNOWN    250" in told
    run("quarantine list --offset 200")
    told = capsys.readouterr().out
    assert told.count("0964aeffd0a7-") == 50
    assert "from number 201 on" in told
    assert "more" not in told


def test_list__filters__go_to_the_query(fake: FakeDesk) -> None:
    fake.holds()

    words = "--reason price_invalid --file a.csv --account 'my main' --older-than 2h --status all --text '=1'"
    assert run(f"quarantine list {words}") == 0

    (query,) = fake.queries
    assert query.name == "quarantine_page"
    asked = query.arguments
    assert (asked["reason"], asked["file"], asked["account"]) == ("PRICE_INVALID", "a.csv", "my main")
    assert (asked["older_than_s"], asked["status"], asked["text"]) == (7_200, "all", "=1")
    assert fake.writing == [False]


@pytest.mark.parametrize(
    ("age", "seconds"), [("90s", 90), ("30m", 1_800), ("7d", 604_800), ("2w", 1_209_600)]
)
def test_list__age__in_seconds(fake: FakeDesk, age: str, seconds: int) -> None:
    fake.holds()
    run(f"quarantine list --older-than {age}")
    assert fake.queries[0].arguments["older_than_s"] == seconds


def test_list__nothing__says_so(fake: FakeDesk, capsys: Capture) -> None:
    fake.holds()

    assert run("quarantine list") == 0
    assert "nothing is in quarantine" in capsys.readouterr().out
    assert run("quarantine list --account nobody") == 0
    assert "No row matches" in capsys.readouterr().out


# -- show ---------------------------------------------------------------------------------------------


def test_show__json_is_the_engines_answer(fake: FakeDesk, capsys: Capture) -> None:
    fake.answers["quarantine_show"] = desk.whole()

    assert said(capsys, f"quarantine show {ROW}") == desk.whole()
    assert fake.queries[0].arguments == {"id": ROW}


def test_show__table__offers_the_acts_that_fit(fake: FakeDesk, capsys: Capture) -> None:
    fake.answers["quarantine_show"] = desk.whole()
    run(f"quarantine show {ROW}")
    told = capsys.readouterr().out
    assert f"navdeck quarantine fix {ROW} --suggested" in told
    assert f"navdeck quarantine release {ROW} --supersede {desk.TX[:18]}" in told
    assert "--as-leg" not in told  # without a tx_hash there is no leg

    fake.answers["quarantine_show"] = desk.whole(row=desk.fields(tx_hash="0xab"))
    run(f"quarantine show {ROW}")
    assert f"navdeck quarantine release {ROW} --as-leg" in capsys.readouterr().out

    fake.answers["quarantine_show"] = desk.whole(reasons=[], suggestions=[], conflicts=[])
    run(f"quarantine show {ROW}")
    told = capsys.readouterr().out
    assert f"navdeck quarantine release {ROW}\n" in told
    assert "--as-leg" not in told

    fake.answers["quarantine_show"] = desk.whole(status="released")
    run(f"quarantine show {ROW}")
    assert f"release {ROW}" not in capsys.readouterr().out


# -- fix ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        f"{ROW} {OTHER} action=BUY notes=a=b",
        f"action=BUY {ROW} notes=a=b {OTHER} {ROW}",
        f"{ROW} --reason 'as told' action=BUY --dry-run {OTHER} notes=a=b",
    ],
)
def test_fix__ids_and_columns__in_any_order(fake: FakeDesk, words: str) -> None:
    fake.answers["quarantine_fix"] = desk.fixed(ROW, OTHER)

    assert run(f"quarantine fix {words}") == 0

    (command,) = fake.commands
    assert (command.name, command.actor) == ("quarantine_fix", "trader")
    assert command.arguments == {"ids": [ROW, OTHER], "set": {"action": "BUY", "notes": "a=b"}}


def test_fix__dry_run__is_commanded_as_such_and_says_so(fake: FakeDesk, capsys: Capture) -> None:
    fake.answers["quarantine_fix"] = desk.fixed(ROW, passing=False)

    assert run(f"quarantine fix {ROW} quantity=-1 --dry-run --reason 'a guess'") == 0

    assert fake.commands[0].dry_run
    assert fake.commands[0].reason == "a guess"
    told = capsys.readouterr().out
    assert "0 would pass, 1 would still fail. Nothing was stored." in told
    assert "undo" not in told


def test_fix__stored__tells_what_can_be_released_and_undone(fake: FakeDesk, capsys: Capture) -> None:
    fake.answers["quarantine_fix"] = desk.fixed(ROW)

    assert run(f"quarantine fix {ROW} action=BUY") == 0

    assert fake.writing == [True]
    told = capsys.readouterr().out
    assert "action: buy → BUY" in told
    assert f"navdeck quarantine release {ROW}\n" in told
    assert "decision 1; navdeck undo takes it back" in told


def test_fix__empty_value__clears_the_column(fake: FakeDesk) -> None:
    fake.answers["quarantine_fix"] = desk.fixed(ROW)
    assert run(f"quarantine fix {ROW} id= column_15=") == 0
    assert fake.commands[0].arguments["set"] == {"id": "", "column_15": ""}


def test_fix__suggested__for_all_that_a_filter_leaves(fake: FakeDesk) -> None:
    fake.answers["quarantine_fix"] = desk.fixed(ROW)
    fake.holds(desk.aside(4), desk.aside(9))

    assert run("quarantine fix --all --code action_unknown --suggested") == 0

    (query,), (command,) = fake.queries, fake.commands
    assert (query.name, query.arguments) == ("quarantine_ids", {"reason": "ACTION_UNKNOWN"})
    assert command.arguments == {"ids": [ROW, OTHER], "suggested": True}


# -- release, reject ----------------------------------------------------------------------------------


def test_release__all_asked_is_done__0(fake: FakeDesk, capsys: Capture) -> None:
    fake.answers["quarantine_release"] = desk.released(ROW, OTHER, already=("0964aeffd0a7-2",))

    assert run(f"quarantine release {ROW} {OTHER} 0964aeffd0a7-2 --reason checked") == 0

    assert fake.commands == [
        Command(
            "quarantine_release",
            {"ids": [ROW, OTHER, "0964aeffd0a7-2"], "as_leg": False, "supersede": None},
            "trader",
            "checked",
        )
    ]
    told = capsys.readouterr().out
    assert "2 rows released: 1 accepted, 1 known already" in told
    assert "1 row released before: 0964aeffd0a7-2" in told
    assert "navdeck value" in told


def test_release__some_refused__1_and_says_why(fake: FakeDesk, capsys: Capture) -> None:
    fake.answers["quarantine_release"] = desk.released(ROW, refused=(OTHER,))

    assert run(f"quarantine release {ROW} {OTHER}") == 1
    told = capsys.readouterr().out
    assert "1 row refused, still in quarantine" in told
    assert "ACTION_UNKNOWN" in told
    document = said(capsys, f"quarantine release {ROW} {OTHER}", code=1)
    assert document["refused"][0]["id"] == OTHER


def test_release__as_leg_or_as_correction__not_both(fake: FakeDesk, capsys: Capture) -> None:
    fake.answers["quarantine_release"] = desk.released(ROW)

    assert run(f"quarantine release {ROW} --as-leg") == 0
    assert run(f"quarantine release --supersede {desk.TX} {ROW} --dry-run") == 0
    assert run(f"quarantine release {ROW} --as-leg --supersede {desk.TX}") == 2

    leg, correction = (command.arguments for command in fake.commands)
    assert (leg["as_leg"], leg["supersede"]) == (True, None)
    assert (correction["as_leg"], correction["supersede"]) == (False, desk.TX)
    assert "Traceback" not in capsys.readouterr().err


def test_release__all__filters_choose_the_rows(fake: FakeDesk) -> None:
    fake.answers["quarantine_release"] = desk.released(ROW)
    fake.holds(desk.aside(4))

    assert run("quarantine release --all --file a.csv --older-than 1d --text x --account main") == 0

    wanted = {"file": "a.csv", "older_than_s": 86_400, "text": "x", "account": "main", "named": True}
    assert fake.queries[0].arguments == wanted
    assert fake.commands[0].arguments["ids"] == [ROW]


@pytest.mark.parametrize(
    "words",
    ["release --all", "fix --all action=BUY", "fix --all --suggested", "reject --all --reason 'not ours'"],
)
def test_all__no_row_matches__nothing_is_commanded_and_0(fake: FakeDesk, capsys: Capture, words: str) -> None:
    fake.holds()

    assert run(f"quarantine {words}") == 0
    assert "No row matches" in capsys.readouterr().out
    assert isinstance(said(capsys, f"quarantine {words}"), dict)
    assert fake.commands == []


def test_all__more_than_one_act_takes__is_refused(fake: FakeDesk, capsys: Capture) -> None:
    fake.answers["quarantine_ids"] = {"ids": [ROW], "total": 100_001}

    assert run("quarantine release --all") == 2
    assert "100,001 rows match" in capsys.readouterr().err
    assert fake.commands == []


def test_reject__reason_goes_along(fake: FakeDesk, capsys: Capture) -> None:
    fake.answers["quarantine_reject"] = {"rejected": 1, "already": [OTHER], "decisions": [7]}

    assert run(f"quarantine reject {ROW} {OTHER} --reason ' a test order '") == 0

    assert fake.commands == [Command("quarantine_reject", {"ids": [ROW, OTHER]}, "trader", "a test order")]
    told = capsys.readouterr().out
    assert "1 row rejected" in told
    assert "decision 7" in told


# -- wrong usage --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("fix", "which rows"),
        (f"fix {ROW}", "column=value"),
        (f"fix {ROW} --suggested action=BUY", "either"),
        (f"fix {ROW} acton=BUY", "Did you mean action?"),
        (f"fix {ROW} action=BUY action=SELL", "twice"),
        ("fix action=BUY", "which rows"),
        ("fix nonsense action=BUY", "no row's id"),
        (f"fix {ROW} --all action=BUY", "which rows"),
        (f"release {ROW} --file a.csv", "--all"),
        (f"release {ROW} action=BUY", "quarantine fix"),
        ("release", "which rows"),
        ("release --all --file ''", "empty"),
        ("release --all --reason PRICE_INVALID", "--code PRICE_INVALID"),
        ("release --all --code PRICE_INVALD", "PRICE_INVALID"),
        (f"release {ROW} --as-lag", "--as-lag"),
        (f"reject {ROW}", "--reason"),
        (f"reject {ROW} --reason '  '", "needs a reason"),
        ("list --older-than yesterday", "no age"),
        ("list --older-than 2", "no age"),
        ("list --limit -1", "--limit"),
        ("list --limit many", "number"),
        ("list --status closed", "--status"),
        ("list --reason NONE_SUCH", "NONE_SUCH"),
        ("list --text ''", "empty"),
        ("show", "ID"),
        ("export --kind pears", "--kind"),
        ("lst", "Did you mean `navdeck quarantine list`?"),
        ("", "ACT"),
    ],
)
def test_wrong_usage__2_with_a_hint_and_nothing_done(
    fake: FakeDesk, capsys: Capture, words: str, told: str
) -> None:
    fake.holds(desk.aside())

    assert run(f"quarantine {words}") == 2

    output = capsys.readouterr()
    assert told in output.err
    assert "hint:" in output.err
    assert output.out == ""
    assert fake.commands == []


@pytest.mark.parametrize(
    "words", ["undo seven", "undo 1 2", "undo -1", "explain", "journal", "journal mend", "decisions 3"]
)
def test_wrong_usage__of_the_other_verbs__2(fake: FakeDesk, capsys: Capture, words: str) -> None:
    assert run(words) == 2
    assert "hint:" in capsys.readouterr().err
    assert fake.commands == []


def test_words__that_are_no_utf8__are_refused(fake: FakeDesk, capsys: Capture) -> None:
    bad = os.fsdecode(b"notes=\xff\xfe")

    with pytest.raises(SystemExit) as left:
        main(["quarantine", "fix", ROW, bad])

    assert left.value.code == 2
    assert "not UTF-8" in capsys.readouterr().err
    assert fake.commands == []


def test_refused_by_the_engine__message_and_hint_on_stderr(fake: FakeDesk, capsys: Capture) -> None:
    def refuse(_arguments: dict[str, Any]) -> dict[str, Any]:
        raise UsageError("There is no row \x1b[31mX.", "Look at the list.")

    fake.answers["quarantine_release"] = refuse

    assert run(f"quarantine release {ROW}") == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert "\\x1b[31mX" in output.err
    assert "hint: Look at the list." in output.err
    assert said(capsys, f"quarantine release {ROW}", code=2)["error"]["code"] == "USAGE"


# -- undo, decisions, explain, journal ----------------------------------------------------------------


def test_undo__the_newest_or_the_one_named(fake: FakeDesk, capsys: Capture) -> None:
    taken = desk.decision(12, "release")
    fake.answers["undo"] = {"undone": taken, "all": [taken], "touched_from": None}

    assert run("undo") == 0
    assert run("undo 12 --reason mistaken") == 0

    assert [command.arguments for command in fake.commands] == [{}, {"decision": 12}]
    assert fake.commands[1].reason == "mistaken"
    assert fake.writing == [True, True]
    assert f"took back decision 12: release of {ROW}" in capsys.readouterr().out


def test_undo__whole__dry_run__says_how_many_on_what_and_whose_figures(
    fake: FakeDesk, capsys: Capture
) -> None:
    taken = [desk.decision(number, "release") for number in range(12, 4, -1)]
    fake.answers["undo"] = {"undone": taken[0], "all": taken, "touched_from": 1, "touched_assets": ["BTC"]}

    assert run("undo 7 --whole --dry-run") == 0

    (command,) = fake.commands
    assert (command.arguments, command.dry_run) == ({"decision": 7, "whole": True}, True)
    told = " ".join(capsys.readouterr().out.split())
    assert f"would take back 8 decisions of one act, 12 to 5: release of {ROW}" in told
    assert "and 3 more" in told
    assert "figures of BTC change" in told


def test_decisions__json_all__table_the_newest_40(fake: FakeDesk, capsys: Capture) -> None:
    made = [desk.decision(number) for number in range(50, 0, -1)]

    def give(arguments: dict[str, Any]) -> dict[str, Any]:
        start = arguments["offset"]
        return {"total": 50, "rows": made[start : start + min(20, arguments["limit"])]}

    fake.answers["decisions"] = give
    assert [row["decision"] for row in said(capsys, "decisions")["rows"]] == [*range(50, 0, -1)]
    assert len(said(capsys, "decisions --limit 3")["rows"]) == 3
    assert run("decisions") == 0
    told = capsys.readouterr().out
    assert "50 decisions, newest first" in told
    assert "10 more: --limit 50" in told


def test_explain__asks_for_the_row(fake: FakeDesk, capsys: Capture) -> None:
    fake.answers["explain"] = desk.explained()

    assert said(capsys, f"explain {desk.TX}") == desk.explained()
    assert fake.queries[0].arguments == {"tx": desk.TX}
    run(f"explain {desk.TX}")
    assert "superseded by" in capsys.readouterr().out


@pytest.mark.parametrize(("problems", "code"), [((), 0), (("open.journal at 17: bytes differ",), 1)])
def test_journal_verify__exit_code_says_whether_it_is_whole(
    fake: FakeDesk, capsys: Capture, problems: tuple[str, ...], code: int
) -> None:
    fake.answers["journal_verify"] = desk.journal(*problems)

    assert run("journal verify") == code
    told = capsys.readouterr().out
    assert [problem for problem in problems if problem not in told] == []
    assert said(capsys, "journal verify", code)["records"] == 12_345


# -- export -------------------------------------------------------------------------------------------


def test_export__stdout__nothing_but_the_file(fake: FakeDesk, capsys: Capture) -> None:
    notes = [f"number {number}, “so”" for number in range(1, 9)]
    fake.holds(*(desk.aside(number, row=desk.fields(notes=told)) for number, told in enumerate(notes, 1)))

    assert run("quarantine export --reason ACTION_UNKNOWN") == 0

    output = capsys.readouterr()
    rows = [*csv.DictReader(io.StringIO(output.out))]
    assert [row["notes"] for row in rows] == notes
    assert output.err == ""
    assert fake.queries[0].arguments["reason"] == "ACTION_UNKNOWN"


def test_export__to_a_file__private_and_never_over_another(
    fake: FakeDesk, capsys: Capture, tmp_path: Path
) -> None:
    fake.holds(desk.aside())
    target = tmp_path / "out.csv"

    assert run(f"quarantine export --to {target}") == 0
    assert target.stat().st_mode & 0o777 == 0o600
    before = target.read_bytes()
    assert before.count(b"\n") == 2
    fake.holds()
    assert run(f"quarantine export --to {target}") == 2
    assert target.read_bytes() == before
    assert "there already" in capsys.readouterr().err
    assert run(f"quarantine export --to {tmp_path}/no/such/folder.csv") == 1
    assert "hint:" in capsys.readouterr().err


def test_export__several_kinds__one_must_be_chosen(fake: FakeDesk, capsys: Capture) -> None:
    rate = {"base": "EUR", "quote": "USD", "rate": "x", "resolution": "1d", "asof": "", "fx_source": "ecb"}
    fake.holds(desk.aside(1), desk.aside(2, row=rate))

    assert run("quarantine export") == 2
    assert "1 fx, 1 transactions" in capsys.readouterr().err
    assert run("quarantine export --kind fx") == 0
    assert capsys.readouterr().out == "base,quote,rate,resolution,asof,fx_source\nEUR,USD,x,1d,,ecb\n"


def test_export__nothing__is_a_header_that_can_be_ingested(fake: FakeDesk, capsys: Capture) -> None:
    fake.holds()
    assert run("quarantine export") == 0
    assert capsys.readouterr().out == ",".join(desk.COLUMNS) + "\n"


def test_export__json__one_document_with_the_text(fake: FakeDesk, capsys: Capture) -> None:
    fake.holds(desk.aside(row=desk.fields(account="=1+1")))

    document = said(capsys, "quarantine export")

    assert (document["kind"], document["rows"], document["altered"]) == ("transactions", 1, [ROW])
    assert document["csv"].startswith("id,timestamp")


def test_export__fields_not_written_as_they_are__are_named_on_stderr(fake: FakeDesk, capsys: Capture) -> None:
    fake.holds(desk.aside(4, row=desk.fields(account="=1+1")), desk.aside(9))

    assert run("quarantine export") == 0

    output = capsys.readouterr()
    assert "'=1+1" in output.out
    assert ROW in output.err
    assert OTHER not in output.err


# -- help ---------------------------------------------------------------------------------------------


def parsers() -> dict[str, argparse.ArgumentParser]:
    """Every verb, and every verb of a verb."""
    found: dict[str, argparse.ArgumentParser] = {}

    def visit(parser: argparse.ArgumentParser) -> None:
        found[parser.prog] = parser
        for action in parser._actions:
            if isinstance(action.choices, dict):
                for child in action.choices.values():
                    visit(child)

    visit(cli.parser())
    return found


@pytest.mark.parametrize("name", sorted(parsers().keys() - {"navdeck"}))
def test_help__one_screen(name: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    assert run(f"{name.removeprefix('navdeck')} --help") == 0

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 30
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("example", [line for lines in EXAMPLES.values() for line in lines])
def test_help__examples__are_understood(example: str) -> None:
    program, *words = shlex.split(example)

    assert program == "navdeck"
    if "--help" not in words:
        assert cli.parser().parse_args(words).verb == words[0]
