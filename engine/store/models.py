"""The tables of state.db. Rows are narrow: ids as 16 bytes, repeated texts as numbers of `names`.

Decimals are canonical TEXT: SQLite would turn NUMERIC into doubles. Instants are integers in
microseconds UTC. Of what is derived (lots, values) only the snapshots of the open day are stored here.
"""

from sqlalchemy import (
    BLOB,
    CheckConstraint,
    Column,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData()

meta = Table("meta", metadata, Column("key", Text, primary_key=True), Column("value", Text, nullable=False),
             sqlite_strict=True)  # fmt: skip

names = Table(
    "names", metadata,
    Column("n", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    sqlite_strict=True,
)  # fmt: skip

files = Table(
    "files", metadata,
    Column("file", Integer, primary_key=True),
    Column("sha256", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),  # as dropped: data, to be shown with care
    Column("kind", Text),
    Column("status", Text, nullable=False),  # ingested | rejected | partial (taken up to `rows`)
    Column("bytes", Integer, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("accepted", Integer, nullable=False),
    Column("duplicates", Integer, nullable=False),
    Column("quarantined", Integer, nullable=False),
    Column("fees_created", Integer, nullable=False),
    Column("reason", Text),
    Column("detail", Text),
    Column("committed_at", Integer, nullable=False),
    Column("trace_id", Text),  # the piece of work that took it, and so its rows and its quarantine, in
    CheckConstraint("rows = accepted + duplicates + quarantined", name="nothing_lost"),
    sqlite_strict=True,
)  # fmt: skip

tx = Table(
    "tx", metadata,
    Column("row", Integer, primary_key=True),
    Column("id", BLOB, nullable=False, unique=True),
    Column("file", Integer, nullable=False),
    Column("record", Integer, nullable=False),
    Column("line", Integer, nullable=False),
    Column("ts", Integer, nullable=False),
    Column("action", Integer, nullable=False),
    Column("asset", Integer, nullable=False),
    Column("quantity", Text, nullable=False),
    Column("price", Text),
    Column("fee_asset", Integer),
    Column("fee_amount", Text),
    Column("account", Integer, nullable=False),
    Column("wallet", Integer),
    Column("venue", Integer),
    Column("tx_hash", Text),
    Column("external_id", Text),
    Column("notes", Text),
    Column("kind", Integer, nullable=False),  # KeyKind
    Column("k", Integer, nullable=False),
    Column("marks", Integer, nullable=False),  # bits: MARK_… in known.py
    # NULL: counts. > 0: the row that replaced it. < 0: minus the decision that took it back.
    Column("superseded_by", Integer),
    sqlite_strict=True,
)  # fmt: skip

# Partial: only rows that have such a key pay for it.
Index("tx_by_hash", tx.c.tx_hash, tx.c.account, sqlite_where=text("tx_hash IS NOT NULL"))
Index("tx_by_external_id", tx.c.external_id, tx.c.account, sqlite_where=text("kind = 1"))

id_aliases = Table(
    "id_aliases", metadata,
    Column("id", BLOB, primary_key=True),
    Column("row", Integer, nullable=False),
    sqlite_strict=True, sqlite_with_rowid=False,
)  # fmt: skip

quarantine = Table(
    "quarantine", metadata,
    Column("file", Integer, primary_key=True),
    Column("record", Integer, primary_key=True),
    Column("line", Integer, nullable=False),
    Column("status", Text, nullable=False),  # open | released | rejected
    Column("fields", Text, nullable=False),  # JSON list, as in the file
    Column("reasons", Text, nullable=False),  # JSON list of {code, column, value}: of the fields as they are
    Column("codes", Text),  # the distinct codes of its reasons, sorted, joined by ","
    Column("edited", Text),  # JSON list of the fields after fixes; NULL if nobody changed them
    Column("row", Integer),  # the ledger row that it became
    sqlite_strict=True, sqlite_with_rowid=False,
)  # fmt: skip
Index("quarantine_by_codes", quarantine.c.status, quarantine.c.codes)

price_series = Table(
    "price_series", metadata,
    Column("series", Integer, primary_key=True),
    Column("asset", Text, nullable=False),
    Column("quote", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("resolution", Text, nullable=False),
    UniqueConstraint("asset", "quote", "source", "resolution"),
    sqlite_strict=True,
)  # fmt: skip

prices = Table(
    "prices", metadata,
    Column("series", Integer, primary_key=True),
    Column("asof", Integer, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("open", Text),
    Column("high", Text),
    Column("low", Text),
    Column("close", Text, nullable=False),
    Column("volume", Text),
    Column("file", Integer, nullable=False),
    Column("record", Integer, nullable=False),
    sqlite_strict=True, sqlite_with_rowid=False,
)  # fmt: skip

fx_series = Table(
    "fx_series", metadata,
    Column("series", Integer, primary_key=True),
    Column("base", Text, nullable=False),
    Column("quote", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("resolution", Text, nullable=False),
    UniqueConstraint("base", "quote", "source", "resolution"),
    sqlite_strict=True,
)  # fmt: skip

fx_rates = Table(
    "fx_rates", metadata,
    Column("series", Integer, primary_key=True),
    Column("asof", Integer, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("rate", Text, nullable=False),
    Column("file", Integer, nullable=False),
    Column("record", Integer, nullable=False),
    sqlite_strict=True, sqlite_with_rowid=False,
)  # fmt: skip

decisions = Table(
    "decisions", metadata,
    Column("decision", Integer, primary_key=True),
    Column("kind", Text, nullable=False),  # asset_status | transfer_match | ...
    Column("subject", Text, nullable=False),  # JSON: what it is about
    Column("detail", Text, nullable=False),  # JSON: what was decided
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("committed_at", Integer, nullable=False),
    Column("trace_id", Text),  # the piece of work that it was made in
    sqlite_strict=True,
)  # fmt: skip

lake_files = Table(
    "lake_files", metadata,
    Column("path", Text, primary_key=True),  # below lake/
    Column("dataset", Text, nullable=False),
    Column("resolution", Text, nullable=False),
    Column("dt", Text, nullable=False),
    Column("asset", Text, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("close_min", Integer, nullable=False),
    Column("close_max", Integer, nullable=False),
    Column("sha256", Text, nullable=False),  # of the file's bytes
    Column("content", Text, nullable=False),  # of its rows in canonical text: does not depend on encoding
    Column("schema_id", Integer, nullable=False),
    Column("live_at", Integer, nullable=False),
    Column("dead_at", Integer),
    # How often it was rewritten; -1: retention dropped it, and the file is swept.
    Column("generation", Integer, nullable=False, server_default=text("0")),
    Column("checked_at", Integer),  # when its bytes were last found to be what was written
    Column("dropped_at", Integer),  # by retention: its digest stays when its file is gone
    Column("trace_id", Text),  # the piece of work that made it live
    sqlite_strict=True,
)  # fmt: skip
Index("lake_live", lake_files.c.dataset, lake_files.c.resolution, lake_files.c.dt, lake_files.c.asset,
      sqlite_where=text("dead_at IS NULL"))  # fmt: skip
Index("lake_of_asset", lake_files.c.dataset, lake_files.c.resolution, lake_files.c.asset, lake_files.c.dt,
      sqlite_where=text("dead_at IS NULL"))  # fmt: skip
Index("lake_dead", lake_files.c.dead_at, sqlite_where=text("dead_at IS NOT NULL"))

# Snapshots of days that are not over, as `snapshots/schemas.py` has them; such a partition has no live file.
open_snapshots = Table(
    "open_snapshots", metadata,
    Column("bucket", Text, primary_key=True),  # 5m | 1h | 1d: what the lake calls its resolution
    Column("bucket_close", Integer, primary_key=True),
    Column("asset_id", Text, primary_key=True),
    Column("account", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("dt", Text, nullable=False),
    Column("quantity", Text),
    Column("price", Text),
    Column("quote_currency", Text),
    Column("price_source", Text),
    Column("resolution", Text),  # of the price
    Column("asof", Integer),
    Column("fx_source", Text),
    Column("fx_rate", Text),
    Column("fx_asof", Integer),
    Column("drift_bps", Text),
    Column("value", Text),
    Column("reason", Text),
    Column("held", Text),
    Column("flags", Text),
    sqlite_strict=True, sqlite_with_rowid=False,
)  # fmt: skip

valued = Table(
    "valued", metadata,
    Column("resolution", Text, primary_key=True),
    Column("dt", Text, primary_key=True),
    Column("close_first", Integer, nullable=False),
    Column("close_last", Integer, nullable=False),
    Column("committed_at", Integer, nullable=False),
    Column("dropped_at", Integer),  # by retention: valued once, and not there to be read
    sqlite_strict=True, sqlite_with_rowid=False,
)  # fmt: skip

# What stands or was: derived, like the catalogue, so no part of the journal. Acknowledgements are decisions.
alerts = Table(
    "alerts", metadata,
    Column("alert", Integer, primary_key=True),
    Column("code", Text, nullable=False),
    Column("about", Text, nullable=False),  # which of several things; empty where there is one
    Column("state", Text, nullable=False),  # pending | raised | cleared
    Column("since", Integer, nullable=False),  # bad from then on
    Column("text", Text, nullable=False),
    Column("hint", Text, nullable=False),
    Column("raised_at", Integer),
    Column("well_since", Integer),
    Column("cleared_at", Integer),
    Column("owed", Integer, nullable=False),  # bits: what is still to be delivered
    sqlite_strict=True,
)  # fmt: skip
