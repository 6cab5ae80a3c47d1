"""An example or two of every verb: `--help` shows them, the README's tests read them."""

EXAMPLES = {
    "init": ("navdeck init --home ~/books --timezone Europe/Berlin --base-currency EUR",),
    "demo": ("navdeck demo", "navdeck demo --headless --seed 11 --home ~/demo"),
    "ingest": (
        "navdeck ingest trades.csv prices.parquet", "navdeck ingest --dry-run trades.csv", "navdeck ingest",
    ),
    "value": ("navdeck value", "navdeck value --resolution 1d --from 2024-03-01 --to 2024-04-01"),
    "nav": (
        "navdeck nav --resolution 1h --from 2024-03-01 --to 2024-03-02", "navdeck nav --account main --json",
    ),
    "lots": ("navdeck lots --asset ETH", "navdeck lots --method LIFO --as-of 2024-01-01 --json"),
    "quarantine": ("navdeck quarantine list", "navdeck quarantine fix --help"),
    "quarantine list": ("navdeck quarantine list --reason PRICE_INVALID --older-than 2h",),
    "quarantine show": ("navdeck quarantine show 0964aeffd0a7-4",),
    "quarantine fix": (
        "navdeck quarantine fix 0964aeffd0a7-4 action=BUY quantity=1.5",
        "navdeck quarantine fix --all --code ACTION_UNKNOWN --suggested --dry-run",
    ),
    "quarantine release": (
        "navdeck quarantine release 0964aeffd0a7-4 0964aeffd0a7-9",
        "navdeck quarantine release 0964aeffd0a7-7 --supersede 018df903-a3c0",
        "navdeck quarantine release --all --file trades.csv --dry-run",
    ),
    "quarantine reject": ("navdeck quarantine reject 0964aeffd0a7-4 --reason 'a test order'",),
    "quarantine export": ("navdeck quarantine export --reason PRICE_INVALID --to fix-me.csv",),
    "undo": ("navdeck undo", "navdeck undo 17 --reason 'wrong row'"),
    "decisions": ("navdeck decisions --limit 20",),
    "explain": ("navdeck explain 018df903-a3c0-7b1e-8c55-0242ac120002",),
    "journal": ("navdeck journal verify",),
    "journal verify": ("navdeck journal verify --json",),
    "status": ("navdeck status",),
    "digest": ("navdeck digest --json",),
    "verify": ("navdeck verify",),
    "config": ("navdeck config",),
    "split": ("navdeck split huge.csv --to parts/",),
}  # fmt: skip
