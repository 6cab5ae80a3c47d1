"""Seeded transactions CSV for the benches: never oversold, 4 % transfers, some rows damaged.

Owns the shape of the data: accounts, assets, share of fees, notes and keys. Measures nothing.
"""

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from engine.domain.transactions import HEADER

ACCOUNTS, ASSETS, DAYS = 50, 200, 30
DAMAGED = 0.01
START = datetime(2025, 1, 1, tzinfo=UTC)
Row = list[str]


def _set(column: int, change: Callable[[str], str]) -> Callable[[Row], None]:
    def damage(row: Row) -> None:
        row[column] = change(row[column])

    return damage


def _no_price(row: Row) -> None:
    row[2], row[5] = "BUY", ""


def _bare_fee(row: Row) -> None:
    row[6], row[7] = "", "2.5"


DAMAGES: tuple[Callable[[Row], None], ...] = (
    _set(0, lambda text: text[:14] + "4" + text[15:]),
    _set(0, lambda text: text[:30] + "xyzxyz"),
    _set(1, lambda text: text.rstrip("Z")),
    _set(1, lambda text: text[:4] + "-02-31" + text[10:]),
    _set(1, lambda text: "2099" + text[4:]),
    _set(2, lambda text: text.lower()),
    _set(3, lambda text: ""),
    _set(4, lambda text: "-" + text),
    _set(4, lambda text: text.split(".")[0] + ".0000000000000000001"),
    _set(4, lambda text: "1E3"),
    _set(4, lambda text: "NaN"),
    _set(4, lambda text: '"2,000"'),
    _no_price,
    _bare_fee,
    _set(8, lambda text: " "),
    lambda row: row.append("more"),
)


def write_trades(path: Path, rows: int, seed: int, parts: int = 1, damaged: float = DAMAGED) -> list[Path]:
    """Writes `rows` rows in `parts` files of equal size; the same seed gives the same bytes."""
    made, chance = _trades(rows, random.Random(seed)), random.Random(-seed)
    paths = []
    for part in range(parts):
        lines = [HEADER]
        for _ in range(rows // parts):
            row = next(made)
            if chance.random() < damaged:
                chance.choice(DAMAGES)(row)
            lines.append(",".join(row))
        paths.append(path.with_name(f"{path.stem}-{part}.csv"))
        paths[-1].write_text("\n".join(lines) + "\n")
    return paths


def _trades(rows: int, chance: random.Random) -> Iterator[Row]:
    """Rows in order of time; an OUT is followed by its IN in another account."""
    step = timedelta(days=DAYS) / rows
    held: dict[tuple[int, int], int] = {}
    owned: list[list[int]] = [[] for _ in range(ACCOUNTS)]
    arriving: tuple[int, int, int, str] | None = None
    for number in range(rows):
        at, tx_hash, account = START + number * step, "", chance.randrange(ACCOUNTS)
        asset, dice = int(ASSETS * chance.random() ** 3), chance.random()
        if arriving is not None:
            action = "TRANSFER_IN"
            account, asset, amount, tx_hash = arriving
            arriving = None
        elif dice < 0.45 and owned[account]:
            asset = chance.choice(owned[account])
            action = "TRANSFER_OUT" if dice < 0.02 else "FEE" if dice < 0.03 else "SELL"
            amount = max(1, held[account, asset] * chance.randrange(1, 60) // 100)
        else:
            action = "BUY" if dice < 0.93 else chance.choice(("STAKING_REWARD", "AIRDROP", "INCOME"))
            amount = chance.randrange(1, 10 ** chance.choice((8, 11, 18)))
        if action in ("SELL", "FEE", "TRANSFER_OUT"):
            held[account, asset] -= amount
            if not held[account, asset]:
                owned[account].remove(asset)
        else:
            if not held.get((account, asset)):
                owned[account].append(asset)
            held[account, asset] = held.get((account, asset), 0) + amount
        if action == "TRANSFER_OUT":
            tx_hash = f"0x{chance.getrandbits(256):064x}"
            arriving = (account + chance.randrange(1, ACCOUNTS)) % ACCOUNTS, asset, amount, tx_hash
        yield _row(at, action, asset, amount, account, tx_hash, number, chance)


def _row(
    at: datetime, action: str, asset: int, amount: int, account: int, tx_hash: str, number: int,
    chance: random.Random,
) -> Row:  # fmt: skip
    name = f"COIN{asset:03d}"
    trade = action in ("BUY", "SELL")
    price = f"{chance.uniform(0.01, 90_000):.{chance.choice((2, 4, 8))}f}" if trade else ""
    fee = chance.choice((("", ""), ("USD", f"{chance.uniform(0, 5):.4f}"))) if trade else ("", "")
    whole, fraction = divmod(amount, 10**18)
    return [
        _id(at, chance), at.isoformat(timespec="milliseconds").replace("+00:00", "Z"), action, name,
        f"{whole}.{fraction:018d}".rstrip("0").rstrip("."), price, *fee, f"account-{account:02d}",
        chance.choice(("", "hot", "vault")), chance.choice(("", "north", "south")), tx_hash,
        f"X{number:08d}" if chance.random() < 0.3 else "",
        chance.choice(("", "", "", "monthly", '"said, and done"')),
    ]  # fmt: skip


def _id(at: datetime, chance: random.Random) -> str:
    ms = int(at.timestamp() * 1000)
    text = f"{ms:012x}7{chance.getrandbits(12):03x}{2 << 62 | chance.getrandbits(62):016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
