"""The hostile corpus: every case by name. Made anew for each run, since some rows are told against now."""

from pathlib import Path

from tests.hostile.byte_cases import byte_cases
from tests.hostile.cases import Case
from tests.hostile.market_cases import market_cases
from tests.hostile.object_cases import make_device, names, objects
from tests.hostile.row_cases import row_cases


def corpus(folder: Path) -> list[Case]:
    """All cases; `folder`: where to find out whether this user may make a device."""
    return [*byte_cases(), *row_cases(), *market_cases(), *names(), *objects(may_make_devices(folder))]


def may_make_devices(folder: Path) -> bool:
    """Whether this user may make a device, as root may outside of some containers."""
    probe = folder / "device"
    try:
        make_device(probe)
    except PermissionError:
        return False
    probe.unlink()
    return True
