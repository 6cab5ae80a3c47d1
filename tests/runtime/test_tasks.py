"""Tasks are named, and each name leads to a function."""

from importlib import import_module

import pytest

from engine.runtime import backups, tasks

NAMED = {f"query {name}": task for name, task in tasks.QUERIES.items()}
NAMED |= {f"act {name}": task for name, task in tasks.ACTS.items()}
NAMED |= {name: task for name, task in vars(tasks).items() if isinstance(task, tasks.Task)}


@pytest.mark.parametrize("name", NAMED)
def test_name__leads_to_a_function_of_that_module(name: str) -> None:
    module = import_module(f"engine.{NAMED[name].module}")
    assert getattr(module, NAMED[name].name).__module__ == module.__name__


def test_backups__every_job_can_be_asked_for() -> None:
    assert set(tasks.BACKUPS) == set(backups.ACTS)
