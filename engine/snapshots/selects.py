"""What one SELECT names and wants, from DuckDB's own parse of it: nothing else is let through.

It runs no query. It takes a statement apart into the views that it names and, for each, the rows that can
matter: conjuncts of WHERE that compare asset_id, dt, bucket_close or resolution with constants, where the
view stands alone in FROM or in inner joins. Whatever it is not sure of narrows nothing.
"""

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import duckdb

from engine.domain.instants import parse_instant
from engine.errors import UsageError

Node = dict[str, Any]
QUERY_NODES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
TABLE_FUNCTIONS = frozenset({"range", "generate_series", "unnest"})  # the others read files or settings
NEVER = frozenset({"write_log", "current_setting"})
ONE_SELECT = "Give one SELECT, as in: SELECT * FROM nav WHERE resolution = '1d' ORDER BY bucket_close."
QUOTED_ASOF = 'The column asof is also a word of SQL (ASOF JOIN): write it as "asof", in double quotes.'
FIRST, LAST = -(2**63), 2**63 - 1

_COMPARISONS = {
    "COMPARE_EQUAL": "=",
    "COMPARE_LESSTHAN": "<",
    "COMPARE_LESSTHANOREQUALTO": "<",
    "COMPARE_GREATERTHAN": ">",
    "COMPARE_GREATERTHANOREQUALTO": ">",
}
_MIRRORED = {"=": "=", "<": ">", ">": "<"}
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[ T]([0-9]{2}:[0-9]{2})(:[0-9]{2}(?:\.[0-9]{1,6})?)?(?:Z|\+00(?::00)?)?)?"
)
_INSTANT_CASTS = ("timestamp", "timestamptz", "datetime", "timestamp with time zone")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A reach around the rows that one mention of a view can need. Bounds are inclusive.

    `names`: by column (asset_id, resolution) the only values; `days`: dt as text; `closes`: microseconds.
    """

    names: dict[str, frozenset[str]]
    days: tuple[str, str] = ("", "~")
    closes: tuple[int, int] = (FIRST, LAST)

    def allows(self, column: str, name: str) -> bool:
        return column not in self.names or name in self.names[column]


EVERYTHING = Wanted({})


@dataclass(frozen=True, slots=True)
class Select:
    """A statement that may run, and for each view that it names what its mentions want."""

    text: str
    views: dict[str, list[Wanted]]


def read_select(
    query: str, views: Collection[str], parser: duckdb.DuckDBPyConnection | None = None
) -> Select:
    """UsageError, with what to write instead, for all that is not one SELECT over these views.

    `parser`: the connection that will run it, or one is made for a moment.
    """
    tree = _parsed(query, parser or duckdb.connect())
    defined = {_folded(entry["key"]) for node in _nodes(tree) for entry in _ctes(node)}
    wanted: dict[str, list[Wanted]] = {}
    narrowed = {id(table): want for node in _nodes(tree) for table, want in _mentions(node)}
    for node in _nodes(tree):
        _refuse(node, views)
        if node.get("type") != "BASE_TABLE":
            continue
        name = _folded(".".join(node["qualified_name"]["path"]))
        if name in views:
            wanted.setdefault(name, []).append(narrowed.get(id(node), EVERYTHING))
        elif name not in defined:
            raise UsageError(f"There is no view {name!r}.", f"{_listed(views)}.")
    return Select(query, wanted)


def _parsed(query: str, parser: duckdb.DuckDBPyConnection) -> Node:
    try:
        statements = parser.extract_statements(query)
    except duckdb.Error as error:
        hint = QUOTED_ASOF if "asof" in query.lower() else ONE_SELECT
        raise UsageError(f"This is no SQL: {plainly(error)}", hint) from None
    if len(statements) != 1:
        many = f"These are {len(statements)} statements" if statements else "There is no statement"
        raise UsageError(f"{many}.", ONE_SELECT)
    kind = statements[0].type
    if kind != duckdb.StatementType.SELECT:
        raise UsageError(f"{kind.name} is refused: a query only reads.", ONE_SELECT)
    (told,) = parser.execute("SELECT json_serialize_sql(?)", [query]).fetchall()
    tree: Node = json.loads(told[0])
    if tree["error"]:
        raise UsageError(f"This SELECT is not understood: {tree['error_message']}", ONE_SELECT)
    return tree


def plainly(error: Exception) -> str:
    """What DuckDB says, without its drawing of the place."""
    return str(error).split("\n", 1)[0].strip()


def _listed(views: Collection[str]) -> str:
    return f"There are {', '.join(sorted(views))}"


def _folded(name: str) -> str:
    return name.lower()


def _nodes(tree: Any) -> Iterator[Node]:
    """Every object of the tree, however deep."""
    stack = [tree]
    while stack:
        one = stack.pop()
        if isinstance(one, dict):
            yield one
            stack.extend(one.values())
        elif isinstance(one, list):
            stack.extend(one)


def _ctes(node: Node) -> list[Node]:
    ctes = node.get("cte_map")
    return ctes["map"] if isinstance(ctes, dict) else []


def _refuse(node: Node, views: Collection[str]) -> None:
    """UsageError for what a query has no business with, wherever in the statement it stands."""
    kind = node.get("type")
    if not isinstance(kind, str):
        return
    if kind.endswith("_NODE") and kind not in QUERY_NODES:
        raise UsageError("A query only reads: no part of it may change anything.", ONE_SELECT)
    if kind == "SHOW_REF" and node.get("query") is None:
        raise UsageError("SHOW is refused.", f"{_listed(views)}; `DESCRIBE nav` tells a view's columns.")
    if kind == "TABLE_FUNCTION" and _called(node["function"]) not in TABLE_FUNCTIONS:
        told = _called(node["function"])
        raise UsageError(f"{told}() is refused: it looks outside of the views.", "Name views in FROM.")
    if kind == "FUNCTION" and _called(node) in NEVER:
        raise UsageError(f"{_called(node)}() is refused.", "A query reads the views, and nothing else.")


def _called(function: Node) -> str:
    return _folded(str(function.get("function_name")))


# -- what WHERE leaves ----------------------------------------------------------------------------------


def _mentions(node: Node) -> Iterator[tuple[Node, Wanted]]:
    """The tables of a SELECT's own FROM and what its WHERE leaves of each."""
    if node.get("type") != "SELECT_NODE" or node.get("sample") is not None:
        return
    tables = _joined(node.get("from_table"))
    if tables is None:
        return
    for table in tables:
        if table.get("sample") is None and not table["column_name_alias"] and table.get("at_clause") is None:
            called = _folded(table["alias"] or table["table_name"])
            bare = len(tables) == 1
            yield table, _narrowed(_conjuncts(node.get("where_clause")), called, bare)


def _joined(table: Any) -> list[Node] | None:
    """The tables of inner joins; None where something else stands among them."""
    if not isinstance(table, dict):
        return None
    if table.get("type") == "BASE_TABLE":
        return [table]
    inner = table.get("join_type") == "INNER" and table.get("ref_type") in ("REGULAR", "CROSS")
    if table.get("type") != "JOIN" or not inner:
        return None
    left, right = _joined(table["left"]), _joined(table["right"])
    return None if left is None or right is None else left + right


def _conjuncts(where: Any) -> list[Node]:
    if not isinstance(where, dict):
        return []
    if where.get("type") == "CONJUNCTION_AND":
        return [part for child in where["children"] for part in _conjuncts(child)]
    return [where]


def _narrowed(conjuncts: list[Node], called: str, bare: bool) -> Wanted:
    names: dict[str, frozenset[str]] = {}
    days, closes = EVERYTHING.days, EVERYTHING.closes
    for column, sign, constants in _constraints(conjuncts, called, bare):
        if column in ("asset_id", "resolution") and sign == "=":
            told = {text for text in map(_text, constants) if text is not None}
            if len(told) == len(constants):
                names[column] = names.get(column, frozenset(told)) & told
        elif column == "dt":
            days = _cut(days, sign, [_day(one) for one in constants])
        elif column == "bucket_close":
            closes = _cut(closes, sign, [_moment(one) for one in constants])
    return Wanted(names, days, closes)


def _cut[Bound: (int, str)](span: tuple[Bound, Bound], sign: str, told: list[Bound | None]) -> Any:
    """The span, cut by a comparison with constants; as it was if one of them is not understood."""
    bounds = [one for one in told if one is not None]
    if not bounds or len(bounds) != len(told):
        return span
    low, high = span
    return (
        max(low, min(bounds)) if sign in "=>" else low,
        min(high, max(bounds)) if sign in "=<" else high,
    )


def _constraints(conjuncts: list[Node], called: str, bare: bool) -> Iterator[tuple[str, str, list[Node]]]:
    """(column of the table, sign, constants) of each conjunct that is so plain."""
    for one in conjuncts:
        kind = str(one.get("type"))
        if kind in _COMPARISONS:
            left, right, sign = one["left"], one["right"], _COMPARISONS[kind]
            if _column(left, called, bare) is None:
                left, right, sign = right, left, _MIRRORED[sign]
            plain = [(left, sign, [right])]
        elif kind == "COMPARE_IN":
            plain = [(one["children"][0], "=", one["children"][1:])]
        elif kind == "COMPARE_BETWEEN":
            plain = [(one["input"], ">", [one["lower"]]), (one["input"], "<", [one["upper"]])]
        else:
            continue
        for side, told, constants in plain:
            column = _column(side, called, bare)
            if column is not None:
                yield column, told, constants


def _column(node: Node, called: str, bare: bool) -> str | None:
    """The column's name if the node is one of the table that goes by `called`."""
    if node.get("class") != "COLUMN_REF":
        return None
    names = [_folded(name) for name in node["column_names"]]
    if len(names) == 1 and bare:
        return names[0]
    return names[1] if len(names) == 2 and names[0] == called else None


def _text(node: Node) -> str | None:
    """A string constant."""
    literal = node.get("literal") if node.get("class") == "CONSTANT" else None
    return str(literal["text"]) if isinstance(literal, dict) and literal.get("kind") == "STRING" else None


def _cast_text(node: Node, kinds: Collection[str]) -> str | None:
    """A string constant, bare or cast to one of these types."""
    if node.get("class") != "CAST":
        return _text(node)
    kind = _folded(str(node.get("type_expr", {}).get("type_name")))
    return _text(node["child"]) if kind in kinds and not node.get("try_cast") else None


def _day(node: Node) -> str | None:
    text = _cast_text(node, ("date",))
    if text is None or not _DATE.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        return None


def _moment(node: Node) -> int | None:
    """Microseconds of an instant's constant; the session's zone is UTC, so one without a zone is UTC too."""
    text = _cast_text(node, (*_INSTANT_CASTS, "date"))
    match = None if text is None else _MOMENT.fullmatch(text)
    if match is None or (node.get("class") == "CAST" and match[2] and not _cast_text(node, _INSTANT_CASTS)):
        return None
    return parse_instant(f"{match[1]}T{match[2] or '00:00'}{match[3] or ':00'}Z")
