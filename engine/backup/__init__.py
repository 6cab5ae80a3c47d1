"""Backups: made, checked, restored, drilled. It knows the store's files and nothing of how a home works."""
