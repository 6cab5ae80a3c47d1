"""The one place that joins stages: it opens files and the store, calls the stages, commits, then tells."""
