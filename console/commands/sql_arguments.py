"""The verb `sql` and what it takes."""

from typing import Any

from console.commands.arguments import add_verb, number, text


def add(verbs: Any) -> None:
    """`sql QUERY`."""
    about = "one SELECT over the books, in a process that can write nothing"
    verb = add_verb(verbs, "sql", about, "QUERY [options]")
    verb.add_argument("query", metavar="QUERY", type=text, help="one SELECT; `DESCRIBE nav` tells columns")
    verb.add_argument("--limit", metavar="N", type=number, help="so many rows at most")
    verb.add_argument("--timeout", metavar="S", type=number, help="seconds it may take, otherwise 600")
    verb.add_argument("--parquet", metavar="FILE", help="into a new Parquet file instead of standard output")
