"""An alert handed to the operator's own command."""

from collections.abc import Sequence
from pathlib import Path

from engine import hooks
from engine.runtime.alerts.courier import Message, NotDelivered

HOOK_S = 30.0  # a command that takes longer is ended
TOLD_CHARS = 300  # of what went wrong, in a line of the log


async def run_hook(command: Sequence[str], message: Message, folder: Path, timeout_s: float = HOOK_S) -> None:
    """Runs the command with the message on its input. NotDelivered unless it ends with 0 in time."""
    ended = await hooks.run_hook(command, message, folder, timeout_s)
    if ended.error is not None:
        raise NotDelivered(ended.error[:TOLD_CHARS])
