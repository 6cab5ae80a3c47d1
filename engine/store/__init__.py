"""state.db, the truth, and the files beside it. One writer, many readers; no rule of the trade lives here."""
