"""One trader driven by hand: every message is chosen by the test."""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any, TypeVar

from tests.trading.domain.in_memory import Journal
from trading.domain.desk import Chosen, DeskSettings, NeverRan, SlotView, SymbolView, TraderState
from trading.domain.events import (
    Effect,
    Event,
    HaltRequested,
    OrderAccepted,
    OrderEnded,
    OrderFilled,
    ReadVenue,
    Submit,
    TimerFired,
    VenueOrder,
    VenueRead,
)
from trading.domain.fees import DEMO_FEES
from trading.domain.flows import Flow
from trading.domain.grid import GridSettings
from trading.domain.instruments import Instrument
from trading.domain.limits import ExecutionStyle, Limits
from trading.domain.market import BookTop, Trade
from trading.domain.orders import Fill, Order, OrderStatus, OrderType
from trading.domain.strategy import SlotState
from trading.domain.throttle import NO_THROTTLE, Throttle
from trading.domain.trader import NEVER_RAN, Trader

SECOND = 1_000_000_000
BEGIN = 1_750_032_000 * SECOND  # 16 June 2025 00:00 UTC
SYMBOL = "BTCUSDT"
BTC = Instrument(SYMBOL, "BTC", "USDT", Decimal("0.01"), Decimal("0.00001"), Decimal(5))
CENTRE = 6_000_000  # ticks
E = TypeVar("E")


def mandate(style: ExecutionStyle, **changes: object) -> Limits:
    values: dict[str, object] = {
        "phase": "4.0",
        "version": 1,
        "capital_quote": Decimal(1_000),
        "symbols": frozenset({SYMBOL}),
        "execution_styles": frozenset({style}),
        "max_position_fraction": Decimal("0.02"),
        "max_symbol_exposure_fraction": Decimal("0.5"),
        "max_total_exposure_fraction": Decimal("0.5"),
        "max_daily_drawdown_fraction": Decimal("0.02"),
        "max_daily_drawdown_hard_fraction": Decimal("0.05"),
        "max_symbol_drawdown_fraction": None,
        "max_daily_trades": 100,
        "max_open_orders": 20,
    }
    return Limits(**(values | changes))  # type: ignore[arg-type]  # a table of named values


class Hand:
    """A trader on one symbol: started, read clean once, its ladder centred at 60,000.00, unless told otherwise."""

    def __init__(
        self,
        style: ExecutionStyle = ExecutionStyle.TAKER,
        *,
        slots: int = 4,
        ready: bool = True,
        state: TraderState | NeverRan = NEVER_RAN,
        journal: Journal | None = None,
        epoch: int = 1,
        now_ns: int = BEGIN,
        step: Decimal = Decimal("0.001"),
        throttle: Throttle = NO_THROTTLE,
        grid: Chosen | None = None,
        **limit_changes: object,
    ) -> None:
        self.style = style
        self.now_ns = now_ns
        self.journal = journal or Journal()
        self.effects: list[Effect] = []  # of the last turn
        self.all_effects: list[Effect] = []
        self.number = 0
        self.trade_id = len(self.journal.fills)
        grid = grid or GridSettings(SYMBOL, style, step, slots, Decimal(20))
        self.trader = Trader(
            settings=DeskSettings("micro", "USDT", (grid,), DEMO_FEES, Decimal(1_000)),
            limits=mandate(style, **limit_changes),
            instruments={SYMBOL: BTC},
            epoch=epoch,
            now_ns=now_ns,
            state=state,
            throttle=throttle,
        )
        self._took(self.trader.start(self.now_ns))
        if ready:
            self.read()
            self.top(CENTRE)

    # --- messages -----------------------------------------------------------------------------------------

    def give(self, event: Event) -> list[Effect]:
        return self._took(self.trader.handle(event, self.now_ns))

    def top(self, bid: int, ask: int | None = None, *, lots: int = 10**6) -> list[Effect]:
        self.number += 1
        ask = bid + 1 if ask is None else ask
        return self.give(BookTop(SYMBOL, bid, lots, ask, lots, self.number, 0, self.now_ns))

    def trade(self, price: int) -> list[Effect]:
        self.number += 1
        return self.give(Trade(SYMBOL, price, 10, True, self.number, self.now_ns, self.now_ns))

    def seconds(self, count: int, *, keep_fresh: bool = True) -> list[Effect]:
        """Let seconds pass; return everything that was asked for meanwhile."""
        asked: list[Effect] = []
        for _ in range(count):
            self.now_ns += SECOND
            if keep_fresh and (top := self.symbol.bid_ticks) is not None:
                asked += self.top(top)
            asked += self.give(TimerFired(self.now_ns))
        return asked

    def accept(self, order: Order) -> list[Effect]:
        return self.give(OrderAccepted(order.client_order_id, f"v{order.client_order_id}", self.now_ns))

    def execution(self, order: Order, lots: int | None = None, price: int | None = None) -> Fill:
        self.trade_id += 1
        ticks = price or order.price_ticks or order.reference_ticks
        quantity = order.quantity_lots if lots is None else lots
        maker = order.type is not OrderType.MARKET
        fee = DEMO_FEES.fee(BTC.notional(ticks, quantity), maker=maker)
        return Fill(
            self.trade_id,
            order.client_order_id,
            "v",
            SYMBOL,
            order.side,
            ticks,
            quantity,
            fee,
            "USDT",
            maker,
            self.now_ns,
        )

    def fill(self, order: Order, lots: int | None = None, price: int | None = None) -> list[Effect]:
        return self.give(OrderFilled(self.execution(order, lots, price)))

    def end(self, order: Order, status: OrderStatus = OrderStatus.EXPIRED, filled: int = 0) -> list[Effect]:
        return self.give(OrderEnded(order.client_order_id, status, filled, self.now_ns))

    def halt(self, reason: str, *, flatten: bool, symbol: str = "") -> list[Effect]:
        """Halt as a person would: the durable latch first."""
        self.journal.latch(reason, flatten=flatten, at_ns=self.now_ns, symbol=symbol)
        return self.give(HaltRequested(reason, flatten, symbol))

    def read(
        self,
        orders: Iterable[VenueOrder] | None = None,
        *,
        missing: Iterable[str] = (),
        fills: Iterable[Fill] = (),
        balances: dict[str, Decimal] | None = None,
        began_ns: int | None = None,
        flows: Iterable[Flow] = (),
    ) -> list[Effect]:
        """Let the venue answer; without arguments it says exactly what our books say."""
        return self.give(
            VenueRead(
                read_at_ns=self.now_ns if began_ns is None else began_ns,
                local_open=frozenset(self.open),
                orders=tuple(self.there() if orders is None else orders),
                missing=frozenset(missing),
                fills=tuple(fills),
                balances=self.trader.balances() if balances is None else balances,
                flows=tuple(flows),
            )
        )

    def there(self) -> list[VenueOrder]:
        """The venue's word on our open orders when it agrees with us."""
        return [at_venue(order) for order in self.open.values() if order.status in VISIBLE]

    # --- what came of it ----------------------------------------------------------------------------------

    @property
    def sent(self) -> list[Order]:
        return [effect.order for effect in self.effects if isinstance(effect, Submit)]

    @property
    def open(self) -> dict[str, Order]:
        return {name: order for name, order in self.journal.orders.items() if order.is_open}

    @property
    def symbol(self) -> SymbolView:
        return self.trader.view(self.now_ns).symbols[0]

    @property
    def slots(self) -> list[SlotView]:
        return list(self.symbol.slots)

    def state(self, slot: int) -> SlotState:
        return self.symbol.slots[slot].state

    def level(self, slot: int) -> int:
        return self.symbol.levels[slot]

    def of(self, kind: type[E]) -> list[E]:
        """The effects of the last turn of one kind."""
        return [effect for effect in self.effects if isinstance(effect, kind)]

    def journal_of(self, kind: type[E]) -> list[E]:
        """The effects of one kind since this trader began."""
        return [effect for effect in self.all_effects if isinstance(effect, kind)]

    def asked_to_read(self) -> bool:
        return bool(self.of(ReadVenue))

    def codes(self) -> list[str]:
        return [effect.code for effect in self.effects if hasattr(effect, "code")]

    # --- short ways ---------------------------------------------------------------------------------------

    def buy(self, slot: int = 2) -> Order:
        """Let the ask fall to the level of a slot and return the order this sends."""
        self.top(self.level(slot))
        self.top(self.level(slot) - 1)
        (order,) = self.sent
        return order

    def top_and_sent(self, bid: int) -> list[Order]:
        self.top(bid)
        return self.sent

    def hold(self, slot: int = 2) -> Order:
        """Buy a whole lot."""
        order = self.buy(slot)
        self.accept(order)
        self.fill(order)
        return order

    def restarted(self, **changes: Any) -> "Hand":
        """kill -9 and start again from the journal."""
        return Hand(
            self.style,
            ready=False,
            state=self.journal.state(),
            journal=self.journal,
            epoch=2,
            now_ns=self.now_ns + SECOND,
            **changes,
        )

    def _took(self, effects: list[Effect]) -> list[Effect]:
        self.effects = effects
        self.all_effects += effects
        self.journal.keep(effects, self.now_ns)
        return effects


VISIBLE = {OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED, OrderStatus.PENDING_CANCEL}


def at_venue(order: Order, status: OrderStatus = OrderStatus.ACCEPTED, filled: int | None = None) -> VenueOrder:
    """An order of ours as the venue reports it."""
    return VenueOrder(
        order.client_order_id,
        f"v{order.client_order_id}",
        order.symbol,
        status,
        order.filled_lots if filled is None else filled,
        ours=True,
        side=order.side,
        quantity_lots=order.quantity_lots,
        price_ticks=order.price_ticks,
    )


def human_order(price: int = 5_000_000, lots: int = 100) -> VenueOrder:
    """An order a person placed on the account."""
    return replace(
        VenueOrder("web_1", "9", SYMBOL, OrderStatus.ACCEPTED, 0, ours=False), quantity_lots=lots, price_ticks=price
    )
