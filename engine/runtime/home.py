"""A home: the folder of one deployment, its paths, and how a new one is made."""

import re
from dataclasses import dataclass
from pathlib import Path

from engine.config import CONFIG_NAME, FIXED, Config, load, template
from engine.errors import ConfigInvalid, HomeMissing, UsageError
from engine.store.files import FOLDER_MODE, publish
from engine.store.reader import Reader

FOLDERS = ("inbox", "archive", "rejected", "journal", "lake", "backups", "run", "logs")


@dataclass(frozen=True, slots=True)
class Home:
    """Paths of one home. Making one touches nothing."""

    path: Path

    @property
    def state(self) -> Path:
        return self.path / "state.db"

    @property
    def config_path(self) -> Path:
        return self.path / CONFIG_NAME

    @property
    def inbox(self) -> Path:
        return self.path / "inbox"

    @property
    def claimed(self) -> Path:
        return self.path / "run" / "claimed"

    @property
    def archive(self) -> Path:
        return self.path / "archive"

    @property
    def rejected(self) -> Path:
        return self.path / "rejected"

    @property
    def journal(self) -> Path:
        return self.path / "journal"

    @property
    def lake(self) -> Path:
        return self.path / "lake"

    @property
    def backups(self) -> Path:
        return self.path / "backups"

    @property
    def lock(self) -> Path:
        return self.path / "run" / "navdeck.lock"

    @property
    def value_cancel(self) -> Path:
        """There while somebody wants the valuing at work to end."""
        return self.path / "run" / "value.cancel"

    @property
    def lake_bad(self) -> Path:
        """Where damaged lake files are kept."""
        return self.lake / ".bad"

    @property
    def reckoned(self) -> Path:
        """What reckoned_alerts.py keeps."""
        return self.path / "run" / "reckoned.json"

    def archived(self, sha256: str, suffix: str) -> Path:
        """Where a source file of these bytes is kept."""
        return self.archive / sha256[:2] / (sha256 + suffix)

    def require(self) -> None:
        """HomeMissing unless a home was made here."""
        if not self.state.is_file():
            raise HomeMissing(
                f"There is no navdeck home at {self.path}.",
                "Make one with `navdeck init`, or name another with --home or NAVDECK_HOME.",
            )

    def config(self) -> Config:
        """The configuration in force; what was fixed at init must still be what the file says."""
        self.require()
        with Reader(self.state, older=True) as reader:
            return self.config_by(reader)

    def config_by(self, reader: Reader) -> Config:
        """The same, for who reads already."""
        config, meta = load(self.config_path), reader.meta()
        problems = [
            f"{config.origins[key]}: {key} is {config[key]}, but this home was made with {meta[key]}"
            for key in FIXED
            if config[key] != meta.get(key, config[key])
        ]
        if problems:
            raise ConfigInvalid(problems)
        return config


def lay_out(home: Home, base_currency: str, timezone: str, lot_method: str) -> Config:
    """Makes folders and navdeck.toml of a new home. UsageError where one stands already."""
    if home.state.exists():
        raise UsageError(
            f"{home.path} is a navdeck home already.",
            "Use it as it is, or choose another folder with --home.",
        )
    for folder in (home.path, *(home.path / name for name in FOLDERS)):
        folder.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
        folder.chmod(FOLDER_MODE)
    if not home.config_path.exists():
        publish(home.config_path, template(base_currency, timezone, lot_method).encode())
    try:
        return load(home.config_path)
    except ConfigInvalid:
        home.config_path.unlink()
        raise


def safe_name(name: str) -> str:
    """A file name made of harmless characters only, for files that navdeck writes."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".")[:80] or "file"
