"""The console's wire: how a client reaches an engine. It carries messages and understands none of them."""
