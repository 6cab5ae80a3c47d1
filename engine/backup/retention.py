"""Which backups stay: 7 daily, 5 weekly, 12 monthly; always the newest, and the newest verified. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date

DAILY, WEEKLY, MONTHLY = 7, 5, 12  # kept of each, by the contract


@dataclass(frozen=True, slots=True)
class Made:
    """A backup as retention sees it. `day`: the local date on which it was made."""

    id: str
    day: date
    verified: bool


def kept(backups: Iterable[Made]) -> set[str]:
    """Ids of the backups that stay. Given oldest first, as they were made.

    Of each of the last days, weeks and months that have one, the newest stays: where nothing was backed up
    for a while, older ones are not lost for it.
    """
    ordered = list(backups)[::-1]
    rules: tuple[tuple[int, Callable[[date], object]], ...] = (
        (DAILY, lambda day: day),
        (WEEKLY, lambda day: day.isocalendar()[:2]),
        (MONTHLY, lambda day: (day.year, day.month)),
    )
    stays = {made.id for made in ordered[:1]}
    stays |= {made.id for made in [made for made in ordered if made.verified][:1]}
    for most, period in rules:
        newest: dict[object, str] = {}
        for made in ordered:
            newest.setdefault(period(made.day), made.id)
        stays |= set(list(newest.values())[:most])
    return stays
