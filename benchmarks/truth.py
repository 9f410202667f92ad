"""What the exchange itself remembers, collected all the time, and what the database says; both as plain rows.

The exchange keeps its newest two hundred ended orders and fills per account in `simulator.json`; reading that file
costs it no request weight and does not lean on any code of the console's own adapters. Its order ids have no gaps, so
that a row nobody saw is noticed.
"""

import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from trading.domain.instruments import Instrument
from trading.domain.orders import Side
from trading.domain.venue_orders import VenueState
from trading.simulator import listing, state

READ_EVERY_S: Final = 0.2
QUOTE: Final = "USDT"

OrderKey = tuple[str, str]  # account, client order id
FillKey = tuple[str, str, int]  # account, symbol, trade id
FillFacts = tuple[str, str, int, int, Decimal]  # client order id, side, ticks, lots, fee


@dataclass(slots=True)
class Venue:
    """Everything the exchange was seen to have done."""

    orders: dict[OrderKey, set[int]] = field(default_factory=lambda: defaultdict(set))  # -> order ids
    executed: dict[OrderKey, int] = field(default_factory=dict)  # -> lots
    quantity: dict[OrderKey, int] = field(default_factory=dict)  # -> lots
    fills: dict[FillKey, FillFacts] = field(default_factory=dict)
    newest: VenueState | None = None

    def take(self, seen: VenueState) -> None:
        """Add what the exchange remembers now."""
        self.newest = seen
        for account, booked in seen.orders.items():
            for one in booked:
                key = (account, one.order.client_order_id)
                self.orders[key].add(one.order_id)
                self.executed[key] = one.filled_lots
                self.quantity[key] = one.order.quantity_lots
        for account, fills in seen.fills.items():
            for f in fills:
                facts = (f.client_order_id, f.side.value, f.price_ticks, f.quantity_lots, f.fee)
                self.fills[account, f.symbol, f.trade_id] = facts

    def unseen(self) -> int:
        """Return how many orders the exchange took that were never seen here."""
        ids = {number for numbers in self.orders.values() for number in numbers}
        return (self.newest.next_order_id - 1 if self.newest else 0) - len(ids)

    def doubled(self) -> list[OrderKey]:
        """Return ids that two orders carry, or that executed beyond their quantity."""
        filled: Counter[OrderKey] = Counter()
        for (account, _, _), (name, _, _, lots, _) in self.fills.items():
            filled[account, name] += lots
        twice = [key for key, numbers in self.orders.items() if len(numbers) > 1]
        return twice + [key for key, lots in self.quantity.items() if filled[key] > lots]

    def open_orders(self, account: str) -> dict[str, int]:
        """Return client order id -> executed lots of what rests now."""
        booked = self.newest.orders.get(account, []) if self.newest else []
        return {one.order.client_order_id: one.filled_lots for one in booked if one.is_open}

    def balances(self, account: str) -> dict[str, Decimal]:
        """Return asset -> free and locked together, zeros left out."""
        held = self.newest.balances.get(account, {}) if self.newest else {}
        return {asset: b.free + b.locked for asset, b in held.items() if b.free + b.locked}


class Watcher:
    """Reads the exchange's memory in a thread of its own."""

    def __init__(self, data_dir: Path) -> None:
        self.instruments: Mapping[str, Instrument] = listing.load().instruments
        self.venue = Venue()
        self._path = data_dir / state.FILE_NAME
        self._lock = threading.Lock()
        self._stop = threading.Event()

    @contextmanager
    def watching(self) -> Iterator["Watcher"]:
        """Read for the length of the block."""
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            thread.join()

    def read(self) -> Venue:
        """Read now and return everything seen so far; not to be changed."""
        with self._lock:
            if (stored := state.load(self._path, dict(self.instruments))) is not None:
                self.venue.take(stored.venue)
            return self.venue

    def known(self) -> tuple[set[OrderKey], set[FillKey]]:
        """Return the orders and fills the exchange knows by now."""
        with self._lock:
            return set(self.venue.orders), set(self.venue.fills)

    def _run(self) -> None:
        while not self._stop.wait(READ_EVERY_S):
            self.read()


@dataclass(slots=True)
class Books:
    """Orders and fills as the database has them."""

    orders: dict[OrderKey, str] = field(default_factory=dict)  # -> status
    fills: dict[FillKey, FillFacts] = field(default_factory=dict)


def read_books() -> Books:
    """Return what the database holds now.

    Raises:
        DatabaseError: it does not answer.
    """
    from trading.models import Fill, Order

    books = Books()
    for slug, name, status in Order.objects.values_list("account__slug", "client_order_id", "status"):
        books.orders[slug, name] = status
    columns = ("account__slug", "symbol", "trade_id", "order__client_order_id", "side")
    for slug, symbol, trade_id, *facts in Fill.objects.values_list(*columns, "price_ticks", "quantity_lots", "fee"):
        name, side, ticks, lots, fee = facts
        books.fills[slug, symbol, trade_id] = (name, side, ticks, lots, fee.normalize())
    return books


def audit_head() -> tuple[int, str]:
    """Return sequence and hash of the newest audit row.

    Raises:
        DatabaseError: it does not answer.
    """
    from trading.models import AuditEvent

    return AuditEvent.objects.order_by("-sequence").values_list("sequence", "hash").first() or (0, "")


def has_audit_row(sequence: int, digest: str) -> bool:
    """Return whether the chain still has this row.

    Raises:
        DatabaseError: it does not answer.
    """
    from trading.models import AuditEvent

    return not sequence or AuditEvent.objects.filter(sequence=sequence, hash=digest).exists()


def differences(watcher: Watcher, accounts: Mapping[str, Decimal]) -> list[str]:
    """Return where books and venue differ, in words; `accounts`: slug -> opening cash. Only true while nothing moves.

    Cash and positions are added up here from the stored fills and settlements, not by the console's ledger.

    Raises:
        DatabaseError: the database does not answer.
    """
    venue, books = watcher.read(), read_books()
    theirs = {key: (*facts[:4], facts[4].normalize()) for key, facts in venue.fills.items()}
    found = [
        f"fill {key}: {theirs.get(key)} there, {books.fills.get(key)} here"
        for key in theirs.keys() | books.fills
        if theirs.get(key) != books.fills.get(key)
    ]
    for account, opening in accounts.items():
        resting = venue.open_orders(account)
        if (ours := _open(account)) != resting:
            found.append(f"{account}: open orders differ in {sorted(set(ours.items()) ^ set(resting.items()))}")
        if (held := _holdings(account, opening, watcher.instruments)) != (there := venue.balances(account)):
            found.append(f"{account}: holds {held}, the venue says {there}")
    return found


def _open(account: str) -> dict[str, int]:
    from trading.domain.orders import OPEN
    from trading.models import Order

    rows = Order.objects.filter(account__slug=account, status__in=OPEN)
    return dict(rows.values_list("client_order_id", "filled_lots"))


def _holdings(account: str, opening: Decimal, instruments: Mapping[str, Instrument]) -> dict[str, Decimal]:
    from trading.models import Fill, Settlement

    held: dict[str, Decimal] = defaultdict(Decimal)
    held[QUOTE] = opening
    fills: Any = Fill.objects.filter(account__slug=account).values_list("symbol", "side", "price", "quantity", "fee")
    for symbol, side, price, quantity, fee in fills:
        sign = 1 if side == Side.BUY else -1
        held[instruments[symbol].base] += sign * quantity
        held[QUOTE] -= sign * price * quantity + fee
    for symbol, quantity, price in Settlement.objects.filter(account__slug=account).values_list(
        "symbol", "quantity_base", "price"
    ):
        held[instruments[symbol].base] -= quantity
        held[QUOTE] += quantity * price
    return {asset: amount for asset, amount in held.items() if amount}
