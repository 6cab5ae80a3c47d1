"""Files named bench_*.py are collected too; their marker keeps them out of the default run."""

from pathlib import Path

import pytest


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    is_bench = file_path.name.startswith("bench_") and file_path.suffix == ".py"
    if not is_bench or parent.session.isinitpath(file_path):
        return None
    return pytest.Module.from_parent(parent, path=file_path)
