"""Providers at work for one home: what is missing is fetched, and lands in the inbox like any file.

Owns which providers there are (by configuration), their state across restarts, and what each has answered
that it has nothing. An answer's bytes are kept in archive/ as they came, keys struck out. Nothing is valued
or stored here: what was fetched goes the way of every file, rules and quarantine included.
"""

import asyncio
import hashlib
import json
import os
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import httpx2

from engine.config import Config
from engine.domain.instants import format_instant
from engine.errors import UsageError
from engine.providers import (
    binance,
    coingecko,
    embedded_ecb,
    exchangerate,
    frankfurter,
)
from engine.providers import file as file_provider
from engine.providers.backfill import Fetch
from engine.providers.limits import MonthCap
from engine.providers.protocol import (
    NOT_PUBLISHED,
    Answer,
    Instrument,
    PriceProvider,
    Provider,
    RateProvider,
    Series,
)
from engine.providers.secrets import Secret
from engine.providers.transport import Ports, ProviderState
from engine.runtime import gaps
from engine.runtime.home import Home, safe_name
from engine.runtime.telemetry.spans import span
from engine.store.files import publish
from engine.valuation.market_hours import is_target_day

STATE_NAME = "providers.json"
FETCHES_MAX = 200  # calls of one round; the next one goes on
KEY_VARIABLES = {"coingecko": "NAVDECK_COINGECKO_KEY", "exchangerate": "NAVDECK_EXCHANGERATE_KEY"}


@dataclass
class Round:
    """What one round did."""

    calls: int = 0
    observations: int = 0
    files: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    left: int = 0  # calls that are still to be made

    def and_then(self, later: "Round") -> "Round":
        """Both, as one."""
        return Round(
            self.calls + later.calls, self.observations + later.observations, [*self.files, *later.files],
            [*self.troubles, *later.troubles], later.left,
        )  # fmt: skip


class Feeds:
    """The providers of one home, in order. ConfigInvalid where the configuration names what is none."""

    def __init__(self, home: Home, config: Config, ports: Ports, environment: Mapping[str, str]) -> None:
        self._home, self._config, self._ports = home, config, ports
        self._path = home.path / "run" / STATE_NAME
        memory = read_memory(self._path)
        self._calls: dict[str, dict[str, Any]] = memory.get("months", {})
        self.providers = providers_of(config, ports, environment, self._month_cap)
        self._silent = _silences(memory.get("silent", []))
        for provider in self.providers:
            if (caller := getattr(provider, "caller", None)) is not None:
                caller.restore(memory.get("callers", {}).get(provider.name, {}))

    async def close(self) -> None:
        """Ends all connections."""
        await self._ports.http.aclose()

    # -- what is known of them --

    def states(self) -> list[dict[str, Any]]:
        """A row a provider, as `providers status` tells it."""
        return [_told(provider) for provider in self.providers]

    def open(self, name: str) -> None:
        """Calls go again; the first is a probe. UsageError for a provider that makes no calls."""
        self._caller(name).resume()
        self.save()

    def shut(self, name: str, reason: str) -> None:
        """No call goes until it is opened."""
        self._caller(name).shut(reason)
        self.save()

    def _caller(self, name: str) -> Any:
        found = {provider.name: provider for provider in self.providers}.get(name)
        if found is None:
            named = ", ".join(provider.name for provider in self.providers) or "none is configured"
            raise UsageError(f"There is no provider {name!r:.40}.", f"Providers: {named}.")
        caller = getattr(found, "caller", None)
        if caller is None:
            raise UsageError(f"{name} reads files here: there is nothing to open or close.")
        return caller

    def save(self) -> None:
        """Keeps what must outlive this process, and what others may show."""
        callers = {
            provider.name: provider.caller.memory()
            for provider in self.providers
            if hasattr(provider, "caller")
        }
        silent = [[name, *series, sorted(instants)] for (name, series), instants in self._silent.items()]
        document = {
            "told_at": format_instant(self._ports.now_us()), "states": self.states(), "callers": callers,
            "months": self._calls, "silent": silent,
        }  # fmt: skip
        publish(self._path, json.dumps(document).encode())

    def _month_cap(self, name: str, calls_max: int) -> MonthCap:
        async def keep(month: str, calls: int) -> None:
            self._calls[name] = {"month": month, "calls": calls}
            await asyncio.to_thread(self.save)

        known = self._calls.get(name, {})
        return MonthCap(calls_max, keep, known.get("month", ""), known.get("calls", 0))

    # -- a round --

    def plan(self, wanted: gaps.Wanted) -> Any:
        """What to ask of whom."""
        return gaps.plan(wanted, self.providers, self._ports.now_us(), self._silent)

    async def round(self, wanted: gaps.Wanted) -> Round:
        """Fetches what is wanted, up to FETCHES_MAX calls; the files are in the inbox when it returns."""
        made = self.plan(wanted)
        done = Round()
        tired: set[str] = set()  # providers that failed in this round
        by_name = {provider.name: provider for provider in self.providers}
        had: dict[Series, set[int]] = {}
        for fetch in made.fetches[:FETCHES_MAX]:
            if fetch.provider in tired:
                continue
            answer = await _fetched(by_name[fetch.provider], fetch)
            done.calls += 1
            await asyncio.to_thread(self._keep, fetch, answer, wanted[fetch.series], done)
            had.setdefault(fetch.series, set()).update(_given(fetch, answer, wanted[fetch.series]))
            if answer.trouble is not None:
                tired.add(fetch.provider)
                done.troubles.append(str(answer.trouble))
        await asyncio.to_thread(self.save)
        rest = {series: [at for at in instants if at not in had.get(series, ())]
                for series, instants in wanted.items()}  # fmt: skip
        done.left = sum(fetch.provider not in tired for fetch in self.plan(rest).fetches)
        return done

    def _keep(self, fetch: Fetch, answer: Answer, wanted: Iterable[int], done: Round) -> None:
        """The answer as it came into the archive, its observations into the inbox, its silences in mind."""
        for page in answer.pages:
            digest = hashlib.sha256(page.body).hexdigest()
            path = self._home.archived(digest, ".answer")
            if not path.exists():
                publish(path, page.body)
        for data in answer.csv_files():
            name = _file_name(fetch, data)
            publish(self._home.inbox / name, data)
            done.files.append(name)
        done.observations += len(answer.rows)
        nothing = [gap for gap in answer.gaps if gap.reason == NOT_PUBLISHED]
        silent = {at for gap in nothing for at in wanted if gap.start < at <= gap.end}
        if silent:
            self._silent.setdefault((fetch.provider, fetch.series), set()).update(silent)


def _given(fetch: Fetch, answer: Answer, wanted: Iterable[int]) -> set[int]:
    """The wanted instants of a call that are no gap in its answer."""
    asked = {at for at in wanted if fetch.start < at <= fetch.end}
    return {at for at in asked if not any(gap.start < at <= gap.end for gap in answer.gaps)}


async def _fetched(provider: Provider, fetch: Fetch) -> Answer:
    series = fetch.series
    with span("provider_call", provider=fetch.provider, **series._asdict()) as step:
        answer = await _asked(provider, fetch)
        step.attributes |= {"observations": len(answer.rows), "pages": len(answer.pages)}
        if answer.trouble is not None:
            step.fail(answer.trouble.code, str(answer.trouble))
    return answer


async def _asked(provider: Provider, fetch: Fetch) -> Answer:
    series = fetch.series
    if series.kind == "price":  # the plan asks nobody for what he does not give
        prices = cast(PriceProvider, provider)
        return await prices.fetch_prices(series.name, series.resolution, fetch.start, fetch.end)
    base, quote = series.name.split("/")
    return await cast(RateProvider, provider).fetch_rates(base, [quote], *fetch.days)


def _file_name(fetch: Fetch, data: bytes) -> str:
    """Says where it is from; the digest keeps two of one span apart."""
    span = f"{format_instant(fetch.start + 1)[:16]}_{format_instant(fetch.end)[:16]}"
    stem = safe_name(f"{fetch.provider}_{fetch.series.name}_{fetch.series.resolution}_{span}")
    return f"{stem}_{hashlib.sha256(data).hexdigest()[:8]}.csv"


# -- by configuration ---------------------------------------------------------------------------------


def providers_of(
    config: Config, ports: Ports, environment: Mapping[str, str], month_cap: Callable[[str, int], MonthCap]
) -> list[Provider]:
    """The providers that `providers.order` names, best first."""
    make: dict[str, Callable[[], Provider]] = {
        "binance": lambda: _binance(config, ports),
        "coingecko": lambda: _coingecko(config, ports, environment),
        "frankfurter": lambda: _frankfurter(config, ports),
        "exchangerate": lambda: _exchangerate(config, ports, environment, month_cap),
        "embedded_ecb": lambda: embedded_ecb.EmbeddedEcb(is_target_day),
        "file": lambda: file_provider.FileProvider(
            Path(config["providers.file.folder"]), config["providers.file.assets"],
            config["providers.pairs"], is_target_day,
        ),
    }  # fmt: skip
    return [make[name]() for name in config["providers.order"]]


def _instruments(config: Config, name: str) -> dict[str, Instrument]:
    return {asset: Instrument(*told.rsplit("/", 1)) for asset, told in config[f"providers.{name}.ids"]}


def _binance(config: Config, ports: Ports) -> Provider:
    root = config["providers.binance.root"] or binance.ROOT
    terms = binance.terms(root, config["providers.binance.weight_a_minute"])
    return binance.Binance(_instruments(config, "binance"), terms, ports)


def _frankfurter(config: Config, ports: Ports) -> Provider:
    terms = frankfurter.terms(config["providers.frankfurter.root"] or frankfurter.ROOT)
    return frankfurter.Frankfurter(_quotes(config).get("EUR", []), terms, ports, is_target_day)


def _coingecko(config: Config, ports: Ports, environment: Mapping[str, str]) -> Provider:
    key, pro = _key("coingecko", environment), config["providers.coingecko.pro"]
    terms = coingecko.terms(
        key, pro, config["providers.coingecko.root"], config["providers.coingecko.calls_a_minute"]
    )
    return coingecko.CoinGecko(_instruments(config, "coingecko"), terms, ports, key, pro)


def _exchangerate(
    config: Config, ports: Ports, environment: Mapping[str, str], month_cap: Callable[[str, int], MonthCap]
) -> Provider:
    key = _key("exchangerate", environment)
    if key is None:
        raise UsageError(
            "exchangerate is in providers.order and has no key.",
            f"Put it into {KEY_VARIABLES['exchangerate']}, or the name of its file into …_FILE.",
        )
    cap = month_cap("exchangerate", config["providers.exchangerate.calls_a_month"])
    terms = exchangerate.terms(key, cap, config["providers.exchangerate.root"] or exchangerate.ROOT)
    return exchangerate.ExchangeRate(_quotes(config), terms, ports, key)


def _quotes(config: Config) -> dict[str, list[str]]:
    """The configured pairs: base -> its quotes."""
    found: dict[str, list[str]] = {}
    for pair in config["providers.pairs"]:
        base, quote = pair.split("/")
        found.setdefault(base, []).append(quote)
    return found


def _key(name: str, environment: Mapping[str, str]) -> Secret | None:
    """The key from the environment, or from the file that it names."""
    variable = KEY_VARIABLES[name]
    if variable in environment:
        return Secret(environment[variable])
    if f"{variable}_FILE" in environment:
        return Secret(Path(environment[f"{variable}_FILE"]).read_text().strip())
    return None


# -- what is kept -------------------------------------------------------------------------------------


def read_memory(path: Path) -> dict[str, Any]:
    """What `save` kept; nothing if there is nothing, or it cannot be read."""
    try:
        found = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _silences(told: list[Any]) -> dict[tuple[str, Series], set[int]]:
    return {
        (name, Series(kind, series, resolution)): set(instants)
        for name, kind, series, resolution, instants in told
    }


def _told(provider: Provider) -> dict[str, Any]:
    """A provider's state as JSON; one without calls is always there."""
    state: Callable[[], ProviderState] | None = getattr(provider, "state", None)
    if state is None:
        return {"name": provider.name, "state": "closed", "reason": "", "level": None, "calls_left": None}
    told = asdict(state())
    return {
        name: format_instant(value) if name in _INSTANTS and value is not None else value
        for name, value in told.items()
    }


_INSTANTS = ("cooldown_until", "next_probe", "last_ok_at", "last_error_at")


def providers_status(home_path: str, _now: int, _arguments: dict[str, Any]) -> dict[str, Any]:
    """`providers status --json`: as last told by whoever called them."""
    home = Home(Path(home_path))
    memory = read_memory(home.path / "run" / STATE_NAME)
    known = {row["name"]: row for row in memory.get("states", [])}
    blank = {"state": "closed", "reason": "", "level": 100, "calls_left": None}
    order = home.config()["providers.order"]
    rows = [known.get(name, {"name": name} | blank) for name in order]
    return {"told_at": memory.get("told_at"), "providers": rows}


def gaps_told(home_path: str, now: int, arguments: dict[str, Any]) -> dict[str, Any]:
    """`gaps --json`: what is missing to value what is held, and who could give it. Calls nobody."""
    home = Home(Path(home_path))
    config = home.config()
    found = gaps.wanted(home_path, now, arguments | {"pairs": config["providers.pairs"]})
    name, kind = arguments.get("series"), arguments.get("kind")
    found = {s: at for s, at in found.items() if name in (None, s.name) and kind in (None, s.kind)}
    made = Feeds(home, config, silent_ports(now), os.environ).plan(found)
    rows = gaps.told(found, made)
    return {"gaps": rows, "missing": sum(row["missing"] for row in rows)}


def over_http(
    home: Home, config: Config, clock: Callable[[], int], steady_us: Callable[[], int],
    tell: Callable[[str, str, str], None],
) -> Feeds:  # fmt: skip
    """The home's providers, called over the network. `tell`: provider, code and text of what happened."""
    http = httpx2.AsyncHTTPTransport()
    ports = Ports(
        clock, steady_us, asyncio.sleep, random.random, http,
        lambda fact: tell(fact.provider, fact.code, fact.text),
    )  # fmt: skip
    return Feeds(home, config, ports, os.environ)


def silent_ports(now: int) -> Ports:
    """A world in which time stands still and nobody is called."""

    async def sleep(_seconds: float) -> None:
        raise AssertionError("nobody waits here")

    return Ports(
        lambda: now, lambda: now, sleep, lambda: 0.0, httpx2.AsyncBaseTransport(), lambda _fact: None
    )
