"""One account at a venue that speaks Binance's dialect, through ccxt."""

import asyncio
import json
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Final

import ccxt

from trading.adapters import binance_wire as wire
from trading.adapters.binance_ccxt import REQUEST_TIMEOUT_MS, TELL_SENT, Allowance, Binance
from trading.adapters.mailbox import Mailbox
from trading.domain.events import Event, VenueOrder
from trading.domain.instruments import Instrument
from trading.domain.modes import id_prefix
from trading.domain.orders import Fill, Order, OrderType
from trading.ports import (
    Acknowledgement,
    FateUnknown,
    FeedBroken,
    Leave,
    NotFound,
    Refused,
    UserEvents,
)

PAGE: Final = 1_000  # rows of myTrades
KNOWN_IDS: Final = 5_000  # (symbol, venue order id) -> ours, for the trade list, which names only the venue's
BACKLOG: Final = 100_000  # account messages
UNKNOWN_SYMBOL_CODE: Final = "-1121"
STREAM: Final = "account"
LAST_MESSAGES: Final = frozenset({"eventStreamTerminated", "serverShutdown", "listenKeyExpired"})


class BinanceVenue:
    """Sends what it is told, once, and reads every answer by our own tables."""

    def __init__(
        self,
        base_url: str,
        *,
        account: str,
        mark: str = "gc",
        key: str,
        secret: str,
        instruments: Mapping[str, Instrument],
        timeout_ms: int = REQUEST_TIMEOUT_MS,
        allowance: Allowance | None = None,
        on_sent: Callable[[str], None] | None = None,
        known_ids: Mapping[tuple[str, str], str] | None = None,
    ) -> None:
        """`on_sent` is called with our order id right before the bytes of the order go to the socket.

        `known_ids`, (symbol, the venue's order id) -> ours, saves one request for each fill of these orders that is
        read; the venue numbers each symbol by itself.
        """
        self._exchange = Binance(base_url, key=key, secret=secret, timeout_ms=timeout_ms, allowance=allowance)
        self._scales = wire.scales(instruments)
        self._reader = wire.OrderReader(self._scales, id_prefix(account, mark))
        self._decoder = wire.AccountDecoder(instruments)
        self._ids: OrderedDict[tuple[str, str], str] = OrderedDict(known_ids or {})
        self._on_sent = on_sent

    def wait_for_answers(self, timeout_ms: int) -> None:
        """Wait so long for the answer of every request from now on; an order whose answer does not come is doubted."""
        self._exchange.timeout = timeout_ms

    async def instruments(self, symbols: Sequence[str]) -> dict[str, Instrument]:
        """Return the filters of `symbols`; a symbol the venue does not know is absent."""
        try:
            rows = await self._exchange_info({"symbols": json.dumps(list(symbols), separators=(",", ":"))})
        except Refused as error:
            if error.code != UNKNOWN_SYMBOL_CODE:
                raise
            rows = await self._one_by_one(symbols)
        return {row.symbol: row for row in rows if row.symbol in symbols}

    async def submit(self, order: Order, *, leave: Leave | None = None) -> Acknowledgement:
        """Send one order, once."""
        scale = self._scales[order.symbol]
        parameters = _order_parameters(order, scale.instrument)
        client_order_id = order.client_order_id
        if self._on_sent is not None:
            tell = self._on_sent
            TELL_SENT.set(lambda: tell(client_order_id))
        reply = await self._exchange.call("POST", "order", parameters, leave=leave)
        with _judging():
            answer = wire.acknowledgement(reply, order, scale)
        self._remember([answer.order])
        return answer

    async def cancel(self, symbol: str, client_order_id: str) -> VenueOrder:
        """Cancel one order."""
        parameters = {"symbol": symbol, "origClientOrderId": client_order_id}
        return self._order(await self._exchange.call("DELETE", "order", parameters, cancels=True))

    async def cancel_all(self, symbol: str) -> list[VenueOrder]:
        """Cancel every open order on `symbol` and return them as they ended; nothing open is success."""
        try:
            reply = await self._exchange.call("DELETE", "openOrders", {"symbol": symbol}, cancels=True)
        except NotFound:
            return []
        with _judging():
            orders = [self._reader.read(row) for row in wire.canceled(reply)]
        self._remember(orders)
        return orders

    async def open_orders(self, symbol: str | None = None) -> list[VenueOrder]:
        """Return the venue's own list of open orders; orders on instruments we do not trade are left out."""
        # Asking for all symbols at once weighs as much as asking for 13 of them.
        symbols = [symbol] if symbol else list(self._scales)
        if not symbols:
            raise ValueError("a venue without instruments can read no order: give it some.")
        found = await asyncio.gather(*map(self._open_orders, symbols))
        return [order for orders in found for order in orders]

    async def _open_orders(self, symbol: str) -> list[VenueOrder]:
        reply = await self._exchange.call("GET", "openOrders", {"symbol": symbol}, cancels=True)
        with _judging():
            orders = [self._reader.read(row) for row in wire.sequence(reply, "open orders")]
        self._remember(orders)
        return orders

    async def order(self, symbol: str, client_order_id: str) -> VenueOrder:
        """Return one order by our id."""
        parameters = {"symbol": symbol, "origClientOrderId": client_order_id}
        return self._order(await self._exchange.call("GET", "order", parameters, cancels=True))

    async def fills_since(self, symbol: str, trade_id: int) -> list[Fill]:
        """Return our executions with a trade id above `trade_id`, oldest first, complete."""
        rows: list[wire.Message] = []
        while True:
            parameters = {"symbol": symbol, "fromId": trade_id + 1, "limit": PAGE}
            # A halt is proven by open orders, fills and balances alike: all of it may use the reserve of the cancels.
            reply = await self._exchange.call("GET", "myTrades", parameters, cancels=True)
            with _judging():
                page = wire.sequence(reply, "myTrades")
                ids = [wire.whole(row.get("id"), "id") for row in page]
            rows += [row for row, key in zip(page, ids, strict=True) if key > trade_id]
            if len(page) < PAGE or max(ids) <= trade_id:
                return await self._fills(symbol, rows)
            trade_id = max(ids)

    async def balances(self) -> dict[str, Decimal]:
        """Return asset -> free + locked; absent assets are zero at the venue."""
        reply = await self._exchange.call("GET", "account", {"omitZeroBalances": "true"}, cancels=True)
        with _judging():
            return wire.balances(reply)

    async def clock_skew_ms(self) -> float:
        """Return venue clock minus ours, in ms, corrected for half the round trip."""
        return await self._exchange.clock_skew_ms()

    async def user_events(self) -> AsyncIterator[UserEvents]:
        """Yield account events until the stream breaks; what cannot be read breaks it, so that a reconcile follows."""
        mailbox: Mailbox[list[Event]] = Mailbox(limit=BACKLOG)
        self._exchange.on_message = _AccountReader(self._decoder, mailbox).read
        url = self._exchange.urls["api"]["ws"]["ws-api"]["spot"]
        ended = self._exchange.client(url).future(STREAM)
        ended.add_done_callback(lambda future: mailbox.fail(FeedBroken(_reason(future))))
        try:
            await self._subscribe()
            seen = 0
            yield UserEvents((), seen)  # connected: whatever happens from here on is reported
            while True:
                batches = await mailbox.take()
                seen += len(batches)
                yield UserEvents(tuple(event for batch in batches for event in batch), seen)
        finally:
            await self._exchange.hang_up(url)

    async def close(self) -> None:
        """Close every connection."""
        await self._exchange.close()

    # --- helpers ----------------------------------------------------------------------------------------------

    async def _subscribe(self) -> None:
        try:
            await self._exchange.ensure_user_data_stream_ws_subscribe_signature("spot")
        except (ccxt.BaseError, OSError, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and _is_cancelled():
                raise
            raise FeedBroken(f"the account stream could not be opened: {error}") from error

    async def _exchange_info(self, parameters: Mapping[str, str]) -> list[Instrument]:
        reply = await self._exchange.call("GET", "exchangeInfo", parameters, signed=False)
        with _judging():
            rows = wire.sequence(wire.mapping(reply, "exchangeInfo").get("symbols"), "symbols")
            return [wire.instrument(row) for row in rows]

    async def _one_by_one(self, symbols: Sequence[str]) -> list[Instrument]:
        found: list[Instrument] = []
        for symbol in symbols:
            try:
                found += await self._exchange_info({"symbol": symbol})
            except Refused as error:
                if error.code != UNKNOWN_SYMBOL_CODE:
                    raise
        return found

    def _order(self, reply: object) -> VenueOrder:
        with _judging():
            order = self._reader.read(reply)
        self._remember([order])
        return order

    async def _fills(self, symbol: str, rows: Iterable[wire.Message]) -> list[Fill]:
        fills: list[Fill] = []
        for row in rows:
            with _judging():
                venue_order_id = wire.identity(row.get("orderId"), "orderId")
            ours = self._ids.get((symbol, venue_order_id)) or await self._our_id(symbol, venue_order_id)
            with _judging():
                fills.append(wire.execution(row, ours, self._scales[symbol]))
        return sorted(fills, key=lambda fill: fill.trade_id)

    async def _our_id(self, symbol: str, venue_order_id: str) -> str:
        reply = await self._exchange.call("GET", "order", {"symbol": symbol, "orderId": venue_order_id}, cancels=True)
        return self._order(reply).client_order_id

    def _remember(self, orders: Iterable[VenueOrder]) -> None:
        for order in orders:
            key = (order.symbol, order.venue_order_id)
            self._ids[key] = order.client_order_id
            self._ids.move_to_end(key)
        while len(self._ids) > KNOWN_IDS:
            self._ids.popitem(last=False)


class _AccountReader:
    """Takes account messages as they arrive; a defect ends the stream, because what it said is not known."""

    def __init__(self, decoder: wire.AccountDecoder, mailbox: Mailbox[list[Event]]) -> None:
        self._decode = decoder.decode
        self._mailbox = mailbox

    def read(self, message: dict[str, Any]) -> None:
        event = message.get("event", message)
        kind = event.get("e") if isinstance(event, dict) else None
        if not isinstance(kind, str) or kind in LAST_MESSAGES:
            self._mailbox.fail(FeedBroken(f"the venue ended the account stream: {str(message)[:200]}"))
            return
        try:
            events = self._decode(event)
        except wire.UnknownSymbol:
            return  # not our instrument: the reconcile sees what it does to our balances
        except wire.Unreadable as error:
            self._mailbox.fail(FeedBroken(f"an account message could not be read: {error}"))
            return
        if kind == "executionReport":
            self._mailbox.put(events)


@contextmanager
def _judging() -> Iterator[None]:
    """A reply that cannot be read may stand for anything: the fate of what was asked is not known."""
    try:
        yield
    except wire.Unreadable as error:
        raise FateUnknown(str(error)) from error


def _order_parameters(order: Order, instrument: Instrument) -> dict[str, str]:
    parameters = {
        "symbol": order.symbol,
        "side": order.side.value,
        "type": order.type.value,
        "quantity": format(instrument.quantity(order.quantity_lots), "f"),
        "newClientOrderId": order.client_order_id,
        "newOrderRespType": "FULL",
    }
    if order.price_ticks is not None:
        parameters["price"] = format(instrument.price(order.price_ticks), "f")
    if order.type is OrderType.LIMIT:
        parameters["timeInForce"] = "GTC"
    return parameters


def _reason(future: "asyncio.Future[Any]") -> str:
    error = None if future.cancelled() else future.exception()
    return f"the account stream ended: {error or 'closed'}"


def _is_cancelled() -> bool:
    """Return whether our own task is being cancelled, as opposed to a future that ccxt cancelled under us."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
