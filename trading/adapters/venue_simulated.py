"""The simulated venue in process: the same matching as behind the sockets, without the sockets."""

from collections.abc import AsyncIterator, Mapping, Sequence
from decimal import Decimal
from typing import Final

from trading.adapters.mailbox import Mailbox
from trading.domain.events import Event, OrderFilled, VenueOrder
from trading.domain.instruments import Instrument
from trading.domain.market import BookTop, Trade
from trading.domain.matching import SimulatedVenue
from trading.domain.orders import Fill, Order
from trading.domain.venue_orders import BookedOrder, NewOrder, Rejection, Report
from trading.ports import Acknowledgement, Clock, Leave, NotFound, Refused, UserEvents

BACKLOG: Final = 100_000  # account events a reader may lag behind
NOT_FOUND_CODES: Final = frozenset({-2011, -2013})


class InProcessExchange:
    """One matching venue and whoever follows its accounts."""

    def __init__(self, venue: SimulatedVenue) -> None:
        """`venue` has its accounts open already."""
        self.venue = venue
        self._followers: dict[str, list[Mailbox[Event]]] = {}

    def on_market(self, event: BookTop | Trade) -> None:
        """Let a market event fill resting orders."""
        self.tell(self.venue.on_market(event))

    def follow(self, account: str) -> Mailbox[Event]:
        """Return a mailbox that gets every event of `account` from now on."""
        mailbox: Mailbox[Event] = Mailbox(limit=BACKLOG)
        self._followers.setdefault(account, []).append(mailbox)
        return mailbox

    def tell(self, reports: Sequence[Report]) -> None:
        """Pass reports on to the followers of their accounts."""
        for account, event in reports:
            for mailbox in self._followers.get(account, ()):
                mailbox.put(event)


class SimulatedDoor:
    """One account's door to an exchange in the same process."""

    def __init__(self, exchange: InProcessExchange, *, account: str, clock: Clock) -> None:
        self._exchange = exchange
        self._venue = exchange.venue
        self._account = account
        self._clock = clock

    async def instruments(self, symbols: Sequence[str]) -> dict[str, Instrument]:
        """Return the filters of `symbols`; a symbol the venue does not know is absent."""
        return {symbol: found for symbol, found in self._venue.instruments.items() if symbol in symbols}

    async def submit(self, order: Order, *, leave: Leave | None = None) -> Acknowledgement:
        """Send one order, once."""
        if leave is not None:
            await leave()
        new = NewOrder(
            order.client_order_id, order.symbol, order.side, order.type, order.quantity_lots, order.price_ticks
        )
        try:
            reports = self._venue.submit(self._account, new, self._clock.now_ns())
        except Rejection as error:
            raise _judged(error) from error
        self._exchange.tell(reports)
        booked = self._venue.order(self._account, order.symbol, order.client_order_id)
        fills = tuple(event.fill for _, event in reports if isinstance(event, OrderFilled))
        return Acknowledgement(self._described(booked), fills, booked.accepted_at_ns)

    async def cancel(self, symbol: str, client_order_id: str) -> VenueOrder:
        """Cancel one order."""
        try:
            reports = self._venue.cancel(self._account, symbol, client_order_id, self._clock.now_ns())
        except Rejection as error:
            raise _judged(error) from error
        self._exchange.tell(reports)
        return await self.order(symbol, client_order_id)

    async def cancel_all(self, symbol: str) -> list[VenueOrder]:
        """Cancel every open order on `symbol` and return them as they ended; nothing open is success."""
        booked = self._venue.open_orders(self._account, symbol)
        self._exchange.tell(self._venue.cancel_all(self._account, symbol, self._clock.now_ns()))
        return [self._described(one) for one in booked]

    async def open_orders(self, symbol: str | None = None) -> list[VenueOrder]:
        """Return the venue's own list of open orders."""
        return [self._described(booked) for booked in self._venue.open_orders(self._account, symbol)]

    async def order(self, symbol: str, client_order_id: str) -> VenueOrder:
        """Return one order by our id."""
        try:
            return self._described(self._venue.order(self._account, symbol, client_order_id))
        except Rejection as error:
            raise _judged(error) from error

    async def fills_since(self, symbol: str, trade_id: int) -> list[Fill]:
        """Return our executions with a trade id above `trade_id`, oldest first, complete."""
        return self._venue.fills(self._account, symbol, trade_id)

    async def balances(self) -> dict[str, Decimal]:
        """Return asset -> free + locked; absent assets are zero at the venue."""
        balances: Mapping[str, Decimal] = {
            asset: balance.total for asset, balance in self._venue.balances(self._account).items()
        }
        return {asset: total for asset, total in balances.items() if total}

    async def clock_skew_ms(self) -> float:
        """Return 0: it is the same clock."""
        return 0.0

    async def user_events(self) -> AsyncIterator[UserEvents]:
        """Yield account events from the first step on."""
        mailbox = self._exchange.follow(self._account)
        seen = 0
        yield UserEvents((), seen)
        while True:
            events = await mailbox.take()
            seen += len(events)
            yield UserEvents(tuple(events), seen)

    async def close(self) -> None:
        """Nothing is held open."""

    def _described(self, booked: BookedOrder) -> VenueOrder:
        order = booked.order
        ours = order.client_order_id.startswith(f"gc-{self._account}-")
        return VenueOrder(
            client_order_id=order.client_order_id,
            venue_order_id=str(booked.order_id),
            symbol=order.symbol,
            status=booked.status,
            filled_lots=booked.filled_lots,
            ours=ours,
            side=None if ours else order.side,
            quantity_lots=0 if ours else order.quantity_lots,
            price_ticks=None if ours else order.price_ticks,
        )


def _judged(error: Rejection) -> Refused:
    kind = NotFound if error.code in NOT_FOUND_CODES else Refused
    return kind(error.message, str(error.code))
