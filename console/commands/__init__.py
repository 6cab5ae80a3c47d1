"""The command line, area by area: *arguments* say what a verb takes, *verbs* ask the engine, *tables* print.

cli.py parses with the arguments alone, and imports the rest when a verb is to run.
"""
