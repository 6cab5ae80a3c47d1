"""Runs cases in turn, each run in a fresh process, and prints medians and ratios to the first case.

A case is a function of `arguments` that returns its own seconds, without imports and preparation.
"""

import json
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
Case = Callable[..., dict[str, Any]]


def answer(cases: Mapping[str, Case]) -> None:
    """The main of a module of cases: runs the one named and prints its seconds and its own peak memory."""
    name, *arguments = sys.argv[1:]
    found = cases[name](*arguments)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"peak_mb": peak / 1024} | found))


def table(title: str, module: str, cases: Sequence[str], arguments: Sequence[str], rounds: int) -> str:
    """One line a case: seconds (median, least), median ratio to the first case of the same round, peak MB."""
    found: dict[str, list[dict[str, Any]]] = {case: [] for case in cases}
    for _ in range(rounds):
        for case in cases:
            found[case].append(_run(module, case, arguments))
    lines = [f"\n{title}, n = {rounds}"]
    lines.append(f"{'case':24} {'median s':>9} {'min s':>7} {'x first':>8} {'peak MB':>8}")
    for case, runs in found.items():
        seconds = [run["seconds"] for run in runs]
        ratios = [run["seconds"] / base["seconds"] for run, base in zip(runs, found[cases[0]], strict=True)]
        peak = max(run["peak_mb"] for run in runs)
        told = {name: value for name, value in runs[0].items() if name not in ("seconds", "peak_mb")}
        about = " ".join(f"{name}={value}" for name, value in told.items())
        lines.append(
            f"{case:24} {statistics.median(seconds):9.3f} {min(seconds):7.3f}"
            f" {statistics.median(ratios):8.2f} {peak:8.0f}  {about}"
        )
    return "\n".join(lines)


def _run(module: str, case: str, arguments: Sequence[str]) -> dict[str, Any]:
    command = [sys.executable, "-m", module, case, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
