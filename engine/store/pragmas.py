"""How every connection that writes state.db is set."""

PRAGMAS = (
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA busy_timeout=5000",  # ms; a reader's snapshot may hold a checkpoint up for a moment
    "PRAGMA journal_size_limit=67108864",  # bytes; the WAL is cut back to this after a checkpoint
    "PRAGMA wal_autocheckpoint=4000",  # pages; a checkpoint writes them once more, so not after each file
    "PRAGMA cell_size_check=ON",
    "PRAGMA trusted_schema=OFF",
    "PRAGMA mmap_size=0",
    "PRAGMA cache_size=-65536",  # KiB; one file's pages fit, so that none is written to the WAL twice
)
