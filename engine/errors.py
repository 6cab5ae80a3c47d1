"""Every error the engine raises on purpose, drawn as a tree. Bad rows are values, never errors.

EngineError                 code, what was tried, hint, retryable
├── UsageError              the caller asked for something that makes no sense (exit 2)
│   └── ConfigInvalid       navdeck.toml or a NAVDECK_ variable; carries every problem at once
├── HomeMissing             no home here yet
├── HomeInUse               another engine holds the home (exit 4)
├── NetworkFolder           a home on a file system where the database would not be safe
├── StoreError              state.db
│   ├── StoreTooNew         written by a newer navdeck
│   ├── StoreOutdated       written by an older navdeck, and only to be read now
│   ├── StoreIntegrity      counts or digests that must agree do not
│   ├── StoreFull           no room on the disk; nothing of the act was kept
│   └── JournalBroken       the journal is not what the store says, or is damaged
├── LakeError               a listed lake file is missing or altered
├── DiskLow                 too little room to begin
├── MemoryLow               too little memory to begin
├── BackupError             a backup cannot be made, or none is there
│   ├── BackupUnknown       no backup, or several, of the id that was given (exit 2)
│   ├── BackupBusy          another backup job works on the same folder
│   ├── BackupDamaged       a backup is not what its manifest says, or no manifest that may be followed
│   └── RestoreRefused      a restore or promotion that would do harm
├── JobCancelled            ended between two steps because somebody asked
├── ProviderError           a price or FX provider gave no answer that can be used
│   ├── CallHeld            not sent: its limit, quota, breaker or an operator says not now
│   ├── ConnectFailed       nothing answers at its address, or not as who it should be
│   ├── ConnectTimedOut     no connection in time
│   ├── ReadTimedOut        connected, but no whole answer in time
│   ├── ReadBroken          the connection ended within the answer
│   ├── AnswerTooLarge      more bytes than an answer may have
│   ├── AnswerRedirected    it points elsewhere; keys and calls never follow
│   ├── AnswerThrottled     too many calls (429)
│   ├── AnswerBanned        this address is banned for a while (418)
│   ├── AnswerRefused       it will not serve us (401, 403, 451, a bad key or plan)
│   ├── AnswerRejected      it cannot serve this one request (other 4xx)
│   ├── AnswerFailed        its own failure (5xx)
│   └── AnswerUnreadable    not the shape that it should have
├── LinkError               an engine in another process
│   ├── EngineGone          nobody answers, or no more before the answer came
│   ├── VersionSkew         the engine there is another version
│   ├── LookOnly            this connection may only look
│   └── FrameRefused        bytes that are no message, or too many of them
└── WorkerLost              the process that did the work ended under it
    └── WorkerOverLimit     it took more memory than a worker may have
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


class NetworkFolder(EngineError):
    code = "NETWORK_FOLDER"


class StoreError(EngineError):
    code = "STORE_ERROR"


class StoreTooNew(StoreError):
    code = "STORE_TOO_NEW"


class StoreOutdated(StoreError):
    code = "STORE_OUTDATED"


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


class MemoryLow(EngineError):
    code = "MEMORY_LOW"
    retryable = True


class BackupError(EngineError):
    code = "BACKUP_ERROR"


class BackupUnknown(BackupError):
    code = "BACKUP_UNKNOWN"
    exit_code = 2


class BackupBusy(BackupError):
    code = "BACKUP_BUSY"
    retryable = True


class BackupDamaged(BackupError):
    code = "BACKUP_DAMAGED"


class RestoreRefused(BackupError):
    code = "RESTORE_REFUSED"


class JobCancelled(EngineError):
    code = "JOB_CANCELLED"


class LinkError(EngineError):
    code = "LINK_ERROR"


class EngineGone(LinkError):
    code = "ENGINE_GONE"
    retryable = True


class VersionSkew(LinkError):
    code = "VERSION_SKEW"


class LookOnly(LinkError):
    code = "LOOK_ONLY"
    exit_code = 2


class FrameRefused(LinkError):
    code = "FRAME_REFUSED"


class WorkerLost(EngineError):
    code = "WORKER_LOST"
    retryable = True

    def __init__(self, tried: str) -> None:
        super().__init__(tried, "What it had not committed is as before; it is tried again, or try it again.")


class WorkerOverLimit(WorkerLost):
    code = "WORKER_OVER_LIMIT"


class ProviderError(EngineError):
    """Texts never hold a key; `advice` is the hint of a leaf that is given none."""

    code = "PROVIDER_ERROR"
    advice = ""

    def __init__(self, tried: str, hint: str = "") -> None:
        super().__init__(tried, hint or self.advice)


class CallHeld(ProviderError):
    """`retry_at_us`: when it may be tried again, null if that waits for an operator."""

    code = "CALL_HELD"
    retryable = True

    def __init__(self, tried: str, hint: str = "", retry_at_us: int | None = None) -> None:
        super().__init__(tried, hint)
        self.retry_at_us = retry_at_us


class ConnectFailed(ProviderError):
    code = "CONNECT_FAILED"
    advice = "Check the network, the provider's address in navdeck.toml, and any proxy between."
    retryable = True


class ConnectTimedOut(ProviderError):
    code = "CONNECT_TIMED_OUT"
    advice = ConnectFailed.advice
    retryable = True


class ReadTimedOut(ProviderError):
    code = "READ_TIMED_OUT"
    advice = "The provider is slow or the line is; it is tried again by itself."
    retryable = True


class ReadBroken(ProviderError):
    code = "READ_BROKEN"
    advice = ReadTimedOut.advice
    retryable = True


class AnswerTooLarge(ProviderError):
    code = "ANSWER_TOO_LARGE"
    advice = "Not what the provider sends by its own documentation: check its address."


class AnswerRedirected(ProviderError):
    code = "ANSWER_REDIRECTED"
    advice = "Put the provider's present address into navdeck.toml."


class AnswerThrottled(ProviderError):
    code = "ANSWER_THROTTLED"
    advice = "Calls go on slower by themselves; lower the provider's calls a minute if this repeats."
    retryable = True


class AnswerBanned(ProviderError):
    code = "ANSWER_BANNED"
    advice = "Nothing is sent until the ban ends; lower the provider's calls a minute."


class AnswerRefused(ProviderError):
    code = "ANSWER_REFUSED"
    advice = "Check key, plan and country, then `navdeck providers open` it; until then nothing is sent."


class AnswerRejected(ProviderError):
    code = "ANSWER_REJECTED"
    advice = "Check the asset's id at this provider in navdeck.toml."


class AnswerFailed(ProviderError):
    code = "ANSWER_FAILED"
    advice = ReadTimedOut.advice
    retryable = True


class AnswerUnreadable(ProviderError):
    code = "ANSWER_UNREADABLE"
    advice = "Nothing of it was taken. If it repeats, the provider has changed its answers."
