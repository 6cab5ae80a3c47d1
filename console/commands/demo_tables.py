"""The demo's summary as tables: what came in, what it is worth, what is withheld, what was done."""

from typing import Any

from rich.console import RenderableType
from rich.text import Text

from console.commands import tables
from console.commands.grid import BAD, GOOD, hint, pairs, section, show, text
from console.commands.ingest_tables import came_in
from console.commands.nav_tables import nav_summary, nav_words, withheld
from console.text import safe_text

Document = dict[str, Any]


def demo(document: Document, hourly: Document, books: Document) -> None:
    """The demo's summary: what came in, what is held, what it is worth, what is withheld and why."""
    home, base = document["home"], safe_text(document["nav"]["base_currency"])
    parts: list[RenderableType] = [section("What came in", *came_in(document["ingest"]))]
    parts.append(section("Holdings", tables.holdings(books["open_lots"])))
    if books["in_transit"]:
        parts.append(section("Transfers under way", tables.in_transit(books["in_transit"])))
    daily, told = document["nav"], nav_words(document["nav"])
    parts.append(section(f"NAV in {base} at 1d closes", nav_summary(daily), Text(""), *told))
    parts.append(section("Withheld at 1h closes, and why", withheld(hourly)))
    parts.append(section("What was done about it", *(_story_line(step) for step in document["story"])))
    parts += [pairs([("digest", document["digest"]), ("home", home)]), Text("")]
    parts.append(Text("Try next", style="bold"))
    tries = ("status", "nav --resolution 1h", "lots --asset ETH", "quarantine list", "verify")
    show(*parts, *(hint(f"navdeck {verb} --home {home}") for verb in tries))


def _story_line(step: Document) -> Text:
    return text(f"✓ {step['told']}", GOOD) if step["done"] else text(f"✗ {step['told']}", BAD)
