"""The quarantine desk: what an operator can ask about rows that were set aside, and do with them."""
