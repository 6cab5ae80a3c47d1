"""Settings: what they are, where each value comes from, and every problem with them at once.

Order of precedence: NAVDECK_ environment variables, then navdeck.toml, then the defaults below.
Three settings are fixed when a home is made, because figures depend on them: see FIXED.
"""

import json
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

from engine.domain.money import SCALE, is_plain, to_scaled, to_text
from engine.errors import ConfigInvalid

CONFIG_NAME = "navdeck.toml"
CASH_ASSETS = (
    "USD", "EUR", "GBP", "CHF", "JPY", "CAD", "AUD", "NZD", "SEK",
    "NOK", "DKK", "PLN", "CZK", "HUF", "CNY", "HKD", "SGD",
)  # fmt: skip
LOT_METHODS = ("FIFO", "LIFO", "HIFO")
FIXED = ("base_currency", "timezone", "lot_method")
PERIODS_PER_YEAR = (("1d", 365), ("1h", 8_760), ("5m", 105_120))
GRAPHS = ("braille", "block", "ascii")
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
PROVIDERS = ("binance", "coingecko", "frankfurter", "exchangerate", "embedded_ecb", "file")
BATCH_ROWS = 4000  # rows a statement: large enough to be fast, small enough to show progress
WINDOW_ROWS = 250_000  # rows of a Parquet file that are in memory at a time
CLOSES = 8_640  # closes of one asset valued at a time: 30 days of 5m
FREE_BYTES_MIN = 2_000_000_000  # bytes; room to finish what is under way, and to say so

_ASSET_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its dotted key in navdeck.toml, default, reader of a raw value, and what it is for."""

    key: str
    default: Any
    read: Callable[[Any], Any]
    help: str

    @property
    def variable(self) -> str:
        """The environment variable that overrides it."""
        return "NAVDECK_" + self.key.replace(".", "_").upper()


def _asset(raw: Any) -> str:
    if not isinstance(raw, str) or not _ASSET_ID.fullmatch(raw):
        raise ValueError("must be an asset id such as USD")
    return raw


@cache
def _zones() -> frozenset[str]:
    """The names of all zones: some hundred files are looked at for them, so once is enough."""
    return frozenset(available_timezones())


def _zone(raw: Any) -> str:
    if not isinstance(raw, str) or (raw != "UTC" and raw not in _zones()):
        raise ValueError("must be an IANA time zone such as Europe/Berlin")
    return str(raw)


def _choice(*choices: str) -> Callable[[Any], str]:
    def read(raw: Any) -> str:
        if raw not in choices:
            raise ValueError("must be one of " + ", ".join(choices))
        return str(raw)

    return read


def _theme(raw: Any) -> str:
    if not isinstance(raw, str) or not re.fullmatch(r"[a-z][a-z0-9-]{0,40}", raw):
        raise ValueError("must be a theme's name, of a-z, 0-9 and hyphens")
    return raw


def _texts(raw: Any) -> tuple[str, ...]:
    items = [item.strip() for item in raw.split(",") if item.strip()] if isinstance(raw, str) else raw
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) and item for item in items):
        raise ValueError("must be a list of texts")
    if len(set(items)) != len(items):
        raise ValueError("names something twice")
    return tuple(items)


def _assets(raw: Any) -> tuple[str, ...]:
    return tuple(_asset(item) for item in _texts(raw))


def _pairs(raw: Any) -> tuple[str, ...]:
    items = _texts(raw)
    for item in items:
        sides = item.split("/")
        if len(sides) != 2 or not all(_ASSET_ID.fullmatch(side) for side in sides) or sides[0] == sides[1]:
            raise ValueError("must list pairs such as EUR/USD")
    return items


def _pegs(raw: Any) -> tuple[tuple[str, str], ...]:
    if isinstance(raw, str):
        raw = _pairs_of(raw)
    if not isinstance(raw, dict):
        raise ValueError('must be a table such as USDT = "USD"')
    pegs = {_asset(token): _asset(to) for token, to in raw.items()}
    for token, to in pegs.items():
        if token == to or to in pegs:
            raise ValueError(f"{token} must be pegged to a currency that is not itself pegged")
    return tuple(sorted(pegs.items()))


def _holding(raw: Any) -> str:
    if not isinstance(raw, str) or not re.fullmatch("[1-9][0-9]{0,3}[ymd]", raw):
        raise ValueError("must be a number of years, months or days such as 1y, 6m or 365d")
    return raw


def _groups(raw: Any) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Names with their accounts; in the environment as lines of TOML."""
    try:
        table = tomllib.loads(raw) if isinstance(raw, str) else raw
    except tomllib.TOMLDecodeError:
        table = None
    if not isinstance(table, dict):
        raise ValueError('must be a table such as cold = ["ledger", "vault"]')
    return tuple(sorted((name, _texts(accounts)) for name, accounts in table.items()))


def _periods(raw: Any) -> tuple[tuple[str, int], ...]:
    table = _pairs_of(raw) if isinstance(raw, str) else raw
    if not isinstance(table, dict) or not set(table) <= set(dict(PERIODS_PER_YEAR)):
        raise ValueError("must be a table such as 1d = 365, 1h = 8760, 5m = 105120")
    return tuple((dict(PERIODS_PER_YEAR) | {name: _count(1, 10**6)(n) for name, n in table.items()}).items())


def _pairs_of(raw: str) -> dict[str, str]:
    return {part.partition("=")[0]: part.partition("=")[2] for part in _texts(raw)}


def _providers(raw: Any) -> tuple[str, ...]:
    items = _texts(raw)
    if not set(items) <= set(PROVIDERS):
        raise ValueError("must list providers out of " + ", ".join(PROVIDERS))
    return items


def _instruments(raw: Any) -> tuple[tuple[str, str], ...]:
    table = _pairs_of(raw) if isinstance(raw, str) else raw
    if not isinstance(table, dict) or not all(_is_instrument(told) for told in table.values()):
        raise ValueError('must be a table such as BTC = "BTCUSDT/USDT": its id there, and the quote currency')
    return tuple(sorted((_asset(asset), told) for asset, told in table.items()))


def _is_instrument(told: Any) -> bool:
    symbol, _, quote = told.rpartition("/") if isinstance(told, str) else ("", "", "")
    return bool(re.fullmatch("[A-Za-z0-9][A-Za-z0-9._-]{0,127}", symbol) and _ASSET_ID.fullmatch(quote))


def _url(raw: Any) -> str:
    if not isinstance(raw, str) or not re.fullmatch(r"https?://[^\s?#@]{1,200}", raw):
        raise ValueError("must be an http or https address without query, key or user")
    return raw.rstrip("/")


def _flag(raw: Any) -> bool:
    if raw in (True, "true", False, "false"):
        return raw in (True, "true")
    raise ValueError("must be true or false")


def _path(raw: Any) -> str:
    if not isinstance(raw, str) or not Path(raw).is_absolute():
        raise ValueError("must be an absolute path")
    return raw


def _time_of_day(raw: Any) -> str:
    if not isinstance(raw, str) or not re.fullmatch("([01][0-9]|2[0-3]):[0-5][0-9]", raw):
        raise ValueError("must be a time of day such as 02:30")
    return raw


def _command(raw: Any) -> tuple[str, ...]:
    """A program and its arguments; in the environment as a JSON list."""
    try:
        items = json.loads(raw) if isinstance(raw, str) else raw
    except ValueError:
        items = None
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) and item for item in items):
        raise ValueError('must be a program and its arguments such as ["rclone", "sync"]')
    return tuple(items)


def _bps(raw: Any) -> int:
    text = str(raw)
    if isinstance(raw, bool | float) or not is_plain(text) or to_scaled(text) < 0:
        raise ValueError("must be basis points, zero or more, as an integer or a quoted decimal")
    return to_scaled(text)


def _count(least: int, most: int) -> Callable[[Any], int]:
    def read(raw: Any) -> int:
        number = int(raw) if isinstance(raw, str) and raw.isascii() and raw.isdigit() else raw
        if not isinstance(number, int) or isinstance(number, bool) or not least <= number <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return number

    return read


SETTINGS = (
    Setting("base_currency", "USD", _asset, "The currency NAV is told in. Fixed at init."),
    Setting("timezone", "UTC", _zone, "The zone whose clock cuts the buckets. Fixed at init."),
    Setting("lot_method", "FIFO", _choice(*LOT_METHODS), "Which lots leave first. Fixed at init."),
    Setting("cash", "external", _choice("external", "account"), "Whether cash is part of NAV (`account`)."),
    Setting("cash_assets", CASH_ASSETS, _assets, "Asset ids that mean currencies: a balance, no lots."),
    Setting("prices.sources", (), _texts, "Price sources, best first; others follow by name."),
    Setting("fx.primary", (), _texts, "Intraday FX sources, best first."),
    Setting("fx.fallback", (), _texts, "End-of-day FX sources (reference rates), best first."),
    Setting("fx.eod_only", (), _pairs, "Pairs valued by their reference rate and never held."),
    Setting("fx.drift_bps_max", 25 * SCALE, _bps, "Drift of a fallback above which NAV is held, in bps."),
    Setting("fx.pegs", (), _pegs, "Tokens taken at the value of a currency, watched within 50 bps."),
    Setting("tax.timezone", "", _zone, "The zone whose dates reports go by; the home's own unless set."),
    Setting("tax.holding", "1y", _holding, "Held longer than this is long term: years, months or days."),
    Setting("lots.fee_in_kind", "basis", _choice("basis", "market"), "What reports take a fee in kind at."),
    Setting("groups", (), _groups, "Names for sets of accounts: a return for each."),
    Setting("metrics.periods_per_year", PERIODS_PER_YEAR, _periods, "What volatility is scaled to."),
    Setting("providers.order", (), _providers, "Providers to call, best first; nobody is called otherwise."),
    Setting("providers.pairs", (), _pairs, "Pairs to fetch end-of-day rates of."),
    Setting("providers.days_5m", 7, _count(0, 3_650), "Days back for which 5m prices are fetched."),
    Setting("providers.days_1h", 90, _count(0, 36_500), "Days back for which 1h prices are fetched."),
    Setting("providers.binance.ids", (), _instruments, "Assets by symbol and quote currency."),
    Setting("providers.binance.root", "", _url, "Its address, if not the public one."),
    Setting("providers.binance.weight_a_minute", 6_000, _count(10, 10**6), "Its limit, in request weight."),
    Setting("providers.coingecko.ids", (), _instruments, "Assets by coin id and quote currency."),
    Setting("providers.coingecko.root", "", _url, "Its address, if not the public one."),
    Setting("providers.coingecko.pro", False, _flag, "Whether the key is of a paid plan."),
    Setting("providers.coingecko.calls_a_minute", 30, _count(2, 10_000), "Its limit."),
    Setting("providers.frankfurter.root", "", _url, "Its address, if not the public one."),
    Setting("providers.exchangerate.root", "", _url, "Its address, if not the public one."),
    Setting("providers.exchangerate.calls_a_month", 90, _count(1, 10**6), "Calls a month, never more."),
    Setting("providers.file.folder", "", _path, "A folder of price and FX files to look things up in."),
    Setting("providers.file.assets", (), _assets, "Assets that the folder may be asked for."),
    Setting("backup.nightly", True, _flag, "Whether a running engine makes a backup every night."),
    Setting("backup.at", "02:30", _time_of_day, "When, on the clock of `timezone`."),
    Setting("backup.drill_weekday", "sunday", _choice(*WEEKDAYS, "never"), "The day of the weekly drill."),
    Setting("backup.target", "", _path, "A second folder that every backup is copied to."),
    Setting("backup.post_backup", (), _command, "A command after each backup; its facts as JSON on stdin."),
    Setting("alerts.failed_minutes", 1, _count(0, 10**6), "How long a task fails before an alert."),
    Setting("alerts.stuck_minutes", 15, _count(0, 10**6), "How long a file waits in the inbox; 0: never."),
    Setting("alerts.quarantine_hours", 72, _count(0, 10**6), "How long a row waits; 0: never an alert."),
    Setting("alerts.values_minutes", 30, _count(0, 10**6), "How long values may lag behind the books."),
    Setting("alerts.coverage_percent", 95, _count(0, 100), "Coverage of the newest close; 0: never."),
    Setting("alerts.coverage_minutes", 60, _count(0, 10**6), "How long coverage is below that."),
    Setting("alerts.stale_hours", 72, _count(0, 10**6), "How old the newest price may be; 0: never."),
    Setting("alerts.held_minutes", 30, _count(0, 10**6), "How long a pair is held before an alert."),
    Setting("alerts.memory_percent", 90, _count(1, 100), "Memory in use, for a minute."),
    Setting("alerts.backup_hours", 26, _count(0, 10**6), "How old the newest backup may be; 0: never."),
    Setting("alerts.clock_jump_s", 60, _count(1, 10**6), "By how much the clock may be set at once."),
    Setting("alerts.transfer_days", 0, _count(0, 10**6), "How long a transfer may lack its other side."),
    Setting("alerts.hook", (), _command, "A command for each alert; its facts as JSON on stdin."),
    Setting("alerts.webhook", "", _url, "An address for each alert; `{key}` in it is the key's place."),
    Setting("ingest.batch_rows", BATCH_ROWS, _count(1, 100_000), "Rows handed to the store at a time."),
    Setting("ingest.window_rows", WINDOW_ROWS, _count(1, 10**7), "Rows of a Parquet file read at a time."),
    Setting("value.closes", CLOSES, _count(1, 10**6), "Closes valued at a time, of one asset."),
    Setting("compaction.grace_minutes", 60, _count(1, 10**6), "How long replaced files stay for readers."),
    Setting("compaction.cold_days", 7, _count(0, 10**6), "Days after which a day's files are rewritten."),
    Setting("retention.days_5m", 30, _count(0, 10**6), "Days that 5m snapshots are kept; 0: always."),
    Setting("retention.days_1h", 365, _count(0, 10**6), "Days that 1h snapshots are kept; 0: always."),
    Setting("retention.days_1d", 0, _count(0, 10**6), "Days that 1d snapshots are kept; 0: always."),
    Setting("retention.days_logs", 7, _count(0, 10**6), "Days that files in logs/ are kept; 0: always."),
    Setting("memory.limit", 0, _count(0, 10**15), "Bytes that navdeck keeps its processes under; 0: none."),
    Setting("memory.worker_bytes_max", 0, _count(0, 10**15), "Bytes of one worker; 0: 65 % of the limit."),
    Setting("memory.profile", "DEFAULT", _choice("DEFAULT", "LOW_RAM"), "How large batches are."),
    Setting("telemetry.textfile", "", _path, "A file that metrics are written to, for a node_exporter."),
    Setting("telemetry.otlp", "", _url, "A collector that spans are sent to as well (extra `otlp`)."),
    Setting("console.theme", "navdeck-dark", _theme, "The colours of this home's consoles."),
    Setting("console.graphs", "auto", _choice("auto", *GRAPHS), "What charts are drawn with."),
    Setting("disk.free_bytes_min", FREE_BYTES_MIN, _count(0, 10**15), "Free bytes below which intake stops."),
)
KEYS = frozenset(setting.key for setting in SETTINGS)


@dataclass(frozen=True, slots=True)
class Config:
    """What is in force. `values` by dotted key, `origins` says where each came from."""

    values: Mapping[str, Any]
    origins: Mapping[str, str]

    def __getitem__(self, key: str) -> Any:
        return self.values[key]

    def rows(self) -> list[dict[str, str]]:
        """One line a setting for people and `config --json`: key, value as text, origin, help."""
        return [
            {"key": s.key, "value": show(s.key, self.values[s.key]), "origin": self.origins[s.key],
             "variable": s.variable, "help": s.help}
            for s in SETTINGS
        ]  # fmt: skip


def show(key: str, value: Any) -> str:
    """A setting's value as text."""
    if key == "fx.drift_bps_max":
        return to_text(value)
    if key == "groups":
        return "; ".join(f"{name}={', '.join(accounts)}" for name, accounts in value)
    if key in ("fx.pegs", "metrics.periods_per_year") or key.endswith(".ids"):
        return ", ".join(f"{token}={to}" for token, to in value)
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def load(path: Path, environment: Mapping[str, str] = os.environ) -> Config:
    """Reads navdeck.toml and the environment. ConfigInvalid carries every problem at once."""
    problems: list[str] = []
    given = _flatten(_read_toml(path, problems))
    problems += [f"{path.name}: {key} is not a setting" for key in sorted(set(given) - KEYS)]
    values, origins = {}, {}
    for setting in SETTINGS:
        raw, origin = setting.default, "default"
        if setting.key in given:
            raw, origin = given[setting.key], path.name
        if setting.variable in environment:
            raw, origin = environment[setting.variable], setting.variable
        origins[setting.key] = origin
        try:
            values[setting.key] = raw if origin == "default" else setting.read(raw)
        except ValueError as error:
            problems.append(f"{origin}: {setting.key} {error}")
    if problems:
        raise ConfigInvalid(problems)
    return Config(values, origins)


def _read_toml(path: Path, problems: list[str]) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problems.append(f"{path.name} cannot be read: {error}")
        return {}


def _flatten(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in table.items():
        key = prefix + name
        if isinstance(value, dict) and key not in KEYS:
            flat |= _flatten(value, key + ".")
        else:
            flat[key] = value
    return flat


def template(base_currency: str, timezone: str, lot_method: str) -> str:
    """The navdeck.toml of a new home."""
    return f"""# navdeck: settings of this home. `navdeck config` shows what is in force, and from where.
# These three are fixed: figures depend on them.
base_currency = "{base_currency}"
timezone = "{timezone}"
lot_method = "{lot_method}"

# Everything below is optional; take the # away from what you need, its [table] line too.

# [prices]
# sources = ["binance_spot"]        # best first; others follow by name

# [fx]
# primary = ["my_intraday_feed"]    # intraday sources, best first
# fallback = ["ecb_eurofxref"]      # end-of-day reference rates, best first
# eod_only = ["EUR/PLN"]            # valued by reference rates alone, never held
# drift_bps_max = 25

# [fx.pegs]
# USDT = "USD"                      # taken at the currency's value while it stays within 50 bps

# [groups]
# cold = ["ledger", "vault"]        # accounts whose return is told together: navdeck metrics --group cold
"""
