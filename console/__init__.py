"""The console: the command line and the Textual app. Of the engine it imports `engine.api` only."""
