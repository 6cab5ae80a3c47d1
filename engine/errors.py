"""Every error the engine raises on purpose, drawn as a tree. Bad rows are values, never errors.

EngineError                 code, what was tried, hint, retryable
├── UsageError              the caller asked for something that makes no sense (exit 2)
│   └── ConfigInvalid       navdeck.toml or a NAVDECK_ variable; carries every problem at once
├── HomeMissing             no home here yet
├── HomeInUse               another engine holds the home (exit 4)
├── StoreError              state.db
│   ├── StoreTooNew         written by a newer navdeck
│   ├── StoreIntegrity      counts or digests that must agree do not
│   ├── StoreFull           no room on the disk; nothing of the act was kept
│   └── JournalBroken       the journal is not what the store says, or is damaged
├── LakeError               a listed lake file is missing or altered
├── DiskLow                 too little room to begin
└── WorkerLost              the process that did the work ended under it
"""


class EngineError(Exception):
    """Base: `code` for programs, `hint` for people, `retryable` for schedulers."""

    code = "ENGINE_ERROR"
    exit_code = 1
    retryable = False

    def __init__(self, tried: str, hint: str = "") -> None:
        super().__init__(tried)
        self.tried = tried
        self.hint = hint


class UsageError(EngineError):
    code = "USAGE"
    exit_code = 2


class ConfigInvalid(UsageError):
    code = "CONFIG_INVALID"

    def __init__(self, problems: list[str]) -> None:
        super().__init__(
            "The configuration has "
            + (f"{len(problems)} problems:\n" if len(problems) > 1 else "a problem:\n")
            + "\n".join(f"  - {problem}" for problem in problems),
            "Mend navdeck.toml or the NAVDECK_ variables named above; then `navdeck config` shows all.",
        )
        self.problems = problems


class HomeMissing(EngineError):
    code = "HOME_MISSING"
    exit_code = 2


class HomeInUse(EngineError):
    code = "HOME_IN_USE"
    exit_code = 4
    retryable = True


class StoreError(EngineError):
    code = "STORE_ERROR"


class StoreTooNew(StoreError):
    code = "STORE_TOO_NEW"


class StoreIntegrity(StoreError):
    code = "STORE_INTEGRITY"


class StoreFull(StoreError):
    code = "STORE_FULL"
    retryable = True


class JournalBroken(StoreError):
    code = "JOURNAL_BROKEN"


class LakeError(EngineError):
    code = "LAKE_ERROR"


class DiskLow(EngineError):
    code = "DISK_LOW"
    retryable = True


class WorkerLost(EngineError):
    code = "WORKER_LOST"
    retryable = True

    def __init__(self, tried: str) -> None:
        super().__init__(tried, "What it had not committed is as before; it is tried again, or try it again.")
