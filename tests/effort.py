"""How many examples a property test draws: a third by default, all with THOROUGH=1, as .ci/run has it."""

import os


def examples(all_of_them: int) -> int:
    """Every run draws others, so that the thirds of many runs add up."""
    return all_of_them if os.environ.get("THOROUGH") else all_of_them // 3
