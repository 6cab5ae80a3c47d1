"""Watching the engine run: spans, log lines and figures of its own. No figure of the books depends on it."""
