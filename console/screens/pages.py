"""Rows fetched a page at a time, and the marks on rows, which outlive pages and filters. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any

Document = dict[str, Any]

PAGE_ROWS = 200  # asked for at once; far more than a screen shows
PAGES_KEPT = 20  # the engine is asked again for older ones


class Pages:
    """The rows that were fetched, a page at a time; the newest pages are kept."""

    def __init__(self) -> None:
        self.total = 0
        self.by_reason: dict[str, int] = {}
        self._pages: dict[int, list[Document]] = {}

    def row(self, index: int) -> Document | None:
        """The row, if its page is here."""
        page = self.of(index // PAGE_ROWS)
        return page[index % PAGE_ROWS] if index % PAGE_ROWS < len(page) else None

    def of(self, page: int) -> list[Document]:
        """The rows of a page, if it is here."""
        return self._pages.get(page, [])

    def rows(self, first: int, last: int) -> list[Document] | None:
        """The rows from `first` to `last`, both in; None if one of them is not here."""
        found = [row for index in range(first, last + 1) for row in [self.row(index)] if row is not None]
        return found if len(found) == last + 1 - first else None

    def known(self) -> list[Document]:
        """All rows that are here."""
        return [row for rows in self._pages.values() for row in rows]

    def take(self, page: int, found: Document) -> None:
        """Keeps a page as the engine told it. Another total means that the others tell of another list."""
        if found["total"] != self.total:
            self._pages.clear()
        self.total = found["total"]
        self.by_reason = found.get("by_reason", {})
        self._pages[page] = found["rows"]
        while len(self._pages) > PAGES_KEPT:
            self._pages.pop(next(iter(self._pages)))

    def renew(self) -> None:
        """What was fetched may be old now: only the newest page is kept, to be shown until it comes again."""
        self._pages = dict(list(self._pages.items())[-1:])


class Marks:
    """The rows that were marked, by id, with what was known of them then."""

    def __init__(self) -> None:
        self._rows: dict[str, Document | None] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, id: str) -> bool:
        return id in self._rows

    def ids(self) -> list[str]:
        """In the order in which they were marked."""
        return list(self._rows)

    def turn(self, row: Document) -> None:
        """Marks the row, or takes its mark away."""
        if row["id"] in self._rows:
            del self._rows[row["id"]]
        else:
            self._rows[row["id"]] = row

    def add(self, rows: Iterable[Document]) -> None:
        """Marks the rows."""
        self._rows |= {row["id"]: row for row in rows}

    def add_ids(self, ids: Iterable[str]) -> None:
        """Marks rows of which only the ids are known."""
        for id in ids:
            self._rows.setdefault(id, None)

    def forget(self, ids: Iterable[str]) -> None:
        """Takes these marks away."""
        for id in ids:
            self._rows.pop(id, None)

    def known(self, ids: Sequence[str]) -> list[Document]:
        """What is known of these rows."""
        return [row for id in ids for row in [self._rows.get(id)] if row is not None]
