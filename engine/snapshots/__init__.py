"""Snapshots as Parquet: written once, named by content, read back by explicit list. It commits nothing."""
