"""The engine: everything that keeps the books. It never imports Textual and never draws.

The console reaches it through `engine.api` and nothing else.
"""
