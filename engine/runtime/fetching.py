"""Has the home's providers asked for what is missing; what they give lies in the inbox.

It takes nothing in by itself but for a backfill, which is done when all that was fetched has been taken.
"""

from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING, Any

from engine.config import Config
from engine.errors import UsageError
from engine.messages import Command
from engine.runtime.clock import steady_us
from engine.runtime.executors import Executor
from engine.runtime.home import Home
from engine.runtime.intake import Intake
from engine.runtime.taken import totals
from engine.runtime.tasks import WANTED
from engine.runtime.telling import Telling

if TYPE_CHECKING:
    from engine.runtime.feeds import Feeds, Round


class Fetching:
    """The providers of one home, connected when they are first needed and kept until `close`."""

    def __init__(
        self, home: Home, config: Config, executor: Executor, telling: Telling, intake: Intake
    ) -> None:  # fmt: skip
        self._home, self._config, self._executor = home, config, executor
        self._telling, self._intake = telling, intake

    @cached_property
    def feeds(self) -> "Feeds":
        """The home's providers. UsageError where one that is configured lacks its key."""
        from engine.runtime.feeds import over_http  # what speaks HTTP takes half a second to import

        return over_http(self._home, self._config, self._telling.now, steady_us, self._heard)

    async def close(self) -> None:
        """Ends connections."""
        if "feeds" in self.__dict__:
            await self.feeds.close()

    def states(self) -> list[dict[str, Any]]:
        """A row a provider; none as long as none was needed."""
        return self.feeds.states() if "feeds" in self.__dict__ else []

    async def fetch_missing(self, arguments: dict[str, Any]) -> "Round":
        """One round: what is missing is fetched, and lies in the inbox then."""
        arguments = arguments | {"pairs": self._config["providers.pairs"]}
        found = await self._executor.run(WANTED, str(self._home.path), self._telling.now(), arguments)
        with self._telling.step("fetch"):
            done = await self.feeds.round(found)
        self._tell_states()
        return done

    async def backfill(self, command: Command) -> dict[str, Any]:
        """Rounds until nothing is left to ask, then the inbox."""
        if not self._config["providers.order"]:
            raise UsageError("No provider is configured.", "Name them in providers.order in navdeck.toml.")
        done = await self.fetch_missing(command.arguments)
        while done.left and not done.troubles:
            done = done.and_then(await self.fetch_missing(command.arguments))
        entries, _ = await self._intake.take_inbox()
        return asdict(done) | {"ingest": {"files": entries, "totals": totals(entries)}}

    async def open_or_shut(self, command: Command) -> dict[str, Any]:
        """Opens or closes a provider; told, and kept over restarts. UsageError to close without a reason."""
        name = str(command.arguments.get("name"))
        if command.name == "provider_open":
            self.feeds.open(name)
        elif not command.reason.strip():
            raise UsageError("Closing a provider needs a reason.", "Say why with --reason.")
        else:
            self.feeds.shut(name, f"{command.reason.strip()} ({command.actor})")
        told = f"{name}: {command.reason or 'by an operator'} ({command.actor})"
        self._telling.log("info", command.name, told)
        self._tell_states()
        return {"providers": self.feeds.states()}

    def _heard(self, name: str, code: str, text: str) -> None:
        self._telling.log("warn", f"provider_{code.lower()}", f"{name}: {text}")
        self._tell_states()

    def _tell_states(self) -> None:
        self._telling.tell("providers", {"providers": self.feeds.states()})
