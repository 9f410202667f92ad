"""The register of orders: every order of ours, what it may still do, and what was traded today."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from trading.domain.orders import (
    IN_FLIGHT,
    TERMINAL,
    Order,
    OrderStatus,
    Purpose,
    Side,
    advance,
)


@dataclass(slots=True)
class Register:
    """Orders by id. Ended ones are remembered until a whole reading begun 20 s later has nothing new of them."""

    known: dict[str, Order] = field(default_factory=dict)
    open: dict[str, Order] = field(default_factory=dict)
    today: dict[str, int] = field(default_factory=dict)  # orders with a fill since the day began -> its venue time
    forgotten_today: int = 0  # of the day's trades, those whose order is forgotten
    owed: dict[str, tuple[int, OrderStatus]] = field(
        default_factory=dict
    )  # order -> its filled lots and end; fills to come

    @property
    def trades_today(self) -> int:
        """How many orders have filled since the day began, in part or whole."""
        return len(self.today) + self.forgotten_today

    def add(self, order: Order) -> None:
        """Take an order into the books."""
        self.known[order.client_order_id] = order
        if order.is_open:
            self.open[order.client_order_id] = order

    def move(self, order: Order, status: OrderStatus, now_ns: int) -> Order:
        """Advance `order` and return a copy to store.

        Raises:
            IllegalTransition: the life-cycle has no such step.
        """
        if status is not order.status:
            order.status = advance(order.status, status)
        order.updated_at_ns = now_ns
        if order.status in TERMINAL:
            self.open.pop(order.client_order_id, None)
            self.owed.pop(order.client_order_id, None)
        else:
            self.open[order.client_order_id] = order
        return replace(order)

    def on(self, scope: str) -> list[Order]:
        """Return the open orders of one symbol, or of all where `scope` is empty."""
        return [order for order in self.open.values() if scope in ("", order.symbol)]

    def of(self, symbol: str) -> Iterator[Order]:
        """Yield the open orders of one symbol, oldest first."""
        return (order for order in self.open.values() if order.symbol == symbol)

    def unknown(self) -> list[Order]:
        """Return the open orders whose fate is not known."""
        return [order for order in self.open.values() if order.status is OrderStatus.UNKNOWN]

    def open_buys_lots_ticks(self) -> dict[str, int]:
        """Return per symbol what open buys may still spend, in lots x ticks, at their limit or decided price."""
        totals: dict[str, int] = {}
        for order in self.open.values():
            if order.side is Side.BUY:
                ticks = order.reference_ticks if order.price_ticks is None else order.price_ticks
                totals[order.symbol] = totals.get(order.symbol, 0) + ticks * order.remaining_lots
        return totals

    def offered_lots(self, symbol: str) -> int:
        """Return what open sells of a symbol may still sell."""
        return sum(order.remaining_lots for order in self.of(symbol) if order.side is Side.SELL)

    def grid_orders(self, symbol: str = "") -> list[Order]:
        """Return the open orders that are no flatten, of one symbol or of all."""
        return [order for order in self.on(symbol) if order.purpose is not Purpose.FLATTEN]

    def has_definite_grid_order(self, symbol: str = "") -> bool:
        """Return whether an order that is no flatten works or waits for its answer; asked at every step of a halt."""
        return any(
            order.status is not OrderStatus.UNKNOWN and order.purpose is not Purpose.FLATTEN
            for order in self.open.values()
            if symbol in ("", order.symbol)
        )

    def undelivered(self) -> list[Order]:
        """Return the open orders whose answer has not come."""
        return [order for order in self.open.values() if order.status in IN_FLIGHT]

    def forget(self, before_ns: int) -> None:
        """Forget the orders that ended before `before_ns`."""
        for name in [n for n, order in self.known.items() if order.updated_at_ns < before_ns and n not in self.open]:
            del self.known[name]
            self.forgotten_today += self.today.pop(name, None) is not None

    def open_day(self, since_ns: int) -> None:
        """Count the trades since `since_ns` only.

        A process that slept over midnight opens the day late: what was traded since then belongs to it already.
        """
        self.forgotten_today = 0
        self.today = {name: at_ns for name, at_ns in self.today.items() if at_ns >= since_ns}
