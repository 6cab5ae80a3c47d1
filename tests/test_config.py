"""Settings: defaults, the file, the environment, where each value comes from, and every problem at once."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config import SETTINGS, Config, load, template
from engine.domain.money import SCALE
from engine.errors import ConfigInvalid

GOOD = """
base_currency = "EUR"
timezone = "Europe/Berlin"
lot_method = "HIFO"
cash = "account"
cash_assets = ["USD", "EUR"]

[prices]
sources = ["b", "a"]

[fx]
primary = ["feed"]
fallback = ["ecb"]
eod_only = ["EUR/PLN"]
drift_bps_max = "12.5"

[fx.pegs]
USDT = "USD"

[tax]
timezone = "America/New_York"
holding = "6m"

[lots]
fee_in_kind = "market"

[groups]
cold = ["ledger", "vault"]

[metrics.periods_per_year]
1d = 252

[providers]
order = ["file", "binance"]
pairs = ["EUR/USD"]
days_5m = 1
days_1h = 2

[providers.binance]
root = "http://localhost:8080/"
weight_a_minute = 100
ids = { BTC = "BTCUSDT/USDT" }

[providers.coingecko]
root = "http://localhost:8081"
pro = true
calls_a_minute = 5
ids = { BTC = "bitcoin/USD" }

[providers.frankfurter]
root = "http://localhost:8082"

[providers.exchangerate]
root = "http://localhost:8083"
calls_a_month = 50

[providers.file]
folder = "/srv/prices"
assets = ["BTC"]

[ingest]
batch_rows = 7

window_rows = 9

[value]
closes = 11

[memory]
limit = 900
worker_bytes_max = 500
profile = "LOW_RAM"

[compaction]
grace_minutes = 5
cold_days = 3

[retention]
days_5m = 1
days_1h = 2
days_1d = 3
days_logs = 4

[console]
theme = "mine"
graphs = "block"

[disk]
free_bytes_min = 5

[backup]
nightly = false
at = "23:45"
drill_weekday = "friday"
target = "/mnt/second"
post_backup = ["rclone", "sync"]

[telemetry]
textfile = "/var/lib/node_exporter/navdeck.prom"
otlp = "http://localhost:4318"

[alerts]
failed_minutes = 2
stuck_minutes = 0
quarantine_hours = 24
values_minutes = 5
coverage_percent = 99
coverage_minutes = 10
stale_hours = 0
held_minutes = 15
memory_percent = 85
backup_hours = 30
clock_jump_s = 5
transfer_days = 7
hook = ["notify", "ops"]
webhook = "https://alerts.example/{key}"
"""


def settings_of(tmp_path: Path, text: str, **environment: str) -> Config:
    path = tmp_path / "navdeck.toml"
    path.write_text(text, encoding="utf-8")
    return load(path, environment)


def problems_of(tmp_path: Path, text: str, **environment: str) -> list[str]:
    with pytest.raises(ConfigInvalid) as caught:
        settings_of(tmp_path, text, **environment)
    return caught.value.problems


def test_no_file__defaults(tmp_path: Path) -> None:
    config = load(tmp_path / "navdeck.toml", {})
    assert (config["base_currency"], config["timezone"], config["lot_method"]) == ("USD", "UTC", "FIFO")
    assert (config["cash"], config["fx.drift_bps_max"], len(config["cash_assets"])) == (
        "external",
        25 * SCALE,
        17,
    )
    assert set(config.origins.values()) == {"default"}


def test_file__every_setting_read_and_its_origin_told(tmp_path: Path) -> None:
    config = settings_of(tmp_path, GOOD)
    assert config["prices.sources"] == ("b", "a")
    assert config["fx.eod_only"] == ("EUR/PLN",)
    assert config["fx.drift_bps_max"] == 12_500_000_000_000_000_000
    assert config["fx.pegs"] == (("USDT", "USD"),)
    assert (config["tax.timezone"], config["tax.holding"]) == ("America/New_York", "6m")
    assert config["lots.fee_in_kind"] == "market"
    assert config["groups"] == (("cold", ("ledger", "vault")),)
    assert config["metrics.periods_per_year"] == (("1d", 252), ("1h", 8_760), ("5m", 105_120))
    assert config["providers.order"] == ("file", "binance")
    assert config["providers.binance.ids"] == (("BTC", "BTCUSDT/USDT"),)
    assert config["providers.binance.root"] == "http://localhost:8080"
    assert config["providers.coingecko.pro"] is True
    assert config["ingest.batch_rows"] == 7
    assert (config["memory.limit"], config["memory.profile"]) == (900, "LOW_RAM")
    assert (config["compaction.grace_minutes"], config["retention.days_1d"]) == (5, 3)
    assert config["telemetry.otlp"] == "http://localhost:4318"
    assert (config["console.theme"], config["console.graphs"]) == ("mine", "block")
    assert config["disk.free_bytes_min"] == 5
    assert config["backup.at"] == "23:45"
    assert config["backup.post_backup"] == ("rclone", "sync")
    assert config["alerts.hook"] == ("notify", "ops")
    assert config["alerts.webhook"] == "https://alerts.example/{key}"
    assert set(config.origins.values()) == {"navdeck.toml"}


def test_variable__goes_before_the_file_and_is_named_as_origin(tmp_path: Path) -> None:
    config = settings_of(
        tmp_path,
        GOOD,
        NAVDECK_CASH="external",
        NAVDECK_FX_PEGS="USDT=USD, EURI=EUR",
        NAVDECK_INGEST_BATCH_ROWS="9",
        NAVDECK_PRICES_SOURCES="x, y",
        NAVDECK_FX_DRIFT_BPS_MAX="0.5",
    )
    assert config["cash"] == "external"
    assert config["fx.pegs"] == (("EURI", "EUR"), ("USDT", "USD"))
    assert config["ingest.batch_rows"] == 9
    assert config["prices.sources"] == ("x", "y")
    assert config["fx.drift_bps_max"] == SCALE // 2
    assert config.origins["cash"] == "NAVDECK_CASH"
    assert config.origins["timezone"] == "navdeck.toml"


def test_variable__of_tables__groups_as_toml__periods_as_pairs(tmp_path: Path) -> None:
    config = settings_of(
        tmp_path, GOOD, NAVDECK_GROUPS='a = ["x, y"]\nb = ["z"]', NAVDECK_METRICS_PERIODS_PER_YEAR="1h=6000"
    )
    assert config["groups"] == (("a", ("x, y",)), ("b", ("z",)))
    assert dict(config["metrics.periods_per_year"]) == {"1d": 365, "1h": 6_000, "5m": 105_120}
    told = {row["key"]: row["value"] for row in config.rows()}
    assert told["groups"] == "a=x, y; b=z"
    assert told["metrics.periods_per_year"] == "1d=365, 1h=6000, 5m=105120"
    assert problems_of(tmp_path, "", NAVDECK_GROUPS="not toml", NAVDECK_METRICS_PERIODS_PER_YEAR="1h=x")


def test_variable__mends_what_is_wrong_in_the_file(tmp_path: Path) -> None:
    assert settings_of(tmp_path, 'cash = "nonsense"', NAVDECK_CASH="account")["cash"] == "account"


def test_every_problem_at_once(tmp_path: Path) -> None:
    found = problems_of(
        tmp_path,
        'timezone = "Mars/Base"\nlot_methd = "LIFO"\ncash = 3\n'
        '[fx]\ndrift_bps_max = 2.5\neod_only = ["EURPLN"]\n',
        NAVDECK_INGEST_BATCH_ROWS="0",
    )
    assert [problem.split(" must")[0] for problem in found] == [
        "navdeck.toml: lot_methd is not a setting",
        "navdeck.toml: timezone",
        "navdeck.toml: cash",
        "navdeck.toml: fx.eod_only",
        "navdeck.toml: fx.drift_bps_max",
        "NAVDECK_INGEST_BATCH_ROWS: ingest.batch_rows",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "base_currency = 3",
        'base_currency = "no spaces"',
        "timezone = 1",
        'timezone = ["UTC"]',
        'lot_method = "fifo"',
        'lot_method = ["FIFO"]',
        "cash = true",
        'cash_assets = ["USD", "USD"]',
        "cash_assets = [1]",
        "cash_assets = {}",
        "prices = 3",
        'prices.sources = [""]',
        "fx.primary = 5",
        'fx.eod_only = ["EUR/EUR"]',
        'fx.eod_only = ["A/B/C"]',
        "fx.drift_bps_max = -1",
        "fx.drift_bps_max = true",
        'fx.drift_bps_max = "1e3"',
        'fx.drift_bps_max = "NaN"',
        "ingest.batch_rows = 1.5",
        "ingest.batch_rows = true",
        'ingest.batch_rows = "many"',
        "ingest.batch_rows = 100001",
        "fx.pegs = 3",
        "fx.pegs.USDT = 3",
        'fx.pegs."bad token" = "USD"',
        'providers.order = ["nobody"]',
        'providers.binance.ids = { BTC = "BTCUSDT" }',
        'providers.binance.ids = { BTC = "../x/USD" }',
        'providers.binance.root = "file:///etc"',
        'providers.binance.root = "https://user:key@host"',
        "providers.coingecko.pro = 1.5",
        'providers.file.folder = "here"',
        "timezone.zone = 1",
        "zone.time = 1",
    ],
)
def test_value_of_the_wrong_kind__one_problem_that_names_it(tmp_path: Path, line: str) -> None:
    (problem,) = problems_of(tmp_path, line)
    key = line.split(" ")[0].split('."')[0].removesuffix(".USDT").removesuffix(".zone")
    assert problem.startswith(f"navdeck.toml: {key} ")


@pytest.mark.parametrize(
    "pegs", ['A = "A"', 'A = "B"\nB = "USD"', 'A = "B"\nB = "A"', 'A = "B"\nB = "C"\nC = "USD"']
)
def test_pegs__to_itself_or_over_another_peg__refused(tmp_path: Path, pegs: str) -> None:
    (problem,) = problems_of(tmp_path, "[fx.pegs]\n" + pegs)
    assert "not itself pegged" in problem


def test_file_that_is_no_toml__told_beside_the_problems_of_variables(tmp_path: Path) -> None:
    found = problems_of(tmp_path, "timezone = = 3", NAVDECK_CASH="maybe")
    assert [problem.split(" ")[0] for problem in found] == ["navdeck.toml", "NAVDECK_CASH:"]


def test_file_that_is_no_utf_8__told(tmp_path: Path) -> None:
    path = tmp_path / "navdeck.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigInvalid, match=r"navdeck\.toml cannot be read"):
        load(path, {})


def test_template__says_what_it_was_made_with_and_loads(tmp_path: Path) -> None:
    config = settings_of(tmp_path, template("EUR", "Asia/Tokyo", "LIFO"))
    assert (config["base_currency"], config["timezone"], config["lot_method"]) == (
        "EUR",
        "Asia/Tokyo",
        "LIFO",
    )


def test_template__its_examples_are_good_settings_once_uncommented(tmp_path: Path) -> None:
    text = template("USD", "UTC", "FIFO")
    lines = [
        line.removeprefix("# ") if line.startswith("# ") and _is_setting(line) else line
        for line in text.split("\n")
    ]
    config = settings_of(tmp_path, "\n".join(lines))
    assert config["fx.pegs"] == (("USDT", "USD"),)
    assert config["prices.sources"] == ("binance_spot",)


def _is_setting(line: str) -> bool:
    return line.startswith("# [") or (" = " in line)


def test_rows__one_for_each_setting_all_as_text(tmp_path: Path) -> None:
    rows = settings_of(tmp_path, GOOD).rows()
    assert [row["key"] for row in rows] == [setting.key for setting in SETTINGS]
    values = {row["key"]: row["value"] for row in rows}
    assert values["fx.drift_bps_max"] == "12.5"
    assert values["fx.pegs"] == "USDT=USD"
    assert values["cash_assets"] == "USD, EUR"
    assert all(isinstance(value, str) for row in rows for value in row.values())


def test_rows__nothing_secret_is_a_setting() -> None:
    words = ("key", "token", "secret", "password", "credential")
    assert not [setting.key for setting in SETTINGS if any(word in setting.key for word in words)]


def test_variables__none_serves_two_settings() -> None:
    assert len({setting.variable for setting in SETTINGS}) == len(SETTINGS)


def test_home_variable__is_no_setting(tmp_path: Path) -> None:
    assert settings_of(tmp_path, "", NAVDECK_HOME="/nowhere").origins["cash"] == "default"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
        max_leaves=4,
    )
)
@settings(deadline=None, max_examples=60)
def test_any_raw_value__read_or_refused_never_a_crash(raw: object) -> None:
    for setting in SETTINGS:
        with contextlib.suppress(ValueError):
            setting.read(raw)
