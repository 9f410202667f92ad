"""Does at the venue what the core asked for, and says in events what came of it."""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Final, Protocol

from trading.domain.events import (
    Cancel,
    CancelEverything,
    CancelRefused,
    Event,
    OrderAccepted,
    OrderAmbiguous,
    OrderEnded,
    OrderFilled,
    OrderRefused,
    ReadVenue,
    TransferMade,
    VenueOrder,
    VenueRead,
)
from trading.domain.flows import Flow
from trading.domain.orders import Fill, Order, OrderStatus
from trading.ports import (
    Clock,
    FateUnknown,
    KeyRevoked,
    NotFound,
    Refused,
    Throttled,
    Transfers,
    Venue,
    VenueError,
    Withheld,
)
from trading.runtime.meter import Meter

STALE_NS: Final = 500_000_000  # an order that waited longer is not sent: "not found is proof" rests on this bound
STALE: Final = "STALE"
THROTTLED: Final = "THROTTLED"
ASKED_AT_ONCE: Final = 8  # orders: a hundred sent past the weight limit in one burst would get the address banned


class Troubles(Protocol):
    """Who wants to know that the venue misbehaves."""

    def venue_error(self, message: str) -> None:
        """A request failed in a way that is the venue's or the network's fault."""
        ...

    def key_revoked(self, message: str) -> None:
        """The venue no longer accepts our key."""
        ...


class Requests:
    """The account's requests; every method returns events and raises nothing the venue can cause."""

    def __init__(
        self,
        venue: Venue,
        *,
        clock: Clock,
        meter: Meter,
        troubles: Troubles,
        may_send: Callable[[], bool],
        transfers: Transfers | None = None,
    ) -> None:
        """`may_send` is asked right before an order leaves: False once the lease may have passed to another."""
        self._venue = venue
        self._clock = clock
        self._meter = meter
        self._troubles = troubles
        self._may_send = may_send
        self._transfers = transfers
        self.awaited: tuple[Flow, ...] = ()  # transfers asked for, as far as people have told of them
        self._asking = asyncio.Semaphore(ASKED_AT_ONCE)
        self._canceled: dict[str, VenueOrder] = {}  # how orders ended by our cancels, until a read no longer asks

    async def submit(self, order: Order, stored: Awaitable[bool]) -> list[Event]:
        """Send one order, once; an answer that leaves its fate open is `OrderAmbiguous`.

        The request is prepared while its intent is being stored. It leaves once `stored` says True, if the order is
        still fresh and the lease still ours at that moment.
        """
        key, has_left = order.client_order_id, False

        async def leave() -> None:
            nonlocal has_left
            if not await stored:
                raise Withheld("halt latched")
            if self._clock.now_ns() - order.decided_at_ns > STALE_NS or not self._may_send():
                raise Withheld("waited too long and was never sent")
            has_left = True

        try:
            answer = await self._venue.submit(order, leave=leave)
        except Throttled as error:
            self._troubles.venue_error(str(error))
            return [OrderRefused(key, THROTTLED, str(error), self._clock.now_ns(), error.retry_after_ms)]
        except KeyRevoked as error:
            self._troubles.key_revoked(str(error))
            return [OrderRefused(key, error.code, str(error), self._clock.now_ns())]
        except Refused as error:
            return [OrderRefused(key, error.code, str(error), self._clock.now_ns())]
        except VenueError as error:
            if not has_left:
                return [OrderRefused(key, STALE, str(error), self._clock.now_ns())]
            self._troubles.venue_error(str(error))
            return [OrderAmbiguous(key, str(error), self._clock.now_ns())]
        self._meter.acknowledged(key)
        accepted = OrderAccepted(key, answer.order.venue_order_id, answer.at_ns)
        return [accepted, *map(OrderFilled, answer.fills), *_ended(answer.order, answer.at_ns)]

    async def cancel(self, effect: Cancel) -> list[Event]:
        """Cancel one order."""
        try:
            order = await self._venue.cancel(effect.symbol, effect.client_order_id)
        except VenueError as error:
            self._judge(error)
            return [CancelRefused(effect.client_order_id, str(error), self._clock.now_ns())]
        return _ended(order, self._clock.now_ns()) or [
            CancelRefused(effect.client_order_id, f"the venue says {order.status}", self._clock.now_ns())
        ]

    async def cancel_everything(self, effect: CancelEverything) -> list[Event]:
        """Cancel all orders on every symbol at the same time; whether nothing is left is for a read to prove."""
        results = await asyncio.gather(*map(self._cancel_all, effect.symbols))
        at_ns = self._clock.now_ns()
        return [event for orders in results for order in orders for event in _ended(order, at_ns)]

    async def _cancel_all(self, symbol: str) -> list[VenueOrder]:
        try:
            orders = [order for order in await self._venue.cancel_all(symbol) if order.ours]
        except VenueError as error:
            self._judge(error)
            return []
        self._canceled |= {order.client_order_id: order for order in orders if _ended(order, 0)}
        return orders

    async def read(self, effect: ReadVenue) -> list[Event]:
        """Read the venue for a reconcile; nothing when a part of it failed: half a reading proves nothing."""
        began_ns = self._clock.now_ns()
        try:
            open_orders = await self._venue.open_orders()
            (ended, missing), fills = await asyncio.gather(self._fates(effect, open_orders), self._fills(effect))
            balances = await self._venue.balances()
            flows = await self._made()
        except VenueError as error:
            self._judge(error)
            return []
        local_open = frozenset(key for _, key in effect.local_open)
        return [VenueRead(began_ns, local_open, (*open_orders, *ended), missing, fills, balances, flows)]

    async def move(self, flow_id: str, amount_quote: Decimal) -> list[Event]:
        """Have the venue make one transfer; whether it did is for a reading to tell, also where nothing was heard."""
        if self._transfers is not None:
            try:
                await self._transfers.move(flow_id, amount_quote)
            except VenueError as error:
                self._troubles.venue_error(f"{flow_id}: {error}")
        return [TransferMade(flow_id)]

    async def _made(self) -> tuple[Flow, ...]:
        """Return the transfers the venue has made, asked after the balances: what those hold of one is among them.

        Where people move the money the venue is not asked: then it is what they have told.
        """
        if self._transfers is None or not self.awaited:
            return self.awaited
        return tuple(await self._transfers.made())

    async def _fates(
        self, effect: ReadVenue, open_orders: list[VenueOrder]
    ) -> tuple[tuple[VenueOrder, ...], frozenset[str]]:
        """Return how every order ended that the venue no longer has open; what a cancel told is not asked again.

        Asking a hundred orders one by one costs 400 of the 6,000 request weights of a minute.
        """
        known = {order.client_order_id for order in open_orders}
        asked = [(symbol, key) for symbol, key in effect.local_open if key not in known]
        wanted = {key for _, key in effect.local_open}
        self._canceled = {key: order for key, order in self._canceled.items() if key in wanted}
        answers = await asyncio.gather(*(self._fate(symbol, key) for symbol, key in asked))
        missing = frozenset(key for (_, key), answer in zip(asked, answers, strict=True) if answer is None)
        return tuple(answer for answer in answers if answer is not None), missing

    async def _fate(self, symbol: str, client_order_id: str) -> VenueOrder | None:
        if client_order_id in self._canceled:
            return self._canceled[client_order_id]
        try:
            async with self._asking:
                return await self._venue.order(symbol, client_order_id)
        except NotFound:
            return None

    async def _fills(self, effect: ReadVenue) -> tuple[Fill, ...]:
        per_symbol = await asyncio.gather(
            *(self._venue.fills_since(symbol, trade_id) for symbol, trade_id in effect.since_trade_ids)
        )
        return tuple(fill for fills in per_symbol for fill in fills)

    def _judge(self, error: VenueError) -> None:
        if isinstance(error, KeyRevoked):
            self._troubles.key_revoked(str(error))
        elif isinstance(error, FateUnknown | Throttled):
            self._troubles.venue_error(str(error))


def _ended(order: VenueOrder, at_ns: int) -> list[Event]:
    if order.status in {OrderStatus.CANCELED, OrderStatus.EXPIRED}:
        return [OrderEnded(order.client_order_id, order.status, order.filled_lots, at_ns)]
    return []
