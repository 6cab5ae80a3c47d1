"""Tests, by the tree that they mirror; and what all of their processes share."""

import os
import sys
from pathlib import Path

# Whoever wants no compiled code beside the sources gets it elsewhere: hundreds of processes start in one run,
# and without it each would compile all that it imports.
if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
    sys.dont_write_bytecode = False
    sys.pycache_prefix = str(Path(__file__).resolve().parents[1] / ".pytest_cache" / "compiled")
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix

# As an engine's workers have it on two cores; for frames of ten rows more threads cost more than they give.
os.environ.setdefault("POLARS_MAX_THREADS", "1")
