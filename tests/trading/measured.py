"""A desk to measure: minutes as its loop stores them, orders and fills through its journal."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from trading.domain import events as e
from trading.domain.drills import Drill
from trading.domain.evidence import Equity, Facts, SymbolFacts
from trading.domain.instruments import Instrument
from trading.domain.latency import Histogram
from trading.domain.orders import Fill, Order, OrderStatus, OrderType, Purpose, Side
from trading.models import Account, ConductSample, Grid, Halt, HaltDrill
from trading.selectors.recovery import nanoseconds
from trading.services.journal import DatabaseJournal

FENCE = 7
BTC, ETH = "BTCUSDT", "ETHUSDT"
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
MINUTE_NS = 60_000_000_000
INSTRUMENTS = {
    symbol: Instrument(symbol, symbol[:3], "USDT", Decimal("0.01"), Decimal("0.00001"), Decimal(5))
    for symbol in (BTC, ETH)
}
LATENCY = Histogram({200: 9, 300: 1})
TICK_SUBMIT = Histogram({20: 9, 130: 1})
ACK_FILL = Histogram({250: 8, 400: 1})


def minute(*, speed: int = 1, equities: tuple[int, ...] = (300,), touched: int = 0, **changes: Any) -> Facts:
    """Return what a loop saw in one minute that went well."""
    equity = Equity.of(Decimal(equities[0]))
    for one in equities[1:]:
        equity = equity.then(Equity.of(Decimal(one)))
    values: dict[str, Any] = {
        "watched_ns": MINUTE_NS,
        "fed_ns": MINUTE_NS,
        "in_force_ns": MINUTE_NS,
        "market_ns": MINUTE_NS * speed,
        "accelerated": speed > 1,
        "samples": len(equities),
        "readings": 4,
        "in_sync": 4,
        "equity": equity,
        "latency": LATENCY,
        "detailed_ns": MINUTE_NS,
        "tick_submit": TICK_SUBMIT,
        "ack_fill": ACK_FILL,
        "symbols": {ETH: SymbolFacts(touched=touched, touch_filled=touched // 2)} if touched else {},
    }
    return Facts(**(values | changes))


@dataclass(slots=True)
class Measured:
    """The micro desk: a taker on BTCUSDT, a maker on ETHUSDT."""

    account: Account
    journal: DatabaseJournal
    numbers: "count[int]"

    @classmethod
    def desk(cls) -> "Measured":
        """Return the desk, with nothing measured yet."""
        account = Account.objects.create(slug="micro", name="Micro $300")
        for symbol, style in ((BTC, "TAKER"), (ETH, "MAKER")):
            Grid.objects.create(
                account=account, symbol=symbol, style=style, spacing="geometric", step_fraction="0.001", slots=8,
                lot_quote=6,
            )  # fmt: skip
        journal = DatabaseJournal(account.slug, FENCE, INSTRUMENTS)
        journal.claim()
        return cls(account, journal, count(1))

    def watch(self, since: datetime, minutes: int, **changes: Any) -> None:
        """Store minutes that went well, but for `changes`."""
        facts = minute(**changes).to_json()
        ConductSample.objects.bulk_create(
            ConductSample(account=self.account, at=since + number * MINUTE, facts=facts) for number in range(minutes)
        )

    def ask(self, at: datetime, *, status: OrderStatus = OrderStatus.FILLED, filled: int = 10, **changes: Any) -> Order:
        """Store a market order for 10 lots, decided at `at`."""
        number = next(self.numbers)
        values: dict[str, Any] = {
            "symbol": BTC,
            "side": Side.BUY,
            "type": OrderType.MARKET,
            "slot": 0,
            "price_ticks": None,
        }
        order = Order(
            client_order_id=f"gc-micro-{FENCE}-{number}",
            quantity_lots=10,
            purpose=Purpose.GRID,
            decided_at_ns=nanoseconds(at),
            reference_ticks=1,
            status=status,
            filled_lots=filled,
            **(values | changes),
        )
        self.store(order, at)
        return order

    def drill(self, kind: Drill, at: datetime, *, proven_after: timedelta = timedelta(seconds=2)) -> None:
        """Store a drill that latched after a second; it passes when it was proven clear in time."""
        latched = at + timedelta(seconds=1)
        halt = Halt.objects.create(
            account=self.account, requested_by="engineer", reason="drill", latched_at=latched,
            proven_clear_at=latched + proven_after, released_at=latched + MINUTE,
        )  # fmt: skip
        HaltDrill.objects.create(account=self.account, drill=kind, asked_by="engineer", asked_at=at, halt=halt)

    def store(self, order: Order, at: datetime) -> None:
        """Store an order as it stands."""
        self.journal.commit_now([e.PersistOrder(order)], at_ns=nanoseconds(at))

    def fill(self, order: Order, at: datetime, *, profit: str | None = None) -> None:
        """Store one execution of `order`; a profit makes it the end of a round trip."""
        number = next(self.numbers)
        executed = Fill(
            number, order.client_order_id, "1", order.symbol, order.side, 1, 10, Decimal(0), "USDT", False,
            nanoseconds(at),
        )  # fmt: skip
        earned = None if profit is None else Decimal(profit)
        booked = e.PersistFill(executed, 0, earned or Decimal(0), earned, 0)
        self.journal.commit_now([booked], at_ns=nanoseconds(at))

    def sell(self, at: datetime, profit: str, **changes: Any) -> None:
        """Store a round trip that closes at `at`."""
        self.fill(self.ask(at, side=Side.SELL, **changes), at, profit=profit)
