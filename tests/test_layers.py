"""The house's shape: who may import whom, what a verb loads, and the tidiness that keeps it readable."""

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from console import cli
from console.commands.verbs import carried_out
from engine import api, errors
from engine.domain.instants import DAY_US
from tests.compaction.lake import FIRST_US
from tests.runtime.deck import PRICE_COLUMNS, ROOT, Deck, bar, buy, to_csv

HEAVY = ("polars", "duckdb", "pyarrow", "sqlalchemy", "aiosqlite", "textual", "numpy", "rich")
FILE_LINES_MAX, FUNCTION_LINES_MAX = 700, 70
CLOCKS = re.compile(r"datetime\.(now|utcnow|today)|time\.(time|time_ns|monotonic)\(|date\.today")
CLOCK_OWNERS = {"engine/runtime/clock.py", "console/commands/verbs.py"}
NO_FLOAT = (
    "engine/ingestion",
    "engine/portfolio/lots",
    "engine/portfolio/booking",
    "engine/valuation",
    "engine/domain",
)


def loaded(program: str) -> set[str]:
    """The top-level modules that a program has loaded at its end."""
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys\n{program}\nimport json\nprint()\nprint(json.dumps(list(sys.modules)))",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return {name.split(".")[0] for name in json.loads(told.stdout.splitlines()[-1])}


def test_parsing__loads_nothing_heavy() -> None:
    program = "from console.cli import parser\nparser().parse_args(['ingest', 'a.csv', '--json'])"
    assert loaded(program).isdisjoint(HEAVY)


def test_status__loads_no_textual(deck: Deck) -> None:
    program = f"from console.cli import main\nassert main(['status', '--home', {str(deck.path)!r}]) == 0"
    assert loaded(program).isdisjoint({"textual"})


def test_status__without_news__loads_nothing_heavy(deck: Deck) -> None:
    """Transfers and prices are reckoned once a commit; who asks again pays for counting alone."""
    libraries = {*HEAVY, "asyncio"} - {"rich"}  # it draws the table
    program = f"from console.cli import main\nassert main(['status', '--home', {str(deck.path)!r}]) == 0"
    assert loaded(program).isdisjoint(libraries)
    deck.take(buy(), buy(action="TRANSFER_OUT", unit_price_usd="", quantity="1"))
    before = deck.ask("status")["alerts"]
    assert loaded(program).isdisjoint(libraries)
    assert "TRANSFERS_UNMATCHED" in [alert["code"] for alert in before]
    assert deck.ask("status")["alerts"] == before


@pytest.mark.parametrize("verb", ["status", "quarantine list", "decisions", "config"])
def test_answers_as_json__load_nothing_that_draws_for_themselves(deck: Deck, verb: str) -> None:
    """What a verb draws with, and what only another verb needs, costs it no time."""
    words = [*verb.split(), "--json", "--home", str(deck.path)]
    found = loaded(f"from console.cli import main\nassert main({words!r}) == 0")
    assert found.isdisjoint({"psutil", "platformdirs", "textual"})
    assert "rich" not in found or verb not in ("status", "config")


def test_every_verb__is_found() -> None:
    """The parser's verbs and those that are carried out are the same."""
    (verbs,) = (action for action in cli.parser()._actions if action.dest == "verb")
    assert verbs.choices is not None
    for verb in verbs.choices:
        assert callable(carried_out(verb))


WATCHING = {"opentelemetry", "structlog", "prometheus_client"}


def test_status__loads_nothing_to_watch_with(deck: Deck) -> None:
    program = f"from console.cli import main\nassert main(['status', '--home', {str(deck.path)!r}]) == 0"
    assert loaded(program).isdisjoint(WATCHING)


def test_attached_console__loads_nothing_to_watch_with() -> None:
    program = "import console.app, console.hosted, engine.link.client"
    assert loaded(program).isdisjoint(WATCHING)


def test_api__loads_nothing_heavy() -> None:
    assert loaded("import engine.api").isdisjoint(HEAVY)


LIFE = """
import asyncio
from pathlib import Path
from engine.messages import Command, Query
from engine.runtime.host import Host

async def live(home):
    host = await Host.open(Home(Path(home)), clock=lambda: NOW)
    try:
        for act in ("ingest", "value", "compact", "retention", "backup_create", "backup_drill"):
            await host.do(Command(act, {"paths": []} if act == "ingest" else {}))
        await host._engine.upkeep.check(files_max=9)
        for question in ("overview", "status", "telemetry_facts", "metrics", "lots_page", "backups"):
            await host.ask(Query(question, {"resolution": "1d"} if question == "metrics" else {}))
    finally:
        await host.close()

if __name__ == "__main__":
    from engine.runtime.home import Home
    asyncio.run(live(HOME))
"""


def test_engines_process__does_all_there_is__and_loads_nothing_that_works_on_rows(
    deck: Deck, tmp_path: Path
) -> None:
    """An import of a second holds its event loop up; what works on rows belongs into workers."""
    deck.take(buy(timestamp="2025-03-01T10:00:00Z"))
    deck.drop("prices.csv", to_csv([bar()], PRICE_COLUMNS))
    program = tmp_path / "life.py"
    told = "    import json, sys\n    print(json.dumps(list(sys.modules)))\n"
    life = LIFE.replace("HOME", repr(str(deck.path))).replace("NOW", str(FIRST_US + 2 * DAY_US))
    program.write_text(life + told)
    done = subprocess.run(
        [sys.executable, program], capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    found = {name.split(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}
    assert found.isdisjoint({"polars", "pyarrow", "duckdb", "textual"})


def test_top__holds_what_the_house_has__and_nothing_that_a_test_left() -> None:
    ignored = {"uv.lock", "snapshot_report.html"}
    assert {path.name for path in ROOT.iterdir() if path.is_file() and path.name[0] != "."} - ignored == {
        "pyproject.toml", "README.md"
    }  # fmt: skip


def test_import_contracts__hold() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-4000:]
    assert "0 broken" in done.stdout


def test_api__every_name_it_promises_is_there() -> None:
    assert [name for name in api.__all__ if not hasattr(api, name)] == []
    assert sorted(set(api.__all__)) == sorted(api.__all__)


def subclasses(root: type[Exception]) -> Iterator[type[Exception]]:
    for one in root.__subclasses__():
        yield one
        yield from subclasses(one)


def drawn_parents() -> dict[str, str]:
    """Each error of the drawn tree and the one it hangs from."""
    parents: dict[str, str] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"([│ ]*(?:[├└]── )?)([A-Z]\w+) ", line)
        if match is None or not (match[1] or match[2] == "EngineError"):
            continue
        depth = len(match[1]) // 4
        del path[depth:]
        if path:
            parents[match[2]] = path[-1]
        path.append(match[2])
    return parents


def test_errors__the_drawn_tree_is_the_real_one() -> None:
    real = {one.__name__: one.__base__.__name__ for one in subclasses(errors.EngineError) if one.__base__}
    assert drawn_parents() == real


def test_errors__each_has_a_code_of_its_own() -> None:
    codes = [one.code for one in (errors.EngineError, *subclasses(errors.EngineError))]  # type: ignore[attr-defined]
    assert len(set(codes)) == len(codes)


@cache
def sources() -> dict[str, str]:
    """Every Python file of console and engine, by path from the root."""
    files = (path for folder in ("console", "engine") for path in (ROOT / folder).rglob("*.py"))
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in sorted(files)}


@cache
def trees() -> dict[str, ast.Module]:
    return {path: ast.parse(text) for path, text in sources().items()}


def lines_with(pattern: str | re.Pattern[str], *, below: tuple[str, ...] = ("",)) -> set[str]:
    chosen = {path: text for path, text in sources().items() if path.startswith(below)}
    return {path for path, text in chosen.items() if re.search(pattern, text)}


def calls(name: str, below: tuple[str, ...]) -> set[str]:
    """Files in which the built-in `name` is called."""
    return {
        path
        for path, tree in trees().items()
        if path.startswith(below)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
    }


@pytest.mark.parametrize(
    "layer",
    [
        "engine/domain",
        "engine/ingestion",
        "engine/valuation",
        "engine/portfolio",
        "engine/snapshots",
        "engine/store",
        "engine/config.py",
    ],
)
def test_clock__never_read_by_what_must_be_pure(layer: str) -> None:
    assert lines_with(CLOCKS, below=(layer,)) == set()


def test_clock__wall_time_is_asked_for_in_one_place_of_the_engine() -> None:
    wall = re.compile(r"datetime\.(now|utcnow|today)|time\.(time|time_ns)\(|date\.today")
    assert lines_with(wall) <= CLOCK_OWNERS


def test_engine__never_prints() -> None:
    assert calls("print", ("engine/",)) == set()


def test_money__no_float_near_it() -> None:
    assert calls("float", NO_FLOAT) == set()


def test_exceptions__none_caught_without_a_name() -> None:
    bare = {
        path
        for path, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler) and node.type is None
    }
    assert bare == set()


def test_files__short() -> None:
    assert [path for path, text in sources().items() if text.count("\n") > FILE_LINES_MAX] == []


def test_functions__short() -> None:
    long = [
        f"{path}:{node.name}"
        for path, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > FUNCTION_LINES_MAX
    ]
    assert long == []


def test_modules__each_says_what_it_owns() -> None:
    assert [path for path, tree in trees().items() if tree.body and not ast.get_docstring(tree)] == []


def test_console__uses_only_the_narrow_door() -> None:
    inner = re.compile(r"^\s*(?:from|import) engine\.(?!api\b)", re.MULTILINE)
    assert lines_with(inner, below=("console/",)) == set()
