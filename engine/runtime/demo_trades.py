"""The demo's trader: thirty days of made-up transactions over three invented accounts.

It keeps what every account holds, so that nothing is sold that is not there, but for one oversell near
the end. It owns good rows only; what is spoilt on purpose is done to copies of them elsewhere.
"""

from collections import defaultdict
from collections.abc import Callable
from random import Random

from engine.domain.instants import DAY_US, HOUR_US, MINUTE_US, SECOND_US, format_instant
from engine.domain.transactions import COLUMNS, id_text
from engine.runtime.demo_market import BY_NAME, DAYS, Market, text

MAIN, BROKER, VAULT = "main-exchange", "broker-eur", "cold-vault"
QUANTITY_PLACES = 8  # of every quantity and fee made here
TRADES, MOVES, GAS_FEES, INCOMES = 3_500, 120, 60, 40
MAIN_ASSETS = ("BTC", "ETH", "SOL", "XRP", "LTC", "DOGE", "LINK", "ADA")
BROKER_ASSETS = ("ACME", "ACME", "BTC", "ETH", "XRP", "DOGE")
STAKED = ("ETH", "SOL", "ADA")
ROUTES = (
    (MAIN, VAULT, "ETH"), (MAIN, VAULT, "SOL"), (MAIN, VAULT, "ADA"), (MAIN, VAULT, "BTC"),
    (VAULT, MAIN, "ETH"), (VAULT, MAIN, "SOL"), (MAIN, BROKER, "BTC"), (MAIN, BROKER, "XRP"),
)  # fmt: skip


Row = dict[str, str]
Plan = list[tuple[int, Callable[[int], None]]]


def transactions(rng: Random, market: Market) -> list[tuple[int, Row]]:
    """(ts, row) of every good transaction, in order of time; a row maps column to text."""
    book = _Book(rng, market)
    for ts, act in sorted([*_planned(book), *_drawn(book)], key=lambda item: item[0]):
        book.arrive(ts)
        act(ts)
    return sorted(book.rows, key=lambda item: item[0])


class _Book:
    """Rows as they are made, and what every account holds, so that nothing is sold that is not there."""

    def __init__(self, rng: Random, market: Market) -> None:
        self.rng, self.market = rng, market
        self.rows: list[tuple[int, Row]] = []
        self.held: dict[tuple[str, str], int] = defaultdict(int)
        self.coming: list[tuple[int, str, str, int]] = []

    def arrive(self, now: int) -> None:
        """Credits the transfers that have arrived by `now`."""
        for ts, account, asset, units in [c for c in self.coming if c[0] <= now]:
            self.held[account, asset] += units
            self.coming.remove((ts, account, asset, units))

    def add(self, ts: int, action: str, account: str, asset: str, units: int, **more: str) -> None:
        """One row; `units` in 1/10**8, `more` the other columns."""
        row = dict.fromkeys(COLUMNS, "")
        row |= {"timestamp": format_instant(ts), "action": action, "asset_id": asset, "account": account}
        row |= {"quantity": text(units, QUANTITY_PLACES)} | more
        if "id" not in more and self.rng.randrange(4):
            stamp, chance = ts // 1000, self.rng.getrandbits(74)
            bits = stamp << 80 | 0x7 << 76 | (chance >> 62) << 64 | 0b10 << 62 | chance & (1 << 62) - 1
            row["id"] = id_text(bits.to_bytes(16, "big"))
        self.rows.append((ts, row))

    def reference(self, account: str) -> dict[str, str]:
        return {"external_id": f"{account[0].upper()}-{len(self.rows) + 1:06}"}

    def priced(self, asset: str, ts: int) -> str:
        ticks = self.market.dollars(asset, ts)
        return text(ticks * (10_000 + self.rng.randrange(-6, 7)) // 10_000, BY_NAME[asset].places)

    def worth(self, asset: str, ts: int, cents: int) -> int:
        """Units of `asset` that so many US cents buy, in whole lots."""
        found = BY_NAME[asset]
        lot: int = 10 ** (QUANTITY_PLACES - found.lot_places)
        units: int = cents * 10 ** (QUANTITY_PLACES + found.places - 2) // self.market.dollars(asset, ts)
        return max(units - units % lot, lot)

    def trade(self, ts: int) -> None:
        account = self.rng.choice((MAIN, MAIN, MAIN, BROKER))
        asset = self.rng.choice(MAIN_ASSETS if account == MAIN else BROKER_ASSETS)
        cents = self.rng.randrange(6_000, 140_000)
        units = self.worth(asset, ts, cents)
        buys = self.rng.randrange(100) < 52 or units > self.held[account, asset] // 8
        self.book_trade(ts, "BUY" if buys else "SELL", account, asset, units, cents)

    def book_trade(self, ts: int, action: str, account: str, asset: str, units: int, cents: int) -> None:
        fee_asset, fee = self.trade_fee(ts, account, asset, units, cents)
        self.held[account, asset] += units if action == "BUY" else -units
        self.held[account, fee_asset] -= fee
        venue = "spot" if account == MAIN else "bourse"
        note = "=limit, good till cancelled" if self.rng.randrange(400) == 0 else ""
        self.add(
            ts, action, account, asset, units, unit_price_usd=self.priced(asset, ts), fee_asset=fee_asset,
            fee_amount=text(fee, QUANTITY_PLACES), venue=venue, notes=note, **self.reference(account),
        )  # fmt: skip

    def trade_fee(self, ts: int, account: str, asset: str, units: int, cents: int) -> tuple[str, int]:
        """The broker takes euros; the exchange takes the asset itself, dollars or litecoin."""
        cash = cents * 10 ** (QUANTITY_PLACES - 2) // 1000
        if account == BROKER:
            return "EUR", cash - cash % 10**6 + 10**8
        way = self.rng.randrange(4)
        litecoin = self.worth("LTC", ts, cents // 1000)
        if way == 0 and asset != "LTC" and litecoin < self.held[MAIN, "LTC"] // 20:
            return "LTC", litecoin
        return ("USD", cash) if way == 1 else (asset, units // 1000)

    def opening(self, ts: int, account: str, asset: str, cents: int) -> None:
        self.book_trade(ts, "BUY", account, asset, self.worth(asset, ts, cents), cents)

    def out(self, ts: int, account: str, asset: str, units: int, tx: str, note: str = "") -> None:
        fee = units // 2000 + 1
        self.held[account, asset] -= units + fee
        more = {"fee_asset": asset, "fee_amount": text(fee, QUANTITY_PLACES), "tx_hash": tx, "notes": note}
        self.add(ts, "TRANSFER_OUT", account, asset, units, **more)

    def into(self, ts: int, account: str, asset: str, units: int, tx: str, wallet: str = "") -> None:
        self.coming.append((ts, account, asset, units))
        self.add(ts, "TRANSFER_IN", account, asset, units, tx_hash=tx, wallet=wallet)

    def hash(self) -> str:
        return f"{self.rng.getrandbits(256):064x}"

    def move(self, ts: int, delay_min: int = 0) -> None:
        """A transfer whose IN comes within the hour, or after the delay asked for."""
        source, target, asset = self.rng.choice(ROUTES)
        units = self.held[source, asset] * self.rng.randrange(2, 9) // 100
        if units > 10**3:
            tx = self.hash()
            self.out(ts, source, asset, units, tx, f"to {target}")
            delay = (delay_min or self.rng.randrange(4, 55)) * MINUTE_US
            self.into(ts + delay, target, asset, units, tx, "vault-01" if target == VAULT else "")

    def late(self, ts: int) -> None:
        self.move(ts, 36 * 60)

    def orphan(self, ts: int) -> None:
        self.out(ts, MAIN, "XRP", self.worth("XRP", ts, 90_000), self.hash(), "to a friend")

    def split(self, ts: int) -> None:
        """One chain transaction that pays two wallets from two accounts."""
        tx, whole = self.hash(), self.worth("ETH", ts, 600_000)
        self.out(ts, MAIN, "ETH", whole, tx)
        self.out(ts, BROKER, "ETH", whole // 2, tx)
        self.into(ts + 9 * MINUTE_US, VAULT, "ETH", whole, tx, "vault-01")
        self.into(ts + 9 * MINUTE_US, VAULT, "ETH", whole // 2, tx, "vault-02")

    def gas(self, ts: int) -> None:
        units = min(self.rng.randrange(40_000, 300_000), self.held[VAULT, "ETH"] // 10)
        if units:
            self.held[VAULT, "ETH"] -= units
            sign = "-" if self.rng.randrange(2) else ""
            quantity = sign + text(units, QUANTITY_PLACES)
            self.add(ts, "FEE", VAULT, "ETH", units, quantity=quantity, tx_hash=self.hash(), notes="gas only")

    def reward(self, ts: int, action: str, account: str, asset: str, units: int) -> None:
        if units:
            self.held[account, asset] += units
            price = "" if action == "AIRDROP" else self.priced(asset, ts)
            self.add(ts, action, account, asset, units, unit_price_usd=price, **self.reference(account))

    def stake(self, ts: int, asset: str) -> None:
        self.reward(ts, "STAKING_REWARD", VAULT, asset, self.held[VAULT, asset] // 90_000)

    def airdrop(self, ts: int) -> None:
        self.reward(ts, "AIRDROP", VAULT, "LINK", 25 * 10**QUANTITY_PLACES)

    def income(self, ts: int) -> None:
        account, asset = self.rng.choice(((MAIN, "XRP"), (BROKER, "ACME")))
        self.reward(ts, "INCOME", account, asset, self.worth(asset, ts, self.rng.randrange(2_000, 9_000)))

    def twins(self, ts: int) -> None:
        """Two equal fills that bring neither an id nor a reference: both are real."""
        units, price = self.worth("LINK", ts, 20_000), self.priced("LINK", ts)
        for _ in range(2):
            self.held[MAIN, "LINK"] += units
            self.add(ts, "BUY", MAIN, "LINK", units, unit_price_usd=price, venue="spot", id="")

    def oversell(self, ts: int) -> None:
        units = self.held[BROKER, "DOGE"] + 25 * 10**QUANTITY_PLACES
        self.book_trade(ts, "SELL", BROKER, "DOGE", units, 30_000)


def _planned(book: _Book) -> Plan:
    """What comes at a fixed hour: the opening, the rewards and everything that is there to be found."""
    start, plan = book.market.start, Plan()
    for number, (account, asset, cents) in enumerate(_openings()):
        plan.append((start + (120 + 45 * number) * SECOND_US, _bind(book.opening, account, asset, cents)))
    for hour in range(2, DAYS * 24, 2):
        for number, asset in enumerate(STAKED):
            plan.append((start + hour * HOUR_US + (17 + number) * MINUTE_US, _bind(book.stake, asset)))
    monday = start + (4 - start // DAY_US) % 7 * DAY_US + 7 * DAY_US
    for act, instants in (
        (book.twins, (start + 3 * DAY_US + HOUR_US, start + 15 * DAY_US + HOUR_US)),
        (book.orphan, (start + 6 * DAY_US + 7 * HOUR_US, start + 21 * DAY_US + 15 * HOUR_US)),
        (book.split, (start + 9 * DAY_US + 12 * HOUR_US,)),
        (book.airdrop, (start + 12 * DAY_US + 16 * HOUR_US,)),
        (book.late, tuple(monday + back * HOUR_US for back in (-20, -5, 7 * 24 - 11, 14 * 24 - 3))),
        (book.oversell, (start + DAYS * DAY_US - 3 * HOUR_US,)),
    ):
        plan += [(ts + 11 * SECOND_US, act) for ts in instants]
    return plan


def _openings() -> list[tuple[str, str, int]]:
    """Account, asset and US cents of what is bought on the first day."""
    main = zip(MAIN_ASSETS, (28, 20, 12, 8, 5, 6, 6, 7), strict=True)
    broker = (("ACME", 15), ("BTC", 9), ("ETH", 6), ("XRP", 3), ("DOGE", 2))
    shares = [(MAIN, *share) for share in main] + [(BROKER, *share) for share in broker]
    return [(account, asset, share * 1_000_000) for account, asset, share in shares]


def _bind(act: Callable[..., None], *arguments: str | int) -> Callable[[int], None]:
    return lambda ts: act(ts, *arguments)


def _drawn(book: _Book) -> Plan:
    """What comes at any second; nothing is sent so late that its arrival would fall outside."""
    kinds = ((book.trade, TRADES), (book.move, MOVES), (book.gas, GAS_FEES), (book.income, INCOMES))
    first = book.market.start // SECOND_US + 1_800
    last = first + (DAYS * DAY_US - 5 * HOUR_US) // SECOND_US
    return [(book.rng.randrange(first, last) * SECOND_US, act) for act, count in kinds for _ in range(count)]
